"""Paced polling of market data, for venues without a stream: what changed becomes an event, what did not a heartbeat.

A venue writes `MarketReads`. Everything else is here: whose turn it is, what is new, how old an answer is, and when the
venue counts as down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

import msgspec
import structlog

from connectors.client.instruments import InstrumentRegistry
from connectors.client.status import POLL, VenueStatus
from connectors.client.turns import LONGEST_NS, Turns
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import UnreadableAnswer
from connectors.client.wire.decimals import NS_PER_MS
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.instruments import Instrument
from framework.domain.market_events import BookSnapshot, BookStale, Heartbeat, TradePrint
from framework.domain.ports import Clock
from framework.domain.venue import Publish

MARKET = "market data"
"""The lane of books and public trades."""

PAGES_MAX = 20
"""Pages of trades that are read at once; what is older than them is left out and counted."""

_KNOWN_MAX = 1_000
_IDLE_MS = 25
_log = structlog.get_logger("poll")


class PollSchedule:
    """Whose turn it is. Pure; times are monotonic nanoseconds.

    Everything is due an interval after it was due before. The one that is latest, measured in its own intervals, is
    next: so all keep their share where the rate limit leaves less than they want. What is wanted goes before all
    others, at the pace of `Turns`. A name is in one turn at a time.
    """

    def __init__(self) -> None:
        self._due_ns: dict[str, int] = {}
        self._interval_ns: dict[str, int] = {}
        self._busy: set[str] = set()
        self._urgent: dict[str, None] = {}
        self._waits_ns: dict[str, int] = {}
        self._turns = Turns()

    def __repr__(self) -> str:
        return f"<PollSchedule names={len(self._interval_ns)} busy={len(self._busy)} {self._turns!r}>"

    def keep(self, intervals_ns: Mapping[str, int], now_ns: int) -> None:
        """Schedule exactly these names; new ones are due now."""
        for gone in self._interval_ns.keys() - intervals_ns.keys():
            self._due_ns.pop(gone, None)
            self._urgent.pop(gone, None)
            self._waits_ns.pop(gone, None)
            self._turns.forget(gone)
        self._interval_ns = dict(intervals_ns)
        for name in intervals_ns:
            self._due_ns.setdefault(name, now_ns)

    def want(self, name: str, now_ns: int) -> None:
        """Have a scheduled name polled before all others; one that is not scheduled does nothing."""
        if name in self._interval_ns:
            self._turns.want(name, now_ns, was_well=True)

    def take(self, now_ns: int) -> str | None:
        """Begin the next turn; None when nothing is due. `finish` ends it."""
        self._urgent.update(dict.fromkeys(self._turns.take(now_ns)))
        name = next((one for one in self._urgent if one not in self._busy), None)
        if name is None:
            due = [one for one, at_ns in self._due_ns.items() if at_ns <= now_ns and one not in self._busy]
            name = max(due, key=partial(self._lateness, now_ns=now_ns), default=None)
        if name is not None:
            self._urgent.pop(name, None)
            self._busy.add(name)
            interval_ns = self._interval_ns[name]
            self._due_ns[name] = max(self._due_ns[name] + interval_ns, now_ns + interval_ns // 2)
        return name

    def finish(self, name: str, now_ns: int = 0, *, is_refused: bool = False) -> None:
        """The turn is over. What was refused waits twice as long each time, up to `LONGEST_NS`."""
        self._busy.discard(name)
        if not is_refused:
            self._waits_ns.pop(name, None)
        elif name in self._due_ns:
            self._waits_ns[name] = min(2 * self._waits_ns.get(name, self._interval_ns[name]), LONGEST_NS)
            self._due_ns[name] = now_ns + self._waits_ns[name]

    def _lateness(self, name: str, *, now_ns: int) -> int:
        return (now_ns - self._due_ns[name]) * 1_000 // self._interval_ns[name]


ReadPage = Callable[[int], Awaitable[Sequence[TradePrint]]]
"""Reads one page of an instrument's public trades, newest first, pages counted from 0; empty behind the last."""


