from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from heapq import heappop, heappush
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from framework.domain.market_events import RequestOutcome
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from risk.budget.levels import NEVER_NS
from risk.budget.venue_budget import UNLIMITED, BudgetSettings, VenueBudget

S = 10**9
EXACT = BudgetSettings(cancel_reserve_percent=0, clock_drift_ppm=0)
NEW, AMEND, CANCEL, REDUCE = RequestKind.NEW, RequestKind.AMEND, RequestKind.CANCEL, RequestKind.REDUCE
SPENT, NOT_CHARGED, LIMITED = RequestOutcome.SPENT, RequestOutcome.NOT_CHARGED, RequestOutcome.LIMITED


def limits(capacity: int = 100, refill: int = 100) -> RateLimits:
    return RateLimits(
        pools=(Pool("write", capacity, refill), Pool("read", 200, 200)),
        costs=(
            Cost(NEW, "write", 10),
            Cost(AMEND, "write", 10),
            Cost(REDUCE, "write", 10),
            Cost(CANCEL, "write", 2),
            Cost(RequestKind.QUERY, "read", 10),
        ),
    )


def full(shares: dict[str, int] | None = None, settings: BudgetSettings = EXACT, **sizes: int) -> VenueBudget:
    budget = VenueBudget(limits(**sizes), monotonic_ns=0, shares=shares, settings=settings)
    budget.advance(100 * S)
    return budget


def test_budget_when_just_made_then_it_is_empty_whatever_the_venue_holds() -> None:
    budget = VenueBudget(limits(), monotonic_ns=5 * S, settings=EXACT)
    assert budget.available(NEW, "mm") == 0
    assert budget.wait_ns(NEW, "mm") == S // 10


