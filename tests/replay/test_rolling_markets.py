"""Markets that open and settle while a strategy runs: a replay gives it the same ones in the same steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from framework.assembly import Core, CoreSettings, assemble
from framework.domain.account_events import InstrumentDefined, InstrumentSettled
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.market_events import ConnectorStatus, StrategyStarted
from framework.domain.numbers import Price, Size
from framework.domain.ports import Clock
from framework.domain.strategy import Strategy
from framework.engine.kernel_ports import KernelRecorder
from framework.engine.replay import DecisionRecorder, Replayed, SteppedClock, read_session, replay_session
from framework.engine.universe import InstrumentPattern
from framework.persistence.recovery import open_records
from framework.runtime.clock import ManualClock
from framework.runtime.files import RealFiles
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.orders.client_order_ids import ClientOrderIds
from tests.support.toy_session import _settings
from tests.support.world import INSTRUMENT, MS, START_NS, VENUE, HandTimers, RecordingWatcher

PATTERN = InstrumentPattern((f"{VENUE}:A*",), 2)


class Follower(Strategy[None]):
    """Bids in each market that it starts with or gets."""

    def on_start(self) -> None:
        for one in self.desk.instruments:
            self.on_instrument(self.desk.instrument(one))

    def on_instrument(self, instrument: Instrument) -> None:
        if instrument.id in self.desk.instruments:
            self.buy(instrument.id, Price(1), Size(1))


def core_on(
    clock: Clock, accounts: Accounts, recorder: KernelRecorder, next_id: Callable[[], str], *, decides: bool
) -> Core:
    return assemble(
        CoreSettings(venues=[VENUE]),
        clock=clock,
        accounts=accounts,
        books=Books(),
        next_client_order_id=next_id,
        recorder=recorder,
        watcher=RecordingWatcher(),
        timers=HandTimers(),
        on_journal_failure=lambda _: None,
        log=lambda *_, **__: None,
        decides=decides,
    )


def start(core: Core, pattern: InstrumentPattern | None = PATTERN) -> None:
    """Let the strategy in, as it was in the session."""
    chosen = PATTERN.choose(core.accounts.instruments.values())
    core.add_strategy("mine", Follower, None, chosen, pattern)


def market(symbol: str) -> Instrument:
    return replace(INSTRUMENT, id=InstrumentId(f"{VENUE}:{symbol}"), symbol=symbol)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A session in which six markets match, two at a time, and one does not."""
    clock = ManualClock(wall_ns=START_NS, monotonic_ns=MS)
    records = open_records(RealFiles(), _settings(tmp_path), clock=clock, rng=Random(1), observe_sync_ns=lambda _: None)
    ids = ClientOrderIds(records.instance, records.epoch)
    core = core_on(clock, records.accounts, records.recorder, ids.next, decides=True)
    core.kernel.publish(ConnectorStatus(VENUE, True, "subscribed", 1))
    core.kernel.publish(InstrumentDefined(market("A0"), 1))
    start(core)
    core.kernel.publish(StrategyStarted("mine", 1))
    for symbol in ("B0", "A3", "A1", "A2", "A4", "A5"):
        clock.advance(MS)
        core.kernel.publish(InstrumentDefined(market(symbol), 1))
    for symbol in ("A0", "A3", "A1"):
        clock.advance(MS)
        core.kernel.publish(InstrumentSettled(market(symbol).id, Price(1), 1, 1))
    records.close()
    return tmp_path


def replayed(directory: Path, pattern: InstrumentPattern | None) -> Replayed:
    session = read_session(RealFiles(), directory)
    clock, recorder = SteppedClock(), DecisionRecorder()
    core = core_on(clock, session.accounts, recorder, session.client_order_ids().next, decides=False)
    return replay_session(session, core.kernel, clock, recorder, start=lambda _: start(core, pattern))


def test_replay_when_markets_came_and_went_then_the_strategy_asks_for_the_same_in_the_same_steps(
    recorded: Path,
) -> None:
    result = replayed(recorded, PATTERN)

    assert result.is_same, result.first_difference()
    assert len(result.decided) == 5


def test_replay_when_no_market_joins_then_it_shows_the_difference(recorded: Path) -> None:
    result = replayed(recorded, None)

    assert not result.is_same
    assert len(result.decided) == 1
