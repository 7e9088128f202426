"""HTTP/1.1 client for one venue host: raw keep-alive connections, no redirects, no retries, no pipelining."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable

from connectors.transport.dial import deadline_after, dial, parse_endpoint
from connectors.transport.errors import NotSent
from connectors.transport.http_codec import encode_request
from connectors.transport.http_connection import Http1Connection
from connectors.transport.ports import HttpRequest, HttpResponse
from connectors.transport.reconnect import Attempt, ConnectBreaker
from framework.domain.ports import Clock
from framework.domain.venue import LastWord, nothing_against

_MIB = 1024 * 1024


class Http1Transport:
    """An `HttpTransport` over a small pool of connections.

    A request takes the idle connection that was used last, else opens one, else waits in turn. A kept-alive
    connection that is found dead is replaced before anything is written; after the write nothing is ever sent again.
    """

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock,
        connections_max: int = 8,
        tls: ssl.SSLContext | None = None,
        body_bytes_max: int = 8 * _MIB,
        idle_ms_max: int = 45_000,
        proxy: str = "",
    ) -> None:
        """Connect to `base_url` ("https://host[:port]") as needed; nothing is opened yet. `proxy` is the address of an
        HTTP proxy, empty for none.

        `connections_max` counts idle and busy connections together. `body_bytes_max` limits the body of a response.
        `idle_ms_max`: a connection unused for longer is dropped instead of used, because servers close idle
        connections silently (common limits are 60 s and more). Raises ValueError for a bad URL, an unverifying
        TLS context or a limit below 1.
        """
        limits = {"connections_max": connections_max, "body_bytes_max": body_bytes_max, "idle_ms_max": idle_ms_max}
        for name, value in limits.items():
            if value < 1:
                raise ValueError(f"{name}={value}: must be at least 1")
        self._endpoint = parse_endpoint(base_url, schemes=("http", "https"), tls=tls, proxy=proxy)
        self._clock = clock
        self._body_bytes_max = body_bytes_max
        self._idle_ns_max = idle_ms_max * 1_000_000
        # One slot per request in flight. An idle connection is always taken before one is opened, so that idle
        # and busy connections together never exceed the number of slots.
        self._slots = asyncio.Semaphore(connections_max)
        self._idle: list[Http1Connection] = []
        self._open: set[Http1Connection] = set()
        self._in_use = 0
        self._came_back = asyncio.Event()
        self._waits: set[asyncio.Timeout] = set()
        self._is_closed = False
        self._failure = ""
        self.breaker: ConnectBreaker | None = None
        """Limits attempts to connect: a request that would need one too early waits for a connection in use, or fails
        with NotSent when there is none. None allows every attempt."""

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "open"
        return f"<Http1Transport {self._endpoint.url} {state} connections={len(self._open)} idle={len(self._idle)}>"

    async def send(
        self, request: HttpRequest, *, timeout_ms: int, last_word: LastWord = nothing_against
    ) -> HttpResponse:
        """Send once and read the whole response, as `HttpTransport.send` describes.

        Raises NotSent, OutcomeUnknown and ValueError under the conditions given there.
        """
        payload = encode_request(request, authority=self._endpoint.authority)
        deadline = deadline_after(timeout_ms)
        connection = await self._check_out(deadline, is_urgent=request.is_urgent)
        if (reason := last_word()) is not None:
            self._put_back(connection)
            raise NotSent(f"{reason}; nothing was sent")
        response = None
        try:
            response = await connection.exchange(payload, deadline=deadline)
            return response
        finally:
            self._judge(connection, response)
            self._check_in(connection)

    async def close(self) -> None:
        """Close every connection and wait until their sockets are gone. Callers that wait for one get NotSent."""
        self._is_closed = True
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            # Ends the wait, so that its caller gets NotSent now. One that has expired cannot be rescheduled.
            if not wait.expired():
                wait.reschedule(now)
        leaving = list(self._open)
        for connection in leaving:
            connection.abort()
        self._idle.clear()
        for connection in leaving:
            await connection.closed

    async def _check_out(self, deadline: float, *, is_urgent: bool) -> Http1Connection:
        """Return an idle connection, with its slot taken. Raises NotSent."""
        if self._is_closed:
            raise NotSent("the transport is closed; nothing was sent")
        if self._slots.locked():
            await self._wait(self._slots.acquire(), deadline)
        else:
            await self._slots.acquire()
        try:
            return await self._take(deadline, is_urgent=is_urgent)
        except BaseException:
            self._slots.release()
            raise

    async def _take(self, deadline: float, *, is_urgent: bool) -> Http1Connection:
        """An idle connection, a new one, or the first that comes back. Raises NotSent."""
        while True:
            if self._is_closed:
                raise NotSent("the transport was closed; nothing was sent")
            connection = self._warmest()
            if connection is not None or not self._in_use or is_urgent or self._may_grow():
                break
            await self._wait(self._came_back.wait(), deadline)
        self._in_use += 1
        try:
            return connection or await self._connect(deadline)
        except BaseException:
            self._return_place()
            raise

    def _return_place(self) -> None:
        self._in_use -= 1
        self._came_back.set()
        self._came_back.clear()

    def _check_in(self, connection: Http1Connection) -> None:
        if connection.is_idle() and connection.is_drained() and not self._is_closed:
            connection.idle_since_ns = self._clock.monotonic_ns()
            self._idle.append(connection)
        else:
            connection.abort()
        self._slots.release()
        self._return_place()

    def _put_back(self, connection: Http1Connection) -> None:
        """Return a connection that was not used. One that never carried a response is closed as a failed attempt:
        otherwise a probe without a result would keep the breaker from allowing the next one."""
        if not connection.is_proved:
            self._judge(connection, None)
            connection.abort()
        self._check_in(connection)

    def _warmest(self) -> Http1Connection | None:
        idle_since_ns_min = self._clock.monotonic_ns() - self._idle_ns_max
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since_ns >= idle_since_ns_min and connection.is_idle() and connection.is_quiet():
                return connection
            connection.abort()
        return None

    async def _wait(self, free: Awaitable[object], deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline) as wait:
                self._waits.add(wait)
                try:
                    await free
                finally:
                    self._waits.discard(wait)
        except TimeoutError as e:
            raise NotSent(f"no free connection {self._late()}; nothing was sent") from e

    async def _connect(self, deadline: float) -> Http1Connection:
        end = self._endpoint
        connection = await self._dial(deadline)
        self._open.add(connection)
        connection.closed.add_done_callback(lambda _: self._open.discard(connection))
        # A fresh TLS connection may hold unread session data; on a plain one anything readable is an early end.
        is_fit = connection.is_idle() and (end.tls is not None or connection.is_quiet())
        if self._is_closed or not is_fit:
            self._judge(connection, None)
            connection.abort()
            raise NotSent(f"the connection to {end.url} closed before the request was written; nothing was sent")
        return connection

    async def _dial(self, deadline: float) -> Http1Connection:
        """Open a connection, if the breaker allows an attempt. Raises NotSent."""
        end = self._endpoint
        attempt, connection = self._begin(), None
        try:
            async with asyncio.timeout_at(deadline) as wait:
                self._waits.add(wait)
                try:
                    connection = await self._open_connection(deadline)
                finally:
                    self._waits.discard(wait)
        except TimeoutError as e:
            raise NotSent(f"not connected to {end.url} {self._late()}; nothing was sent") from e
        except OSError as e:
            self._failure = f", the last one: {e}"
            raise NotSent(f"cannot connect to {end.url}: {e}; nothing was sent") from e
        finally:
            if connection is not None:
                connection.attempt, self._failure = attempt, ""
            elif attempt is not None and self.breaker is not None:
                self.breaker.end(attempt, self._clock.monotonic_ns(), is_answered=False)
        return connection

    async def _open_connection(self, deadline: float) -> Http1Connection:
        """Connect, with TLS where the address asks for it. Raises NotSent, OSError and TimeoutError."""
        tls, host = self._endpoint.tls, self._endpoint.host
        sock = await dial(self._endpoint, deadline=deadline)
        _, connection = await asyncio.get_running_loop().create_connection(
            self._make_connection, sock=sock, ssl=tls, server_hostname=host if tls else None
        )
        return connection

    def _begin(self) -> Attempt | None:
        """Begin an attempt to connect; None without a breaker. Raises NotSent when it is too early for one."""
        if self.breaker is None:
            return None
        now_ns = self._clock.monotonic_ns()
        if (wait_ns := self.breaker.wait_ns(now_ns)) > 0:
            wait_ms = -(-wait_ns // 1_000_000)  # rounded up: "in 0 ms" would be now
            raise NotSent(
                f"too many or failing connects to {self._endpoint.url}{self._failure}; next try in {wait_ms} ms; "
                "nothing was sent"
            )
        return self.breaker.begin(now_ns)

    def _judge(self, connection: Http1Connection, response: HttpResponse | None) -> None:
        """Report to the breaker: the first exchange of a connection, one that broke, and an announced close."""
        if self.breaker is None or connection.attempt is None:
            return
        now_ns = self._clock.monotonic_ns()
        if not connection.is_proved:
            connection.is_proved = response is not None
            self.breaker.end(connection.attempt, now_ns, is_answered=connection.is_proved)
        elif response is None:
            self.breaker.broke(now_ns)
        if response is not None and response.headers.get("connection", "").lower() == "close":
            self.breaker.give_back(connection.attempt)

    def _may_grow(self) -> bool:
        return self.breaker is None or self.breaker.may_grow(self._clock.monotonic_ns())

    def _make_connection(self) -> Http1Connection:
        return Http1Connection(asyncio.get_running_loop(), body_bytes_max=self._body_bytes_max)

    def _late(self) -> str:
        return "because the transport was closed" if self._is_closed else "within the time-out"
