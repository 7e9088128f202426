"""What is an alert: each condition from the state that it is read from, and what is none. Time by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec
import pytest

from framework.domain.account_events import (
    FundMoveReported,
    Scope,
    ShutdownRequested,
    StrategyQuarantined,
    TradingState,
    TradingStateChanged,
)
from framework.domain.market_events import ConnectorStatus, LimitsDeclared, RequestOutcome
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.ops.alerts.alert import ALERT_TEXT_MAX, AlertKind, Condition
from framework.ops.alerts.conditions import VENUE_START_S, Conditions
from framework.ops.alerts.sources import AlertSources
from framework.ops.orders_in_question import OrdersInQuestion
from framework.ops.readiness import NotReady, NotReadyKind
from framework.runtime.kill_latch import Latch
from framework.runtime.metrics import Metrics
from tests.support.inquiries import unknown
from tests.support.world import MARKET, VENUE, Scribe, World

S = 1_000_000_000
DOWN = NotReady(NotReadyKind.VENUE_DOWN, f"venue {VENUE} is not connected", VENUE)


class Watched:
    """A core, and what is looked at beside it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.metrics = Metrics()
        self.alarms = deque[str]()
        self.reasons: list[NotReady] = []
        self.latches: list[Latch] = []
        self.troubles = {"ledger": "", "tape": ""}
        self.journal_trouble = ""
        self.failing_stop = ""
        self.conditions = self.begin()

    def begin(self, *, epoch: int = 1, was_stopped: bool | None = None) -> Conditions:
        """Conditions as at the start of a run."""
        return Conditions(
            AlertSources(
                kernel=self.world.kernel,
                metrics=self.metrics,
                in_question=OrdersInQuestion(self.world.accounts.orders, self.world.clock),
                alarms=self.alarms,
                not_ready=lambda: self.reasons,
                latches=lambda: self.latches,
                record_troubles=lambda: self.troubles,
                journal_trouble=lambda: self.journal_trouble,
                failing_stop=lambda: self.failing_stop,
                epoch=epoch,
                was_stopped=was_stopped,
            )
        )

    def now(self) -> list[Condition]:
        return self.conditions.now()

    def one(self) -> Condition:
        """The only condition that there is now."""
        (found,) = self.now()
        return found

    def kinds(self) -> list[AlertKind]:
        return [one.kind for one in self.now()]

    def set(self, state: TradingState, *, by: str, scope: Scope = Scope.INSTRUMENT, target: str = MARKET) -> None:
        self.world.kernel.publish(
            TradingStateChanged(scope=scope, target=target, state=state, reason="because", ts_recv=1, by=by)
        )


@pytest.fixture
def watched(world: World) -> Watched:
    return Watched(world)


def test_conditions_when_all_is_well_then_there_are_none(watched: Watched) -> None:
    assert watched.now() == []


@pytest.mark.parametrize(
    ("state", "kind"), [(TradingState.HALTED, AlertKind.HALTED), (TradingState.REDUCING, AlertKind.REDUCING)]
)
def test_state_when_a_control_has_set_it_then_it_is_an_alert_that_says_which_and_why(
    watched: Watched, state: TradingState, kind: AlertKind
) -> None:
    watched.set(state, by="reconciliation")
    text = f"instrument {MARKET} is {state.value}: because, by reconciliation"
    assert watched.one() == Condition(kind, Scope.INSTRUMENT, MARKET, text)


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.REDUCING])
def test_state_when_an_operator_has_set_it_then_somebody_knows_and_it_is_none(
    watched: Watched, state: TradingState
) -> None:
    watched.set(state, by="operator")
    assert watched.now() == []


def test_state_when_an_operator_resumes_then_it_is_over(watched: Watched) -> None:
    watched.set(TradingState.HALTED, by="recovery", scope=Scope.GLOBAL, target="")
    assert watched.one().text == "everything is halted: because, by recovery"
    watched.set(TradingState.ACTIVE, by="operator", scope=Scope.GLOBAL, target="")
    assert watched.now() == []


