"""The markets that the connector knows, and how the calendar and the lifecycle stream change them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from connectors.client.wire.decimals import NS_PER_S
from connectors.kalshi.markets.instruments import instrument_of, market_time, series_of, settlement_value_of
from connectors.kalshi.wire.market_messages import RestMarket
from connectors.kalshi.wire.stream_messages import LifecycleMsg
from framework.domain.account_events import InstrumentDefined, InstrumentSettled, InstrumentStatusChanged
from framework.domain.events import Event
from framework.domain.instruments import FeeSchedule, Instrument, InstrumentId, InstrumentStatus, instrument_id
from framework.domain.numbers import Price

SETTLED_KEPT_MAX = 100
"""So many settled markets stay known, the newest. One that is forgotten is read again when something of it comes."""

_NEVER = 2**63
_STATES = frozenset({"activated", "deactivated", "close_date_updated", "determined"})
"""Messages that carry a state of the market by themselves; the others only have it read."""


class Selection(msgspec.Struct, frozen=True):
    """Which markets are wanted: exact tickers, ticker patterns (`KXTIDE-*`), and whole series or events."""

    patterns: tuple[str, ...]

    def wants(self, ticker: str) -> bool:
        """Whether a market belongs to the selection. Its ticker begins with its series and its event."""
        return any(_matches(pattern, ticker) for pattern in self.patterns)


class LifecycleEffect(msgspec.Struct, frozen=True):
    """What a lifecycle message leads to: events, and whether the market must be read again."""

    events: tuple[Event, ...] = ()
    is_fetch_needed: bool = False


class ReadBegan(msgspec.Struct, frozen=True):
    """When a read of markets began: by our monotonic clock, and by the venue's clock as it is known here."""

    monotonic_ns: int
    venue_ns: int


