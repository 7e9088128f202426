"""A venue's rate limits as exact budgets (C8): the venue never answers 429, and little of what it allows is wasted.

Why the level is a lower bound. Let V be what the venue's pool leaves, F our level of it, and C the tokens that the
venue has charged and we have not yet booked. Then V >= F - C always. For a bucket:
* at the start F = C = 0 and V >= 0: whatever an earlier run spent;
* both refill alike up to the same capacity (ours a little slower, by `clock_drift_ppm`, because the two clocks
  differ): were V cut at the capacity, then F <= capacity <= V + C all the same;
* the venue charges c: V falls and C rises by c; we book c: F and C fall by c; F is cut at 0, and V >= 0.
For a window, V is the capacity less what the venue still counts, and F the capacity less what we have booked and not
forgotten. Each token that the venue counts is in C or is not forgotten by us, so V >= F - C again:
* we book it when it has been charged, and forget it a period after that (ours a little longer than the venue's): a
  window that begins after the charge and is one period long has ended by then, be it sliding or fixed, and whatever the
  phase of a fixed one is;
* of a window whose end the venue has shown, we forget at the latest possible end what was booked before the earliest
  possible end. Nothing is concluded of later windows: some venues begin the next one with the next request;
* what an earlier run has spent, and after a 429 what somebody else has, counts as booked then; an answer that says
  how much is left shows that it was no more than what was used in all.
  One exception: a run begins with what the run before left: the lower half of the cancels' reserve, or one request in
  a window without cancels. Else a restart could cancel nothing, and ask nothing, for a whole period. Only cancels use
  that reserve, and only a second restart within the period would find it used.
In a window nothing flows: what is reserved for cancels is not used by others, unlike in a bucket, where it is only
smaller for them.

A request's tokens are *started* from before its first byte until they are booked, so C <= started, and a request is
only started when F - started covers it; booking lowers both alike, so on its arrival, whenever that is, the venue
holds enough for it. Jitter and reordering do not enter. That needs SPENT to mean that the venue can charge
the request no more; and that no other program uses the account: otherwise a 429 comes, and LIMITED says that F = 0.

Why the gate does not see the dispatcher. The gate counts everything approved and not completed as `held`, from the
kernel's own events and times alone; `started` is the dispatcher's, and no approval depends on it. The connector's own
requests are in `held` as well: `TurnTaken` and `RequestCompleted` are events on the tape, and whether one may go now is
asked by reading only. So started <= held, and an approved order finds its tokens whatever the queries do.

How orders and queries share a pool. Queries have savings: at most `query_share_percent` of the capacity, and at least
one request, from the first one on. The gate leaves them alone, and each order adds that part of its own price until
they are full: so queries have that part of the flow while orders take all they can get, and while there are no queries
nothing is lost. Beyond their savings queries leave one order and a quarter of the capacity, or what strategies have
saved, if that is more, up to a part of it (`KEPT_PERCENT`): orders have that at once, and a strategy that wants what
others leave comes before queries that do. Cancels leave nothing to anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.market_events import RequestOutcome, WindowSeen
from framework.domain.rate_limits import Pool, PoolShape, RateLimits, RequestKind
from risk.budget.fair_share import FairShare
from risk.budget.levels import PPM, TOKEN, QuerySavings
from risk.budget.token_pool import Pools, TokenPool

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
    query_share_percent: int = Field(
        10,
        ge=1,
        le=50,
        description="Part of a pool's flow that queries have for themselves where orders take from the same pool.",
    )
    clock_drift_ppm: int = Field(
        200,
        ge=0,
        le=5_000,
        description="By how much our clock may outrun the venue's, in millionths: that much refill is not counted.",
    )


class _Charge(NamedTuple):
    """What a request takes from one pool, and what it must leave there for others."""

    pool: TokenPool
    units: int
    floor: int


class _Requests:
    """The requests of one kind at one endpoint: their price, how many are held, and how many of those may be on the
    way."""

    __slots__ = ("charges", "held", "is_cancel", "is_reducing", "leaves_queries", "started")

    def __init__(self, kind: RequestKind) -> None:
        self.charges: tuple[_Charge, ...] = ()
        self.is_cancel = kind is RequestKind.CANCEL
        self.is_reducing = kind is RequestKind.REDUCE
        self.leaves_queries = kind not in (RequestKind.CANCEL, RequestKind.QUERY)
        self.held = 0
        self.started = 0

    def room(self, charge: _Charge, monotonic_ns: int) -> tuple[int, int]:
        """Units of a pool that these requests may use, shares left aside, and what one of them takes of that."""
        pool, units, floor = charge
        room = pool.level_at(monotonic_ns) - pool.held - floor
        if self.leaves_queries and pool.queries is not None:
            return room - pool.queries.level, units + pool.queries.part_of(units)
        return room, units

    def count(self, sign: int) -> None:
        """Add what is held and started to the pools at the prices of now, or take it off again."""
        for pool, units, _ in self.charges:
            pool.held += sign * units * self.held
            pool.started += sign * units * self.started


class VenueBudget:
    """The budget of one venue account; implements `framework.domain.ports.BudgetView`.

    The kernel calls `advance` at the start of each step, `hold` for each approval and each turn, and `complete` for
    each completed request, exactly once per hold. The dispatcher asks `dispatch_wait_ns`, calls `start` when it is 0,
    and `take_back` when a started request is proved never to have reached the venue. A request of the connector's own
    asks `turn_wait_ns` first and is then held and started alike; its `endpoint` is a pattern, not a path with ids,
    because each one met is kept.

    CANCEL is always approved, if need be into debt: it then waits in dispatch and the next approvals wait for it.
    `shares` maps strategies to weights; no shares, or the empty strategy name, means first come, first served.
    `pools` are those of all venues of the daemon; without them the venue is alone. Raises `ValueError` for limits or
    weights that are not positive. A bucket starts empty: an earlier run may have spent it. Where it is known what that
    has `left` at `monotonic_ns`, by pool, it goes on from there.
    """

    __slots__ = (
        "_limits",
        "_now_ns",
        "_of_endpoint",
        "_pools",
        "_requests",
        "_settings",
        "_shared",
        "_shares",
        "_venue",
    )

    def __init__(
        self,
        limits: RateLimits,
        *,
        monotonic_ns: int,
        shares: Mapping[str, int] | None = None,
        settings: BudgetSettings | None = None,
        venue: str = "",
        pools: Pools | None = None,
        left: Mapping[str, int] | None = None,
    ) -> None:
        self._settings = settings or BudgetSettings.model_validate({})
        self._venue = venue
        self._shared = pools or Pools()
        self._shares = dict(shares or {})
        for strategy, weight in self._shares.items():
            if weight <= 0:
                raise ValueError(f"shares.{strategy}: {weight} is not a positive weight; give 1 or more")
        self._now_ns = monotonic_ns
        self._requests = {kind: _Requests(kind) for kind in RequestKind}
        self._of_endpoint: dict[tuple[RequestKind, str], _Requests] = {}
        self._pools: dict[str, TokenPool] = {}
        self._limits = RateLimits((), ())
        self.declare(limits)
        for name, tokens in (left or {}).items():
            if name in self._pools:
                self._pools[name].raise_to(tokens * TOKEN, monotonic_ns)

    def declare(self, limits: RateLimits) -> None:
        """Take over limits that the venue declares now. Levels (at most the new capacity) and holds are kept, what
        strategies and queries have saved of their shares begins anew. Raises `ValueError` and changes nothing when a
        limit is not positive or a cost names no pool."""
        _require_valid(limits)
        if limits == self._limits:
            return
        for requests in self._all():
            requests.count(-1)
        self._limits = limits
        self._pools = {one.name: self._declared(one) for one in limits.pools}
        for pool in self._pools.values():
            self._divide(pool)
        for kind, requests in self._requests.items():
            requests.charges = self._charges(kind, "")
        for (kind, endpoint), requests in self._of_endpoint.items():
            requests.charges = self._charges(kind, endpoint)
        for requests in self._all():
            requests.count(1)

    def see(self, seen: WindowSeen) -> None:
        """Take over what an answer of the venue showed of a window; a pool that is not known is left alone."""
        if (pool := self._pools.get(seen.pool)) is None:
            return
        drift = self._settings.clock_drift_ppm
        shortest_ns = seen.ends_ns_min - abs(seen.ends_ns_min) * drift // PPM
        longest_ns = seen.ends_ns_max + abs(seen.ends_ns_max) * drift // PPM
        left = seen.left * TOKEN if seen.left >= 0 else -1
        is_end_known = seen.ends_ns_max != 0
        pool.see(left, self._now_ns + shortest_ns, self._now_ns + longest_ns if is_end_known else 0)

    def advance(self, monotonic_ns: int) -> None:
        """Set the kernel's time; an earlier one than before is ignored."""
        self._now_ns = max(self._now_ns, monotonic_ns)

    def available(self, kind: RequestKind, strategy: str, /) -> int:
        """How many requests of `kind` the strategy could have approved now; for CANCEL at least one. The empty
        name asks without regard to shares."""
        requests = self._requests[kind]
        now_ns = self._now_ns
        least = UNLIMITED
        for charge in requests.charges:
            pool = charge.pool
            room, units = requests.room(charge, now_ns)
            if room >= units and pool.share is not None and strategy and not requests.is_cancel:
                available = pool.share.available_reducing if requests.is_reducing else pool.share.available
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
        for charge in requests.charges:
            pool = charge.pool
            room, units = requests.room(charge, now_ns)
            if room < units:
                longest_ns = max(longest_ns, pool.wait_ns(units - room, now_ns))
            if pool.share is not None and strategy:
                wait_ns = pool.share.wait_reducing_ns if requests.is_reducing else pool.share.wait_ns
                longest_ns = max(longest_ns, wait_ns(strategy, units, room, now_ns))
        return longest_ns

    def hold(self, kind: RequestKind, strategy: str, endpoint: str = "", weight: int = 1) -> None:
        """Reserve the tokens of a request that the gate has just approved, or of `weight` at an endpoint that have
        their turn."""
        requests = self._find(kind, endpoint)
        now_ns = self._now_ns
        requests.held += weight
        for charge in requests.charges:
            if kind is RequestKind.QUERY and not charge.pool.has_queries:
                charge.pool.has_queries = True
                self._divide(charge.pool)
            pool, share = charge.pool, charge.pool.share
            room, units = requests.room(charge, now_ns)
            pool.held += charge.units * weight
            if pool.queries is not None:
                # An order adds what it takes beyond its own price.
                pool.queries.use(charge.units * weight if kind is RequestKind.QUERY else charge.units - units)
            if share is None or not strategy:
                continue
            if requests.is_reducing:
                share.take_reducing(strategy, units, room, now_ns)
            else:
                use = share.owe if requests.is_cancel else share.take
                use(strategy, units, now_ns)

    def complete(
        self, kind: RequestKind, strategy: str, outcome: RequestOutcome, endpoint: str = "", weight: int = 1
    ) -> None:
        """Book the end of what was held. What was never held (its hold belongs to a former run) is booked all the
        same: what was spent is spent."""
        requests = self._find(kind, endpoint)
        held = min(requests.held, weight)
        started = min(requests.started, weight) if outcome is not RequestOutcome.NOT_CHARGED else 0
        requests.held -= held
        requests.started -= started
        for pool, units, _ in requests.charges:
            pool.held -= units * held
            pool.started -= units * started
            if outcome is RequestOutcome.SPENT:
                pool.book(units * weight, self._now_ns)
            elif outcome is RequestOutcome.LIMITED:
                pool.empty(self._now_ns)
            else:
                self._give_back(pool, kind, strategy, units * held)

    def _give_back(self, pool: TokenPool, kind: RequestKind, strategy: str, units: int) -> None:
        if kind is RequestKind.QUERY and pool.queries is not None:
            pool.queries.use(-units)
        if pool.share is not None and strategy and units:
            pool.share.give_back(strategy, units, self._now_ns)

    def dispatch_wait_ns(self, kind: RequestKind, monotonic_ns: int) -> int:
        """Nanoseconds until a request of `kind` may be started without risk; 0 = now. Ask again after the wait:
        it counts on what has been started only, and on nothing being completed meanwhile."""
        longest_ns = 0
        for pool, units, _ in self._requests[kind].charges:
            shortage = units + pool.started - pool.level_at(monotonic_ns)
            longest_ns = max(longest_ns, pool.wait_ns(shortage, monotonic_ns))
        return longest_ns

    def turn_wait_ns(self, kind: RequestKind, endpoint: str, weight: int, monotonic_ns: int) -> int:
        """Nanoseconds until a request of the connector's own may have its turn; 0 = now. Ask again after the wait. One
        that costs more than its pool can give at once waits for all of that."""
        longest_ns = 0
        for pool, price, floor in self._find(kind, endpoint).charges:
            units = min(price * weight, pool.capacity - floor)
            if kind is RequestKind.QUERY:
                wait_ns = pool.query_wait_ns(units, floor, monotonic_ns)
            else:
                wait_ns = pool.wait_ns(units + pool.held + floor - pool.level_at(monotonic_ns), monotonic_ns)
            longest_ns = max(longest_ns, wait_ns)
        return longest_ns

    def pools_of(self, kind: RequestKind, endpoint: str = "") -> tuple[str, ...]:
        """The names of the pools that a request takes tokens from, in the order of the names."""
        return tuple(sorted(pool.name for pool, _, _ in self._find(kind, endpoint).charges))

    def start(self, kind: RequestKind, endpoint: str = "", weight: int = 1) -> None:
        """Its first byte leaves next: from now on the venue may charge it."""
        requests = self._find(kind, endpoint)
        requests.started += weight
        for charge in requests.charges:
            charge.pool.started += charge.units * weight

    def take_back(self, kind: RequestKind, endpoint: str = "", weight: int = 1) -> None:
        """A started request is proved never to have reached the venue; it is completed NOT_CHARGED afterwards."""
        requests = self._find(kind, endpoint)
        if requests.started >= weight:
            requests.started -= weight
            for charge in requests.charges:
                charge.pool.started -= charge.units * weight

    def tokens(self) -> dict[str, int]:
        """Whole tokens left per pool: the level less what is held; negative while cancels are in debt."""
        return {name: (pool.level_at(self._now_ns) - pool.held) // TOKEN for name, pool in self._pools.items()}

    def left(self, monotonic_ns: int) -> dict[str, int]:
        """Whole tokens of each pool that are surely there at a time, whatever of the requests under way the venue has
        charged: what another process may go on from."""
        return {
            name: max((pool.level_at(monotonic_ns) - pool.started) // TOKEN, 0) for name, pool in self._pools.items()
        }

    def _all(self) -> Iterable[_Requests]:
        return (*self._requests.values(), *self._of_endpoint.values())

    def _find(self, kind: RequestKind, endpoint: str) -> _Requests:
        if not endpoint:
            return self._requests[kind]
        found = self._of_endpoint.get((kind, endpoint))
        if found is None:
            found = self._of_endpoint[kind, endpoint] = _Requests(kind)
            found.charges = self._charges(kind, endpoint)
        return found

    def _declared(self, declared: Pool) -> TokenPool:
        pool = self._shared.find(self._venue, declared, at_ns=self._now_ns)
        pool.declare(
            declared,
            clock_drift_ppm=self._settings.clock_drift_ppm,
            free=self._floor(RequestKind.REDUCE, declared.name),
            at_ns=self._now_ns,
        )
        return pool

    def _charges(self, kind: RequestKind, endpoint: str) -> tuple[_Charge, ...]:
        prices = self._units(kind, endpoint)
        return tuple(_Charge(self._pools[name], units, self._floor(kind, name)) for name, units in prices.items())

    def _units(self, kind: RequestKind, endpoint: str = "") -> dict[str, int]:
        units: dict[str, int] = {}
        for cost in self._limits.cost(kind, endpoint):
            if cost.tokens:
                units[cost.pool] = units.get(cost.pool, 0) + cost.tokens * TOKEN
        return units

    def _dearest(self, name: str, kinds: Iterable[RequestKind] = RequestKind) -> int:
        return max(self._units(kind).get(name, 0) for kind in kinds)

    def _divide(self, pool: TokenPool) -> None:
        """Divide a pool between orders and queries, and the orders' part among strategies. Those of other venues that
        share the pool are among them."""
        floor, dearest = self._floor(RequestKind.NEW, pool.name), self._dearest(pool.name)
        pool.queries = self._savings(pool, max(pool.capacity - floor - dearest, 0))
        saved = pool.queries.capacity if pool.queries else 0
        pool.weights |= self._shares
        pool.share = None
        if len(pool.weights) > 1:
            pool.share = FairShare(
                pool.weights,
                capacity=max(pool.capacity - floor - dearest - saved, 0),
                rate_per_weight=pool.rate // sum(pool.weights.values()),
                at_ns=self._now_ns,
                reserve=floor - self._floor(RequestKind.REDUCE, pool.name),
                request=self._units(RequestKind.REDUCE).get(pool.name, 0),
            )

    def _savings(self, pool: TokenPool, units_max: int) -> QuerySavings | None:
        """What queries may save of a pool, None where not both queries and orders use it."""
        orders = self._dearest(pool.name, [kind for kind in RequestKind if kind is not RequestKind.QUERY])
        costs = [cost for cost in self._limits.costs if cost.pool == pool.name and cost.kind is RequestKind.QUERY]
        dearest = max((cost.tokens * TOKEN for cost in costs), default=0)
        if not (pool.has_queries and orders and dearest):
            return None
        percent = self._settings.query_share_percent
        return QuerySavings(min(max(pool.capacity * percent // 100, dearest), units_max), percent, orders)

    def _floor(self, kind: RequestKind, name: str) -> int:
        """What a request of `kind` must leave in a pool: never so much that the dearest request could not be approved.
        In a window without cancels it is one request, with which the next run begins."""
        declared = next(one for one in self._limits.pools if one.name == name)
        dearest = self._dearest(name)
        most = max(declared.capacity * TOKEN - dearest, 0)
        if kind is RequestKind.CANCEL:
            return 0
        if not self._units(RequestKind.CANCEL).get(name):
            return min(dearest, most) if declared.shape is PoolShape.WINDOW else 0
        reserve = min(declared.capacity * TOKEN * self._settings.cancel_reserve_percent // 100, most)
        return reserve // 2 if kind is RequestKind.REDUCE else reserve


def _require_valid(limits: RateLimits) -> None:
    names = {pool.name for pool in limits.pools}
    for pool in limits.pools:
        flaw = _flaw_of(pool)
        if flaw:
            raise ValueError(f"limits.pools.{pool.name}: {flaw}")
    for cost in limits.costs:
        if cost.pool not in names or cost.tokens < 0:
            raise ValueError(
                f"limits.costs.{cost.kind.value}: {cost.tokens} tokens of pool {cost.pool!r} make no sense; "
                f"the pools are {sorted(names)}"
            )


def _flaw_of(pool: Pool) -> str:
    if pool.capacity <= 0 or pool.refill <= 0 or pool.period_ns <= 0:
        given = f"capacity {pool.capacity}, refill {pool.refill} and period_ns {pool.period_ns}"
        return f"{given} must be positive"
    if pool.shape is PoolShape.WINDOW and pool.refill != pool.capacity:
        return f"refill {pool.refill} of a window must be its capacity, {pool.capacity}"
    return ""