def test_stop_when_it_begins_then_its_halt_is_none(watched: Watched) -> None:
    watched.set(TradingState.HALTED, by="kernel")
    watched.world.kernel.publish(ShutdownRequested("SIGTERM", 1))
    assert watched.kinds() == [AlertKind.HALTED]
    assert watched.one().target == MARKET


@pytest.mark.parametrize(("venue", "scope"), [("", Scope.GLOBAL), (VENUE, Scope.VENUE)])
def test_kill_when_its_latch_is_set_then_it_is_one_alert_with_its_halt_whoever_set_it(
    watched: Watched, venue: str, scope: Scope
) -> None:
    watched.latches.append(Latch(venue, "guard", "no heartbeat for 5 s", 1))
    watched.set(TradingState.HALTED, by="guard", scope=scope, target=venue)
    text = f"killed: {venue or 'everything'}: no heartbeat for 5 s, by guard"
    assert watched.one() == Condition(AlertKind.KILLED, scope, venue, text)
    watched.latches[:] = [Latch(venue, "operator", "drill", 1)]
    assert watched.one().text.endswith("drill, by operator")
    watched.latches.clear()
    assert watched.kinds() == [AlertKind.HALTED]


def test_strategy_when_it_is_quarantined_then_it_is_an_alert_of_its_own_kind(watched: Watched) -> None:
    watched.world.add()
    watched.world.kernel.publish(StrategyQuarantined("scribe", "it raised", 1))
    found = watched.one()
    assert (found.kind, found.scope, found.target) == (AlertKind.QUARANTINED, Scope.STRATEGY, "scribe")
    assert found.text == "strategy scribe is halted: quarantined: it raised, by kernel"


def test_alarm_when_it_was_raised_then_it_is_an_alert_once_and_the_same_words_are_the_same_alert(
    watched: Watched,
) -> None:
    watched.alarms += ["a fill was taken back", "another", "a fill was taken back"]
    first, other, again = watched.now()
    assert (first.kind, first.text) == (AlertKind.ALARM, "a fill was taken back")
    assert first.key == again.key != other.key
    assert watched.now() == []


def test_alarm_when_it_has_halted_its_instrument_then_the_halt_says_it(watched: Watched) -> None:
    watched.alarms.append("because")
    watched.set(TradingState.HALTED, by="kernel")
    assert watched.kinds() == [AlertKind.HALTED]


def test_venue_when_it_is_down_then_the_alert_says_why_and_waits_longer_until_it_was_up_once(watched: Watched) -> None:
    watched.reasons.append(DOWN)
    watched.world.kernel.publish(ConnectorStatus(VENUE, False, "connection reset", 1))
    found = watched.one()
    assert (found.kind, found.scope, found.target) == (AlertKind.VENUE_DOWN, Scope.VENUE, VENUE)
    assert found.text == f"venue {VENUE} is not connected: connection reset"
    assert found.hold_s == VENUE_START_S

    watched.reasons.clear()
    assert watched.now() == []
    watched.reasons.append(DOWN)
    assert watched.one().hold_s is None


def test_venue_when_it_is_not_ready_for_two_reasons_of_a_kind_then_they_are_one_alert(watched: Watched) -> None:
    watched.reasons += [
        NotReady(NotReadyKind.VENUE_UNUSABLE, "one", VENUE),
        NotReady(NotReadyKind.VENUE_UNUSABLE, "two", VENUE),
        NotReady(NotReadyKind.FOREIGN_ORDERS, "three", VENUE),
    ]
    assert [(one.kind, one.text) for one in watched.now()] == [
        (AlertKind.VENUE_UNUSABLE, "one; two"),
        (AlertKind.FOREIGN_ORDERS, "three"),
    ]


def test_position_when_it_differs_then_it_is_an_alert_unless_its_instrument_is_halted_for_it(watched: Watched) -> None:
    watched.reasons.append(NotReady(NotReadyKind.POSITION_DIFFERS, "position differs", MARKET))
    assert watched.one() == Condition(AlertKind.POSITION_DIFFERS, Scope.INSTRUMENT, MARKET, "position differs")
    watched.set(TradingState.HALTED, by="reconciliation")
    assert watched.kinds() == [AlertKind.HALTED]
    watched.set(TradingState.ACTIVE, by="operator")
    assert watched.kinds() == [AlertKind.POSITION_DIFFERS]