class MarketRegistry:
    """Instruments by ticker. `followed` are those whose books are streamed; others are known for their positions.

    All times are Unix nanoseconds; `ts_recv` is ours, `ts_venue` the venue's.
    """

    def __init__(self, venue: str, selection: Selection, *, markets_max: int, read_lag_ns: int = 0) -> None:
        """`read_lag_ns`: a read that began less than this after a message may still show what was before it."""
        self._read_lag_ns = read_lag_ns
        self._message_ns: dict[str, int] = {}
        self._read: dict[str, ReadBegan] = {}
        self._outdated: set[str] = set()
        self._venue = venue
        self._selection = selection
        self._markets_max = markets_max
        self._instruments: dict[str, Instrument] = {}
        self._open_ns: dict[str, int] = {}
        self._paying: set[str] = set()
        self._settled: dict[str, None] = {}
        self._fetch_soon: dict[str, None] = {}
        self._next_due_ns = _NEVER
        self.followed: dict[str, InstrumentId] = {}

    def __repr__(self) -> str:
        return f"<MarketRegistry {self._venue} known={len(self._instruments)} followed={len(self.followed)}>"

    def find(self, instrument: InstrumentId, /) -> Instrument | None:
        """The instrument of this id, or None when its market is not known here or it is another venue's."""
        prefix = f"{self._venue}:"
        return self.find_ticker(instrument[len(prefix) :]) if instrument.startswith(prefix) else None

    def find_ticker(self, ticker: str) -> Instrument | None:
        """The instrument of this market's ticker, or None when the market is not known."""
        return self._instruments.get(ticker)

    def wants(self, ticker: str) -> bool:
        """Whether the market belongs to the selection."""
        return self._selection.wants(ticker)

    def tickers(self) -> tuple[str, ...]:
        """The tickers of every known market that is not settled."""
        return tuple(ticker for ticker in self._instruments if ticker not in self._settled)

    def define(
        self, market: RestMarket, fees: FeeSchedule, *, ts_recv: int, began: ReadBegan | None = None
    ) -> tuple[Event, ...]:
        """Take a market as read. Returns its definition when anything of it is new, and its settlement, once.

        `began` is when that read began, None for now. A read older than the last one changes nothing. One that need not
        show the last message leaves status and close as they were told, and the market `is_outdated`. Raises
        `UnusableMarket` for a market that cannot be traded safely; what was known of it then stays.
        """
        ticker = market.ticker
        if began is not None and began.monotonic_ns < self._read.get(ticker, began).monotonic_ns:
            return ()
        instrument = self._as_announced(instrument_of(market, venue=self._venue, fees=fees), began)
        open_ns, value = market_time(market.open_time, ticker), settlement_value_of(market)
        events: list[Event] = []
        if self._instruments.get(ticker) != instrument:
            self._instruments[ticker] = instrument
            events.append(InstrumentDefined(instrument, ts_recv))
        if began is not None:
            self._read[ticker] = began
        self._open_ns[ticker] = open_ns
        self._next_due_ns = min(self._next_due_ns, self._due_ns(ticker))
        if value is not None:
            ts_venue = market_time(market.settlement_ts, ticker)
            events += self._settle(ticker, value, ts_venue=ts_venue, ts_recv=ts_recv)
        return tuple(events)

    def _as_announced(self, instrument: Instrument, began: ReadBegan | None) -> Instrument:
        """The instrument as read, but for what a message said that the read need not show. A payment is final."""
        ticker = instrument.symbol
        message_ns, known = self._message_ns.get(ticker), self._instruments.get(ticker)
        self._outdated.discard(ticker)
        if began is None or message_ns is None or known is None or instrument.status is InstrumentStatus.SETTLED:
            return instrument
        if began.monotonic_ns >= message_ns + self._read_lag_ns:
            return instrument
        self._outdated.add(ticker)
        return msgspec.structs.replace(instrument, status=known.status, close_ns=known.close_ns)

    def is_outdated(self, ticker: str) -> bool:
        """Whether the last read of the market need not show the last message about it: it is to be read again."""
        return ticker in self._outdated

    def is_paying(self, ticker: str) -> bool:
        """Whether the venue announced that the market is paid, and what it pays has not been read yet."""
        return ticker in self._paying

    @property
    def has_room(self) -> bool:
        """Whether one more market may be followed."""
        return len(self.followed) < self._markets_max

    def follow(self, tickers: Iterable[str]) -> tuple[str, ...]:
        """Mark known markets that are not settled as followed, as far as there is room. Returns those that are new."""
        new = []
        for ticker in tickers:
            is_new = ticker in self._instruments and ticker not in self.followed and ticker not in self._settled
            if is_new and self.has_room:
                self.followed[ticker] = instrument_id(self._venue, ticker)
                new.append(ticker)
        return tuple(new)

    def apply(self, msg: LifecycleMsg, *, ts_venue: int, ts_recv: int, now_ns: int = 0) -> LifecycleEffect | None:
        """Apply a lifecycle message that was received at `now_ns` (monotonic). Returns its effect, or None for an
        `event_type` that is not documented. One that is older than the last read has the market read again instead."""
        ticker, kind = msg.market_ticker, msg.event_type
        known = ticker in self._instruments
        read = self._read.get(ticker)
        if read is not None and kind in _STATES and 0 < ts_venue < read.venue_ns - self._read_lag_ns:
            return LifecycleEffect(is_fetch_needed=True)
        if known:
            self._message_ns[ticker] = now_ns
        if kind == "created":
            return LifecycleEffect(is_fetch_needed=known or self._has_room_for(ticker))
        if not known:
            return LifecycleEffect()
        if kind in ("activated", "deactivated"):
            is_active = kind == "activated" and not msg.is_deactivated
            status = InstrumentStatus.ACTIVE if is_active else InstrumentStatus.PAUSED
            return LifecycleEffect((self._change(ticker, status, ts_venue, ts_recv),))
        if kind == "close_date_updated":
            close_ns = (msg.close_ts or 0) * NS_PER_S
            status = self._instruments[ticker].status
            event = self._change(ticker, status, ts_venue, ts_recv, close_ns=close_ns)
            # The calendar may have closed it just before the venue postponed the close.
            return LifecycleEffect((event,), is_fetch_needed=status is InstrumentStatus.CLOSED)
        if kind == "determined":
            return LifecycleEffect((self._change(ticker, InstrumentStatus.CLOSED, ts_venue, ts_recv),))
        if kind == "settled":
            # What it pays is read, not taken from here: a result can be disputed and amended after it was determined.
            self._paying |= {ticker} - self._settled.keys()
            return LifecycleEffect(is_fetch_needed=ticker in self._paying)
        if kind in ("price_level_structure_updated", "metadata_updated"):
            return LifecycleEffect(is_fetch_needed=kind != "metadata_updated")
        return None

    def due(self, venue_now_ns: int, *, ts_recv: int) -> tuple[Event, ...]:
        """Close the markets whose close has passed: the venue announces neither that nor an opening (vendor docs).

        Markets whose opening has passed are to be read again: `take_openings`.
        """
        if venue_now_ns < self._next_due_ns:
            return ()
        events: list[Event] = []
        for ticker, instrument in list(self._instruments.items()):
            if _is_live(instrument.status) and 0 < instrument.close_ns <= venue_now_ns:
                events.append(self._change(ticker, InstrumentStatus.CLOSED, instrument.close_ns, ts_recv))
            elif instrument.status is InstrumentStatus.UNOPENED and 0 < self._open_ns[ticker] <= venue_now_ns:
                self._open_ns[ticker] = 0
                self._fetch_soon[ticker] = None
        self._next_due_ns = min(map(self._due_ns, self._instruments), default=_NEVER)
        return tuple(events)

    def take_openings(self) -> tuple[str, ...]:
        """The markets whose opening time has passed since the last call; the caller reads them."""
        taken = tuple(self._fetch_soon)
        self._fetch_soon.clear()
        return taken

    def _has_room_for(self, ticker: str) -> bool:
        return self.has_room and self._selection.wants(ticker)

    def _change(
        self, ticker: str, status: InstrumentStatus, ts_venue: int, ts_recv: int, *, close_ns: int = 0
    ) -> InstrumentStatusChanged:
        old = self._instruments[ticker]
        self._instruments[ticker] = msgspec.structs.replace(old, status=status, close_ns=close_ns or old.close_ns)
        self._next_due_ns = min(self._next_due_ns, self._due_ns(ticker))
        return InstrumentStatusChanged(old.id, status, ts_venue, ts_recv, close_ns)

    def _settle(self, ticker: str, value: Price, *, ts_venue: int, ts_recv: int) -> tuple[Event, ...]:
        if ticker in self._settled:
            return ()
        self._settled[ticker] = None
        self._paying.discard(ticker)
        self.followed.pop(ticker, None)
        old = self._instruments[ticker]
        self._instruments[ticker] = msgspec.structs.replace(old, status=InstrumentStatus.SETTLED)
        if len(self._settled) > SETTLED_KEPT_MAX:
            self._forget(next(iter(self._settled)))
        return (InstrumentSettled(old.id, value, ts_venue, ts_recv),)

    def _forget(self, ticker: str) -> None:
        del self._settled[ticker], self._instruments[ticker]
        for of_ticker in (self._open_ns, self._message_ns, self._read):
            of_ticker.pop(ticker, None)

    def _due_ns(self, ticker: str) -> int:
        """When the calendar next changes this market; `_NEVER` when it does not."""
        instrument = self._instruments[ticker]
        if _is_live(instrument.status):
            return instrument.close_ns or _NEVER
        if instrument.status is InstrumentStatus.UNOPENED:
            return self._open_ns.get(ticker, 0) or _NEVER
        return _NEVER


def _is_live(status: InstrumentStatus) -> bool:
    return status in (InstrumentStatus.ACTIVE, InstrumentStatus.PAUSED)


def _matches(pattern: str, ticker: str) -> bool:
    kind, colon, name = pattern.partition(":")
    if not colon:
        return fnmatchcase(ticker, pattern)
    if kind == "series":
        return series_of(ticker) == name
    return ticker.startswith(f"{name}-")
