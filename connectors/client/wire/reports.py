"""Answers to requests as reports of orders. Pure.

An answer states what became of the order, never a fill: fills come from streams and reads, so that each is booked once,
with its own price and fee. Times are Unix nanoseconds; `ts_recv` is ours, `ts_venue` the venue's, 0 when it gave none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from connectors.client.wire.answers import HTTP_NOT_FOUND, NO_PATH
from framework.domain.account_events import OrderReport, OrderSnapshot, ReportKind
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.numbers import Size
from framework.domain.orders import Order, TimeInForce
from framework.domain.plausibility import UNREADABLE
from framework.domain.verdicts import Approved

T = TypeVar("T")

NOT_FOUND = "not_found"
"""The code of a refused cancel that proves nothing about the order's end: the framework looks the order up."""

_REFUSED = {
    NewOrder: ReportKind.REJECTED,
    AmendOrder: ReportKind.AMEND_REFUSED,
    CancelOrder: ReportKind.CANCEL_REFUSED,
    CancelAll: ReportKind.CANCEL_REFUSED,
}
_AT_ONCE = {
    TimeInForce.GOOD_TILL_CANCELLED: "cancelled by the venue on arrival",
    TimeInForce.IMMEDIATE_OR_CANCEL: "immediate-or-cancel: the rest did not trade",
    TimeInForce.FILL_OR_KILL: "fill-or-kill: not all of it could trade",
}


class Ack(msgspec.Struct, frozen=True):
    """What the answer to a successful write says of the order."""

    venue_order_id: str
    ts_recv: int
    ts_venue: int = 0


def decoded_ack(body: bytes, decode: Callable[[bytes], T]) -> T:
    """The answer to a write that the venue did, read by `decode`.

    Raises `OutcomeUnknown` for one that can't be read: it proves nothing, whatever its status.
    """
    try:
        return decode(body)
    except (*UNREADABLE, ValueError) as e:
        raise OutcomeUnknown(f"the acknowledgement can't be read: {e}: {body[:200]!r}") from e


def stated_order(
    approved: Approved, body: bytes, decode: Callable[[bytes], OrderSnapshot]
) -> tuple[OrderSnapshot, ...]:
    """The order, at a venue that answers a write with the whole of it: what it states is what became of it.

    Raises `OutcomeUnknown` for an answer that can't be read or states another order.
    """
    one = decoded_ack(body, decode)
    if one.client_order_id not in ("", approved.client_order_id):
        raise OutcomeUnknown(f"the answer states {one.client_order_id}, not {approved.client_order_id}")
    return (msgspec.structs.replace(one, client_order_id=approved.client_order_id),)


def report(approved: Approved, kind: ReportKind, ack: Ack, *, detail: str = "") -> OrderReport:
    """A report of what became of the request's order."""
    return OrderReport(
        venue=approved.venue,
        client_order_id=approved.client_order_id,
        kind=kind,
        ts_recv=ack.ts_recv,
        ts_venue=ack.ts_venue,
        venue_order_id=ack.venue_order_id,
        detail=detail,
    )


def accepted(
    approved: Approved, intent: NewOrder, ack: Ack, *, filled: Size | None = None, remaining: Size | None = None
) -> tuple[OrderReport, ...]:
    """A created order; with its end when the answer shows that nothing of it is left to trade, and not all of it did.

    `filled` and `remaining` are None where the answer does not state them.
    """
    created = msgspec.structs.replace(report(approved, ReportKind.ACCEPTED, ack), filled=filled)
    if filled is None or remaining != 0 or filled >= intent.size:
        return (created,)
    at_once = _AT_ONCE[intent.time_in_force]
    return (created, msgspec.structs.replace(created, kind=ReportKind.CANCELLED, detail=at_once))


def amended(approved: Approved, intent: AmendOrder, ack: Ack) -> tuple[OrderReport, ...]:
    """An amended order, with the price and total that were asked for."""
    done = report(approved, ReportKind.AMENDED, ack)
    return (msgspec.structs.replace(done, size=intent.size, price=intent.price),)


def refused(approved: Approved, refusal: RefusedByVenue, *, ts_recv: int) -> tuple[OrderReport, ...]:
    """A refusal of the venue. `not_found` on a cancel does not state how the order ended."""
    code = NOT_FOUND if refusal.code.startswith(NOT_FOUND) else refusal.code
    # A new order is about nothing that could be gone but its market: what is not there may be the path itself.
    is_lost = refusal.status == HTTP_NOT_FOUND and isinstance(approved.intent, NewOrder)
    detail = f"{refusal.message}; {NO_PATH}" if is_lost else refusal.message
    said = report(approved, _REFUSED[type(approved.intent)], Ack("", ts_recv), detail=detail)
    return (msgspec.structs.replace(said, code=code),)


def order_to_change(approved: Approved, order: Order | None) -> Order:
    """The order that a cancel or an amend is for, at a venue that takes its own id only.

    Raises `RefusedByVenue` when nothing is known of it, and `Retryable` while the venue's id of it is not known.
    """
    if order is None:
        raise RefusedByVenue("unknown_order", f"{approved.client_order_id}: nothing is known of the order to change")
    if not order.venue_order_id:
        raise Retryable(f"{order.client_order_id}: the venue's id is not known yet; look the order up first")
    return order
