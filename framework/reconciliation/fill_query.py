"""Which of the account's fills are asked for: those that can be news, and not the whole history at each start.

The overlap covers what a venue lists late and, with the connector's own, clocks that differ. It also covers fills that
a stream lost shortly before a crash: a stream that is silent or broken is noticed, and everything asked for, sooner.
"""

from __future__ import annotations

from framework.domain.account_events import Fill
from framework.domain.ports import Clock
from framework.domain.venue import Gateway
from framework.state.accounts import Accounts
from framework.state.fills import is_same_trade

FILLS_OVERLAP_NS = 60_000_000_000
"""How far before the last known fill fills are asked for again: late ones are booked once whatever happens."""
UNTOUCHED_NS = 86_400_000_000_000
"""An account without a trade for so long has an old history that does not change: longer than clocks are wrong."""


def is_news(accounts: Accounts, fill: Fill) -> bool:
    """Whether a fill that the venue lists can change anything. One that is booked and that no order claims can only
    once the order that it names is known: a person's own trades are not heard again with every pass."""
    booked = accounts.fills.get(fill.venue, fill.fill_id)
    if booked is None or booked.client_order_id or not is_same_trade(booked.fill, fill):
        return accounts.fills.is_news(fill)
    by_name = accounts.orders.get(fill.client_order_id)
    return (by_name or accounts.orders.by_venue_id(fill.venue, fill.venue_order_id)) is not None


class FillQuery:
    """The fills of one venue account, read from where the last read, or the last run, left off."""

    def __init__(self, venue: str, gateway: Gateway, accounts: Accounts, clock: Clock) -> None:
        self._venue = venue
        self._gateway = gateway
        self._accounts = accounts
        self._clock = clock
        self._since_ns: int | None = None

    async def fetch(self, *, from_ns: int | None = None) -> tuple[Fill, ...]:
        """Those that may be news, oldest first; those since the venue time `from_ns` too where it is given. The next
        read goes on from here: publish them all. Raises what the gateway raises."""
        listed = await self.peek(from_ns=from_ns)
        self._since_ns = max([self._since_ns or 0, *(fill.ts_venue for fill in listed)])
        return listed

    async def peek(self, *, from_ns: int | None = None) -> tuple[Fill, ...]:
        """Like `fetch`, and the next one gives them again."""
        if self._since_ns is None:
            self._since_ns = await self._begin_ns()
        # The newest date may have been given by a venue's clock that ran ahead and was set back.
        since_ns = min(self._since_ns, self._clock.now_ns(), self._since_ns if from_ns is None else from_ns)
        return await self._gateway.fills(max(since_ns - FILLS_OVERLAP_NS, 0))

    async def _begin_ns(self) -> int:
        """Where the first read of a run begins: at the newest fill that is known, or where the oldest order began that
        may have traded unheard, when that is earlier.

        Without a known fill it begins at such an order too, or now, if the account is untouched. Else the whole history
        is read, this once: no part of it adds up to the position that the account has.
        """
        accounts = self._accounts
        orders = [*accounts.orders.open(venue=self._venue), *accounts.orders.awaiting_fills()]
        created = [order.created_ns for order in orders if order.venue == self._venue]
        newest_ns = accounts.fills.newest_ns(self._venue)
        if newest_ns is not None:
            return min([newest_ns, *created])
        quiet_since_ns = min([self._clock.now_ns() - UNTOUCHED_NS, *created])
        return quiet_since_ns if await self._is_untouched(quiet_since_ns) else 0

    async def _is_untouched(self, since_ns: int) -> bool:
        """Whether the account has not traded since then, and holds nothing in the instruments that are traded here."""
        if await self._gateway.fills(max(since_ns, 0)):
            return False
        instruments = self._accounts.instruments
        return not any(report.size and report.instrument in instruments for report in await self._gateway.positions())