def test_books_when_several_of_a_venue_are_stale_then_they_are_one_alert_and_keep_the_daemon_from_being_ready(
    watched: Watched,
) -> None:
    watched.reasons += [NotReady(NotReadyKind.BOOK_STALE, f"book {n}", f"{VENUE}:{n}") for n in range(5)]
    waiting, books = watched.now()
    assert (waiting.kind, books.kind, books.target) == (AlertKind.NOT_READY, AlertKind.BOOK_STALE, VENUE)
    assert books.text == "book 0; book 1; book 2; 2 more"
    watched.world.kernel.publish(ConnectorStatus(VENUE, False, "lost", 1))
    assert watched.kinds() == [AlertKind.NOT_READY]  # that the venue is down says more


def test_book_when_nothing_has_proved_it_for_ten_seconds_then_it_is_silent(watched: Watched) -> None:
    watched.world.add()
    watched.world.clock.advance(10 * S - 1)
    assert watched.now() == []
    watched.world.clock.advance(1)
    found = watched.one()
    assert (found.kind, found.text) == (AlertKind.BOOK_STALE, f"book {MARKET} is silent for 10 s")
    watched.world.quote(41, 59)
    assert watched.now() == []


def test_book_when_no_strategy_trades_on_it_then_its_silence_is_none(watched: Watched) -> None:
    watched.world.clock.advance(60 * S)
    assert watched.now() == []


def test_strategy_when_it_has_not_begun_then_that_is_an_alert_after_two_minutes(watched: Watched) -> None:
    watched.reasons.append(NotReady(NotReadyKind.STARTING, "strategy late has not begun", "late"))
    found = watched.one()
    assert (found.kind, found.text) == (AlertKind.NOT_READY, "not ready: strategy late has not begun")
    assert found.kind.hold_s == 120


def test_orders_when_they_are_unknown_for_a_minute_then_they_are_one_alert(watched: Watched, scribe: Scribe) -> None:
    names = [unknown(watched.world, scribe).client_order_id for _ in range(2)]
    watched.conditions = watched.begin()
    watched.world.quote(40, 60)
    watched.world.clock.advance(60 * S - 1)
    assert watched.world.books.is_connected(VENUE)
    assert [one for one in watched.now() if one.kind is AlertKind.ORDER_UNKNOWN] == []
    watched.world.clock.advance(1)
    (found,) = [one for one in watched.now() if one.kind is AlertKind.ORDER_UNKNOWN]
    assert (found.scope, found.target) == (Scope.VENUE, VENUE)
    assert found.text == f"orders unknown at {VENUE}: 2, the oldest for 60 s: {', '.join(names)}"


def test_comparison_when_none_has_succeeded_for_three_minutes_then_it_is_an_alert_while_the_venue_is_up(
    watched: Watched,
) -> None:
    clock = watched.world.clock
    compared_ns = 0
    watched.metrics.reconciled_at.pull(lambda: [((VENUE,), compared_ns / 1e9)])
    clock.advance(180 * S - 1)
    assert watched.now() == []
    clock.advance(1)
    assert (watched.one().kind, watched.one().target) == (AlertKind.NO_RECONCILIATION, VENUE)
    compared_ns = clock.now_ns() - 100 * S
    assert watched.now() == []
    compared_ns = 0
    watched.world.kernel.publish(ConnectorStatus(VENUE, False, "lost", 1))
    assert watched.now() == []


def test_429_when_a_venue_answers_the_first_then_it_is_an_alert_for_a_minute(watched: Watched) -> None:
    watched.metrics.rate_limited.declare([(VENUE,)])
    assert watched.now() == []
    watched.metrics.rate_limited.inc((VENUE,))
    assert (watched.one().kind, watched.one().target) == (AlertKind.RATE_LIMITED, VENUE)
    watched.world.clock.advance(59 * S)
    watched.metrics.rate_limited.inc((VENUE,))
    assert watched.one().text.endswith("(2 since the start)")
    watched.world.clock.advance(60 * S)
    assert watched.now() == []


