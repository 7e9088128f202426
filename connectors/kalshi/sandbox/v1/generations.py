"""The generations of the API that the sandbox speaks: what differs between them, and both by their names.

"current" is the venue of today. "v1" is the one of the vendor's older getting-started pages, whose complete scripts run
here with only the host changed: cents, whole contracts, writes under /portfolio/orders, limits by requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from connectors.kalshi.sandbox import wire
from connectors.kalshi.sandbox.buckets import TIERS, Tier
from connectors.kalshi.sandbox.listings import LINEAR_CENT, Listings
from connectors.kalshi.sandbox.rest.call import Call
from connectors.kalshi.sandbox.rest.server import ROUTES, rest_face
from connectors.kalshi.sandbox.stream.session import Shown
from connectors.kalshi.sandbox.v1 import orders, shapes
from connectors.kalshi.sandbox.venue import Venue
from connectors.sandbox.engine.model import MarketSpec
from connectors.sandbox.serving.rest import Reply, RestFace, Route

# Requests a second, read and write, times ten tokens (vendor docs); buckets of one second (*assumption*).
_V1_TIERS = {"basic": (200, 100), "advanced": (300, 300), "premier": (1_000, 1_000), "prime": (4_000, 4_000)}
_LATER_PATHS = ("/account/", "/portfolio/events/", "/portfolio/summary/", "/historical/", "/portfolio/intra_exchange")
"""What the older generation did not have, by how it begins."""
_SERIES = ("KXTIDE", "KXHIGHNY")
"""The first series of the sandbox, and the name that the pages' examples ask for."""
_CENT = wire.MONEY_ONE // 100
"""Fees were rounded up to whole cents (vendor docs of before 2026), and so balances are whole cents."""


@dataclass(frozen=True)
class Generation:
    """What differs. `frame` writes a message of the stream, `listed` changes markets before they are listed; frames
    that are `is_stamped` carry the time of sending, markets with `has_removed_members` what was dropped since."""

    tiers: Mapping[str, Tier]
    rest: RestFace[Venue]
    frame: Shown
    listed: Callable[[Listings], Listings]
    is_stamped: bool = True
    has_removed_members: bool = False


def _unchanged(_venue: Venue, frame: dict[str, Any]) -> dict[str, Any]:
    return frame


def _v1_listed(listings: Listings) -> Listings:
    """Markets with whole cents and whole contracts, the first series under the name of the pages' examples."""
    return Listings(
        [_renamed(one) for one in listings.series],
        [_renamed(one) for one in listings.events],
        [
            _renamed(msgspec.structs.replace(one, spec=_v1_spec(one.spec), structure="linear_cent"))
            for one in listings.markets
        ],
    )


def _v1_spec(spec: MarketSpec) -> MarketSpec:
    fees = msgspec.structs.replace(spec.fees, fee_step=_CENT, balance_step=_CENT)
    changed = {"bands": LINEAR_CENT, "size_step": wire.COUNT_ONE, "fees": fees}
    return msgspec.structs.replace(spec, market_id=spec.market_id.replace(*_SERIES), **changed)


def _renamed(one: Any) -> Any:
    names = ("ticker", "series_ticker", "event_ticker")
    found = {name: getattr(one, name).replace(*_SERIES) for name in names if hasattr(one, name)}
    return msgspec.structs.replace(one, **found)


def _v1_route(route: Route[Call]) -> Route[Call]:
    """A route with the older shapes; each request is one of the limit, and the balance has no limit of its own."""

    def handler(call: Call) -> Reply:
        reply = route.handler(call)
        return replace(reply, body=shapes.body_of(call.venue, reply.body))

    pool = "read" if route.pool == "balance" else route.pool
    return replace(route, handler=handler, pool=pool, cost=None)


def _is_of_v1(route: Route[Call]) -> bool:
    """A route of today that was there before, besides the writes of orders."""
    is_write = route.method != "GET" and route.path.startswith("/portfolio/orders")
    return not is_write and not route.path.startswith(_LATER_PATHS)


CURRENT = Generation(TIERS, rest_face(ROUTES), _unchanged, lambda listings: listings)
V1 = Generation(
    {name: Tier(name, *rates, 1, 1, 1) for name, rates in _V1_TIERS.items()},
    rest_face([_v1_route(one) for one in (*filter(_is_of_v1, ROUTES), *orders.ROUTES)]),
    shapes.frame_of,
    _v1_listed,
    is_stamped=False,
    has_removed_members=True,
)
GENERATIONS = {"current": CURRENT, "v1": V1}
