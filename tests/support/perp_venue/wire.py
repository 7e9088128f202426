"""The venue's messages as events and back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import ceil

import msgspec

from connectors.client.instruments import InstrumentRegistry
from connectors.client.session import FrameRole
from connectors.client.wire.answers import ErrorResponse, Meaning, Rule, Verdicts, code_of_text
from connectors.client.wire.calls import Call
from connectors.client.wire.decimals import NS_PER_MS, decimals_of, plain_text, scaled_of
from connectors.client.wire.reports import Ack
from framework.domain.account_events import (
    BalanceReport,
    CashFlow,
    CashFlowKind,
    Fill,
    OrderSnapshot,
    PositionReport,
)
from framework.domain.instruments import (
    FeeSchedule,
    Instrument,
    InstrumentId,
    InstrumentKind,
    InstrumentStatus,
    TickBand,
    instrument_id,
)
from framework.domain.intents import NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import OrderKind, Side

DECIMALS = {"BTCUSDT": (1, 3)}
ROLES = {"orderbook": FrameRole.BOOK}
FEES = FeeSchedule(taker_rate="0.0005", maker_rate="0.0002")
VERDICTS = Verdicts(
    "check key_id, secret_path and the addresses that the key allows",
    (
        Rule(meaning=Meaning.CLOCK, statuses=(401,), texts=("timestamp",)),
        Rule(meaning=Meaning.RETRYABLE, statuses=(401,), texts=("replayed",)),
        Rule(meaning=Meaning.ACCOUNT, statuses=(403,), texts=("IP address",)),
        Rule(meaning=Meaning.REFUSED, statuses=(404,), texts=("not found", "not_found"), code="not_found"),
        Rule(meaning=Meaning.REFUSED, statuses=(400,), texts=("already",), is_of_cancels=True, code="not_found"),
    ),
)
STATUSES = {"TRADING": InstrumentStatus.ACTIVE, "HALT": InstrumentStatus.PAUSED, "PENDING": InstrumentStatus.UNOPENED}


def parse_error(status: int, body: bytes, after_ms: int) -> ErrorResponse:
    """Errors are a text, of which the code is made."""
    try:
        text = str(msgspec.json.decode(body)["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return ErrorResponse(status, "", after_ms=after_ms)
    return ErrorResponse(status, code_of_text(text), text, after_ms=after_ms)


class Row(msgspec.Struct, rename="camel"):
    """Names as the venue writes them."""


class SymbolRow(msgspec.Struct, rename="camel"):
    symbol: str
    status: str
    tick_size: str
    step_size: str
    max_price: str
    max_qty: str
    min_notional: str


class SymbolPage(msgspec.Struct):
    data: list[SymbolRow]


class OrderRow(msgspec.Struct, rename="camel"):
    id: str
    symbol: str
    side: str
    type: str
    quantity: str
    price: str
    status: str
    client_order_id: str = ""
    created_at: int = 0


class OrderAnswer(msgspec.Struct):
    order: OrderRow


class OrderPage(msgspec.Struct):
    orders: tuple[OrderRow, ...]
    total: int


class TradeRow(msgspec.Struct, rename="camel"):
    id: int
    trade: str
    order_id: str
    price: str
    qty: str
    side: str
    time: int


class TradePage(msgspec.Struct):
    data: tuple[TradeRow, ...]


class FlowRow(msgspec.Struct):
    id: int
    flow: str
    type: str
    symbol: str
    asset: str
    amount: str
    time: int


class FlowPage(msgspec.Struct):
    data: tuple[FlowRow, ...]


class PositionRow(msgspec.Struct, rename="camel"):
    symbol: str
    quantity: str
    avg_entry_price: str
    mark_price: str
    liquidation_price: str
    initial_margin: str
    leverage: int


class PositionPage(msgspec.Struct):
    positions: list[PositionRow]


class AssetRow(msgspec.Struct, rename="camel"):
    asset: str
    wallet_balance: str
    available_balance: str


class Assets(msgspec.Struct):
    assets: list[AssetRow]


class BalanceAnswer(msgspec.Struct):
    balances: Assets


class Known(Mapping[str, Instrument]):
    """The instruments of a registry by symbol."""

    def __init__(self, registry: InstrumentRegistry) -> None:
        self._registry = registry

    def __getitem__(self, symbol: str) -> Instrument:
        found = self._registry.find_symbol(symbol)
        if found is None:
            raise KeyError(symbol)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry.symbols())

    def __len__(self) -> int:
        return len(self._registry.symbols())


def scales(symbol: str) -> tuple[int, int]:
    return DECIMALS.get(symbol, (2, 2))


def price_of(symbol: str, text: str) -> Price:
    return Price(scaled_of(text, scales(symbol)[0], "price"))


def size_of(symbol: str, text: str) -> Size:
    return Size(scaled_of(text, scales(symbol)[1], "size"))


def instrument_of(venue: str, row: SymbolRow) -> Instrument:
    """A listed symbol. Raises `ValueError` for one that can't be traded."""
    price_decimals, size_decimals = decimals_of(row.tick_size), decimals_of(row.step_size)
    tick = Price(scaled_of(row.tick_size, price_decimals, "tickSize"))
    end = Price(scaled_of(row.max_price, price_decimals, "maxPrice"))
    return Instrument(
        id=instrument_id(venue, row.symbol),
        venue=venue,
        symbol=row.symbol,
        kind=InstrumentKind.PERPETUAL,
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        tick_bands=(TickBand(tick, end, tick),),
        lot=Size(scaled_of(row.step_size, size_decimals, "stepSize")),
        size_max=Size(scaled_of(row.max_qty, size_decimals, "maxQty")),
        notional_min=Money(scaled_of(row.min_notional, price_decimals + size_decimals, "minNotional")),
        base_currency=row.symbol.removesuffix("USDT"),
        quote_currency="USDT",
        settle_currency="USDT",
        leverage_max=125,
        maintenance_margin="0.004",
        fees=FEES,
        status=STATUSES.get(row.status, InstrumentStatus.CLOSED),
    )