def limits(capacity: int) -> LimitsDeclared:
    return LimitsDeclared(VENUE, RateLimits((Pool("all", capacity, 1),), (Cost(RequestKind.NEW, "all", 10),)), 1)


def test_budget_when_it_leaves_no_room_for_a_minute_without_pause_then_it_is_an_alert(watched: Watched) -> None:
    kernel, clock = watched.world.kernel, watched.world.clock
    kernel.publish(limits(5))  # no order fits into it
    found: list[AlertKind] = []
    for _ in range(119):
        clock.advance(S // 2)
        found += watched.kinds()
    assert found == []
    clock.advance(S)
    assert watched.one().kind is AlertKind.BUDGET_EXHAUSTED
    assert watched.one().text == f"the rate limit of {VENUE} leaves no room for new orders; left: 0 all"

    kernel.publish(limits(100))
    clock.advance(60 * S)
    watched.world.quote(41, 59)
    assert watched.now() == []


def test_budget_when_it_has_room_now_and_then_then_it_is_no_alert(watched: Watched) -> None:
    watched.world.kernel.publish(limits(20))
    budget, spent = watched.world.budgets[VENUE], 0
    for _ in range(200):
        watched.world.clock.advance(S)
        watched.world.quote(40, 60)
        assert watched.now() == []
        if budget.available(RequestKind.NEW, ""):
            budget.hold(RequestKind.NEW, "")
            budget.complete(RequestKind.NEW, "", RequestOutcome.SPENT)
            spent += 1
    assert spent >= 19


def test_fund_move_when_it_is_not_known_what_became_of_it_then_it_is_an_alert_after_a_minute(watched: Watched) -> None:
    move = FundMoveReported(
        venue=VENUE, verb="transfer", asset="USDC", amount="5", to="0xab", chain_id=0, reference="r", status="unknown",
        ts_recv=1,
    )  # fmt: skip
    watched.world.kernel.publish(move)
    assert (watched.one().kind, watched.one().target) == (AlertKind.FUND_MOVE_UNKNOWN, VENUE)
    assert "transfer of 5 USDC" in watched.one().text
    assert watched.one().kind.hold_s == 60
    watched.world.kernel.publish(msgspec.structs.replace(move, status="seen"))
    assert watched.now() == []


def test_records_when_they_can_not_be_written_then_each_is_an_alert(watched: Watched) -> None:
    watched.troubles |= {"ledger": "disk full", "tape": "no space"}
    watched.failing_stop = "the daemon stops: a part failed"
    assert [(one.kind, one.text) for one in watched.now()] == [
        (AlertKind.LEDGER_DOWN, "the ledger can't be written, trading goes on: disk full"),
        (AlertKind.TAPE_DOWN, "the tape can't be written, trading goes on: no space"),
        (AlertKind.STOPPED, "the daemon stops: a part failed"),
    ]
    watched.journal_trouble = "journal: disk full"
    assert watched.now()[-1].kind is AlertKind.JOURNAL_FAILED  # the stop follows from it


@pytest.mark.parametrize(
    ("was_stopped", "kinds"), [(None, []), (True, [AlertKind.RESTARTED]), (False, [AlertKind.CRASHED])]
)
def test_start_when_there_was_a_run_before_then_it_is_an_alert_once_that_says_how_that_ended(
    watched: Watched, was_stopped: bool | None, kinds: Sequence[AlertKind]
) -> None:
    watched.conditions = watched.begin(epoch=7, was_stopped=was_stopped)
    found = watched.now()
    assert [one.kind for one in found] == kinds
    assert all("epoch 7" in one.text for one in found)
    assert watched.now() == []


def test_text_when_it_is_too_long_then_it_is_cut(watched: Watched) -> None:
    watched.alarms.append("x" * 5_000)
    assert len(watched.one().text) == ALERT_TEXT_MAX


def test_text_when_a_part_of_it_is_no_unicode_then_it_can_be_written_all_the_same(watched: Watched) -> None:
    watched.alarms.append("order \udcff is lost")
    assert watched.one().text.encode() == b"order \\udcff is lost"
