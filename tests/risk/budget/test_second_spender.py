"""Another program spends on the same key: after the first 429 the budget keeps to what is really there."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from random import Random
from typing import NamedTuple

import pytest

from framework.domain.market_events import RequestOutcome
from framework.domain.rate_limits import Cost, Pool, PoolShape, RateLimits, RequestKind
from risk.budget.settings import BudgetSettings
from risk.budget.venue_budget import VenueBudget
from tests.risk.budget.test_venue_budget import VenueBucket
from tests.risk.budget.test_windows import VenueWindow

S, MS = 10**9, 10**6
NEW, CANCEL = RequestKind.NEW, RequestKind.CANCEL
SPENT, LIMITED = RequestOutcome.SPENT, RequestOutcome.LIMITED
BUCKET = Pool("all", 100, 100)
WINDOW = Pool("all", 1_200, 1_200, 60 * S, PoolShape.WINDOW)
RATE_PER_S = {BUCKET: 10, WINDOW: 20}
"""Requests a second that each allows."""
TOKENS = {BUCKET: 10, WINDOW: 1}
ROUND_TRIP_MS = 40


class Served(NamedTuple):
    """How many requests of ours the venue took in the seconds asked about, and when it refused one."""

    count: int
    limited_s: list[float]


class Venue:
    """Counts two programs as one."""

    def __init__(self, pool: Pool) -> None:
        self._bucket = VenueBucket(pool.capacity, pool.refill, Fraction(0)) if pool is BUCKET else None
        self._window = VenueWindow("fixed", capacity=pool.capacity, period_ns=pool.period_ns, used=0, phase_ns=17 * S)

    def take(self, at_ns: int) -> bool:
        return self._bucket.charge(TOKENS[BUCKET], at_ns) if self._bucket is not None else self._window.charge(at_ns)

    def retry_ms(self, at_ns: int) -> int:
        """What its answer asks to wait: until its window ends."""
        return 0 if self._bucket is not None else -(-(self._window.ends_ns - at_ns) // S) * 1_000


def run(pool: Pool, other_per_s: float, *, begins_s: int, ends_s: int, seconds: int, counted: range) -> Served:
    """Ask for all there is, while another program spends so much from one second to another."""
    rng, venue = Random(5), Venue(pool)
    limits = RateLimits((pool,), tuple(Cost(kind, "all", TOKENS[pool]) for kind in (NEW, CANCEL)))
    budget = VenueBudget(limits, monotonic_ns=0, settings=BudgetSettings())
    under_way: deque[tuple[int, RequestOutcome, int]] = deque()
    count, limited_s, owed = 0, [], 0.0
    for now_ns in range(0, seconds * S, 5 * MS):
        budget.advance(now_ns)
        while under_way and under_way[0][0] <= now_ns:
            _, outcome, after_ms = under_way.popleft()
            budget.complete(NEW, "", outcome, "", 1, after_ms)
        if begins_s * S <= now_ns < ends_s * S:
            owed += other_per_s * 0.005 * rng.uniform(0.5, 1.5)
            while owed >= 1:
                venue.take(now_ns)
                owed -= 1
        while budget.available(NEW, "") and not budget.dispatch_wait_ns(NEW, now_ns):
            budget.hold(NEW, "")
            budget.start(NEW)
            is_taken = venue.take(now_ns)
            count += is_taken and now_ns // S in counted
            if not is_taken:
                limited_s.append(now_ns / S)
            after_ms = 0 if is_taken else venue.retry_ms(now_ns)
            under_way.append((now_ns + ROUND_TRIP_MS * MS, SPENT if is_taken else LIMITED, after_ms))
    return Served(count, limited_s)


@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("pool", [BUCKET, WINDOW], ids=["bucket", "window"])
def test_key_when_another_program_spends_on_it_then_few_of_our_requests_are_refused_after_the_first(
    pool: Pool, part: float
) -> None:
    begins_s = 130
    found = run(pool, RATE_PER_S[pool] * part, begins_s=begins_s, ends_s=500, seconds=400, counted=range(begins_s, 400))

    assert not [at_s for at_s in found.limited_s if at_s < begins_s]
    for minute in range(4):
        first_s = found.limited_s[0] + 60 * minute
        at_once = [at_s for at_s in found.limited_s if found.limited_s[0] < at_s <= found.limited_s[0] + 0.05]
        after = [at_s for at_s in found.limited_s if first_s < at_s <= first_s + 60]
        assert len(after) - (len(at_once) if minute == 0 else 0) <= 3, found.limited_s
    left = RATE_PER_S[pool] * (1 - part) * (400 - begins_s)
    assert found.count >= 0.4 * left, "and what the other leaves is used"


@pytest.mark.parametrize("pool", [BUCKET, WINDOW], ids=["bucket", "window"])
def test_key_when_the_other_program_stops_then_all_of_it_is_ours_again_within_two_minutes(pool: Pool) -> None:
    ends_s = 260
    found = run(
        pool, RATE_PER_S[pool] * 0.5, begins_s=130, ends_s=ends_s, seconds=520, counted=range(ends_s + 130, 520)
    )

    assert found.limited_s[-1] <= ends_s
    assert found.count >= 0.97 * RATE_PER_S[pool] * (520 - ends_s - 130)


def test_requests_when_several_were_under_way_at_a_429_then_they_count_as_one() -> None:
    budget = VenueBudget(RateLimits((BUCKET,), (Cost(NEW, "all", 10),)), monotonic_ns=0)
    budget.advance(10 * S)
    for _ in range(5):
        budget.hold(NEW, "")
        budget.start(NEW)
    for number in range(5):
        budget.advance(10 * S + number * MS)
        budget.complete(NEW, "", LIMITED)

    assert budget.wait_ns(NEW, "") >= S // 5 - 5 * MS
    assert budget.wait_ns(NEW, "") <= S // 5 + MS, "half of the flow is ours, not a thirty-second"


def test_venue_when_it_says_how_long_to_wait_then_nothing_leaves_before_that_not_even_a_cancel() -> None:
    limits = RateLimits((WINDOW,), (Cost(NEW, "all", 1), Cost(CANCEL, "all", 1)))
    budget = VenueBudget(limits, monotonic_ns=0)
    budget.advance(100 * S)
    budget.hold(NEW, "")
    budget.start(NEW)
    budget.complete(NEW, "", LIMITED, "", 1, 7_000)

    assert budget.dispatch_wait_ns(CANCEL, 100 * S) >= 7 * S
    assert budget.wait_ns(NEW, "") >= 7 * S
    assert budget.dispatch_wait_ns(CANCEL, 108 * S) == 0


def test_order_when_its_own_window_is_used_up_then_cancels_are_not_closed_for_it() -> None:
    pools = (WINDOW, Pool("new", 300, 300, 60 * S, PoolShape.WINDOW))
    costs = (Cost(NEW, "all", 1), Cost(NEW, "new", 1), Cost(CANCEL, "all", 1))
    budget = VenueBudget(RateLimits(pools, costs), monotonic_ns=0)
    budget.advance(100 * S)
    budget.hold(NEW, "")
    budget.start(NEW)
    budget.complete(NEW, "", LIMITED, "", 1, 30_000)

    assert budget.dispatch_wait_ns(CANCEL, 100 * S) == 0
    assert budget.wait_ns(NEW, "") >= 30 * S
