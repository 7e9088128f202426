"""The instruments that a connector knows, and how reads, messages and the calendar change them. Pure.

A venue turns what it lists into a `ListedInstrument`, and its messages into the calls below. `followed` are the
instruments whose books are wanted; others are known because the account has something in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

import msgspec

from framework.domain.account_events import InstrumentDefined, InstrumentSettled, InstrumentStatusChanged
from framework.domain.events import Event
from framework.domain.instruments import Instrument, InstrumentId, InstrumentStatus, instrument_id
from framework.domain.numbers import Price

SETTLED_KEPT_MAX = 100
"""So many settled instruments stay known, the newest. A forgotten one is read again when something of it comes."""

_NEVER = 2**63
_WILDCARDS = frozenset("*?[")
_LIVE = (InstrumentStatus.ACTIVE, InstrumentStatus.PAUSED)


class Selection(msgspec.Struct, frozen=True):
    """Which instruments are wanted: symbols, patterns of symbols (`BTC-*`), and whole groups (`series:KXTIDE`).

    `groups` says, by the word before the colon, whether a symbol belongs to the group of a name.
    """

    patterns: tuple[str, ...]
    groups: Mapping[str, Callable[[str, str], bool]] = {}

    def wants(self, symbol: str) -> bool:
        """Whether an instrument belongs to the selection."""
        return any(self.matches(pattern, symbol) for pattern in self.patterns)

    def matches(self, pattern: str, symbol: str) -> bool:
        """Whether an instrument is what one pattern names."""
        kind, colon, name = pattern.partition(":")
        in_group = self.groups.get(kind) if colon else None
        return fnmatchcase(symbol, pattern) if in_group is None else in_group(symbol, name)

    @property
    def exact(self) -> tuple[str, ...]:
        """The patterns that name one symbol each: those must exist."""
        return tuple(one for one in self.patterns if not self._is_group(one) and not has_wildcard(one))

    @property
    def open(self) -> tuple[str, ...]:
        """The patterns that may name any number of symbols."""
        exact = self.exact
        return tuple(one for one in self.patterns if one not in exact)

    def _is_group(self, pattern: str) -> bool:
        return pattern.partition(":")[0] in self.groups and ":" in pattern


def has_wildcard(pattern: str) -> bool:
    """Whether a pattern or a part of it may stand for several texts."""
    return bool(_WILDCARDS & set(pattern))


class ReadBegan(msgspec.Struct, frozen=True):
    """When a read of instruments began: by our monotonic clock, and by the venue's clock as it is known here."""

    monotonic_ns: int
    venue_ns: int


class ListedInstrument(msgspec.Struct, frozen=True):
    """An instrument as the venue lists it. `open_ns` is when it opens, 0 when that is not known. `payment` is what a
    settled one pays per unit, None as long as none is stated; `paid_ns` when it was paid. Times are the venue's."""

    instrument: Instrument
    open_ns: int = 0
    payment: Price | None = None
    paid_ns: int = 0


