"""Kalshi's responses to write requests as events. Pure. Times are Unix nanoseconds."""

from __future__ import annotations

import msgspec

from connectors.client.wire import reports
from connectors.client.wire.decimals import NS_PER_MS
from connectors.kalshi.wire.account_messages import OrderAck
from connectors.kalshi.wire.fixed_point import count_of
from framework.domain.account_events import OrderReport, ReportKind
from framework.domain.errors import OutcomeUnknown
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Size
from framework.domain.orders import Order
from framework.domain.verdicts import Approved

_ACK = msgspec.json.Decoder(OrderAck)


def decode_ack(body: bytes) -> OrderAck:
    """Read an acknowledgement. Raises `OutcomeUnknown` for one that cannot be read or has no `order_id`."""
    ack = reports.decoded_ack(body, _ACK.decode)
    if not ack.order_id:
        raise OutcomeUnknown(f"the acknowledgement names no order: {body[:200]!r}")
    return ack


def accepted(approved: Approved, intent: NewOrder, ack: OrderAck, *, ts_recv: int) -> tuple[OrderReport, ...]:
    """A created order.

    Recorded answer: an order that ends at once (immediate-or-cancel, or an own order on the other side) is acknowledged
    with nothing remaining and less than its size filled. Raises `OutcomeUnknown` for counts that cannot be read and for
    the acknowledgement of another order.
    """
    filled, remaining = _count(ack.fill_count, ack), _count(ack.remaining_count, ack)
    if ack.client_order_id and ack.client_order_id != approved.client_order_id:
        raise OutcomeUnknown(f"the acknowledgement is for {ack.client_order_id}, not for {approved.client_order_id}")
    return reports.accepted(approved, intent, _ack(ack, ts_recv), filled=filled, remaining=remaining)


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
    said = f"cancelled on request, {ack.reduced_by} were left"
    return (reports.report(approved, ReportKind.CANCELLED, _ack(ack, ts_recv), detail=said),)


def amended(approved: Approved, intent: AmendOrder, ack: OrderAck, *, ts_recv: int) -> tuple[OrderReport, ...]:
    """An amended order. Whether the response's counts are of the order or of this request is not documented, so they
    are not used."""
    return reports.amended(approved, intent, _ack(ack, ts_recv))


def _ack(ack: OrderAck, ts_recv: int) -> reports.Ack:
    return reports.Ack(ack.order_id, ts_recv, (ack.ts_ms or 0) * NS_PER_MS)


def _count(text: str | None, ack: OrderAck) -> Size | None:
    try:
        return None if text is None else count_of(text)
    except ValueError as e:
        raise OutcomeUnknown(f"the acknowledgement of {ack.order_id} can't be read: {e}") from e
