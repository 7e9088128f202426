"""What an account held of each currency when its balance was first reported, and by how much that has changed since.

A spot venue that lists no positions shows its balances: what they hold from before this journal, or for other programs,
is no position of ours. So changes are compared, since the first report that the journal holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from framework.domain.account_events import BalanceReport, CashFlowKind
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.numbers import to_decimal
from framework.state.cash_flows import CashFlows
from framework.state.positions import Positions


class Baseline(msgspec.Struct, array_like=True):
    """The first report of a balance: `amount` scaled by `decimals`; `held` is what was known of here at that time, as
    exact text: our positions in the instruments of which it is the base currency, and flows of cash."""

    venue: str
    currency: str
    amount: int
    decimals: int
    held: str


class Baselines:
    """The baselines of all venue accounts. Written by `Accounts.apply` only.

    What is known of here is looked up in `instruments`, `positions` and `flows`.
    """

    def __init__(
        self,
        instruments: Mapping[InstrumentId, Instrument],
        positions: Positions,
        flows: CashFlows,
        known: Iterable[Baseline] = (),
    ) -> None:
        self._instruments, self._positions, self._flows = instruments, positions, flows
        self._known = {(one.venue, one.currency): one for one in known}

    def note(self, report: BalanceReport) -> None:
        """Keep the first report of a currency."""
        key = report.venue, report.currency
        if key not in self._known:
            self._known[key] = Baseline(*key, report.amount, report.decimals, str(self._held(*key)))

    def changes(self, report: BalanceReport) -> tuple[Decimal, Decimal]:
        """By how much the balance has changed by this report since the first one, and what is known of here meanwhile,
        both in the currency. Raises `KeyError` for a currency that was never reported."""
        base = self._known[report.venue, report.currency]
        change = to_decimal(report.amount, report.decimals) - to_decimal(base.amount, base.decimals)
        return change, self._held(report.venue, report.currency) - Decimal(base.held)

    def snapshot(self) -> list[Baseline]:
        """All of them, in canonical order."""
        return [one for _, one in sorted(self._known.items())]

    def _held(self, venue: str, currency: str) -> Decimal:
        sizes = (
            to_decimal(self._positions.account(one.id).size, one.size_decimals)
            for one in self._instruments.values()
            if (one.venue, one.base_currency) == (venue, currency)
        )
        sums = (self._flows.total(venue, currency, kind) for kind in CashFlowKind)
        return sum(sizes, Decimal(0)) + sum((to_decimal(one.amount, one.decimals) for one in sums), Decimal(0))
