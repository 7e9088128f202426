"""Asking the venue for fills: for those that can be news, not for the whole history at each start.

Each query overlaps the one before. The overlap covers what a venue lists late and, with the connector's own, clocks
that differ. It also covers fills that a stream lost shortly before a crash: a stream that is silent or broken is
noticed within less time, and then everything is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, islice

from framework.domain.account_events import Fill
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.venue import Gateway, left_out
from framework.state.account_updates import remembers_all
from framework.state.accounts import Accounts
from framework.state.fills import is_same_trade

FILLS_OVERLAP_NS = 60_000_000_000
"""How far before the last known fill the next query begins. Every fill is booked once, however often it is listed."""
UNTOUCHED_NS = 86_400_000_000_000
"""Time without a trade after which the first query of an account that holds nothing leaves its old history out. A day
is longer than any clock is wrong."""


OWED_MAX = 12
"""Of so many fills of one order as old as forgotten ones it is worked out which are not booked: 4,096 choices."""


def is_news(accounts: Accounts, fill: Fill) -> bool:
    """Whether a fill that the venue lists can change anything. One that is booked and that no order claims can do so
    only once the order that it names is known: trades of other programs are not published again with every pass."""
    booked = accounts.fills.get(fill.venue, fill.fill_id)
    if booked is None or booked.client_order_id or not is_same_trade(booked.fill, fill):
        return accounts.fills.is_news(fill)
    by_name = accounts.orders.get(fill.client_order_id)
    return (by_name or accounts.orders.by_venue_id(fill.venue, fill.venue_order_id)) is not None


def owed(accounts: Accounts, listed: Sequence[Fill]) -> list[Fill]:
    """Of the listed fills those as old as forgotten ones that their orders' numbers prove not to be booked.

    Where some of an order's booked fills are forgotten, the list must hold all that the venue states of the order, and
    exactly one choice among the fills in question may come to what is missing: else the order stays in inquiry.
    """
    groups: dict[str, list[Fill]] = {}
    for fill in listed:
        if accounts.fills.get(fill.venue, fill.fill_id) is None and accounts.fills.is_forgotten(fill):
            groups.setdefault(fill.venue_order_id, []).append(fill)
    proved: list[Fill] = []
    for venue_order_id, old in groups.items():
        order = accounts.orders.by_venue_id(old[0].venue, venue_order_id)
        if order is not None:
            of_order = sum(fill.size for fill in listed if fill.venue_order_id == venue_order_id)
            proved += _proved(accounts, order, old, of_order)
    return proved


def _proved(accounts: Accounts, order: Order, old: list[Fill], listed_size: int) -> list[Fill]:
    evidence = accounts.orders.evidence(order)
    if remembers_all(order, accounts.orders, accounts.fills):
        return old
    if not evidence.is_sent or not evidence.missing or listed_size < evidence.stated or len(old) > OWED_MAX:
        return []
    choices = (choice for count in range(1, len(old) + 1) for choice in combinations(old, count))
    fitting = list(islice((one for one in choices if sum(fill.size for fill in one) == evidence.missing), 2))
    return list(fitting[0]) if len(fitting) == 1 else []


class FillQuery:
    """The fills of one venue account, asked for from where the last query, or the last run, left off. None are found
    where fills can't be listed."""

    def __init__(self, venue: str, gateway: Gateway, accounts: Accounts, clock: Clock) -> None:
        self._venue = venue
        self._gateway = gateway
        self._accounts = accounts
        self._clock = clock
        self._since_ns: int | None = None

    async def fetch(self, *, from_ns: int | None = None) -> tuple[Fill, ...]:
        """Fills that may be news, oldest first; also those since the venue time `from_ns` (nanoseconds) if it is given.

        The next query goes on from here, so publish all that `is_news` lets pass and all `owed`. Raises what the
        gateway raises.
        """
        listed = await self.peek(from_ns=from_ns)
        if not left_out(self._gateway, "fills"):
            # Else one that can't be read now must still be asked for when it can.
            self._since_ns = max([self._since_ns or 0, *(fill.ts_venue for fill in listed)])
        return listed

    async def peek(self, *, from_ns: int | None = None) -> tuple[Fill, ...]:
        """The fills that `fetch` would return; the next query returns them again. Raises what the gateway raises."""
        if self._since_ns is None:
            self._since_ns = await self._begin_ns()
        # The newest date may have been given by a venue's clock that ran ahead and was set back.
        since_ns = min(self._since_ns, self._clock.now_ns(), self._since_ns if from_ns is None else from_ns)
        return await self._gateway.fills(max(since_ns - FILLS_OVERLAP_NS, 0)) or ()

    async def _begin_ns(self) -> int:
        """Where the first query of a run begins: at the newest known fill, or, when that is earlier, where the oldest
        order began that may have traded without a report.

        Without a known fill it begins at such an order, or `UNTOUCHED_NS` ago, if the account is untouched. Else the
        whole history is read, this once: no part of it adds up to the position that the account has.
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
        """Whether the account has not traded since then, and is flat in all instruments that are defined here."""
        if await self._gateway.fills(max(since_ns, 0)):
            return False
        instruments = self._accounts.instruments
        reports = await self._gateway.positions()
        return reports is not None and not any(one.size and one.instrument in instruments for one in reports)
