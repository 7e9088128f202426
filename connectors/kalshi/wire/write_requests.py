"""Write requests of `rest.writes`: order groups, decrease, batches. Pure: terms in, method, target and body out.

None of them knows the daemon's intents or verdicts. Prices are those of YES in ten-thousandths of a dollar, sizes
hundredths of a contract. Shapes follow the vendor docs. `shard` None lets the venue choose it; `subaccount` None is
the primary one.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

import msgspec

from connectors.kalshi.wire.encode import SIDES, TIMES_IN_FORCE, Call
from connectors.kalshi.wire.fixed_point import PRICE_ONE, price_text, size_text
from framework.domain.client_order_ids import parse_client_order_id
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side, TimeInForce

GROUP_LIMIT_MIN, GROUP_LIMIT_MAX = Size(100), Size(100_000_000)
"""A group's limit: 1 to 1,000,000 contracts (vendor docs)."""

CLIENT_ORDER_ID_LENGTH_MAX = 64
"""Characters of a client order id (vendor docs, of the FIX interface)."""

_ORDERS = "/portfolio/events/orders"
_GROUPS = "/portfolio/order_groups"
_EMPTY = b"{}"
_ENCODER = msgspec.json.Encoder()


class OrderTerms(msgspec.Struct, frozen=True, kw_only=True):
    """A new order of a batch. `shard` None lets the venue find it by the ticker, which charges every shard's limit.

    `expires_s` is a Unix time in seconds, 0 for none. `self_trade_prevention` as in the settings.
    """

    ticker: str
    client_order_id: str
    side: Side
    price: Price
    size: Size
    time_in_force: TimeInForce = TimeInForce.GOOD_TILL_CANCELLED
    post_only: bool = False
    reduce_only: bool = False
    cancel_on_pause: bool = False
    expires_s: int = 0
    order_group_id: str = ""
    shard: int | None = None
    self_trade_prevention: str = "taker_at_cross"


class OrderRef(msgspec.Struct, frozen=True):
    """An order to change, by the venue's id. Without its shard the venue finds it by the ticker."""

    order_id: str
    ticker: str
    shard: int | None = None


def batch_create(orders: Sequence[OrderTerms], *, subaccount: int | None) -> Call:
    """Several new orders. Raises `ValueError` for no orders and for invalid terms of one, naming the field."""
    _check_count(orders)
    return Call("POST", f"{_ORDERS}/batched", _ENCODER.encode({"orders": [_order(one, subaccount) for one in orders]}))


def batch_cancel(orders: Sequence[OrderRef], *, subaccount: int | None) -> Call:
    """Cancel several orders. Raises `ValueError` for no orders and for one without an id."""
    _check_count(orders)
    items = [
        {"order_id": _id(one.order_id, "order_id"), "market_ticker": one.ticker}
        | _given(exchange_index=one.shard, subaccount=subaccount)
        for one in orders
    ]
    return Call("DELETE", f"{_ORDERS}/batched", _ENCODER.encode({"orders": items}))


def decrease(order: OrderRef, *, by: Size | None, to: Size | None, subaccount: int | None) -> Call:
    """Shrink what rests by or to a size; its place in the queue is kept (vendor docs).

    Raises `ValueError` unless exactly one of `by` (above 0) and `to` (at least 0) is given.
    """
    if (by is None) == (to is None):
        raise ValueError(f"by={by} to={to}: give exactly one of them")
    if (by is not None and by <= 0) or (to is not None and to < 0):
        raise ValueError(f"by={by} to={to}: a size is in hundredths of a contract, above 0 (to: at least 0)")
    fields = {"market_ticker": order.ticker} | _given(exchange_index=order.shard)
    if by is not None:
        fields["reduce_by"] = size_text(by)
    if to is not None:
        fields["reduce_to"] = size_text(to)
    path = f"{_ORDERS}/{quote(_id(order.order_id, 'order_id'), safe='')}/decrease"
    return Call("POST", path + _query(subaccount=subaccount), _ENCODER.encode(fields))


