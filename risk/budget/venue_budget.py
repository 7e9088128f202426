"""A venue's rate limits as exact budgets (C8): the venue never answers 429, and little of what it allows is wasted.

Why the level is a lower bound. Let V be what the venue's bucket holds, F our level of it, and C the tokens that the
venue has charged and we have not yet booked. Then V >= F - C always:
* at the start F = C = 0 and V >= 0: whatever an earlier run spent;
* both refill alike up to the same capacity (ours a little slower, by `clock_drift_ppm`, because the two clocks
  differ): were V cut at the capacity, then F <= capacity <= V + C all the same;
* the venue charges c: V falls and C rises by c; we book c: F and C fall by c; F is cut at 0, and V >= 0.
A request's tokens are *started* from before its first byte until they are booked, so C <= started, and a request is
only started when F - started covers it; booking lowers both alike, so on its arrival, whenever that is, the venue
holds enough for it. Jitter and reordering do not enter. That needs SPENT to mean that the venue can charge
the request no more; and that no other program uses the account: otherwise a 429 comes, and LIMITED says that F = 0.

Why the gate does not see the dispatcher. The gate counts everything approved and not completed as `held`, from the
kernel's own events and times alone; `started` is the dispatcher's, and no approval depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.market_events import RequestOutcome
from framework.domain.rate_limits import RateLimits, RequestKind
from risk.budget.fair_share import FairShare
from risk.budget.token_pool import NS_PER_S, PPM, TokenPool

UNLIMITED = 2**31 - 1
"""How many requests are available of a kind that costs nothing."""


class BudgetSettings(BaseModel):
    """How a venue's budget is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cancel_reserve_percent: int = Field(
        10,
        ge=0,
        le=90,
        description="Part of a pool's capacity that new orders, amends and queries leave alone. Reducing orders may "
        "use its upper half, each strategy a part of it; its lower half is for cancels alone.",
    )
    clock_drift_ppm: int = Field(
        200,
        ge=0,
        le=5_000,
        description="By how much our clock may outrun the venue's, in millionths: that much refill is not counted.",
    )


class _Charge(NamedTuple):
    """What a request of one kind takes from one pool, and what it must leave there."""

    pool: TokenPool
    share: FairShare | None
    units: int
    floor: int


class _Requests:
    """The requests of one kind: their price, how many are held, and how many of those may be on the way."""

    __slots__ = ("charges", "held", "is_cancel", "is_reducing", "started")

    def __init__(self, kind: RequestKind) -> None:
        self.charges: tuple[_Charge, ...] = ()
        self.is_cancel = kind is RequestKind.CANCEL
        self.is_reducing = kind is RequestKind.REDUCE
        self.held = 0
        self.started = 0


