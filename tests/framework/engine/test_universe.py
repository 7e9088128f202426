"""Which instruments a strategy has: at its start, as markets open and settle, after a quarantine, and in a replay."""

from __future__ import annotations

from typing import Any

import msgspec

from framework.domain.account_events import (
    InstrumentDefined,
    InstrumentPurged,
    InstrumentSettled,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.instruments import Instrument, InstrumentId, InstrumentStatus
from framework.domain.numbers import Price
from framework.domain.strategy import Strategy
from framework.domain.views import BookView
from framework.engine.universe import InstrumentPattern
from framework.testing import TradingHarness
from framework.testing.scripted_venue import INSTRUMENT

ALL = InstrumentPattern(("tide:*",), 2)


def market(symbol: str, status: InstrumentStatus = InstrumentStatus.ACTIVE) -> Instrument:
    return msgspec.structs.replace(
        INSTRUMENT, id=InstrumentId(f"tide:{symbol}"), venue="tide", symbol=symbol, status=status
    )


class Watching(Strategy[None]):
    """Keeps what it was told."""

    def __init__(self, name: str, settings: None, desk: Any) -> None:
        super().__init__(name, settings, desk)
        self.started_with: tuple[InstrumentId, ...] = ()
        self.told: list[tuple[str, str]] = []
        self.books: list[str] = []

    def on_start(self) -> None:
        self.started_with = self.desk.instruments

    def on_instrument(self, instrument: Instrument) -> None:
        self.told.append((instrument.symbol, instrument.status.value))

    def on_book(self, book: BookView) -> None:
        if book.is_fresh:
            self.books.append(book.instrument)


class Older(Watching):
    """Written before there was `on_instrument`."""

    on_instrument = Strategy.on_instrument


def harness_with(*instruments: Instrument) -> TradingHarness:
    return TradingHarness(instruments=instruments)


def symbols(strategy: Strategy[Any]) -> list[str]:
    return [one.removeprefix("tide:") for one in strategy.desk.instruments]


def test_pattern_when_several_match_then_the_first_names_are_taken_once_each() -> None:
    known = [market("C"), market("A"), market("B"), market("X")]
    assert InstrumentPattern(["tide:[ABC]", "tide:*"], 3).choose(known) == ("tide:A", "tide:B", "tide:C")


def test_pattern_when_a_market_is_not_open_then_it_is_passed_over() -> None:
    known = [market("A", InstrumentStatus.CLOSED), market("B")]
    assert ALL.choose(known) == ("tide:B",)


def test_pattern_when_nothing_matches_then_nothing_is_chosen() -> None:
    assert InstrumentPattern(["other:*"], 1).choose([market("A")]) == ()


def test_pattern_when_instruments_are_bound_then_only_the_room_beside_them_is_given() -> None:
    known = [market("A"), market("B"), market("C")]
    assert ALL.choose(known, [InstrumentId("tide:B")]) == ("tide:A",)
    assert ALL.choose(known, [InstrumentId("tide:B"), InstrumentId("tide:C")]) == ()


def test_strategy_when_a_market_opens_while_it_runs_then_it_is_told_and_gets_its_books() -> None:
    harness = harness_with(market("A"), market("B", InstrumentStatus.UNOPENED))
    strategy = harness.add("mine", Watching, pattern=ALL)
    assert (strategy.started_with, strategy.told) == (("tide:A",), [])

    harness.venue.set_status(InstrumentStatus.ACTIVE, instrument=InstrumentId("tide:B"))
    harness.venue.quote(bid="0.40", ask="0.44", instrument=InstrumentId("tide:B"))

    assert symbols(strategy) == ["A", "B"]
    assert strategy.told == [("B", "active")]
    assert strategy.books == ["tide:B"]


def test_strategy_when_it_has_all_that_it_may_have_then_one_that_settles_makes_room_for_the_next() -> None:
    harness = harness_with(market("A"), market("B"))
    strategy = harness.add("mine", Watching, pattern=ALL)
    harness.venue.list_instrument(market("D"))
    harness.venue.list_instrument(market("C"))
    assert symbols(strategy) == ["A", "B"]

    harness.venue.settle("1", instrument=InstrumentId("tide:A"))

    assert symbols(strategy) == ["B", "C"]
    assert strategy.told == [("A", "settled"), ("C", "active")]
    harness.venue.quote(bid="0.40", ask="0.44", instrument=InstrumentId("tide:A"))
    assert strategy.books == []


def test_strategy_when_a_market_that_has_settled_is_told_as_open_after_that_then_it_does_not_join_again() -> None:
    harness = harness_with(market("A"), market("B"))
    strategy = harness.add("mine", Watching, pattern=ALL)
    settled = market("A").id
    harness.publish(InstrumentSettled(settled, Price(1), 1, 1))
    harness.publish(InstrumentDefined(market("A"), 1))
    harness.publish(InstrumentPurged(settled, 1))

    assert (symbols(strategy), strategy.told) == (["B"], [("A", "settled")])


def test_strategy_when_its_pattern_is_of_other_markets_then_they_stay_out() -> None:
    harness = harness_with(market("A"))
    strategy = harness.add("mine", Watching, pattern=InstrumentPattern(("tide:A*",), 5))

    harness.venue.list_instrument(market("B"))

    assert symbols(strategy) == ["A"]


def test_strategy_without_on_instrument_when_a_market_opens_then_it_keeps_those_that_it_started_with() -> None:
    harness = harness_with(market("A"))
    strategy = harness.add("mine", Older, pattern=ALL)

    harness.venue.list_instrument(market("B"))
    harness.venue.quote(bid="0.40", ask="0.44", instrument=InstrumentId("tide:B"))

    assert symbols(strategy) == ["A"]
    assert strategy.books == []


def test_strategy_when_it_was_quarantined_then_it_joins_what_has_opened_once_it_is_released() -> None:
    harness = TradingHarness(instruments=[market("A")], raise_faults=False)
    strategy = harness.add("mine", Watching, pattern=ALL)
    for _ in range(5):
        harness.call(harness._core.kernel.hosts["mine"].fault, "wrong")
    harness.venue.list_instrument(market("B"))
    assert symbols(strategy) == ["A"]

    harness.publish(
        TradingStateChanged(scope=Scope.STRATEGY, target="mine", state=TradingState.ACTIVE, reason="mended", ts_recv=1)
    )

    assert symbols(strategy) == ["A", "B"]
    assert strategy.told == [("B", "active")]


class Failing(Watching):
    """Can't start."""

    def on_start(self) -> None:
        raise RuntimeError("no")


def test_strategy_when_it_fails_to_start_once_more_at_its_release_then_no_other_hook_is_called() -> None:
    harness = TradingHarness(instruments=[market("A")], raise_faults=False)
    strategy = harness.add("mine", Failing, pattern=ALL)
    harness.venue.list_instrument(market("B"))

    harness.publish(
        TradingStateChanged(scope=Scope.STRATEGY, target="mine", state=TradingState.ACTIVE, reason="mended", ts_recv=1)
    )

    assert harness._core.kernel.hosts["mine"].is_quarantined
    assert (strategy.told, symbols(strategy)) == ([], ["A"])
