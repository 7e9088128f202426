"""One REST request from arrival to answer: count, faults, the venue's own answer, faults again, headers.

A venue gives its endpoints and the shapes of what the frame answers by itself; signatures, scopes, limits and handlers
are in the endpoint's `answer`, which never awaits: nothing happens between its first look at the engine and the
publication of its act.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from aiohttp import web

from connectors.sandbox.serving.venue import ServedVenue

DELAY_DEFAULT_MS = 100
BODY_BYTES_MAX = 4 * 1024 * 1024


NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading a body raises that is no JSON, no UTF-8, or nests deeper than the stack."""


class Refusal(Exception):
    """An answer other than success; the request changed nothing. `body` is the JSON body exactly as sent."""

    def __init__(self, status: int, body: Any, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Reply:
    """An answer: the JSON `body` (None is sent as an empty body), the HTTP status, and headers of its own."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Arrival:
    """A request as it came. `raw` is the body; `now_ns` is engine time when the last byte had arrived."""

    http: web.Request
    raw: bytes
    now_ns: int

    @property
    def method(self) -> str:
        """The HTTP method in capitals."""
        return self.http.method

    @property
    def path(self) -> str:
        """The path from the root as it was sent, without the query: what signatures cover."""
        return self.http.rel_url.raw_path

    @property
    def path_and_query(self) -> str:
        """The path and the query exactly as they were sent."""
        return self.http.raw_path

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names in any case."""
        return self.http.headers

    @property
    def params(self) -> Mapping[str, str]:
        """The parts of the path that the endpoint names."""
        return self.http.match_info

    @property
    def query(self) -> Mapping[str, str]:
        """The query, decoded: the first value of each name."""
        return self.http.query

    def repeated(self, name: str) -> Sequence[str]:
        """All values of a name of the query, in order."""
        return self.http.query.getall(name, [])


class Served(Protocol):
    """A venue's own state, around what the frame serves of it."""

    @property
    def served(self) -> ServedVenue:
        """The exchange and what its addresses share."""
        ...


V = TypeVar("V", bound=Served)
K = TypeVar("K")


@dataclass(frozen=True)
class Endpoint(Generic[V]):
    """One endpoint. `path` is below the venue's prefix, with `{name}` for parts; `answer` raises `Refusal`."""

    method: str
    path: str
    answer: Callable[[V, Arrival], Reply]


@dataclass(frozen=True)
class Route(Generic[K]):
    """One row of a venue's table of endpoints: what a request needs before `handler` sees it, in the venue's words.

    `scope` is what its key must allow, None for endpoints without a signature. `pool` and `cost` are what it draws from
    the rate limits; None is the usual cost.
    """

    method: str
    path: str
    handler: Callable[[K], Reply]
    scope: str | None = "read"
    pool: str = "read"
    cost: int | None = None


def guarded(routes: Iterable[Route[K]], admit: Callable[[V, Arrival, Route[K]], K]) -> list[Endpoint[V]]:
    """The endpoints of a table.

    `admit` checks signature, scope and limits, raises `Refusal`, and makes what handlers take.
    """

    def endpoint(route: Route[K]) -> Endpoint[V]:
        return Endpoint(route.method, route.path, lambda venue, arrival: route.handler(admit(venue, arrival, route)))

    return [endpoint(route) for route in routes]


@dataclass(frozen=True)
class RestFace(Generic[V]):
    """The REST side of a venue: where it is, its endpoints, and how it answers what no endpoint does. `unversioned` are
    endpoints beside the prefix.

    `failure` is the body of a 5xx; `headers` are put on every answer, besides `Date`. `replayed` and `ip_refused` are
    None where the venue has no such refusal; their faults are then not to be offered.
    """

    prefix: str
    endpoints: Sequence[Endpoint[V]]
    unknown_path: Callable[[], Refusal]
    too_many: Callable[[], Refusal]
    failure: Callable[[int], Any]
    headers: Callable[[V, Arrival], Mapping[str, str]] | None = None
    replayed: Callable[[], Refusal] | None = None
    ip_refused: Callable[[], Refusal] | None = None
    unversioned: Sequence[Endpoint[V]] = ()


class RestServer(Generic[V]):
    """Answers everything below a venue's prefix. `venue` gives the current venue: a reset replaces it."""

    def __init__(self, venue: Callable[[], V], face: RestFace[V]) -> None:
        self._venue = venue
        self._face = face

    def add_routes(self, app: web.Application) -> None:
        """Put every endpoint on the application, and the venue's answer to unknown paths behind them."""
        for endpoint in self._face.endpoints:
            app.router.add_route(endpoint.method, self._face.prefix + endpoint.path, self._handler(endpoint))
        for endpoint in self._face.unversioned:
            app.router.add_route(endpoint.method, endpoint.path, self._handler(endpoint))
        app.router.add_route("*", "/{path:.*}", self._handler(Endpoint("*", "/{path}", self._unknown)))

    def _unknown(self, _venue: V, _arrival: Arrival) -> Reply:
        raise self._face.unknown_path()

    def _handler(self, endpoint: Endpoint[V]) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.Response:
            return await self._answer(endpoint, request)

        return answer

    async def _answer(self, endpoint: Endpoint[V], request: web.Request) -> web.Response:
        raw = await request.read()
        venue = self._venue()
        served = venue.served
        arrival = Arrival(request, raw, served.clock.engine_ns())
        served.observed.requests[f"{request.method} {endpoint.path}"] += 1
        target = {"path": request.path, "method": request.method}
        if served.faults.take("lost_request", **target) is not None:
            return cut(request)
        reply = self._run(venue, endpoint, arrival=arrival)
        delay = served.faults.take("delay", **target)
        if delay is not None:
            await asyncio.sleep(delay.params.get("delay_ms", DELAY_DEFAULT_MS) / 1000)
        if served.faults.take("lost_response", **target) is not None:
            return cut(request)
        failure = served.faults.take("error_after_accept", **target)
        if failure is not None:
            status = failure.params.get("status", 500)
            reply = Reply(self._face.failure(status), status)
        served.observed.server_errors += reply.status >= 500
        return self._response(venue, arrival, reply=reply)

    def _run(self, venue: V, endpoint: Endpoint[V], *, arrival: Arrival) -> Reply:
        """The answer before any fault touches it."""
        served = venue.served
        served.request = b"%b\n%b" % (arrival.path_and_query.encode(), arrival.raw)
        try:
            self._strike(served, arrival)
            return endpoint.answer(venue, arrival)
        except Refusal as refusal:
            served.observed.refuse(refusal.status, refusal.body)
            return Reply(refusal.body, refusal.status, refusal.headers)
        finally:
            served.request = b""

    def _strike(self, served: ServedVenue, arrival: Arrival) -> None:
        """Refuse what a fault refuses before the venue looks at it."""
        face, target = self._face, {"path": arrival.http.path, "method": arrival.method}
        refusals = (
            ("rate_limit_storm", face.too_many),
            ("ip_refused", face.ip_refused),
            ("replay_refusal", face.replayed),
        )
        for kind, refusal in refusals:
            if refusal is not None and served.faults.take(kind, **target) is not None:
                raise refusal()

    def _response(self, venue: V, arrival: Arrival, *, reply: Reply) -> web.Response:
        headers = {"Date": venue.served.clock.http_date()} | dict(reply.headers)
        if self._face.headers is not None:
            headers |= self._face.headers(venue, arrival)
        if reply.body is None:
            return web.Response(status=reply.status, headers=headers)
        body = msgspec.json.encode(reply.body)
        return web.Response(status=reply.status, body=body, headers=headers, content_type="application/json")


def cut(request: web.Request) -> web.Response:
    """Cut the connection; the response returned is never written."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
