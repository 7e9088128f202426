"""Every REST endpoint of the venue as the frame serves it: signature, scope, rate limit, handler."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connectors.kalshi.sandbox import errors
from connectors.kalshi.sandbox.auth import ApiKey
from connectors.kalshi.sandbox.buckets import DEFAULT_COST
from connectors.kalshi.sandbox.rest import account as rest_account
from connectors.kalshi.sandbox.rest import events as rest_events
from connectors.kalshi.sandbox.rest import groups as rest_groups
from connectors.kalshi.sandbox.rest import markets as rest_markets
from connectors.kalshi.sandbox.rest import orders as rest_orders
from connectors.kalshi.sandbox.rest import portfolio as rest_portfolio
from connectors.kalshi.sandbox.rest.call import REST_PREFIX, Call
from connectors.kalshi.sandbox.venue import Venue
from connectors.sandbox.serving.rest import Arrival, Refusal, RestFace, Route, guarded

ROUTES: tuple[Route[Call], ...] = (
    *rest_markets.ROUTES,
    *rest_events.ROUTES,
    *rest_orders.ROUTES,
    *rest_portfolio.ROUTES,
    *rest_groups.ROUTES,
    *rest_account.ROUTES,
)


def signing_key(venue: Venue, arrival: Arrival) -> ApiKey:
    """The key that signed a request. Raises `Refusal` 401 when none did."""
    now_ms = venue.clock.ms(arrival.now_ns)
    return venue.keys.authenticate(arrival.headers, method=arrival.method, path=arrival.path, now_ms=now_ms)


def _admit(venue: Venue, arrival: Arrival, route: Route[Call]) -> Call:
    """The request with its key. Signature and scope come before the tokens: a refused signature costs none.

    Public reads have a bucket apart from the member's (*assumption*). Handlers of the pool `order_write` charge by
    themselves, because the shard is named in the body.
    """
    key, buckets = None, venue.public_buckets
    if route.scope is not None:
        key, buckets = signing_key(venue, arrival), venue.buckets
        if not key.allows(route.scope):
            raise errors.nested("forbidden")
    cost = DEFAULT_COST if route.cost is None else route.cost
    if route.pool != "order_write" and not buckets.take(route.pool, cost, arrival.now_ns):
        raise errors.too_many_requests()
    return Call(venue, key, arrival)


def rest_face(routes: Iterable[Route[Call]]) -> RestFace[Venue]:
    """REST of a generation of the API, as the frame serves it."""
    return RestFace(
        prefix=REST_PREFIX,
        endpoints=guarded(routes, _admit),
        unknown_path=lambda: errors.nested("not_found"),
        too_many=errors.too_many_requests,
        failure=_failure,
        ip_refused=address_refused,
    )


def address_refused() -> Refusal:
    """A 403 for where a request comes from (*assumption*: no page of the venue names a list of addresses)."""
    return errors.nested("forbidden")


def _failure(status: int) -> dict[str, Any]:
    code = "service_unavailable" if status == 503 else "internal_server_error"
    return {"error": errors.error_object(code)}
