"""What own orders have taken of a venue account's money since the venue reported it last.

A report holds what was taken long enough before it: open orders are in what it calls locked, fills in what is left.
What came later is added here, and what ended orders gave back is subtracted: nothing counts twice, or not at all (C6).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

import msgspec

from framework.domain.account_events import BalanceReport
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.orders import Order, Side, paid_in, value_of

LAG_NS = 5_000_000_000
"""A report holds what changed so much earlier. *Assumption*: no venue's reads lag longer."""

Key = tuple[str, str]
"""A venue and a currency."""
Taken = Mapping[tuple[InstrumentId, Side], int]
"""Scaled amounts by instrument and side, in the units of `value_of`."""


class _Order(msgspec.Struct):
    """An order's amount now and in the venue's last report, when it changed (wall nanoseconds), and whether more may
    become of it."""

    key: Key
    of: tuple[InstrumentId, Side]
    now: int = 0
    reported: int = 0
    changed_ns: int = 0
    is_open: bool = True


class FundsTaken:
    """The amounts of all accounts. `instruments` are those of the state, as they are defined now, `reported` the keys
    of which there is a report."""

    def __init__(self, instruments: Mapping[InstrumentId, Instrument], reported: Collection[Key] = ()) -> None:
        self._instruments = instruments
        self._reported = set(reported)
        self._orders: defaultdict[Key, dict[str, _Order]] = defaultdict(dict)
        self._sums: defaultdict[Key, dict[tuple[InstrumentId, Side], int]] = defaultdict(dict)

    def since_report(self, venue: str, currency: str) -> Taken:
        """What was taken since the last report, and with a minus what was given back; only what is not 0."""
        return self._sums.get((venue, currency), {})

    def count(self, order: Order) -> None:
        """Take in an order as it is now: with all that it may trade while it is open, then with what it traded. Of one
        that has ended nothing is kept where the venue has never reported: nothing can be paid there."""
        instrument = self._instruments.get(order.instrument)
        if instrument is None or order.reduce_only:
            return
        key = (order.venue, paid_in(instrument, order.side))
        known = self._orders[key].get(order.client_order_id)
        if known is None:
            known = self._orders[key][order.client_order_id] = _Order(key, (order.instrument, order.side))
        amount = _amount(order, instrument)
        if amount != known.now or known.is_open != order.is_open:
            self._add(known, amount - known.now)
            known.now, known.changed_ns, known.is_open = amount, order.updated_ns, order.is_open
        if not order.is_open and key not in self._reported:
            self._add(known, -known.now)
            del self._orders[key][order.client_order_id]

    def settle(self, report: BalanceReport) -> None:
        """The venue has reported a balance: what changed long enough before is in it."""
        key = (report.venue, report.currency)
        self._reported.add(key)
        orders = self._orders.get(key, {})
        for name, known in list(orders.items()):
            if known.changed_ns < report.ts_recv - LAG_NS:
                self._add(known, known.reported - known.now)
                known.reported = known.now
                if not known.is_open:
                    del orders[name]

    def _add(self, known: _Order, amount: int) -> None:
        sums = self._sums[known.key]
        total = sums.get(known.of, 0) + amount
        if total:
            sums[known.of] = total
        else:
            sums.pop(known.of, None)


def _amount(order: Order, instrument: Instrument) -> int:
    """An open order's whole size at its worst price, an ended one's trades: what they took is not given back."""
    size = order.filled if order.status.is_final else max(order.size, order.amend_size or 0)
    prices = (order.price, order.amend_price or order.price)
    return max(value_of(instrument, order.side, price, size) for price in prices)
