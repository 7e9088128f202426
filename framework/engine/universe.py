"""Which instruments are a strategy's: chosen when it starts, and again as instruments open and settle.

What is chosen follows from the journal's instruments alone: a replay that adds a strategy with the same pattern binds
the same instruments in the same steps, and needs no record of it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

import msgspec

from framework.domain.instruments import Instrument, InstrumentId, InstrumentStatus
from framework.domain.strategy import Strategy
from framework.engine.bus import Bus, bind, bind_instrument
from framework.engine.strategy_host import StrategyHost
from framework.state.books import Books


class InstrumentPattern(msgspec.Struct, frozen=True):
    """What a configuration says of a strategy's instruments: patterns such as `kalshi:KXTIDE-*`, and how many of those
    that match it gets at the same time, 1 or more."""

    patterns: Sequence[str]
    count_max: int

    def choose(self, known: Iterable[Instrument], bound: Sequence[InstrumentId] = ()) -> tuple[InstrumentId, ...]:
        """The active instruments that match and are not `bound` yet, in the order of their names, as many as there is
        room for beside those."""
        active = sorted(one.id for one in known if one.status is InstrumentStatus.ACTIVE and one.id not in bound)
        room = max(self.count_max - len(bound), 0)
        return tuple(one for one in active if any(fnmatchcase(one, pattern) for pattern in self.patterns))[:room]


class Universe:
    """The instruments of one strategy as they are now, in the order of their names. With a `pattern` they change:
    what settled leaves, and what matches joins as there is room. Without one they only leave."""

    __slots__ = ("instruments", "pattern")

    def __init__(self, instruments: Sequence[InstrumentId], pattern: InstrumentPattern | None = None) -> None:
        self.instruments = tuple(instruments)
        self.pattern = pattern


class Universes:
    """The instruments of every strategy. `settled` are those that none joins any more; `on_bound` is called with
    strategy, instrument, and whether it joined or left.

    A strategy without `on_instrument` gets no instrument after its start: it may have made what it keeps for each of
    them in `on_start`, and would fail at the first book of another one.
    """

    def __init__(
        self,
        bus: Bus,
        books: Books,
        instruments: Mapping[InstrumentId, Instrument],
        settled: Container[InstrumentId],
        on_bound: Callable[[str, InstrumentId, bool], None],
    ) -> None:
        self._bus = bus
        self._books = books
        self._instruments = instruments
        self._settled = settled
        self._on_bound = on_bound
        self._bound: list[tuple[StrategyHost, Universe]] = []

    def add(self, host: StrategyHost, universe: Universe) -> None:
        """Subscribe a strategy's hooks to the events of the instruments with which it starts."""
        self._bound.append((host, universe))
        bind(self._bus, host, universe.instruments, self._books)

    def of(self, strategy: str) -> tuple[InstrumentId, ...]:
        """The instruments of a strategy; none when it was never added."""
        return next((universe.instruments for host, universe in self._bound if host.name == strategy), ())

    def follow(self, instrument_id: InstrumentId) -> None:
        """An instrument is newly known or has changed: strategies join it, or leave it when it has settled."""
        instrument = self._instruments.get(instrument_id)
        if instrument is None:
            return
        for host, universe in self._bound:
            if instrument.status is not InstrumentStatus.SETTLED:
                self._join(host, universe, (instrument,))
            elif instrument_id in universe.instruments:
                self._leave(host, universe, instrument)
                self._join(host, universe, self._instruments.values())

    def forget(self, instrument: InstrumentId) -> None:
        """An instrument has left the state: its book goes, too."""
        if instrument not in self._instruments:
            self._books.forget(instrument)
            self._bus.unsubscribe("", instrument)

    def release(self, strategy: str) -> None:
        """A strategy is called again after a quarantine: it joins what has opened meanwhile."""
        for host, universe in self._bound:
            if host.name == strategy:
                self._join(host, universe, self._instruments.values())

    def _join(self, host: StrategyHost, universe: Universe, candidates: Iterable[Instrument]) -> None:
        if universe.pattern is None or host.is_quarantined or not takes_more(host):
            return
        # What says after the settlement that a market is open was read before it.
        unsettled = (one for one in candidates if one.id not in self._settled)
        for one in universe.pattern.choose(unsettled, universe.instruments):
            universe.instruments = tuple(sorted((*universe.instruments, one)))
            bind_instrument(self._bus, host, one, self._books)
            self._on_bound(host.name, one, True)
            host.call("on_instrument", self._instruments[one])

    def _leave(self, host: StrategyHost, universe: Universe, instrument: Instrument) -> None:
        universe.instruments = tuple(one for one in universe.instruments if one != instrument.id)
        self._bus.unsubscribe(host.name, instrument.id)
        self._on_bound(host.name, instrument.id, False)
        host.call("on_instrument", instrument)


def takes_more(host: StrategyHost) -> bool:
    """Whether a strategy has an `on_instrument`, and so gets instruments that open after its start."""
    return type(host.strategy).on_instrument is not Strategy.on_instrument
