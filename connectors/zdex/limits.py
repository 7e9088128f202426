"""The venue's rate limits as windows that hold in every minute, whenever the venue's minute begins."""

from __future__ import annotations

from collections.abc import Callable

from connectors.client.window_headers import WindowHeaders, WindowSight
from connectors.client.wire.decimals import NS_PER_S
from connectors.transport.ports import HttpRequest, HttpResponse
from connectors.zdex.wire.encode import SYMBOLS
from framework.domain.market_events import WindowSeen
from framework.domain.ports import Clock
from framework.domain.rate_limits import Cost, Pool, PoolScope, PoolShape, RateLimits, RequestKind

ALL, NEW_ORDERS = "all", "new-orders"


def limits_of(requests: int, orders: int, window_s: int) -> RateLimits:
    """So many requests, and so many new orders among them, in a window of `window_s` seconds (vendor docs: 1,000 and
    300 a minute, counted for the account). Where a window begins is not documented."""
    pools = tuple(
        Pool(name, most, most, window_s * NS_PER_S, PoolShape.WINDOW, PoolScope.ACCOUNT)
        for name, most in ((ALL, requests), (NEW_ORDERS, orders))
    )
    new = (RequestKind.REDUCE, RequestKind.NEW)
    every = [Cost(kind, ALL, 1) for kind in (*new, RequestKind.CANCEL, RequestKind.QUERY)]
    return RateLimits(pools, (*every, *(Cost(kind, NEW_ORDERS, 1) for kind in new)))


class WindowSights:
    """What answers show of both windows, told apart by their size; the public list counts for the address."""

    def __init__(
        self, name: str, requests: int, orders: int, clock: Clock, publish: Callable[[WindowSeen], None]
    ) -> None:
        sizes = {ALL: requests, NEW_ORDERS: orders} if requests != orders else {}
        self._sights = [
            WindowSight(name, WindowHeaders(pool=pool, tokens=tokens), clock, publish) for pool, tokens in sizes.items()
        ]

    def see(self, request: HttpRequest, answer: HttpResponse, took_ns: int) -> None:
        """Take an answer's headers: a `RestRules.on_answer`."""
        if not request.target.partition("?")[0].endswith(SYMBOLS):
            for sight in self._sights:
                sight.see(request, answer, took_ns)
