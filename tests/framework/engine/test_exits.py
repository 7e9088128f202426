"""A strategy that is to get out can: reducing scopes, full limits and one-sided books, in a whole core."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from framework.domain.account_events import OrderSnapshot, Scope, TradingState, TradingStateChanged
from framework.domain.orders import Side
from framework.domain.ports import Check
from framework.domain.strategy import Strategy
from framework.domain.verdicts import RefusalCode, Refused, Verdict
from framework.testing import INSTRUMENT, TradingHarness
from risk.checks.max_open_orders import MaxOpenOrders
from risk.checks.max_order_size import MaxOrderSize
from risk.checks.max_position import MaxPosition
from risk.checks.price_collar import PriceCollar


class Plain(Strategy[None]):
    """Does what the test does with its methods."""


def ask(harness: TradingHarness, name: str, side: Side, price: str, size: str) -> RefusalCode | None:
    """Have the strategy ask for an order; the refusal's code, None when it is approved."""
    strategy: Any = harness.strategies[name]
    method = strategy.buy if side is Side.BUY else strategy.sell
    harness.call(method, INSTRUMENT.id, INSTRUMENT.price(price), INSTRUMENT.size(size))
    verdict: Verdict = harness.recorder.verdicts[-1]
    return verdict.code if isinstance(verdict, Refused) else None


def crossed(*checks: Check) -> TradingHarness:
    """The account is flat, and strategy a holds +10 against the -10 of b."""
    harness = TradingHarness(checks=checks)
    harness.venue.quote(bid="0.40", ask="0.44")
    for name in ("a", "b"):
        harness.add(name, Plain)
    for name, side, price in [("a", Side.BUY, "0.44"), ("b", Side.SELL, "0.40")] * 2:
        assert ask(harness, name, side, price, "5") is None
    assert (harness.position().size, harness.position("a").size, harness.position("b").size) == (0, 1_000, -1_000)
    return harness


def reduce(harness: TradingHarness, scope: Scope, target: str) -> None:
    harness.publish(
        TradingStateChanged(scope=scope, target=target, state=TradingState.REDUCING, reason="out", ts_recv=1)
    )


def test_strategy_when_it_is_reducing_on_a_flat_account_then_it_gets_out_and_no_further() -> None:
    harness = crossed(MaxPosition.model_validate({"max_position": "10"}))
    reduce(harness, Scope.STRATEGY, "a")
    assert ask(harness, "a", Side.BUY, "0.41", "1") is RefusalCode.TRADING_REDUCING
    assert ask(harness, "a", Side.SELL, "0.40", "11") is RefusalCode.TRADING_REDUCING
    assert ask(harness, "a", Side.SELL, "0.40", "10") is None
    assert harness.position("a").size == 0


def test_strategy_when_its_exit_opens_the_accounts_position_then_the_accounts_limit_holds() -> None:
    harness = crossed(MaxPosition.model_validate({"max_position": "9"}))
    reduce(harness, Scope.STRATEGY, "a")
    assert ask(harness, "a", Side.SELL, "0.40", "10") is RefusalCode.POSITION_MAX
    assert ask(harness, "a", Side.SELL, "0.40", "9") is None


@pytest.mark.parametrize(
    ("scope", "target"), [(Scope.GLOBAL, ""), (Scope.VENUE, INSTRUMENT.venue), (Scope.INSTRUMENT, INSTRUMENT.id)]
)
def test_account_when_it_is_reducing_and_flat_then_nothing_opens_it(scope: Scope, target: str) -> None:
    harness = crossed()
    reduce(harness, scope, target)
    reduce(harness, Scope.STRATEGY, "a")
    assert ask(harness, "a", Side.SELL, "0.40", "10") is RefusalCode.TRADING_REDUCING
    assert ask(harness, "b", Side.BUY, "0.44", "10") is RefusalCode.TRADING_REDUCING


