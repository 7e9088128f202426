"""A venue's rate limits, as data: what its connector declares and the budgets enforce."""

from __future__ import annotations

from enum import Enum

import msgspec


class RequestKind(Enum):
    """Kinds of requests, in order of priority: the first goes first."""

    CANCEL = "cancel"
    REDUCE = "reduce"
    AMEND = "amend"
    NEW = "new"
    QUERY = "query"

    @property
    def priority(self) -> int:
        """0 is served first."""
        return _PRIORITY[self]


_PRIORITY = {kind: rank for rank, kind in enumerate(RequestKind)}


class Pool(msgspec.Struct, frozen=True, gc=False):
    """A token bucket of the venue: holds at most `capacity` tokens, refilled continuously by `refill_per_s`."""

    name: str
    capacity: int
    refill_per_s: int


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What one request of `kind` takes from `pool`."""

    kind: RequestKind
    pool: str
    tokens: int


class RateLimits(msgspec.Struct, frozen=True):
    """Everything a venue limits for one account."""

    pools: tuple[Pool, ...]
    costs: tuple[Cost, ...]

    def cost(self, kind: RequestKind) -> tuple[Cost, ...]:
        """What a request of `kind` takes, per pool; empty when it is free."""
        return tuple(cost for cost in self.costs if cost.kind is kind)
