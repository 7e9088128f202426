from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from framework.domain.account_events import ControlSaved, Fill, Scope, TradingState, TradingStateChanged
from framework.domain.instruments import Instrument
from framework.domain.market_events import BookStale, TradePrint
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Side
from framework.state.positions import Position, Trade
from risk.checks.loss_limit import LossLimit
from tests.proofs.losses.__main__ import MUTANTS, prove
from tests.support.desk import QuotedBook
from tests.support.risk_view import BINARY, SPOT, StaticView, working_order

TEN = {"currency": "USD", "loss_max": "10"}
S = 1_000_000_000


class Trader:
    """Strategy `a` that trades ten-thousandths of a dollar and hundredths of a contract, and what the limit says."""

    def __init__(self, instrument: Instrument = BINARY, **settings: Any) -> None:
        self.limits = LossLimit.model_validate({**TEN, **settings})
        self.instrument = instrument
        self.view = StaticView(orders={"c": working_order(strategy="a")}, state=TradingState.ACTIVE)
        self.view.held = {}
        self.losses = self.limits.begin()
        self.number = 0

    def told(self, event: Any) -> list[TradingStateChanged]:
        """What follows from an event, but for what is recorded."""
        actions = self.losses.follow(event, self.view)
        for action in actions:
            if isinstance(action, ControlSaved):
                self.view.control_states[action.key] = action.state
        return [action for action in actions if isinstance(action, TradingStateChanged)]

    def trade(self, change: int, price: int, fee: int = 0) -> list[TradingStateChanged]:
        """A fill of so many hundredths of a contract."""
        self.number += 1
        for whose in ("a", ""):
            position = self.view.held.setdefault((whose, self.instrument.id), Position())
            assert isinstance(position, Position)
            position.add(Trade(self.number, f"f{self.number}", change, price, fee))
        fill = Fill(
            venue=self.instrument.venue, instrument=self.instrument.id, fill_id=f"f{self.number}", venue_order_id="v",
            client_order_id="c", side=Side.BUY, price=Price(price), size=Size(abs(change)), fee=Money(fee),
            is_maker=True, ts_venue=1, ts_recv=1,
        )  # fmt: skip
        return self.told(fill)

    def quote(self, bid: int | None, ask: int | None, *, is_fresh: bool = True) -> list[TradingStateChanged]:
        """The book is so."""
        levels = ([(one, 100)] if one is not None else [] for one in (bid, ask))
        self.view.books[self.instrument.id] = QuotedBook(self.instrument.id, *levels, is_fresh=is_fresh)
        return self.told(BookStale(self.instrument.id, "any change", 1))

    def restart(self) -> None:
        """Another run, which knows what was recorded."""
        self.view.books = {}
        self.losses = self.limits.begin()


@pytest.mark.parametrize(("mid", "is_stopped"), [(4_001, False), (4_000, False), (3_999, True)])
def test_loss_when_under_at_and_over_the_limit_then_stops_only_over_it(mid: int, is_stopped: bool) -> None:
    trader = Trader()
    trader.quote(4_999, 5_001)
    assert trader.trade(10_000, 5_000) == []
    assert bool(trader.quote(mid - 1, mid + 1)) is is_stopped


def test_stop_when_it_comes_then_it_names_the_loss_cancels_and_comes_once() -> None:
    trader = Trader(until_next_day=True)
    trader.quote(4_999, 5_001)
    trader.trade(10_000, 5_000)
    (stop,) = trader.quote(3_899, 3_901)
    assert stop == TradingStateChanged(
        scope=Scope.STRATEGY,
        target="a",
        state=TradingState.REDUCING,
        reason="lost 11.0000 USD since the day began (loss_max=10)",
        ts_recv=trader.view.now_ns,
        is_cancelling=True,
        until_ns=trader.limits.day_of(trader.view.now_ns)[1],
    )
    assert trader.quote(999, 1_001) == []


def test_drawdown_when_profits_are_given_back_then_stops_though_nothing_is_lost() -> None:
    trader = Trader(loss_max=None, drawdown_max="10")
    trader.quote(4_999, 5_001)
    trader.trade(10_000, 5_000)
    assert trader.quote(6_999, 7_001) == []
    assert trader.quote(5_999, 6_001) == []
    (stop,) = trader.quote(5_998, 6_000)
    assert stop.reason == "fell by 10.0100 USD from its peak (drawdown_max=10)"


def test_fees_and_funding_when_paid_then_they_are_losses() -> None:
    trader = Trader()
    trader.quote(4_999, 5_001)
    assert trader.trade(100, 5_000, fee=10_000_000) == []
    assert len(trader.trade(100, 5_000, fee=10_000)) == 1


