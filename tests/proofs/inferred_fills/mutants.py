"""Protections switched off one at a time, in this process only: each must be reported as wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import msgspec

from framework.domain.account_events import Fill, FillSource, OrderSnapshot
from framework.domain.events import Event
from framework.domain.numbers import Money, Size
from framework.domain.terms import FillListing
from framework.reconciliation import hidden_fills, inferred_fills
from framework.reconciliation.hidden_fills import HiddenFills
from framework.reconciliation.ports import ReconcileDependencies
from framework.state.account_updates import AccountUpdates
from framework.state.accounts import Accounts
from framework.state.change import Draft
from framework.state.fills import BookedFill


@contextmanager
def _switched(*switches: tuple[Any, str, Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for owner, name, value in switches:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        yield


_take_in = HiddenFills.take_in


def _remembered_by_the_connector(self: HiddenFills, snapshot: OrderSnapshot) -> None:
    """A connector that infers knows what it has published since it was started, and no more."""
    order = self._dependencies.accounts.orders.get(snapshot.client_order_id)
    if order is None or self._listing is not FillListing.BY_ORDER:
        return _take_in(self, snapshot)
    published: dict[str, OrderSnapshot] = self.__dict__.setdefault("published", {})
    self._dependencies.publish(snapshot)
    before = published.get(order.client_order_id)
    filled, cost, fees = (0, 0, 0) if before is None else (before.filled, before.cost or 0, before.fees or 0)
    if snapshot.filled > filled:
        published[order.client_order_id] = snapshot
        size = Size(snapshot.filled - filled)
        made = inferred_fills._fill(
            self._dependencies.accounts, order, size, FillSource.INFERRED_ORDER, ts_recv=snapshot.ts_recv
        )
        made = msgspec.structs.replace(
            made,
            fill_id=f"{snapshot.venue_order_id}#{snapshot.filled}/{self._dependencies.clock.now_ns()}",
            cost=Money((snapshot.cost or 0) - cost),
            fee=Money((snapshot.fees or 0) - fees),
        )
        self._dependencies.publish(made)
    return None


def _beside_the_inferred(_accounts: Accounts, fill: Fill) -> list[Event]:
    return [fill]


def _take_nothing_back(
    _accounts: Accounts, _standing: Sequence[BookedFill], size: int, _reason: str, **_: object
) -> tuple[list[Event], int]:
    return [], size


_fill = AccountUpdates.fill


def _book_every_telling(self: AccountUpdates, fill: Fill, now_ns: int, draft: Draft) -> None:
    _fill(self, msgspec.structs.replace(fill, fill_id=f"{fill.fill_id}/{now_ns}"), now_ns, draft)


class Mutant(NamedTuple):
    """A protection switched off, and the dialects at each of which that must be reported."""

    switch: Callable[[], AbstractContextManager[None]]
    dialects: tuple[str, ...]


MUTANTS: dict[str, Mutant] = {
    "infer-in-connector": Mutant(
        partial(_switched, (HiddenFills, "take_in", _remembered_by_the_connector)),
        ("bitexasia", "lists open orders alone"),
    ),
    "no-void": Mutant(partial(_switched, (inferred_fills, "_take_back", _take_nothing_back)), ("zdex-v1", "zdex-v2")),
    "double-late-listing": Mutant(
        partial(_switched, (hidden_fills, "in_place_of_inferred", _beside_the_inferred)), ("zdex-v1", "zdex-v2")
    ),
    "claims-forgotten": Mutant(
        partial(_switched, (ReconcileDependencies, "_is_claimed", lambda _self, _order: False)), ("zdex-v1",)
    ),
    "fills-by-telling": Mutant(
        partial(_switched, (AccountUpdates, "fill", _book_every_telling)), ("kalshi", "kalqix-a", "kalqix-b")
    ),
}
