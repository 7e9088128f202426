"""Books that went stale by themselves."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from msgspec.structs import replace

from framework.domain.instruments import InstrumentId, InstrumentStatus
from framework.domain.market_events import BookDelta, BookSnapshot, ConnectorStatus
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.runtime.clock import ManualClock
from framework.state.books import Books
from framework.venues import BookWatch, not_defined_again
from tests.support.state_records import INSTRUMENT

A, B, ELSEWHERE = InstrumentId("tide:A"), InstrumentId("tide:B"), InstrumentId("other:A")
MS = 1_000_000


class Market:
    """Three fresh books, two of them at the venue that is watched; what was asked for is kept."""

    def __init__(self) -> None:
        self.clock = ManualClock(wall_ns=0, monotonic_ns=0)
        self.books = Books()
        self.asked: list[InstrumentId] = []
        self.known = {one: replace(INSTRUMENT, id=one) for one in (A, B, ELSEWHERE)}
        self.watch = BookWatch("tide", self.books, self.asked.append, clock=self.clock, instruments=self.known)
        for venue in ("tide", "other"):
            self.books.apply(ConnectorStatus(venue, True, "", 0), 0)
        for instrument in (A, B, ELSEWHERE):
            self.prove(instrument)

    def prove(self, instrument: InstrumentId) -> None:
        self.books.apply(
            BookSnapshot(instrument, 0, 0, ((Price(40), Size(1)),), ((Price(60), Size(1)),)), self.clock.monotonic_ns()
        )

    def cross(self, instrument: InstrumentId) -> None:
        crossing = BookDelta(instrument, 0, 0, Side.BUY, Price(70), Size(1))
        self.books.apply(crossing, self.clock.monotonic_ns())

    def pass_ms(self, duration_ms: int) -> list[InstrumentId]:
        """What was asked for at the end of that time."""
        self.clock.advance(duration_ms * MS)
        self.asked.clear()
        self.watch.look()
        return list(self.asked)


@pytest.fixture
def market() -> Market:
    return Market()


def test_watch_when_books_are_fresh_then_nothing_is_asked_for(market: Market) -> None:
    assert market.pass_ms(10_000) == []


def test_watch_when_a_book_crossed_itself_then_it_is_asked_for_after_a_second_until_it_is_fresh(
    market: Market,
) -> None:
    market.cross(A)
    market.cross(ELSEWHERE)
    assert [market.pass_ms(step) for step in (0, 999, 1, 250)] == [[], [], [A], [A]]
    market.prove(A)
    assert market.pass_ms(10_000) == []


def test_watch_when_stale_again_then_the_second_counts_anew(market: Market) -> None:
    market.cross(A)
    market.pass_ms(0)
    market.prove(A)
    market.pass_ms(900)
    market.cross(A)
    assert [market.pass_ms(step) for step in (100, 900, 100)] == [[], [], [A]]


def test_watch_when_the_venue_is_down_then_nothing_is_asked_for_and_patience_starts_when_it_is_back(
    market: Market,
) -> None:
    market.books.apply(ConnectorStatus("tide", False, "lost", 0), 0)
    assert [market.pass_ms(step) for step in (0, 5_000)] == [[], []]
    market.books.apply(ConnectorStatus("tide", True, "", 0), 0)
    assert [market.pass_ms(step) for step in (0, 999, 1)] == [[], [], [A, B]]


def test_watch_when_a_book_is_stale_for_long_then_the_log_says_so_once_and_once_that_it_is_fresh(
    market: Market,
) -> None:
    market.cross(A)
    with structlog.testing.capture_logs() as logged:
        for _ in range(100):
            market.pass_ms(250)
        assert market.watch.stale == {A: "crossed: bid 70, ask 60"}
        market.books.apply(ConnectorStatus("tide", False, "lost", 0), 0)
        market.pass_ms(250)
        market.books.apply(ConnectorStatus("tide", True, "", 0), 0)
        market.prove(A)
        market.prove(B)
        market.pass_ms(250)
    assert market.watch.stale == {}
    assert [(line["log_level"], line["event"], line["instrument"]) for line in logged] == [
        ("warning", "book is stale: no order is approved on it", A),
        ("info", "book is fresh again", A),
    ]


def test_watch_when_an_instrument_with_a_stale_book_has_left_then_it_brings_no_book_back_and_asks_for_none(
    market: Market,
) -> None:
    market.cross(A)
    for _ in range(10):
        market.pass_ms(250)
    market.books.forget(A)
    with structlog.testing.capture_logs() as logged:
        assert [market.pass_ms(step) for step in (250, 5_000)] == [[], []]
    assert (market.watch.stale, market.books.get(A), logged) == ({}, None, [])


@pytest.mark.parametrize("status", [InstrumentStatus.CLOSED, InstrumentStatus.SETTLED])
def test_watch_when_a_market_has_closed_then_its_stale_book_is_neither_asked_for_nor_logged(
    market: Market, status: InstrumentStatus
) -> None:
    market.known[A] = replace(market.known[A], status=status)
    market.cross(A)
    with structlog.testing.capture_logs() as logged:
        assert [market.pass_ms(step) for step in (0, 1_000, 10_000)] == [[], [], []]
    assert (market.watch.stale, logged) == ({}, [])


def test_watch_when_a_market_closes_or_leaves_while_its_book_is_stale_then_it_is_forgotten(market: Market) -> None:
    market.cross(A)
    market.cross(B)
    market.pass_ms(0)
    market.pass_ms(1_000)
    market.known[A] = replace(market.known[A], status=InstrumentStatus.CLOSED)
    del market.known[B]
    market.books.forget(B)
    with structlog.testing.capture_logs() as logged:
        assert market.pass_ms(250) == []
    assert (market.watch.stale, logged) == ({}, [])
    assert market.books.get(B) is None


async def test_watch_when_it_runs_then_it_looks_by_itself_until_cancelled(market: Market) -> None:
    market.cross(A)
    market.pass_ms(0)
    market.clock.advance(1_000 * MS)
    task = asyncio.create_task(market.watch.run())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert market.asked == [A]


def test_not_defined_again_when_an_earlier_run_knew_markets_then_those_that_are_neither_defined_again_nor_settled_are(
    market: Market,
) -> None:
    earlier = {one.id: replace(one, venue=one.id.partition(":")[0]) for one in market.known.values()}
    now = dict(earlier)
    assert not_defined_again("tide", earlier, now) == [A, B]
    now[B] = replace(now[B])
    assert not_defined_again("tide", earlier, now) == [A]
    earlier[A] = now[A] = replace(now[A], status=InstrumentStatus.SETTLED)
    assert not_defined_again("tide", earlier, now) == []
