"""Which event each data frame of the stream becomes, and which frames become none. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

from connectors.kalshi.markets.registry import MarketRegistry
from connectors.kalshi.stream.book_sync import BookRecovery
from connectors.kalshi.wire import decode_stream as decode
from connectors.kalshi.wire import stream_messages as s
from connectors.kalshi.wire.fixed_point import NS_PER_MS
from framework.domain.account_events import Fill, OrderSnapshot, PositionReport
from framework.domain.events import Event
from framework.domain.market_events import BookDelta, BookSnapshot, TradePrint

_ORDER_STATUSES = frozenset({"resting", "canceled", "executed"})


class FrameEvents:
    """Decodes the data frames of one connection. Changes of a book that is not proved are dropped and counted."""

    def __init__(
        self,
        venue: str,
        registry: MarketRegistry,
        books: BookRecovery,
        *,
        counts: decode.DecodeCounts,
        subaccount: int | None,
    ) -> None:
        """`subaccount`: only its fills, orders and positions are ours; None takes all of the account's."""
        self._venue = venue
        self._registry = registry
        self._books = books
        self._counts = counts
        self._subaccount = subaccount
        self._ts_recv = 0
        self._decoders: dict[type, Callable[[Any], Event | None]] = {
            s.DeltaFrame: self._delta,
            s.SnapshotFrame: self._snapshot,
            s.TradeFrame: self._trade,
            s.FillFrame: self._fill,
            s.UserOrderFrame: self._user_order,
            s.PositionFrame: self._position,
            s.TickerFrame: self._nothing,
            s.OrderGroupFrame: self._nothing,
        }

    def is_data(self, frame: s.Frame) -> TypeGuard[s.DataFrame]:
        """Whether this is a frame about markets or the account, which `event_of` takes."""
        return type(frame) in self._decoders

    def event_of(self, frame: s.DataFrame, *, ts_recv: int) -> Event | None:
        """The event of a frame, or None for one that is not used here: of another subaccount, of a market that is not
        followed, or a change of a book that is not proved.

        Raises `ValueError` for a value that cannot be read.
        """
        self._ts_recv = ts_recv
        return self._decoders[type(frame)](frame)

    def _delta(self, frame: s.DeltaFrame) -> BookDelta | None:
        ticker = frame.msg.market_ticker
        instrument = self._registry.followed.get(ticker)
        if instrument is None or not self._books.is_proved(ticker):
            self._counts.strays += 1
            return None
        return decode.book_delta(frame.msg, instrument, self._ts_recv)

    def _snapshot(self, frame: s.SnapshotFrame) -> BookSnapshot | None:
        ticker = frame.msg.market_ticker
        instrument = self._registry.followed.get(ticker)
        if instrument is None:
            self._counts.strays += 1
            return None
        ts_venue = frame.sending_ts_ms * NS_PER_MS
        snapshot = decode.book_snapshot(frame.msg, instrument, self._ts_recv, ts_venue=ts_venue)
        self._books.prove(ticker)
        return snapshot

    def _trade(self, frame: s.TradeFrame) -> TradePrint | None:
        instrument = self._registry.followed.get(frame.msg.market_ticker)
        if instrument is None:
            self._counts.strays += 1
            return None
        return decode.trade_print(frame.msg, instrument, self._ts_recv)

    def _fill(self, frame: s.FillFrame) -> Fill | None:
        if not self._is_ours(frame.msg.subaccount):
            return None
        return decode.fill_of(frame.msg, venue=self._venue, ts_recv=self._ts_recv)

    def _user_order(self, frame: s.UserOrderFrame) -> OrderSnapshot | None:
        if not self._is_ours(frame.msg.subaccount_number):
            return None
        if frame.msg.status not in _ORDER_STATUSES:
            self._counts.count(self._counts.unknown_values, f"user_order.status={frame.msg.status}")
        return decode.order_snapshot(frame.msg, venue=self._venue, ts_recv=self._ts_recv)

    def _position(self, frame: s.PositionFrame) -> PositionReport | None:
        if not self._is_ours(frame.msg.subaccount):
            return None
        return decode.position_of(frame.msg, venue=self._venue, ts_recv=self._ts_recv)

    def _nothing(self, _frame: s.TickerFrame | s.OrderGroupFrame) -> None:
        return None

    def _is_ours(self, subaccount: int) -> bool:
        return self._subaccount is None or subaccount == self._subaccount
