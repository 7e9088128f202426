from __future__ import annotations

from typing import Any, cast, get_args

import msgspec

from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookStale
from framework.domain.verdicts import RefusalCode
from framework.execution.ports import STAGES
from framework.ops.telemetry import Telemetry
from framework.runtime.clock import SystemClock
from framework.runtime.metrics import Metrics
from framework.state.accounts import Accounts
from tests.architecture.formats_walk import sample


class Renamed(msgspec.Struct, tag="Heartbeat", array_like=True):
    venue: str


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

    counters = {counter.name: counter.values for counter in metrics.counters()}
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
