"""The orders: what is known of each, who may find them how, and what they expose.

`Orders` stores and indexes. Which fact changes what is decided in `framework.state.orders.machine`.
"""

from __future__ import annotations

import msgspec

from framework.domain.account_events import Scope
from framework.domain.instruments import InstrumentId
from framework.domain.orders import Order, OrderStatus
from framework.state.exposure import Exposures
from framework.state.orders.evidence import OrderEvidence, exposed, status_shown

ENDED_KEPT_MAX = 10_000
"""So many ended orders are remembered, the newest: memory stays bounded, and late fills find their order."""

_ROTATIONS_MAX = 8
"""Most ended orders that are passed over in one step because their fills are outstanding: a step stays short."""
_FINAL = frozenset(status for status in OrderStatus if status.is_final)
_MAY_TRADE = frozenset(status for status in OrderStatus if status.may_trade)


class KnownOrder(msgspec.Struct, array_like=True):
    """An order with its evidence, as it is written into snapshots."""

    order: Order
    evidence: OrderEvidence


class OrdersSnapshot(msgspec.Struct, array_like=True):
    """All orders as they are written into snapshots: in canonical order, and the names of the open ones, oldest first,
    and of the ended ones in the order in which they are forgotten."""

    known: list[KnownOrder]
    open_names: list[str]
    ended_names: list[str]


