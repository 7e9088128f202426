"""BitExAsia's rows and frames as they are sent, and as events. Pure. Shapes are assumed (see `dialect.py`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated

import msgspec

from connectors.bitexasia.dialect import DIALECT
from connectors.client.wire.answers import UnusableInstrument
from connectors.client.wire.calls import Call, path_part
from connectors.client.wire.coins import CoinMarket, book_levels, coin_instrument, price_of, size_of
from connectors.client.wire.decimals import NS_PER_MS, decimals_of, scaled_of, time_ns
from connectors.client.wire.json_text import Millis
from framework.domain.account_events import BalanceReport, OrderSnapshot
from framework.domain.instruments import NOTIONAL_LIMIT, FeeSchedule, Instrument, InstrumentStatus
from framework.domain.market_events import BookLevel, BookSnapshot, TradePrint
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Side

BALANCE_DECIMALS = 8
SPOT = "spot"
"""The balances that pay for orders."""

Seq = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
Pair = Annotated[str, msgspec.Meta(min_length=3, max_length=40)]
_DECIMAL = re.compile(r"[0-9]{1,16}(\.[0-9]{1,40})?", re.ASCII).fullmatch
_OPEN = (InstrumentStatus.ACTIVE, InstrumentStatus.PAUSED, InstrumentStatus.UNOPENED)
_STATUSES = dict(zip(DIALECT.market_states, _OPEN, strict=True))


class MarketRow(msgspec.Struct, frozen=True):
    """A pair as `GET /markets` lists it."""

    pair: Pair
    status: str
    tick_size: str
    min_order_size: str


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order as every answer about it states it. Some names have a second form: of both the one that is there counts.

    `filled_size` may be missing: then it is what `remaining_size` leaves.
    """

    id: str = ""
    order_id: str = ""
    client_order_id: str | None = None
    pair: Pair
    side: str
    price: str | None = None
    size: str
    filled_size: str | None = None
    remaining_size: str | None = None
    avg_fill_price: str | None = None
    average_price: str | None = None
    state: str = ""
    status: str = ""
    created_at: int | str | None = None

    @property
    def name(self) -> str:
        """The venue's id of the order. Raises `ValueError` when there is none."""
        if not (found := self.id or self.order_id):
            raise ValueError("id: is missing")
        return found

    @property
    def word(self) -> str:
        """The order's state in the venue's word. Raises `ValueError` when there is none."""
        if not (found := self.state or self.status):
            raise ValueError("state: is missing")
        return found


class Balance(msgspec.Struct, frozen=True):
    """What there is of one asset."""

    total: str
    available: str


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """Any frame of the stream: `type` says which of the fields it has."""

    type: str
    pair: str = ""
    ts: Millis = 0
    seq: Seq = 0
    prev_seq: Seq = 0
    bids: tuple[tuple[str, str], ...] = ()
    asks: tuple[tuple[str, str], ...] = ()
    changes: tuple[tuple[str, str, str], ...] = ()
    trade_id: str = ""
    price: str = ""
    size: str = ""
    taker_side: str = ""
    code: str = ""
    message: str = ""


Balances = dict[str, dict[str, Balance]]
decode_order = msgspec.json.Decoder(OrderRow).decode
decode_frame = msgspec.json.Decoder(Frame).decode


def cancel_order(venue_order_id: str) -> Call:
    """The request that ends one order."""
    return Call("POST", f"/orders/{path_part(venue_order_id)}/cancel", b"{}", is_urgent=True)


def instrument_of(row: MarketRow, venue: str, fees: FeeSchedule) -> Instrument:
    """A pair as an instrument. Raises `UnusableInstrument`, naming pair and field, for what can't be read."""
    base, dash, quote = row.pair.partition("-")
    if not (base and dash and quote):
        raise UnusableInstrument(f"{row.pair}: is no pair of two assets with a dash between")
    try:
        digits = decimals_of(row.min_order_size, "min_order_size")
    except ValueError as e:
        raise UnusableInstrument(f"{row.pair}: {e}") from e
    step = f"0.{'1'.rjust(digits, '0')}" if digits else "1"
    market = CoinMarket(
        symbol=row.pair, base=base, quote=quote, tick=row.tick_size, step=step, size_min=row.min_order_size
    )
    return coin_instrument(venue, market, fees=fees, status=_STATUSES.get(row.status, InstrumentStatus.CLOSED))


