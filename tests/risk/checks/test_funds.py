"""What an order needs of the account's money, and what is left of it."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import BalanceReport
from framework.domain.instruments import FeeSchedule, InstrumentId, InstrumentKind
from framework.domain.numbers import Size
from framework.domain.orders import OrderStatus, Side
from framework.domain.verdicts import Refusal, RefusalCode
from risk.checks.funds import Funds
from tests.support.risk_view import BINARY, SPOT, Exposure, Propose, StaticView, working_order

COIN = msgspec.structs.replace(SPOT, base_currency="BTC", fees=FeeSchedule(taker_rate="0.001"))
PERPETUAL = msgspec.structs.replace(
    COIN, id=InstrumentId("perp:BTC"), venue="perp", kind=InstrumentKind.PERPETUAL, settle_currency="USDT"
)
HUNDRED = 100_00 * 10**6
CHECK = Funds()
FIVE = Funds(leverage={"perp:*": 5, "*": 2})


def report(
    view: StaticView, venue: str, currency: str, available: int | None, *, amount: int = 0, age_ms: int = 0
) -> None:
    """The venue reported a balance in cents."""
    view.balances[venue, currency] = BalanceReport(
        venue=venue,
        currency=currency,
        amount=amount,
        decimals=2,
        ts_recv=view.now_ns - age_ms * 10**6,
        available=available,
    )


def bitcoin(view: StaticView, propose: Propose, instrument: object, size: int, side: Side = Side.BUY) -> object:
    """An order of so many hundredths of a bitcoin at 1,000 dollars each."""
    view.instruments = {one.id: one for one in (BINARY, COIN, PERPETUAL)}
    return propose(instrument, side, 1_000_00, size * 10**6)


@pytest.mark.parametrize(("cents", "passes"), [(100_10, True), (100_09, False)])
def test_buy_when_the_cash_does_not_cover_value_and_fee_then_is_refused(
    view: StaticView, propose: Propose, cents: int, passes: bool
) -> None:
    report(view, "coin", "USD", cents)
    refusal = CHECK.check(bitcoin(view, propose, COIN, 10), view)
    assert (refusal is None) is passes
    assert refusal is None or refusal.text == f"currency=USD needed=100.10 available={cents / 100:.2f}"


@pytest.mark.parametrize(("hundredths", "passes"), [(10, True), (9, False)])
def test_sell_at_a_spot_market_when_the_asset_is_not_there_then_is_refused(
    view: StaticView, propose: Propose, hundredths: int, passes: bool
) -> None:
    report(view, "coin", "BTC", hundredths)
    report(view, "coin", "margin:BTC", 10_000)
    refusal = CHECK.check(bitcoin(view, propose, COIN, 10, Side.SELL), view)
    assert (refusal is None) is passes
    assert refusal is None or (refusal.code, refusal.details["currency"]) == (RefusalCode.FUNDS, "BTC")


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("check", "stated", "cents"),
    [(CHECK, None, 100_10), (FIVE, None, 20_10), (FIVE, 10, 20_10), (FIVE, 4, 25_10), (CHECK, 4, 25_10)],
)
def test_perpetual_when_its_margin_is_not_there_then_either_side_is_refused(
    view: StaticView, propose: Propose, side: Side, check: Funds, stated: int | None, cents: int
) -> None:
    """The lower one of the account's leverage and the position's counts, and 1 where none is known."""
    view.leverages = {} if stated is None else {PERPETUAL.id: stated}
    report(view, "perp", "USDT", cents)
    assert check.check(bitcoin(view, propose, PERPETUAL, 10, side), view) is None
    report(view, "perp", "USDT", cents - 1)
    refused = check.check(bitcoin(view, propose, PERPETUAL, 10, side), view)
    assert refused is not None
    assert refused.code is RefusalCode.FUNDS


def test_order_when_others_have_taken_funds_since_the_report_then_only_the_rest_counts(
    view: StaticView, propose: Propose
) -> None:
    report(view, "perp", "USDT", 40_20)
    view.taken = {(PERPETUAL.id, Side.SELL): HUNDRED * 10**2}
    assert FIVE.check(bitcoin(view, propose, PERPETUAL, 10), view) is None
    view.taken[PERPETUAL.id, Side.BUY] = 1
    assert FIVE.check(bitcoin(view, propose, PERPETUAL, 10), view) is not None
    view.taken[PERPETUAL.id, Side.BUY] = -HUNDRED * 10**2
    assert FIVE.check(bitcoin(view, propose, PERPETUAL, 20), view) is None


@pytest.mark.parametrize("age_ms", [60_001, -1, None])
def test_order_when_the_balance_is_old_or_unknown_then_nothing_is_spent(
    view: StaticView, propose: Propose, age_ms: int | None
) -> None:
    if age_ms is not None:
        report(view, "coin", "USD", 10**9, age_ms=age_ms)
    refusal = CHECK.check(bitcoin(view, propose, COIN, 10), view)
    assert isinstance(refusal, Refusal)
    assert refusal.code is RefusalCode.FUNDS_UNKNOWN


def test_order_when_it_can_only_close_then_no_funds_are_asked_for(view: StaticView, propose: Propose) -> None:
    view.account, view.own = Exposure(position=Size(10**8)), Exposure(position=Size(10**8))
    assert CHECK.check(bitcoin(view, propose, PERPETUAL, 10, Side.SELL), view) is None
    assert CHECK.check(bitcoin(view, propose, PERPETUAL, 10, Side.BUY), view) is not None
    view.account = view.own = Exposure()
    assert CHECK.check(propose(PERPETUAL, Side.SELL, 1_000_00, 10**7, reduce_only=True), view) is None


def test_amend_when_it_makes_the_order_worth_more_then_the_difference_must_be_there(
    view: StaticView, propose_change: Propose
) -> None:
    order = working_order(BINARY, status=OrderStatus.WORKING)
    report(view, BINARY.venue, "USD", 1_07)
    assert CHECK.check(propose_change(order, price=6_000), view) is None
    assert CHECK.check(propose_change(order, price=6_100), view) is not None
    view.balances.clear()
    assert CHECK.check(propose_change(order, price=5_000), view) is None


def test_binary_when_sold_then_what_can_be_lost_must_be_there_of_the_whole_balance(
    view: StaticView, propose: Propose
) -> None:
    """Ten contracts at 0.80 can lose two dollars, and cost at most seven hundredths of that as fees."""
    report(view, BINARY.venue, "USD", None, amount=2_14)
    assert CHECK.check(propose(BINARY, Side.SELL, 8_000, 1_000), view) is None
    report(view, BINARY.venue, "USD", None, amount=2_13)
    assert CHECK.check(propose(BINARY, Side.SELL, 8_000, 1_000), view) is not None


def test_instrument_when_it_is_not_among_those_named_then_it_is_not_asked_about(
    view: StaticView, propose: Propose
) -> None:
    check = Funds(instruments=("perp:*",))
    assert check.check(bitcoin(view, propose, COIN, 10), view) is None
    assert check.check(bitcoin(view, propose, PERPETUAL, 10), view) is not None