class Orders:
    """Every order that is remembered, with its indexes. Iteration is in the order in which things became known, so that
    a replay gives the same results.

    `add`, `link` and `give` must be followed by `refresh`. `evidence`, `link`, `refresh` and `give` raise `KeyError`
    for an order that was not added.
    """

    def __init__(self, exposures: Exposures, *, ended_kept_max: int = ENDED_KEPT_MAX) -> None:
        self._exposures, self._own_prices = exposures, exposures.own_prices
        self._ended_kept_max = ended_kept_max
        self._known: dict[str, KnownOrder] = {}
        self._by_venue_id: dict[tuple[str, str], Order] = {}
        self._open: dict[str, Order] = {}
        self._open_of_strategy: dict[str, dict[str, Order]] = {}
        self._open_at_venue: dict[str, dict[str, Order]] = {}
        self._ended: dict[str, None] = {}
        self._awaiting: dict[str, Order] = {}

    def get(self, client_order_id: str) -> Order | None:
        """The order, ended ones included as long as they are remembered; None when there is none."""
        known = self._known.get(client_order_id)
        return None if known is None else known.order

    def by_venue_id(self, venue: str, venue_order_id: str) -> Order | None:
        """The order that the venue has given this id, None when no known order has it."""
        return self._by_venue_id.get((venue, venue_order_id))

    def open(self, *, strategy: str = "", venue: str = "", instrument: InstrumentId | None = None) -> tuple[Order, ...]:
        """Orders that have not ended, oldest first; only those of a strategy, venue or instrument where given."""
        return tuple(
            order
            for order in self._open_where(strategy, venue).values()
            if (not venue or order.venue == venue) and (instrument is None or order.instrument == instrument)
        )

    def ended(self, *, venue: str = "", instrument: InstrumentId | None = None) -> tuple[Order, ...]:
        """The remembered orders that have ended; only those of a venue or instrument where given. Reads all that have:
        not for every event."""
        ended = (self._known[name].order for name in self._ended)
        return tuple(
            order
            for order in ended
            if (not venue or order.venue == venue) and (instrument is None or order.instrument == instrument)
        )

    def open_in(self, scope: Scope, target: str) -> tuple[Order, ...]:
        """Orders that may still trade in what a trading state is set for, oldest first: all of them for the global
        scope, else those of the `target`."""
        found = self.open(
            strategy=target if scope is Scope.STRATEGY else "",
            venue=target if scope is Scope.VENUE else "",
            instrument=InstrumentId(target) if scope is Scope.INSTRUMENT else None,
        )
        return tuple(order for order in found if order.status in _MAY_TRADE)

    def open_count(self, *, strategy: str = "", venue: str = "") -> int:
        """How many orders have not ended; only those of a strategy or venue where given."""
        if strategy and venue:
            return len(self.open(strategy=strategy, venue=venue))
        return len(self._open_where(strategy, venue))

    def count_with_external(self, *, strategy: str = "", venue: str = "") -> int:
        """The same with the external orders, wherever no strategy is named."""
        if strategy:
            return self.open_count(strategy=strategy, venue=venue)
        return len(self._open_where("", venue)) + self._exposures.external_count(venue)

    def awaiting_fills(self) -> tuple[Order, ...]:
        """Orders, ended ones too, of which the venue states more filled than there are fills: fetch the fills."""
        return tuple(self._awaiting.values())

    def evidence(self, order: Order) -> OrderEvidence:
        """What is proved about the order, from which its status follows."""
        return self._known[order.client_order_id].evidence

    def add(self, order: Order, evidence: OrderEvidence) -> None:
        """Add a new order under its client order id. `refresh` must follow."""
        self._known[order.client_order_id] = KnownOrder(order, evidence)
        for venue_order_id in evidence.venue_order_ids:
            self._by_venue_id[order.venue, venue_order_id] = order

    def link(self, order: Order, venue_order_id: str) -> bool:
        """Let the venue's id lead to the order too. False when it did already."""
        ids = self.evidence(order).venue_order_ids
        if venue_order_id in ids:
            return False
        ids.append(venue_order_id)
        ids.sort()
        self._by_venue_id[order.venue, venue_order_id] = order
        return True

    def refresh(self, order: Order, now_ns: int, *, shown: OrderStatus, is_given_up: bool = False) -> None:
        """Compute status, indexes and exposure from the evidence. Call after every change of order or evidence.

        `now_ns` is wall time; `updated_ns` never goes back, also when the clock is set back. `shown` is the status that
        others saw last. `is_given_up`: its end counts without the fills that are missing.
        """
        name = order.client_order_id
        evidence = self._known[name].evidence
        if now_ns > order.updated_ns:
            order.updated_ns = now_ns
        order.status = status = status_shown(order, evidence, shown=shown, is_given_up=is_given_up)
        is_final = status in _FINAL
        if not is_final:
            self._ended.pop(name, None)
            if name not in self._open:
                self._open_add(order)
        elif name not in self._ended:
            self._open_remove(order)
            self._ended[name] = None
        if evidence.stated > evidence.traded:
            self._awaiting[name] = order
        else:
            self._awaiting.pop(name, None)
        may_trade = status in _MAY_TRADE
        self._exposures.count(order, exposed(order, evidence, may_trade=may_trade), is_open=not is_final)
        self._own_prices.count(order, may_trade=may_trade)
        if len(self._ended) > self._ended_kept_max:
            self._forget_oldest()

    def give(self, order: Order, strategy: str) -> None:
        """Give an order to another strategy. `refresh` must follow."""
        self._exposures.uncount(order)
        self._open_remove(order)
        order.strategy = strategy

    def snapshot(self) -> OrdersSnapshot:
        """All of it, as it is written into snapshots."""
        return OrdersSnapshot([known for _, known in sorted(self._known.items())], list(self._open), list(self._ended))

    def restore(self, snapshot: OrdersSnapshot) -> None:
        """Add the orders that `snapshot` was taken of. Call on a new object only.

        Raises `KeyError` when the snapshot contradicts itself.
        """
        by_name = {known.order.client_order_id: known for known in snapshot.known}
        for name in (*snapshot.ended_names, *snapshot.open_names):
            known = by_name[name]
            self.add(known.order, known.evidence)
            self.refresh(known.order, known.order.updated_ns, shown=known.order.status)

    def _open_where(self, strategy: str, venue: str) -> dict[str, Order]:
        if strategy:
            return self._open_of_strategy.get(strategy, {})
        return self._open_at_venue.get(venue, {}) if venue else self._open

    def _open_add(self, order: Order) -> None:
        name = order.client_order_id
        self._open[name] = order
        self._open_of_strategy.setdefault(order.strategy, {})[name] = order
        self._open_at_venue.setdefault(order.venue, {})[name] = order

    def _open_remove(self, order: Order) -> None:
        name = order.client_order_id
        if self._open.pop(name, None) is not None:
            del self._open_of_strategy[order.strategy][name]
            del self._open_at_venue[order.venue][name]

    def _forget_oldest(self) -> None:
        # An order whose fills are outstanding is not over: it goes to the end of the queue.
        for _ in range(_ROTATIONS_MAX):
            name = next(iter(self._ended))
            del self._ended[name]
            if name in self._awaiting:
                self._ended[name] = None
                continue
            known = self._known.pop(name)
            for venue_order_id in known.evidence.venue_order_ids:
                self._by_venue_id.pop((known.order.venue, venue_order_id), None)
            return
