"""The subscriptions of one connection: commands out, acknowledgements in. Pure.

A venue says which channels it has (`Channel`) and how a command is written (`Encode`). Each channel is asked for by a
command of its own, or one for each symbol, so that an error names one of them. Times are monotonic nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from enum import Enum

import msgspec

_RESUBSCRIBE_NS = 1_000_000_000
"""A subscription that ends at once every time is not asked for more often than this."""


class Channel(msgspec.Struct, frozen=True):
    """One channel of a venue's stream. `is_by_symbol`: it is subscribed for symbols, in one command for all of them or,
    with `is_one_by_one`, in one for each. `has_books`: the books come by it. `is_account`: without it own fills and
    orders are not seen, and the venue counts as down. `is_optional`: a refusal of it is no harm."""

    name: str
    is_by_symbol: bool = False
    is_one_by_one: bool = False
    has_books: bool = False
    is_account: bool = False
    is_optional: bool = False


class Action(Enum):
    """What a command asks for."""

    SUBSCRIBE = "subscribe"
    ADD = "add"
    """More symbols on a subscription that runs."""
    REMOVE = "remove"
    UNSUBSCRIBE = "unsubscribe"
    SNAPSHOT = "snapshot"
    """Whole books of a subscription that runs. The response is the books, so none is awaited."""
    PROBE = "probe"
    """Any command that changes nothing: its response proves that the venue still reads."""


class Command(msgspec.Struct, frozen=True):
    """One command. `number` counts up from 1 on a connection, `sid` is the venue's id of a subscription that runs."""

    number: int
    action: Action
    channel: str = ""
    sid: int = 0
    symbols: tuple[str, ...] = ()


Encode = Callable[[Command], Sequence[bytes]]
"""Writes a command as text frames: one at most venues; none where the venue has no such command."""

AWAITED = frozenset({Action.SUBSCRIBE, Action.ADD, Action.REMOVE, Action.PROBE})
"""The commands that have a response of their own at most venues."""


class Pending(msgspec.Struct, frozen=True):
    """A command without a response yet; `channel` is what it subscribes, empty for other commands."""

    channel: str
    sent_ns: int
    symbol: str = ""


