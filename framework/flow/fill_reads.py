"""Which of the account's fills are asked for: those that can be news, and not the whole history at each start.

The overlap covers what a venue lists late and, with the connector's own, clocks that differ. It also covers fills that
a stream lost shortly before a crash: a stream that is silent or broken is noticed, and everything asked for, sooner.
"""

from __future__ import annotations

from framework.domain.events import Fill
from framework.domain.ports import Clock
from framework.domain.venue import Gateway
from framework.state.accounts import Accounts

FILLS_OVERLAP_NS = 60_000_000_000
"""How far before the last known fill fills are asked for again: late ones are booked once whatever happens."""


class FillReads:
    """The fills of one venue account, read from where the last read, or the last run, left off."""

    def __init__(self, venue: str, gateway: Gateway, accounts: Accounts, clock: Clock) -> None:
        self._venue = venue
        self._gateway = gateway
        self._accounts = accounts
        self._clock = clock
        self._since_ns: int | None = None

    async def read(self, *, from_ns: int | None = None) -> tuple[Fill, ...]:
        """Those that may be news, oldest first; those since the venue time `from_ns` too where it is given. Raises what
        the gateway raises."""
        if self._since_ns is None:
            self._since_ns = await self._begin_ns()
        # The newest date may have been given by a venue's clock that ran ahead and was set back.
        since_ns = min(self._since_ns, self._clock.now_ns(), self._since_ns if from_ns is None else from_ns)
        listed = await self._gateway.fills(max(since_ns - FILLS_OVERLAP_NS, 0))
        self._since_ns = max([self._since_ns, *(fill.ts_venue for fill in listed)])
        return listed

    async def _begin_ns(self) -> int:
        """Where the first read of a run begins: at the newest fill that is known, or where the oldest order began that
        may have traded unheard, when that is earlier.

        Without a known fill nothing is ours but what those orders traded; only when the account holds a position in an
        instrument that is traded here, its whole history is read, once, because nothing else explains the position.
        """
        accounts = self._accounts
        orders = [*accounts.orders.open(venue=self._venue), *accounts.orders.awaiting_fills()]
        created = [order.created_ns for order in orders if order.venue == self._venue]
        newest_ns = accounts.fills.newest_ns(self._venue)
        if newest_ns is None and any(
            report.size and report.instrument in accounts.instruments for report in await self._gateway.positions()
        ):
            return 0
        return min([self._clock.now_ns() if newest_ns is None else newest_ns, *created])
