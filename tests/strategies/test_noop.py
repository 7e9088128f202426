from __future__ import annotations

import pytest
from pydantic import ValidationError

from framework.domain.market_events import TradePrint
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from strategies.noop import Noop, NoopSettings
from tests.support.desk import RecordingDesk
from tests.support.risk_view import BINARY, book


def test_noop_when_told_of_events_then_it_counts_and_asks_for_nothing() -> None:
    desk = RecordingDesk([BINARY])
    noop = Noop("watcher", NoopSettings(log_every=2), desk)
    noop.on_start()
    noop.on_book(book())
    noop.on_trade(TradePrint(BINARY.id, 0, 0, "t1", Price(5_000), Size(100), Side.BUY))
    noop.on_book(book())
    assert noop.counts == {"book": 2, "trade": 1, "fill": 0}
    assert desk.intents == []
    assert desk.lines == [("still watching", {"book": 1, "trade": 1, "fill": 0})]


def test_settings_when_misspelt_then_refused() -> None:
    with pytest.raises(ValidationError):
        Noop.Settings.model_validate({"log_evry": 5})
