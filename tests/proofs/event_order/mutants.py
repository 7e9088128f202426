"""Protections switched off one at a time, in this process only: each must be reported as a divergence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import msgspec

from framework.domain.account_events import Fill, FillVoided
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderStatus
from framework.state.account_updates import AccountUpdates
from framework.state.change import Draft
from framework.state.exposure import Exposures
from framework.state.fills import BookedFill, Fills
from framework.state.orders import index, machine
from framework.state.orders.evidence import OrderEvidence, exposed, learn_flags, status_of
from framework.state.orders.transitions import OrderFact
from framework.state.orders.unmatched import UnmatchedReports


@contextmanager
def _switched(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


_fill = AccountUpdates.fill


def _book_every_telling(self: AccountUpdates, fill: Fill, now_ns: int, draft: Draft) -> None:
    _fill(self, msgspec.structs.replace(fill, fill_id=f"{fill.fill_id}/{now_ns}"), now_ns, draft)


def _drop_after_cancel(self: AccountUpdates, fill: Fill, now_ns: int, draft: Draft) -> None:
    order = self._order_of(fill.venue, fill.client_order_id, fill.venue_order_id)
    if order is None or order.status is not OrderStatus.CANCELLED:
        _fill(self, fill, now_ns, draft)


def _free_at_the_end(order: Order, evidence: OrderEvidence, *, may_trade: bool) -> Size:
    return exposed(order, evidence, may_trade=True) if may_trade else Size(0)


def _free_while_unknown(order: Order, evidence: OrderEvidence, *, may_trade: bool) -> Size:
    return Size(0) if order.status is OrderStatus.UNKNOWN else exposed(order, evidence, may_trade=may_trade)


def _show_the_end_at_once(order: Order, evidence: OrderEvidence, **_shown: object) -> OrderStatus:
    return status_of(order, evidence)


def _reject_what_is_unknown(evidence: OrderEvidence, fact: OrderFact, ts_recv: int) -> None:
    learn_flags(evidence, OrderFact.NEVER_ARRIVED if fact is OrderFact.UNKNOWN else fact, ts_recv)


def _believe_the_last(
    order: Order, evidence: OrderEvidence, price: Price | None, size: Size | None, **_when: int
) -> None:
    order.price = order.price if price is None else price
    order.size = order.size if size is None else size


def _void_again(self: Fills, event: FillVoided) -> BookedFill | None:
    return self.get(event.venue, event.fill_id)


def _forget_what_is_parked(_snapshot: object, _keys: object, exposures: Exposures) -> UnmatchedReports:
    return UnmatchedReports(exposures)


Mutant = Callable[[], AbstractContextManager[None]]
MUTANTS: dict[str, Mutant] = {
    "fills-not-told-apart": partial(_switched, AccountUpdates, "fill", _book_every_telling),
    "late-fill-dropped-after-cancel": partial(_switched, AccountUpdates, "fill", _drop_after_cancel),
    "cancel-frees-exposure-before-fills": partial(_switched, index, "exposed", _free_at_the_end),
    "unknown-frees-exposure": partial(_switched, index, "exposed", _free_while_unknown),
    "end-shown-before-its-fills": partial(_switched, index, "status_shown", _show_the_end_at_once),
    "timer-rejects-unknown": partial(_switched, machine, "learn_flags", _reject_what_is_unknown),
    "last-listing-wins": partial(_switched, machine, "learn_terms", _believe_the_last),
    "inference-taken-back-still-counts": partial(_switched, machine, "is_inferred", lambda _: False),
    "fill-voided-twice": partial(_switched, Fills, "void", _void_again),
    "restart-forgets-parked-facts": partial(_switched, UnmatchedReports, "from_snapshot", _forget_what_is_parked),
}
