"""A sandbox as a running server: one port for REST, stream and admin, one timer for flow, faults and engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from aiohttp import web

from connectors.sandbox.engine.events import Event
from connectors.sandbox.serving.admin import ADMIN_PREFIX, Admin, Administered
from connectors.sandbox.serving.rest import BODY_BYTES_MAX, RestFace, RestServer
from connectors.sandbox.serving.standing_faults import StandingFaults
from connectors.sandbox.serving.subscriptions import Publication, Publishing
from connectors.sandbox.serving.websocket import CLOSE_S, StreamFace, StreamServer

# Between two runs of flow, engine and fault plan: expiries and closes are at most this late.
TIMER_S = 0.02

V = TypeVar("V", bound=Administered)
C = TypeVar("C", bound=Publishing)


class ServingOptions(Protocol):
    """What the frame itself needs of a venue's options. `port` 0 takes a free one."""

    @property
    def directory(self) -> Path:
        """Keys and `sandbox.json` go here."""
        ...

    @property
    def host(self) -> str:
        """The address to listen on."""
        ...

    @property
    def port(self) -> int:
        """The port to listen on."""
        ...

    @property
    def read_lag_ms(self) -> int:
        """How far reads of own orders, fills, positions and balances lag writes."""
        ...


@dataclass(frozen=True)
class Design(Generic[V, C]):
    """What a venue gives the frame.

    `fresh` makes a new venue, at once and at each reset; it registers the keys that there are. `make_keys` makes or
    loads keys in a directory, registers them, and returns the members that the ready line has for them. `publications`
    are what a batch of engine events gives to each of the stream's conversations; `step` does at each tick of the timer
    what is the venue's alone.
    """

    name: str
    fresh: Callable[[], V]
    make_keys: Callable[[Path], Mapping[str, str]]
    rest: RestFace[V]
    stream: StreamFace[V, C] | None = None
    publications: Callable[[V, list[Event]], Iterable[Publication]] | None = None
    step: Callable[[V, int], None] | None = None


class SandboxServer(Generic[V, C]):
    """A local venue. Call `start` once, then `stop`; both on the same event loop.

    `now_ns` reads wall time in nanoseconds since the epoch. Raises what `Design.fresh` raises.
    """

    def __init__(
        self, design: Design[V, C], options: ServingOptions, *, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._design = design
        self._options = options
        self._now_ns = now_ns
        self._streams = StreamServer(lambda: self._venue, design.stream) if design.stream is not None else None
        self._runner: web.AppRunner | None = None
        self._timer: asyncio.Task[None] | None = None
        self._open_venue()

    @property
    def venue(self) -> V:
        """The current venue; a reset replaces it."""
        return self._venue

    @property
    def conversations(self) -> list[C]:
        """Those of the stream connections that are open now."""
        return self._streams.conversations if self._streams is not None else []

    async def start(self) -> dict[str, Any]:
        """Make or load the keys, open the port, start the timer; returns the ready line, which `sandbox.json` has too.

        Raises `OSError` when the port is taken or the directory cannot be written, and what `Design.make_keys` raises.
        """
        directory = self._options.directory
        directory.mkdir(parents=True, exist_ok=True)
        keys = self._design.make_keys(directory)
        self._runner = web.AppRunner(
            self._application(), access_log=None, handle_signals=False, shutdown_timeout=CLOSE_S
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self._options.host, self._options.port).start()
        self._timer = asyncio.create_task(self._run_timer())
        host, port = self._runner.addresses[0][:2]
        ready = {"ready": True, "venue": self._design.name} | self._addresses(f"{host}:{port}") | dict(keys)
        (directory / "sandbox.json").write_bytes(msgspec.json.encode(ready) + b"\n")
        return ready

    async def stop(self) -> None:
        """Cut all connections, close the port and end the timer. Raises what ended the timer, should it have failed."""
        self._cut_streams()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
            if not self._timer.cancelled() and (failure := self._timer.exception()) is not None:
                raise failure

    async def failed(self) -> None:
        """Wait until the timer fails, and raise its error. Before `start` it returns at once."""
        if self._timer is not None:
            await asyncio.shield(self._timer)

    # What the administrator may do (`admin.Controls`)

    def faults_changed(self) -> None:
        """Bring the venue in line with its fault plan now, without waiting for the timer."""
        self._standing.apply()
        for session in self._streams.sessions if self._streams else ():
            session.check_faults()

    def end_faults(self) -> None:
        """End every fault and every silence that one has begun."""
        self._venue.served.faults.clear()
        for session in self._streams.sessions if self._streams else ():
            session.end_silence()
        self.faults_changed()

    def reset(self) -> None:
        """Start over: a fresh venue under the same seed and keys; streams are cut."""
        self._cut_streams()
        self._open_venue()

    def _cut_streams(self) -> None:
        for session in self._streams.sessions if self._streams else ():
            session.cut()

    def _open_venue(self) -> None:
        self._venue = self._design.fresh()
        served = self._venue.served
        # Nobody is connected yet: the events of listing are not for any client.
        served.exchange.drain()
        self._standing = StandingFaults(served, read_lag_ms=self._options.read_lag_ms)
        served.listen(self._publish)

    def _publish(self, events: list[Event]) -> None:
        if self._design.publications is None:
            return
        for publication in list(self._design.publications(self._venue, events)):
            for conversation in self.conversations:
                conversation.publish(publication)

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        if self._streams is not None:
            self._streams.add_routes(app)
        Admin(lambda: self._venue, self).add_routes(app)
        RestServer(lambda: self._venue, self._design.rest).add_routes(app)
        return app

    def _addresses(self, place: str) -> dict[str, str]:
        stream = self._design.stream
        addresses = {"rest_url": f"http://{place}{self._design.rest.prefix}"}
        if stream is not None:
            addresses["ws_url"] = f"ws://{place}{stream.rules.path}"
        return addresses | {"admin_url": f"http://{place}{ADMIN_PREFIX}"}

    async def _run_timer(self) -> None:
        """Apply the fault plan, let the flow act and the engine's time pass, until cancelled."""
        while True:
            await asyncio.sleep(TIMER_S)
            now_ns = self._now_ns()
            self._standing.apply()
            if self._design.step is not None:
                self._design.step(self._venue, now_ns)
            self._venue.served.step(now_ns)
