"""What may be traded at all (C18)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cached_property
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.instruments import InstrumentId, InstrumentStatus
from framework.domain.intents import NewOrder
from framework.domain.orders import Side, TimeInForce
from framework.domain.verdicts import Refusal, RefusalCode
from framework.domain.views import Proposal, RiskView


class AllowList(BaseModel):
    """C18: only listed instruments, sides and times in force, only while the instrument is open for trading and not
    about to close. What is not listed is refused; an empty list refuses everything."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))
    asked_again: ClassVar[str] = "when it grows"

    instruments: tuple[str, ...] = Field(
        description='Patterns of allowed instruments as venue:symbol, for example ["kalshi:KX*"]; ["*"] allows all.'
    )
    sides: tuple[Side, ...] = Field((Side.BUY, Side.SELL), description="Allowed sides.")
    times_in_force: tuple[TimeInForce, ...] = Field(tuple(TimeInForce), description="Allowed times in force.")
    stop_before_close_ms: int = Field(
        0, ge=0, description="Refuse from this many milliseconds before the instrument's close time."
    )

    @cached_property
    def _listed(self) -> dict[InstrumentId, bool]:
        return {}

    def check(self, proposal: Proposal, view: RiskView, /) -> Refusal | None:
        """Refuse with NOT_ALLOWED what is not listed, with INSTRUMENT_NOT_ACTIVE what is not open or about to close."""
        instrument = proposal.instrument
        if not self._is_listed(instrument.id):
            return Refusal(RefusalCode.NOT_ALLOWED, instrument=instrument.id)
        if proposal.side not in self.sides:
            return Refusal(RefusalCode.NOT_ALLOWED, side=proposal.side.value)
        time_in_force = _time_in_force(proposal)
        if time_in_force not in self.times_in_force:
            return Refusal(RefusalCode.NOT_ALLOWED, time_in_force=time_in_force and time_in_force.value)
        if instrument.status is not InstrumentStatus.ACTIVE:
            return Refusal(RefusalCode.INSTRUMENT_NOT_ACTIVE, status=instrument.status.value)
        if instrument.close_ns and view.now_ns >= instrument.close_ns - self.stop_before_close_ms * 1_000_000:
            return Refusal(RefusalCode.INSTRUMENT_NOT_ACTIVE, close_ns=instrument.close_ns, now_ns=view.now_ns)
        return None

    def _is_listed(self, instrument: InstrumentId) -> bool:
        listed = self._listed.get(instrument)
        if listed is None:
            listed = any(fnmatchcase(instrument, pattern) for pattern in self.instruments)
            self._listed[instrument] = listed
        return listed


def _time_in_force(proposal: Proposal) -> TimeInForce | None:
    if isinstance(proposal.intent, NewOrder):
        return proposal.intent.time_in_force
    return proposal.order.time_in_force if proposal.order is not None else None