class VenueBudget:
    """The budget of one venue account; implements `framework.domain.ports.BudgetView`.

    The kernel calls `advance` at the start of each step, `hold` for each approval and `complete` for each completed
    request, exactly once per hold. The dispatcher asks `dispatch_wait_ns`, calls `start` when it is 0, and
    `take_back` when a started request is proved never to have reached the venue.

    CANCEL is always approved, if need be into debt: it then waits in dispatch and the next approvals wait for it.
    `shares` maps strategies to weights; no shares, or the empty strategy name, means first come, first served.
    Raises `ValueError` for limits or weights that are not positive. Starts empty: an earlier run may have spent it.
    """

    __slots__ = ("_limits", "_now_ns", "_pools", "_requests", "_settings", "_shares", "_token")

    def __init__(
        self,
        limits: RateLimits,
        *,
        monotonic_ns: int,
        shares: Mapping[str, int] | None = None,
        settings: BudgetSettings | None = None,
    ) -> None:
        self._settings = settings or BudgetSettings.model_validate({})
        self._shares = dict(shares or {})
        for strategy, weight in self._shares.items():
            if weight <= 0:
                raise ValueError(f"shares.{strategy}: {weight} is not a positive weight; give 1 or more")
        self._token = PPM * NS_PER_S * max(sum(self._shares.values()), 1)
        self._now_ns = monotonic_ns
        self._requests = {kind: _Requests(kind) for kind in RequestKind}
        self._pools: dict[str, TokenPool] = {}
        self._limits: RateLimits | None = None
        self.declare(limits)

    def declare(self, limits: RateLimits) -> None:
        """Take over limits that the venue declares now. Levels (at most the new capacity) and holds are kept, what
        strategies have saved of their shares begins anew. Raises `ValueError` and changes nothing when a limit
        is not positive or a cost names no pool."""
        _require_valid(limits)
        if limits == self._limits:
            return
        per_weight = PPM - self._settings.clock_drift_ppm
        weights = max(sum(self._shares.values()), 1)
        old = self._pools
        self._limits = limits
        self._pools = {
            pool.name: TokenPool(
                pool.name,
                capacity=pool.capacity * self._token,
                rate=pool.refill_per_s * per_weight * weights,
                level=old[pool.name].level_at(self._now_ns) if pool.name in old else 0,
                at_ns=self._now_ns,
            )
            for pool in limits.pools
        }
        for kind, charges in self._price(limits).items():
            requests = self._requests[kind]
            requests.charges = charges
            for charge in charges:
                charge.pool.held += charge.units * requests.held
                charge.pool.started += charge.units * requests.started

    def advance(self, monotonic_ns: int) -> None:
        """Set the kernel's time; an earlier one than before is ignored."""
        self._now_ns = max(self._now_ns, monotonic_ns)

    def available(self, kind: RequestKind, strategy: str, /) -> int:
        """How many requests of `kind` the strategy could have approved now; for CANCEL at least one. The empty
        name asks without regard to shares."""
        requests = self._requests[kind]
        now_ns = self._now_ns
        least = UNLIMITED
        for pool, share, units, floor in requests.charges:
            room = pool.level_at(now_ns) - pool.held - floor
            if room >= units and share is not None and strategy and not requests.is_cancel:
                available = share.available_reducing if requests.is_reducing else share.available
                room = available(strategy, room, now_ns)
            least = min(least, room // units)
        return max(least, 1 if requests.is_cancel else 0)

    def wait_ns(self, kind: RequestKind, strategy: str, /) -> int:
        """Nanoseconds until one request of `kind` could be approved, if nothing else happens: an estimate, 0 only
        when it could be now."""
        requests = self._requests[kind]
        if requests.is_cancel:
            return 0
        now_ns = self._now_ns
        longest_ns = 0
        for pool, share, units, floor in requests.charges:
            room = pool.level_at(now_ns) - pool.held - floor
            longest_ns = max(longest_ns, pool.wait_ns(units - room))
            if share is not None and strategy:
                wait_ns = share.wait_reducing_ns if requests.is_reducing else share.wait_ns
                longest_ns = max(longest_ns, wait_ns(strategy, units, room, now_ns))
        return longest_ns

    def hold(self, kind: RequestKind, strategy: str) -> None:
        """Reserve the tokens of a request that the gate has just approved."""
        requests = self._requests[kind]
        now_ns = self._now_ns
        requests.held += 1
        for pool, share, units, floor in requests.charges:
            room = pool.level_at(now_ns) - pool.held - floor
            pool.held += units
            if share is None or not strategy:
                continue
            if requests.is_reducing:
                share.take_reducing(strategy, units, room, now_ns)
            else:
                use = share.owe if requests.is_cancel else share.take
                use(strategy, units, now_ns)

    def complete(self, kind: RequestKind, strategy: str, outcome: RequestOutcome) -> None:
        """Book the end of a held request. One that was never held (its hold belongs to a former run) is booked
        all the same: what was spent is spent."""
        requests = self._requests[kind]
        was_held = requests.held > 0
        was_started = requests.started > 0 and outcome is not RequestOutcome.NOT_CHARGED
        requests.held -= was_held
        requests.started -= was_started
        for pool, share, units, _ in requests.charges:
            pool.held -= units if was_held else 0
            pool.started -= units if was_started else 0
            if outcome is RequestOutcome.SPENT:
                pool.book(units, self._now_ns)
            elif outcome is RequestOutcome.LIMITED:
                pool.empty(self._now_ns)
            elif share is not None and strategy and was_held:
                share.give_back(strategy, units, self._now_ns)

    def dispatch_wait_ns(self, kind: RequestKind, monotonic_ns: int) -> int:
        """Nanoseconds until a request of `kind` may be started without risk; 0 = now. Ask again after the wait:
        it counts on what has been started only, and on nothing being completed meanwhile."""
        longest_ns = 0
        for pool, _, units, _ in self._requests[kind].charges:
            longest_ns = max(longest_ns, pool.wait_ns(units + pool.started - pool.level_at(monotonic_ns)))
        return longest_ns

    def start(self, kind: RequestKind) -> None:
        """Its first byte leaves next: from now on the venue may charge it."""
        requests = self._requests[kind]
        requests.started += 1
        for charge in requests.charges:
            charge.pool.started += charge.units

    def take_back(self, kind: RequestKind) -> None:
        """A started request is proved never to have reached the venue; it is completed NOT_CHARGED afterwards."""
        requests = self._requests[kind]
        if requests.started > 0:
            requests.started -= 1
            for charge in requests.charges:
                charge.pool.started -= charge.units

    def tokens(self) -> dict[str, int]:
        """Whole tokens left per pool: the level less what is held; negative while cancels are in debt."""
        return {pool.name: (pool.level_at(self._now_ns) - pool.held) // self._token for pool in self._pools.values()}

    def _price(self, limits: RateLimits) -> dict[RequestKind, tuple[_Charge, ...]]:
        units = {kind: self._units(limits, kind) for kind in RequestKind}
        shares = {pool.name: self._share(pool, units) for pool in self._pools.values()}
        return {
            kind: tuple(
                _Charge(self._pools[name], shares[name], amount, self._floor(kind, self._pools[name], units))
                for name, amount in units[kind].items()
            )
            for kind in RequestKind
        }

    def _units(self, limits: RateLimits, kind: RequestKind) -> dict[str, int]:
        units: dict[str, int] = {}
        for cost in limits.cost(kind):
            if cost.tokens:
                units[cost.pool] = units.get(cost.pool, 0) + cost.tokens * self._token
        return units

    def _share(self, pool: TokenPool, units: Mapping[RequestKind, Mapping[str, int]]) -> FairShare | None:
        if len(self._shares) < 2:
            return None
        dearest = max(prices.get(pool.name, 0) for prices in units.values())
        floor = self._floor(RequestKind.NEW, pool, units)
        return FairShare(
            self._shares,
            capacity=max(pool.capacity - floor - dearest, 0),
            rate_per_weight=pool.rate // sum(self._shares.values()),
            at_ns=self._now_ns,
            reserve=floor - self._floor(RequestKind.REDUCE, pool, units),
            request=units[RequestKind.REDUCE].get(pool.name, 0),
        )

    def _floor(self, kind: RequestKind, pool: TokenPool, units: Mapping[RequestKind, Mapping[str, int]]) -> int:
        """What a request of `kind` must leave: never so much that the dearest request could not be approved."""
        if kind is RequestKind.CANCEL or not units[RequestKind.CANCEL].get(pool.name):
            return 0
        dearest = max(prices.get(pool.name, 0) for prices in units.values())
        reserve = min(pool.capacity * self._settings.cancel_reserve_percent // 100, max(pool.capacity - dearest, 0))
        return reserve // 2 if kind is RequestKind.REDUCE else reserve


def _require_valid(limits: RateLimits) -> None:
    names = {pool.name for pool in limits.pools}
    for pool in limits.pools:
        if pool.capacity <= 0 or pool.refill_per_s <= 0:
            raise ValueError(
                f"limits.pools.{pool.name}: capacity {pool.capacity} and refill_per_s {pool.refill_per_s} "
                "must be positive"
            )
    for cost in limits.costs:
        if cost.pool not in names or cost.tokens < 0:
            raise ValueError(
                f"limits.costs.{cost.kind.value}: {cost.tokens} tokens of pool {cost.pool!r} make no sense; "
                f"the pools are {sorted(names)}"
            )
