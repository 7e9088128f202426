"""The send ledger: what leaves is what was approved and recorded, each time, and never more of it (C11).

The sender signs, records and writes. This is kept beside it, from the records alone. An order that no approval made,
bytes whose digest is in no record, a second write of one record, or a larger size than was approved do not leave, and
everything is halted. So it is when a venue states a larger size of one of our orders than was ever approved for it:
that is what it has received, whatever was meant to be sent.
"""

from __future__ import annotations

import msgspec

from framework.domain.account_events import (
    OrderReport,
    OrderSnapshot,
    ReportKind,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.intents import CANCELS
from framework.domain.orders import Order
from framework.domain.verdicts import Refusal, Signed
from framework.domain.views import Proposal, RiskView
from framework.state.orders.index import Orders

SEND_LEDGER = "send-ledger"
"""Who halts. No check of a configuration can have this name."""

_ORDERS_MIN = 256
"""So many orders are kept at least before those that have ended are forgotten."""


class _Line(msgspec.Struct):
    """What was recorded of one order: the largest size that was approved for it (scaled, filled part included), and the
    requests that may be written, by the digest of their bytes, each with the size that was approved for it."""

    largest: int
    unwritten: dict[str, int]


class SendLedger:
    """The ledger of all venues of a run. Implements `framework.domain.ports.Monitor`: it follows what is recorded of
    `orders`, and refuses no intent."""

    follows = (OrderReport, OrderSnapshot)

    def __init__(self, orders: Orders) -> None:
        """`orders`: as they are at the start. What an earlier run has sent is not written again, but compared."""
        self._orders = orders
        sent = (order for order in orders.open() if orders.evidence(order).is_sent)
        self._lines = {one.client_order_id: _Line(max(one.size, one.amend_size or 0), {}) for one in sent}
        self._forget_at = _ORDERS_MIN

    def check(self, _proposal: Proposal, _view: RiskView, /) -> Refusal | None:
        """It is asked when something leaves, not when it is wanted."""
        return None

    def follow(self, event: OrderReport | OrderSnapshot, view: RiskView, /) -> tuple[TradingStateChanged, ...]:
        """Take in that a request was recorded; compare what a venue states of an order with what was approved."""
        if isinstance(event, OrderSnapshot):
            order = self._orders.by_venue_id(event.venue, event.venue_order_id)
        else:
            order = self._orders.get(event.client_order_id)
            if event.kind is ReportKind.SENT:
                self._record(order, event.detail)
                return ()
        line = None if order is None else self._lines.get(order.client_order_id)
        if line is None or order is None or event.size is None or event.size <= line.largest or order.quote_amount:
            return ()
        flaw = f"{order.client_order_id}: {event.venue} states a size of {event.size}, approved were {line.largest}"
        return (halt(flaw, view.now_ns),)

    def why_not(self, signed: Signed) -> str | None:
        """Why what was signed must not be written, None when it may; asked once for each write. Cancels always may:
        they only take orders out of the market."""
        intent = signed.approved.intent
        if isinstance(intent, CANCELS):
            return None
        line = self._lines.get(signed.approved.client_order_id)
        if line is None:
            return f"{signed.approved.client_order_id}: no approval and no sending of it is recorded"
        size = line.unwritten.pop(signed.digest, None)
        if size is None:
            return f"{signed.approved.client_order_id}: its bytes are in no record, or were written before"
        if intent.size > size:
            return f"{signed.approved.client_order_id}: a size of {intent.size} is asked for, approved were {size}"
        return None

    def _record(self, order: Order | None, digest: str) -> None:
        """A request of an order was signed and recorded, for the terms that the order's approvals gave it. What is
        recorded while the order is to end is its cancel, or is dropped before it is written."""
        if order is None or order.cancel_wanted:
            return
        name, asked = order.client_order_id, order.amend_size
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = _Line(order.size, {})
            self._forget_ended()
        if asked is not None:
            line.largest = max(line.largest, asked)
        line.unwritten[digest] = order.size if asked is None else asked

    def _forget_ended(self) -> None:
        """Keep the lines of open orders only, now and then: what has ended is not written any more."""
        if len(self._lines) < self._forget_at:
            return
        found = {name: self._orders.get(name) for name in self._lines}
        self._lines = {name: self._lines[name] for name, order in found.items() if order is not None and order.is_open}
        self._forget_at = max(2 * len(self._lines), _ORDERS_MIN)


def halt(reason: str, now_ns: int) -> TradingStateChanged:
    """Everything is halted and cancelled: what leaves is not what was approved. `now_ns` is wall time."""
    return TradingStateChanged(
        scope=Scope.GLOBAL,
        target="",
        state=TradingState.HALTED,
        reason=reason,
        ts_recv=now_ns,
        by=SEND_LEDGER,
        is_cancelling=True,
    )
