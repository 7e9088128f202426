from __future__ import annotations

from typing import Any, cast

import msgspec

from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookStale
from framework.ops.telemetry import Telemetry
from framework.runtime.clock import SystemClock
from framework.runtime.metrics import Metrics
from framework.state.accounts import Accounts
from framework.state.books import Books


class Renamed(msgspec.Struct, tag="Heartbeat", array_like=True):
    venue: str


def test_event_when_counted_then_its_kind_is_its_tag_whatever_its_class_is_called() -> None:
    metrics, event = Metrics(), cast(Any, Renamed("tide"))
    telemetry = Telemetry(metrics, Accounts(), Books(), SystemClock())
    telemetry.on_event(event)
    telemetry.on_event(BookStale(InstrumentId("tide:A"), 1, "gap"))

    assert metrics.events.values == {("tide", "Heartbeat"): 1, ("tide", "BookStale"): 1}
