"""Which event each data frame of the stream becomes, and which frames become none. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.client.wire.decimals import NS_PER_MS
from connectors.kalshi.markets.registry import MarketRegistry
from connectors.kalshi.stream.book_sync import BookRecovery
from connectors.kalshi.wire import decode_stream as decode
from connectors.kalshi.wire import stream_messages as s
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
        self.decoders: dict[type, Callable[[Any, int], Event | None]] = {
            s.DeltaFrame: self._delta,
            s.SnapshotFrame: self._snapshot,
            s.TradeFrame: self._trade,
            s.FillFrame: self._fill,
            s.UserOrderFrame: self._user_order,
            s.PositionFrame: self._position,
            s.TickerFrame: self._nothing,
            s.OrderGroupFrame: self._nothing,
        }
        """By the class of a data frame: what makes an event of it and of `ts_recv` (wall nanoseconds). None means that
        the frame says nothing that is wanted; raises `ValueError` for unreadable values."""

    def _delta(self, frame: s.DeltaFrame, ts_recv: int) -> BookDelta | None:
        ticker = frame.msg.market_ticker
        instrument = self._registry.followed.get(ticker)
        if instrument is None or ticker not in self._books.proved:
            self._counts.strays += 1
            return None
        return decode.book_delta(frame.msg, instrument, ts_recv)

    def _snapshot(self, frame: s.SnapshotFrame, ts_recv: int) -> BookSnapshot | None:
        ticker = frame.msg.market_ticker
        instrument = self._registry.followed.get(ticker)
        if instrument is None:
            self._counts.strays += 1
            return None
        ts_venue = frame.sending_ts_ms * NS_PER_MS
        snapshot = decode.book_snapshot(frame.msg, instrument, ts_recv, ts_venue=ts_venue)
        self._books.prove(ticker)
        return snapshot

    def _trade(self, frame: s.TradeFrame, ts_recv: int) -> TradePrint | None:
        instrument = self._registry.followed.get(frame.msg.market_ticker)
        if instrument is None:
            self._counts.strays += 1
            return None
        return decode.trade_print(frame.msg, instrument, ts_recv)

    def _fill(self, frame: s.FillFrame, ts_recv: int) -> Fill | None:
        if not self._is_ours(frame.msg.subaccount):
            return None
        return decode.fill_of(frame.msg, venue=self._venue, ts_recv=ts_recv)

    def _user_order(self, frame: s.UserOrderFrame, ts_recv: int) -> OrderSnapshot | None:
        if not self._is_ours(frame.msg.subaccount_number):
            return None
        if frame.msg.status not in _ORDER_STATUSES:
            self._counts.count(self._counts.unknown_values, f"user_order.status={frame.msg.status}")
        return decode.order_snapshot(frame.msg, venue=self._venue, ts_recv=ts_recv)

    def _position(self, frame: s.PositionFrame, ts_recv: int) -> PositionReport | None:
        if not self._is_ours(frame.msg.subaccount):
            return None
        return decode.position_of(frame.msg, venue=self._venue, ts_recv=ts_recv)

    def _nothing(self, _frame: s.TickerFrame | s.OrderGroupFrame, _ts_recv: int) -> None:
        return None

    def _is_ours(self, subaccount: int) -> bool:
        return self._subaccount is None or subaccount == self._subaccount
