"""The rate limit and the terms of a BitExAsia account."""

from __future__ import annotations

from connectors.bitexasia.dialect import DIALECT
from connectors.client.wire.decimals import NS_PER_S
from framework.domain.orders import OrderKind, TimeInForce, TriggerKind
from framework.domain.rate_limits import Cost, Pool, PoolShape, RateLimits, RequestKind
from framework.domain.terms import FillListing, PositionListing, VenueTerms

POOL = "requests"
FIRST = "first read"
"""The endpoint name of the first read of a run: it is not waited for, and the headers of its answer count it in."""


def limits_of(limit: int) -> RateLimits:
    """The key's window of `limit` weighted requests a minute."""
    pool = Pool(POOL, limit, limit, DIALECT.period_s * NS_PER_S, PoolShape.WINDOW)
    free = Cost(RequestKind.QUERY, POOL, 0, FIRST)
    return RateLimits((pool,), (*(Cost(kind, POOL, 1) for kind in RequestKind), free))


def terms_of(*, optional_fields: bool) -> VenueTerms:
    """What the venue offers: nothing is listed, an order states its own fills. `optional_fields`: whether the venue is
    trusted to know `time_in_force` and `post_only`."""
    return VenueTerms(
        open_orders=False,
        fills=FillListing.BY_ORDER,
        positions=PositionListing.NONE,
        amend=False,
        post_only=optional_fields,
        reduce_only=False,
        times_in_force=tuple(TimeInForce) if optional_fields else (TimeInForce.GOOD_TILL_CANCELLED,),
        good_till_date=False,
        order_kinds=tuple(OrderKind),
        triggers=(TriggerKind.STOP,),
    )
