"""Polled books and trades."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from connectors.client.polling.market import PAGES_MAX, PollPace, PollSchedule, TradeCursor
from framework.domain.errors import AccountRefused, Fatal, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.instruments import instrument_id
from framework.domain.market_events import BookSnapshot, BookStale, ConnectorStatus, Heartbeat, TradePrint
from framework.state.books import Books
from tests.connectors.client.polling.polled_venue import PAGE, SECOND_NS, PolledVenue, trade
from tests.connectors.support import LoopClock, run_jumping

A, B = instrument_id("tide", "A"), instrument_id("tide", "B")


def poll(seconds: float, use: Callable[[PolledVenue], Awaitable[None]] | None = None, *symbols: str) -> PolledVenue:
    """Poll the venue that long, and act on it meanwhile."""

    async def main(clock: LoopClock) -> PolledVenue:
        venue = PolledVenue(clock, *(symbols or ("A",)))
        acting = asyncio.create_task(use(venue)) if use else None
        await venue.for_seconds(seconds)
        if acting is not None:
            await acting
        return venue

    return run_jumping(main)


def test_book_when_it_does_not_change_then_one_snapshot_comes_and_then_a_heartbeat_of_its_own_with_each_poll() -> None:
    venue = poll(5, None, "A", "B")
    books = [event for event in venue.events if isinstance(event, BookSnapshot)]
    assert [event.instrument for event in books] == [A, B]
    beats = [event.instrument for event in venue.events if isinstance(event, Heartbeat)]
    assert (set(beats), 18 <= len(beats) <= 20) == ({A, B}, True)


def test_book_when_it_changes_then_the_next_poll_shows_it() -> None:
    async def move(venue: PolledVenue) -> None:
        await asyncio.sleep(2.1)
        venue.bid["A"] = 90

    venue = poll(4, move)
    assert [event.bids[0][0] for event in venue.events if isinstance(event, BookSnapshot)] == [100, 90]


def test_book_when_its_answer_is_slow_then_it_is_as_old_as_its_question() -> None:
    async def age(venue: PolledVenue) -> None:
        venue.slow_s = 0.4
        books = Books()
        await asyncio.sleep(3.45)
        for event, at_s in zip(venue.events, venue.times_s, strict=True):
            books.apply(event, round(at_s * SECOND_NS))  # type: ignore[arg-type]
            if isinstance(event, BookSnapshot):
                assert books.of(A).age_ns(round(at_s * SECOND_NS)) == pytest.approx(
                    0.4 * SECOND_NS, abs=SECOND_NS // 100
                )
        last_s = max(at for event, at in zip(venue.events, venue.times_s, strict=True) if isinstance(event, Heartbeat))
        assert books.of(A).age_ns(round(last_s * SECOND_NS)) == pytest.approx(0.4 * SECOND_NS, abs=SECOND_NS // 100)

    poll(4, age)


def test_book_when_it_contradicts_itself_then_it_is_read_at_once_and_published_whole_though_it_is_the_same() -> None:
    async def ask(venue: PolledVenue) -> None:
        await asyncio.sleep(2)
        venue.market.resync("A")
        venue.market.resync("NOWHERE")

    venue = poll(2.2, ask)
    assert len([event for event in venue.events if isinstance(event, BookSnapshot)]) == 2


def test_book_when_its_read_is_refused_then_it_is_stale_asked_for_less_and_less_and_the_other_goes_on() -> None:
    async def refuse(venue: PolledVenue) -> None:
        venue.errors["book A"] = RefusedByVenue("not_found", "Invalid market.")

    venue = poll(60, refuse, "A", "B")
    assert {event.instrument for event in venue.events if isinstance(event, BookStale)} == {A}
    assert venue.count("book A") <= 8
    assert venue.count("book B") >= 110
    assert venue.health.is_up


def test_venue_when_nothing_answers_then_it_is_down_and_its_books_are_published_whole_when_it_is_back() -> None:
    async def fail(venue: PolledVenue) -> None:
        await asyncio.sleep(2.1)
        venue.errors = {what: Retryable("lost") for what in ("book A", "trades A")}
        await asyncio.sleep(10)
        venue.errors = {}

    venue = poll(20, fail)
    assert [(one.is_up, one.reason[:20]) for one in venue.events if isinstance(one, ConnectorStatus)] == [
        (True, "polling"),
        (False, "the market data can'"),
        (True, "polling"),
    ]
    kinds = [type(one) for one in venue.events if isinstance(one, (BookSnapshot, ConnectorStatus))]
    assert kinds == [BookSnapshot, ConnectorStatus, ConnectorStatus, BookSnapshot, ConnectorStatus]


def test_venue_when_only_the_account_fails_then_it_is_down_and_its_books_come_whole_again() -> None:
    async def fail(venue: PolledVenue) -> None:
        await asyncio.sleep(2)
        venue.errors["fills"] = Retryable("lost")
        await asyncio.sleep(10)
        venue.errors = {}

    venue = poll(20, fail)
    statuses = [one.is_up for one in venue.events if isinstance(one, ConnectorStatus)]
    assert statuses == [True, False, True]
    assert len([one for one in venue.events if isinstance(one, BookSnapshot)]) == 2


def test_poll_when_it_is_run_again_after_the_account_was_refused_then_the_venue_is_up_and_every_book_comes_whole() -> (
    None
):
    async def main(clock: LoopClock) -> tuple[list[Event], list[Event]]:
        venue = PolledVenue(clock, "A", "B")
        await venue.for_seconds(3)
        venue.errors["book A"] = AccountRefused("this address is not allowed")
        with pytest.raises(ExceptionGroup):
            await venue.market.run()
        venue.take()
        venue.errors = {f"{kind} {symbol}": Retryable("lost") for kind in ("book", "trades") for symbol in "AB"}
        await venue.for_seconds(2)
        too_early = venue.take(ConnectorStatus)
        venue.errors = {}
        await venue.for_seconds(6)
        return too_early, venue.events

    too_early, events = run_jumping(main)
    assert too_early == []
    assert [one.is_up for one in events if isinstance(one, ConnectorStatus)] == [True]
    assert {one.instrument for one in events if isinstance(one, BookSnapshot)} == {A, B}


def test_poll_when_a_read_is_fatal_then_it_ends() -> None:
    async def main(clock: LoopClock) -> None:
        venue = PolledVenue(clock, "A")
        venue.errors["book A"] = Fatal("key refused")
        await venue.market.run()

    with pytest.raises(ExceptionGroup) as caught:
        run_jumping(main)
    assert caught.group_contains(Fatal)


def test_reads_when_the_rate_limit_leaves_less_than_is_wanted_then_every_book_keeps_its_share() -> None:
    async def main(clock: LoopClock) -> PolledVenue:
        venue = PolledVenue(clock, *"ABCDEFGHIJ", market=PollPace(book_ms=500, trades_ms=2_000, parallel=2))
        venue.slow_s = 0.2
        await venue.for_seconds(60)
        return venue

    venue = run_jumping(main)
    counts = [venue.count(f"book {symbol}") for symbol in "ABCDEFGHIJ"]
    assert max(counts) - min(counts) <= 2
    assert min(counts) >= 40
    times = [at for at, what in venue.asked if what == "book A"]
    assert max(later - earlier for earlier, later in pairwise(times)) < 2


def test_trades_when_polled_then_those_of_before_are_not_news_and_each_new_one_comes_once_oldest_first() -> None:
    async def act(venue: PolledVenue) -> None:
        venue.trades["A"] = [1, 2, 3, 4, 5]
        await asyncio.sleep(1.5)
        venue.trades["A"] += range(6, 6 + 2 * PAGE + 1)

    venue = poll(5, act)
    assert [one.trade_id for one in venue.events if isinstance(one, TradePrint)] == [f"t{n}" for n in range(6, 13)]


async def cursor_over(pages: list[list[int]], cursor: TradeCursor) -> tuple[list[str], int]:
    asked = 0

    async def read(number: int) -> list[TradePrint]:
        nonlocal asked
        asked += 1
        return [trade(A, one) for one in pages[number]] if number < len(pages) else []

    return [one.trade_id for one in await cursor.read_new(read)], asked


def test_cursor_when_trades_move_to_the_next_page_meanwhile_then_none_is_missed_and_none_comes_twice() -> None:
    async def main(_clock: LoopClock) -> None:
        cursor = TradeCursor()
        assert await cursor_over([[2, 1]], cursor) == ([], 1)
        assert await cursor_over([[6, 5], [5, 4], [3, 2]], cursor) == (["t3", "t4", "t5", "t6"], 3)
        assert await cursor_over([[6, 5], [5, 4]], cursor) == ([], 1)
        assert cursor.missed == 0

    run_jumping(main)


def test_cursor_when_no_known_trade_is_met_then_it_stops_somewhere_and_says_that_some_are_missing() -> None:
    async def main(_clock: LoopClock) -> None:
        cursor = TradeCursor()
        await cursor_over([[1]], cursor)
        pages = [[1_000 - number] for number in range(PAGES_MAX + 5)]
        found, asked = await cursor_over(pages, cursor)
        assert (len(found), asked, cursor.missed) == (PAGES_MAX, PAGES_MAX, 1)

    run_jumping(main)


def test_cursor_when_a_page_fails_then_the_next_call_finds_the_same() -> None:
    async def main(_clock: LoopClock) -> None:
        cursor = TradeCursor()
        await cursor_over([[1]], cursor)

        async def fail(_number: int) -> list[TradePrint]:
            raise Retryable("lost")

        with pytest.raises(Retryable):
            await cursor.read_new(fail)
        assert (await cursor_over([[2, 1]], cursor))[0] == ["t2"]

    run_jumping(main)


def test_schedule_when_names_are_due_then_the_latest_in_its_own_intervals_is_first_and_what_is_wanted_before() -> None:
    schedule = PollSchedule()
    schedule.keep({"slow": 4 * SECOND_NS, "quick": SECOND_NS}, 0)
    assert [schedule.take(0), schedule.take(0), schedule.take(0)] == ["slow", "quick", None]
    for name in ("slow", "quick"):
        schedule.finish(name)
    assert schedule.take(SECOND_NS // 2) is None
    schedule.want("slow", SECOND_NS // 2)
    schedule.want("unknown", SECOND_NS // 2)
    assert schedule.take(5 * SECOND_NS) == "slow"
    assert schedule.take(5 * SECOND_NS) == "quick"


def test_schedule_when_a_turn_is_under_way_then_the_same_is_not_begun_again() -> None:
    schedule = PollSchedule()
    schedule.keep({"a": SECOND_NS}, 0)
    assert schedule.take(0) == "a"
    schedule.want("a", 10)
    assert schedule.take(10 * SECOND_NS) is None
    schedule.finish("a")
    assert schedule.take(10 * SECOND_NS) == "a"


def test_schedule_when_a_name_is_gone_then_it_has_no_turn() -> None:
    schedule = PollSchedule()
    schedule.keep({"a": SECOND_NS}, 0)
    schedule.want("a", 0)
    schedule.keep({}, 0)
    assert schedule.take(SECOND_NS) is None
