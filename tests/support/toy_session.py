"""A trading session with a toy venue, recorded like the daemon records, and its replay.

`python -m tests.support.toy_session DIRECTORY` replays what is recorded there and prints the digests.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from framework.assembly import Core, CoreSettings, assemble
from framework.domain.account_events import Fill, OrderSnapshot, TradingState, TradingStateChanged
from framework.domain.events import Event
from framework.domain.instruments import FeeSchedule
from framework.domain.intents import NewOrder
from framework.domain.market_events import (
    BookDelta,
    BookSnapshot,
    BookStale,
    ConnectorStatus,
    StrategyStarted,
    TimerFired,
    TradePrint,
)
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus, Side
from framework.domain.ports import AnyCheck, Clock
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.strategy import Strategy
from framework.domain.views import BookView
from framework.engine.kernel import Kernel
from framework.engine.kernel_ports import KernelRecorder
from framework.engine.replay import DecisionRecorder, Replayed, SteppedClock, read_session, replay_session
from framework.engine.strategy_context import StrategyContext
from framework.execution.request_queue import RequestQueue
from framework.persistence.journal.records import EpochTaken
from framework.persistence.recovery import Records, RecordSettings, open_records
from framework.persistence.tape import TapeSettings
from framework.runtime.clock import ManualClock
from framework.runtime.disk_writer import Durability
from framework.runtime.files import RealFiles
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.orders.client_order_ids import ClientOrderIds
from framework.testing import ScriptedVenue
from risk.checks.duplicate_order import DuplicateOrder
from risk.checks.max_open_orders import MaxOpenOrders
from risk.checks.max_position import MaxPosition
from risk.checks.rate_budget import RateBudget
from risk.checks.repeated_execution import RepeatedExecution
from risk.checks.self_trade import SelfTrade
from strategies.market_maker import MarketMaker, MarketMakerSettings
from tests.support.world import INSTRUMENT, MARKET, MS, START_NS, VENUE, HandTimers, RecordingWatcher

LIMITS = RateLimits(
    pools=(Pool("write", 200, 100),),
    costs=tuple(Cost(kind, "write", 2 if kind is RequestKind.CANCEL else 10) for kind in RequestKind),
)


CHECKS_OF_0_1_0: tuple[tuple[str, AnyCheck], ...] = (
    ("MaxPosition", MaxPosition.model_validate({"max_position": "30", "max_strategy_position": "30"})),
    ("MaxOpenOrders", MaxOpenOrders.model_validate({"max_total": 8})),
    ("RateBudget", RateBudget()),
)
"""Those of the session that is kept from that version."""
CHECKS: tuple[tuple[str, AnyCheck], ...] = (
    *CHECKS_OF_0_1_0[:-1],
    ("SelfTrade", SelfTrade(mode="cancel_resting")),
    ("DuplicateOrder", DuplicateOrder(duplicate_ms=30)),
    ("RepeatedExecution", RepeatedExecution(window_ms=1_000, fills_max=11)),
    CHECKS_OF_0_1_0[-1],
)


class Shaky(Strategy[None]):
    """Raises at every seventh trade, blocks at the fortieth, and asks for things that make no sense."""

    def __init__(self, name: str, settings: None, desk: StrategyContext) -> None:
        super().__init__(name, settings, desk)
        self.trades = 0
        self.block: Callable[[], object] = lambda: None

    def on_trade(self, trade: TradePrint) -> None:
        self.trades += 1
        if self.trades == 40:
            self.block()
        if self.trades % 7 == 0:
            raise ValueError(f"trade {self.trades}")
        if self.trades % 5 == 0:
            self.buy(trade.instrument, trade.price + 0.5, Size(1))  # type: ignore[arg-type]
        self.buy(trade.instrument, Price(trade.price), Size(1))

    def on_book(self, book: BookView) -> None:
        if self.trades >= 40:
            self.buy(book.instrument, Price(1), Size(1))


class Loud(Strategy[None]):
    """Asks for far too much, three hundred times at each trade."""

    def on_trade(self, trade: TradePrint) -> None:
        for _ in range(300):
            self.buy(trade.instrument, Price(1), Size(1_000_000))


class ToyCore(NamedTuple):
    """A core, its timers, and its strategies by name; `start` lets one in."""

    core: Core
    timers: HandTimers
    strategies: dict[str, Strategy[Any]]

    @property
    def kernel(self) -> Kernel:
        """The core's kernel."""
        return self.core.kernel

    @property
    def queue(self) -> RequestQueue:
        """The venue's queue."""
        return self.core.queues[VENUE]

    def start(self, name: str) -> None:
        """Let the strategy of this name in."""
        settings = {"size": "5", "position_max": "15", "interval_ms_min": 20}
        self.strategies[name] = self.core.add_strategy(
            name,
            {"mm": MarketMaker, "shaky": Shaky, "loud": Loud}[name],
            MarketMakerSettings.model_validate(settings) if name == "mm" else None,
            (MARKET,),
        )


