"""Controls that remember against oracles that keep everything: the rules once more, over whole histories."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from framework.domain.account_events import ReportKind, Scope, TradingState, TradingStateChanged
from framework.domain.intents import NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.domain.verdicts import RefusalCode, Refused
from risk.checks.duplicate_order import DuplicateOrder
from risk.checks.repeated_execution import RepeatedExecution
from tests.framework.engine.test_kernel import report
from tests.support.state_records import fill
from tests.support.world import MARKET, World

D = Decimal


class Placed(NamedTuple):
    """An order that went through: when, in seconds, whose, and what it is."""

    at_s: Decimal
    strategy: str
    side: Side
    price: int
    size: int


def oracle_duplicate(history: list[Placed], order: Placed, within_s: Decimal, *, is_meant: bool) -> bool:
    """Whether the strategy has placed the same order within the time before."""
    same = [one for one in history if one[1:] == order[1:] and order.at_s - one.at_s <= within_s]
    return within_s > 0 and bool(same) and not is_meant


@pytest.mark.parametrize("duplicate_ms", [0, 40])
def test_duplicates_when_three_strategies_ask_at_random_then_each_verdict_is_the_oracles(
    tmp_path: Path, duplicate_ms: int
) -> None:
    rng, world = Random(5), World(tmp_path, checks=[("duplicate", DuplicateOrder(duplicate_ms=duplicate_ms))])
    world.start()
    hosts = {name: world.add(name) for name in "abc"}
    history, now_s, refused = list[Placed](), D(0), 0
    for _ in range(4_000):
        step_ms = D(rng.choice(["0", "0", "1", "40", "39.999999", "0.000001", "17"]))
        world.clock.advance(int(step_ms * 10**6))
        now_s += step_ms / 1000
        name, side = rng.choice("abc"), rng.choice(list(Side))
        order = Placed(now_s, name, side, rng.choice([50, 51]), rng.choice([1, 2]))
        is_meant = rng.random() < 0.1
        intent = NewOrder(
            strategy=name,
            instrument=MARKET,
            side=side,
            price=Price(order.price),
            size=Size(order.size),
            allow_duplicate=is_meant,
        )
        verdict = world.do(hosts[name], lambda ask=intent, host=hosts[name]: host.desk.submit(ask))  # type: ignore[misc]
        is_duplicate = oracle_duplicate(history, order, D(duplicate_ms) / 1000, is_meant=is_meant)
        assert isinstance(verdict, Refused) is is_duplicate, (order, history[-5:])
        assert not is_duplicate or verdict.code is RefusalCode.DUPLICATE_ORDER
        refused += is_duplicate
        history += [] if is_duplicate else [order]
    assert (refused > 300) is (duplicate_ms > 0)
    world.close()


class Traded(NamedTuple):
    """A fill: when, in seconds, whose, and how much."""

    at_s: Decimal
    strategy: str
    size: int


def oracle_runaway(history: list[Traded], strategy: str, *, fills_max: int, size_max: int, in_s: Decimal) -> bool:
    """Whether in some stretch of the time the strategy has traded more often, or more, than it may."""
    own = [one for one in history if one.strategy == strategy]
    for first in own:
        stretch = [one for one in own if first.at_s <= one.at_s <= first.at_s + in_s]
        if len(stretch) > fills_max or sum(one.size for one in stretch) > size_max:
            return True
    return False


class Runaways:
    """Strategies that trade at random, and a person who resumes them now and then."""

    def __init__(self, directory: Path, seed: int) -> None:
        check = RepeatedExecution.model_validate({"window_ms": 15_000, "fills_max": 6, "size_max": "40"})
        self.rng, self.world = Random(seed), World(directory, checks=[("runaway", check)])
        self.world.start()
        self.hosts = {name: self.world.add(name) for name in "abc"}
        self.history: list[Traded] = []
        self.stopped: set[str] = set()
        self.now_s = D(0)
        self.numbers = iter(range(10**6))

    def pass_time(self) -> None:
        step_s = D(self.rng.choice(["0", "0.5", "1", "3", "15", "14.999999999", "0.000000001"]))
        self.world.clock.advance(int(step_s * 10**9))
        self.now_s += step_s

    def trade(self) -> None:
        """An order of a strategy is there, and fills in part; what a stopped one has open may still fill."""
        name = self.rng.choice("abc")
        own = self.world.accounts.orders.open(strategy=name)
        if not own:
            host = self.hosts[name]
            handle = self.world.do(host, lambda: host.buy(MARKET, Price(50), Size(1_000)))
            assert handle.is_approved is (name not in self.stopped), "who is stopped places nothing, the others do"
            return
        order, size = own[0], self.rng.randint(1, 15)
        ours = order.client_order_id
        at = self.world.clock.now_ns()
        one = fill(f"f{next(self.numbers)}", name=ours, venue_order_id=f"v-{ours}", size=size, at=at)
        for _ in range(self.rng.choice([1, 1, 2])):
            self.world.kernel.publish(one)
        self.history.append(Traded(self.now_s, name, size))
        if name not in self.stopped and oracle_runaway(self.history, name, fills_max=6, size_max=40, in_s=D(15)):
            self.stopped.add(name)
            assert all(one.cancel_wanted for one in self.world.accounts.orders.open(strategy=name))

    def operate(self) -> None:
        """The person resumes a strategy, whose account is then clear, or the venue ends what it was to cancel."""
        name = self.rng.choice("abc")
        for order in self.world.accounts.orders.open(strategy=name):
            if order.cancel_wanted:
                self.world.kernel.publish(report(self.world, order.client_order_id, ReportKind.CANCELLED))
        if name in self.stopped and self.rng.random() < 0.5:
            now_ns = self.world.clock.now_ns()
            state = TradingStateChanged(
                scope=Scope.STRATEGY, target=name, state=TradingState.ACTIVE, reason="looked", ts_recv=now_ns
            )
            self.world.kernel.publish(state)
            self.stopped.discard(name)
            self.history = [one for one in self.history if one.strategy != name]

    def halted(self) -> set[str]:
        return {row.target for row in self.world.accounts.trading.rows() if row.scope is Scope.STRATEGY}


@pytest.mark.parametrize("seed", range(3))
def test_executions_when_strategies_trade_at_random_then_those_are_stopped_that_the_oracle_stops(
    tmp_path: Path, seed: int
) -> None:
    run, stops = Runaways(tmp_path, seed), 0
    for _ in range(1_500):
        before = len(run.stopped)
        run.rng.choices([run.pass_time, run.trade, run.operate], [40, 50, 10])[0]()
        stops += len(run.stopped) > before
        assert run.halted() == run.stopped, (run.now_s, run.history[-8:])
    assert stops > 20
    run.world.close()
