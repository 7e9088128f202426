"""What the venue counts of an account, and what its answers show of it."""

from __future__ import annotations

import pytest

from connectors.transport.ports import HttpRequest, HttpResponse
from connectors.zdex.limits import ALL, NEW_ORDERS, WindowSights, limits_of
from framework.domain.market_events import WindowSeen
from framework.domain.rate_limits import PoolScope, PoolShape, RequestKind
from framework.runtime.clock import ManualClock


@pytest.mark.parametrize(("requests", "orders", "window_s"), [(1_000, 300, 60), (10, 2, 1), (120, 80, 2)])
def test_limits_when_declared_then_they_are_the_venues_windows(requests: int, orders: int, window_s: int) -> None:
    pools = {pool.name: pool for pool in limits_of(requests, orders, window_s).pools}
    for name, most in ((ALL, requests), (NEW_ORDERS, orders)):
        pool = pools[name]
        assert (pool.shape, pool.scope) == (PoolShape.WINDOW, PoolScope.ACCOUNT)
        assert (pool.capacity, pool.period_ns) == (most, window_s * 1_000_000_000)


def test_new_order_when_it_is_charged_then_it_counts_in_both() -> None:
    limits = limits_of(1_000, 300, 60)
    assert {cost.pool for cost in limits.cost(RequestKind.NEW)} == {ALL, NEW_ORDERS}
    assert {cost.pool for cost in limits.cost(RequestKind.CANCEL)} == {ALL}
    assert {cost.pool for cost in limits.cost(RequestKind.QUERY)} == {ALL}


@pytest.mark.parametrize(
    ("target", "limit", "pool"),
    [
        ("/v2/orders?a=1", "300", NEW_ORDERS),
        ("/v2/positions", "1000", ALL),
        ("/v2/positions", "100", None),
        ("/v2/market/symbols", "1000", None),
    ],
)
def test_answer_when_it_shows_a_window_then_its_size_says_which_and_the_public_list_is_of_no_account(
    target: str, limit: str, pool: str | None
) -> None:
    seen: list[WindowSeen] = []
    headers = {"x-ratelimit-limit": limit, "x-ratelimit-remaining": "7", "x-ratelimit-reset": "20"}
    sights = WindowSights("zdex", 1_000, 300, ManualClock(), seen.append)
    sights.see(HttpRequest("GET", target, (), b""), HttpResponse(200, headers, b""), 0)
    assert [(one.pool, one.left) for one in seen] == ([(pool, 7)] if pool else [])


def test_answer_when_both_windows_are_of_one_size_then_it_says_of_neither() -> None:
    seen: list[WindowSeen] = []
    headers = {"x-ratelimit-limit": "300", "x-ratelimit-remaining": "7", "x-ratelimit-reset": "20"}
    sights = WindowSights("zdex", 300, 300, ManualClock(), seen.append)
    sights.see(HttpRequest("POST", "/v2/orders", (), b""), HttpResponse(200, headers, b""), 0)
    assert seen == []
