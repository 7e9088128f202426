"""A venue's rate limits as exact budgets (C8): the venue never answers 429, and little of what it allows is wasted.

Why the level is a lower bound. Let V be what the venue's pool leaves, F our level of it, and C the tokens that the
venue has charged and we have not yet booked. Then V >= F - C always. For a bucket:
* at the start F = C = 0 and V >= 0: whatever an earlier run spent;
* both refill alike up to the same capacity (ours a little slower, by `clock_drift_ppm`, because the two clocks
  differ): were V cut at the capacity, then F <= capacity <= V + C all the same;
* the venue charges c: V falls and C rises by c; we book c: F and C fall by c; F is cut at 0, and V >= 0.
For a window, V is the limit less what the venue still counts. F is the capacity less the most that was booked beyond
the flow since any moment of the last period (`RequestWindow`): so since each of them no more was booked than the flow,
and the capacity less F; the flow of a period and the capacity are the limit.
* What the venue counts was charged since its window began, which is a period ago at most (ours a little longer than the
  venue's): so it is in C or was booked since then, and V >= F - C again, be the window sliding or fixed, and whatever
  the phase of a fixed one is.
* A run before this one has kept to the same, and had used its whole capacity at the worst: this one begins as if that
  had been booked at its start, and has the flow at once.
* What the venue shows of its own window is no less than F until that ends.

A request's tokens are *started* from before its first byte until they are booked, so C <= started, and a request is
only started when F - started covers it; booking lowers both alike, so on its arrival, whenever that is, the venue
holds enough for it. Jitter and reordering do not enter. That needs SPENT to mean that the venue can charge
the request no more; and that no other program uses the account.

When another one does, a 429 comes, and LIMITED says that F = 0, until the time that the venue names. Half of the flow
is then taken for theirs (`TokenPool.limited`), again half with each further 429, and a little of it is tried again when
there was none for a minute. Meanwhile requests leave one after the other, cancels aside.

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

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from framework.domain.market_events import RequestOutcome, WindowSeen
from framework.domain.rate_limits import Pool, RateLimits, RequestKind
from framework.domain.views import PoolView
from risk.budget.fair_share import FairShare
from risk.budget.levels import NS_PER_S, PPM, TOKEN, QuerySavings
from risk.budget.settings import BudgetSettings, require_valid
from risk.budget.token_pool import WHOLE, Pools, TokenPool

NS_PER_MS = 1_000_000
FEELING_NS = 10_000_000
"""After so long it is asked again whether the request under way has been answered, where others spend, too."""

UNLIMITED = 2**31 - 1
"""How many requests are available of a kind that costs nothing."""


class _Charge(NamedTuple):
    """What a request takes from one pool: `units`, and it leaves `floor` there. Beside that it leaves a cancel of
    `cancel` units for each open order and for the `adds` orders that it makes itself, but for the `returns` that a
    window brings back soon enough, and as many as the pool can hold beside the request: `kept_max`."""

    pool: TokenPool
    units: int
    floor: int
    cancel: int
    adds: int
    returns: int
    kept_max: int

    def kept(self, open_orders: int) -> int:
        """Units that are left for cancels while so many orders are open."""
        return min(self.cancel * (open_orders + self.adds) - self.returns, self.kept_max)


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

    def room(self, charge: _Charge, open_orders: int, monotonic_ns: int) -> tuple[int, int]:
        """Units of a pool that these requests may use, shares left aside, and what one of them takes of that."""
        pool, units = charge.pool, charge.units
        room = pool.level_at(monotonic_ns) - charge.floor
        kept = charge.cancel * (open_orders + charge.adds) - charge.returns
        if kept > charge.floor:
            room = min(room, pool.urgent_at(monotonic_ns) - min(kept, charge.kept_max))
        room -= pool.held
        if self.leaves_queries and pool.queries is not None:
            return room - pool.queries.level, units + pool.queries.part_of(units)
        return room, units

    def count(self, sign: int) -> None:
        """Add what is held and started to the pools at the prices of now, or take it off again."""
        for charge in self.charges:
            charge.pool.held += sign * charge.units * self.held
            charge.pool.started += sign * charge.units * self.started


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
    weights that are not positive. A pool starts empty: an earlier run may have spent it. Where it is known what that
    has `left` at `monotonic_ns`, by pool, it goes on from there.
    """

    __slots__ = (
        "_covers_cancels",
        "_is_contended",
        "_limits",
        "_now_ns",
        "_of_endpoint",
        "_open_orders",
        "_pools",
        "_requests",
        "_settings",
        "_shared",
        "_shares",
        "_venue",
        "orders_max",
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
        open_orders: Callable[[], int] | None = None,
    ) -> None:
        self._settings = settings or BudgetSettings.model_validate({})
        self._venue = venue
        self._open_orders = open_orders or _none_open
        self._covers_cancels = open_orders is not None
        self._shared = pools or Pools()
        self._shares = dict(shares or {})
        for strategy, weight in self._shares.items():
            if weight <= 0:
                raise ValueError(f"shares.{strategy}: {weight} is not a positive weight; give 1 or more")
        self._now_ns = monotonic_ns
        self._is_contended = False
        self._requests = {kind: _Requests(kind) for kind in RequestKind}
        self._of_endpoint: dict[tuple[RequestKind, str], _Requests] = {}
        self._pools: dict[str, TokenPool] = {}
        self._limits = RateLimits((), ())
        self.orders_max = UNLIMITED
        self.declare(limits)
        for name, tokens in (left or {}).items():
            if name in self._pools:
                self._pools[name].raise_to(tokens * TOKEN, monotonic_ns)

    def declare(self, limits: RateLimits) -> None:
        """Take over limits that the venue declares now. Levels (at most the new capacity) and holds are kept, what
        strategies and queries have saved of their shares begins anew. Raises `ValueError` and changes nothing when a
        limit is not positive or a cost names no pool."""
        require_valid(limits)
        if limits == self._limits:
            return
        for requests in self._all():
            requests.count(-1)
        self._limits = limits
        self._pools = {one.name: self._declared(one) for one in limits.pools}
        for pool in self._pools.values():
            self._divide(pool)
        self._charge()
        for requests in self._all():
            requests.count(1)

    def see(self, seen: WindowSeen) -> None:
        """Take over what an answer of the venue showed of a window; a pool that is not known is left alone."""
        if (pool := self._pools.get(seen.pool)) is None:
            return
        if seen.left >= 0:
            longest_ns = seen.ends_ns_max + abs(seen.ends_ns_max) * self._settings.clock_drift_ppm // PPM
            pool.see(seen.left * TOKEN, self._now_ns + longest_ns if seen.ends_ns_max else 0)

    def advance(self, monotonic_ns: int) -> None:
        """Set the kernel's time; an earlier one than before is ignored."""
        self._now_ns = max(self._now_ns, monotonic_ns)
        if self._is_contended:
            for pool in self._pools.values():
                if pool.recover(self._now_ns):
                    self._divide(pool)
            self._charge()
            self._is_contended = any(pool.ours < WHOLE for pool in self._pools.values())

    def available(self, kind: RequestKind, strategy: str, /) -> int:
        """How many requests of `kind` the strategy could have approved now; for CANCEL at least one. The empty
        name asks without regard to shares."""
        requests = self._requests[kind]
        now_ns = self._now_ns
        if kind is RequestKind.NEW and self._open_orders() >= self.orders_max:
            return 0
        least = UNLIMITED
        for charge in requests.charges:
            pool = charge.pool
            room, units = requests.room(charge, self._open_orders(), now_ns)
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
            room, units = requests.room(charge, self._open_orders(), now_ns)
            if room < units:
                longest_ns = max(longest_ns, pool.wait_ns(units - room, now_ns))
            if pool.share is not None and strategy:
                wait_ns = pool.share.wait_reducing_ns if requests.is_reducing else pool.share.wait_ns
                longest_ns = max(longest_ns, wait_ns(strategy, units, room, now_ns))
        return longest_ns

    def want(self, kind: RequestKind, strategy: str) -> None:
        """The gate has refused a request for want of room: the strategy's turn is kept."""
        for charge in self._requests[kind].charges:
            if charge.pool.share is not None:
                charge.pool.share.want(strategy, self._now_ns)

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
                self._charge()
            pool, share = charge.pool, charge.pool.share
            room, units = requests.room(charge, self._open_orders(), now_ns)
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
        self,
        kind: RequestKind,
        strategy: str,
        outcome: RequestOutcome,
        endpoint: str = "",
        weight: int = 1,
        after_ms: int = 0,
    ) -> None:
        """Book the end of what was held. What was never held (its hold belongs to a former run) is booked all the
        same: what was spent is spent. After a 429 nothing is there for `after_ms` milliseconds."""
        requests = self._find(kind, endpoint)
        held = min(requests.held, weight)
        started = min(requests.started, weight) if outcome is not RequestOutcome.NOT_CHARGED else 0
        requests.held -= held
        requests.started -= started
        for pool, units, *_ in requests.charges:
            pool.held -= units * held
            pool.started -= units * started
            if outcome is RequestOutcome.SPENT:
                pool.book(units * weight, self._now_ns)
            elif outcome is RequestOutcome.NOT_CHARGED:
                self._give_back(pool, kind, strategy, units * held)
        if outcome is RequestOutcome.LIMITED:
            self._note_limited(requests, weight, after_ms)

    def _note_limited(self, requests: _Requests, weight: int, after_ms: int) -> None:
        """Which of its pools was used up, the venue does not say. One that cancels take from is blamed only where they
        take from all of them: it must not be closed to them for what others have used up. Without a request (a weight
        of 0) it is no answer: somebody of ours has used all of them."""
        if not weight:
            for charge in requests.charges:
                charge.pool.empty(self._now_ns)
            return
        for_cancels = {charge.pool.name for charge in self._requests[RequestKind.CANCEL].charges}
        charges = [one for one in requests.charges if one.pool.name not in for_cancels] or requests.charges
        for pool, units, *_ in charges:
            if pool.limited(units * weight, self._now_ns, self._now_ns + after_ms * NS_PER_MS):
                self._is_contended = True
                self._divide(pool)
        self._charge()

    def _give_back(self, pool: TokenPool, kind: RequestKind, strategy: str, units: int) -> None:
        if kind is RequestKind.QUERY and pool.queries is not None:
            pool.queries.use(-units)
        if pool.share is not None and strategy and units:
            pool.share.give_back(strategy, units, self._now_ns)

    def dispatch_wait_ns(self, kind: RequestKind, monotonic_ns: int) -> int:
        """Nanoseconds until a request of `kind` may be started without risk; 0 = now. Ask again after the wait:
        it counts on what has been started only, and on nothing being completed meanwhile."""
        longest_ns = 0
        requests = self._requests[kind]
        for pool, units, *_ in requests.charges:
            needed = units + pool.started
            if requests.is_cancel:
                wait_ns = pool.urgent_wait_ns(needed - pool.urgent_at(monotonic_ns), monotonic_ns)
            else:
                wait_ns = pool.wait_ns(needed - pool.level_at(monotonic_ns), monotonic_ns)
                wait_ns = max(wait_ns, FEELING_NS if pool.is_feeling else 0)
            longest_ns = max(longest_ns, wait_ns)
        return longest_ns

    def turn_wait_ns(self, kind: RequestKind, endpoint: str, weight: int, monotonic_ns: int) -> int:
        """Nanoseconds until a request of the connector's own may have its turn; 0 = now. Ask again after the wait. One
        that costs more than its pool can give at once waits for all of that."""
        longest_ns = 0
        requests, open_orders = self._find(kind, endpoint), self._open_orders()
        for charge in requests.charges:
            pool, floor = charge.pool, charge.floor
            units = min(charge.units * weight, pool.capacity - floor)
            if kind is RequestKind.QUERY:
                wait_ns = pool.query_wait_ns(units, floor, monotonic_ns)
            else:
                wait_ns = pool.wait_ns(units + pool.held + floor - pool.level_at(monotonic_ns), monotonic_ns)
            if charge.cancel:
                shortage = units + pool.held + charge.kept(open_orders) - pool.urgent_at(monotonic_ns)
                wait_ns = max(wait_ns, pool.urgent_wait_ns(shortage, monotonic_ns))
            longest_ns = max(longest_ns, wait_ns, FEELING_NS if pool.is_feeling else 0)
        return longest_ns

    def pools_of(self, kind: RequestKind, endpoint: str = "") -> tuple[str, ...]:
        """The names of the pools that a request takes tokens from, in the order of the names."""
        return tuple(sorted(charge.pool.name for charge in self._find(kind, endpoint).charges))

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

    @property
    def open_orders(self) -> int:
        """How many of our orders at the venue may trade and have no cancel under way."""
        return self._open_orders()

    def pools(self) -> tuple[PoolView, ...]:
        """What is left of each pool, in the order in which they were declared."""
        return tuple(self._shown(pool) for pool in self._pools.values())

    def _shown(self, pool: TokenPool) -> PoolView:
        now_ns = self._now_ns
        left = pool.level_at(now_ns) - pool.held
        return PoolView(
            name=pool.name,
            left=left // TOKEN,
            urgent=(pool.urgent_at(now_ns) - pool.held) // TOKEN,
            limit=pool.limit // TOKEN,
            flow=pool.rate * 1_000 * NS_PER_S // TOKEN,
            full_ms=-(-pool.wait_ns(pool.capacity - pool.level_at(now_ns), now_ns) // NS_PER_MS),
            ours_percent=pool.ours * 100 // WHOLE,
        )

    def tokens(self) -> dict[str, int]:
        """Whole tokens left per pool: the level less what is held; negative while cancels are in debt."""
        return {name: (pool.level_at(self._now_ns) - pool.held) // TOKEN for name, pool in self._pools.items()}

    def left(self, monotonic_ns: int) -> dict[str, int]:
        """Whole tokens of each pool that are surely there at a time, whatever of the requests under way the venue has
        charged: what another process may go on from."""
        return {
            name: max((pool.urgent_at(monotonic_ns) - pool.started) // TOKEN, 0) for name, pool in self._pools.items()
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
            dearest=max((cost.tokens for cost in self._limits.costs if cost.pool == declared.name), default=0) * TOKEN,
            at_ns=self._now_ns,
        )
        return pool

    def _charge(self) -> None:
        """Work out what each kind of request takes and leaves, and how many orders the limits can pay a cancel for, at
        once or within the time that is allowed for it. After each change of the pools."""
        for kind, requests in self._requests.items():
            requests.charges = self._charges(kind, "")
        for (kind, endpoint), requests in self._of_endpoint.items():
            requests.charges = self._charges(kind, endpoint)
        within_ns = self._settings.cancel_within_ms * NS_PER_MS
        charges = [one for one in self._requests[RequestKind.NEW].charges if one.cancel]
        orders = ((one.kept_max + max(one.pool.rate * within_ns, one.returns)) // one.cancel for one in charges)
        self.orders_max = min(orders, default=UNLIMITED)

    def _charges(self, kind: RequestKind, endpoint: str) -> tuple[_Charge, ...]:
        prices = self._units(kind, endpoint)
        is_covered = self._covers_cancels and kind is not RequestKind.CANCEL
        cancels = self._units(RequestKind.CANCEL) if is_covered else {}
        adds = 1 if kind is RequestKind.NEW else 0
        charges = []
        for name, units in prices.items():
            pool = self._pools[name]
            saved = 0 if pool.queries is None else pool.queries.capacity
            kept_max = max(pool.limit - units - saved, 0)
            returns = pool.returns_in(self._settings.cancel_within_ms * NS_PER_MS)
            charges.append(_Charge(pool, units, self._floor(kind, name), cancels.get(name, 0), adds, returns, kept_max))
        return tuple(charges)

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
                price=self._dearest(pool.name, (RequestKind.REDUCE, RequestKind.AMEND, RequestKind.NEW)),
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
        """What a request of `kind` must leave in a pool: never so much that the dearest request could not be
        approved."""
        if kind is RequestKind.CANCEL or not self._units(RequestKind.CANCEL).get(name):
            return 0
        capacity = self._pools[name].capacity
        most = max(capacity - self._dearest(name), 0)
        reserve = min(capacity * self._settings.cancel_reserve_percent // 100, most)
        return reserve // 2 if kind is RequestKind.REDUCE else reserve


def _none_open() -> int:
    return 0
