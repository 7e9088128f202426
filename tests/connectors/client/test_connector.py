"""A whole connector of a venue without a stream, put together of the parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from connectors.client.connector import ConnectorIdentity, ConnectorParts, EventOutlet, VenueConnector
from connectors.client.instruments import ListedInstrument, Selection
from connectors.client.loader import instrument_parts
from connectors.client.polling.market import MARKET, MarketPoll, PollHealth, PollPace
from connectors.client.status import POLL, VenueStatus
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import UnusableInstrument
from framework.domain.account_events import BalanceReport, InstrumentDefined, InstrumentStatusChanged
from framework.domain.errors import AccountRefused, ConfigurationError, Fatal, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId, InstrumentStatus
from framework.domain.market_events import BookSnapshot, ConnectorStatus, LimitsDeclared, TermsDeclared
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.terms import VenueTerms
from framework.domain.venue import Connector
from tests.connectors.client.polling.polled_venue import PolledVenue, spot
from tests.connectors.support import START_NS, LoopClock, run_jumping

SECOND_NS = 1_000_000_000
PACE = PollPace()
DOCUMENTED = RateLimits((Pool("all", 1, 1),), (Cost(RequestKind.QUERY, "all", 1),))
OWN = RateLimits((Pool("all", 9, 9),), (Cost(RequestKind.QUERY, "all", 1),))


class Listing:
    """An `InstrumentSource`: the symbols that the venue lists, and those in which the account has something."""

    def __init__(self, *symbols: str) -> None:
        self.rows = {symbol: ListedInstrument(spot(symbol)) for symbol in symbols}
        self.unusable: set[str] = set()
        self.garbled: set[str] = set()
        self.held: list[str] = []
        self.selection = Selection(("*",))
        self.reads: list[str] = []

    async def list_wanted(self) -> Mapping[str, str]:
        return {symbol: symbol for symbol in self.rows if self.selection.wants(symbol)}

    async def list_named(self, symbols: Sequence[str]) -> Iterable[str]:
        return [symbol for symbol in symbols if symbol in self.rows]

    async def read(self, symbol: str) -> str | None:
        self.reads.append(symbol)
        return symbol if symbol in self.rows else None

    async def list_held(self) -> Sequence[str]:
        return self.held

    async def describe(self, row: str) -> ListedInstrument:
        if row in self.unusable:
            raise UnusableInstrument(f"{row}: tick_size: 0 is no step")
        if row in self.garbled:
            raise ValueError("tick_size: 'x' is no number")
        return self.rows[row]


class Assembled:
    """A connector with what it published."""

    def __init__(self, clock: LoopClock, *symbols: str, patterns: tuple[str, ...] = ("*",)) -> None:
        self.clock = clock
        self.source = Listing(*symbols)
        self.source.selection = Selection(patterns)
        self.reads = PolledVenue(clock, *symbols)
        self.events: list[Event] = []
        self.closed = 0
        self.balance: Exception | None = None
        outlet = EventOutlet()
        self.time = time = VenueTime(clock)
        instruments = instrument_parts(
            "tide", self.source, self.source.selection, followed_max=3, clock=clock, time=time, publish=outlet.send
        )
        status = VenueStatus("tide", outlet.send, (POLL,))
        health = PollHealth(status, (MARKET,), clock=clock, silence_ns_max=3 * SECOND_NS)
        market = MarketPoll(
            "tide",
            self.reads,
            instruments.registry,
            health,
            clock=clock,
            time=time,
            publish=outlet.send,
            pace=PollPace(),
        )
        parts = ConnectorParts(
            outlet=outlet,
            time=time,
            instruments=instruments,
            gateway=None,  # type: ignore[arg-type]  # nothing is sent
            prepare=self._prepare,
            close=self._close,
            documented_limits=DOCUMENTED,
            read_limits=self._limits,
            read_balances=self._balances,
            poll=market,
            instruments_interval_ms=20_000,
            balance_interval_ms=5_000,
        )
        identity = ConnectorIdentity("tide", "host key", True, ("nothing is checked",), VenueTerms(amend=False))
        self.connector = VenueConnector(identity, parts, clock=clock)
        self.prepared = 0
        self.refusal: RefusedByVenue | None = None
        self.limits: RateLimits | None = OWN

    def publish(self, event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
        self.events.append(event)

    async def _prepare(self) -> None:
        self.prepared += 1
        if self.refusal is not None:
            raise self.refusal

    async def _limits(self) -> RateLimits:
        if self.limits is None:
            raise Retryable("not now")
        return self.limits

    async def _close(self) -> None:
        self.closed += 1

    async def _balances(self) -> tuple[BalanceReport]:
        if self.balance is not None:
            raise self.balance
        return (BalanceReport(venue="tide", currency="USD", amount=1, decimals=0, ts_recv=self.clock.now_ns()),)

    def taken(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def for_seconds(self, seconds: float, act: Callable[[], object] | None = None) -> None:
        await self.connector.start(self.publish)
        task = asyncio.create_task(self.connector.run())
        await asyncio.sleep(seconds / 2)
        if act is not None:
            act()
        await asyncio.wait({task}, timeout=seconds / 2)
        task.cancel()
        await asyncio.wait({task})
        await self.connector.close()
        if not task.cancelled() and task.exception() is not None:
            raise task.exception() or AssertionError


def run(main: Callable[[LoopClock], Coroutine[Any, Any, Assembled]]) -> Assembled:
    return run_jumping(main)


def play(seconds: float, prepare: Callable[[Assembled], object], *symbols: str) -> Assembled:
    async def main(clock: LoopClock) -> Assembled:
        made = Assembled(clock, *(symbols or ("A", "B")))
        act = prepare(made)
        await made.for_seconds(seconds, act if callable(act) else None)
        return made

    return run(main)


def test_connector_when_it_starts_then_terms_come_first_then_instruments_and_balance_then_books() -> None:
    made = play(5, lambda _made: None)
    port: Connector = made.connector
    assert (port.venue, port.account, port.is_loopback) == ("tide", "host key", True)
    assert isinstance(made.events[0], TermsDeclared)
    assert [type(event) for event in made.events[1:4]] == [LimitsDeclared, LimitsDeclared, InstrumentDefined]
    assert [event.limits for event in made.taken(LimitsDeclared)] == [DOCUMENTED, OWN]
    assert [event.is_up for event in made.taken(ConnectorStatus)] == [True]
    assert {event.instrument for event in made.taken(BookSnapshot)} == {"tide:A", "tide:B"}
    assert (made.prepared, made.closed) == (1, 1)


def test_start_when_it_is_tried_again_then_the_documented_limits_do_not_replace_the_accounts_own() -> None:
    async def main(clock: LoopClock) -> Assembled:
        made = Assembled(clock, "A")
        made.limits = None
        with pytest.raises(Retryable):
            await made.connector.start(made.publish)
        made.limits = OWN
        await made.connector.start(made.publish)
        await made.connector.start(made.publish)
        return made

    assert [event.limits for event in run(main).taken(LimitsDeclared)] == [DOCUMENTED, DOCUMENTED, OWN, OWN]


def test_connector_when_an_instrument_appears_later_then_it_is_found_and_polled_as_far_as_there_is_room() -> None:
    def appear(made: Assembled) -> Callable[[], None]:
        def act() -> None:
            for symbol in ("C", "D"):
                made.source.rows[symbol] = ListedInstrument(spot(symbol))
                made.reads.bid[symbol] = 100

        return act

    made = play(100, appear)
    assert {event.instrument for event in made.taken(BookSnapshot)} == {"tide:A", "tide:B", "tide:C"}


def test_reread_when_an_instrument_of_this_venue_is_named_then_it_is_read_and_another_venue_s_is_not() -> None:
    def ask(made: Assembled) -> Callable[[], None]:
        def act() -> None:
            made.connector.reread(InstrumentId("tide:A"))
            made.connector.reread(InstrumentId("ebb:A"))

        return act

    assert play(4, ask).source.reads == ["A"]


def test_resync_when_a_book_is_asked_for_then_it_is_published_whole_again() -> None:
    def ask(made: Assembled) -> Callable[[], None]:
        def act() -> None:
            made.connector.resync(InstrumentId("tide:A"))
            made.connector.resync(InstrumentId("ebb:A"))

        return act

    assert [event.instrument for event in play(4, ask).taken(BookSnapshot)].count(InstrumentId("tide:A")) == 2


def test_calendar_when_a_close_passes_then_the_instrument_closes_without_a_message() -> None:
    def close_soon(made: Assembled) -> None:
        row = made.source.rows["A"]
        instrument = msgspec.structs.replace(row.instrument, close_ns=START_NS + 3 * SECOND_NS)
        made.source.rows["A"] = ListedInstrument(instrument)

    (closed,) = play(6, close_soon).taken(InstrumentStatusChanged)
    assert (closed.instrument, closed.status) == ("tide:A", InstrumentStatus.CLOSED)


@pytest.mark.parametrize("error", [Retryable("lost"), ValueError("amount: 'x' is no number")])
def test_balance_when_it_can_not_be_read_then_everything_else_goes_on(error: Exception) -> None:
    made = play(20, lambda made: setattr(made, "balance", error))
    assert made.taken(BalanceReport) == []
    assert made.taken(ConnectorStatus)[-1].is_up


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (403, AccountRefused, "the addresses of this machine"),
        (404, AccountRefused, "check the symbol, rest_url"),
        (400, RefusedByVenue, "HTTP 400 no"),
    ],
)
def test_start_when_what_every_start_reads_is_refused_then_the_account_is_where_it_stays_so(
    status: int, kind: type[Exception], said: str
) -> None:
    refusal = RefusedByVenue("no", f"HTTP {status} no", status=status)
    with pytest.raises(kind, match=said):
        play(1, lambda made: setattr(made, "refusal", refusal))


def test_clock_when_nothing_else_measures_it_then_the_venue_is_asked_again_every_five_minutes() -> None:
    assert play(1_000, lambda _made: None).prepared == 1 + 3


def test_clock_when_a_stream_brings_the_time_then_the_venue_is_not_asked() -> None:
    def measure(made: Assembled) -> Callable[[], None]:
        return lambda: made.time.sample_ms(1, sent_ns=0, received_ns=made.clock.monotonic_ns())

    assert play(500, measure).prepared == 1


def test_run_when_a_part_is_refused_for_good_then_its_error_ends_it() -> None:
    with pytest.raises(Fatal, match="key refused"):
        play(10, lambda made: made.reads.errors.update({"book A": Fatal("key refused")}))


@pytest.mark.parametrize("fatal", ["book A", "book B"])
def test_run_when_several_parts_fail_at_once_then_the_fatal_error_is_the_one_that_ends_it(fatal: str) -> None:
    def fail(made: Assembled) -> None:
        made.reads.errors = dict.fromkeys(("book A", "book B"), LookupError("a defect")) | {fatal: Fatal("key refused")}
        made.reads.slow_s = 1

    with pytest.raises(Fatal, match="key refused"):
        play(10, fail)


@pytest.mark.parametrize(
    ("patterns", "said"),
    [(("A", "NONE"), r"markets: the venue has no market NONE"), (("*",), r"markets_max=3; raise it")],
)
def test_start_when_the_patterns_name_nothing_or_too_much_then_the_setting_is_named(
    patterns: tuple[str, ...], said: str
) -> None:
    async def main(clock: LoopClock) -> Assembled:
        made = Assembled(clock, *"ABCD", patterns=patterns)
        await made.for_seconds(1)
        return made

    with pytest.raises(ConfigurationError, match=said):
        run(main)


def test_start_when_one_instrument_is_unusable_then_only_its_exact_name_stops_the_start() -> None:
    async def main(clock: LoopClock, *patterns: str) -> Assembled:
        made = Assembled(clock, "A", "B", patterns=patterns)
        made.source.unusable = {"A"}
        await made.for_seconds(1)
        return made

    assert [event.instrument.symbol for event in run(lambda clock: main(clock, "*")).taken(InstrumentDefined)] == ["B"]
    with pytest.raises(ConfigurationError, match="tick_size"):
        run(lambda clock: main(clock, "A", "B"))


def test_instrument_when_its_numbers_can_not_be_read_then_it_is_left_out_and_the_others_are_there() -> None:
    def spoil(made: Assembled) -> None:
        made.source.garbled.add("A")

    assert {event.instrument.symbol for event in play(5, spoil).taken(InstrumentDefined)} == {"B"}


def test_start_when_the_account_has_something_elsewhere_then_it_is_defined_and_not_polled() -> None:
    async def main(clock: LoopClock) -> Assembled:
        made = Assembled(clock, "A", "B", patterns=("A",))
        made.source.held = ["B"]
        await made.for_seconds(3)
        return made

    made = run(main)
    assert [event.instrument.symbol for event in made.taken(InstrumentDefined)] == ["A", "B"]
    assert {event.instrument for event in made.taken(BookSnapshot)} == {"tide:A"}


def test_status_when_a_venue_has_several_parts_then_it_is_up_with_the_last_and_down_with_the_first() -> None:
    events: list[Event] = []
    status = VenueStatus("tide", lambda event, *_: events.append(event), ("stream", POLL))
    for part, is_up in (("stream", True), (POLL, True), ("stream", False), (POLL, True), ("stream", True)):
        status.report(part, is_up=is_up, reason=part, ts_recv=1)
    assert [(one.is_up, one.reason) for one in events if isinstance(one, ConnectorStatus)] == [
        (True, POLL),
        (False, "stream"),
        (True, "stream"),
    ]