def new_order(client_order_id: str, intent: NewOrder) -> Call:
    symbol = intent.instrument.partition(":")[2]
    price_decimals, size_decimals = scales(symbol)
    body = {
        "symbol": symbol,
        "side": intent.side.name,
        "type": "STOP" if intent.trigger is not None else intent.kind.name,
        "quantity": plain_text(intent.size, size_decimals),
        "clientOrderId": client_order_id,
    }
    if intent.kind is OrderKind.LIMIT:
        body["price"] = plain_text(intent.price, price_decimals)
    if intent.trigger is not None:
        body["stopPrice"] = plain_text(intent.trigger.price, price_decimals)
    more = {"reduceOnly": True} if intent.reduce_only else {}
    return Call("POST", "/orders", msgspec.json.encode(body | more))


def decode_order(body: bytes) -> OrderRow:
    return msgspec.json.decode(body, type=OrderAnswer).order


def ack_of(row: OrderRow, now_ns: int) -> Ack:
    return Ack(row.id, now_ns)


def snapshot_of(venue: str, row: OrderRow, asked_ns: int) -> OrderSnapshot:
    """An order as listed: of a part that is filled the venue says no more than that there is one."""
    size = size_of(row.symbol, row.quantity)
    least = {"FILLED": size, "PARTIALLY_FILLED": Size(1)}
    return OrderSnapshot(
        venue=venue,
        venue_order_id=row.id,
        client_order_id=row.client_order_id,
        instrument=instrument_id(venue, row.symbol),
        side=Side[row.side],
        price=price_of(row.symbol, row.price),
        size=size,
        filled=least.get(row.status, Size(0)),
        is_open=row.status not in ("FILLED", "CANCELED", "REJECTED"),
        is_cancelling=row.status == "PENDING_CANCEL",
        ts_recv=asked_ns,
        created_ns=row.created_at * NS_PER_MS,
        reason=row.status.lower(),
    )


def fill_of(one: Instrument, row: TradeRow, now_ns: int) -> Fill:
    """A listed trade; only takers' are. Its fee is the documented rate's."""
    price, size = one.price(row.price), one.size(row.qty)
    return Fill(
        venue=one.venue,
        instrument=one.id,
        fill_id=row.trade,
        venue_order_id=row.order_id,
        client_order_id="",
        side=Side[row.side],
        price=price,
        size=size,
        fee=Money(ceil(Fraction(FEES.taker_rate) * price * size)),
        is_maker=False,
        ts_venue=row.time * NS_PER_MS,
        ts_recv=now_ns,
    )


def position_of(venue: str, row: PositionRow, asked_ns: int) -> PositionReport:
    price = lambda text: price_of(row.symbol, text)  # noqa: E731
    return PositionReport(
        venue=venue,
        instrument=instrument_id(venue, row.symbol),
        size=size_of(row.symbol, row.quantity),
        ts_recv=asked_ns,
        entry=price(row.avg_entry_price),
        mark=price(row.mark_price),
        liquidation=price(row.liquidation_price),
        margin=Money(scaled_of(row.initial_margin, 4, "initialMargin")),
        leverage=row.leverage,
    )


def balance_of(venue: str, row: AssetRow, now_ns: int) -> BalanceReport:
    amount, free = (scaled_of(text, 4, "balance") for text in (row.wallet_balance, row.available_balance))
    return BalanceReport(
        venue=venue, currency=row.asset, amount=amount, decimals=4, ts_recv=now_ns, available=free, locked=amount - free
    )


def flow_of(venue: str, row: FlowRow, now_ns: int) -> CashFlow:
    return CashFlow(
        venue=venue,
        flow_id=row.flow,
        kind=CashFlowKind[row.type],
        currency=row.asset,
        amount=scaled_of(row.amount, 4, "amount"),
        decimals=4,
        ts_venue=row.time * NS_PER_MS,
        ts_recv=now_ns,
        instrument=instrument_id(venue, row.symbol) if row.symbol else InstrumentId(""),
    )