@pytest.mark.parametrize(
    ("bid", "ask", "last", "is_stopped"),
    [(3_900, 3_950, 6_000, True), (4_100, 4_200, 3_900, True), (4_100, 4_200, 4_050, False), (None, None, None, False)],
)
def test_mark_when_the_book_is_not_fresh_then_the_worse_of_what_is_known_counts(
    bid: int | None, ask: int | None, last: int | None, is_stopped: bool
) -> None:
    trader = Trader()
    trader.quote(4_999, 5_001)
    trader.trade(10_000, 5_000)
    if last is not None:
        trader.told(TradePrint(BINARY.id, 1, 1, "t", Price(last), Size(1), Side.BUY))
    assert bool(trader.quote(bid, ask, is_fresh=False)) is is_stopped


def test_mark_when_a_fresh_book_has_no_buyer_then_what_is_held_is_worth_nothing() -> None:
    trader = Trader(loss_max="40")
    trader.quote(4_999, 5_001)
    trader.trade(10_000, 5_000)
    assert len(trader.quote(None, 5_100)) == 1


def test_resume_when_a_person_has_looked_then_it_is_counted_anew() -> None:
    trader = Trader()
    trader.quote(4_999, 5_001)
    trader.trade(10_000, 5_000)
    assert len(trader.quote(3_899, 3_901)) == 1
    resumed = TradingStateChanged(
        scope=Scope.STRATEGY, target="a", state=TradingState.ACTIVE, reason="looked", ts_recv=1
    )
    assert trader.told(resumed) == []
    assert trader.quote(2_949, 2_951) == []
    assert len(trader.quote(2_849, 2_851)) == 1


def test_restart_when_half_of_the_limit_is_lost_then_the_other_half_is_left() -> None:
    trader = Trader()
    trader.quote(4_999, 5_001)
    trader.trade(10_000, 5_000)
    trader.quote(4_499, 4_501)
    trader.restart()
    assert trader.quote(4_001, 4_003) == []
    assert len(trader.quote(3_989, 3_991)) == 1


def test_day_when_it_begins_then_what_was_lost_before_counts_no_more() -> None:
    trader = Trader(day_begins="17:00:00", zone="America/New_York")
    trader.view.now_ns = int(datetime(2026, 11, 30, 21, 59, tzinfo=UTC).timestamp()) * S
    trader.quote(4_999, 5_001)
    trader.trade(10_000, 5_000)
    trader.quote(4_099, 4_101)
    trader.view.now_ns += 60 * S
    assert trader.quote(4_099, 4_101) == []
    assert trader.quote(3_101, 3_103) == []
    assert len(trader.quote(3_089, 3_091)) == 1


def test_settings_when_the_limit_changes_while_it_runs_then_what_was_counted_goes_on() -> None:
    trader = Trader()
    trader.quote(4_999, 5_001)
    trader.trade(10_000, 5_000)
    trader.quote(4_499, 4_501)
    trader.limits = LossLimit.model_validate({"currency": "USD", "loss_max": "4"})
    trader.losses = trader.limits.begin(trader.losses)
    (stop,) = trader.quote(4_499, 4_501)
    assert "loss_max=4" in stop.reason


def test_venue_and_account_when_they_are_counted_then_the_whole_position_is_theirs() -> None:
    for per, scope, target in (("venue", Scope.VENUE, "kalshi"), ("account", Scope.GLOBAL, "")):
        trader = Trader(per=per, effect="halt")
        trader.quote(4_999, 5_001)
        trader.trade(10_000, 5_000)
        (stop,) = trader.quote(3_899, 3_901)
        assert (stop.scope, stop.target, stop.state) == (scope, target, TradingState.HALTED)


def test_instrument_when_it_is_of_another_currency_or_not_named_then_it_does_not_count() -> None:
    euros = msgspec.structs.replace(BINARY, quote_currency="EUR")
    for trader in (Trader(instruments=["coin:*"]), Trader(currency="EUR"), Trader(euros)):
        trader.view.instruments = {one.id: one for one in (trader.instrument, SPOT)}
        trader.quote(4_999, 5_001)
        trader.trade(10_000, 5_000)
        assert trader.quote(1, 3) == []


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"loss_max": None}, "neither loss_max nor drawdown_max is given"),
        ({"zone": "Mars"}, '"Mars" is no time zone'),
        ({"loss_max": "-5"}, "is not a finite number above 0"),
        ({"day_begins": "17:00:00+01:00"}, "the zone stands in zone"),
        ({"per": "strategies"}, "Input should be 'strategy', 'venue' or 'account'"),
    ],
)
def test_settings_when_they_make_no_sense_then_refused_with_the_reason(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(ValidationError, match=line.replace("(", r"\(")):
        LossLimit.model_validate({**TEN, **settings})


def test_sessions_when_their_loss_is_known_then_the_limit_trips_at_once_once_and_never_without_a_cause() -> None:
    figures = prove(60, seed=3)
    assert (figures["broken"], figures["examples"]) == (0, [])
    assert figures["trips"] > 60
    assert figures["restarts"] > 200


@pytest.mark.parametrize("mutant", MUTANTS)
def test_sessions_when_a_protection_is_taken_out_then_it_is_found_out(mutant: str) -> None:
    assert prove(30, seed=3, mutant=mutant)["broken"] > 0
