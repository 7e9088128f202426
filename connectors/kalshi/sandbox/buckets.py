"""Rate limits: token buckets per account, as the venue documents them.

Reads and writes draw on separate buckets that refill continuously; the balance has one of its own without burst. A
write of a single order draws on the bucket of its shard: shard 0 is the unscoped one, a write that leaves the shard to
the venue draws on all of them, and a batch always on the unscoped one (vendor docs).
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.sandbox.serving.limits import TokenBucket, take_from_all

DEFAULT_COST = 10
CANCEL_COST = 2
BALANCE_COST = 1
SINGLE_READ_COST = 2
UPGRADE_COST = 30
SHARDS = 4
UNSCOPED = 0
AUTO_ROUTED = -1

# Endpoints whose cost is not the default, as `GET /account/endpoint_costs` lists them (vendor docs, October 2026).
ENDPOINT_COSTS: tuple[tuple[str, str, int], ...] = (
    ("POST", "/account/api_usage_level/upgrade", UPGRADE_COST),
    ("GET", "/cfbenchmarks", 150),
    ("GET", "/cfbenchmarks/*endpoint", 150),
    ("POST", "/communications/quotes", 2),
    ("DELETE", "/communications/quotes/:quote_id", 2),
    ("GET", "/margin/balance", 5),
    ("PUT", "/multivariate_event_collections/:collection_ticker/lookup", 2),
    ("DELETE", "/portfolio/events/orders", CANCEL_COST),
    ("DELETE", "/portfolio/events/orders/:order_id", CANCEL_COST),
    ("DELETE", "/portfolio/events/orders/batched", CANCEL_COST),
    ("GET", "/portfolio/orders/:order_id", SINGLE_READ_COST),
)


@dataclass(frozen=True)
class Tier:
    """One usage tier. Rates in tokens per second; bursts in seconds of budget that a bucket holds.

    The balance has its own bucket, without burst, of `balance_rate` reads per second.
    """

    name: str
    read_rate: int
    write_rate: int
    read_burst_s: int
    write_burst_s: int
    balance_rate: int

    @property
    def read_capacity(self) -> int:
        """The most tokens that the read bucket holds: rate x burst."""
        return self.read_rate * self.read_burst_s

    @property
    def write_capacity(self) -> int:
        """The most tokens that each write bucket holds: rate x burst."""
        return self.write_rate * self.write_burst_s


# Rates and bursts by tier (vendor docs, October 2026).
TIERS = {
    tier.name: tier
    for tier in (
        Tier("basic", 200, 100, 3, 1, 1),
        Tier("advanced", 300, 300, 3, 3, 1),
        Tier("expert", 600, 600, 1, 3, 5),
        Tier("premier", 1200, 1200, 1, 3, 5),
        Tier("paragon", 2400, 2400, 1, 3, 5),
        Tier("prime", 4800, 4800, 1, 3, 5),
        Tier("prestige", 12000, 9600, 1, 3, 5),
    )
}


class Buckets:
    """The buckets of one account: read, balance, and one write bucket per shard. All are full at `now_ns`.

    Times are nanoseconds of the engine. Both `take…` are False, and draw nothing, when too few tokens are there.
    """

    def __init__(self, tier: Tier, now_ns: int) -> None:
        read = TokenBucket(tier.read_rate, tier.read_capacity, now_ns=now_ns)
        balance = TokenBucket(tier.balance_rate, tier.balance_rate, now_ns=now_ns)
        self._reads = {"read": read, "balance": balance}
        self._write = [TokenBucket(tier.write_rate, tier.write_capacity, now_ns=now_ns) for _ in range(SHARDS)]

    def take(self, pool: str, cost: int, now_ns: int) -> bool:
        """Draw `cost` tokens from "read", "balance" or "write", there from the unscoped bucket."""
        return self.take_write(cost, now_ns) if pool == "write" else self._reads[pool].take(cost, now_ns)

    def take_write(self, cost: int, now_ns: int, *, shard: int = UNSCOPED) -> bool:
        """Draw `cost` tokens from the bucket of `shard`, or from every one for AUTO_ROUTED: from all or from none.

        A shard outside 0..SHARDS-1 is charged to the nearest one (*assumption*).
        """
        chosen = self._write if shard == AUTO_ROUTED else [self._write[min(max(shard, 0), SHARDS - 1)]]
        return take_from_all(chosen, cost, now_ns=now_ns)
