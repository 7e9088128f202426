"""A venue's rate limits as data: its connector declares them (`LimitsDeclared`), `risk.budget` enforces them."""

from __future__ import annotations

from enum import Enum

import msgspec


class RequestKind(Enum):
    """Kinds of requests in order of priority. Cancels go first: what takes risk away must not wait behind what adds
    it."""

    CANCEL = "cancel"
    REDUCE = "reduce"
    AMEND = "amend"
    NEW = "new"
    QUERY = "query"

    __hash__ = object.__hash__  # by identity: the one of `Enum` is a call in Python, and budgets look up by it

    @property
    def priority(self) -> int:
        """The rank in the request queue: 0 (cancels) is served first, 4 (queries) last."""
        return _PRIORITY[self]


_PRIORITY = {kind: rank for rank, kind in enumerate(RequestKind)}


NS_PER_S = 1_000_000_000


class PoolShape(Enum):
    """How the venue counts."""

    BUCKET = "bucket"
    """A token bucket: refilled continuously up to its capacity."""
    WINDOW = "window"
    """At most `capacity` tokens in a period, whether that is a sliding window or a fixed one that begins anew."""


class PoolScope(Enum):
    """For whom the venue counts. Two venues of one daemon share a pool whose owner is the same."""

    KEY = "key"
    ACCOUNT = "account"
    WALLET = "wallet"
    IP = "ip"


class Pool(msgspec.Struct, frozen=True, gc=False, rename={"refill": "refill_per_s"}):
    """One limit of the venue: at most `capacity` tokens, of which `refill` come back in each `period_ns`: continuously
    in a BUCKET; in a WINDOW all of them, so that `refill` is the capacity. All three are above 0.

    `owner` says whose pool it is where that is not this venue's own: the wallet's address, the number of the account.
    Empty is this venue alone, and for an IP all venues with the same connector and proxy. A venue that charges parts
    of a token is declared in smaller ones: 0.2 of 100 is 2 of 1,000.
    """

    name: str
    capacity: int
    refill: int
    period_ns: int = NS_PER_S
    shape: PoolShape = PoolShape.BUCKET
    scope: PoolScope = PoolScope.KEY
    owner: str = ""

    @property
    def refill_per_s(self) -> int:
        """Tokens that come back in a second, rounded down: what connectors that pace themselves have read so far."""
        return self.refill * NS_PER_S // self.period_ns


class Cost(msgspec.Struct, frozen=True, gc=False):
    """How many `tokens` (0 or more) one request of `kind` takes from the pool named `pool`. With an `endpoint`, as the
    connector names it when it asks for its turn, this holds for requests there, in place of what the kind costs
    elsewhere."""

    kind: RequestKind
    pool: str
    tokens: int
    endpoint: str = ""


class RateLimits(msgspec.Struct, frozen=True):
    """Everything that a venue limits for one account: its pools, and what each kind of request takes from them."""

    pools: tuple[Pool, ...]
    costs: tuple[Cost, ...]

    def cost(self, kind: RequestKind, endpoint: str = "") -> tuple[Cost, ...]:
        """What a request of `kind` takes, one entry per pool: the entries of its endpoint, where there are none those
        of the kind; empty when it is free."""
        of_kind = [cost for cost in self.costs if cost.kind is kind]
        own = tuple(cost for cost in of_kind if endpoint and cost.endpoint == endpoint)
        return own or tuple(cost for cost in of_kind if not cost.endpoint)
