"""Answers to write requests as events. Pure.

An answer tells what became of the order, never who traded: fills come from the fill channel and from reads, so that
each is booked once, with its own price and fee.
"""

from __future__ import annotations

import msgspec

from connectors.kalshi.wire.account_messages import OrderAck
from connectors.kalshi.wire.errors import NOT_FOUND
from connectors.kalshi.wire.fixed_point import NS_PER_MS, size_of
from framework.domain.account_events import OrderReport, ReportKind
from framework.domain.errors import OutcomeUnknown, RefusedByVenue
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.orders import Order
from framework.domain.verdicts import Approved

_ACK = msgspec.json.Decoder(OrderAck)


def decode_ack(body: bytes) -> OrderAck:
    """Read an acknowledgement. One without an `order_id` proves nothing, whatever its status: `OutcomeUnknown`."""
    try:
        ack = _ACK.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise OutcomeUnknown(f"the acknowledgement can't be read: {e}: {body[:200]!r}") from e
    if not ack.order_id:
        raise OutcomeUnknown(f"the acknowledgement names no order: {body[:200]!r}")
    return ack


def accepted(approved: Approved, intent: NewOrder, ack: OrderAck, *, ts_recv: int) -> tuple[OrderReport, ...]:
    """A created order; with its end when the answer shows that nothing of it is left to trade.

    Recorded answer: an order that ends at once (immediate-or-cancel, or its own order in the way) is acknowledged
    with nothing remaining and less than its size filled.
    """
    try:
        filled = None if ack.fill_count is None else size_of(ack.fill_count)
        remaining = None if ack.remaining_count is None else size_of(ack.remaining_count)
    except ValueError as e:
        raise OutcomeUnknown(f"the acknowledgement of {ack.order_id} can't be read: {e}") from e
    if ack.client_order_id and ack.client_order_id != approved.client_order_id:
        raise OutcomeUnknown(f"the acknowledgement is for {ack.client_order_id}, not for {approved.client_order_id}")
    report = OrderReport(
        venue=approved.venue,
        client_order_id=approved.client_order_id,
        kind=ReportKind.ACCEPTED,
        ts_recv=ts_recv,
        ts_venue=(ack.ts_ms or 0) * NS_PER_MS,
        venue_order_id=ack.order_id,
        filled=filled,
    )
    if filled is None or remaining != 0 or filled >= intent.size:
        return (report,)
    return (report, msgspec.structs.replace(report, kind=ReportKind.CANCELLED, detail="nothing left after the answer"))


def cancelled(
    approved: Approved, ack: OrderAck, *, ts_recv: int, order: Order | None = None
) -> tuple[OrderReport, ...]:
    """A cancelled order. What it had filled is not stated by this answer, only what was taken off.

    `order` is what we know of it. When another number was taken off than we believe was left, some of it traded and we
    have not heard of it; while an amend is unanswered, nobody can say what was left. Then nothing is reported, and the
    order keeps its exposure until the stream or a look-up shows its end together with what was filled.
    """
    try:
        taken_off = None if ack.reduced_by is None else size_of(ack.reduced_by)
    except ValueError as e:
        raise OutcomeUnknown(f"the acknowledgement of {ack.order_id} can't be read: {e}") from e
    if order is not None and taken_off is not None and (order.amend_size is not None or taken_off != order.remaining):
        return ()
    return (
        OrderReport(
            venue=approved.venue,
            client_order_id=approved.client_order_id,
            kind=ReportKind.CANCELLED,
            ts_recv=ts_recv,
            ts_venue=(ack.ts_ms or 0) * NS_PER_MS,
            venue_order_id=ack.order_id,
            detail=f"reduced_by={ack.reduced_by}",
        ),
    )


def amended(approved: Approved, intent: AmendOrder, ack: OrderAck, *, ts_recv: int) -> tuple[OrderReport, ...]:
    """An amended order, with the price and total that were asked for.

    Whether the answer's counts speak of the order or of this request is not documented, so they are not used.
    """
    return (
        OrderReport(
            venue=approved.venue,
            client_order_id=approved.client_order_id,
            kind=ReportKind.AMENDED,
            ts_recv=ts_recv,
            ts_venue=(ack.ts_ms or 0) * NS_PER_MS,
            venue_order_id=ack.order_id,
            size=intent.size,
            price=intent.price,
        ),
    )


def refused(approved: Approved, refusal: RefusedByVenue, *, ts_recv: int) -> tuple[OrderReport, ...]:
    """A refusal of the venue. `not_found` on a cancel says nothing about how the order ended."""
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
