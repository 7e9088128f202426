"""What the sandbox's truth says of a session: whose fills, and which orders could have increased a position."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from framework.persistence.ledger.reader import FillLine

Order = dict[str, Any]


def fills_of(truth: dict[str, Any], client_order_ids: Iterable[str]) -> set[tuple[str, str, int, int]]:
    """Client order id, market, size and price of each fill of these orders; repeated trades are told apart by id."""
    names = set(client_order_ids)
    return {
        (fill["trade_id"], fill["market_id"], fill["size"], fill["price"])
        for fill in truth["fills"]
        if fill["client_order_id"] in names
    }


def booked(lines: Iterable[FillLine], truth: dict[str, Any]) -> set[tuple[str, str, int, int]]:
    """The fills of a ledger in the same form."""
    found = set()
    for line in lines:
        market = line.instrument.partition(":")[2]
        scales = truth["decimals"][market]
        size, price = (_scaled(text, scales[name]) for text, name in ((line.size, "size"), (line.price, "price")))
        found.add((line.fill_id, market, size, price))
    return found


def _scaled(text: str, decimals: int) -> int:
    whole, _, rest = text.partition(".")
    return int(whole + rest.ljust(decimals, "0"))


def increasing_orders(truth: dict[str, Any], since_ns: int) -> list[str]:
    """Client order ids of the orders that arrived after `since_ns` and could do more than close the position of then,
    together with what was open on their side."""
    return [
        order["client_order_id"]
        for order in truth["orders"]
        if order["arrival_ns"] > since_ns and not _only_closes(truth, order)
    ]


def _only_closes(truth: dict[str, Any], order: Order) -> bool:
    at_ns, sign = order["arrival_ns"], 1 if order["side"] == "bid" else -1
    held = sum(
        _sign(fill) * fill["size"]
        for fill in truth["fills"]
        if fill["market_id"] == order["market_id"] and fill["account"] == order["account"] and fill["ns"] < at_ns
    )
    beside = sum(
        one["initial"] - _filled_before(truth, one, at_ns)
        for one in truth["orders"]
        if one["market_id"] == order["market_id"] and one["side"] == order["side"] and one is not order
        if one["arrival_ns"] <= at_ns and (one["status"] == "resting" or one["updated_ns"] > at_ns)
    )
    return -sign * held >= beside + order["initial"]


def _filled_before(truth: dict[str, Any], order: Order, at_ns: int) -> int:
    return sum(fill["size"] for fill in truth["fills"] if fill["order_id"] == order["order_id"] and fill["ns"] < at_ns)


def _sign(fill: dict[str, Any]) -> int:
    return 1 if fill["side"] == "bid" else -1
