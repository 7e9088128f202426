"""Instruments that have left the state: what they came to, and for a while their terms. Pure.

One may leave when it has settled, nothing is held or open in it, and no operator or alarm has stopped it. Its profit
stays in sums, and the ledger has its rows. The newest are remembered with their settlement: a fill that comes late, or
is taken back, brings such an instrument back, so that it is booked like any other. What is realised in a settled
instrument does not depend on the order of trades, so the sums stay exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from framework.domain.account_events import InstrumentPurged
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.numbers import Price
from framework.domain.ports import Clock

REMEMBERED_MAX = 256
"""So many instruments that have left are remembered, the newest."""

STAYS_NS = 900_000_000_000
"""An instrument leaves after it could have for so long: late fills come much sooner."""

LOOK_NS = 1_000_000_000
LEAVE_AT_ONCE_MAX = 100

Realised = tuple[str, int, int, int]
"""Strategy ('' for what belongs to none), realised profit before fees, fees, funding."""


class PurgedSum(msgspec.Struct, array_like=True):
    """What all instruments that have left came to, of one strategy ('' for what belongs to none) at one venue, in one
    currency and scale: amounts are scaled by `decimals`."""

    strategy: str
    venue: str
    currency: str
    decimals: int
    realised: int = 0
    fees: int = 0
    funding: int = 0


class PurgedInstrument(msgspec.Struct, frozen=True, array_like=True):
    """The terms of an instrument that has left, and what it paid per contract, scaled by its price_decimals."""

    instrument: Instrument
    value: Price


class PurgedSnapshot(msgspec.Struct, array_like=True):
    """All of it as it is written: sums in canonical order, instruments in the order in which they left."""

    sums: list[PurgedSum]
    remembered: list[PurgedInstrument]


class PurgedInstruments:
    """The sums and the newest instruments that have left."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, str, int], PurgedSum] = {}
        self._remembered: dict[InstrumentId, PurgedInstrument] = {}

    def __contains__(self, instrument: InstrumentId) -> bool:
        return instrument in self._remembered

    def put(self, left: PurgedInstrument, realised: Iterable[Realised]) -> None:
        """Add an instrument that leaves, with what each strategy realised in it."""
        terms = left.instrument
        for strategy, profit, fees, funding in realised:
            key = (strategy, terms.venue, terms.quote_currency, terms.money_decimals)
            total = self._sums.setdefault(key, PurgedSum(*key))
            total.realised += profit
            total.fees += fees
            total.funding += funding
        self._remembered[terms.id] = left
        if len(self._remembered) > REMEMBERED_MAX:
            del self._remembered[next(iter(self._remembered))]

    def take(self, instrument: InstrumentId) -> PurgedInstrument | None:
        """Take out an instrument that comes back; None when it is not remembered."""
        return self._remembered.pop(instrument, None)

    def sums(self) -> tuple[PurgedSum, ...]:
        """What all that have left came to. An instrument that comes back adds to it when it leaves again."""
        return tuple(self._sums.values())

    def remembered(self) -> tuple[PurgedInstrument, ...]:
        """The newest that have left, oldest first."""
        return tuple(self._remembered.values())

    def snapshot(self) -> PurgedSnapshot | None:
        """All of it, for digest and snapshot; None while nothing has left, as in states of before."""
        if not self._sums and not self._remembered:
            return None
        return PurgedSnapshot([one for _, one in sorted(self._sums.items())], list(self._remembered.values()))

    @classmethod
    def from_snapshot(cls, snapshot: PurgedSnapshot | None) -> PurgedInstruments:
        """What `snapshot` was taken of."""
        purged = cls()
        if snapshot is not None:
            purged._sums = {(one.strategy, one.venue, one.currency, one.decimals): one for one in snapshot.sums}
            purged._remembered = {one.instrument.id: one for one in snapshot.remembered}
        return purged


class Settlements(Protocol):
    """What a schedule reads of the state: `framework.state.accounts.Accounts`."""

    def purgeable(self) -> Sequence[InstrumentId]:
        """The instruments that may leave now."""
        ...


class PurgeSchedule:
    """Has instruments leave, as inputs of the kernel, once they could have for `STAYS_NS`. Call `look` now and then."""

    def __init__(self, accounts: Settlements, publish: Callable[[InstrumentPurged], None], clock: Clock) -> None:
        self._accounts = accounts
        self._publish = publish
        self._clock = clock
        self._since_ns: dict[InstrumentId, int] = {}
        self._looked_ns = 0

    def look(self) -> None:
        """Publish what is due, at most a hundred at once; does nothing within a second of the last look."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now_ns
        self._since_ns = {one: self._since_ns.get(one, now_ns) for one in self._accounts.purgeable()}
        due = [one for one, since_ns in self._since_ns.items() if now_ns - since_ns >= STAYS_NS]
        for one in due[:LEAVE_AT_ONCE_MAX]:
            self._publish(InstrumentPurged(one, self._clock.now_ns()))
