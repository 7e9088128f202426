"""Rows of the account's lists that can't be read: looked up alone, and said to be unreadable when that fails too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from connectors.client.turns import Turns
from connectors.client.wire.listing import BadRow, Listing
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.instruments import InstrumentId, instrument_id
from framework.domain.ports import Clock
from framework.domain.venue import UnreadableRow

M = TypeVar("M")
E = TypeVar("E")


_ALONE_MAX = 10
"""Rows that are read alone with one list: a list full of bad ones must not use up the budget."""


class RowFields(msgspec.Struct, frozen=True):
    """Which fields of a list's rows name the market and the thing itself; `subject` is empty where nothing does."""

    market: str
    subject: str = ""


class LoneRows:
    """Turns the lists of one account into events, row by row where one of them can't be read.

    A row that can't be read in its list is read alone, at the pace of `Turns`. What can't be read then either is in
    `unreadable` until its list is read without it.
    """

    def __init__(
        self, venue: str, fields: dict[str, RowFields], clock: Clock, report: Callable[[str, BadRow], None]
    ) -> None:
        """`fields` are those of each list, by its name: "orders", "fills", "positions". `report` is called with the
        list's name and each row that `decode` can't read."""
        self._venue = venue
        self._fields = fields
        self._clock = clock
        self._report = report
        self._turns: dict[str, Turns] = {}
        self._left: dict[str, tuple[UnreadableRow, ...]] = {}

    @property
    def unreadable(self) -> tuple[UnreadableRow, ...]:
        """The rows of the last read of each list whose contents are not known."""
        return tuple(row for rows in self._left.values() for row in rows)

    async def events(
        self,
        name: str,
        listed: Listing[M],
        decode: Callable[[M], E],
        read_alone: Callable[[BadRow], Awaitable[M | None]],
    ) -> list[E]:
        """The rows of the list `name` as events. `decode` raises `ValueError` for one that it can't read; `read_alone`
        looks one up by the ids that its row shows, None when the venue does not know it."""
        events, bad = self._decoded_rows(name, listed, decode)
        left: list[UnreadableRow] = []
        turns = self._take_turns(name, bad)
        for row in bad:
            found = await self._alone(decode, row, read_alone) if row.name in turns else None
            if found is None:
                left.append(self._unreadable(name, row))
            else:
                self._turns[name].forget(row.name)
                events.append(found)
        self._left[name] = tuple(left)
        return events

    def _decoded_rows(self, name: str, listed: Listing[M], decode: Callable[[M], E]) -> tuple[list[E], list[BadRow]]:
        events: list[E] = []
        bad = list(listed.bad)
        for message in listed:
            try:
                events.append(decode(message))
            except ValueError as e:
                bad.append(self._bad(name, message, e))
        return events, bad

    def _bad(self, name: str, row: object, error: ValueError) -> BadRow:
        fields = self._fields[name]
        bad = BadRow(msgspec.to_builtins(row), str(error), tuple(filter(None, (fields.subject, fields.market))))
        self._report(name, bad)
        return bad

    def _take_turns(self, name: str, bad: list[BadRow]) -> set[str]:
        """The rows that are read alone now: of those whose wait is over the first ones, so that each has its turn."""
        now_ns, turns = self._clock.monotonic_ns(), self._turns.setdefault(name, Turns())
        for gone in turns.names.difference(row.name for row in bad):
            turns.forget(gone)
        free = [row.name for row in bad if turns.is_free(row.name, now_ns)]
        for one in free[:_ALONE_MAX]:
            turns.want(one, now_ns, was_well=False)
        return set(turns.take(now_ns))

    async def _alone(
        self, decode: Callable[[M], E], row: BadRow, read_alone: Callable[[BadRow], Awaitable[M | None]]
    ) -> E | None:
        try:
            found = await read_alone(row)
            return None if found is None else decode(found)
        except (ValueError, Retryable, OutcomeUnknown, RefusedByVenue):
            # It stays unreadable: that is said of it, and it is asked for again.
            return None

    def _unreadable(self, name: str, row: BadRow) -> UnreadableRow:
        fields = self._fields[name]
        market = row.text(fields.market)
        instrument = instrument_id(self._venue, market) if market else InstrumentId("")
        return UnreadableRow(listing=name, instrument=instrument, subject=row.text(fields.subject), detail=row.reason)