class TradeCursor:
    """Which public trades of one instrument are new: read page by page until a known one is met."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}
        self._has_begun = False
        self.missed = 0
        """How often `PAGES_MAX` pages met no known trade: some between were left out."""

    async def read_new(self, read_page: ReadPage) -> list[TradePrint]:
        """The trades since the last call, oldest first; none the first time, when all are of before. Raises what
        `read_page` raises; the next call then finds the same."""
        found: dict[str, TradePrint] = {}
        for number in range(PAGES_MAX if self._has_begun else 1):
            page = await read_page(number)
            new = [one for one in page if one.trade_id not in self._known]
            # What trades meanwhile moves others to the next page: those come twice.
            found |= {one.trade_id: one for one in new if one.trade_id not in found}
            if len(new) < len(page) or not page:
                break
        else:
            self.missed += self._has_begun and bool(self._known)
        return self._remember(list(reversed(found.values())))

    def _remember(self, new: list[TradePrint]) -> list[TradePrint]:
        has_begun, self._has_begun = self._has_begun, True
        self._known |= dict.fromkeys(one.trade_id for one in new)
        for old in list(self._known)[:-_KNOWN_MAX]:
            del self._known[old]
        return new if has_begun else []


class PollHealth:
    """Whether polled reads count as a connection: up once each kind has come, down when one has failed for too long."""

    def __init__(self, status: VenueStatus, lanes: Iterable[str], *, clock: Clock, silence_ns_max: int) -> None:
        """`lanes`: the kinds of reads that must come. Down after `silence_ns_max` with nothing but failures of one."""
        self._status = status
        self._clock = clock
        self._silence_ns_max = silence_ns_max
        self._lanes = frozenset(lanes)
        self._awaited = set(self._lanes)
        self._failing_since_ns: dict[str, int] = {}
        self.is_up = False
        self.downs = 0
        """How often the venue was reported as down: its books are stale then, so the next reads are news."""

    def __repr__(self) -> str:
        return f"<PollHealth up={self.is_up} awaited={sorted(self._awaited)}>"

    def begin(self, lane: str) -> None:
        """Polling of this kind begins, perhaps anew: whoever ended it, as when the venue refused the account, counts
        the venue as down since then."""
        self.is_up = False
        self._awaited.add(lane)
        self._failing_since_ns.pop(lane, None)

    def succeed(self, lane: str) -> None:
        """A read of this kind was answered."""
        self._failing_since_ns.pop(lane, None)
        self._awaited.discard(lane)
        if not self.is_up and not self._awaited:
            self._report("polling", is_up=True)

    def fail(self, lane: str, reason: str) -> None:
        """A read of this kind failed."""
        now_ns = self._clock.monotonic_ns()
        since_ns = self._failing_since_ns.setdefault(lane, now_ns)
        if now_ns - since_ns >= self._silence_ns_max and (self.is_up or not self.downs):
            self.downs += 1
            self._awaited = set(self._lanes)
            self._report(f"the {lane} can't be read: {reason}", is_up=False)

    def _report(self, reason: str, *, is_up: bool) -> None:
        self.is_up = is_up
        self._status.report(POLL, is_up=is_up, reason=reason, ts_recv=self._clock.now_ns())


class MarketReads(Protocol):
    """A venue's reads of market data. All wait for their part of the rate budget and raise like reads; `ValueError`
    for values that can't be read."""

    async def read_book(self, instrument: Instrument, /) -> BookSnapshot:
        """The whole book as it is now."""
        ...

    async def read_trades(self, instrument: Instrument, page: int, /) -> Sequence[TradePrint]:
        """A page of public trades, see `ReadPage`."""
        ...


class PollPace(msgspec.Struct, frozen=True):
    """How often each instrument's book and trades are read, in milliseconds; 0 reads no trades. `parallel` reads are
    under way at once."""

    book_ms: int = 500
    trades_ms: int = 1_000
    parallel: int = 2