def make_core(
    clock: Clock,
    accounts: Accounts,
    recorder: KernelRecorder,
    next_client_order_id: Callable[[], str],
    *,
    decides: bool,
    checks: Sequence[tuple[str, AnyCheck]] = CHECKS,
) -> ToyCore:
    """The same core for the session and for its replay."""
    timers = HandTimers()
    core = assemble(
        CoreSettings(venues=[VENUE], checks=checks, shares={VENUE: {"mm": 1, "shaky": 1}}, strategy_faults_max=50),
        clock=clock,
        accounts=accounts,
        books=Books(),
        next_client_order_id=next_client_order_id,
        recorder=recorder,
        watcher=RecordingWatcher(),
        timers=timers,
        on_journal_failure=lambda _: None,
        log=lambda *_, **__: None,
        decides=decides,
    )
    return ToyCore(core, timers, {})


def make_venue(core: ToyCore, clock: ManualClock) -> ScriptedVenue:
    """The session's venue, with what an earlier run left there. It names fills by its own order id only, as some
    streams do."""

    def publish(event: Event) -> None:
        core.kernel.publish(msgspec.structs.replace(event, client_order_id="") if isinstance(event, Fill) else event)

    traded = msgspec.structs.replace(INSTRUMENT, fees=FeeSchedule(maker_rate="0.02"))
    venue = ScriptedVenue([traded], LIMITS, clock=clock, publish=publish)
    for order in core.core.accounts.orders.open():
        facts = {name: getattr(order, name) for name in OrderSnapshot.__struct_fields__ if hasattr(order, name)}
        venue.orders[order.client_order_id] = OrderSnapshot(**facts | {"is_open": True, "ts_recv": clock.now_ns()})
    return venue


def serve(core: ToyCore, venue: ScriptedVenue, clock: ManualClock, rng: Random) -> None:
    """Carry everything that waits; now and then the venue refuses a new order."""
    while (request := core.queue.pop()) is not None:
        approved = request.approved
        order = core.core.accounts.orders.get(approved.client_order_id)
        assert order is not None
        clock.advance(rng.randrange(3 * MS))
        if order.status.is_final or (isinstance(approved.intent, NewOrder) and order.cancel_wanted):
            venue.drop(approved, "the order has ended")
            continue
        if rng.random() < 0.05 and order.status is OrderStatus.RECORDED:
            venue.reject_next("post_only")
        venue.receive(approved)
        venue.answer_next()


def trade(core: ToyCore, venue: ScriptedVenue, rng: Random) -> None:
    """Somebody takes one of our orders."""
    resting = [one for one in core.core.accounts.orders.open() if one.status.is_at_venue]
    if resting:
        order = rng.choice(resting)
        venue.fill(order, size=rng.randint(1, order.remaining) if order.remaining else 1)


def record(
    directory: Path, *, seed: int = 7, rounds: int = 600, last: Event | None = None, repeats_epoch: bool = False
) -> str:
    """Trade `rounds` turns of the market with journal and tape under `directory`, repeat the epoch as after a snapshot,
    and publish `last` at the end; the digest of the state."""
    clock, rng = ManualClock(wall_ns=START_NS, monotonic_ns=MS), Random(seed)
    records = open_records(
        RealFiles(), _settings(directory), clock=clock, rng=Random(seed), observe_sync_ns=lambda _: None
    )
    try:
        core = _trade(records, clock, rng, rounds)
        if repeats_epoch:
            taken = EpochTaken(records.epoch, records.instance, "x", "1", clock.now_ns())
            records.recorder.journal(core.kernel.step_number, clock.now_ns(), clock.monotonic_ns(), taken)
        if last is not None:
            core.kernel.publish(last)
        return records.accounts.digest()
    finally:
        records.close()