class InstrumentRegistry:
    """Instruments by symbol.

    All times are Unix nanoseconds, `ts_recv` ours, `ts_venue` the venue's; `now_ns` and times of reads are monotonic.
    """

    def __init__(self, venue: str, selection: Selection, *, followed_max: int, read_lag_ns: int = 0) -> None:
        """`read_lag_ns`: a read that began less than this after a message may still show what was before it."""
        self.selection = selection
        self._read_lag_ns = read_lag_ns
        self._message_ns: dict[str, int] = {}
        self._read: dict[str, ReadBegan] = {}
        self._outdated: set[str] = set()
        self._venue = venue
        self.followed_max = followed_max
        self._instruments: dict[str, Instrument] = {}
        self._open_ns: dict[str, int] = {}
        self._paying: set[str] = set()
        self._settled: dict[str, None] = {}
        self._fetch_soon: dict[str, None] = {}
        self._next_due_ns = _NEVER
        self.followed: dict[str, InstrumentId] = {}

    def __repr__(self) -> str:
        return f"<InstrumentRegistry {self._venue} known={len(self._instruments)} followed={len(self.followed)}>"

    def find(self, instrument: InstrumentId, /) -> Instrument | None:
        """The instrument of this id, or None when it is not known here or another venue's."""
        prefix = f"{self._venue}:"
        return self.find_symbol(instrument[len(prefix) :]) if instrument.startswith(prefix) else None

    def find_symbol(self, symbol: str) -> Instrument | None:
        """The instrument of this symbol, or None when it is not known."""
        return self._instruments.get(symbol)

    def wants(self, symbol: str) -> bool:
        """Whether the instrument belongs to the selection."""
        return self.selection.wants(symbol)

    def wants_new(self, symbol: str) -> bool:
        """Whether an instrument that is announced is to be read: it is known, or wanted and there is room."""
        return symbol in self._instruments or (self.has_room and self.wants(symbol))

    def symbols(self) -> tuple[str, ...]:
        """The symbols of every known instrument that is not settled."""
        return tuple(symbol for symbol in self._instruments if symbol not in self._settled)

    def define(self, listed: ListedInstrument, *, ts_recv: int, began: ReadBegan | None = None) -> tuple[Event, ...]:
        """Take an instrument as read. Returns its definition when anything of it is new, and its settlement, once.

        `began` is when that read began, None for now. A read older than the last one changes nothing. One that need not
        show the last message leaves status and close as they were announced, and the instrument `is_outdated`.
        """
        symbol = listed.instrument.symbol
        if began is not None and began.monotonic_ns < self._read.get(symbol, began).monotonic_ns:
            return ()
        instrument = self._as_announced(listed.instrument, began)
        events: list[Event] = []
        if self._instruments.get(symbol) != instrument:
            self._instruments[symbol] = instrument
            events.append(InstrumentDefined(instrument, ts_recv))
        if began is not None:
            self._read[symbol] = began
        self._open_ns[symbol] = listed.open_ns
        self._next_due_ns = min(self._next_due_ns, self._due_ns(symbol))
        if listed.payment is not None:
            events += self._settle(symbol, listed.payment, ts_venue=listed.paid_ns, ts_recv=ts_recv)
        return tuple(events)

    def _as_announced(self, instrument: Instrument, began: ReadBegan | None) -> Instrument:
        """The instrument as read, but for what a message said that the read need not show. A payment is final."""
        symbol = instrument.symbol
        message_ns, known = self._message_ns.get(symbol), self._instruments.get(symbol)
        self._outdated.discard(symbol)
        if began is None or message_ns is None or known is None or instrument.status is InstrumentStatus.SETTLED:
            return instrument
        if began.monotonic_ns >= message_ns + self._read_lag_ns:
            return instrument
        self._outdated.add(symbol)
        return msgspec.structs.replace(instrument, status=known.status, close_ns=known.close_ns)

    def is_outdated(self, symbol: str) -> bool:
        """Whether the last read of it need not show the last message about it: it is to be read again."""
        return symbol in self._outdated

    def is_paying(self, symbol: str) -> bool:
        """Whether the venue announced that it is paid, and what it pays has not been read yet."""
        return symbol in self._paying

    @property
    def has_room(self) -> bool:
        """Whether one more instrument may be followed."""
        return len(self.followed) < self.followed_max

    def follow(self, symbols: Iterable[str]) -> tuple[str, ...]:
        """Mark known instruments that are not settled as followed, as far as there is room. Returns the new ones."""
        new = []
        for symbol in symbols:
            is_new = symbol in self._instruments and symbol not in self.followed and symbol not in self._settled
            if is_new and self.has_room:
                self.followed[symbol] = instrument_id(self._venue, symbol)
                new.append(symbol)
        return tuple(new)

    def is_before_read(self, symbol: str, ts_venue: int) -> bool:
        """Whether a message of this venue time is older than the last read: the instrument is to be read instead."""
        read = self._read.get(symbol)
        return read is not None and 0 < ts_venue < read.venue_ns - self._read_lag_ns

    def note_message(self, symbol: str, now_ns: int) -> bool:
        """Note that a message about it came. Returns whether it is known."""
        if symbol in self._instruments:
            self._message_ns[symbol] = now_ns
        return symbol in self._instruments

    def change(
        self, symbol: str, status: InstrumentStatus | None, *, ts_venue: int, ts_recv: int, close_ns: int = 0
    ) -> InstrumentStatusChanged:
        """Change a known instrument's status (None: as it is) and close (0: as it is). Raises `KeyError`."""
        old = self._instruments[symbol]
        status = status or old.status
        self._instruments[symbol] = msgspec.structs.replace(old, status=status, close_ns=close_ns or old.close_ns)
        self._next_due_ns = min(self._next_due_ns, self._due_ns(symbol))
        return InstrumentStatusChanged(old.id, status, ts_venue, ts_recv, close_ns)

    def expect_payment(self, symbol: str) -> bool:
        """The venue announced that it is paid: what it pays is to be read. Returns whether that is news."""
        self._paying |= {symbol} - self._settled.keys()
        return symbol in self._paying

    def due(self, venue_now_ns: int, *, ts_recv: int) -> tuple[Event, ...]:
        """Close the instruments whose close has passed: not every venue announces that.

        Those whose opening has passed are to be read again: `take_openings`.
        """
        if venue_now_ns < self._next_due_ns:
            return ()
        events: list[Event] = []
        for symbol, one in list(self._instruments.items()):
            if one.status in _LIVE and 0 < one.close_ns <= venue_now_ns:
                events.append(self.change(symbol, InstrumentStatus.CLOSED, ts_venue=one.close_ns, ts_recv=ts_recv))
            elif one.status is InstrumentStatus.UNOPENED and 0 < self._open_ns[symbol] <= venue_now_ns:
                self._open_ns[symbol] = 0
                self._fetch_soon[symbol] = None
        self._next_due_ns = min(map(self._due_ns, self._instruments), default=_NEVER)
        return tuple(events)

    def take_openings(self) -> tuple[str, ...]:
        """The instruments whose opening time has passed since the last call; the caller reads them."""
        taken = tuple(self._fetch_soon)
        self._fetch_soon.clear()
        return taken

    def _settle(self, symbol: str, value: Price, *, ts_venue: int, ts_recv: int) -> tuple[Event, ...]:
        if symbol in self._settled:
            return ()
        self._settled[symbol] = None
        self._paying.discard(symbol)
        self.followed.pop(symbol, None)
        old = self._instruments[symbol]
        self._instruments[symbol] = msgspec.structs.replace(old, status=InstrumentStatus.SETTLED)
        if len(self._settled) > SETTLED_KEPT_MAX:
            self._forget(next(iter(self._settled)))
        return (InstrumentSettled(old.id, value, ts_venue, ts_recv),)

    def _forget(self, symbol: str) -> None:
        del self._settled[symbol], self._instruments[symbol]
        for of_symbol in (self._open_ns, self._message_ns, self._read):
            of_symbol.pop(symbol, None)

    def _due_ns(self, symbol: str) -> int:
        """When the calendar next changes this instrument; `_NEVER` when it does not."""
        instrument = self._instruments[symbol]
        if instrument.status in _LIVE:
            return instrument.close_ns or _NEVER
        if instrument.status is InstrumentStatus.UNOPENED:
            return self._open_ns.get(symbol, 0) or _NEVER
        return _NEVER
