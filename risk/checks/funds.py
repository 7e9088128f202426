"""Whether the account's money pays for an order (C6)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cached_property
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.account_events import BalanceReport
from framework.domain.instruments import Instrument, InstrumentId, InstrumentKind
from framework.domain.intents import NewOrder
from framework.domain.numbers import to_decimal
from framework.domain.orders import Side, paid_in, value_of
from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView

_NS_PER_MS = 1_000_000


class _Rate(NamedTuple):
    """What one unit of an order's value needs, in whole units of its currency: `part` / `of`."""

    instrument: Instrument
    leverage: int
    part: int
    of: int


class Funds(BaseModel):
    """C6: what the order needs is at most what the venue's last balance of the currency has available, less what own
    orders have taken since that report, plus what they gave back.

    A buyer needs price x size and the taker's fee. A seller needs the asset at a spot market, and on a binary market
    what can be lost, one minus the price. A perpetual needs the value divided by the leverage, and the fee, on either
    side. Where a venue does not say what is available, the whole balance counts. Its other accounts (`margin:USD`) are
    currencies of their own and pay for nothing.

    Nothing is needed by an order that can only close positions, by a reduce-only one, and by an amend after which the
    order is worth no more than before. A balance that was not reported for `age_ms_max` pays for nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    instruments: tuple[str, ...] = Field(
        ("*",), description='The instruments whose orders are to be paid for, as patterns: "zdex:*".'
    )
    age_ms_max: int = Field(60_000, gt=0, description="Oldest balance that counts, in milliseconds.")
    leverage: dict[str, Annotated[int, Field(gt=0)]] = Field(
        default_factory=dict,
        description="The account's leverage: instrument pattern = whole number, first match wins. Of an open position "
        "the venue may state another one; then the lower one counts. Where none is known it is 1.",
    )

    @cached_property
    def _kept(self) -> dict[tuple[InstrumentId, Side], _Rate]:
        return {}

    @cached_property
    def _asked(self) -> dict[InstrumentId, bool]:
        return {}

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with FUNDS or FUNDS_UNKNOWN; amounts are decimals in the currency, what is needed rounded up."""
        instrument, side = proposal.instrument, proposal.side
        value = 0 if proposal.is_reducing or _only_reduces(proposal) else _more(proposal)
        if value <= 0 or not self._is_asked(instrument.id):
            return None
        currency = paid_in(instrument, side)
        report = view.balance(instrument.venue, currency)
        if report is None:
            return Refusal(RefusalCode.FUNDS_UNKNOWN, currency=currency)
        age_ns = view.now_ns - report.ts_recv
        if not 0 <= age_ns <= self.age_ms_max * _NS_PER_MS:
            age_ms = age_ns // _NS_PER_MS
            return Refusal(RefusalCode.FUNDS_UNKNOWN, currency=currency, age_ms=age_ms, age_ms_max=self.age_ms_max)
        needed = self._needed(instrument, side, value, report, view)
        available = _available(report) - self._taken(report, view)
        if needed <= available:
            return None
        return Refusal(
            RefusalCode.FUNDS,
            currency=currency,
            needed=to_decimal(needed, report.decimals),
            available=to_decimal(available, report.decimals),
        )

    def _taken(self, report: BalanceReport, view: RiskView) -> int:
        """What orders have taken since the report, in its units."""
        taken = 0
        for (name, side), value in view.funds_taken(report.venue, report.currency).items():
            instrument = view.instrument(name)
            if instrument is not None:
                taken += self._needed(instrument, side, value, report, view)
        return taken

    def _needed(self, instrument: Instrument, side: Side, value: int, report: BalanceReport, view: RiskView) -> int:
        rate = self._rate(instrument, side, view)
        needed: int = -(-value * rate.part * 10**report.decimals // rate.of)
        return needed

    def _rate(self, instrument: Instrument, side: Side, view: RiskView) -> _Rate:
        leverage = self._leverage(instrument, view) if instrument.kind is InstrumentKind.PERPETUAL else 1
        kept = self._kept.get((instrument.id, side))
        if kept is None or kept.instrument is not instrument or kept.leverage != leverage:
            rate = Fraction(1, leverage)
            decimals = instrument.size_decimals
            if instrument.kind is not InstrumentKind.SPOT or side is Side.BUY:
                rate += Fraction(instrument.fees.taker_rate)
                decimals = instrument.money_decimals
            kept = _Rate(instrument, leverage, rate.numerator, rate.denominator * 10**decimals)
            self._kept[instrument.id, side] = kept
        return kept

    def _leverage(self, instrument: Instrument, view: RiskView) -> int:
        own = next((each for pattern, each in self.leverage.items() if fnmatchcase(instrument.id, pattern)), None)
        stated = view.leverage(instrument.id)
        return min((one for one in (own, stated) if one), default=1)

    def _is_asked(self, instrument: InstrumentId) -> bool:
        is_asked = self._asked.get(instrument)
        if is_asked is None:
            is_asked = self._asked[instrument] = any(fnmatchcase(instrument, one) for one in self.instruments)
        return is_asked


def _available(report: BalanceReport) -> int:
    return report.amount - (report.locked or 0) if report.available is None else report.available


def _only_reduces(proposal: Proposal) -> bool:
    intent = proposal.intent
    asked = intent if isinstance(intent, NewOrder) else proposal.order
    return asked is not None and asked.reduce_only


def _more(proposal: Proposal) -> int:
    """How much more the order is worth than what could trade of it before."""
    instrument, side, order = proposal.instrument, proposal.side, proposal.order
    before = 0 if order is None else value_of(instrument, side, order.price, order.remaining)
    return value_of(instrument, side, proposal.price, proposal.open_size) - before
