"""A stream whose every message is a whole book, of all symbols whether asked for or not."""

from __future__ import annotations

import asyncio
from typing import Any

from connectors.client.book_sync import OLDER_MAX, QuietBooks, Step, UpdateTracker
from connectors.transport.ports import CloseCause, CloseReason
from framework.domain.instruments import instrument_id
from framework.domain.market_events import BookSnapshot, BookStale, Heartbeat
from tests.connectors.client.streamed_venues import BOOK, SECOND_NS, StreamRig, replacing
from tests.connectors.support import run_jumping

A, B = instrument_id("tide", "A"), instrument_id("tide", "B")


def play(act: Any, *symbols: str) -> StreamRig:
    played: StreamRig = run_jumping(lambda clock: replacing(clock, act, *symbols))
    return played


def test_stream_when_each_symbol_is_acknowledged_then_the_venue_is_up() -> None:
    async def act(rig: StreamRig) -> None:
        await asyncio.sleep(1)

    rig = play(act)
    assert [(one["channel"], one["symbol"]) for one in rig.connections[0].commands] == [
        (BOOK.name, "A"),
        (BOOK.name, "B"),
    ]
    assert rig.statuses[0] == (True, "subscribed")


def test_stream_when_a_symbol_is_not_acknowledged_then_the_connection_is_replaced() -> None:
    async def act(rig: StreamRig) -> None:
        rig.is_answering = False
        rig.followed["C"] = instrument_id("tide", "C")
        rig.stream.follow_new()
        await asyncio.sleep(12)

    rig = play(act)
    assert (False, "the venue did not answer a command in time") in rig.statuses
    assert len(rig.connections) > 1


def test_book_when_its_id_grows_then_each_one_replaces_the_last_and_an_older_one_is_dropped() -> None:
    async def act(rig: StreamRig) -> None:
        for update_id, bid in ((5, 100), (7, 101), (6, 102), (8, 103)):
            rig.book("A", update_id, bid)

    books = [event for event in play(act).events if isinstance(event, BookSnapshot)]
    assert [(event.instrument, event.bids[0][0]) for event in books] == [(A, 100), (A, 101), (A, 103)]


def test_book_when_the_same_comes_again_then_that_book_alone_is_as_young_as_it_once_a_second() -> None:
    async def act(rig: StreamRig) -> None:
        rig.book("A", 5)
        rig.book("B", 1)
        for _ in range(40):
            await asyncio.sleep(0.25)
            rig.book("A", 5)

    rig = play(act)
    assert len([event for event in rig.events if isinstance(event, BookSnapshot)]) == 2
    beats = [event for event in rig.events if isinstance(event, Heartbeat)]
    assert {event.instrument for event in beats} == {A}
    assert 9 <= len(beats) <= 10


def test_book_when_the_venue_begins_to_count_anew_then_it_is_taken_after_some_messages() -> None:
    async def act(rig: StreamRig) -> None:
        rig.book("A", 1_000)
        for number in range(OLDER_MAX + 1):
            rig.book("A", number, 50 + number)

    books = [event for event in play(act).events if isinstance(event, BookSnapshot)]
    assert [event.bids[0][0] for event in books] == [100, 50 + OLDER_MAX - 1, 50 + OLDER_MAX]


def test_symbols_when_nobody_asked_for_them_then_their_data_is_not_even_read() -> None:
    async def act(rig: StreamRig) -> None:
        for number in range(400):
            rig.deliver(channel=BOOK.name, symbol=f"X{number}", data={"no": "book"})

    rig = play(act)
    assert rig.counts.strays == 400
    assert rig.counts.unreadable_kinds == {}


def test_book_when_it_can_not_be_read_then_it_alone_is_stale_until_the_next_one() -> None:
    async def act(rig: StreamRig) -> None:
        rig.book("A", 1)
        rig.book("B", 1)
        rig.deliver(channel=BOOK.name, symbol="A", data={"lastUpdateId": "many"})
        rig.book("B", 2)
        rig.book("A", 2)

    events = [event for event in play(act).events if isinstance(event, (BookStale, BookSnapshot))]
    assert [(type(event), event.instrument) for event in events[:5]] == [
        (BookSnapshot, A),
        (BookSnapshot, B),
        (BookStale, A),
        (BookSnapshot, B),
        (BookSnapshot, A),
    ]


def test_stream_when_it_is_lost_then_books_are_stale_and_the_next_connection_takes_any_id() -> None:
    async def act(rig: StreamRig) -> None:
        rig.book("A", 100)
        rig.connections[0].end(CloseReason(cause=CloseCause.LOST, code=1006))
        await asyncio.sleep(5)
        rig.book("A", 3, 90)

    rig = play(act, "A")
    kinds = [type(event) for event in rig.events if isinstance(event, (BookStale, BookSnapshot))]
    assert kinds == [BookSnapshot, BookStale, BookSnapshot, BookStale]


def test_stream_when_it_is_quiet_then_it_is_asked_for_a_sign_of_life() -> None:
    async def act(rig: StreamRig) -> None:
        rig.book("A", 1)
        await asyncio.sleep(24)

    rig = play(act, "A")
    assert [one for one in rig.connections[0].commands if one["action"] == "ping"] == [{"action": "ping"}] * 2
    assert len(rig.connections) == 1


def test_update_ids_when_observed_then_they_are_per_book() -> None:
    updates = UpdateTracker()
    assert [updates.observe("A", 5), updates.observe("B", 1), updates.observe("A", 5)] == [
        Step.NEXT,
        Step.NEXT,
        Step.REPEATED,
    ]


def test_quiet_books_when_taken_then_only_those_without_a_frame_for_long_enough_and_each_again_after_that() -> None:
    quiet = QuietBooks(10)
    assert quiet.take(["A", "B"], 0) == ((), ())
    quiet.on_frame("A", 5)
    assert quiet.take(["A", "B"], 10) == (("B",), ())
    assert quiet.take(["A", "B"], 15) == (("A",), ())
    assert quiet.on_frame("A", SECOND_NS + 5)
    assert not quiet.on_frame("A", SECOND_NS + 6)


def test_quiet_book_when_nothing_came_since_it_was_asked_for_then_it_is_silent_and_a_frame_ends_that() -> None:
    quiet = QuietBooks(10)
    quiet.on_frame("A", 0)
    quiet.on_frame("B", 0)
    assert quiet.take(["A", "B"], 10) == (("A", "B"), ())
    quiet.on_frame("B", 11)
    assert quiet.take(["A", "B"], 21) == (("B",), ("A",))
    assert quiet.take(["A"], 31) == (("A",), ())