def create_group(limit: Size, *, shard: int | None, subaccount: int | None) -> Call:
    """A new group, whose orders are cancelled once more than `limit` matched within 15 seconds (vendor docs).

    Raises `ValueError` for a limit outside `GROUP_LIMIT_MIN` to `GROUP_LIMIT_MAX`.
    """
    fields = _limit(limit) | _given(exchange_index=shard, subaccount=subaccount)
    return Call("POST", f"{_GROUPS}/create", _ENCODER.encode(fields))


def limit_group(group_id: str, limit: Size, *, shard: int | None, subaccount: int | None) -> Call:
    """Another limit; one below what has matched cancels the group's orders at once. Raises as `create_group`."""
    target = f"{_group(group_id)}/limit{_query(subaccount=subaccount, exchange_index=shard)}"
    return Call("PUT", target, _ENCODER.encode(_limit(limit)))


def act_on_group(group_id: str, act: str, *, shard: int | None, subaccount: int | None) -> Call:
    """`act` is `reset` or `trigger`. Raises `ValueError` for an empty id.

    Third-party observation: such a request without a JSON body is refused.
    """
    return Call("PUT", f"{_group(group_id)}/{act}{_query(subaccount=subaccount, exchange_index=shard)}", _EMPTY)


def delete_group(group_id: str, *, shard: int | None, subaccount: int | None) -> Call:
    """Remove a group and cancel its orders. Raises `ValueError` for an empty id."""
    return Call("DELETE", f"{_group(group_id)}{_query(subaccount=subaccount, exchange_index=shard)}")


def _order(terms: OrderTerms, subaccount: int | None) -> dict[str, object]:
    _check(terms)
    fields: dict[str, object] = {
        "ticker": terms.ticker,
        "client_order_id": terms.client_order_id,
        "side": SIDES[terms.side],
        "count": size_text(terms.size),
        "price": price_text(terms.price),
        "time_in_force": TIMES_IN_FORCE[terms.time_in_force],
        "self_trade_prevention_type": terms.self_trade_prevention,
        "post_only": terms.post_only,
        "reduce_only": terms.reduce_only,
        "cancel_order_on_pause": terms.cancel_on_pause,
    }
    expiry = terms.expires_s or None
    group = terms.order_group_id or None
    return fields | _given(
        expiration_time=expiry, order_group_id=group, exchange_index=terms.shard, subaccount=subaccount
    )


def _check(terms: OrderTerms) -> None:
    name = terms.client_order_id
    if not 1 <= len(name) <= CLIENT_ORDER_ID_LENGTH_MAX:
        raise ValueError(f"client_order_id={name!r}: give 1 to {CLIENT_ORDER_ID_LENGTH_MAX} characters, new each time")
    # The daemon would take an order under such a name for one of its own that it lost.
    if parse_client_order_id(name) is not None:
        raise ValueError(f"client_order_id={name!r}: looks like a daemon's own; choose another form")
    if terms.size <= 0:
        raise ValueError(f"size={terms.size} of {name}: a size is in hundredths of a contract, above 0")
    if not 0 < terms.price < PRICE_ONE:
        raise ValueError(f"price={terms.price} of {name}: ten-thousandths of a dollar, between 0 and {PRICE_ONE}")


def _check_count(orders: Sequence[object]) -> None:
    if not orders:
        raise ValueError("orders: is empty; name at least one")


def _limit(limit: Size) -> dict[str, object]:
    if not GROUP_LIMIT_MIN <= limit <= GROUP_LIMIT_MAX:
        raise ValueError(
            f"limit={limit}: hundredths of a contract, from {GROUP_LIMIT_MIN} to {GROUP_LIMIT_MAX}; 100 is one contract"
        )
    return {"contracts_limit_fp": size_text(limit)}


def _group(group_id: str) -> str:
    return f"{_GROUPS}/{quote(_id(group_id, 'group_id'), safe='')}"


def _id(value: str, field: str) -> str:
    if not value:
        raise ValueError(f"{field}: is empty; without it the request would mean another one")
    return value


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _query(**fields: int | None) -> str:
    given = _given(**fields)
    return f"?{urlencode(given)}" if given else ""