def test_exit_when_others_fill_every_count_then_it_has_a_place_once() -> None:
    harness = TradingHarness(checks=[MaxOpenOrders(max_total=4, max_per_instrument=3)])
    harness.venue.quote(bid="0.40", ask="0.44")
    for name in ("a", "b"):
        harness.add(name, Plain)
    assert ask(harness, "a", Side.BUY, "0.44", "10") is None
    for price in ("0.45", "0.46", "0.47"):
        assert ask(harness, "b", Side.SELL, price, "10") is None
    assert ask(harness, "b", Side.BUY, "0.39", "1") is RefusalCode.OPEN_ORDERS_MAX
    assert ask(harness, "a", Side.BUY, "0.39", "1") is RefusalCode.OPEN_ORDERS_MAX
    assert ask(harness, "a", Side.SELL, "0.48", "4") is None
    assert ask(harness, "a", Side.SELL, "0.48", "4") is RefusalCode.OPEN_ORDERS_MAX, "it has its place already"


def test_exit_when_larger_than_an_order_may_be_then_passes_and_one_that_turns_does_not() -> None:
    harness = TradingHarness(checks=[MaxOrderSize.model_validate({"max_size": "6"})])
    harness.venue.quote(bid="0.40", ask="0.44")
    harness.add("a", Plain)
    for _ in range(2):
        assert ask(harness, "a", Side.BUY, "0.44", "5") is None
    assert ask(harness, "a", Side.SELL, "0.40", "10.01") is RefusalCode.ORDER_SIZE_MAX
    assert ask(harness, "a", Side.SELL, "0.40", "10") is None


def test_exit_when_nobody_asks_near_the_end_then_leaves_at_the_best_bid_and_the_mark_says_bid() -> None:
    harness = TradingHarness(checks=[PriceCollar.model_validate({"band": {"ticks": 5}, "age_ms_max": 1_000})])
    harness.venue.quote(bid="0.40", ask="0.44")
    harness.add("a", Plain)
    assert ask(harness, "a", Side.BUY, "0.44", "10") is None
    harness.venue.quote(bid="0.97")
    profit = harness.profit_and_loss("a")
    assert (profit.mark, profit.unrealised) == ("bid", 1_000 * 5_300)
    assert ask(harness, "a", Side.SELL, "0.96", "10") is RefusalCode.NO_REFERENCE_PRICE
    assert ask(harness, "a", Side.SELL, "0.97", "10") is None
    assert harness.position("a").size == 0


def test_account_limits_when_another_programs_order_rests_then_it_counts_and_only_there() -> None:
    limits = MaxPosition.model_validate({"max_position": "255", "max_strategy_position": "6"})
    harness = TradingHarness(checks=[limits, MaxOpenOrders(max_total=3, max_per_strategy=2)])
    harness.venue.quote(bid="0.40", ask="0.44")
    harness.add("a", Plain)
    listing = OrderSnapshot(
        venue=INSTRUMENT.venue,
        venue_order_id="theirs",
        client_order_id="",
        instrument=INSTRUMENT.id,
        side=Side.BUY,
        price=INSTRUMENT.price("0.39"),
        size=INSTRUMENT.size("250"),
        filled=INSTRUMENT.size("0"),
        is_open=True,
        ts_recv=1,
    )
    harness.publish(listing)
    assert ask(harness, "a", Side.BUY, "0.40", "6") is RefusalCode.POSITION_MAX
    assert ask(harness, "a", Side.BUY, "0.40", "5") is None
    harness.publish(msgspec.structs.replace(listing, venue_order_id="too", side=Side.SELL))
    assert ask(harness, "a", Side.SELL, "0.44", "1") is RefusalCode.OPEN_ORDERS_MAX
    for name in ("theirs", "too"):
        harness.publish(msgspec.structs.replace(listing, venue_order_id=name, is_open=False, ts_recv=2))
    assert ask(harness, "a", Side.SELL, "0.44", "1") is None
