"""V01 to V05: what a connector says of the venue, and books and trades that equal the venue's."""

from __future__ import annotations

from framework.domain.account_events import InstrumentDefined
from framework.domain.market_events import ConnectorStatus, LimitsDeclared, VenueClock
from framework.testing.conformance.case import case
from framework.testing.conformance.findings import expect
from framework.testing.conformance.stage import Stage


@case
async def v01_it_connects_and_declares_instruments_limits_and_clock(stage: Stage) -> None:
    """Before the first status: instruments and limits; afterwards the clock."""
    session = await stage.open()
    kinds = [type(event) for event in session.events]
    up = kinds.index(ConnectorStatus)
    for kind in (InstrumentDefined, LimitsDeclared):
        expect(kind in kinds[:up], f"no {kind.__name__} before the streams were up")
    expect(all(one.instrument.venue == session.venue for one in session.seen(InstrumentDefined)), "a foreign venue")
    await session.until(lambda: session.seen(VenueClock), "the venue's clock is not known")
