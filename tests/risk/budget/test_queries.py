"""Orders and the connector's queries take from one pool: none is limited, orders wait for no query, and queries have
a part of the flow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from heapq import heappop, heappush
from random import Random
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.domain.market_events import RequestOutcome
from framework.domain.rate_limits import Cost, Pool, PoolScope, PoolShape, RateLimits, RequestKind
from risk.budget.token_pool import Pools
from risk.budget.venue_budget import BudgetSettings, VenueBudget
from tests.risk.budget.test_venue_budget import VenueBucket
from tests.risk.budget.test_windows import VenueWindow

S = 10**9
MS = 1_000_000
NEW, CANCEL, QUERY, REDUCE = RequestKind.NEW, RequestKind.CANCEL, RequestKind.QUERY, RequestKind.REDUCE
SPENT, NOT_CHARGED = RequestOutcome.SPENT, RequestOutcome.NOT_CHARGED


def shared(pool: Pool, prices: dict[RequestKind, int] | None = None) -> RateLimits:
    prices = prices or {NEW: 1, CANCEL: 1, QUERY: 1}
    return RateLimits((pool,), tuple(Cost(kind, pool.name, tokens) for kind, tokens in prices.items()))


BUCKET = Pool("all", 100, 100)
WINDOW = Pool("all", 200, 200, 10 * S, PoolShape.WINDOW)


class Traffic:
    """Orders and queries over a network that delays at random, to a venue that counts both."""

    def __init__(self, pool: Pool, venue: VenueBucket | VenueWindow, rng: Random) -> None:
        self.budget = VenueBudget(shared(pool), monotonic_ns=0, shares={"a": 1, "b": 1})
        self.venue, self.rng = venue, rng
        self.flying: list[tuple[int, int, str, RequestKind]] = []
        self.queue: list[tuple[RequestKind, int]] = []
        self.served: Counter[RequestKind] = Counter()
        self.longest_ns: Counter[RequestKind] = Counter()
        self.count = 0

    def fly(self, now_ns: int, what: str, kind: RequestKind) -> None:
        self.count += 1
        heappush(self.flying, (now_ns + self.rng.randrange(1, 100 * MS), self.count, what, kind))

    def land(self, now_ns: int) -> None:
        while self.flying and self.flying[0][0] <= now_ns:
            at_ns, _, what, kind = heappop(self.flying)
            if what != "venue":
                self.budget.complete(kind, "", RequestOutcome(what))
                continue
            is_ok = self.venue.charge(at_ns) if isinstance(self.venue, VenueWindow) else self.venue.charge(1, at_ns)
            self.served[kind] += is_ok
            self.fly(at_ns, "spent" if is_ok else "limited", kind)

    def run(self, seconds: int, *, orders: float, queries: float, cancels: float = 0.0) -> None:
        for now_ns in range(0, seconds * S, 5 * MS):
            self.budget.advance(now_ns)
            self.land(now_ns)
            if self.rng.random() < cancels:
                self.budget.hold(CANCEL, "a")
                self.queue.insert(0, (CANCEL, now_ns))
            if self.rng.random() < orders:
                while self.budget.available(NEW, "a"):
                    self.budget.hold(NEW, "a")
                    self.queue.append((NEW, now_ns))
            while self.queue and self.budget.dispatch_wait_ns(self.queue[0][0], now_ns) == 0:
                kind, since_ns = self.queue.pop(0)
                self.longest_ns[kind] = max(self.longest_ns[kind], now_ns - since_ns)
                self.budget.start(kind)
                self.fly(now_ns, "venue", kind)
            while self.rng.random() < queries and self.budget.turn_wait_ns(QUERY, "", 1, now_ns) == 0:
                self.budget.hold(QUERY, "")
                self.budget.start(QUERY)
                self.fly(now_ns, "venue", QUERY)


def venue_of(pool: Pool, rng: Random) -> VenueBucket | VenueWindow:
    if pool.shape is PoolShape.BUCKET:
        return VenueBucket(pool.capacity, pool.refill, Fraction(rng.randrange(0, pool.capacity)))
    style = rng.choice(["sliding", "fixed", "first"])
    used, phase_ns = rng.randrange(0, pool.capacity * 95 // 100), rng.randrange(0, pool.period_ns)
    return VenueWindow(style, capacity=pool.capacity, period_ns=pool.period_ns, used=used, phase_ns=phase_ns)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    pool=st.sampled_from([BUCKET, WINDOW]),
    orders=st.sampled_from([0.0, 0.02, 1.0]),
    queries=st.sampled_from([0.02, 0.9]),
)
def test_venue_when_orders_and_queries_ask_for_all_there_is_then_it_limits_none_and_no_order_waits(
    seed: int, pool: Pool, orders: float, queries: float
) -> None:
    rng = Random(seed)
    traffic = Traffic(pool, venue_of(pool, rng), rng)
    traffic.run(25, orders=orders, queries=queries, cancels=0.005)

    assert traffic.venue.refused == 0
    assert traffic.longest_ns[NEW] <= traffic.longest_ns[CANCEL], "but behind cancels that are in debt"


class Recorded:
    """A budget that keeps what the kernel does with it and what its gate is told."""

    def __init__(self, budget: VenueBudget) -> None:
        self.budget = budget
        self.done: list[tuple[str, tuple[object, ...], object]] = []

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            found = getattr(self.budget, name)(*arguments)
            if name in ("advance", "hold", "complete", "available"):
                self.done.append((name, arguments, found))
            return found

        return call


@pytest.mark.parametrize("pool", [BUCKET, WINDOW], ids=["bucket", "window"])
def test_gate_when_a_session_is_replayed_without_dispatcher_and_connector_then_it_is_told_the_same(pool: Pool) -> None:
    rng = Random(9)
    traffic = Traffic(pool, venue_of(pool, rng), rng)
    kernel = Recorded(traffic.budget)
    traffic.budget = cast("VenueBudget", kernel)
    traffic.run(20, orders=0.3, queries=0.5, cancels=0.01)

    again = VenueBudget(shared(pool), monotonic_ns=0, shares={"a": 1, "b": 1})
    assert len(kernel.done) > 2_000
    for name, arguments, said in kernel.done:
        assert getattr(again, name)(*arguments) == said


@pytest.mark.parametrize("pool", [BUCKET, WINDOW], ids=["bucket", "window"])
def test_queries_when_orders_take_all_they_can_get_then_they_have_their_tenth_and_orders_the_rest(pool: Pool) -> None:
    rng = Random(5)
    traffic = Traffic(pool, venue_of(pool, rng), rng)
    traffic.run(120, orders=1.0, queries=0.9)

    total = sum(traffic.served.values())
    assert 0.08 <= traffic.served[QUERY] / total <= 0.16, traffic.served
    assert traffic.longest_ns[NEW] == 0
    if pool is BUCKET:
        assert total >= 0.99 * 100 * 119


def test_queries_when_nobody_orders_then_they_have_the_whole_flow_of_a_bucket() -> None:
    rng = Random(5)
    traffic = Traffic(BUCKET, venue_of(BUCKET, rng), rng)
    traffic.run(60, orders=0.0, queries=0.95)

    assert traffic.served[QUERY] >= 0.99 * 100 * 59


def full(pool: Pool = BUCKET, prices: dict[RequestKind, int] | None = None) -> VenueBudget:
    settings_ = BudgetSettings(cancel_reserve_percent=0, clock_drift_ppm=0)
    budget = VenueBudget(shared(pool, prices), monotonic_ns=0, settings=settings_)
    budget.advance(100 * S)
    return budget


def ask(budget: VenueBudget, now_ns: int, times: int = 1) -> int:
    """How many queries have their turn one after the other; none of them is answered."""
    for number in range(times):
        if budget.turn_wait_ns(QUERY, "", 1, now_ns):
            return number
        budget.hold(QUERY, "")
        budget.start(QUERY)
    return times


def test_pool_when_no_query_ever_takes_from_it_then_orders_have_all_of_it() -> None:
    assert full().available(NEW, "") == 100


def test_orders_when_queries_took_all_they_may_then_a_quarter_is_left_for_them() -> None:
    budget = full()
    assert ask(budget, 100 * S, 200) == 73
    assert budget.available(NEW, "") == 24, "and the queries' savings have their part of it"


def test_queries_when_orders_took_all_they_may_then_their_savings_are_left_and_come_back_with_the_orders() -> None:
    budget = full()
    ask(budget, 100 * S)
    budget.complete(QUERY, "", SPENT)
    budget.advance(200 * S)
    while budget.available(NEW, ""):
        budget.hold(NEW, "")
    assert ask(budget, 200 * S, 200) == 10
    assert budget.turn_wait_ns(QUERY, "", 1, 200 * S) > 0


def test_query_when_it_was_not_sent_then_its_savings_are_there_again() -> None:
    budget = full()
    assert ask(budget, 100 * S, 10) == 10
    for _ in range(10):
        budget.take_back(QUERY)
        budget.complete(QUERY, "", NOT_CHARGED)
    while budget.available(NEW, ""):
        budget.hold(NEW, "")
    assert ask(budget, 100 * S, 200) == 10


def test_limits_when_declared_anew_while_queries_are_under_way_then_their_tokens_are_counted_once() -> None:
    budget = full()
    budget.hold(QUERY, "", "/orders", 5)
    budget.start(QUERY, "/orders", 5)
    limits = RateLimits((BUCKET,), (*shared(BUCKET).costs, Cost(QUERY, "all", 4, "/orders")))
    budget.declare(limits)
    assert budget.tokens() == {"all": 80}
    budget.complete(QUERY, "", NOT_CHARGED, "/orders", 5)
    assert budget.tokens() == {"all": 100}


def at_venues(scope: PoolScope, *, owner: str = "", exits: dict[str, str] | None = None) -> tuple[VenueBudget, ...]:
    pools = Pools(exits)
    exact = BudgetSettings(cancel_reserve_percent=0, clock_drift_ppm=0)
    limits = shared(Pool("all", 100, 100, scope=scope, owner=owner), {NEW: 10})
    made = tuple(
        VenueBudget(limits, monotonic_ns=0, settings=exact, venue=venue, pools=pools, shares={f"s-{venue}": 1})
        for venue in ("one", "two")
    )
    for budget in made:
        budget.advance(10 * S)
    return made


@pytest.mark.parametrize(
    ("scope", "owner", "exits", "left"),
    [
        (PoolScope.KEY, "", {"one": "x", "two": "x"}, 10),
        (PoolScope.IP, "", {"one": "x", "two": "x"}, 5),
        (PoolScope.IP, "", {"one": "x", "two": "y"}, 10),
        (PoolScope.IP, "", {}, 10),
        (PoolScope.WALLET, "", {}, 10),
        (PoolScope.WALLET, "0xabc", {}, 5),
        (PoolScope.ACCOUNT, "17", {}, 5),
    ],
)
def test_pool_when_its_owner_is_the_same_then_two_venues_share_it(
    scope: PoolScope, owner: str, exits: dict[str, str], left: int
) -> None:
    one, two = at_venues(scope, owner=owner, exits=exits)
    for _ in range(5):
        one.hold(NEW, "")
        one.start(NEW)
    assert two.available(NEW, "") == left
    for _ in range(5):
        one.complete(NEW, "", SPENT)
    assert two.available(NEW, "") == left
    assert two.tokens() == {"all": 10 * left}


def test_strategies_of_two_venues_when_they_share_a_pool_then_each_has_its_part_of_it() -> None:
    one, two = at_venues(PoolScope.IP, exits={"one": "x", "two": "x"})
    counts: Counter[str] = Counter()
    for now_ns in range(10 * S, 40 * S, 10 * MS):
        for budget, name in ((one, "s-one"), (two, "s-two")):
            budget.advance(now_ns)
            if name == "s-two" or now_ns < 25 * S:
                while budget.available(NEW, name):
                    budget.hold(NEW, name)
                    budget.start(NEW)
                    budget.complete(NEW, name, SPENT)
                    counts[f"{name} {now_ns // (15 * S)}"] += 1

    assert abs(counts["s-one 1"] - counts["s-two 1"]) <= 60
    assert counts["s-two 2"] >= 95, "what the other leaves is not lost"


def test_cancel_when_queries_under_way_may_have_used_its_tokens_then_it_waits_for_them() -> None:
    budget = full()
    assert ask(budget, 100 * S, 200) == 73
    for _ in range(27):
        assert budget.dispatch_wait_ns(CANCEL, 100 * S) == 0
        budget.hold(CANCEL, "")
        budget.start(CANCEL)
    assert budget.dispatch_wait_ns(CANCEL, 100 * S) > 0
