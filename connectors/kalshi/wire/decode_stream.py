"""WebSocket frames of Kalshi as domain events. Pure: bytes in, frames and events out.

Books are one YES book: what the venue calls the NO side are asks. With `use_yes_price` (always asked for) their
prices come as YES prices; without it as NO prices, which are complemented here (both recorded). Prices are
ten-thousandths of a dollar, sizes hundredths of a contract, times Unix nanoseconds; `ts_recv` is ours. Every function
that reads a message raises `ValueError` for a value that it cannot read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from connectors.client.counts import DecodeCounts
from connectors.client.wire.decimals import NS_PER_MS
from connectors.kalshi.wire.decode_rest import STATES, side_of, total_size
from connectors.kalshi.wire.fixed_point import PRICE_ONE, count_of, money_of, price_of, size_of
from connectors.kalshi.wire.stream_messages import (
    FRAME_TYPES,
    BookDeltaMsg,
    BookSnapshotMsg,
    FillMsg,
    Frame,
    KnownFrame,
    OtherFrame,
    PositionMsg,
    TradeMsg,
    UserOrderMsg,
    unknown_fields,
)
from framework.domain.account_events import Fill, OrderSnapshot, PositionReport
from framework.domain.instruments import InstrumentId, instrument_id
from framework.domain.market_events import BookDelta, BookSnapshot, Level, TradePrint
from framework.domain.numbers import Price
from framework.domain.orders import Side
from framework.domain.plausibility import UNREADABLE

_KNOWN: msgspec.json.Decoder[KnownFrame] = msgspec.json.Decoder(KnownFrame)


class NotAFrame(ValueError):
    """Bytes that are not a JSON object: the stream is broken."""


class FrameDecoder:
    """Turns one connection's messages into frames. The first frame of each type is also checked for new fields."""

    def __init__(self, counts: DecodeCounts, renewed: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> None:
        """`renewed` puts a frame that can't be read into the current shapes, where it is of an older generation."""
        self._counts = counts
        self._renewed = renewed
        self._checked: set[type] = set()

    def decode(self, data: bytes) -> Frame:
        """Decode one message. New types, fields and shapes are counted and never raise.

        Raises `NotAFrame` for bytes that are not a JSON object.
        """
        try:
            frame = _KNOWN.decode(data)
        except msgspec.ValidationError as e:
            return self._older(data, str(e))
        except UNREADABLE as e:
            raise NotAFrame(f"not JSON: {data[:120]!r}") from e
        if type(frame) not in self._checked:
            self._check_fields(data)
            self._checked.add(type(frame))
        return frame

    def _check_fields(self, data: bytes) -> None:
        try:
            names = unknown_fields(data)
        except UNREADABLE as e:
            # What is skipped when a frame of a known type is read need not even be text.
            raise NotAFrame(f"not JSON: {data[:120]!r}") from e
        for name in names:
            self._counts.count(self._counts.unknown_fields, name)

    def _older(self, data: bytes, flaw: str) -> Frame:
        raw = _object(data)
        try:
            return msgspec.convert(self._renewed(raw), KnownFrame)  # type: ignore[no-any-return]  # a union of structs
        except msgspec.ValidationError:
            return self._other(raw, flaw)

    def _other(self, raw: dict[str, Any], flaw: str) -> OtherFrame:
        frame = _rest_of(raw, flaw)
        if frame.type in FRAME_TYPES:
            self._counts.unreadable += 1
        else:
            self._counts.count(self._counts.unknown_types, frame.type)
        return frame


def _object(data: bytes) -> dict[str, Any]:
    """A message as it is. Raises `NotAFrame`."""
    try:
        raw = msgspec.json.decode(data)
    except UNREADABLE as e:
        raise NotAFrame(f"not JSON: {data[:120]!r}") from e
    if not isinstance(raw, dict):
        raise NotAFrame(f"not a frame: {data[:120]!r}")
    return raw


def _rest_of(raw: dict[str, Any], flaw: str) -> OtherFrame:
    """What can be told of a frame that fits none of the known ones."""
    msg = raw.get("msg")
    market = msg.get("market_ticker") if isinstance(msg, dict) else None
    return OtherFrame(
        type=str(raw.get("type", ""))[:40],
        sid=_count_of(raw.get("sid")),
        seq=_count_of(raw.get("seq")),
        market=market if isinstance(market, str) else "",
        flaw=flaw,
    )


def _count_of(value: object) -> int:
    """A number as such or as text; 0 for anything else, as for a frame without a number."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def book_delta(msg: BookDeltaMsg, instrument: InstrumentId, ts_recv: int, *, yes_prices: bool = True) -> BookDelta:
    """A change of one level: the size is added to the level's total. `yes_prices`: the NO side has YES prices.

    Raises `ValueError` for a side that is neither `yes` nor `no`, and for numbers that cannot be read.
    """
    price = price_of(msg.price_dollars)
    if msg.side == "yes":
        side = Side.BUY
    elif msg.side == "no":
        side = Side.SELL
        if not yes_prices:
            price = Price(PRICE_ONE - price)
    else:
        raise ValueError(f"side: {msg.side!r} is neither yes nor no")
    return BookDelta(instrument, msg.ts_ms * NS_PER_MS, ts_recv, side, price, size_of(msg.delta_fp))


def book_snapshot(
    msg: BookSnapshotMsg, instrument: InstrumentId, ts_recv: int, *, ts_venue: int = 0, yes_prices: bool = True
) -> BookSnapshot:
    """A whole book. The message has no time of its own; `ts_venue` is the frame's sending time when it has one."""
    return BookSnapshot(
        instrument=instrument,
        ts_venue=ts_venue,
        ts_recv=ts_recv,
        bids=tuple((price_of(price), count_of(size)) for price, size in msg.yes_dollars_fp),
        asks=tuple(_ask(price, size, yes_prices=yes_prices) for price, size in msg.no_dollars_fp),
    )


def trade_print(msg: TradeMsg, instrument: InstrumentId, ts_recv: int) -> TradePrint:
    """A public trade in YES terms; the aggressor's side is that of the taker."""
    return TradePrint(
        instrument=instrument,
        ts_venue=msg.ts_ms * NS_PER_MS,
        ts_recv=ts_recv,
        trade_id=msg.trade_id,
        price=price_of(msg.yes_price_dollars),
        size=count_of(msg.count_fp),
        aggressor=side_of(msg.taker_book_side, msg.taker_outcome_side, msg.taker_side),
    )


def fill_of(msg: FillMsg, *, venue: str, ts_recv: int) -> Fill:
    """An own trade. Its id is that of the public trade and of the REST fill (*assumption*: equal on both).

    The fee is in millionths of a dollar.
    """
    return Fill(
        venue=venue,
        instrument=instrument_id(venue, msg.market_ticker),
        fill_id=msg.trade_id,
        venue_order_id=msg.order_id,
        client_order_id=msg.client_order_id or "",
        side=side_of(msg.book_side, msg.outcome_side),
        price=price_of(msg.yes_price_dollars),
        size=count_of(msg.count_fp),
        fee=money_of(msg.fee_cost),
        is_maker=not msg.is_taker,
        ts_venue=msg.ts_ms * NS_PER_MS,
        ts_recv=ts_recv,
    )


_REASONS = {
    "Decrease": "cancelled or made smaller on request",
    "Amend": "amended",
    "MarginCancel": "cancelled: not enough cash",
    "SelfTradeCancel": "cancelled: it met an own order",
    "ExpiryCancel": "expired",
    "CloseCancel": "cancelled: the market closed",
    "HaltCancel": "cancelled: the market was paused",
    "Trade": "traded",
    "PostOnlyCrossCancel": "cancelled: post-only, and it would have traded",
    "ReduceOnlyCancel": "cancelled: reduce-only, and nothing was left to reduce",
    "SettlementBoundsCancel": "cancelled: outside the bounds of the settlement",
}
"""The venue's reasons (vendor docs) in words; others are shown as they come."""


def order_snapshot(msg: UserOrderMsg, *, venue: str, ts_recv: int) -> OrderSnapshot:
    """An own order after a change; `reason` says in words what the venue gives for its last one, else the status."""
    filled, remaining = count_of(msg.fill_count_fp), count_of(msg.remaining_count_fp)
    return OrderSnapshot(
        venue=venue,
        venue_order_id=msg.order_id,
        client_order_id=msg.client_order_id or "",
        instrument=instrument_id(venue, msg.ticker),
        side=side_of(msg.book_side, msg.outcome_side),
        price=price_of(msg.yes_price_dollars),
        size=total_size(status=msg.status, initial=count_of(msg.initial_count_fp), filled=filled, remaining=remaining),
        filled=filled,
        is_open=STATES.is_open(msg.status, remaining),
        ts_recv=ts_recv,
        ts_venue=msg.last_updated_ts_ms * NS_PER_MS,
        created_ns=msg.created_ts_ms * NS_PER_MS,
        reason=_REASONS.get(msg.last_update_reason or "", msg.last_update_reason) or msg.status,
    )


def position_of(msg: PositionMsg, *, venue: str, ts_recv: int) -> PositionReport:
    """A net position, long YES positive. The message has no time."""
    return PositionReport(
        venue=venue, instrument=instrument_id(venue, msg.market_ticker), size=size_of(msg.position_fp), ts_recv=ts_recv
    )


def _ask(price: str, size: str, *, yes_prices: bool) -> Level:
    value = price_of(price)
    return (value if yes_prices else Price(PRICE_ONE - value)), count_of(size)