class MarketPoll:
    """Polls the books and trades of all followed instruments until cancelled."""

    def __init__(
        self,
        venue: str,
        reads: MarketReads,
        registry: InstrumentRegistry,
        health: PollHealth,
        *,
        clock: Clock,
        time: VenueTime,
        publish: Publish,
        pace: PollPace,
    ) -> None:
        self._venue = venue
        self._reads = reads
        self._registry = registry
        self._health = health
        self._clock = clock
        self._time = time
        self._publish = publish
        self._pace = pace
        self._schedule = PollSchedule()
        self._books: dict[str, BookSnapshot] = {}
        self._cursors: dict[str, TradeCursor] = {}
        self._followed: set[str] = set()
        self._downs = 0

    def __repr__(self) -> str:
        return f"<MarketPoll {self._venue} {self._schedule!r} {self._health!r}>"

    async def run(self) -> None:
        """Poll until cancelled. Raises `Fatal` and `AccountRefused` of a read."""
        self._health.begin(MARKET)
        self._books.clear()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._pace.parallel):
                tasks.create_task(self._work())

    def resync(self, symbol: str, /) -> None:
        """Read the instrument's book soon and publish it whole, whether it has changed or not."""
        self._books.pop(symbol, None)
        self._schedule.want(f"book {symbol}", self._clock.monotonic_ns())

    async def _work(self) -> None:
        while True:
            name = self._next()
            if name is None:
                await asyncio.sleep(_IDLE_MS / 1000)
                continue
            kind, _, symbol = name.partition(" ")
            is_usable = True
            try:
                is_usable = await self._read(kind, symbol)
            finally:  # also when the venue refuses the account: it is polled again when it takes it
                self._schedule.finish(name, self._clock.monotonic_ns(), is_refused=not is_usable)

    def _next(self) -> str | None:
        now_ns = self._clock.monotonic_ns()
        if self._registry.followed.keys() != self._followed:
            self._follow(now_ns)
        if not self._followed:
            self._health.succeed(MARKET)
        return self._schedule.take(now_ns)

    def _follow(self, now_ns: int) -> None:
        self._followed = set(self._registry.followed)
        kinds = {"book": self._pace.book_ms, "trades": self._pace.trades_ms}
        names = {f"{kind} {symbol}": ms * NS_PER_MS for symbol in self._followed for kind, ms in kinds.items() if ms}
        self._schedule.keep(dict(sorted(names.items())), now_ns)
        for of_symbol in (self._cursors, self._books):
            for gone in of_symbol.keys() - self._followed:
                del of_symbol[gone]

    async def _read(self, kind: str, symbol: str) -> bool:
        """Read and publish. False when the venue answers and its answer is of no use."""
        instrument = self._registry.find_symbol(symbol)
        if instrument is None:
            return False
        try:
            await (self._read_book if kind == "book" else self._read_trades)(instrument)
        except (UnreadableAnswer, ValueError, RefusedByVenue) as e:
            self._refuse(kind, instrument, str(e))
            return False
        except (Retryable, OutcomeUnknown) as e:
            self._health.fail(MARKET, str(e))
            return True
        self._health.succeed(MARKET)
        return True

    async def _read_book(self, instrument: Instrument) -> None:
        # What an answer says was so when it was asked for, at the earliest: that is the age it has on arrival.
        asked_ns = self._time.now_ns()
        book = await self._reads.read_book(instrument)
        now_ns, monotonic_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        book = msgspec.structs.replace(book, ts_venue=asked_ns, ts_recv=now_ns)
        if self._health.downs != self._downs:
            self._downs = self._health.downs
            self._books.clear()
        known = self._books.get(instrument.symbol)
        if known is not None and (known.bids, known.asks) == (book.bids, book.asks):
            self._publish(Heartbeat(self._venue, asked_ns, now_ns, instrument.id), now_ns, monotonic_ns)
            return
        self._books[instrument.symbol] = book
        self._publish(book, now_ns, monotonic_ns)

    async def _read_trades(self, instrument: Instrument) -> None:
        cursor = self._cursors.setdefault(instrument.symbol, TradeCursor())
        missed = cursor.missed
        for trade in await cursor.read_new(partial(self._reads.read_trades, instrument)):
            self._publish(trade)
        if cursor.missed > missed:
            _log.warning("public trades were left out: too many at once", venue=self._venue, market=instrument.symbol)

    def _refuse(self, kind: str, instrument: Instrument, reason: str) -> None:
        """A book that can't be read is stale until it can. Trades that can't are read again at the next turn."""
        _log.warning("an answer can't be used", venue=self._venue, kind=kind, market=instrument.symbol, reason=reason)
        if kind == "book":
            self._books.pop(instrument.symbol, None)
            self._publish(BookStale(instrument.id, self._clock.now_ns(), reason))
