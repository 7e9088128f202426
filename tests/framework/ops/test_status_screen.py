"""The live terminal status."""

from __future__ import annotations

import asyncio
import io
import threading

import msgspec
import pytest
from rich.console import Console

from framework.ops.status import CashStatus, QuestionedOrder, QuoteStatus, Status, TradingStatus, VenueStatus
from framework.ops.status_screen import ATTENTION_LINES_MAX, PAGE_S, LiveStatus, render_screen

NAMES = ("KXBTC15M-26NOV301245-45", "KXBTC15M-26NOV301300-00", "KXBTC15M-26NOV301315-15")
STATUS = Status(
    uptime_s=3_725,
    not_ready=("venue other is not connected",),
    trading=(TradingStatus("strategy", "mm", "halted", "drill", "operator", 1_796_043_471_000_000_000),),
    venues=(
        VenueStatus(
            "kalshi", True, feed_age_ms=230, books=4, books_fresh=3, rate_limit_left={"write": 87, "balance": 1}
        ),
        VenueStatus("other", False, reason="silent for 25 s"),
    ),
    orders_in_question=(QuestionedOrder("t-1-1", "mm", "kalshi:A", "unknown", 12_300),),
    cash=(CashStatus("kalshi", "USD", "10000"),),
    quotes=tuple(
        QuoteStatus(
            "market_maker", name, "0.4000", "0.4400", "0.4100 x 100", "0.4300 x 100", position="-5.00", pnl="-1.2500"
        )
        for name in NAMES
    ),
    fills=12,
    refusals=3,
    open_orders=2,
)


def picture(status: Status, width: int, height: int) -> list[str]:
    """The rows of a terminal of this size."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    with console.capture() as capture:
        console.print(render_screen(status, width=width, height=height - 1))
    return capture.get().splitlines()


def many(count: int) -> Status:
    quotes = [msgspec.structs.replace(STATUS.quotes[0], instrument=f"KXBTC15M-26NOV30-{n:03d}") for n in range(count)]
    return msgspec.structs.replace(STATUS, quotes=tuple(quotes))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40)])
def test_screen_when_all_is_known_then_totals_and_what_needs_attention_stand_first(width: int, height: int) -> None:
    rows = picture(STATUS, width, height)
    assert rows[0].startswith("up 1:02:05   open orders 2   fills 12   refusals 3   cash kalshi 10000 USD")
    assert rows[1] == "not ready: venue other is not connected"
    assert rows[2] == "HALTED strategy mm: drill, by operator, since 2026-11-30 12:57:51Z"
    assert rows[3] == "orders unknown: 1, the oldest for 12.3 s"
    text = "\n".join(rows)
    for shown in ("rate limit left", "87 write, 1 balance", "3 of 4", "0.2 s", "down: silent for 25 s", "0.4100 x 100"):
        assert shown in text
    assert all(len(row) <= width for row in rows)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40)])
@pytest.mark.parametrize("count", [3, 50])
def test_screen_when_rows_do_not_fit_then_it_is_no_higher_than_the_terminal_and_keeps_the_totals(
    width: int, height: int, count: int
) -> None:
    rows = picture(many(count), width, height)
    assert len(rows) <= height - 1
    assert rows[0].startswith("up 1:02:05   open orders 2")
    assert rows[-1].endswith("Ctrl-C stops: cancels what is open, then exits")


def test_screen_when_rows_do_not_fit_then_its_pages_show_each_of_them_in_turn() -> None:
    shown = set()
    for page in range(5):
        status = msgspec.structs.replace(many(50), uptime_s=page * PAGE_S)
        rows = picture(status, 140, 24)
        shown |= {word for row in rows for word in row.split() if word.startswith("KXBTC15M")}
    assert "page" in rows[-1]
    assert len(shown) == 50


@pytest.mark.parametrize("width", [80, 140])
def test_screen_when_names_are_long_then_different_instruments_look_different(width: int) -> None:
    rows = [row.split()[1] for row in picture(STATUS, width, 24) if row.startswith(("market", "ma…"))]
    assert len(set(rows)) == len(NAMES)
    assert all(one[:2] == "KX" for one in rows)


def test_screen_when_too_much_needs_attention_then_it_says_how_much_more() -> None:
    halts = tuple(TradingStatus("instrument", f"tide:{n}", "halted", "odd") for n in range(20))
    rows = picture(msgspec.structs.replace(STATUS, trading=halts), 80, 24)
    assert rows[1 + ATTENTION_LINES_MAX] == "16 more; `tidegate status` shows all"
    assert len(rows) <= 23


def test_screen_when_there_is_nothing_then_shows_that_without_failing() -> None:
    rows = picture(Status(uptime_s=0, fills=0, refusals=0), 80, 24)
    assert rows[:2] == ["up 0:00:00   open orders 0   fills 0   refusals 0", "ready"]


def terminal(stream: io.StringIO) -> Console:
    return Console(file=stream, force_terminal=True, width=140, height=40, _environ={})


async def draw_for(status: LiveStatus, seconds: float) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await status.run()


async def test_live_status_when_there_is_no_terminal_then_draws_nothing() -> None:
    stream, calls = io.StringIO(), []

    def read() -> Status:
        calls.append(1)
        return STATUS

    status = LiveStatus(read, console=Console(file=stream, force_terminal=False))
    assert not status.is_shown
    await draw_for(status, 0.02)
    assert stream.getvalue() == ""
    assert calls == []


async def test_live_status_when_on_a_terminal_then_draws_without_a_thread_and_ends_on_cancel() -> None:
    stream, threads = io.StringIO(), set()

    def read() -> Status:
        threads.add(threading.active_count())
        return STATUS

    before = threading.active_count()
    status = LiveStatus(read, console=terminal(stream))
    assert status.is_shown
    await draw_for(status, 0.7)
    assert "fills 12" in stream.getvalue()
    assert threads == {before}


async def test_live_status_when_the_terminal_changes_its_size_then_it_is_cleared_once_and_drawn_for_that_size() -> None:
    stream = io.StringIO()
    console = terminal(stream)
    drawing = asyncio.create_task(LiveStatus(lambda: STATUS, console=console).run())
    await asyncio.sleep(0.6)
    assert "\x1b[2J" not in stream.getvalue()
    console.size = (60, 20)  # type: ignore[assignment]  # rich takes a pair, too
    await asyncio.sleep(1.1)
    drawing.cancel()
    await asyncio.wait([drawing])

    before, cleared, after = stream.getvalue().partition("\x1b[2J")
    assert cleared
    assert "\x1b[2J" not in after
    assert "fills 12" in before
    assert "fills 12" in after


async def test_live_status_when_it_ends_then_the_last_frame_shows_how_it_ended() -> None:
    stream, shown = io.StringIO(), [STATUS]
    drawing = asyncio.create_task(LiveStatus(lambda: shown[-1], console=terminal(stream)).run())
    await asyncio.sleep(0)
    shown.append(msgspec.structs.replace(STATUS, open_orders=4711))

    drawing.cancel()
    await asyncio.wait([drawing])

    assert "open orders 4711" in stream.getvalue()


async def test_live_status_when_the_terminal_is_closed_then_it_ends_without_an_error() -> None:
    class Closed(io.StringIO):
        def flush(self) -> None:
            raise OSError(5, "Input/output error")

    await LiveStatus(lambda: STATUS, console=Console(file=Closed(), force_terminal=True, _environ={})).run()
