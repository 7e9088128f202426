"""What the kernel writes, and where each kind goes: the journal and behind it the ledger, or the tape."""

from __future__ import annotations

from collections.abc import Sequence

from framework.domain.account_events import Fill
from framework.domain.market_events import MarketEvent
from framework.domain.orders import Order
from framework.domain.verdicts import Approved
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Body, Entry, Record
from framework.persistence.ledger.ledger import Ledger
from framework.persistence.tape import Tape
from framework.runtime.failpoints import reach


class Recorder:
    """One face for journal, tape and ledger. Call `flush` ten times a second: tape and ledger are written in bulk."""

    def __init__(self, journal: Journal, tape: Tape | None = None, ledger: Ledger | None = None) -> None:
        self._journal = journal
        self._tape = tape
        self._ledger = ledger

    def journal(self, step: int, now_ns: int, monotonic_ns: int, body: Body, /) -> int:
        """Record a fact of a step; returns its number. Raises `JournalError` once the journal has failed."""
        if type(body) is Fill:
            reach("on-fill-before-record")
        record = Record(step, now_ns, monotonic_ns, body)
        number = self._journal.append(record)
        if type(body) is Fill:
            reach("after-fill-recorded")
        elif type(body) is Approved:
            reach("after-approve")
        if self._ledger is not None:
            self._ledger.apply(Entry(number, record))
        return number

    def tape(self, step: int, now_ns: int, monotonic_ns: int, event: MarketEvent, /) -> None:
        """Keep a market event for replay, or shed it."""
        if self._tape is not None:
            self._tape.record(step, now_ns, monotonic_ns, event)

    def orders(self, orders: Sequence[Order], /) -> None:
        """Show in the ledger what orders are now."""
        if self._ledger is not None:
            self._ledger.put_orders(orders)

    async def wait_durable(self) -> None:
        """Return once everything recorded so far is durable. Raises `JournalError` when it can't become so."""
        await self._journal.wait_durable(self._journal.appended_count)

    def flush(self) -> None:
        """Have tape and ledger write what waits."""
        if self._tape is not None:
            self._tape.flush()
        if self._ledger is not None:
            self._ledger.flush()
