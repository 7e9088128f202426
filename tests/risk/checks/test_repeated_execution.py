from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from framework.domain.account_events import Fill, Scope, TradingState, TradingStateChanged
from framework.domain.instruments import Instrument
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Side
from risk.checks.repeated_execution import FillRates, RepeatedExecution
from tests.support.risk_view import BINARY, SPOT, Propose, StaticView, working_order

S = 1_000_000_000
TEN_SECONDS = RepeatedExecution.model_validate({"window_ms": 10_000, "fills_max": 3})


class Market:
    """Fills of two strategies as they become known, each its own order's."""

    def __init__(self, check: RepeatedExecution = TEN_SECONDS) -> None:
        self.view = StaticView(orders={name: working_order(strategy=name) for name in ("a", "b")})
        self.rates: FillRates = check.begin()

    def fill(
        self, *, ago_s: float = 0, name: str = "a", size: int = 100, instrument: Instrument = BINARY, **facts: Any
    ) -> tuple[TradingStateChanged, ...]:
        """A fill that happened `ago_s` seconds ago, and what follows."""
        venue_ns = self.view.now_ns - int(ago_s * S)
        terms = {"venue": instrument.venue, "ts_venue": venue_ns, "ts_recv": self.view.now_ns, **facts}
        one = Fill(
            instrument=instrument.id,
            fill_id="f",
            venue_order_id="v",
            client_order_id=name,
            side=Side.BUY,
            price=Price(5_000),
            size=Size(size),
            fee=Money(0),
            is_maker=True,
            **terms,
        )
        return self.rates.follow(one, self.view)

    def wait(self, seconds: float) -> None:
        """Time passes on both clocks."""
        self.view.now_ns += int(seconds * S)
        self.view.monotonic_ns += int(seconds * S)

    def set(self, state: TradingState, *, scope: Scope = Scope.STRATEGY, target: str = "a") -> None:
        """Somebody sets a trading state."""
        changed = TradingStateChanged(scope=scope, target=target, state=state, reason="", ts_recv=0)
        assert self.rates.follow(changed, self.view) == ()


@pytest.mark.parametrize(("last_s", "is_halted"), [(9.9, True), (10, True), (10.000001, False), (30, False)])
def test_fills_when_under_at_and_over_the_number_then_halted_within_the_time_alone(
    last_s: float, is_halted: bool
) -> None:
    market = Market()
    assert [market.fill() for _ in range(3)] == [()] * 3
    market.wait(last_s)
    assert bool(market.fill()) is is_halted


def test_halt_when_ordered_then_it_is_of_the_strategy_cancels_and_says_why() -> None:
    market = Market()
    halts = [halt for _ in range(4) for halt in market.fill()]
    assert halts == [
        TradingStateChanged(
            scope=Scope.STRATEGY,
            target="a",
            state=TradingState.HALTED,
            reason="4 fills (fills_max=3) within 10000 ms",
            ts_recv=market.view.now_ns,
            is_cancelling=True,
        )
    ]


@pytest.mark.parametrize(("last", "is_halted"), [(499, False), (500, False), (501, True)])
def test_size_when_under_at_and_over_the_limit_then_halted_over_it(last: int, is_halted: bool) -> None:
    market = Market(RepeatedExecution.model_validate({"fills_max": 100, "size_max": "7.5"}))
    assert market.fill(size=250) == ()
    halts = market.fill(size=last)
    assert [halt.reason for halt in halts] == (["7.51 traded (size_max=7.5) within 15000 ms"] if is_halted else [])


def test_sizes_when_of_instruments_with_other_decimals_then_they_are_summed_as_contracts_and_coins() -> None:
    market = Market(RepeatedExecution.model_validate({"fills_max": 100, "size_max": "2"}))
    assert market.fill(size=100) == ()
    assert market.fill(size=10**8, instrument=SPOT) == ()
    assert market.fill(size=1, instrument=SPOT) != ()


def test_size_when_the_instrument_is_not_known_then_the_larger_number_counts() -> None:
    market = Market(RepeatedExecution.model_validate({"fills_max": 100, "size_max": "99"}))
    market.view.instruments.clear()
    assert market.fill(size=100) != ()


def test_strategies_when_each_trades_then_each_is_counted_by_itself() -> None:
    market = Market()
    for name in ("a", "b") * 3:
        assert market.fill(name=name) == ()
    assert [halt.target for halt in market.fill(name="b")] == ["b"]
    assert market.fill(name="nobody") == ()


