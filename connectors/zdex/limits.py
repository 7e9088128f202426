"""The venue's rate limits as buckets that hold in every minute, whenever the venue's minute begins."""

from __future__ import annotations

from connectors.client.wire.decimals import NS_PER_S
from framework.domain.rate_limits import Cost, Pool, PoolScope, RateLimits, RequestKind

ALL, NEW_ORDERS = "all", "new-orders"


def limits_of(requests: int, orders: int, window_s: int) -> RateLimits:
    """So many requests, and so many new orders among them, in a window of `window_s` seconds (vendor docs: 1,000 and
    300 a minute, counted for the account). Where a window begins is not documented. A bucket of a tenth that refills by
    the other nine in a window never gives out more than the whole of it in any, also after a restart: it starts empty.
    """
    pools = tuple(
        Pool(name, max(most // 10, 1), max(most - max(most // 10, 1), 1), window_s * NS_PER_S, scope=PoolScope.ACCOUNT)
        for name, most in ((ALL, requests), (NEW_ORDERS, orders))
    )
    new = (RequestKind.REDUCE, RequestKind.NEW)
    every = [Cost(kind, ALL, 1) for kind in (*new, RequestKind.CANCEL, RequestKind.QUERY)]
    return RateLimits(pools, (*every, *(Cost(kind, NEW_ORDERS, 1) for kind in new)))
