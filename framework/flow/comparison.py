"""A dry comparison: the venue is asked for everything, and nothing is published or changed."""

from __future__ import annotations

from framework.domain.ports import Clock
from framework.domain.venue import Gateway
from framework.flow.differences import Difference, fills_apart, orders_apart, positions_apart, unbooked
from framework.flow.fill_reads import FillReads
from framework.flow.moment import Moment
from framework.state.accounts import Accounts


async def compare(
    venue: str, gateway: Gateway, accounts: Accounts, *, reads: FillReads, clock: Clock, grace_ms: int
) -> list[Difference]:
    """What does not agree now. Of fills only those are asked for that a pass would ask for. Raises what the gateway
    raises."""
    asked = Moment.of(clock, lag_ms=gateway.read_lag_ms)
    listed = await gateway.open_orders()
    found = orders_apart(venue, accounts, listed, Moment.of(clock, lag_ms=gateway.read_lag_ms).after(asked))
    missing = unbooked(accounts, await reads.look())
    positions = await gateway.positions()
    moment = Moment.of(clock, lag_ms=gateway.read_lag_ms)
    return [
        *found,
        *fills_apart(venue, accounts, missing, moment),
        *positions_apart(venue, accounts, positions, moment, grace_ms=grace_ms, missing=missing),
    ]