def test_fills_when_they_become_known_late_and_at_once_then_they_count_when_they_happened() -> None:
    market = Market()
    for ago_s in range(600, 0, -4):
        assert market.fill(ago_s=ago_s) == ()
    assert [bool(market.fill(ago_s=ago_s)) for ago_s in (0.2, 0.1)] == [False, True], "with those 8 and 4 s ago"


def test_fills_when_a_burst_becomes_known_late_then_it_halts() -> None:
    market = Market()
    assert [bool(market.fill(ago_s=ago_s)) for ago_s in (300, 299, 298, 297)] == [False, False, False, True]


def test_fills_when_they_come_out_of_order_then_those_within_the_window_count() -> None:
    market = Market()
    assert [bool(market.fill(ago_s=ago_s)) for ago_s in (0, 9, 3, 6)] == [False, False, False, True]
    market = Market()
    assert [bool(market.fill(ago_s=ago_s)) for ago_s in (0, 11, 3, 12)] == [False] * 4


def test_fills_when_a_venue_gives_no_times_then_receipt_counts() -> None:
    market = Market()
    for _ in range(6):
        assert market.fill(ts_venue=0) == ()
        market.wait(4)
    assert [bool(market.fill(ts_venue=0)) for _ in range(3)] == [False, True, False]


@pytest.mark.parametrize("skew_s", [0, 7_200, -7_200])
def test_fills_when_at_two_venues_whose_clocks_differ_then_they_count_together(skew_s: float) -> None:
    market = Market()
    there: dict[str, Any] = {"instrument": SPOT, "ago_s": skew_s}
    assert market.fill() == market.fill(**there) == market.fill() == ()
    market.wait(10)
    assert market.fill(**there) != ()
    market = Market()
    assert market.fill() == market.fill(**there) == market.fill() == ()
    market.wait(10.001)
    assert market.fill(**there) == ()


def test_fills_when_the_venues_clock_was_set_back_then_they_count_again_soon() -> None:
    market = Market()
    market.fill()
    market.wait(25)
    assert [bool(market.fill(ago_s=3_600)) for _ in range(4)] == [False, False, False, True]


def test_stopped_strategy_when_it_fills_on_then_it_is_not_halted_again_and_nothing_is_kept() -> None:
    market = Market()
    assert [bool(market.fill()) for _ in range(40)].count(True) == 1
    assert not market.rates._fills.get("a")


@pytest.mark.parametrize("state", [TradingState.ACTIVE, TradingState.REDUCING])
def test_stopped_strategy_when_a_person_lets_it_on_then_it_is_counted_anew(state: TradingState) -> None:
    market = Market()
    for _ in range(4):
        market.fill()
    market.set(TradingState.HALTED)
    market.set(TradingState.ACTIVE, target="b")
    market.set(TradingState.ACTIVE, scope=Scope.INSTRUMENT)
    assert market.fill() == ()
    market.set(state)
    assert [bool(market.fill()) for _ in range(4)] == [False, False, False, True]


def test_memory_when_a_strategy_trades_for_long_then_it_is_bounded() -> None:
    market = Market()
    for _ in range(1_000):
        assert market.fill() == ()
        market.wait(5)
    assert len(market.rates._fills["a"]) <= 3


def test_fills_when_of_instruments_that_are_not_named_then_they_do_not_count() -> None:
    check = RepeatedExecution.model_validate({"fills_max": 1, "instruments": ["kalshi:*"]})
    market = Market(check)
    assert [market.fill(instrument=SPOT) for _ in range(5)] == [()] * 5
    assert [bool(market.fill()) for _ in range(2)] == [False, True]


def test_order_when_it_is_asked_about_then_this_check_refuses_nothing(propose: Propose) -> None:
    market = Market()
    assert [market.rates.check(propose(), market.view) for _ in range(5)] == [None] * 5


def test_settings_when_they_change_while_it_runs_then_fills_and_stops_of_before_are_known() -> None:
    market = Market()
    assert market.fill() == market.fill() == ()
    market.rates = RepeatedExecution(window_ms=10_000, fills_max=2).begin(market.rates)
    assert market.fill() != ()
    market.rates = RepeatedExecution(window_ms=10_000, fills_max=1).begin(market.rates)
    assert market.fill() == market.fill() == ()


def test_settings_when_they_make_no_sense_then_refused() -> None:
    for settings, field in (
        ({}, "fills_max"),
        ({"fills_max": 0}, "fills_max"),
        ({"fills_max": 1, "window_ms": 0}, "window_ms"),
        ({"fills_max": 1, "size_max": "0"}, "size_max"),
        ({"fills_max": 1, "size_max": 0.5}, "size_max"),
    ):
        with pytest.raises(ValidationError, match=field):
            RepeatedExecution.model_validate(settings)