@pytest.mark.parametrize(("after_ns", "available"), [(S // 10 - 1, 0), (S // 10, 1), (S, 10), (50 * S, 10)])
def test_budget_when_time_passes_then_exactly_the_refill_is_there(after_ns: int, available: int) -> None:
    budget = VenueBudget(limits(), monotonic_ns=0, settings=EXACT)
    budget.advance(after_ns)
    assert budget.available(NEW, "mm") == available


@given(st.lists(st.integers(0, 10**8), max_size=30), st.integers(1, 999))
def test_budget_when_read_often_then_the_level_is_the_same_as_when_read_once(steps: list[int], refill: int) -> None:
    often = VenueBudget(limits(refill=refill), monotonic_ns=0, shares={"a": 3, "b": 4})
    once = VenueBudget(limits(refill=refill), monotonic_ns=0, shares={"a": 3, "b": 4})
    for step in steps:
        often.advance(often._now_ns + step)
        often.available(NEW, "a")
        often.wait_ns(NEW, "b")
    once.advance(sum(steps))
    assert [often.available(NEW, s) for s in "ab"] == [once.available(NEW, s) for s in "ab"]
    assert [often.wait_ns(NEW, s) for s in ("a", "b", "")] == [once.wait_ns(NEW, s) for s in ("a", "b", "")]


def test_budget_when_approved_then_held_until_settled_and_spent_or_free_again() -> None:
    budget = full()
    budget.hold(NEW, "mm")
    assert budget.tokens() == {"write": 90, "read": 200}
    budget.complete(NEW, "mm", NOT_CHARGED)
    assert budget.tokens()["write"] == 100
    budget.hold(NEW, "mm")
    budget.complete(NEW, "mm", SPENT)
    assert budget.tokens()["write"] == 90


def test_budget_when_full_and_a_request_is_open_then_no_refill_is_counted_twice() -> None:
    budget = full()
    for _ in range(10):
        budget.hold(NEW, "mm")
    budget.advance(101 * S)
    assert budget.available(NEW, "mm") == 0, "the venue may have charged all ten a moment ago"


def test_budget_when_the_venue_says_429_then_nothing_is_assumed_to_be_left() -> None:
    budget = full()
    budget.hold(NEW, "mm")
    budget.complete(NEW, "mm", LIMITED)
    assert budget.tokens()["write"] == 0
    assert budget.available(NEW, "mm") == 0


def test_reserve_when_it_is_reached_then_only_reduces_and_cancels_go_on() -> None:
    budget = full(settings=BudgetSettings(cancel_reserve_percent=40, clock_drift_ppm=0))
    assert [budget.available(kind, "mm") for kind in (NEW, AMEND, REDUCE, CANCEL)] == [6, 6, 8, 50]
    for _ in range(6):
        budget.hold(NEW, "mm")
    assert [budget.available(kind, "mm") for kind in (NEW, AMEND, REDUCE, CANCEL)] == [0, 0, 2, 20]
    assert budget.available(RequestKind.QUERY, "mm") == 20, "a pool without cancels keeps no reserve"


def test_cancel_when_the_pool_is_empty_then_approved_and_later_requests_wait_for_it() -> None:
    budget = VenueBudget(limits(), monotonic_ns=0, settings=EXACT)
    assert budget.available(CANCEL, "mm") == 1
    assert budget.wait_ns(CANCEL, "mm") == 0
    budget.hold(CANCEL, "mm")
    assert budget.tokens()["write"] == -2
    assert budget.dispatch_wait_ns(CANCEL, 0) == S // 50
    budget.advance(S // 10)
    assert budget.available(NEW, "mm") == 0
    assert budget.wait_ns(NEW, "mm") == S // 50


def test_dispatch_when_requests_are_started_then_the_gate_sees_no_difference() -> None:
    budget = full()
    budget.hold(NEW, "mm")
    before = budget.available(NEW, "mm"), budget.wait_ns(NEW, "mm"), budget.tokens()
    assert budget.dispatch_wait_ns(NEW, 100 * S) == 0
    budget.start(NEW)
    budget.dispatch_wait_ns(NEW, 500 * S)
    assert (budget.available(NEW, "mm"), budget.wait_ns(NEW, "mm"), budget.tokens()) == before


def test_dispatch_when_a_cancel_took_its_tokens_then_an_approved_order_waits() -> None:
    budget = full(capacity=10, refill=10)
    budget.hold(NEW, "mm")
    budget.hold(CANCEL, "mm")
    budget.start(CANCEL)
    assert budget.dispatch_wait_ns(NEW, 100 * S) == S // 5
    budget.complete(CANCEL, "mm", SPENT)
    assert budget.dispatch_wait_ns(NEW, 100 * S + S // 5) == 0


def test_dispatch_when_taken_back_then_the_tokens_are_free_for_the_next() -> None:
    budget = full(capacity=10, refill=10)
    budget.hold(NEW, "mm")
    budget.start(NEW)
    assert budget.dispatch_wait_ns(NEW, 100 * S) > 0
    budget.take_back(NEW)
    budget.complete(NEW, "mm", NOT_CHARGED)
    assert budget.dispatch_wait_ns(NEW, 100 * S) == 0
    assert budget.available(NEW, "mm") == 1


def test_settle_when_nothing_was_held_then_the_spending_is_booked_and_holds_stay_sound() -> None:
    budget = full()
    budget.complete(NEW, "mm", SPENT)
    assert budget.tokens()["write"] == 90
    budget.complete(NEW, "mm", NOT_CHARGED)
    assert budget.tokens()["write"] == 90


def test_declare_when_limits_change_then_level_and_holds_are_kept_at_the_new_prices() -> None:
    budget = full()
    budget.hold(NEW, "mm")
    budget.start(NEW)
    budget.declare(limits(capacity=300, refill=300))
    assert budget.tokens()["write"] == 90
    budget.declare(limits(capacity=50, refill=300))
    assert budget.tokens()["write"] == 40
    budget.complete(NEW, "mm", SPENT)
    assert budget.tokens()["write"] == 40
    assert budget.dispatch_wait_ns(NEW, 100 * S) == 0


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (RateLimits((Pool("write", 0, 1),), ()), "write"),
        (RateLimits((Pool("write", 1, 0),), ()), "write"),
        (RateLimits((Pool("write", 1, 1),), (Cost(NEW, "other", 1),)), "other"),
        (RateLimits((Pool("write", 1, 1),), (Cost(NEW, "write", -1),)), "-1"),
    ],
)
def test_declare_when_limits_make_no_sense_then_refused_by_name_and_the_old_ones_stay(
    bad: RateLimits, named: str
) -> None:
    budget = full()
    with pytest.raises(ValueError, match=named):
        budget.declare(bad)
    assert budget.available(NEW, "mm") == 10


def test_shares_when_a_weight_is_not_positive_then_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"shares\.mm"):
        VenueBudget(limits(), monotonic_ns=0, shares={"mm": 0})


def test_settings_when_the_reserve_is_absurd_then_refused() -> None:
    with pytest.raises(ValidationError):
        BudgetSettings(cancel_reserve_percent=91)


def test_request_when_dearer_than_the_pool_then_never_available_and_free_ones_always() -> None:
    budget = VenueBudget(RateLimits((Pool("write", 5, 5),), (Cost(NEW, "write", 10),)), monotonic_ns=0)
    budget.advance(100 * S)
    assert budget.available(NEW, "mm") == 0
    assert budget.available(AMEND, "mm") == UNLIMITED
    assert budget.wait_ns(AMEND, "mm") == 0
    assert NEVER_NS > 10**18


def served(weights: dict[str, int], wants: dict[str, bool], *, seconds: int, budget: VenueBudget) -> dict[str, int]:
    """How many requests each strategy has approved when the wanting ones ask all the time, in turn."""
    counts = dict.fromkeys(weights, 0)
    start = budget._now_ns
    for step in range(seconds * 200):
        budget.advance(start + step * S // 200)
        for name in weights:
            if wants[name] and budget.available(NEW, name):
                budget.hold(NEW, name)
                budget.start(NEW)
                budget.complete(NEW, name, SPENT)
                counts[name] += 1
    return counts


def test_share_when_all_want_then_each_has_its_weight_of_the_flow() -> None:
    weights = {"a": 1, "b": 3}
    budget = VenueBudget(limits(), monotonic_ns=0, shares=weights, settings=EXACT)
    counts = served(weights, {"a": True, "b": True}, seconds=100, budget=budget)
    assert counts["a"] == pytest.approx(250, abs=3)
    assert counts["b"] == pytest.approx(750, abs=3)


def test_share_when_others_are_idle_then_one_may_use_the_whole_flow() -> None:
    weights = {"a": 1, "b": 3}
    budget = VenueBudget(limits(), monotonic_ns=0, shares=weights, settings=EXACT)
    counts = served(weights, {"a": True, "b": False}, seconds=100, budget=budget)
    assert counts["a"] >= 990 - 8, "all but what filled the idle one's account once"


def test_share_when_an_idle_one_comes_back_then_it_has_its_part_at_once_and_the_other_is_held_to_its_own() -> None:
    weights = {"a": 1, "b": 1}
    budget = VenueBudget(limits(), monotonic_ns=0, shares=weights, settings=EXACT)
    served(weights, {"a": True, "b": False}, seconds=60, budget=budget)
    counts = served(weights, {"a": True, "b": True}, seconds=10, budget=budget)
    assert counts["b"] >= 50
    assert counts["a"] <= 52


def test_share_when_one_has_spent_what_all_had_saved_then_the_others_are_not_made_to_wait_for_it_twice() -> None:
    weights = {"a": 1, "b": 1}
    budget = full(shares=weights)
    served(weights, {"a": True, "b": False}, seconds=5, budget=budget)
    counts = served(weights, {"a": True, "b": True}, seconds=10, budget=budget)
    assert counts["b"] >= 49
    assert counts["a"] <= 52


def test_share_when_a_request_was_never_spent_then_the_strategy_has_it_back() -> None:
    budget = VenueBudget(limits(), monotonic_ns=0, shares={"a": 1, "b": 1}, settings=EXACT)
    budget.advance(S // 2)
    for _ in range(2):
        budget.hold(NEW, "a")
    assert budget.available(NEW, "a") == 0
    budget.complete(NEW, "a", NOT_CHARGED)
    assert [budget.available(NEW, name) for name in "ab"] == [1, 2]


def test_share_when_it_is_used_up_but_the_pool_is_not_then_only_the_others_may_go_on() -> None:
    budget = VenueBudget(limits(), monotonic_ns=0, shares={"a": 1, "b": 1}, settings=EXACT)
    budget.advance(S // 2)
    for _ in range(2):
        budget.hold(NEW, "a")
    assert budget.available(NEW, "a") == 0
    assert budget.available(NEW, "") == 3
    assert budget.available(NEW, "b") == 2
    assert budget.wait_ns(NEW, "a") == S // 10
    assert budget.available(REDUCE, "a") == 0, "what the others have saved is not for reducing either"
    assert budget.available(REDUCE, "b") == 2


def test_share_when_a_strategy_cancels_a_lot_then_its_own_orders_pay_for_it() -> None:
    budget = full(shares={"a": 1, "b": 1}, capacity=100, refill=100)
    for _ in range(200):
        budget.hold(CANCEL, "a")
        budget.start(CANCEL)
        budget.complete(CANCEL, "a", SPENT)
    budget.advance(100 * S + 400_000_000)
    assert budget.available(NEW, "a") == 0
    assert budget.available(NEW, "b") == 4
    budget.advance(102 * S)
    assert budget.available(NEW, "a") == 5, "the debt is paid, and what b has saved stays for b"


class VenueBucket:
    """The venue's own limiter, exact and independent of ours: starts anywhere, refuses what it can't cover."""

    def __init__(self, capacity: int, refill: int | Fraction, level: Fraction) -> None:
        self.capacity, self.refill, self.level, self.at_ns = capacity, Fraction(refill), level, 0
        self.served = self.refused = 0

    def charge(self, tokens: int, at_ns: int) -> bool:
        refilled = self.level + Fraction(at_ns - self.at_ns, S) * self.refill
        self.level, self.at_ns = min(refilled, Fraction(self.capacity)), at_ns
        if self.level < tokens:
            self.refused += 1
            return False
        self.level -= tokens
        self.served += tokens
        return True


def delays(rng: Random, jitter_ms: int) -> Iterator[int]:
    while True:
        yield rng.randrange(1, jitter_ms * 1_000_000) if rng.random() < 0.9 else rng.randrange(1, 3_000_000)


def saturate(budget: VenueBudget, venue: VenueBucket, rng: Random, *, seconds: int, jitter_ms: int) -> list[int]:
    """Ask for all that is allowed, over a network that delays each way at random, reorders, and loses 2 %. Answers
    how many tokens the venue had served before each second."""
    served = []
    lag = delays(rng, jitter_ms)
    arrivals: list[tuple[int, int, str, RequestKind]] = []
    queue: list[RequestKind] = []
    prices = {NEW: 10, CANCEL: 2}
    count = 0
    for now_ns in range(0, seconds * S, 5_000_000):
        if now_ns % S == 0:
            served.append(venue.served)
        while arrivals and arrivals[0][0] <= now_ns:
            at_ns, _, place, kind = heappop(arrivals)
            count += 1
            if place == "venue":
                outcome = "spent" if venue.charge(prices[kind], at_ns) else "limited"
                heappush(arrivals, (at_ns + next(lag), count, outcome, kind))
                continue
            budget.advance(now_ns)
            budget.complete(kind, "", RequestOutcome(place))
        budget.advance(now_ns)
        if rng.random() < 0.02:
            queue.insert(0, CANCEL)
            budget.hold(CANCEL, "")
        while budget.available(NEW, ""):
            budget.hold(NEW, "")
            queue.append(NEW)
        while queue and budget.dispatch_wait_ns(queue[0], now_ns) == 0:
            kind = queue.pop(0)
            budget.start(kind)
            count += 1
            if rng.random() < 0.02:
                budget.take_back(kind)
                heappush(arrivals, (now_ns + next(lag), count, "unspent", kind))
            else:
                heappush(arrivals, (now_ns + next(lag), count, "venue", kind))
    return served


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    start=st.fractions(0, 1),
    refill=st.sampled_from([100, 300]),
    seconds_held=st.sampled_from([1, 3]),
)
def test_venue_when_asked_for_all_it_allows_over_any_network_then_it_never_limits(
    seed: int, start: Fraction, refill: int, seconds_held: int
) -> None:
    capacity = refill * seconds_held
    budget = VenueBudget(limits(capacity, refill), monotonic_ns=0, settings=BudgetSettings())
    venue = VenueBucket(capacity, refill, start * capacity)
    saturate(budget, venue, Random(seed), seconds=20, jitter_ms=400)
    assert venue.refused == 0


def test_venue_when_saturated_then_at_least_ninety_nine_percent_of_its_flow_is_used() -> None:
    budget = VenueBudget(limits(300, 100), monotonic_ns=0, settings=BudgetSettings())
    venue = VenueBucket(300, 100, Fraction(0))
    served = saturate(budget, venue, Random(7), seconds=71, jitter_ms=400)
    assert venue.refused == 0
    assert served[70] - served[10] >= 60 * 100 * 99 // 100


def test_venue_when_its_clock_is_slower_than_ours_within_the_setting_then_it_still_never_limits() -> None:
    budget = VenueBudget(limits(100, 100), monotonic_ns=0, settings=BudgetSettings(clock_drift_ppm=5_000))
    venue = VenueBucket(100, Fraction(100 * 995, 1_000), Fraction(0))
    saturate(budget, venue, Random(3), seconds=60, jitter_ms=20)
    assert venue.refused == 0
