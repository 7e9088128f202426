"""Cash that comes and goes without a trade: funding, fees of their own, rebates, transfers, liquidations. Each flow
counts once, however often it is reported.

A flow in an instrument moves no position. Funding is shown with it, and with the positions of the strategies that hold
it when the flow is booked, each by its part; what is left by rounding belongs to the account alone. Amounts are exact:
a sum has the decimals of its finest flow.
"""

from __future__ import annotations

import msgspec

from framework.domain.account_events import CashFlow, CashFlowKind
from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Money
from framework.state.positions import Positions

FLOWS_KEPT_MAX = 10_000
"""So many flows are remembered by their ids. One that is as old as a forgotten one may be a duplicate of it, so it is
not booked."""

FlowKey = tuple[str, str]
"""Venue and flow id."""


class CashSum(msgspec.Struct, array_like=True):
    """What flows came to: `amount` scaled by `decimals`."""

    amount: int = 0
    decimals: int = 0

    def add(self, amount: int, decimals: int) -> None:
        """Add an amount of any scale, exactly."""
        finest = max(self.decimals, decimals)
        self.amount = self.amount * 10 ** (finest - self.decimals) + amount * 10 ** (finest - decimals)
        self.decimals = finest

    def as_money(self, decimals: int) -> Money:
        """The sum as money of so many decimals; what is finer is rounded down, against us."""
        if decimals >= self.decimals:
            return Money(self.amount * 10 ** (decimals - self.decimals))
        return Money(self.amount // 10 ** (self.decimals - decimals))


class CashFlowsSnapshot(msgspec.Struct, array_like=True):
    """All of it as it is written: ids with their times in the order in which they came, per venue the time up to which
    ids are forgotten, and the sums in canonical order: by venue, currency and kind, and of funding by instrument and
    strategy ('' for the account's)."""

    known: list[tuple[FlowKey, int]]
    forgotten_before: list[tuple[str, int]]
    sums: list[tuple[tuple[str, str, str], CashSum]]
    funding: list[tuple[tuple[InstrumentId, str], CashSum]]


class CashFlows:
    """The register of flows and their sums. Written by `Accounts.apply` only."""

    def __init__(self, kept_max: int = FLOWS_KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._known: dict[FlowKey, int] = {}
        self._forgotten_before: dict[str, int] = {}
        self._sums: dict[tuple[str, str, str], CashSum] = {}
        self._funding: dict[tuple[InstrumentId, str], CashSum] = {}

    def apply(self, flow: CashFlow, positions: Positions, money_decimals: int | None) -> bool:
        """Book a flow; False, and nothing changed, for one that is booked already, or as old as forgotten ones.
        `money_decimals` are those of its instrument, None where it names none that is defined."""
        key, time_ns = (flow.venue, flow.flow_id), flow.ts_venue or flow.ts_recv
        if key in self._known or time_ns <= self._forgotten_before.get(flow.venue, -1):
            return False
        self._known[key] = time_ns
        if len(self._known) > self._kept_max:
            oldest = next(iter(self._known))
            before_ns = self._known.pop(oldest)
            self._forgotten_before[oldest[0]] = max(before_ns, self._forgotten_before.get(oldest[0], -1))
        self._sums.setdefault((flow.venue, flow.currency, flow.kind.value), CashSum()).add(flow.amount, flow.decimals)
        if flow.kind is CashFlowKind.FUNDING and flow.instrument and money_decimals is not None:
            self._fund(flow, positions, money_decimals)
        return True

    def total(self, venue: str, currency: str, kind: CashFlowKind) -> CashSum:
        """What all flows of a kind came to, in a currency at a venue."""
        return self._sums.get((venue, currency, kind.value), CashSum())

    def show(self, positions: Positions, money_decimals: dict[InstrumentId, int]) -> None:
        """Write the funding of each instrument into its positions, as after a restore."""
        for (of, strategy), total in self._funding.items():
            if of in money_decimals:
                positions.own(of, strategy).funding = total.as_money(money_decimals[of])

    def forget(self, instrument: InstrumentId) -> None:
        """Forget the funding of an instrument that leaves: it goes with its positions. Flows and their sums stay."""
        for key in [one for one in self._funding if one[0] == instrument]:
            del self._funding[key]

    def snapshot(self) -> CashFlowsSnapshot | None:
        """All of it as it is written; None while there is nothing."""
        if not self._known:
            return None
        return CashFlowsSnapshot(
            known=list(self._known.items()),
            forgotten_before=sorted(self._forgotten_before.items()),
            sums=sorted(self._sums.items(), key=lambda item: item[0]),
            funding=sorted(self._funding.items(), key=lambda item: item[0]),
        )

    @classmethod
    def from_snapshot(cls, snapshot: CashFlowsSnapshot | None) -> CashFlows:
        """The flows that `snapshot` was taken of."""
        flows = cls()
        if snapshot is not None:
            flows._known, flows._forgotten_before = dict(snapshot.known), dict(snapshot.forgotten_before)
            flows._sums, flows._funding = dict(snapshot.sums), dict(snapshot.funding)
        return flows

    def _fund(self, flow: CashFlow, positions: Positions, money_decimals: int) -> None:
        whole = positions.account(flow.instrument).size
        parts = [("", flow.amount)]
        for (strategy, of), position in positions.strategies():
            if of == flow.instrument and whole and position.size:
                part = abs(flow.amount) * abs(position.size) // abs(whole)
                is_same_side = (position.size > 0) == (whole > 0)
                parts.append((strategy, part if (flow.amount > 0) == is_same_side else -part))
        for strategy, amount in parts:
            total = self._funding.setdefault((flow.instrument, strategy), CashSum())
            total.add(amount, flow.decimals)
            positions.own(flow.instrument, strategy).funding = total.as_money(money_decimals)
