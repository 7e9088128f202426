"""Comparing balances where positions can't be read: what a base currency has gained must be what our positions have.

Only changes since the first report in the journal are compared. A currency that is paid with somewhere is left out: its
balance moves with every trade. So is a report that may be older than our newest fill, and a gap that has not lasted
longer than an order waits for its look-up: until then the fill is only not known yet.
"""

from __future__ import annotations

from decimal import Decimal

from framework.domain.account_events import BalanceReport
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.numbers import to_decimal
from framework.domain.terms import PositionListing
from framework.reconciliation.differences import Difference, DifferenceKind
from framework.reconciliation.hidden_fills import PositionGaps
from framework.reconciliation.ports import ReconcileDependencies

LASTING_NS = 30_000_000_000
"""A gap that is younger may come from an order whose next look-up is not due yet."""
_FINEST = 18


class BalanceComparison:
    """The balances of one venue account against our positions."""

    def __init__(self, dependencies: ReconcileDependencies) -> None:
        self._dependencies = dependencies
        self._gaps = PositionGaps(LASTING_NS)

    def compare(self) -> list[Difference]:
        """One difference for each instrument whose base currency has changed by another amount than our positions."""
        dependencies, found = self._dependencies, list[Difference]()
        if dependencies.terms().positions is not PositionListing.NONE:
            return found
        for (venue, currency), report in dependencies.accounts.balances.items():
            instruments = self._instruments_of(currency) if venue == dependencies.venue else []
            if instruments:
                found += self._differences(report, instruments)
        return found

    def _instruments_of(self, currency: str) -> list[Instrument]:
        known, venue = self._dependencies.accounts.instruments.values(), self._dependencies.venue
        here = [one for one in known if one.venue == venue]
        if any(one.quote_currency == currency for one in here):
            return []
        return [one for one in here if one.base_currency == currency]

    def _differences(self, report: BalanceReport, instruments: list[Instrument]) -> list[Difference]:
        accounts, now_ns = self._dependencies.accounts, self._dependencies.clock.monotonic_ns()
        fills = accounts.fills.traded_in({one.id for one in instruments})
        if report.ts_recv - self._dependencies.lag_ns <= max((fill.ts_recv for fill in fills), default=0):
            return []  # it may not hold the newest fill
        change, own = accounts.baselines.changes(report)
        # A fee in the currency may be finer than sizes: of each fill less than one unit is lost.
        unit = max(to_decimal(1, one.size_decimals) for one in instruments)
        slack = unit * (1 + sum(fill.fee_currency == report.currency for fill in fills))
        gap = 0 if abs(change - own) < slack else int((change - own).scaleb(_FINEST))
        key = InstrumentId(f"{report.venue}:{report.currency}")
        self._gaps.note(key, gap, at_ns=now_ns, wall_ns=self._dependencies.clock.now_ns())
        is_lasting = self._gaps.lasting(key, now_ns - LASTING_NS)[0]
        return [self._difference(report.currency, one, change, own) for one in instruments] if is_lasting else []

    def _difference(self, currency: str, instrument: Instrument, change: Decimal, own: Decimal) -> Difference:
        return Difference(
            kind=DifferenceKind.POSITION,
            venue=instrument.venue,
            instrument=instrument.id,
            venue_word=f"the balance of {currency} changed by {change} since it was first reported",
            own_word=f"positions and flows of cash changed by {own}",
            why="a deposit, a withdrawal or another program explains it as well as a trade that no order of ours shows",
            action=f"halt the instrument once it has been so for {self._dependencies.drift_ms_max} ms more; resume if "
            "the account's history shows that it was no trade",
            since_ns=self._dependencies.clock.monotonic_ns(),
            venue_size=change,
            own_size=own,
        )
