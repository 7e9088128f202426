"""One REST request from arrival to answer: count, faults, signature, scope, rate limit, handler, faults, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from connectors.kalshi.sandbox import auth, errors
from connectors.kalshi.sandbox.rest import account as rest_account
from connectors.kalshi.sandbox.rest import events as rest_events
from connectors.kalshi.sandbox.rest import groups as rest_groups
from connectors.kalshi.sandbox.rest import markets as rest_markets
from connectors.kalshi.sandbox.rest import orders as rest_orders
from connectors.kalshi.sandbox.rest import portfolio as rest_portfolio
from connectors.kalshi.sandbox.rest.call import REST_PREFIX, Call, Reply, Route
from connectors.kalshi.sandbox.venue import Venue

ROUTES: tuple[Route, ...] = (
    *rest_markets.ROUTES,
    *rest_events.ROUTES,
    *rest_orders.ROUTES,
    *rest_portfolio.ROUTES,
    *rest_groups.ROUTES,
    *rest_account.ROUTES,
)
DELAY_DEFAULT_MS = 100


class RestServer:
    """Answers everything under REST_PREFIX. `venue` gives the current venue: a reset replaces it."""

    def __init__(self, venue: Callable[[], Venue]) -> None:
        self._venue = venue

    def add_routes(self, app: web.Application) -> None:
        """Put every endpoint on the application, and a 404 behind them."""
        for route in ROUTES:
            app.router.add_route(route.method, REST_PREFIX + route.path, self._endpoint(route))
        app.router.add_route("*", "/{path:.*}", self._endpoint(Route("*", "/{path}", _unknown_path, None)))

    def _endpoint(self, route: Route) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.Response:
            return await self._answer(route, request)

        return answer

    async def _answer(self, route: Route, request: web.Request) -> web.Response:
        raw = await request.read()
        venue = self._venue()
        now_ns = venue.clock.engine_ns()
        venue.observed.requests[f"{request.method} {route.path}"] += 1
        target = {"path": request.path, "method": request.method}
        if venue.faults.take("lost_request", **target) is not None:
            return _cut(request)
        status, body = _run(venue, route, request=request, raw=raw, now_ns=now_ns)
        delay = venue.faults.take("delay", **target)
        if delay is not None:
            await asyncio.sleep(delay.params.get("delay_ms", DELAY_DEFAULT_MS) / 1000)
        if venue.faults.take("lost_response", **target) is not None:
            return _cut(request)
        failure = venue.faults.take("error_after_accept", **target)
        if failure is not None:
            status = failure.params.get("status", 500)
            code = "service_unavailable" if status == 503 else "internal_server_error"
            body = {"error": errors.error_object(code)}
        if status >= 500:
            venue.observed.server_errors += 1
        return _response(venue, status, body=body)


def signing_key(venue: Venue, request: web.Request, *, now_ns: int) -> auth.ApiKey:
    """The key that signed a request; `now_ns` is engine time. Raises `VenueRefusal` 401 when none did."""
    now_ms = venue.clock.ms(now_ns)
    return venue.keys.authenticate(request.headers, method=request.method, path=request.rel_url.raw_path, now_ms=now_ms)


def _run(venue: Venue, route: Route, *, request: web.Request, raw: bytes, now_ns: int) -> tuple[int, Any]:
    """Status and body of the answer, before any fault touches it."""
    try:
        if venue.faults.take("rate_limit_storm", path=request.path, method=request.method) is not None:
            raise errors.too_many_requests()
        key = None
        if route.scope is not None:
            key = signing_key(venue, request, now_ns=now_ns)
            if not key.allows(route.scope):
                raise errors.nested("forbidden")
        _charge(venue, route, now_ns=now_ns)
        call = Call(venue, key, request.match_info, request.query, _repeated(request), raw, now_ns)
        reply = route.handler(call)
    except errors.VenueRefusal as refusal:
        if refusal.status == 429:
            venue.observed.rate_limited += 1
        return refusal.status, refusal.body
    return reply.status, reply.body


def _charge(venue: Venue, route: Route, *, now_ns: int) -> None:
    """Draw on the bucket that the route names. Public reads have a bucket apart from the member's (*assumption*).

    Called after the signature is checked: a refused signature costs no tokens.
    """
    if route.pool == "order_write":
        return
    owner = venue.public_buckets if route.scope is None else venue.buckets
    if route.pool == "balance":
        allowed = owner.take_balance(now_ns)
    elif route.pool == "write":
        allowed = owner.take_write(route.cost, now_ns)
    else:
        allowed = owner.take_read(route.cost, now_ns)
    if not allowed:
        raise errors.too_many_requests()


def _repeated(request: web.Request) -> Callable[[str], list[str]]:
    return lambda name: request.query.getall(name, [])


def _response(venue: Venue, status: int, *, body: Any) -> web.Response:
    headers = {"Date": venue.clock.http_date()}
    if body is None:
        return web.Response(status=status, headers=headers)
    return web.Response(status=status, body=msgspec.json.encode(body), headers=headers, content_type="application/json")


def _cut(request: web.Request) -> web.Response:
    """Cut the connection; the response returned is never written."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _unknown_path(_call: Call) -> Reply:
    raise errors.nested("not_found")
