"""The live terminal status."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from framework.domain.account_events import InstrumentDefined
from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Price, Size
from framework.ops.status_screen import (
    LiveStatus,
    QuoteStatus,
    StatusReader,
    StatusSnapshot,
    VenueStatus,
    render_status,
)
from framework.runtime.metrics import Metrics
from tests.support.world import INSTRUMENT, MARKET, VENUE, Scribe, World

SNAPSHOT = StatusSnapshot(
    uptime_s=3_725,
    venues=(
        VenueStatus("kalshi", True, feed_age_ms=230, budget="write 87/100"),
        VenueStatus("other", False, reason="silent for 25 s"),
    ),
    quotes=(
        QuoteStatus(
            "mm",
            "kalshi:KX-[A]",
            bid="0.4000",
            ask="0.4400",
            own_bid="0.4100",
            own_ask="0.4300",
            position="-5.00",
            pnl="-1.25",
        ),
    ),
    fills=12,
    refusals=3,
    open_orders=2,
    note="strategy bad is quarantined",
)


def text_of(snapshot: StatusSnapshot) -> str:
    console = Console(file=io.StringIO(), width=140, force_terminal=False)
    with console.capture() as capture:
        console.print(render_status(snapshot))
    return capture.get()


def test_render_when_all_is_known_then_shows_it() -> None:
    text = text_of(SNAPSHOT)
    for shown in (
        "kalshi",
        "up",
        "0.2 s",
        "write 87/100",
        "down silent for 25 s",
        "never",
        "kalshi:KX-[A]",
        "0.4100",
        "-5.00",
        "-1.25",
        "fills 12",
        "refusals 3",
        "open orders 2",
        "1:02:05",
        "strategy bad is quarantined",
    ):
        assert shown in text


def test_render_when_there_is_nothing_then_shows_that_without_failing() -> None:
    assert "fills 0" in text_of(StatusSnapshot(uptime_s=0, venues=(), quotes=()))


def test_snapshot_when_nothing_was_received_of_a_venue_then_its_feed_age_is_not_known(tmp_path: Path) -> None:
    world = World(tmp_path)
    reader = StatusReader(world.kernel, Metrics(), world.clock)
    assert [venue.feed_age_ms for venue in reader.snapshot().venues] == [None]

    world.start()
    world.clock.advance(250_000_000)

    assert [venue.feed_age_ms for venue in reader.snapshot().venues] == [250]
    world.close()


async def test_live_status_when_there_is_no_terminal_then_draws_nothing() -> None:
    stream = io.StringIO()
    calls: list[int] = []

    def snapshot() -> StatusSnapshot:
        calls.append(1)
        return SNAPSHOT

    status = LiveStatus(snapshot, console=Console(file=stream, force_terminal=False))
    assert not status.is_shown
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await status.run()
    assert stream.getvalue() == ""
    assert calls == []


async def test_live_status_when_on_a_terminal_then_draws_without_a_thread_and_ends_on_cancel() -> None:
    stream = io.StringIO()
    threads: set[int] = set()

    def snapshot() -> StatusSnapshot:
        threads.add(threading.active_count())
        return SNAPSHOT

    before = threading.active_count()
    status = LiveStatus(snapshot, console=Console(file=stream, force_terminal=True, width=140, _environ={}))
    assert status.is_shown
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.7):
            await status.run()
    assert "fills 12" in stream.getvalue()
    assert threads == {before}


def test_table_when_a_strategy_trades_another_instrument_then_that_is_a_row_while_it_holds_something(
    world: World,
) -> None:
    other = msgspec.structs.replace(INSTRUMENT, id=InstrumentId(f"{VENUE}:OTHER"), symbol="OTHER")
    world.kernel.publish(InstrumentDefined(other, 1))
    scribe: Any = world.core.add_strategy("scribe", Scribe, None, (MARKET,), trade_anything=True)
    reader = StatusReader(world.kernel, Metrics(), world.clock)

    def rows() -> list[tuple[str, str, str]]:
        return [(row.instrument, row.own_bid, row.position) for row in reader.snapshot().quotes]

    assert rows() == [(INSTRUMENT.symbol, "", "0")]
    handle = world.do(scribe, lambda: scribe.buy(other.id, Price(45), Size(10)))
    assert rows()[1:] == [("OTHER", "0.45 x 10", "0")]
    world.kernel.publish(msgspec.structs.replace(world.fill(handle, 10), instrument=other.id))
    assert rows()[1:] == [("OTHER", "", "10")]
    assert world.books.get(other.id) is None, "looking at it makes no book"
