from __future__ import annotations

import pytest
from pydantic import ValidationError

from framework.domain.orders import Side
from framework.testing import TradingHarness
from strategies.noop import Noop


def test_noop_when_told_of_events_then_it_counts_and_asks_for_nothing() -> None:
    harness = TradingHarness()
    noop = harness.add("watcher", Noop, {"log_every": 2})
    harness.venue.quote(bid="0.49", ask="0.51")
    harness.venue.trade("0.50", aggressor=Side.BUY)
    harness.venue.quote(bid="0.49", ask="0.51")
    assert noop.counts == {"book": 2, "trade": 1, "fill": 0}
    assert harness.intents == []
    assert harness.recorder.lines == [("still watching", {"strategy": "watcher", "book": 1, "trade": 1, "fill": 0})]


def test_settings_when_misspelt_then_refused() -> None:
    with pytest.raises(ValidationError):
        Noop.Settings.model_validate({"log_evry": 5})
