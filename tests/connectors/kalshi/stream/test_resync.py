"""A book that crossed itself, from the stream's frames to the core's book and back."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from connectors.kalshi.connector import make_connector
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.state.books import Books
from framework.venues import BookWatch
from tests.connectors.kalshi.support import TICKER, ScriptedWebSocket, settings_for
from tests.connectors.kalshi.venue_script import answer_subscriptions, quiet_venue
from tests.connectors.support import LoopClock, ScriptedConnection, run_jumping
from tests.support.state_records import INSTRUMENT as A_MARKET

INSTRUMENT = InstrumentId(f"kalshi:{TICKER}")


class Crossing:
    """A venue whose third book frame crosses the book; it sends whole books when asked."""

    def __init__(self) -> None:
        self.sid = 0
        self.seq = 1
        self.asked: list[list[str]] = []

    def __call__(self, connection: ScriptedConnection, command: dict[str, Any]) -> None:
        answer_subscriptions(connection, command)
        params = command.get("params", {})
        if params.get("channels") == ["orderbook_delta"]:
            self.sid = command["id"]
            asyncio.get_running_loop().call_later(1, self._cross, connection)
        elif params.get("action") == "get_snapshot":
            self.asked.append(params["market_tickers"])
            self._send(connection, "orderbook_snapshot", {"yes_dollars_fp": [["0.4700", "3.00"]]})

    def _cross(self, connection: ScriptedConnection) -> None:
        self._send(connection, "orderbook_delta", {"price_dollars": "0.5000", "delta_fp": "1.00", "side": "no"})
        self._send(connection, "orderbook_delta", {"price_dollars": "0.5100", "delta_fp": "1.00", "side": "yes"})

    def _send(self, connection: ScriptedConnection, kind: str, msg: dict[str, Any]) -> None:
        self.seq += 1
        frame = {"type": kind, "sid": self.sid, "seq": self.seq, "msg": {"market_ticker": TICKER} | msg}
        connection.deliver(frame)


async def book_after(clock: LoopClock, tmp_path: Path, venue: Crossing, *, is_watched: bool) -> tuple[bool, str]:
    """Whether the core's book is fresh some time after it was crossed, and why not: before a quiet book is asked for
    anyway."""
    socket, books = ScriptedWebSocket(clock), Books()
    socket.script = [venue]
    connector = make_connector(
        "kalshi", settings_for(tmp_path), clock=clock, rng=random.Random(1), http=quiet_venue(TICKER), websocket=socket
    )

    def publish(event: Event, _now_ns: int = 0, _monotonic_ns: int = 0, /) -> None:
        books.apply(event, clock.monotonic_ns())  # type: ignore[arg-type]

    await connector.start(publish)
    tasks = [asyncio.create_task(connector.run())]
    if is_watched:
        known = {INSTRUMENT: replace(A_MARKET, id=INSTRUMENT)}
        watch = BookWatch("kalshi", books, connector.resync, clock=clock, instruments=known)
        tasks.append(asyncio.create_task(watch.run()))
    await asyncio.sleep(2.75)
    book = books.of(INSTRUMENT)
    seen = (book.is_fresh, book.stale_reason)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await connector.close()
    return seen


def test_book_when_a_change_crosses_it_then_one_snapshot_makes_it_fresh_again(tmp_path: Path) -> None:
    venue = Crossing()
    assert run_jumping(lambda clock: book_after(clock, tmp_path, venue, is_watched=True)) == (True, "")
    assert venue.asked == [[TICKER]]


def test_book_when_nobody_asks_for_a_snapshot_then_it_stays_crossed(tmp_path: Path) -> None:
    venue = Crossing()
    is_fresh, reason = run_jumping(lambda clock: book_after(clock, tmp_path, venue, is_watched=False))
    assert (is_fresh, reason) == (False, "crossed: bid 5100, ask 5000")
    assert venue.asked == []


@pytest.mark.parametrize("instrument", [INSTRUMENT, InstrumentId("kalshi:NOWHERE"), InstrumentId("other:A")])
def test_resync_when_the_stream_is_down_or_the_market_unknown_then_nothing_happens(
    tmp_path: Path, instrument: InstrumentId
) -> None:
    async def main(clock: LoopClock) -> None:
        socket = ScriptedWebSocket(clock)
        connector = make_connector(
            "kalshi",
            settings_for(tmp_path),
            clock=clock,
            rng=random.Random(1),
            http=quiet_venue(TICKER),
            websocket=socket,
        )
        await connector.start(lambda *_: None)
        connector.resync(instrument)
        await connector.close()
        assert socket.connections == []

    run_jumping(main)
