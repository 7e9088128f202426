"""A cancel of each open order is kept back, whatever else is asked for."""

from __future__ import annotations

from collections import deque

import pytest

from framework.domain.market_events import RequestOutcome
from framework.domain.rate_limits import Cost, Pool, PoolShape, RateLimits, RequestKind
from risk.budget.settings import BudgetSettings
from risk.budget.venue_budget import VenueBudget

S, MS = 10**9, 10**6
NEW, CANCEL, AMEND, REDUCE, QUERY = (
    RequestKind.NEW,
    RequestKind.CANCEL,
    RequestKind.AMEND,
    RequestKind.REDUCE,
    RequestKind.QUERY,
)
BUCKET = Pool("all", 100, 100)
WINDOW = Pool("all", 1_200, 1_200, 60 * S, PoolShape.WINDOW)
PRICES = {
    BUCKET: {NEW: 10, AMEND: 10, REDUCE: 10, CANCEL: 2, QUERY: 10},
    WINDOW: dict.fromkeys(RequestKind, 1),
}
POOLS = pytest.mark.parametrize("pool", [BUCKET, WINDOW], ids=["bucket", "window"])


class Account:
    """A budget, and how many orders are open."""

    def __init__(self, pool: Pool, *, within_ms: int = 0) -> None:
        self.open = 0
        limits = RateLimits((pool,), tuple(Cost(kind, "all", tokens) for kind, tokens in PRICES[pool].items()))
        settings = BudgetSettings(cancel_within_ms=within_ms)
        self.budget = VenueBudget(limits, monotonic_ns=0, settings=settings, open_orders=lambda: self.open)
        self.budget.advance(100 * S)

    def send(self, kind: RequestKind) -> None:
        self.budget.hold(kind, "")
        self.budget.start(kind)
        self.budget.complete(kind, "", RequestOutcome.SPENT)


@POOLS
@pytest.mark.parametrize("kind", [NEW, AMEND, REDUCE, QUERY], ids=lambda kind: kind.value)
def test_cancels_when_everything_else_was_asked_for_without_pause_then_each_open_order_s_leaves_at_once(
    pool: Pool, kind: RequestKind
) -> None:
    account = Account(pool)
    budget = account.budget
    for now_ms in range(100_000, 200_000, 5):
        budget.advance(now_ms * MS)
        while account.open < 30 and budget.available(NEW, ""):
            account.send(NEW)
            account.open += 1
        if now_ms < 130_000:
            continue
        if kind is QUERY:
            while budget.turn_wait_ns(QUERY, "", 1, now_ms * MS) == 0:
                account.send(QUERY)
        elif kind is not NEW:
            while budget.available(kind, ""):
                account.send(kind)
    assert account.open == 30
    for _ in range(30):
        assert budget.dispatch_wait_ns(CANCEL, now_ms * MS) == 0
        account.send(CANCEL)
        account.open -= 1


def test_new_orders_when_so_many_are_open_that_no_more_cancels_can_be_kept_then_there_is_no_room_for_one() -> None:
    account = Account(BUCKET)
    assert account.budget.orders_max == 45
    account.open = 44
    assert account.budget.available(NEW, "") == 1
    account.open = 45
    assert account.budget.available(NEW, "") == 0
    assert account.budget.available(AMEND, "") == 1, "which makes no order more"
    assert account.budget.available(REDUCE, "") == 1


def test_new_orders_when_cancels_may_take_a_second_then_what_flows_in_that_time_is_no_matter_for_the_reserve() -> None:
    account = Account(BUCKET, within_ms=1_000)
    assert account.budget.orders_max == 94, "a little less than 45 and a second's 50, for the clocks"
    account.open = 93
    assert account.budget.available(NEW, "") == 1
    account.send(NEW)
    account.open = 94
    account.budget.advance(200 * S)
    assert account.budget.available(NEW, "") == 0


def test_orders_when_cancels_cost_nothing_then_any_number_may_be_open() -> None:
    budget = VenueBudget(RateLimits((BUCKET,), (Cost(NEW, "all", 1),)), monotonic_ns=0, open_orders=lambda: 10**6)
    budget.advance(S)
    assert budget.available(NEW, "") > 0


@POOLS
def test_reads_when_many_orders_are_open_and_strategies_take_all_they_can_then_they_go_on(pool: Pool) -> None:
    account = Account(pool)
    budget, reads = account.budget, deque[int]()
    account.send(QUERY)
    for now_ms in range(100_000, 160_000, 5):
        budget.advance(now_ms * MS)
        while account.open < 40 and budget.available(NEW, ""):
            account.send(NEW)
            account.open += 1
        while budget.available(AMEND, ""):
            account.send(AMEND)
        if budget.turn_wait_ns(QUERY, "", 1, now_ms * MS) == 0:
            account.send(QUERY)
            reads.append(now_ms)
    pauses = [later - earlier for earlier, later in zip(reads, list(reads)[1:], strict=False)]
    assert max(pauses) <= 1_500
