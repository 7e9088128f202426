"""Connecting, watching and connecting again, in a loop whose time jumps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest

from connectors.kalshi.connector import make_connector
from connectors.kalshi.stream.commands import FILL, LIFECYCLE
from connectors.transport.errors import HandshakeRefused, NotSent
from connectors.transport.ports import CloseCause, CloseReason, HttpRequest, HttpResponse
from framework.domain.account_events import Fill, InstrumentDefined
from framework.domain.errors import AccountRefused, JournalError
from framework.domain.events import Event
from framework.domain.instruments import InstrumentStatus, instrument_id
from framework.domain.market_events import BookSnapshot, BookStale, ConnectorStatus, Heartbeat
from framework.domain.venue import LastWord, nothing_against
from tests.connectors.kalshi.support import TICKER, ScriptedWebSocket, approved, new_order, settings_for
from tests.connectors.kalshi.venue_script import (
    answer_snapshots,
    answer_subscriptions,
    body,
    listed_market,
    quiet_venue,
)
from tests.connectors.support import LoopClock, ScriptedConnection, ScriptedHttp, run_jumping

EXPIRED = b'{"error":{"code":"header_timestamp_expired","message":"header timestamp expired"}}'
BAD_KEY = b'{"error":{"code":"authentication_error","message":"authentication_error","details":"NOT_FOUND"}}'


class Run:
    """A connector between a scripted venue and a list of events."""

    def __init__(self, clock: LoopClock, tmp_path: Path, *, http: ScriptedHttp | None = None, **changes: Any) -> None:
        self.clock = clock
        self.http = http or quiet_venue(TICKER)
        self.socket = ScriptedWebSocket(clock)
        self.socket.script = [answer_subscriptions]
        self.events: list[Event] = []
        self.publish: Callable[[Event], None] = self.events.append
        self.connector = make_connector(
            "kalshi",
            settings_for(tmp_path, **changes),
            clock=clock,
            rng=random.Random(1),
            http=self.http,
            websocket=self.socket,
        )

    async def for_seconds(self, seconds: float) -> None:
        """Start, run that long, and stop."""
        await self.connector.start(lambda event, *_: self.publish(event))
        task = asyncio.create_task(self.connector.run())
        done, _ = await asyncio.wait({task}, timeout=seconds)
        task.cancel()
        await asyncio.wait({task})
        await self.connector.close()
        if done and not task.cancelled():
            raise task.exception() or AssertionError("run returned")

    def statuses(self) -> list[tuple[bool, str]]:
        return [(event.is_up, event.reason) for event in self.events if isinstance(event, ConnectorStatus)]


def run(tmp_path: Path, seconds: float, prepare: Callable[[Run], object], **changes: Any) -> Run:
    async def main(clock: LoopClock) -> Run:
        made = Run(clock, tmp_path, **changes)
        prepare(made)
        await made.for_seconds(seconds)
        return made

    return run_jumping(main)


def pinging(connection: ScriptedConnection, command: dict[str, Any]) -> None:
    """A healthy venue with a quiet market: answers, and pings every 10 s."""
    answer_subscriptions(connection, command)
    answer_snapshots(connection, command)
    if command["id"] == 1:

        def ping() -> None:
            connection.ping()
            asyncio.get_running_loop().call_later(10, ping)

        ping()


def test_stream_when_healthy_then_one_connection_lasts_and_beats(tmp_path: Path) -> None:
    made = run(tmp_path, 3_600, lambda made: setattr(made.socket, "script", [pinging]))
    assert len(made.socket.connections) == 1
    assert made.statuses() == [(True, "subscribed"), (False, "stopped")]
    beats = [event.ts_recv for event in made.events if isinstance(event, Heartbeat)]
    assert len(beats) > 1_200
    assert max(later - earlier for earlier, later in pairwise(beats)) <= 3_000_000_000
    assert any(isinstance(event, BookSnapshot) for event in made.events)


def test_stream_when_each_attempt_is_made_then_it_is_signed_anew(tmp_path: Path) -> None:
    made = run(tmp_path, 60, lambda made: setattr(made.socket, "script", [NotSent("refused")]))
    stamps = [headers["KALSHI-ACCESS-TIMESTAMP"] for headers in made.socket.headers]
    assert len(stamps) == len(set(stamps)) > 3


def test_stream_when_the_venue_is_gone_then_no_minute_sees_more_than_ten_connects(tmp_path: Path) -> None:
    made = run(tmp_path, 1_800, lambda made: setattr(made.socket, "script", [NotSent("refused")]))
    times = made.socket.connected_ns
    assert len(times) > 50
    assert all(later - earlier >= 60_000_000_000 for earlier, later in zip(times, times[10:], strict=False))


def test_stream_when_lost_then_books_are_stale_and_the_next_connection_proves_them_again(tmp_path: Path) -> None:
    def lose_first(made: Run) -> None:
        def drop(connection: ScriptedConnection, command: dict[str, Any]) -> None:
            pinging(connection, command)
            if command["id"] == 1:
                lost = CloseReason(cause=CloseCause.LOST, code=1006)
                asyncio.get_running_loop().call_later(5, connection.end, lost)

        made.socket.script = [drop, pinging]

    made = run(tmp_path, 30, lose_first)
    assert made.statuses() == [
        (True, "subscribed"),
        (False, "the connection was lost"),
        (True, "subscribed"),
        (False, "stopped"),
    ]
    books = [type(event) for event in made.events if isinstance(event, (BookSnapshot, BookStale))]
    assert [kind for kind, _ in groupby(books)] == [BookSnapshot, BookStale, BookSnapshot, BookStale]


def test_stream_when_silent_then_it_is_noticed_within_half_a_minute(tmp_path: Path) -> None:
    def go_deaf(connection: ScriptedConnection, command: dict[str, Any]) -> None:
        if command["cmd"] == "subscribe":
            answer_subscriptions(connection, command)

    made = run(tmp_path, 60, lambda made: setattr(made.socket, "script", [go_deaf, pinging]))
    first, second = made.socket.connected_ns[:2]
    assert second - first < 30_000_000_000
    assert made.statuses()[-2] == (True, "subscribed")


def test_stream_when_it_answers_but_neither_sends_nor_pings_then_silence_ends_it(tmp_path: Path) -> None:
    def mute(connection: ScriptedConnection, command: dict[str, Any]) -> None:
        if command["cmd"] == "subscribe":
            answer_subscriptions(connection, command)

    made = run(tmp_path, 60, lambda made: setattr(made.socket, "script", [mute, pinging]), ack_timeout_ms=1_000_000)
    assert (False, "nothing was heard for 25000 ms") in made.statuses()


def test_stream_when_garbage_comes_then_the_account_is_compared_and_the_connection_and_its_books_stay(
    tmp_path: Path,
) -> None:
    def babble(connection: ScriptedConnection, command: dict[str, Any]) -> None:
        pinging(connection, command)
        if command["id"] == 1:
            asyncio.get_running_loop().call_later(3, connection.deliver, b"garbage")

    made = run(tmp_path, 20, lambda made: setattr(made.socket, "script", [babble, pinging]))
    assert len(made.socket.connections) == 1
    assert [reason[:37] for is_up, reason in made.statuses() if is_up][1:] == ["the venue sent what is no frame: not "]
    assert len([event for event in made.events if isinstance(event, BookStale)]) == 1  # at the end


def test_stream_when_nothing_but_garbage_comes_then_the_connection_is_replaced(tmp_path: Path) -> None:
    def babble(connection: ScriptedConnection, _command: dict[str, Any]) -> None:
        connection.deliver(b"garbage")

    made = run(tmp_path, 20, lambda made: setattr(made.socket, "script", [babble, pinging]))
    assert len(made.socket.connections) == 2
    assert made.statuses()[0] == (False, "the venue did not answer a command in time")


def test_upgrade_when_the_key_is_refused_then_it_is_fatal(tmp_path: Path) -> None:
    refusal = HandshakeRefused(401, BAD_KEY)
    with pytest.raises(AccountRefused, match="key"):
        run(tmp_path, 60, lambda made: setattr(made.socket, "script", [refusal]))


def test_upgrade_when_it_is_forbidden_then_the_account_is_refused_and_the_addresses_are_named(tmp_path: Path) -> None:
    refusal = HandshakeRefused(403, b'{"error":{"code":"forbidden","message":"forbidden"}}')
    with pytest.raises(AccountRefused, match="the addresses of this machine"):
        run(tmp_path, 60, lambda made: setattr(made.socket, "script", [refusal]))


def test_upgrade_when_the_timestamp_is_refused_then_the_clock_is_read_again(tmp_path: Path) -> None:
    def expire(made: Run) -> None:
        made.socket.script = [HandshakeRefused(401, EXPIRED), pinging]
        made.http.headers["date"] = "Thu, 11 Jun 2026 07:29:20 GMT"

    made = run(tmp_path, 60, expire)
    assert (True, "subscribed") in made.statuses()
    assert made.http.targets().count("/trade-api/v2/exchange/status") == 2


def test_upgrade_when_the_venue_is_busy_then_it_is_tried_again(tmp_path: Path) -> None:
    refusals = [HandshakeRefused(503, b""), HandshakeRefused(429, b'{"error":"too many requests"}'), pinging]
    made = run(tmp_path, 60, lambda made: setattr(made.socket, "script", refusals))
    assert (True, "subscribed") in made.statuses()


def test_run_when_the_kernel_fails_then_its_error_ends_it(tmp_path: Path) -> None:
    def fail(made: Run) -> None:
        def publish(event: Event) -> None:
            if isinstance(event, BookSnapshot):
                raise JournalError("disk full")

        made.publish = publish

    with pytest.raises(JournalError, match="disk full"):
        run(tmp_path, 60, fail)


def test_run_when_stopped_then_no_task_and_no_connection_is_left(tmp_path: Path) -> None:
    async def main(clock: LoopClock) -> tuple[int, bool]:
        made = Run(clock, tmp_path)
        await made.for_seconds(5)
        return len(asyncio.all_tasks()), made.http.is_closed

    assert run_jumping(main) == (1, True)


def test_stream_when_a_book_is_asked_anew_while_its_connection_ends_then_whoever_asks_is_not_hurt(
    tmp_path: Path,
) -> None:
    async def main(clock: LoopClock) -> Run:
        made = Run(clock, tmp_path)
        task = asyncio.create_task(made.for_seconds(60))
        await asyncio.sleep(5)
        # The connection is over, and the stream does not know it yet.
        made.socket.connections[0].end(CloseReason(cause=CloseCause.LOST, code=1006))
        made.connector.resync(instrument_id("kalshi", TICKER))
        await task
        return made

    assert len(run_jumping(main).socket.connections) > 1


def test_stream_when_a_market_is_found_while_its_connection_ends_then_the_next_one_follows_it(tmp_path: Path) -> None:
    found = "KXTIDE-26NOV21-B300"

    class Cutting(ScriptedHttp):
        """The connection ends while the new market is read."""

        async def send(
            self, request: HttpRequest, *, timeout_ms: int, last_word: LastWord = nothing_against
        ) -> HttpResponse:
            if request.target.endswith(found):
                made.socket.connections[0].end(CloseReason(cause=CloseCause.LOST, code=1006))
            return await super().send(request, timeout_ms=timeout_ms)

    async def main(clock: LoopClock) -> None:
        nonlocal made
        made = Run(clock, tmp_path, http=quiet_venue(TICKER, into=Cutting()))
        made.http.on("GET", f"/markets/{found}", body(market=listed_market(found)))
        task = asyncio.create_task(made.for_seconds(60))
        await asyncio.sleep(5)
        lifecycle = next(
            one["id"] for one in made.socket.connections[0].commands if one["params"].get("channels") == [LIFECYCLE]
        )
        msg = {"market_ticker": found, "event_type": "created"}
        made.socket.connections[0].deliver({"type": LIFECYCLE, "sid": lifecycle, "seq": 1, "msg": msg})
        await task

    made: Run
    run_jumping(main)
    books = [
        one["params"]["market_tickers"]
        for one in made.socket.connections[1].commands
        if one["params"].get("channels") == ["orderbook_delta"]
    ]
    assert books == [[TICKER, found]]


def test_account_frames_when_no_subaccount_is_set_then_only_those_of_the_primary_one_are_ours(tmp_path: Path) -> None:
    def trading(connection: ScriptedConnection, command: dict[str, Any]) -> None:
        answer_subscriptions(connection, command)
        if command["params"].get("channels") == [FILL]:
            for number in (3, 0):
                msg = {
                    "trade_id": f"t{number}",
                    "order_id": "o",
                    "market_ticker": TICKER,
                    "is_taker": True,
                    "yes_price_dollars": "0.7500",
                    "count_fp": "1.00",
                    "fee_cost": "0.010000",
                    "book_side": "bid",
                    "subaccount": number,
                }
                connection.deliver({"type": "fill", "sid": command["id"], "msg": msg})

    made = run(tmp_path, 5, lambda made: setattr(made.socket, "script", [trading]))
    assert [event.fill_id for event in made.events if isinstance(event, Fill)] == ["t0"]


def test_status_when_only_a_read_tells_it_then_it_is_learnt_within_the_interval(tmp_path: Path) -> None:
    http = quiet_venue(TICKER)
    listed = [body(markets=[listed_market(TICKER, status=status)], cursor="") for status in ("active", "inactive")]
    http.on("GET", "/markets", *[listed[0]] * 4, listed[1])

    def prepare(made: Run) -> None:
        made.socket.script = [pinging]

    made = run(tmp_path, 100, prepare, http=http, markets_interval_ms=20_000)
    defined = [event.instrument.status for event in made.events if isinstance(event, InstrumentDefined)]
    assert defined == [InstrumentStatus.ACTIVE, InstrumentStatus.PAUSED]


def test_market_when_orders_are_refused_for_its_grid_then_it_is_read_again_at_its_turns(tmp_path: Path) -> None:
    http = quiet_venue(TICKER)
    http.on("GET", f"/markets/{TICKER}", body(market=listed_market(TICKER)))
    http.on("POST", "/portfolio/events/orders", (400, b'{"error":{"code":"invalid_price","message":"invalid price"}}'))

    async def main(clock: LoopClock) -> None:
        made = Run(clock, tmp_path, http=http)
        made.socket.script = [pinging]
        task = asyncio.create_task(made.for_seconds(40))
        await asyncio.sleep(1)
        gateway = made.connector.gateway
        for _ in range(300):
            await gateway.send(gateway.sign(approved(new_order()), None))
            await asyncio.sleep(0.1)
        await task

    run_jumping(main)
    assert 4 <= http.targets().count(f"/trade-api/v2/markets/{TICKER}") <= 7
