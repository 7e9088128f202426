"""Responses to write requests as events. Pure.

A response states what became of the order, never a fill: fills come from the fill channel and from reads, so that each
is booked once, with its own price and fee. Times are Unix nanoseconds.
"""

from __future__ import annotations

import msgspec

from connectors.client.wire.decimals import NS_PER_MS
from connectors.kalshi.wire.account_messages import OrderAck
from connectors.kalshi.wire.errors import NOT_FOUND
from connectors.kalshi.wire.fixed_point import size_of
from framework.domain.account_events import OrderReport, ReportKind
from framework.domain.errors import OutcomeUnknown, RefusedByVenue
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.numbers import Size
from framework.domain.orders import Order, TimeInForce
from framework.domain.verdicts import Approved

_ACK = msgspec.json.Decoder(OrderAck)


def decode_ack(body: bytes) -> OrderAck:
    """Read an acknowledgement.

    Raises `OutcomeUnknown` for one that cannot be read or has no `order_id`: it proves nothing, whatever its status.
    """
    try:
        ack = _ACK.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise OutcomeUnknown(f"the acknowledgement can't be read: {e}: {body[:200]!r}") from e
    if not ack.order_id:
        raise OutcomeUnknown(f"the acknowledgement names no order: {body[:200]!r}")
    return ack


_AT_ONCE = {
    TimeInForce.GOOD_TILL_CANCELLED: "cancelled by the venue on arrival",
    TimeInForce.IMMEDIATE_OR_CANCEL: "immediate-or-cancel: the rest did not trade",
    TimeInForce.FILL_OR_KILL: "fill-or-kill: not all of it could trade",
}


def accepted(approved: Approved, intent: NewOrder, ack: OrderAck, *, ts_recv: int) -> tuple[OrderReport, ...]:
    """A created order; with its end when the response shows that nothing of it is left to trade.

    Recorded answer: an order that ends at once (immediate-or-cancel, or an own order on the other side) is acknowledged
    with nothing remaining and less than its size filled. Raises `OutcomeUnknown` for counts that cannot be read and for
    the acknowledgement of another order.
    """
    filled, remaining = _count(ack.fill_count, ack), _count(ack.remaining_count, ack)
    if ack.client_order_id and ack.client_order_id != approved.client_order_id:
        raise OutcomeUnknown(f"the acknowledgement is for {ack.client_order_id}, not for {approved.client_order_id}")
    report = msgspec.structs.replace(_report(approved, ReportKind.ACCEPTED, ack, ts_recv), filled=filled)
    if filled is None or remaining != 0 or filled >= intent.size:
        return (report,)
    return (report, msgspec.structs.replace(report, kind=ReportKind.CANCELLED, detail=_AT_ONCE[intent.time_in_force]))


def cancelled(
    approved: Approved, ack: OrderAck, *, ts_recv: int, order: Order | None = None
) -> tuple[OrderReport, ...]:
    """A cancelled order. The response does not state what it had filled, only how much was taken off.

    `order` is what is known of it here. When another number was taken off than was left by what is known, some of it
    traded and that fill has not arrived; while an amend is unanswered, what was left is not known. Then nothing is
    reported, and the order keeps its exposure until the stream or a look-up shows its end together with what it filled.
    Raises `OutcomeUnknown` for a count that cannot be read.
    """
    taken_off = _count(ack.reduced_by, ack)
    if order is not None and taken_off is not None and (order.amend_size is not None or taken_off != order.remaining):
        return ()
    report = _report(approved, ReportKind.CANCELLED, ack, ts_recv)
    return (msgspec.structs.replace(report, detail=f"cancelled on request, {ack.reduced_by} were left"),)


def amended(approved: Approved, intent: AmendOrder, ack: OrderAck, *, ts_recv: int) -> tuple[OrderReport, ...]:
    """An amended order, with the price and total that were asked for.

    Whether the response's counts are of the order or of this request is not documented, so they are not used.
    """
    report = _report(approved, ReportKind.AMENDED, ack, ts_recv)
    return (msgspec.structs.replace(report, size=intent.size, price=intent.price),)


def refused(approved: Approved, refusal: RefusedByVenue, *, ts_recv: int) -> tuple[OrderReport, ...]:
    """A refusal of the venue. `not_found` on a cancel does not state how the order ended."""
    kinds = {
        NewOrder: ReportKind.REJECTED,
        AmendOrder: ReportKind.AMEND_REFUSED,
        CancelOrder: ReportKind.CANCEL_REFUSED,
        CancelAll: ReportKind.CANCEL_REFUSED,
    }
    return (
        OrderReport(
            venue=approved.venue,
            client_order_id=approved.client_order_id,
            kind=kinds[type(approved.intent)],
            ts_recv=ts_recv,
            code=NOT_FOUND if refusal.code.startswith(NOT_FOUND) else refusal.code,
            detail=str(refusal),
        ),
    )


def _report(approved: Approved, kind: ReportKind, ack: OrderAck, ts_recv: int) -> OrderReport:
    return OrderReport(
        venue=approved.venue,
        client_order_id=approved.client_order_id,
        kind=kind,
        ts_recv=ts_recv,
        ts_venue=(ack.ts_ms or 0) * NS_PER_MS,
        venue_order_id=ack.order_id,
    )


def _count(text: str | None, ack: OrderAck) -> Size | None:
    try:
        return None if text is None else size_of(text)
    except ValueError as e:
        raise OutcomeUnknown(f"the acknowledgement of {ack.order_id} can't be read: {e}") from e
