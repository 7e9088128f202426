"""BitExAsia's stream: books by a snapshot and changes, and public trades. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import structlog

from connectors.bitexasia.wire.messages import Frame, book_of, decode_frame, levels_of, trade_of
from connectors.client.book_sync import PreviousTracker, Step
from connectors.client.instruments import InstrumentRegistry
from connectors.client.session import FrameRole, StreamSession
from connectors.client.subscriptions import Action, Channel, Command
from connectors.client.wire.json_text import decode_json
from framework.domain.instruments import Instrument

BOOK = Channel("orderbook", is_by_symbol=True, has_books=True)
CHANNELS = (BOOK, Channel("trades", is_by_symbol=True))
ROLES = {"snapshot": FrameRole.BOOK, "update": FrameRole.BOOK_CHANGE}
"""What an unreadable frame makes unusable; a public trade may be missed."""
_log = structlog.get_logger("bitexasia")


class _Head(msgspec.Struct):
    """The least that a frame has: what it is and which book it is about."""

    type: str = ""
    pair: str = ""


class BitExAsiaFeed:
    """Reads the frames of one connection. Changes of a book that is not proved are dropped and counted."""

    def __init__(self, session: StreamSession, registry: InstrumentRegistry) -> None:
        self._session = session
        self._registry = registry
        self._chain = PreviousTracker()
        self._take: dict[str, Callable[[Frame, Instrument], None]] = {
            "snapshot": self._snapshot,
            "update": self._update,
            "trade": self._trade,
        }

    def receive(self, data: bytes, ts_recv: int, now_ns: int) -> None:
        """Take one frame. One that can't be read makes no more unusable than what it was about."""
        session = self._session
        session.ts_recv, session.now_ns = ts_recv, now_ns
        try:
            frame = decode_json(data, decode_frame)
        except msgspec.DecodeError as e:
            self._unreadable(_head_of(data), str(e))
            return
        take = self._take.get(frame.type)
        if take is None:
            self._other(frame)
            return
        one = self._registry.find_symbol(frame.pair)
        if one is None or frame.pair not in self._registry.followed:
            session.counts.strays += 1
            return
        try:
            take(frame, one)
        except ValueError as e:
            self._unreadable(_Head(frame.type, frame.pair), str(e))

    def _snapshot(self, frame: Frame, one: Instrument) -> None:
        session = self._session
        book = book_of(frame, one, session.ts_recv)
        self._chain.begin(frame.pair, frame.seq)
        session.quiet.on_frame(frame.pair, session.now_ns)
        session.books.prove(frame.pair)
        session.publish(book, session.ts_recv, session.now_ns)

    def _update(self, frame: Frame, one: Instrument) -> None:
        session = self._session
        if frame.pair not in session.books.proved:
            session.counts.strays += 1
            return
        step = self._chain.observe(frame.pair, frame.seq, frame.prev_seq)
        if step is Step.REPEATED:
            session.counts.repeated += 1
            return
        if step is Step.GAP:
            session.counts.gaps += 1
            session.lose((frame.pair,), "a gap in the changes of this book")
            return
        levels = levels_of(frame, one, session.ts_recv)
        session.quiet.on_frame(frame.pair, session.now_ns)
        for level in levels:
            session.publish(level, session.ts_recv, session.now_ns)

    def _trade(self, frame: Frame, one: Instrument) -> None:
        session = self._session
        session.publish(trade_of(frame, one, session.ts_recv), session.ts_recv, session.now_ns)

    def _other(self, frame: Frame) -> None:
        """An error says why something will not come, once for each code; all else is only counted."""
        counts, is_error = self._session.counts, frame.type == "error"
        count = counts.count(counts.unknown_types, f"error.code={frame.code}" if is_error else frame.type)
        if is_error and count == 1:
            _log.warning("the stream refuses a command", code=frame.code, message=frame.message)

    def _unreadable(self, head: _Head, reason: str) -> None:
        self._session.counts.unreadable += 1
        # A frame that does not say what it is may have been a change of any book.
        kind = head.type or "update"
        self._session.unreadable(kind, head.pair, f"{kind} can't be read: {reason}")


def encode_command(one: Command, *, depth: int) -> Sequence[bytes]:
    """A command as frames. A whole book comes with a new subscription only; no command changes nothing."""
    if one.action is Action.PROBE:
        return ()
    more = {"depth": depth} if one.channel == BOOK.name else {}
    channels = [{"name": one.channel, "pair": pair} | more for pair in one.symbols]
    ends = (Action.UNSUBSCRIBE, Action.REMOVE, Action.SNAPSHOT)
    begins = (Action.SUBSCRIBE, Action.ADD, Action.SNAPSHOT)
    words = [word for word, actions in (("unsubscribe", ends), ("subscribe", begins)) if one.action in actions]
    return [msgspec.json.encode({"op": word, "channels": channels}) for word in words]


def _head_of(data: bytes) -> _Head:
    try:
        return decode_json(data, msgspec.json.Decoder(_Head).decode)
    except msgspec.DecodeError:
        return _Head()
