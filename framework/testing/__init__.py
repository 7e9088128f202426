"""Tests of strategies and checks in one process: the real core, a clock moved by hand, and venues that do as scripted.

A test adds strategies by class and settings, moves the market, and looks at what was asked for, refused and traded.
Everything is synchronous and happens before the call returns; no loop, no network, no files.

    >>> from framework.testing import INSTRUMENT, TradingHarness
    >>> from risk.checks.max_position import MaxPosition
    >>> from strategies.market_maker import MarketMaker
    >>> limit = MaxPosition.model_validate({"max_position": "20", "max_strategy_position": "20"})
    >>> harness = TradingHarness(checks=[limit])
    >>> maker = harness.add("maker", MarketMaker, {"size": "10", "position_max": "30"})
    >>> harness.venue.quote(bid="0.40", ask="0.60")
    >>> [(order.side.value, INSTRUMENT.price_text(order.price)) for order in harness.orders("maker")]
    [('buy', '0.4900'), ('sell', '0.5100')]
    >>> bid, ask = harness.orders("maker")
    >>> fill = harness.venue.fill(bid, size="4")
    >>> INSTRUMENT.size_text(harness.position("maker").size)
    '4.00'
    >>> harness.venue.reject_next("post_only")
    >>> harness.advance(ms=1_000)

The parts: `TradingHarness` (time, strategies, what happened), `ScriptedVenue` (the market, and what becomes of
requests), `MemoryRecorder` (records, verdicts, fills, alarms, faults, log lines). `framework.testing.practice` holds
the earlier `PracticeVenue`, where a test calls the hooks itself.
"""

from framework.testing.harness import NO_LIMITS, MemoryRecorder, TradingHarness
from framework.testing.scripted_venue import INSTRUMENT, VENUE, ScriptedVenue, fee_of

__all__ = ["INSTRUMENT", "NO_LIMITS", "VENUE", "MemoryRecorder", "ScriptedVenue", "TradingHarness", "fee_of"]
