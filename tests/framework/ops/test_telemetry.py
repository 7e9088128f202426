from __future__ import annotations

import json
from typing import Any, cast, get_args

import msgspec
from structlog.testing import capture_logs

from framework.domain.account_events import (
    InstrumentDefined,
    InstrumentSettled,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookStale, VenueClock
from framework.domain.numbers import Price
from framework.domain.orders import Order, Side
from framework.domain.verdicts import RefusalCode
from framework.engine.strategy_host import FaultKind
from framework.execution.ports import STAGES
from framework.ops.telemetry import ALARMS_MAX, Telemetry
from framework.runtime.clock import SystemClock
from framework.runtime.logging import configure_logging
from framework.runtime.metrics import Metrics
from framework.runtime.secrets import SecretRegistry
from framework.state.accounts import Accounts
from framework.state.change import Change
from tests.architecture.formats_walk import sample
from tests.support.command_line import Capsys
from tests.support.inquiries import listed, unknown
from tests.support.state_records import fill, kalshi_market
from tests.support.world import MS, Scribe, World


class Renamed(msgspec.Struct, tag="Heartbeat", array_like=True):
    venue: str


def test_trading_state_when_set_then_it_is_counted_and_logged_with_who_and_why() -> None:
    metrics = Metrics()
    telemetry = Telemetry(metrics, Accounts(), SystemClock(), monitors=["runaway"])
    assert metrics.trading_states_set.values["runaway", "halted"] == 0
    halt = TradingStateChanged(
        scope=Scope.STRATEGY, target="mm", state=TradingState.HALTED, reason="too much", ts_recv=1, by="runaway"
    )
    with capture_logs() as lines:
        telemetry.on_event(halt)
    assert metrics.trading_states_set.values["runaway", "halted"] == 1
    (line,) = [one for one in lines if one["event"] == "trading state"]
    assert {"scope": "strategy", "target": "mm", "state": "halted", "by": "runaway"}.items() <= line.items()


def test_event_when_counted_then_its_kind_is_its_tag_whatever_its_class_is_called() -> None:
    metrics, event = Metrics(), cast(Any, Renamed("tide"))
    telemetry = Telemetry(metrics, Accounts(), SystemClock())
    telemetry.on_event(event)
    telemetry.on_event(BookStale(InstrumentId("tide:A"), 1, "gap"))

    counted = {labels: count for labels, count in metrics.events.values.items() if count}
    assert counted == {("tide", "Heartbeat"): 1, ("tide", "BookStale"): 1}


def test_series_when_their_labels_are_known_then_each_exists_at_0_from_the_start() -> None:
    metrics = Metrics()
    Telemetry(metrics, Accounts(), SystemClock(), venues=["tide", "ebb"], strategies=["maker"])

    others = metrics.alert_messages  # of the outputs, which declare their own
    counters = {counter.name: counter.values for counter in metrics.counters() if counter is not others}
    assert all(counters.values())
    assert {count for values in counters.values() for count in values.values()} == {0}
    assert set(metrics.rate_limited.values) == set(metrics.reconnects.values) == {("tide",), ("ebb",)}
    assert {code for _, code in metrics.refusals.values} == {code.value for code in RefusalCode}
    assert {kind for _, kind in metrics.strategy_faults.values} == {"raised", "blocked", "invalid"}
    assert ("ebb", "maker", "unknown") in metrics.orders.values
    assert ("tide", "BookStale") in metrics.events.values
    assert {stage for _, stage in metrics.order_latency.values} == set(STAGES)


def test_events_when_each_kind_comes_then_no_series_begins_that_was_not_there() -> None:
    metrics = Metrics()
    telemetry = Telemetry(metrics, Accounts(), SystemClock(), venues=["x", "tide"], strategies=["x"])
    before = set(metrics.events.values)
    for kind in get_args(Event):
        telemetry.on_event(sample(kind))
    assert set(metrics.events.values) == before


def test_alarm_when_it_is_raised_then_it_is_logged_and_kept_for_the_alerts_up_to_a_bound() -> None:
    telemetry = Telemetry(Metrics(), Accounts(), SystemClock())
    with capture_logs() as logged:
        telemetry.on_change(Change(alarms=("a fill was taken back",)))
        telemetry.alarm("two orders could own a fill")
    assert [line["what"] for line in logged] == ["a fill was taken back", "two orders could own a fill"]
    assert list(telemetry.alarms) == ["a fill was taken back", "two orders could own a fill"]
    for number in range(ALARMS_MAX):
        telemetry.alarm(str(number))
    assert (telemetry.alarms[0], len(telemetry.alarms)) == ("0", ALARMS_MAX)


def test_clock_when_the_venues_is_an_hour_off_then_it_is_said_once_until_they_agree_again() -> None:
    telemetry = Telemetry(Metrics(), Accounts(), SystemClock())
    hour_ns, near_ns = 3_600_000_000_000, 999_000_000
    with capture_logs() as logged:
        for offset_ns in (near_ns, -near_ns):
            telemetry.on_event(VenueClock("tide", offset_ns, 0, 0))
        assert logged == []
        for offset_ns in (-hour_ns, -hour_ns, near_ns, hour_ns):
            telemetry.on_event(VenueClock("tide", offset_ns, 0, 0))
    assert [(one["venue"], one["what"].partition(":")[0]) for one in logged] == [
        ("tide", "clock_offset_s=-3600"),
        ("tide", "clock_offset_s=+3600"),
    ]


def test_money_when_it_moves_then_each_fill_and_settlement_is_a_line_in_decimals(capsys: Capsys) -> None:
    configure_logging("info", "json", clock=SystemClock(), secrets=SecretRegistry())
    accounts = Accounts()
    telemetry = Telemetry(Metrics(), accounts, SystemClock(), logs_fills=True)
    terms = kalshi_market("KXTIDE-A")
    bought = fill("f1", name="c1", venue_order_id="v1", side=Side.BUY, price=5600, size=300, fee=17_300, at=5,
                  instrument=terms.id)  # fmt: skip
    settled = InstrumentSettled(terms.id, Price(10_000), 0, 0)
    for event in (InstrumentDefined(terms, 1), bought, bought, settled, settled):
        telemetry.on_change(accounts.apply(event, 1))

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["fill", "settled"]
    assert [lines[0][name] for name in ("instrument", "side", "size", "price", "fee", "fill_id")] == [
        "kalshi:KXTIDE-A", "buy", "3.00", "0.5600", "0.017300", "f1",
    ]  # fmt: skip
    assert [lines[1][name] for name in ("size", "value", "realised")] == ["3.00", "1.0000", "1.320000"]


def test_money_when_lines_of_fills_are_off_or_the_instrument_is_not_defined_then_nothing_breaks(capsys: Capsys) -> None:
    configure_logging("info", "json", clock=SystemClock(), secrets=SecretRegistry())
    for logs_fills in (False, True):
        accounts = Accounts()
        telemetry = Telemetry(Metrics(), accounts, SystemClock(), logs_fills=logs_fills)
        telemetry.on_change(accounts.apply(fill("f1", size=300, instrument=InstrumentId("kalshi:NEW")), 1))
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["size"] == "scaled:300"


def test_fault_when_counted_then_its_kind_is_what_was_wrong_whatever_the_hook_is_called() -> None:
    metrics = Metrics()
    telemetry = Telemetry(metrics, Accounts(), SystemClock(), strategies=["maker"])
    for kind in FaultKind:
        telemetry.on_fault("maker", "on_book did it", 1, kind)
    assert metrics.strategy_faults.values == {("maker", kind.value): 1 for kind in FaultKind}


def test_orders_when_they_become_unknown_or_are_to_end_then_they_are_watched_from_that_moment(
    world: World, scribe: Scribe
) -> None:
    telemetry = Telemetry(Metrics(), world.accounts, world.clock)
    unanswered = unknown(world, scribe)
    telemetry.on_change(world.watcher.changes[-1])
    world.clock.advance(1_000 * MS)
    resting = listed(world, scribe)
    world.do(scribe, resting.cancel)
    telemetry.on_verdict(world.watcher.verdicts[-1])
    world.clock.advance(500 * MS)

    def ages(found: list[tuple[Order, int]]) -> list[tuple[str, int]]:
        return [(order.client_order_id, age_ns // MS) for order, age_ns in found]

    assert ages(telemetry.in_question.unknown()) == [(unanswered.client_order_id, 1_500)]
    assert ages(telemetry.in_question.cancels()) == [(resting.client_order_id, 500)]
