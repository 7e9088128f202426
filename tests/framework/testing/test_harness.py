"""The trading harness is a whole core: hooks, gate, budgets, records and restarts as in a live run."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field

import framework.testing
from framework.domain.account_events import Fill, Scope, ShutdownRequested, TradingState, TradingStateChanged
from framework.domain.errors import ConfigurationError
from framework.domain.instruments import InstrumentId
from framework.domain.intents import CancelOrder, NewOrder
from framework.domain.market_events import ConnectorStatus, TradePrint
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderStatus, Side
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.strategy import OrderHandle, Strategy
from framework.domain.verdicts import RefusalCode, Refused
from framework.domain.views import BookView
from framework.testing import INSTRUMENT, TradingHarness
from risk.checks.max_order_size import MaxOrderSize
from risk.checks.rate_budget import RateBudget
from tests.support.risk_view import SPOT

LIMITS = RateLimits(
    pools=(Pool("write", 4, 2),), costs=(Cost(RequestKind.NEW, "write", 2), Cost(RequestKind.CANCEL, "write", 1))
)


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(1, ge=1, description="Contracts per order.")


class Joiner(Strategy[Settings]):
    """Bids once at the best bid; writes down which hooks were called."""

    Settings = Settings

    def __init__(self, name: str, settings: Settings, desk: Any) -> None:
        super().__init__(name, settings, desk)
        self.calls: list[str] = []

    def on_start(self) -> None:
        self.calls.append(f"start {self.desk.saved.decode()}".strip())

    def on_book(self, book: BookView) -> None:
        self.calls.append("book" if book.is_fresh else "stale")
        if book.is_fresh and book.bid is not None and not self.desk.orders(book.instrument):
            self.buy(book.instrument, book.bid, self.desk.instrument(book.instrument).size(self.settings.size))

    def on_trade(self, trade: TradePrint) -> None:
        self.calls.append("trade")

    def on_fill(self, fill: Fill, order: Order) -> None:
        self.calls.append("fill")
        self.desk.save(b"traded")

    def on_order(self, order: Order) -> None:
        self.calls.append(order.status.value)

    def on_timer(self, name: str) -> None:
        self.calls.append(f"timer {name}")

    def on_connector(self, status: ConnectorStatus) -> None:
        self.calls.append("up" if status.is_up else "down")


class Plain(Strategy[None]):
    """Does what the test does with its methods."""


@pytest.fixture
def harness() -> TradingHarness:
    return TradingHarness()


@pytest.fixture
def plain(harness: TradingHarness) -> Plain:
    harness.venue.quote(bid="0.40", ask="0.44")
    return harness.add("plain", Plain)


def buy(harness: TradingHarness, strategy: Strategy[Any], price: str = "0.40", size: str = "10") -> OrderHandle:
    return harness.call(strategy.buy, INSTRUMENT.id, INSTRUMENT.price(price), INSTRUMENT.size(size))


def test_example_of_the_documentation_when_run_then_holds() -> None:
    result = doctest.testmod(framework.testing)
    assert (result.failed, result.attempted > 10) == (0, True)


def test_example_of_the_readme_when_run_then_passes() -> None:
    text = (Path(__file__).parents[3] / "strategies" / "README.md").read_text()
    found: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[-1], found)  # noqa: S102 - our own page
    (run,) = [value for name, value in found.items() if name.startswith("test_")]
    run()


def test_strategy_when_the_market_is_quoted_then_its_order_works_fills_and_makes_a_position(
    harness: TradingHarness,
) -> None:
    mine = harness.add("mine", Joiner, {"size": 3})
    harness.venue.quote(bid="0.40", ask="0.44")
    (order,) = harness.orders("mine")
    assert (order.status, order.price, order.size) == (OrderStatus.WORKING, 4_000, 300)
    harness.venue.fill(order, size="1")
    harness.venue.fill(order)
    harness.venue.quote(bid="0.50", ask="0.54")
    assert " ".join(mine.calls) == ("start book sent working fill partially_filled fill filled book sent working"), (
        "on_fill comes before on_order"
    )
    assert harness.position("mine").size == harness.position().size == 300
    assert harness.profit_and_loss("mine").unrealised == 300 * 1_200
    assert [fill.size for fill in harness.recorder.fills] == [100, 200]
    assert [type(intent) for intent in harness.intents] == [NewOrder, NewOrder]


def test_add_when_settings_are_wrong_then_says_what_a_configuration_would(harness: TradingHarness) -> None:
    with pytest.raises(
        ConfigurationError, match=r'strategies.mine.settings.sise: unknown key "sise"; did you mean "size"'
    ):
        harness.add("mine", Joiner, {"sise": 3})
    with pytest.raises(ConfigurationError, match="this plugin has no settings"):
        harness.add("plain", Plain, {"size": 3})


def test_add_when_the_name_is_taken_then_refuses(harness: TradingHarness, plain: Plain) -> None:
    with pytest.raises(ValueError, match="'plain' already"):
        harness.add("plain", Plain)


class Broken(Plain):
    def on_book(self, book: BookView) -> None:
        raise ZeroDivisionError("mine")


def test_hook_when_it_raises_then_the_test_gets_the_exception_itself(harness: TradingHarness) -> None:
    harness.add("broken", Broken)
    with pytest.raises(ZeroDivisionError, match="mine"):
        harness.venue.quote(bid="0.40", ask="0.44")


def test_hook_when_faults_are_counted_then_five_quarantine_the_strategy_and_the_others_go_on() -> None:
    harness = TradingHarness(raise_faults=False)
    harness.add("broken", Broken)
    joiner = harness.add("joiner", Joiner)
    for _ in range(7):
        harness.venue.quote(bid="0.40", ask="0.44")
    assert [name for name, _ in harness.recorder.faults] == ["broken"] * 5
    assert joiner.calls.count("book") == 7


def test_hook_when_it_asks_for_something_invalid_then_the_test_fails(harness: TradingHarness, plain: Plain) -> None:
    with pytest.raises(AssertionError, match="price"):
        harness.call(plain.buy, INSTRUMENT.id, 0.4, INSTRUMENT.size(1))  # type: ignore[arg-type]
    assert [refused.code for refused in harness.refusals] == [RefusalCode.INVALID_INTENT]


def test_call_when_the_function_raises_then_so_does_the_call_and_it_is_nobodys_fault(
    harness: TradingHarness, plain: Plain
) -> None:
    for _ in range(9):
        with pytest.raises(KeyError, match="no connector has defined"):
            harness.call(plain.desk.instrument, InstrumentId("practice:OTHER"))
    assert harness.recorder.faults == []
    assert harness.call(plain.desk.instrument, INSTRUMENT.id) == INSTRUMENT


def test_check_when_given_then_refuses_what_is_submitted_in_any_name() -> None:
    harness = TradingHarness(checks=[MaxOrderSize.model_validate({"max_size": "2"})])
    intent = NewOrder(
        strategy="any", instrument=INSTRUMENT.id, side=Side.BUY, price=INSTRUMENT.price("0.40"), size=INSTRUMENT.size(3)
    )
    harness.submit(intent)
    harness.submit(msgspec.structs.replace(intent, size=INSTRUMENT.size(2)))
    assert [(refused.code, refused.check) for refused in harness.refusals] == [
        (RefusalCode.ORDER_SIZE_MAX, "MaxOrderSize")
    ]
    assert [order.size for order in harness.orders("any")] == [200]


def test_timers_when_time_is_advanced_then_fire_once_in_the_order_in_which_they_are_due(
    harness: TradingHarness,
) -> None:
    mine = harness.add("mine", Joiner)
    for name, after_ms in (("late", 300), ("soon", 0), ("replaced", 50), ("early", 20), ("replaced", 200)):
        mine.desk.set_timer(name, after_ms=after_ms)
    harness.advance(ms=250)
    assert mine.calls == ["start", "timer soon", "timer early", "timer replaced"]
    harness.advance(ms=50)
    harness.advance(ms=1_000)
    assert mine.calls[4:] == ["timer late"]


def test_timer_when_it_fires_then_the_strategy_sees_the_time_at_which_it_was_due(harness: TradingHarness) -> None:
    class Ticking(Plain):
        def on_start(self) -> None:
            self.seen: list[int] = [self.desk.now_ns]
            self.desk.set_timer("tick", after_ms=70)

        def on_timer(self, name: str) -> None:
            self.seen.append(self.desk.now_ns)
            self.desk.set_timer("tick", after_ms=70)

    ticking = harness.add("ticking", Ticking)
    harness.advance(ms=220)
    assert [(seen - ticking.seen[0]) // 1_000_000 for seen in ticking.seen] == [0, 70, 140, 210]


def test_timer_of_no_time_when_it_is_set_again_and_again_then_time_has_an_end(harness: TradingHarness) -> None:
    class Spinning(Plain):
        count = 0

        def on_timer(self, name: str) -> None:
            self.count += 1
            self.desk.set_timer("again", after_ms=0)

    spinning = harness.add("spinning", Spinning)
    spinning.desk.set_timer("again", after_ms=0)
    harness.advance(ms=5)
    assert spinning.count == 5


def test_checks_when_two_are_of_one_class_then_both_are_asked() -> None:
    limits = [MaxOrderSize.model_validate({"max_size": size}) for size in ("5", "20")]
    harness = TradingHarness(checks=limits)
    verdict = harness.submit(
        NewOrder(strategy="x", instrument=INSTRUMENT.id, side=Side.BUY, price=Price(4_000), size=Size(1_000))
    )
    assert isinstance(verdict, Refused)
    assert (verdict.code, verdict.check) == (RefusalCode.ORDER_SIZE_MAX, "MaxOrderSize")


def test_rate_limit_when_used_up_then_the_check_refuses_and_time_brings_new_tokens() -> None:
    harness = TradingHarness(limits=LIMITS, checks=[RateBudget()])
    plain = harness.add("plain", Plain)
    assert [buy(harness, plain).is_approved for _ in range(3)] == [True, False, False]
    assert {refused.code for refused in harness.refusals} == {RefusalCode.BUDGET_EXHAUSTED}
    harness.advance(ms=1_001)
    assert buy(harness, plain).is_approved


def test_request_when_no_token_is_left_then_waits_in_the_queue_and_leaves_in_time() -> None:
    harness = TradingHarness(limits=LIMITS)
    plain = harness.add("plain", Plain)
    handles = [buy(harness, plain) for _ in range(3)]
    assert [handle.order and handle.order.status for handle in handles] == [
        OrderStatus.WORKING, OrderStatus.WORKING, OrderStatus.RECORDED
    ]  # fmt: skip
    harness.reconcile()
    harness.advance(ms=1_100)
    assert [handle.order and handle.order.status for handle in handles] == [OrderStatus.WORKING] * 3


def test_request_when_others_are_on_their_way_then_waits_until_the_limit_covers_it_too() -> None:
    harness = TradingHarness(limits=LIMITS)
    plain = harness.add("plain", Plain)
    harness.venue.hold()
    handles = [buy(harness, plain) for _ in range(3)]
    harness.advance(ms=900)
    assert [handle.order and handle.order.status for handle in handles][2] is OrderStatus.RECORDED
    harness.venue.release()
    harness.advance(ms=1_100)
    assert [handle.order and handle.order.status for handle in handles] == [OrderStatus.WORKING] * 3


@pytest.mark.parametrize("is_halted", [False, True])
def test_request_when_its_reason_is_gone_before_it_may_leave_then_never_leaves(is_halted: bool) -> None:
    harness = TradingHarness(limits=LIMITS)
    plain = harness.add("plain", Plain)
    for _ in range(2):
        buy(harness, plain)
    terms = (INSTRUMENT.id, INSTRUMENT.price("0.40"), INSTRUMENT.size(1))
    late = harness.call(plain.buy, *terms, deadline_ns=harness.clock.now_ns() + 500_000_000)
    cancelled, meant = buy(harness, plain), buy(harness, plain)
    harness.call(cancelled.cancel)
    harness.advance(ms=900)
    state, now_ns = TradingState.HALTED if is_halted else TradingState.ACTIVE, harness.clock.now_ns()
    harness.publish(TradingStateChanged(scope=Scope.GLOBAL, target="", state=state, reason="test", ts_recv=now_ns))
    harness.advance(ms=9_000)
    ended = [handle.order and handle.order.status is OrderStatus.REJECTED for handle in (late, cancelled, meant)]
    assert ended == [True, True, is_halted]
    assert len(harness.venue.requests) == (2 if is_halted else 3)


def test_strategies_when_several_trade_several_instruments_then_each_has_its_own_orders_and_position() -> None:
    harness = TradingHarness(instruments=[INSTRUMENT, SPOT])
    one = harness.add("one", Joiner, instruments=[INSTRUMENT.id])
    both = harness.add("both", Joiner)
    harness.venue.quote(bid="0.40", ask="0.44")
    harness.venues["coin"].quote(bid="50000.5", ask="50001", size="0.5")
    assert [order.instrument for order in harness.orders("both")] == [INSTRUMENT.id, SPOT.id]
    (coin,) = harness.orders("both", SPOT.id)
    harness.venues["coin"].fill(coin, size="0.25")
    assert (coin.price, harness.position("both", SPOT.id).size, harness.position("both").size) == (
        5_000_050,
        25_000_000,
        0,
    )
    assert (one.calls.count("fill"), both.calls.count("fill")) == (0, 1)
    assert len(harness.orders()) == 3


def test_restart_when_orders_fills_and_saved_bytes_are_recorded_then_all_of_them_come_back(
    harness: TradingHarness,
) -> None:
    harness.add("mine", Joiner, {"size": 3})
    harness.venue.quote(bid="0.40", ask="0.44")
    (before,) = harness.orders()
    harness.venue.fill(before, size="1")
    harness.restart()
    mine = harness.strategies["mine"]
    assert isinstance(mine, Joiner)
    assert mine.calls[0] == "start traded"
    assert mine.settings.size == 3
    (after,) = harness.orders("mine")
    assert after is not before
    assert (after.client_order_id, after.filled, after.status) == (before.client_order_id, 100, before.status)
    harness.venue.fill(after)
    assert harness.position("mine").size == 300
    harness.venue.quote(bid="0.41", ask="0.44")
    (fresh,) = harness.orders("mine")
    assert fresh.client_order_id == "test-2-1"
    steps = [record.step for record in harness.recorder.records]
    assert steps == sorted(steps)
    assert harness.recorder.alarms == []


def test_restart_when_an_order_and_a_timer_were_under_way_then_the_one_is_looked_up_and_the_other_gone(
    harness: TradingHarness,
) -> None:
    mine = harness.add("mine", Joiner)
    mine.desk.set_timer("old", after_ms=10)
    harness.venue.hold()
    harness.venue.quote(bid="0.40", ask="0.44")
    (order,) = harness.orders()
    assert order.status is OrderStatus.SENT
    harness.restart()
    assert harness.orders() == ()
    harness.advance(ms=100)
    again = harness.strategies["mine"]
    assert isinstance(again, Joiner)
    assert "timer old" not in again.calls


def test_restart_when_a_cancel_was_under_way_then_the_order_ends_all_the_same(
    harness: TradingHarness, plain: Plain
) -> None:
    handle = buy(harness, plain)
    harness.venue.hold()
    harness.call(handle.cancel)
    harness.restart()
    assert harness.orders() == ()
    assert [type(request.intent) for request in harness.venue.requests] == [NewOrder, CancelOrder, CancelOrder]


def test_restart_when_the_run_before_was_stopping_then_orders_are_taken_again(
    harness: TradingHarness, plain: Plain
) -> None:
    harness.publish(ShutdownRequested("test", harness.clock.now_ns()))
    assert not buy(harness, plain).is_approved
    harness.restart()
    assert buy(harness, harness.strategies["plain"]).is_approved


def test_strategy_when_it_answers_every_answer_with_a_request_then_the_test_ends_with_an_error(
    harness: TradingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stubborn(Plain):
        def on_order(self, order: Order) -> None:
            if order.status is OrderStatus.CANCELLED:
                self.buy(order.instrument, order.price, order.size)
            elif order.status is OrderStatus.WORKING:
                self.desk.submit(CancelOrder(strategy=self.name, client_order_id=order.client_order_id))

    monkeypatch.setattr("framework.testing.harness.REQUESTS_MAX", 100)
    stubborn = harness.add("stubborn", Stubborn)
    with pytest.raises(RuntimeError, match="more than 100 requests"):
        buy(harness, stubborn)


def test_log_when_a_strategy_writes_then_the_line_is_kept_with_its_name(harness: TradingHarness, plain: Plain) -> None:
    plain.desk.log("hello", size=1)
    assert harness.recorder.lines == [("hello", {"strategy": "plain", "size": 1})]


def test_log_when_a_field_has_the_name_of_the_message_then_the_test_fails_as_a_live_run_would(
    harness: TradingHarness, plain: Plain
) -> None:
    with pytest.raises(TypeError, match="event"):
        harness.call(plain.desk.log, "hello", event="E")


def test_position_when_a_settled_size_is_read_then_it_is_scaled(harness: TradingHarness, plain: Plain) -> None:
    harness.venue.fill(buy(harness, plain), size="0.5")
    assert harness.position("plain").size == Size(50)
