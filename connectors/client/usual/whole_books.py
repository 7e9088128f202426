"""Streams whose book messages are whole books with a number that grows, and whose trade messages repeat recent ones."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.client.book_sync import Step, UpdateTracker
from connectors.client.session import StreamSession
from connectors.client.wire.coins import book_levels
from connectors.client.wire.decimals import NS_PER_MS
from framework.domain.instruments import Instrument
from framework.domain.market_events import BookSnapshot, TradePrint

Rows = Sequence[Sequence[str]]
"""One side of a book: pairs of price and size as text."""

_TRADES_KEPT = 1_000


class WholeBooks:
    """The books of one connection. An older or equal number is a sign of life and changes nothing, unless the book was
    lost meanwhile: then the same book proves it again."""

    def __init__(self, session: StreamSession) -> None:
        self._session = session
        self._updates = UpdateTracker()

    def take(self, one: Instrument, number: int, bids: Rows, asks: Rows, ts_ms: int) -> None:
        """Take a whole book of the venue time `ts_ms`. Raises `ValueError` for levels that can't be read."""
        session, levels = self._session, (book_levels(bids, one), book_levels(asks, one))
        is_known = self._updates.observe(one.symbol, number) is Step.REPEATED
        if is_known and one.symbol in session.books.proved:
            session.beat_of(one.symbol, ts_ms)
            return
        session.quiet.on_frame(one.symbol, session.now_ns)
        session.books.prove(one.symbol)
        event = BookSnapshot(one.id, ts_ms * NS_PER_MS, session.ts_recv, *levels)
        session.publish(event, session.ts_recv, session.now_ns)


class SeenTrades:
    """The public trades that were published, by market, the newest of them: over all connections of a venue, since a
    new one begins with recent trades."""

    def __init__(self) -> None:
        self._ids: dict[str, dict[str, None]] = {}

    def __repr__(self) -> str:
        return f"<SeenTrades markets={len(self._ids)}>"

    def publish(self, session: StreamSession, trade: TradePrint) -> None:
        """Publish a trade unless it was published before."""
        ids = self._ids.setdefault(trade.instrument, {})
        if trade.trade_id in ids:
            return
        ids[trade.trade_id] = None
        if len(ids) > _TRADES_KEPT:
            del ids[next(iter(ids))]
        session.publish(trade)
