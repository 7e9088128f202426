"""What the kernel writes, and where each kind goes: the journal and behind it the ledger, or the tape.

Facts about orders and money go to the journal, because the state must be rebuilt from them; market data goes to the
tape, because only a replay needs it; the ledger follows the journal, for people and tools. A record is never given to
the ledger before the journal has taken it, so that the ledger holds nothing that the journal has not numbered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from framework.domain.account_events import Fill
from framework.domain.market_events import MarketEvent
from framework.domain.orders import Order
from framework.domain.verdicts import Approved
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Body, Entry, Record
from framework.persistence.ledger.ledger import Ledger
from framework.persistence.tape import Tape
from framework.runtime import failpoints


class Recorder:
    """The journal, the tape and the ledger of one run; without tape or ledger, what would go there is dropped.

    `step` is the kernel's step; `now_ns` (wall clock) and `monotonic_ns` are the times that the step saw, in
    nanoseconds: a replay sets its clock by them. Call `flush` ten times a second: tape and ledger are written in bulk.
    """

    def __init__(self, journal: Journal, tape: Tape | None = None, ledger: Ledger | None = None) -> None:
        self._journal = journal
        self._tape = tape
        self.tape: Callable[[int, int, int, MarketEvent], None] = _keep_nothing if tape is None else tape.record
        """Keep a market event for replay, or shed it: step, wall and monotonic nanoseconds, event."""
        self._ledger = ledger

    def journal(self, step: int, now_ns: int, monotonic_ns: int, body: Body, /) -> int:
        """Append a fact to the journal and return its record number. It is durable only after `wait_durable`.

        Raises `JournalError` once the journal has failed: then nothing was taken, and nothing may be sent.
        """
        if type(body) is Fill:
            failpoints.reach("on-fill-before-record")
        record = Record(step, now_ns, monotonic_ns, body)
        number = self._journal.append(record)
        if type(body) is Fill:
            failpoints.reach("after-fill-recorded")
        elif failpoints.is_armed and type(body) is Approved:
            failpoints.reach("after-approve")
        if self._ledger is not None:
            self._ledger.apply(Entry(number, record))
        return number

    def orders(self, orders: Sequence[Order], /) -> None:
        """Show orders in the ledger as they are now: call it after the state has taken in the record."""
        if self._ledger is not None:
            self._ledger.put_orders(orders)

    @property
    def tape_trouble(self) -> str:
        """Why the tape records nothing any more, empty while it does and where there is none."""
        return "" if self._tape is None else self._tape.trouble

    async def wait_durable(self) -> None:
        """Return once everything recorded so far is durable. Raises `JournalError` when it can't become so."""
        await self._journal.wait_durable(self._journal.appended_count)

    def flush(self) -> None:
        """Start writing what is queued for tape and ledger; returns at once."""
        if self._tape is not None:
            self._tape.flush()
        if self._ledger is not None:
            self._ledger.flush()


def _keep_nothing(_step: int, _now_ns: int, _monotonic_ns: int, _event: MarketEvent, /) -> None:
    """Where there is no tape."""
