"""Limits that count in windows, against a venue that counts by itself: sliding, fixed, or from the first request."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.domain.market_events import RequestOutcome, WindowSeen
from framework.domain.rate_limits import Cost, Pool, PoolShape, RateLimits, RequestKind
from risk.budget.venue_budget import BudgetSettings, VenueBudget

S = 10**9
NEW, CANCEL, QUERY = RequestKind.NEW, RequestKind.CANCEL, RequestKind.QUERY
EXACT = BudgetSettings(cancel_reserve_percent=0, clock_drift_ppm=0)


class VenueWindow:
    """The venue's own counter. `style` is "sliding", "fixed" (windows begin at a phase that nobody says), or "first"
    (a window begins with the first request after the last one)."""

    def __init__(self, style: str, *, capacity: int, period_ns: int, used: int, phase_ns: int) -> None:
        self.style, self.capacity, self.period_ns = style, capacity, period_ns
        self.ends_ns = phase_ns
        self.log: deque[int] = deque([0] * used)
        self.count = used
        self.served = self.refused = 0

    def charge(self, at_ns: int) -> bool:
        if self.style == "sliding":
            while self.log and self.log[0] <= at_ns - self.period_ns:
                self.log.popleft()
            self.count = len(self.log)
        elif at_ns >= self.ends_ns:
            late = (at_ns - self.ends_ns) % self.period_ns if self.style == "fixed" else 0
            self.ends_ns, self.count = at_ns - late + self.period_ns, 0
        if self.count >= self.capacity:
            self.refused += 1
            return False
        self.log.append(at_ns)
        self.count += 1
        self.served += 1
        return True


def window(capacity: int, period_s: int, *kinds: RequestKind) -> RateLimits:
    return RateLimits(
        (Pool("all", capacity, capacity, period_s * S, PoolShape.WINDOW),),
        tuple(Cost(kind, "all", 1) for kind in kinds),
    )


def delays(rng: Random, jitter_ms: int) -> Iterator[int]:
    while True:
        yield rng.randrange(1, jitter_ms * 1_000_000)


class Line:
    """A network between budget and venue: delays each way at random, reorders, loses requests and answers. Where the
    venue shows it, its answers say how much is left and in how many seconds the window ends, rounded down."""

    def __init__(self, budget: VenueBudget, venue: VenueWindow, rng: Random, *, jitter_ms: int, shows: bool) -> None:
        self.budget, self.venue, self.rng, self.shows = budget, venue, rng, shows
        self.lag = delays(rng, jitter_ms)
        self.events: list[tuple[int, int, str, RequestKind, tuple[int, int, int]]] = []
        self.queue: list[RequestKind] = []
        self.count = 0
        self.served_at: dict[int, int] = {}

    def later(self, at_ns: int, what: str, kind: RequestKind, facts: tuple[int, int, int]) -> None:
        self.count += 1
        heappush(self.events, (at_ns + next(self.lag), self.count, what, kind, facts))

    def arrive(self, at_ns: int, kind: RequestKind, sent_ns: int) -> None:
        outcome = "spent" if self.venue.charge(at_ns) else "limited"
        left = self.venue.capacity - self.venue.count
        in_s = (self.venue.ends_ns - at_ns) // S
        if self.rng.random() < 0.01:
            at_ns += 3 * S  # No answer came, and the request is given up.
        self.later(at_ns, outcome, kind, (sent_ns, left, in_s))

    def answer(self, now_ns: int, what: str, kind: RequestKind, facts: tuple[int, int, int]) -> None:
        sent_ns, left, in_s = facts
        self.budget.advance(now_ns)
        self.budget.complete(kind, "", RequestOutcome(what))
        if self.shows and what != "unspent":
            shortest, longest = in_s * S - (now_ns - sent_ns), (in_s + 1) * S
            self.budget.see(WindowSeen("v", "all", 0, left, shortest, longest))

    def send(self, now_ns: int) -> None:
        while self.queue and self.budget.dispatch_wait_ns(self.queue[0], now_ns) == 0:
            kind = self.queue.pop(0)
            self.budget.start(kind)
            if self.rng.random() < 0.02:
                self.budget.take_back(kind)
                self.later(now_ns, "unspent", kind, (now_ns, 0, 0))
            else:
                self.later(now_ns, "venue", kind, (now_ns, 0, 0))

    def run(self, seconds: int, *, step_ms: int = 20, burst: float = 1.0, cancels: float = 0.0) -> None:
        """Approve all that the gate allows, in bursts, and send all that the dispatcher may."""
        for now_ns in range(0, seconds * S, step_ms * 1_000_000):
            while self.events and self.events[0][0] <= now_ns:
                at_ns, _, what, kind, facts = heappop(self.events)
                if what == "venue":
                    self.arrive(at_ns, kind, facts[0])
                else:
                    self.answer(now_ns, what, kind, facts)
            self.budget.advance(now_ns)
            if self.rng.random() < cancels:
                self.queue.insert(0, CANCEL)
                self.budget.hold(CANCEL, "")
            if self.rng.random() < burst:
                while self.budget.available(NEW, ""):
                    self.budget.hold(NEW, "")
                    self.queue.append(NEW)
            self.send(now_ns)
            self.served_at[now_ns // S] = self.venue.served


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    style=st.sampled_from(["sliding", "fixed", "first"]),
    shows=st.booleans(),
    capacity=st.sampled_from([20, 300]),
    period_s=st.sampled_from([1, 10]),
    phase=st.integers(0, 10),
    burst=st.sampled_from([1.0, 0.02]),
)
def test_window_of_any_kind_when_asked_for_all_it_allows_then_it_never_limits(
    seed: int, style: str, shows: bool, capacity: int, period_s: int, phase: int, burst: float
) -> None:
    rng = Random(seed)
    budget = VenueBudget(window(capacity, period_s, NEW, CANCEL), monotonic_ns=0)
    reserve = capacity * 10 // 100 // 2
    venue = VenueWindow(
        style,
        capacity=capacity,
        period_ns=period_s * S * 10_001 // 10_000,  # its clock is slower than ours
        used=rng.randrange(0, capacity - reserve),
        phase_ns=phase * period_s * S // 10,
    )
    shows = shows and style != "sliding"
    Line(budget, venue, rng, jitter_ms=300, shows=shows).run(6 * period_s, burst=burst, cancels=0.005)

    assert venue.refused == 0
    assert burst < 1 or venue.served >= 2 * capacity


@pytest.mark.parametrize(("style", "shows"), [("sliding", False), ("fixed", False), ("fixed", True), ("first", True)])
def test_window_when_saturated_then_at_least_ninety_nine_percent_is_used(style: str, shows: bool) -> None:
    budget = VenueBudget(window(300, 60, NEW), monotonic_ns=0)
    venue = VenueWindow(style, capacity=300, period_ns=60 * S, used=0, phase_ns=17 * S)
    line = Line(budget, venue, Random(7), jitter_ms=150, shows=shows)
    line.run(600)

    assert venue.refused == 0
    begin_s, end_s = (next(at_s for at_s, served in line.served_at.items() if served >= 299 * n - 50) for n in (1, 9))
    assert 299 * 8 / (end_s - begin_s) >= 0.99 * 300 / 60


def test_bucket_when_the_venue_counts_in_a_sliding_window_then_it_would_send_far_too_much() -> None:
    limits = RateLimits((Pool("all", 300, 300, 60 * S),), (Cost(NEW, "all", 1),))
    venue = VenueWindow("sliding", capacity=300, period_ns=60 * S, used=0, phase_ns=0)
    Line(VenueBudget(limits, monotonic_ns=0), venue, Random(1), jitter_ms=50, shows=False).run(130, burst=0.0005)

    assert venue.refused > 0, "the model finds the fault that windows are there for"


def spent(drift_ppm: int = 0) -> VenueBudget:
    """A budget whose whole window of a second was charged by 5 s, but for the request that it leaves."""
    only = BudgetSettings(cancel_reserve_percent=0, clock_drift_ppm=drift_ppm)
    budget = VenueBudget(window(11, 1, NEW), monotonic_ns=0, settings=only)
    budget.advance(5 * S)
    for _ in range(10):
        budget.hold(NEW, "")
        budget.complete(NEW, "", RequestOutcome.SPENT)
    return budget


def back_after_ns(budget: VenueBudget) -> int:
    return budget.wait_ns(NEW, "")


def test_window_when_the_venues_clock_may_be_slower_then_it_comes_back_later_by_that() -> None:
    late_ns = back_after_ns(spent(drift_ppm=5_000)) - back_after_ns(spent())
    assert 4_000_000 <= late_ns <= 6_000_000


def test_window_when_its_end_is_shown_then_what_was_booked_before_the_earliest_end_comes_back_at_the_latest() -> None:
    budget = spent()
    budget.see(WindowSeen("v", "all", 0, ends_ns_min=200_000_000, ends_ns_max=300_000_000))
    assert back_after_ns(budget) == 300_000_000


def test_window_when_its_end_may_have_passed_before_the_booking_then_nothing_comes_back_sooner() -> None:
    budget = spent()
    budget.see(WindowSeen("v", "all", 0, ends_ns_min=-1_000_000, ends_ns_max=50_000_000))
    assert back_after_ns(budget) >= S


def test_pool_when_a_connector_paces_itself_then_it_still_finds_what_comes_back_in_a_second() -> None:
    assert Pool("orders", 100, 30).refill_per_s == 30
    assert Pool("orders", 300, 300, 60_000_000_000, PoolShape.WINDOW).refill_per_s == 5


def begun(*kinds: RequestKind) -> VenueBudget:
    """A budget that has just begun, of a window of a minute that an earlier run may have used up."""
    return VenueBudget(window(60, 60, *kinds), monotonic_ns=0)


def test_window_when_a_run_begins_then_one_query_goes_to_see_what_is_left() -> None:
    budget = begun(NEW, RequestKind.CANCEL, RequestKind.QUERY)
    query = RequestKind.QUERY

    assert budget.turn_wait_ns(query, "", 1, 0) == 0
    budget.hold(query, "")
    assert budget.turn_wait_ns(query, "", 1, 0) > 30 * S, "the next one waits for what the first one shows"
    budget.complete(query, "", RequestOutcome.SPENT)
    assert budget.turn_wait_ns(query, "", 1, 0) > 30 * S
    budget.see(WindowSeen("v", "all", 0, left=59))
    assert budget.turn_wait_ns(query, "", 1, 0) == 0
    assert budget.wait_ns(NEW, "") == 0
