"""Joining orders, fills and positions: which order a fact belongs to, and what a fill moves.

A fill counts in the account's position at once, in its order and its strategy's position as soon as its order is
known. Reports that name an order only by a venue id that no order has yet are kept, and applied when one has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from framework.domain.account_events import (
    Fill,
    FillVoided,
    InstrumentSettled,
    OrderAdopted,
    OrderReport,
    OrderSnapshot,
    ReportKind,
)
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.numbers import Money
from framework.domain.orders import Order
from framework.state.change import Draft, Payout
from framework.state.exposure import Exposures
from framework.state.fills import BookedFill, Fills, is_inferred, is_same_trade
from framework.state.orders.index import Orders
from framework.state.orders.machine import OrderMachine
from framework.state.orders.unmatched import UnmatchedReports
from framework.state.positions import Positions, Trade, denomination_of, trade_of


def remembers_all(order: Order, orders: Orders, fills: Fills) -> bool:
    """Whether every booked fill of an order is remembered: then none of its fills is among the forgotten ones. Not
    known of an adopted order, which may have traded before it was ours. Reads every fill: not for every event."""
    evidence = orders.evidence(order)
    remembered = sum(booked.fill.size for booked in fills.of_order(order.client_order_id))
    return evidence.is_sent and remembered == evidence.traded


class AccountUpdates:
    """Applies every record about orders, fills and settlements to the parts of the state that it concerns.

    Called by `Accounts.apply` only. `now_ns` is the wall time of the step; what others must know of the record is put
    into `draft`. `recall` is called before anything is booked in an instrument, which may have left.
    """

    def __init__(
        self,
        machine: OrderMachine,
        orders: Orders,
        fills: Fills,
        *,
        unmatched: UnmatchedReports,
        positions: Positions,
        exposures: Exposures,
        instruments: Mapping[InstrumentId, Instrument],
        recall: Callable[[InstrumentId, Draft], None],
    ) -> None:
        self._orders = orders
        self._fills = fills
        self._unmatched = unmatched
        self._positions = positions
        self._exposures = exposures
        self._machine = machine
        self._instruments = instruments
        self._recall = recall

    def report(self, report: OrderReport, now_ns: int, draft: Draft) -> None:
        """Take in a report about an order, or keep it until the order is known."""
        order = self._order_of(report.venue, report.client_order_id, report.venue_order_id)
        if order is not None:
            is_amended = report.kind is ReportKind.AMENDED
            self._machine.report(order, report, now_ns, draft)
            self._link(order, report.venue_order_id, now_ns, draft, is_amended=is_amended)
        elif report.venue_order_id:
            self._unmatched.add_report(report)
        else:
            draft.alarm(f"{report.venue} reports {report.kind.value} of an unknown order {report.client_order_id!r}")

    def snapshot(self, snapshot: OrderSnapshot, now_ns: int, draft: Draft) -> None:
        """Take in an order as the venue lists it, or keep the listing until the order is known."""
        order = self._order_of(snapshot.venue, snapshot.client_order_id, snapshot.venue_order_id)
        if order is None:
            self._unmatched.add_snapshot(snapshot)
            return
        self._machine.snapshot(order, snapshot, now_ns, draft)
        self._link(order, snapshot.venue_order_id, now_ns, draft)

    def adopt(self, event: OrderAdopted, now_ns: int, draft: Draft) -> None:
        """Make an order of the venue ours; one that is ours already goes to the strategy that is named."""
        order = self._order_of(event.venue, event.client_order_id, event.venue_order_id)
        if order is None:
            order = self._machine.adopt(event, now_ns, draft)
        elif order.strategy != event.strategy:
            self._give(order, event.strategy, now_ns, draft)
        self._link(order, event.venue_order_id, now_ns, draft)

    def fill(self, fill: Fill, now_ns: int, draft: Draft) -> None:
        """Book a fill once: reported again, it can only add whose order it is."""
        order = self._order_of(fill.venue, fill.client_order_id, fill.venue_order_id)
        booked = self._fills.get(fill.venue, fill.fill_id)
        if booked is None:
            booked = self._enter(fill, order, draft)
        elif not is_same_trade(booked.fill, fill):
            draft.alarm(f"fill {fill.fill_id} was reported in two ways: {booked.fill} and {fill}", halt=fill.instrument)
        if order is None or booked is None:
            return
        self._attribute(booked, order, now_ns, draft)
        self._link(order, fill.venue_order_id, now_ns, draft)

    def void(self, event: FillVoided, now_ns: int, draft: Draft) -> None:
        """Reverse a fill once (I21), with an alarm unless it was inferred; a void that comes before it is kept."""
        booked = self._fills.void(event)
        if booked is None:
            return
        fill = booked.fill
        self._recall(fill.instrument, draft)
        trade = self._trade_of(fill)
        self._positions.void(fill.instrument, trade, booked.strategy)
        self._show(fill.instrument, booked.strategy)
        if not is_inferred(fill):
            draft.alarm(f"{event.venue} took fill {fill.fill_id} back: {event.reason or 'no reason given'}")
        order = self._orders.get(booked.client_order_id)
        if order is not None:
            self._machine.void(order, fill, trade.fee, now_ns, draft)

    def settle(self, event: InstrumentSettled, draft: Draft) -> None:
        """Pay out all positions in an instrument once; another value later is an alarm and changes nothing."""
        value = self._positions.settled.get(event.instrument)
        if value is not None:
            if value != event.value:
                draft.alarm(f"{event.instrument} was settled at {value} and is now reported settled at {event.value}")
            return
        self._pay(event, draft)
        self._show(event.instrument, None)
        for (strategy, instrument), _ in self._positions.strategies():
            if instrument == event.instrument:
                self._show(instrument, strategy)

    def _pay(self, event: InstrumentSettled, draft: Draft) -> None:
        held = self._positions.account(event.instrument)
        size, realised = held.size, held.realised
        self._positions.settle(event.instrument, event.value)
        if size:
            draft.payouts.append(Payout(event.instrument, size, event.value, Money(held.realised - realised)))

    def _order_of(self, venue: str, client_order_id: str, venue_order_id: str) -> Order | None:
        order = self._orders.get(client_order_id) if client_order_id else None
        if order is not None and order.venue == venue:
            return order
        return self._orders.by_venue_id(venue, venue_order_id) if venue_order_id else None

    def _is_owed(self, fill: Fill, order: Order) -> bool:
        """Whether the order's numbers prove that a fill as old as forgotten ones is not booked: none of the order's is
        forgotten, or the venue states at least its size beyond what is booked (`reconciliation` tells which it is)."""
        evidence = self._orders.evidence(order)
        is_missing = evidence.is_sent and fill.size <= evidence.missing
        return is_missing or remembers_all(order, self._orders, self._fills)

    def _enter(self, fill: Fill, order: Order | None, draft: Draft) -> BookedFill | None:
        is_owed = order is not None and self._fills.is_forgotten(fill) and self._is_owed(fill, order)
        booked = self._fills.enter(fill, is_owed=is_owed)
        if booked is None:
            draft.alarm(
                f"fill {fill.fill_id} is older than every fill that is remembered and may be booked already, so it is "
                f"not booked: compare the position in {fill.instrument} with the venue's",
                halt=fill.instrument,
            )
            return None
        if not booked.is_voided:
            self._recall(fill.instrument, draft)
            self._positions.book(fill.instrument, self._trade_of(fill))
            self._show(fill.instrument, None)
        if order is None:
            if fill.venue_order_id:
                self._unmatched.add_fill(fill)
            elif is_inferred(fill) and not booked.is_voided:
                what = f"{fill.side.value} {fill.size} (scaled) at {fill.price}"
                draft.alarm(f"{fill.instrument}: the venue's position moved by no order of ours: booked as {what}")
            draft.unattributed.append(fill)
        return booked

    def _attribute(self, booked: BookedFill, order: Order, now_ns: int, draft: Draft) -> None:
        if booked.client_order_id:
            return
        fill = booked.fill
        booked.client_order_id, booked.strategy = order.client_order_id, order.strategy
        if not booked.is_voided:
            self._recall(fill.instrument, draft)
            self._positions.attribute(fill.instrument, self._trade_of(fill), order.strategy)
            self._show(fill.instrument, order.strategy)
            draft.fills.append(msgspec.structs.replace(fill, client_order_id=order.client_order_id))
        self._machine.fill(order, fill, self._trade_of(fill).fee, now_ns, draft, is_voided=booked.is_voided)

    def _link(self, order: Order, venue_order_id: str, now_ns: int, draft: Draft, *, is_amended: bool = False) -> None:
        if not self._machine.link(order, venue_order_id, draft, is_amended=is_amended):
            return
        unmatched = self._unmatched.claim(order.venue, venue_order_id)
        if unmatched is None:
            return
        for fill in unmatched.fills:
            if (booked := self._fills.get(fill.venue, fill.fill_id)) is not None:
                self._attribute(booked, order, now_ns, draft)
        for fact in unmatched.facts():
            if isinstance(fact, OrderReport):
                self._machine.report(order, fact, now_ns, draft)
            else:
                self._machine.snapshot(order, fact, now_ns, draft)

    def _give(self, order: Order, strategy: str, now_ns: int, draft: Draft) -> None:
        former = order.strategy
        self._machine.give(order, strategy, now_ns, draft)
        for booked in self._fills.of_order(order.client_order_id):
            booked.strategy = strategy
            if not booked.is_voided:
                self._recall(booked.fill.instrument, draft)
                trade = self._trade_of(booked.fill)
                self._positions.withdraw(booked.fill.instrument, trade, former)
                self._positions.attribute(booked.fill.instrument, trade, strategy)
        self._show(order.instrument, former)
        self._show(order.instrument, strategy)

    def _trade_of(self, fill: Fill) -> Trade:
        """As the account's position has it: the instrument's terms may have become known since."""
        kept = self._positions.account(fill.instrument).kept(fill.fill_id)
        return kept or trade_of(fill, denomination_of(self._instruments.get(fill.instrument)))

    def _show(self, instrument: InstrumentId, strategy: str | None) -> None:
        """Copy positions to the exposures: the account's and, where given, the strategy's."""
        self._exposures.set_account_position(instrument, self._positions.account(instrument).size)
        if strategy is not None:
            size = self._positions.of_strategy(strategy, instrument).size
            self._exposures.set_strategy_position(strategy, instrument, size)