class Subscriptions:
    """Which channels run, under which id, and which commands wait for a response. `send` queues one text frame."""

    def __init__(
        self,
        channels: Sequence[Channel],
        send: Callable[[bytes], None],
        encode: Encode,
        *,
        awaited: Collection[Action] = AWAITED,
    ) -> None:
        """`awaited`: the commands that the venue answers. A channel whose subscription it does not answer, or needs no
        command for, runs at once."""
        self._wanted = {channel.name: channel for channel in channels}
        self._account = tuple(channel.name for channel in channels if channel.is_account)
        self._books = next((channel.name for channel in channels if channel.has_books), "")
        self._send = send
        self._encode = encode
        self._awaited = awaited
        self._next_id = 1
        self._pending: dict[int, Pending] = {}
        self._sids: dict[str, int] = {}
        self.channels: dict[int, str] = {}
        """The channel of each live subscription, by its id. Written here only."""
        self._asked: dict[str, set[str]] = {}
        self._not_before_ns: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Subscriptions sids={self._sids} pending={len(self._pending)}>"

    @property
    def book_channel(self) -> str:
        """The channel by which books come."""
        return self._books

    @property
    def is_account_live(self) -> bool:
        """Whether own fills and orders come, as far as the venue streams them at all."""
        return self.is_live(self._account)

    def is_live(self, channels: Collection[str]) -> bool:
        """Whether each of these channels was acknowledged and has not ended since."""
        return all(channel in self._sids for channel in channels)

    def is_optional(self, channel: str) -> bool:
        """Whether the stream is of use without this channel."""
        return channel in self._wanted and self._wanted[channel].is_optional

    def oldest_pending_ns(self) -> int | None:
        """When the oldest command without a response was sent; None when there is none."""
        return min((one.sent_ns for one in self._pending.values()), default=None)

    def sync(self, symbols: Collection[str], *, now_ns: int) -> tuple[str, ...]:
        """Ask for every wanted channel that neither runs nor is asked for, and for symbols not yet on it; take those
        off it that are not in `symbols` any more.

        A channel that ended is asked for again after a second at the earliest. Returns the symbols whose books were
        newly asked for. Raises what `send` raises, as every command does.
        """
        under_way = {one.channel for one in self._pending.values()}
        new_books: tuple[str, ...] = ()
        for channel in self._wanted.values():
            if channel.name not in under_way:
                asked = self._ask(channel, symbols, now_ns)
                new_books = asked if channel.has_books else new_books
        return new_books

    def get_snapshot(self, symbols: Collection[str]) -> None:
        """Ask for whole books. The responses are snapshots, so no acknowledgement of the command is awaited."""
        if symbols and self._books in self._sids:
            self._command(Action.SNAPSHOT, self._books, tuple(symbols))

    def probe(self, *, now_ns: int) -> None:
        """Ask for something that changes nothing: the response proves that the venue still reads."""
        self._command(Action.PROBE, now_ns=now_ns)

    def drop(self, channel: str) -> int | None:
        """Unsubscribe; what still comes under the old id is counted as stray. Returns the id, None without one."""
        sid = self._sids.get(channel)
        if sid is not None:
            self._command(Action.UNSUBSCRIBE, channel, tuple(self._asked.get(channel, ())))
        return self.ended(channel)

    def ended(self, channel: str) -> int | None:
        """Mark a channel as ended, so that `sync` asks for it again. Returns the id it had, None without one."""
        sid = self._sids.pop(channel, None)
        if sid is not None:
            self.channels.pop(sid, None)
        return sid

    def stop_asking(self, channel: str) -> None:
        """Stop asking for a channel that the venue refuses; for those that are not needed."""
        self._wanted.pop(channel, None)

    def acknowledge(self, number: int, channel: str, sid: int) -> Pending | None:
        """Take the acknowledgement of a channel under the number of its command, with the id that the venue gives the
        subscription. Returns its command, None when it was not asked for."""
        pending = self._pending.get(number)
        if pending is None or pending.channel != channel:
            return None
        del self._pending[number]
        self._run(channel, sid)
        return pending

    def acknowledge_named(self, channel: str, symbol: str = "") -> Pending | None:
        """Take the acknowledgement of a channel, and of a symbol on it, where the venue repeats no number: that of the
        command serves as id. Returns the command, None when nothing like it was asked for."""
        for number, one in self._pending.items():
            if (one.channel, one.symbol) == (channel, symbol):
                return self.acknowledge(number, channel, self._sids.get(channel, number))
        return None

    def complete(self, number: int) -> Pending | None:
        """Take the response to a command, a success or an error. Returns the command, None for an unknown number."""
        return self._pending.pop(number, None)

    def complete_unnamed(self) -> Pending | None:
        """Take a response that names neither channel nor command, as a pong: it is that of the oldest command that
        subscribes nothing. None when there is no such command."""
        number = next((number for number, one in self._pending.items() if not one.channel), 0)
        return self.complete(number)

    def _ask(self, channel: Channel, symbols: Collection[str], now_ns: int) -> tuple[str, ...]:
        """Ask for what the channel lacks. Returns the symbols that were newly asked for."""
        name, is_live = channel.name, channel.name in self._sids
        if not is_live and now_ns < self._not_before_ns.get(name, now_ns):
            return ()
        asked = self._asked.get(name, set()) if is_live else set()
        missing = tuple(one for one in symbols if one not in asked) if channel.is_by_symbol else ()
        if missing or not (is_live or channel.is_by_symbol):
            self._asked[name] = asked.union(missing)
            if not is_live:
                self._not_before_ns[name] = now_ns + _RESUBSCRIBE_NS
            is_more = is_live and not channel.is_one_by_one
            self._each(channel, Action.ADD if is_more else Action.SUBSCRIBE, missing, now_ns)
        if is_live and channel.is_by_symbol:
            self._leave(channel, symbols, now_ns)
        return missing

    def _leave(self, channel: Channel, symbols: Collection[str], now_ns: int) -> None:
        """Take symbols off a channel that are not wanted any more. The last one stays until there is another: what a
        subscription without symbols is, venues do not say."""
        asked = self._asked[channel.name]
        gone = tuple(sorted(asked.difference(symbols)))
        if gone and len(gone) < len(asked):
            self._asked[channel.name] = asked.difference(gone)
            self._each(channel, Action.REMOVE, gone, now_ns)

    def _each(self, channel: Channel, action: Action, symbols: tuple[str, ...], now_ns: int) -> None:
        for some in [(one,) for one in symbols] if channel.is_one_by_one else [symbols]:
            number = self._command(action, channel.name, some, now_ns)
            if action is Action.SUBSCRIBE and number not in self._pending:
                self._run(channel.name, self._sids.get(channel.name, number))

    def _run(self, channel: str, sid: int) -> None:
        self._sids[channel] = sid
        self.channels[sid] = channel

    def _command(self, action: Action, channel: str = "", symbols: tuple[str, ...] = (), now_ns: int = 0) -> int:
        """Send a command, if the venue has it. Returns its number."""
        number = self._next_id
        frames = self._encode(Command(number, action, channel, self._sids.get(channel, 0), symbols))
        if frames and action in self._awaited:
            subscribed = channel if action is Action.SUBSCRIBE else ""
            self._pending[number] = Pending(subscribed, now_ns, symbols[0] if len(symbols) == 1 else "")
        self._next_id += 1
        for frame in frames:
            self._send(frame)
        return number
