"""What the declared buckets give out, against the venue's windows wherever they begin."""

from __future__ import annotations

import pytest

from connectors.zdex.limits import ALL, NEW_ORDERS, limits_of
from framework.domain.rate_limits import PoolShape, RequestKind


@pytest.mark.parametrize(("requests", "orders", "window_s"), [(1_000, 300, 60), (10, 2, 1), (120, 80, 2)])
def test_buckets_when_a_window_is_used_up_then_it_never_has_more_than_the_venue_takes(
    requests: int, orders: int, window_s: int
) -> None:
    pools = {pool.name: pool for pool in limits_of(requests, orders, window_s).pools}
    for name, most in ((ALL, requests), (NEW_ORDERS, orders)):
        pool = pools[name]
        assert pool.shape is PoolShape.BUCKET
        assert pool.period_ns == window_s * 1_000_000_000
        # A full bucket at the beginning of any window, and what comes back until its end.
        assert pool.capacity + pool.refill == most


def test_new_order_when_it_is_charged_then_it_counts_in_both() -> None:
    limits = limits_of(1_000, 300, 60)
    assert {cost.pool for cost in limits.cost(RequestKind.NEW)} == {ALL, NEW_ORDERS}
    assert {cost.pool for cost in limits.cost(RequestKind.CANCEL)} == {ALL}
    assert {cost.pool for cost in limits.cost(RequestKind.QUERY)} == {ALL}