def order_of(row: OrderRow, one: Instrument, asked_ns: int, *, price: Price | None = None) -> OrderSnapshot:
    """An order as stated, dated by when it was asked for. `price` stands in where the row has none.

    The cost is the average price times what is filled, to the nearest unit of money: the average is rounded. Raises
    `ValueError`, naming the field, for what can't be read.
    """
    size, state = size_of(row.size, one), row.word
    filled = _filled(row, one, size)
    if not 0 <= filled <= size or size <= 0:
        raise ValueError(f"filled_size: {filled} of {size} can't be")
    limit = (price_of(row.price, one) if row.price else None) or price
    if limit is None or limit < 0:
        raise ValueError(f"price: {row.price!r} is none"[:80])
    return OrderSnapshot(
        venue=one.venue,
        venue_order_id=row.name,
        client_order_id=row.client_order_id or "",
        instrument=one.id,
        side=side_of(row.side),
        price=limit,
        size=size,
        filled=filled,
        is_open=DIALECT.states.is_open(state, size - filled),
        ts_recv=asked_ns,
        created_ns=time_ns(row.created_at, field="created_at"),
        reason=state,
        cost=_cost(row, one, filled),
    )


def side_of(word: str) -> Side:
    """Buy or sell. Raises `ValueError` for any other word."""
    try:
        return Side(word)
    except ValueError:
        raise ValueError(f"side: {word[:40]!r} is neither buy nor sell") from None


def balances_of(rows: Balances, venue: str, ts_recv: int) -> Iterator[BalanceReport]:
    """What there is: spot balances by their asset, all others under the product's name too ("earn:BTC"), so that no
    check and no comparison takes them for money that can be spent. Raises `ValueError` for what can't be read."""
    for product, assets in rows.items():
        for asset, row in assets.items():
            name = asset if product == SPOT else f"{product}:{asset}"
            total, free = (scaled_of(text, BALANCE_DECIMALS, name) for text in (row.total, row.available))
            yield BalanceReport(
                venue=venue, currency=name, amount=total, decimals=BALANCE_DECIMALS, ts_recv=ts_recv,
                available=free, locked=total - free,
            )  # fmt: skip


def book_of(frame: Frame, one: Instrument, ts_recv: int) -> BookSnapshot:
    """A whole book. Raises `ValueError` for what can't be read."""
    bids, asks = (book_levels(side, one) for side in (frame.bids, frame.asks))
    if any(price <= 0 or size <= 0 for price, size in (*bids, *asks)):
        raise ValueError("a price or size of the book is not above 0")
    return BookSnapshot(one.id, frame.ts * NS_PER_MS, ts_recv, bids, asks)


def levels_of(frame: Frame, one: Instrument, ts_recv: int) -> list[BookLevel]:
    """The changes of a book, those that remove a level first: so it is never crossed between two of one frame. Raises
    `ValueError` for what can't be read."""
    ts = frame.ts * NS_PER_MS
    found = [
        BookLevel(one.id, ts, ts_recv, side_of(side), price_of(price, one), size_of(size, one))
        for side, price, size in frame.changes
    ]
    if any(level.price <= 0 or level.size < 0 for level in found):
        raise ValueError("a changed level has no price, or a size below 0")
    return sorted(found, key=lambda level: level.size > 0)


def trade_of(frame: Frame, one: Instrument, ts_recv: int) -> TradePrint:
    """A public trade. Raises `ValueError` for what can't be read."""
    price, size = price_of(frame.price, one), size_of(frame.size, one)
    if price <= 0 or size <= 0:
        raise ValueError("price or size of a trade is not above 0")
    return TradePrint(one.id, frame.ts * NS_PER_MS, ts_recv, frame.trade_id, price, size, side_of(frame.taker_side))


def _filled(row: OrderRow, one: Instrument, size: Size) -> Size:
    if row.filled_size is not None:
        return size_of(row.filled_size, one, "filled_size")
    if row.remaining_size is None:
        raise ValueError("remaining_size: is missing")
    return Size(size - size_of(row.remaining_size, one, "remaining_size"))


def _cost(row: OrderRow, one: Instrument, filled: Size) -> Money | None:
    text = row.avg_fill_price or row.average_price
    if not filled or not text:
        return None
    if not _DECIMAL(text):
        raise ValueError(f"avg_fill_price: {text[:40]!r} is no decimal above 0")
    cost = round(Fraction(text) * 10**one.price_decimals * filled)
    if cost >= NOTIONAL_LIMIT:
        raise ValueError(f"avg_fill_price: {text} times {filled} is more than any order is worth")
    return Money(cost)
