"""Declared rate limits. Bodies are recorded answers, shortened."""

from __future__ import annotations

import msgspec
import pytest

from connectors.kalshi.rest.rate_limits import CostTable, documented_costs, rate_limits, tier_limits
from connectors.kalshi.wire.account_messages import AccountLimits, EndpointCosts
from framework.domain.rate_limits import Pool, RequestKind

LIMITS = (
    b'{"grants":[],"read":{"bucket_capacity":200,"refill_rate":200},"usage_tier":"basic",'
    b'"write":{"bucket_capacity":100,"refill_rate":100}}'
)
COSTS = (
    b'{"default_cost":10,"endpoint_costs":[{"cost":2,"method":"DELETE","path":"/trade-api/v2/portfolio/events/orders/'
    b':order_id"},{"cost":2,"method":"DELETE","path":"/trade-api/v2/portfolio/events/orders/batched"},'
    b'{"cost":2,"method":"GET","path":"/trade-api/v2/portfolio/orders/:order_id"}]}'
)


@pytest.mark.parametrize(
    "costs", [CostTable(msgspec.json.decode(COSTS, type=EndpointCosts)), documented_costs()], ids=["recorded", "docs"]
)
def test_limits_when_recorded_then_pools_and_costs_are_the_accounts(costs: CostTable) -> None:
    limits = rate_limits(msgspec.json.decode(LIMITS, type=AccountLimits), costs)
    assert limits.pools == (Pool("read", 200, 200), Pool("write", 100, 100), Pool("balance", 1, 1))
    tokens = {kind: [(cost.pool, cost.tokens) for cost in limits.cost(kind)] for kind in RequestKind}
    assert tokens == {
        RequestKind.CANCEL: [("write", 2)],
        RequestKind.REDUCE: [("write", 10)],
        RequestKind.AMEND: [("write", 10)],
        RequestKind.NEW: [("write", 10)],
        RequestKind.QUERY: [("read", 10)],
    }


def test_costs_when_an_endpoint_is_not_listed_then_the_default_holds() -> None:
    table = CostTable(msgspec.json.decode(COSTS, type=EndpointCosts))
    assert table.of("GET", "/portfolio/orders/*") == 2
    assert table.of("GET", "/markets") == 10


def test_costs_when_paths_use_braces_then_they_are_the_same_endpoints() -> None:
    braces = COSTS.replace(b":order_id", b"{order_id}")
    assert CostTable(msgspec.json.decode(braces, type=EndpointCosts)).of("DELETE", "/portfolio/events/orders/*") == 2


def test_limits_when_not_declared_then_the_tier_is_taken_with_one_second_of_room() -> None:
    limits = rate_limits(tier_limits("premier"), documented_costs())
    assert limits.pools == (Pool("read", 1200, 1200), Pool("write", 1200, 1200), Pool("balance", 1, 5))
