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

    @property
    def priority(self) -> int:
        """The rank in the request queue: 0 (cancels) is served first, 4 (queries) last."""
        return _PRIORITY[self]


_PRIORITY = {kind: rank for rank, kind in enumerate(RequestKind)}


class Pool(msgspec.Struct, frozen=True, gc=False):
    """A token bucket of the venue: at most `capacity` tokens, refilled continuously by `refill_per_s` tokens a second.
    Both are above 0."""

    name: str
    capacity: int
    refill_per_s: int


class Cost(msgspec.Struct, frozen=True, gc=False):
    """How many `tokens` (0 or more) one request of `kind` takes from the pool named `pool`."""

    kind: RequestKind
    pool: str
    tokens: int


class RateLimits(msgspec.Struct, frozen=True):
    """Everything that a venue limits for one account: its pools, and what each kind of request takes from them."""

    pools: tuple[Pool, ...]
    costs: tuple[Cost, ...]

    def cost(self, kind: RequestKind) -> tuple[Cost, ...]:
        """What a request of `kind` takes, one entry per pool; empty when this kind is free."""
        return tuple(cost for cost in self.costs if cost.kind is kind)
