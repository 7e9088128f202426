"""The gateway of a venue without a stream: its orders are watched from the moment at which it has taken them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from connectors.client.gateway import OrderGateway
from connectors.client.polling.account import AccountPoll, AccountReads
from framework.domain.account_events import Fill, OrderReport, OrderSnapshot, PositionReport, ReportKind
from framework.domain.events import Event
from framework.domain.intents import NewOrder
from framework.domain.orders import Order
from framework.domain.venue import IsClaimed, LastWord, UnreadableRow, nothing_against, nothing_claimed
from framework.domain.verdicts import Approved, Signed


class AccountLookups(AccountReads, Protocol):
    """The reads of an account that is polled, and how an order is found without the venue's id of it."""

    async def find_sent(self, order: Order, is_claimed: IsClaimed, /) -> OrderSnapshot | None:
        """The order by our id, or by what was sent, as `Gateway.find_order` describes it. Raises like reads."""
        ...

    @property
    def unreadable(self) -> tuple[UnreadableRow, ...]:
        """The rows that the last read of each list left out (`LoneRows.unreadable`)."""
        ...


async def _unlisted() -> None:
    """Positions can't be read."""


class PolledGateway:
    """Implements `framework.domain.venue.Gateway` with the reads that the polls use, too.

    `positions` is the venue's read of them; without one they can't be read (`PositionListing.NONE`).
    """

    def __init__(
        self,
        orders: OrderGateway,
        reads: AccountLookups,
        poll: AccountPoll,
        *,
        read_lag_ms: int,
        positions: Callable[[], Awaitable[tuple[PositionReport, ...] | None]] = _unlisted,
    ) -> None:
        self._orders = orders
        self._reads = reads
        self._poll = poll
        self._positions = positions
        self._read_lag_ms = read_lag_ms

    def __repr__(self) -> str:
        return f"<PolledGateway {self._poll!r}>"

    @property
    def read_lag_ms(self) -> int:
        """Milliseconds for which reads may lag behind writes."""
        return self._read_lag_ms

    @property
    def unreadable_rows(self) -> tuple[UnreadableRow, ...]:
        """The rows that the last read of each list left out."""
        return self._reads.unreadable

    def sign(self, approved: Approved, order: Order | None, /) -> Signed:
        """Build and sign the request. Raises like `OrderGateway.sign`."""
        return self._orders.sign(approved, order)

    async def send(self, signed: Signed, /, *, last_word: LastWord = nothing_against) -> tuple[Event, ...]:
        """Send once, and have what the venue took polled. Raises like `OrderGateway.send`."""
        events = await self._orders.send(signed, last_word=last_word)
        for event in events:
            self._follow(signed.approved, event)
        return events

    async def find_order(self, order: Order, /, *, is_claimed: IsClaimed = nothing_claimed) -> OrderSnapshot | None:
        """The order by the venue's id where that is known, else as it was sent. Raises like reads."""
        if order.venue_order_id:
            found = await self._reads.read_order(order.venue_order_id)
            if found is not None:
                return found
        return await self._reads.find_sent(order, is_claimed)

    async def open_orders(self) -> tuple[OrderSnapshot, ...] | None:
        """Every open order, None where they can't be listed. Raises like reads."""
        listed = await self._reads.list_open()
        return None if listed is None else tuple(listed)

    async def fills(self, since_ns: int, /) -> tuple[Fill, ...] | None:
        """The fills since a venue time, oldest first, None where they can't be listed. Raises like reads."""
        listed = await self._reads.list_fills(since_ns)
        return None if listed is None else tuple(listed)

    async def positions(self) -> tuple[PositionReport, ...] | None:
        """Every position that is not flat, None where they can't be read. Raises like reads."""
        return await self._positions()

    def _follow(self, approved: Approved, event: Event) -> None:
        """An answer says that the order is there; its fills and its end only polls show."""
        intent = approved.intent
        if isinstance(event, OrderReport) and event.kind is ReportKind.ACCEPTED and isinstance(intent, NewOrder):
            self._poll.watch(event.venue_order_id, intent.instrument, intent.side, intent.price)
        elif isinstance(event, OrderSnapshot) and event.is_open:
            self._poll.watch(event.venue_order_id, event.instrument, event.side, event.price)
        else:
            self._poll.hurry()
