"""A strategy over two venues: when it begins while one of them is down."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from framework.assembly import CoreSettings, assemble
from framework.config.model import StrategyRow
from framework.config.resolve import ResolvedStrategy
from framework.domain.account_events import InstrumentDefined
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.strategy import Strategy
from framework.engine.replay import DecisionRecorder
from framework.runtime.clock import ManualClock
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.orders.client_order_ids import ClientOrderIds
from framework.strategy_starts import VENUE_WAIT_NS, StrategyStarts
from tests.support.world import INSTRUMENT, START_NS, HandTimers, RecordingWatcher

HERE, AWAY = "here", "away"
WAITS = ["strategy mine has not begun: waits for venue away"]


class Pair(Strategy[None]):
    """Needs both of its venues. What it is called with is kept."""

    def __init__(self, name: str, settings: None, desk: Any) -> None:
        super().__init__(name, settings, desk)
        self.began_with: tuple[InstrumentId, ...] = ()
        self.joined: list[InstrumentId] = []

    def on_start(self) -> None:
        self.began_with = self.desk.instruments

    def on_instrument(self, instrument: Instrument) -> None:
        self.joined.append(instrument.id)


class Each(Pair):
    """Trades each of its markets by itself."""

    needs_all_venues = False


class Starts:
    """Two venues, a strategy over both, and a clock that stands still."""

    def __init__(self, kind: type[Pair]) -> None:
        self.clock = ManualClock(wall_ns=START_NS, monotonic_ns=1)
        self.up: set[str] = set()
        self.core = assemble(
            CoreSettings(venues=[HERE, AWAY]),
            clock=self.clock,
            accounts=Accounts(),
            books=Books(),
            next_client_order_id=ClientOrderIds("t", 1).next,
            recorder=DecisionRecorder(),
            watcher=RecordingWatcher(),
            timers=HandTimers(),
            on_journal_failure=lambda _: None,
            log=lambda *_, **__: None,
        )
        row = StrategyRow(use="x:Y", instruments=(f"{HERE}:*", f"{AWAY}:*"))
        rows = [ResolvedStrategy("mine", row, kind, None)]
        self.starts = StrategyStarts(rows, self.core, is_up=self.up.__contains__, clock=self.clock)

    def open(self, venue: str) -> InstrumentId:
        """A venue lists a market."""
        name = InstrumentId(f"{venue}:A")
        self.core.kernel.publish(InstrumentDefined(replace(INSTRUMENT, id=name, venue=venue, symbol="A"), 1))
        return name

    def look(self, after_ns: int = 0) -> Pair | None:
        """Let the strategy begin if it can now; it, when it has."""
        self.clock.advance(after_ns)
        self.starts.begin()
        host = self.core.kernel.hosts.get("mine")
        assert host is None or isinstance(host.strategy, Pair)
        return None if host is None else host.strategy

    def reasons(self) -> list[str]:
        """Why the daemon is not ready."""
        return [one.text for one in self.starts.not_ready()]


def test_strategy_when_it_trades_each_market_by_itself_then_it_begins_without_a_venue_that_stays_down() -> None:
    made = Starts(Each)
    here = made.open(HERE)
    made.up.add(HERE)
    assert made.look() is None
    assert made.look(VENUE_WAIT_NS - 1) is None
    assert made.reasons() == WAITS

    strategy = made.look(1)

    assert strategy is not None
    assert strategy.began_with == (here,)
    assert made.reasons() == made.starts.waiting() == []
    assert strategy.joined == []
    away = made.open(AWAY)
    assert strategy.joined == [away]
    assert strategy.desk.instruments == (away, here)


def test_strategy_when_it_needs_all_venues_then_it_waits_for_them_however_long() -> None:
    made = Starts(Pair)
    made.open(HERE)
    made.up.add(HERE)
    made.look()
    assert made.look(10 * VENUE_WAIT_NS) is None
    assert made.reasons() == WAITS

    away = made.open(AWAY)
    made.up.add(AWAY)

    strategy = made.look()
    assert strategy is not None
    assert away in strategy.began_with


@pytest.mark.parametrize("kind", [Pair, Each])
def test_strategy_when_every_venue_is_up_then_it_begins_at_once(kind: type[Pair]) -> None:
    made = Starts(kind)
    names = {made.open(HERE), made.open(AWAY)}
    made.up |= {HERE, AWAY}
    strategy = made.look()
    assert strategy is not None
    assert set(strategy.began_with) == names


def test_strategy_when_only_a_venue_that_is_down_has_a_market_for_it_then_it_waits() -> None:
    made = Starts(Each)
    made.open(AWAY)  # known of an earlier run
    made.up.add(HERE)
    made.look()
    assert made.look(VENUE_WAIT_NS) is None
    assert made.reasons() == WAITS

    made.open(HERE)

    strategy = made.look()
    assert strategy is not None
    assert len(strategy.began_with) == 2
