"""The control server: what Prometheus, a container engine and an operator can read over HTTP.

`GET /metrics`, `GET /healthz` (200 while the event loop runs), `GET /readyz` (200 when everything needed for trading is
there, else 503 with the reasons; `halted` and `reducing` list the scopes that are, `waiting` the strategies that wait
for a market to open, which is no fault). Reads only: orders of an operator go through the socket, which knows its
users. A request whose Host header is not on the list is refused, so that a web page in an operator's browser can't
reach a loopback server through a name of its own (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
from aiohttp import hdrs, web

from framework.domain.account_events import TradingState
from framework.domain.errors import ConfigurationError
from framework.ops.healthcheck import url_of
from framework.ops.prometheus import CONTENT_TYPE
from framework.ops.readiness import NotReady, scopes_in
from framework.state.trading_states import TradingStates

BEAT_AGE_MS_MAX = 2_000
"""`/healthz` answers 503 when the last heartbeat is older: a loop that is blocked so long can't cancel in time."""

HTTP_CONNECTIONS_MAX = 32
"""More than these are closed, the oldest first: peers that hang must not use up the descriptors."""

CONNECTION_S_MAX = 10.0
"""Longest life of a connection in seconds. Each serves one request: an older one has not asked, or does not read."""

_LOOK_S = 0.1
_SHUTDOWN_TIMEOUT_S = 0.2
_encode = msgspec.json.encode
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Address(Protocol):
    """Where to listen and under which names: the `[http]` table of the configuration."""

    @property
    def host(self) -> str:
        """Address of the interface to listen on."""
        ...

    @property
    def port(self) -> int:
        """TCP port; 0 takes any free one."""
        ...

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Names accepted in the Host header besides the address itself and localhost."""
        ...


class ControlServer:
    """The HTTP server of one daemon. Call order: `start`, `close`. The four callables are called per request, on the
    event loop: they must be quick. `beat_age_ns` is in nanoseconds."""

    def __init__(
        self,
        address: Address,
        *,
        render_metrics: Callable[[], Awaitable[bytes]],
        beat_age_ns: Callable[[], int],
        not_ready: Callable[[], Sequence[NotReady]],
        trading: TradingStates,
        waiting: Callable[[], Sequence[str]] = tuple,
        connection_s_max: float = CONNECTION_S_MAX,
    ) -> None:
        self._connection_s_max = connection_s_max
        self._guard: asyncio.Task[None] | None = None
        self._address = address
        self._render_metrics = render_metrics
        self._beat_age_ns = beat_age_ns
        self._not_ready = not_ready
        self._trading = trading
        self._waiting = waiting
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen, and return the port. Raises `ConfigurationError` when the address can't be used."""
        app = web.Application(middlewares=[self._check_host])
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._address.host, self._address.port).start()
        except OSError as e:
            await runner.cleanup()
            raise ConfigurationError(_why_not_listening(self._address.host, self._address.port, e)) from e
        self._runner = runner
        self._guard = asyncio.create_task(self._close_what_hangs(runner))
        return int(runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening and end every connection, within 1 s. Does nothing when not started."""
        if self._guard is not None:
            self._guard.cancel()
        if self._runner is not None:
            transports = [one.transport for one in self._runner.server.connections] if self._runner.server else []
            await self._runner.cleanup()
            for transport in transports:
                _cut(transport)
            self._runner = None

    async def _close_what_hangs(self, runner: web.AppRunner) -> None:
        """Close connections that are too old or too many, until cancelled: aiohttp waits for a request's headers for
        ever."""
        ages: dict[web.RequestHandler, float] = {}
        while (server := runner.server) is not None:
            now_s = asyncio.get_running_loop().time()
            ages = {one: ages.get(one, now_s) for one in server.connections}
            too_many = len(ages) - HTTP_CONNECTIONS_MAX
            for number, (connection, since_s) in enumerate(ages.items()):
                if number < too_many or now_s - since_s > self._connection_s_max:
                    _cut(connection.transport)
                    connection.force_close()
            await asyncio.sleep(_LOOK_S)

    @web.middleware
    async def _check_host(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        host = _host_name(request.headers.get(hdrs.HOST, ""))
        allowed = {"localhost", self._address.host.lower(), *(name.lower() for name in self._address.allowed_hosts)}
        if host not in allowed and not _is_own_address(host, request):
            return _json(
                421, {"error": "host_not_allowed", "host": host, "remedy": "add the name to http.allowed_hosts"}
            )
        answer = await handler(request)
        answer.force_close()
        return answer

    async def _metrics(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=await self._render_metrics(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})

    async def _healthz(self, _request: web.Request) -> web.StreamResponse:
        age_ms = self._beat_age_ns() // 1_000_000
        return _json(200 if age_ms <= BEAT_AGE_MS_MAX else 503, {"beat_age_ms": age_ms})

    async def _readyz(self, _request: web.Request) -> web.StreamResponse:
        reasons = [reason.text for reason in self._not_ready()]
        content: dict[str, object] = {"ready": not reasons, "reasons": reasons}
        for state in (TradingState.HALTED, TradingState.REDUCING):
            content[state.value] = scopes_in(self._trading, state)
        return _json(503 if reasons else 200, content | {"waiting": list(self._waiting())})


def _cut(transport: asyncio.Transport | None) -> None:
    """End a connection now: a close alone waits until the peer has read what it was sent, which may be never."""
    if transport is not None:
        transport.abort()


async def refuse_foreign_host(host: str) -> None:
    """Refuse an `http.host` that is no address of this machine; whether the port is free is not asked. Raises
    `ConfigurationError`."""
    runner = web.AppRunner(web.Application())
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0).start()
    except OSError as e:
        raise ConfigurationError(_why_not_listening(host, 0, e)) from e
    finally:
        await runner.cleanup()


def _why_not_listening(host: str, port: int, error: OSError) -> str:
    where = url_of(host, port).removeprefix("http://")
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        remedy = "stop what uses it, or give another one: --set http.port=0 takes any free port"
        return f"http.port: can't listen on {where} ({error.strerror or error}); {remedy}"
    return f"http.host: can't listen on {where} ({error.strerror or error}); give an address of this machine"


def _json(status: int, content: dict[str, object]) -> web.Response:
    return web.Response(status=status, body=_encode(content), content_type="application/json")


def _host_name(header: str) -> str:
    """The name of a Host header, lower case, without port and without the brackets of an IPv6 address."""
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


def _is_own_address(host: str, request: web.Request) -> bool:
    """Whether `host` is the literal address at which this connection arrived: not a name, so it can't be rebound."""
    local = request.transport.get_extra_info("sockname") if request.transport else None
    try:
        return local is not None and ipaddress.ip_address(host) == ipaddress.ip_address(local[0])
    except ValueError:
        return False
