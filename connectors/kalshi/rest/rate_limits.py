"""Kalshi's rate limits as data. Pure.

Two token buckets per account, refilled continuously (vendor docs): reads and writes. The balance has a third one of
its own. Writes that name a shard above 0 have that shard's own bucket (vendor docs); counting them all in one pool
never spends more than is allowed.
"""

from __future__ import annotations

import re

from connectors.kalshi.wire.account_messages import AccountLimits, Bucket, EndpointCost, EndpointCosts
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind

READ, WRITE, BALANCE = "read", "write", "balance"
"""Names of the three pools."""

BALANCE_PATH = "/portfolio/balance"
"""The read that has a pool of its own."""

DEFAULT_COST = 10
"""Tokens of a request that no list names (vendor docs)."""

# Vendor docs: tokens per second of (read, write). Some buckets hold three seconds of them; that is not used,
# because these stand only until the venue has declared the account's own limits.
_TIERS: dict[str, tuple[int, int]] = {
    "basic": (200, 100),
    "advanced": (300, 300),
    "expert": (600, 600),
    "premier": (1200, 1200),
    "paragon": (2400, 2400),
    "prime": (4800, 4800),
    "prestige": (12000, 9600),
}
_SLOW_BALANCE_TIERS = frozenset({"basic", "advanced"})

# Vendor docs, for when the venue refuses the list of costs.
_DOCUMENTED_COSTS = EndpointCosts(
    default_cost=DEFAULT_COST,
    endpoint_costs=(
        EndpointCost("DELETE", "/trade-api/v2/portfolio/events/orders/:order_id", 2),
        EndpointCost("DELETE", "/trade-api/v2/portfolio/events/orders", 2),
        EndpointCost("DELETE", "/trade-api/v2/portfolio/events/orders/batched", 2),
        EndpointCost("GET", "/trade-api/v2/portfolio/orders/:order_id", 2),
    ),
)

_VARIABLE = re.compile(r":[^/]+|\{[^/]+\}")


class CostTable:
    """Tokens per endpoint. Paths start below the REST prefix; variable parts are written `*`."""

    def __init__(self, costs: EndpointCosts) -> None:
        """Take the venue's list; `:name` and `{name}` in its paths become `*`."""
        self._default = costs.default_cost
        self._costs = {(one.method, _pattern(one.path)): one.cost for one in costs.endpoint_costs}

    def reads(self) -> tuple[Cost, ...]:
        """What reads cost: the default, and what the venue lists; the balance has a pool of its own."""
        paths = {path: tokens for (method, path), tokens in self._costs.items() if method == "GET"}
        listed = [Cost(RequestKind.QUERY, READ, tokens, path) for path, tokens in paths.items() if path != BALANCE_PATH]
        return (
            Cost(RequestKind.QUERY, READ, self._default),
            *listed,
            Cost(RequestKind.QUERY, BALANCE, 1, BALANCE_PATH),
        )

    def of(self, method: str, path: str) -> int:
        """Tokens of one request; the venue's default when it does not list this endpoint."""
        return self._costs.get((method, path), self._default)


def documented_costs() -> CostTable:
    """The costs as the vendor docs list them, for the endpoints that are used here."""
    return CostTable(_DOCUMENTED_COSTS)


def tier_limits(tier: str) -> AccountLimits:
    """A tier's limits (vendor docs), each bucket holding one second of them. Raises `KeyError` for another name."""
    read, write = _TIERS[tier]
    return AccountLimits(tier, Bucket(read, read), Bucket(write, write))


def rate_limits(limits: AccountLimits, costs: CostTable) -> RateLimits:
    """The account's pools and the cost of each kind of request, as the gate's budgets enforce them."""
    orders = "/portfolio/events/orders"
    create = costs.of("POST", orders)
    balance_per_s = 1 if limits.usage_tier in _SLOW_BALANCE_TIERS else 5
    return RateLimits(
        pools=(
            Pool(READ, limits.read.bucket_capacity, limits.read.refill_rate),
            Pool(WRITE, limits.write.bucket_capacity, limits.write.refill_rate),
            # One read at a time, without a burst (vendor docs).
            Pool(BALANCE, 1, balance_per_s),
        ),
        costs=(
            Cost(RequestKind.CANCEL, WRITE, costs.of("DELETE", f"{orders}/*")),
            Cost(RequestKind.REDUCE, WRITE, create),
            Cost(RequestKind.AMEND, WRITE, costs.of("POST", f"{orders}/*/amend")),
            Cost(RequestKind.NEW, WRITE, create),
            *costs.reads(),
        ),
    )


def _pattern(path: str) -> str:
    return _VARIABLE.sub("*", path.removeprefix("/trade-api/v2"))
