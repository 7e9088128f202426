"""Every REST endpoint of the venue as the frame serves it: signature, scope, rate limit, handler."""

from __future__ import annotations

from typing import Any

from connectors.kalshi.sandbox import errors
from connectors.kalshi.sandbox.rest import account as rest_account
from connectors.kalshi.sandbox.rest import events as rest_events
from connectors.kalshi.sandbox.rest import groups as rest_groups
from connectors.kalshi.sandbox.rest import markets as rest_markets
from connectors.kalshi.sandbox.rest import orders as rest_orders
from connectors.kalshi.sandbox.rest import portfolio as rest_portfolio
from connectors.kalshi.sandbox.rest.call import REST_PREFIX, Call, Route, signing_key
from connectors.kalshi.sandbox.venue import Venue
from connectors.sandbox.serving.rest import Arrival, Endpoint, Reply, RestFace

ROUTES: tuple[Route, ...] = (
    *rest_markets.ROUTES,
    *rest_events.ROUTES,
    *rest_orders.ROUTES,
    *rest_portfolio.ROUTES,
    *rest_groups.ROUTES,
    *rest_account.ROUTES,
)


def _endpoint(route: Route) -> Endpoint[Venue]:
    def answer(venue: Venue, arrival: Arrival) -> Reply:
        key = None
        if route.scope is not None:
            key = signing_key(venue, arrival)
            if not key.allows(route.scope):
                raise errors.nested("forbidden")
        _charge(venue, route, now_ns=arrival.now_ns)
        return route.handler(Call(venue, key, arrival))

    return Endpoint(route.method, route.path, answer)


def _charge(venue: Venue, route: Route, *, now_ns: int) -> None:
    """Draw on the bucket that the route names. Public reads have a bucket apart from the member's (*assumption*).

    Called after the signature is checked: a refused signature costs no tokens.
    """
    if route.pool == "order_write":
        return
    owner = venue.public_buckets if route.scope is None else venue.buckets
    if not owner.take(route.pool, route.cost, now_ns):
        raise errors.too_many_requests()


def _failure(status: int) -> dict[str, Any]:
    code = "service_unavailable" if status == 503 else "internal_server_error"
    return {"error": errors.error_object(code)}


REST: RestFace[Venue] = RestFace(
    prefix=REST_PREFIX,
    endpoints=[_endpoint(route) for route in ROUTES],
    unknown_path=lambda: errors.nested("not_found"),
    too_many=errors.too_many_requests,
    failure=_failure,
)