def replayed(directory: Path, *, epoch: int = 0, checks: Sequence[tuple[str, AnyCheck]] = CHECKS) -> Replayed:
    """Replay what is recorded under `directory` into a fresh kernel."""
    session = read_session(RealFiles(), directory, epoch=epoch)
    clock, recorder = SteppedClock(), DecisionRecorder()
    ids = session.client_order_ids()
    core = make_core(clock, session.accounts, recorder, ids.next, decides=False, checks=checks)
    return replay_session(session, core.kernel, clock, recorder, start=core.start)


def _settings(directory: Path) -> RecordSettings:
    return RecordSettings(
        directory=directory,
        durability=Durability.PROCESS_CRASH,
        tape=TapeSettings(),
        version="test",
        config_hash="test",
    )


def _trade(records: Records, clock: ManualClock, rng: Random, rounds: int) -> ToyCore:
    ids = ClientOrderIds(records.instance, records.epoch)
    core = make_core(clock, records.accounts, records.recorder, ids.next, decides=True)
    core.kernel.resume(records.last_step)
    venue = make_venue(core, clock)
    publish: Callable[[Event], None] = core.kernel.publish
    venue.connect()
    clock.advance(2_000 * MS)
    bid = 45
    for _ in range(20):
        clock.advance(MS)
        bid = _market_event(publish, clock, rng, bid)
    for name in ("mm", "shaky", "loud"):
        core.start(name)
        publish(StrategyStarted(name, clock.now_ns()))
    shaky = core.strategies["shaky"]
    assert isinstance(shaky, Shaky)
    shaky.block = lambda: clock.advance(150 * MS)
    for _ in range(rounds):
        clock.advance(rng.randrange(40 * MS))
        bid = _market_event(publish, clock, rng, bid)
        for (strategy, name), after_ms in list(core.timers.due.items()):
            if rng.random() < 0.1:
                del core.timers.due[strategy, name]
                publish(TimerFired(strategy, name, clock.now_ns() + after_ms))
        serve(core, venue, clock, rng)
        if rng.random() < 0.2:
            trade(core, venue, rng)
        if rng.random() < 0.05:
            _resume(core, publish, clock)
    return core


def _resume(core: ToyCore, publish: Callable[[Event], None], clock: ManualClock) -> None:
    """An operator lets those on again whom a check has halted."""
    for row in core.core.accounts.trading.rows():
        if row.by == "RepeatedExecution":
            publish(
                TradingStateChanged(
                    scope=row.scope,
                    target=row.target,
                    state=TradingState.ACTIVE,
                    reason="looked",
                    ts_recv=clock.now_ns(),
                    by="operator",
                )
            )


def _market_event(publish: Callable[[Event], None], clock: ManualClock, rng: Random, bid: int) -> int:
    now_ns = clock.now_ns()
    kind = rng.random()
    if kind < 0.5:
        bid = min(max(bid + rng.choice((-1, 0, 1)), 5), 90)
        levels = tuple((Price(bid - n), Size(rng.randint(5, 50))) for n in range(3))
        asks = tuple((Price(bid + 3 + n), Size(rng.randint(5, 50))) for n in range(3))
        publish(BookSnapshot(MARKET, now_ns, now_ns, levels, asks))
    elif kind < 0.75:
        publish(BookDelta(MARKET, now_ns, now_ns, Side.BUY, Price(bid), Size(rng.choice((1, 2, 3)))))
    elif kind < 0.97:
        publish(TradePrint(MARKET, now_ns, now_ns, f"t{now_ns}", Price(bid), Size(2), Side.SELL))
    elif kind < 0.99:
        publish(BookStale(MARKET, now_ns, "gap"))
    else:
        publish(ConnectorStatus(VENUE, False, "reset", now_ns))
        publish(ConnectorStatus(VENUE, True, "subscribed", now_ns))
    return bid


if __name__ == "__main__":
    result = replayed(Path(sys.argv[1]))
    print(result.fed, result.missing, result.is_same, result.digest, result.accounts_digest)
