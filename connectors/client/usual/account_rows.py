"""Own orders and fills of a venue whose rows `RowWords` reads: as events, row by row where one can't be read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from connectors.client.loader import InstrumentParts
from connectors.client.lone_rows import LoneRows, RowFields
from connectors.client.rest import SignedRest
from connectors.client.wire.listing import BadRow, Listing
from connectors.client.wire.rows import Row, RowWords
from framework.domain.account_events import Fill, OrderSnapshot
from framework.domain.errors import Retryable
from framework.domain.ports import Clock
from framework.domain.venue import UnreadableRow

ORDERS, FILLS = "orders", "fills"

ReadAlone = Callable[[str], Awaitable[Any]]
"""Reads one order again by the venue's id: a row, or None when the venue does not know it."""


async def _unread(_row: BadRow) -> None:
    """What can't be read in its list can't be read alone."""


class AccountRows:
    """Rows as events, dated by when they were asked for: what came meanwhile is not older.

    A row of a market that is not known yet counts as unreadable, and the market is read.
    """

    def __init__(
        self,
        venue: str,
        words: RowWords,
        instruments: InstrumentParts,
        rest: SignedRest,
        *,
        clock: Clock,
        market: str = "market",
    ) -> None:
        """`market` is the field that names a row's market."""
        self._words = words
        self._instruments = instruments
        self._market = market
        fields = {
            ORDERS: RowFields(market, words.order.get("id", "id")),
            FILLS: RowFields(market, words.fill.get("id", "id")),
        }
        self._rows = LoneRows(venue, fields, clock, rest.report)

    @property
    def unreadable(self) -> tuple[UnreadableRow, ...]:
        """The rows that the last read of each list left out."""
        return self._rows.unreadable

    def order(self, row: Row, asked_ns: int) -> OrderSnapshot:
        """One order. Raises `ValueError` for what can't be read."""
        return self._words.order_of(row, self._instruments.listed(str(row.get(self._market))), asked_ns)

    def fill(self, row: Row, asked_ns: int) -> Fill:
        """One own fill. Raises `ValueError` for what can't be read."""
        return self._words.fill_of(row, self._instruments.listed(str(row.get(self._market))), asked_ns)

    def read_order(self, row: Row | None, asked_ns: int) -> OrderSnapshot | None:
        """An order that was looked up. Raises `Retryable` for one that can't be read: it is there."""
        try:
            return None if row is None else self.order(row, asked_ns)
        except ValueError as e:
            raise Retryable(f"{row!r} can't be read: {e}") from e

    async def open_orders(self, listed: Listing[Row], asked_ns: int, read_alone: ReadAlone) -> list[OrderSnapshot]:
        """A list of open orders; one that was read alone may have ended since, and is left out."""

        async def alone(bad: BadRow) -> Row | None:
            row: Row | None = await read_alone(bad.name)
            return row

        found = await self._rows.events(ORDERS, listed, lambda row: self.order(row, asked_ns), alone)
        return [one for one in found if one.is_open]

    async def fills(self, listed: Listing[Row], asked_ns: int) -> list[Fill]:
        """A list of fills, in its order."""
        return await self._rows.events(FILLS, listed, lambda row: self.fill(row, asked_ns), _unread)
