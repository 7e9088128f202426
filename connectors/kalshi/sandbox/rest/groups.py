"""Order groups over REST: orders that are cancelled together when too many contracts match within 15 seconds.

Every handler of one group raises `Refusal` 404 when the member has no group of that id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.kalshi.sandbox import errors, wire
from connectors.kalshi.sandbox.buckets import SHARDS
from connectors.kalshi.sandbox.groups import Group, OrderGroups
from connectors.kalshi.sandbox.rest.call import Call, Handler
from connectors.kalshi.sandbox.wire import COUNT_DECIMALS, COUNT_ONE
from connectors.sandbox.engine.model import Rejection
from connectors.sandbox.serving.fields import Body
from connectors.sandbox.serving.rest import Reply, Route

GROUP_LIMIT_MAX = 1_000_000
"""The highest limit of a group in whole contracts; the lowest is 1 (vendor docs)."""


def create_group(call: Call) -> Reply:
    """POST /portfolio/order_groups/create: a group with a limit and no orders, 201.

    Raises `Refusal` 400 for a limit outside 1..GROUP_LIMIT_MAX, a shard or a subaccount that does not exist.
    """
    body = call.body("CreateOrderGroupRequest")
    limit, shard = _contracts_limit(body), body.integer("exchange_index") or 0
    account = call.account_id(body.integer("subaccount"))
    if not 0 <= shard < SHARDS:
        raise errors.nested("invalid_parameters")
    group = call.venue.groups.create(account, limit, now_ns=call.now_ns, exchange_index=shard)
    call.venue.publish_events()
    number = call.venue.subaccount_of(account)
    return Reply({"exchange_index": shard, "order_group_id": group.group_id, "subaccount": number}, 201)


def list_groups(call: Call) -> Reply:
    """GET /portfolio/order_groups: every group of the member, or of one subaccount; not paged."""
    groups = call.venue.groups
    names = call.accounts(call.query_of("GetOrderGroups").integer("subaccount"))
    return Reply({"order_groups": [_group(one) | {"id": one.group_id} for n in names for one in groups.of_account(n)]})


def get_group(call: Call) -> Reply:
    """GET /portfolio/order_groups/{order_group_id}: the group and the ids of its resting orders."""
    group = _own_group(call)
    return Reply(_group(group) | {"orders": list(group.orders)})


def _acting(act: Callable[..., Rejection | None]) -> Handler:
    """The handler that does one act of `OrderGroups` on the group that the path names."""

    def acted(call: Call) -> Reply:
        group = _own_group(call)
        call.accepted(act(call.venue.groups, group.account, group.group_id, now_ns=call.now_ns))
        return Reply({})

    return acted


def limit_group(call: Call) -> Reply:
    """PUT /portfolio/order_groups/{order_group_id}/limit: one at or below what the window holds triggers at once.

    Raises `Refusal` 400 for a limit outside 1..GROUP_LIMIT_MAX.
    """
    group = _own_group(call)
    limit = _contracts_limit(call.body("UpdateOrderGroupLimitRequest"))
    call.accepted(call.venue.groups.set_limit(group.account, group.group_id, limit=limit, now_ns=call.now_ns))
    return Reply({})


def _contracts_limit(body: Body) -> int:
    """The limit in hundredths of contracts, from either spelling."""
    whole, exact = body.integer("contracts_limit"), body.decimal("contracts_limit_fp", COUNT_DECIMALS)
    limit = exact if exact is not None else (whole or 0) * COUNT_ONE
    if not COUNT_ONE <= limit <= GROUP_LIMIT_MAX * COUNT_ONE:
        raise errors.nested("invalid_parameters")
    return limit


def _group(group: Group) -> dict[str, Any]:
    shown = wire.counts(contracts_limit=group.limit)
    return shown | {"exchange_index": group.exchange_index, "is_auto_cancel_enabled": True}


def _own_group(call: Call) -> Group:
    groups = call.venue.groups
    for name in call.accounts(None):
        group = groups.get(name, call.arrival.params["order_group_id"])
        if group is not None:
            return group
    raise errors.nested("not_found")


_GROUP = "/portfolio/order_groups/{order_group_id}"
_TRADE = "write::trade"
ROUTES = (
    Route("GET", "/portfolio/order_groups", list_groups),
    Route("POST", "/portfolio/order_groups/create", create_group, _TRADE, "write"),
    Route("GET", _GROUP, get_group),
    Route("DELETE", _GROUP, _acting(OrderGroups.delete), _TRADE, "write"),
    Route("PUT", _GROUP + "/reset", _acting(OrderGroups.reset), _TRADE, "write"),
    Route("PUT", _GROUP + "/trigger", _acting(OrderGroups.trigger), _TRADE, "write"),
    Route("PUT", _GROUP + "/limit", limit_group, _TRADE, "write"),
)
