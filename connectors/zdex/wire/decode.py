"""The venue's rows as events. Exact where it is traded by; figures to look at are cut to the market's scales. Pure."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import msgspec

from connectors.client.wire.answers import NO_TRADING, Meaning, Rule, Verdicts
from connectors.client.wire.coins import CoinMarket, coin_instrument, price_of, size_of
from connectors.client.wire.decimals import NS_PER_MS, cut_to, scaled_of, time_ns
from connectors.client.wire.dialect import OrderStates
from connectors.zdex.dialect import STALE
from connectors.zdex.settings import LEVERAGE_MAX
from connectors.zdex.wire.messages import AssetRow, FundingRow, OrderRow, PositionRow, SymbolRow, TradeRow
from framework.domain.account_events import BalanceReport, CashFlow, CashFlowKind, Fill, OrderSnapshot, PositionReport
from framework.domain.instruments import FeeSchedule, Instrument, InstrumentKind, InstrumentStatus, instrument_id
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Side

MONEY_DECIMALS = 8
_STATES = OrderStates(
    open=frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW"}), ended=frozenset({"FILLED", "CANCELED", "REJECTED"})
)
_STATUSES = {
    "TRADING": InstrumentStatus.ACTIVE,
    "HALT": InstrumentStatus.PAUSED,
    "PENDING_TRADING": InstrumentStatus.UNOPENED,
}
VERDICTS = Verdicts(
    "check dialect, key_id, secret_path and the key's list of addresses",
    (
        Rule(meaning=Meaning.CLOCK, statuses=(401,), codes=(STALE,)),
        Rule(meaning=Meaning.RETRYABLE, statuses=(401,), texts=("replay", "already used")),
        Rule(meaning=Meaning.ACCOUNT, statuses=(403,), texts=("ip ", "ip-", "whitelist")),
        Rule(meaning=Meaning.REFUSED, statuses=(404,), texts=("not found",), code="not_found"),
        Rule(meaning=Meaning.REFUSED, statuses=(403,), texts=("missing permission",), remedy=NO_TRADING),
        Rule(meaning=Meaning.REFUSED, statuses=(400, 409), is_of_cancels=True, code="not_found"),
    ),
)


def instrument_of(venue: str, row: SymbolRow, fees: FeeSchedule) -> Instrument:
    """A listed market, with the scales of its tick and step. Raises `UnusableInstrument` for one that can't be traded,
    naming market and field."""
    rules = {name: str(value) for rule in row.filters for name, value in rule.items()}
    market = CoinMarket(
        symbol=row.symbol, base=row.base_asset, quote=row.quote_asset, tick=rules.get("tickSize", ""),
        step=rules.get("stepSize", ""), price_max=rules.get("maxPrice", ""), size_min=rules.get("minQty", ""),
        size_max=rules.get("maxQty", ""), notional_min=rules.get("notional", ""),
    )  # fmt: skip
    status = _STATUSES.get(row.status, InstrumentStatus.CLOSED)
    one = coin_instrument(venue, market, fees=fees, status=status, kind=InstrumentKind.PERPETUAL)
    return msgspec.structs.replace(
        one, settle_currency=row.quote_asset, leverage_max=LEVERAGE_MAX, maintenance_margin="0.004"
    )


def created_ns(row: OrderRow) -> int:
    """When the venue took an order, in its own nanoseconds; 0 where that is not stated."""
    return time_ns(row.created_at, field="createdAt")


def order_of(row: OrderRow, one: Instrument, asked_ns: int, *, has_client_ids: bool) -> OrderSnapshot:
    """An order as listed. Of one that is filled in part the venue says no more than that: the least is one lot.

    A market order has no price: that of its trigger stands there. Without `has_client_ids` the id in the row is the
    venue's own. Raises `ValueError` for what can't be read, naming the field.
    """
    size = size_of(row.quantity, one, "quantity")
    least = {"FILLED": size, "PARTIALLY_FILLED": one.lot}.get(row.status, Size(0))
    price = next((text for text in (row.price, row.stop_price) if text and text.strip("0.")), "0")
    return OrderSnapshot(
        venue=one.venue, venue_order_id=row.id, client_order_id=(row.client_order_id or "") if has_client_ids else "",
        instrument=one.id, side=Side[row.side], price=price_of(price, one), size=size, filled=least,
        is_open=_STATES.is_open(row.status, size - least), ts_recv=asked_ns, created_ns=created_ns(row),
        reason=row.status.lower(),
    )  # fmt: skip


def fill_of(row: TradeRow, one: Instrument, venue_order_id: str, asked_ns: int) -> Fill:
    """A listed trade of the order `venue_order_id`; only takers' are listed. Its fee is that of the settings, rounded
    up. Raises `ValueError` for what can't be read, naming the field."""
    price, size = price_of(row.price, one), size_of(row.qty, one, "qty")
    return Fill(
        venue=one.venue, instrument=one.id, fill_id=f"{one.symbol}-{row.id}", venue_order_id=venue_order_id,
        client_order_id="", side=Side[row.side], price=price, size=size,
        fee=Money(ceil(Fraction(one.fees.taker_rate) * price * size)), is_maker=False, ts_venue=row.time * NS_PER_MS,
        ts_recv=asked_ns,
    )  # fmt: skip


def position_of(row: PositionRow, one: Instrument, asked_ns: int) -> PositionReport:
    """An open position. Raises `ValueError` for a quantity that can't be read."""

    def price(text: str | None) -> Price | None:
        cut = cut_to(text, one.price_decimals)
        return None if cut is None else Price(cut)

    size = size_of(row.quantity, one, "quantity", is_signed=True)
    margin = cut_to(row.initial_margin, one.money_decimals)
    return PositionReport(
        venue=one.venue, instrument=one.id, size=size, ts_recv=asked_ns,
        entry=price(row.avg_entry_price), mark=price(row.mark_price), liquidation=price(row.liquidation_price),
        margin=None if margin is None else Money(margin), leverage=row.leverage,
    )  # fmt: skip


def balance_of(row: AssetRow, venue: str, asked_ns: int) -> BalanceReport:
    """The wallet's balance: what is there without the open profit. Raises `ValueError`, naming the field."""
    total = scaled_of(row.wallet_balance, MONEY_DECIMALS, "walletBalance")
    free = scaled_of(row.available_balance, MONEY_DECIMALS, "availableBalance")
    return BalanceReport(
        venue=venue, currency=row.asset, amount=total, decimals=MONEY_DECIMALS, ts_recv=asked_ns, available=free,
        locked=max(total - free, 0),
    )  # fmt: skip


def funding_of(row: FundingRow, venue: str, asked_ns: int) -> CashFlow:
    """A funding payment. Raises `ValueError`, naming the field."""
    return CashFlow(
        venue=venue, flow_id=row.id, kind=CashFlowKind.FUNDING, currency=row.asset,
        amount=scaled_of(row.amount, MONEY_DECIMALS, "amount"), decimals=MONEY_DECIMALS,
        ts_venue=row.time * NS_PER_MS, ts_recv=asked_ns, instrument=instrument_id(venue, row.symbol),
    )  # fmt: skip
