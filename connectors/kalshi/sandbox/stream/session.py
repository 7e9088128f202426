"""One stream connection: its reader, its writer, its heartbeat, and the faults that strike on it.

Frames are queued by the command handler and the publisher and written by one task, so a slow reader delays nobody. The
queue is bounded: a subscription whose frame finds it full ends with error 25, as at the venue (vendor docs).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from connectors.kalshi.sandbox.stream.channels import Publication
from connectors.kalshi.sandbox.stream.commands import CommandHandler
from connectors.kalshi.sandbox.stream.subscriptions import Subscription
from connectors.kalshi.sandbox.venue import Venue
from connectors.sandbox.serving.faults import Fault

# The venue pings about every 10 s with this payload (vendor docs).
HEARTBEAT = b"heartbeat"
HEARTBEAT_S = 10.0
QUEUE_FRAMES_MAX = 20_000
"""Frames a client may leave unread; the venue's own number is not documented."""
# The error code of a subscription that ends because the queue is full (vendor docs).
OVERFLOW = 25
FOREVER_NS = 1 << 63
STREAM_PATH = "/trade-api/ws/v2"
# Frames that answer a command are never lost or doubled by a fault; silence and cuts take them all.
DATA_FRAMES = frozenset(
    {"orderbook_snapshot", "orderbook_delta", "ticker", "trade", "fill", "user_order", "market_position"}
    | {"market_lifecycle_v2", "event_lifecycle", "order_group_updates"}
)


class Session:
    """A connected and authenticated stream client. Call `run` once; the other methods only while it runs.

    `accounts` are the ids of those it may see; None means all of the member. `abort` cuts the connection without a
    closing handshake, `heartbeat_s` is the time between pings, `queue_frames_max` how many frames may wait.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        venue: Venue,
        *,
        accounts: frozenset[str] | None,
        abort: Callable[[], None],
        heartbeat_s: float = HEARTBEAT_S,
        queue_frames_max: int = QUEUE_FRAMES_MAX,
    ) -> None:
        self._socket = socket
        self._venue = venue
        self._accounts = accounts
        self._abort = abort
        self._heartbeat_s = heartbeat_s
        self._queue_frames_max = queue_frames_max
        self._queue: deque[tuple[dict[str, Any], Subscription | None]] = deque()
        self._wake = asyncio.Event()
        self._silent_until_ns = 0
        self.commands = CommandHandler(venue.markets, self.offer)

    async def run(self) -> None:
        """Serve until the client leaves or the connection is cut. Raises what a task of it failed with."""
        tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._beat())]
        try:
            async for message in self._socket:
                if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    self.commands.handle(message.data)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            # A client that leaves while it is written to is normal; any other error is one of this program.
            if isinstance(end, Exception) and not isinstance(end, ConnectionError):
                raise end

    def publish(self, publication: Publication) -> None:
        """Queue a publication, numbered, for every subscription of this connection that it reaches."""
        for subscription in list(self.commands.subscriptions.values()):
            if publication.reaches(subscription, self._accounts):
                frame: dict[str, Any] = {"type": publication.kind}
                message = publication.message_for(subscription, self._accounts)
                if self._venue.faults.take("mute", **_target(frame | {"msg": message}, subscription)) is None:
                    self.offer(frame | subscription.numbered() | {"msg": message}, subscription)

    def offer(self, frame: dict[str, Any], subscription: Subscription | None) -> None:
        """Queue one frame; a full queue ends the frame's subscription. Frames of no subscription are always queued."""
        if subscription is not None and len(self._queue) >= self._queue_frames_max:
            self.commands.end(subscription, OVERFLOW)
            return
        self._queue.append((frame, subscription))
        self._wake.set()

    def check_faults(self) -> None:
        """Make the writer check the faults now, even when there is nothing to send."""
        self._wake.set()

    def end_silence(self) -> None:
        """End a silence that was to last until the connection ends."""
        self._silent_until_ns = 0

    def cut(self) -> None:
        """Cut the connection without a closing handshake."""
        self._abort()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._drop_when_struck():
                return
            while self._queue:
                frame, subscription = self._queue.popleft()
                await self._write_frame(frame, subscription)

    async def _write_frame(self, frame: dict[str, Any], subscription: Subscription | None) -> None:
        faults = self._venue.faults
        target = _target(frame, subscription)
        if self._drop_when_struck() or self._is_silent():
            return
        is_data = frame["type"] in DATA_FRAMES
        if (
            is_data
            and _is_gap(frame, faults.active("sequence_gap", **target))
            and faults.take("sequence_gap", **target)
        ):
            return
        delay = faults.take("delay", path=STREAM_PATH, **target)
        if delay is not None:
            await asyncio.sleep(delay.params.get("delay_ms", 100) / 1000)
        frame["sending_ts_ms"] = self._venue.clock.ms(self._venue.clock.engine_ns())
        text = msgspec.json.encode(frame).decode()
        copies = 2 if is_data and faults.take("duplicate_frame", **target) else 1
        for _ in range(copies):
            if not self._socket.closed:
                await self._socket.send_str(text)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            if not self._is_silent() and not self._socket.closed:
                await self._socket.ping(HEARTBEAT)

    def _drop_when_struck(self) -> bool:
        if self._venue.faults.take("drop_connection", path=STREAM_PATH) is None:
            return False
        self.cut()
        return True

    def _is_silent(self) -> bool:
        now_ns = self._venue.clock.engine_ns()
        if now_ns < self._silent_until_ns:
            return True
        fault = self._venue.faults.take("silent_stream", path=STREAM_PATH)
        if fault is None:
            return False
        self._silent_until_ns = fault.until_ns or FOREVER_NS
        return True


def _is_gap(frame: dict[str, Any], fault: Fault | None) -> bool:
    """A gap strikes book deltas only, unless the fault names a frame type: then that one."""
    return fault is not None and "seq" in frame and (frame["type"] == "orderbook_delta" or "type" in fault.match)


def _target(frame: dict[str, Any], subscription: Subscription | None) -> dict[str, str]:
    """What a fault's patterns may match of a frame: its type, channel and market; "" where it has none."""
    message = frame.get("msg")
    market = message.get("market_ticker") or message.get("ticker") if isinstance(message, dict) else None
    channel = subscription.channel if subscription is not None else ""
    return {"type": frame["type"], "channel": channel, "market": market or ""}
