"""Limits and reducing scopes while strategies, strangers, fills and operators act at random (I17)."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from framework.domain.account_events import ReportKind, Scope, TradingState, TradingStateChanged
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.verdicts import RefusalCode, Refused, Verdict
from framework.state.exposure import Exposure
from risk.checks.max_open_orders import MaxOpenOrders
from risk.checks.max_order_size import MaxOrderSize
from risk.checks.max_position import MaxPosition
from risk.checks.trading_state import TradingStateCheck
from tests.framework.engine.test_kernel import accept, report
from tests.support.state_records import fill, listed
from tests.support.world import MARKET, World

R = RefusalCode
ACCOUNT_MAX, STRATEGY_MAX, SIZE_MAX, COUNT_MAX = 30, 20, 8, 8
CHECKS = [
    ("state", TradingStateCheck()),
    ("size", MaxOrderSize.model_validate({"max_size": str(SIZE_MAX)})),
    ("count", MaxOpenOrders(max_total=COUNT_MAX)),
    ("position", MaxPosition.model_validate({"max_position": "30", "max_strategy_position": "20"})),
]


def worst(exposure: Exposure, side: Side) -> int:
    """The position on this side if all of it trades and nothing of the other."""
    return exposure.position + exposure.open_buy if side is Side.BUY else exposure.open_sell - exposure.position


class Run:
    """One market with two strategies; every verdict is judged by what the exposures were before and are after."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.rng = Random(seed)
        self.world = World(directory, checks=CHECKS)
        self.world.start()
        self.hosts: dict[str, Any] = {name: self.world.add(name) for name in ("a", "b")}
        self.strangers: list[str] = []
        self.seen: dict[RefusalCode | None, int] = {}
        self.numbers = iter(range(10**6))

    def ask(self) -> None:
        name, rng = self.rng.choice("ab"), self.rng
        own = self.world.accounts.orders.open(strategy=name)
        size = Size(rng.randint(1, 12))
        if own and rng.random() < 0.3:
            order = rng.choice(own)
            total = Size(order.filled + size)
            intent: Any = AmendOrder(
                strategy=name, client_order_id=order.client_order_id, price=order.price, size=total
            )
            self._judge(name, order.side, intent, order)
        else:
            side = rng.choice(list(Side))
            intent = NewOrder(strategy=name, instrument=MARKET, side=side, price=Price(50), size=size)
            self._judge(name, side, intent, None)

    def _judge(self, name: str, side: Side, intent: NewOrder | AmendOrder, order: Order | None) -> None:
        accounts, host = self.world.accounts, self.hosts[name]
        states = {one.scope: one.state for one in accounts.trading.rows() if one.target in ("", name)}
        change = intent.size if order is None else intent.size - order.size
        has_place = order is None and self._is_first_exit(accounts.strategy_exposure(name, MARKET), side, intent.size)
        verdict: Verdict = self.world.do(host, lambda: host.desk.submit(intent))
        said = verdict.code if isinstance(verdict, Refused) else None
        self.seen[said] = self.seen.get(said, 0) + 1
        if said is None:
            self._check_approved(self._worsts(name, side), states, change=change)
        elif order is not None and change < 0:
            assert said not in (RefusalCode.ORDER_SIZE_MAX, RefusalCode.POSITION_MAX), "it shrinks"
        assert not (has_place and said is RefusalCode.OPEN_ORDERS_MAX), "a strategy's first exit has a place"

    @staticmethod
    def _check_approved(worsts: tuple[int, int], states: dict[Scope, TradingState], *, change: int) -> None:
        account, own = worsts
        assert (account <= ACCOUNT_MAX and own <= STRATEGY_MAX) or change < 0, "a limit is passed"
        if states.get(Scope.GLOBAL) is TradingState.REDUCING:
            assert account <= 0 or change <= 0, "it can turn the account's position"
        if states.get(Scope.STRATEGY) is TradingState.REDUCING:
            assert own <= 0 or change <= 0, "it can turn the strategy's position"

    def _worsts(self, name: str, side: Side) -> tuple[int, int]:
        accounts = self.world.accounts
        return worst(accounts.exposure(MARKET), side), worst(accounts.strategy_exposure(name, MARKET), side)

    @staticmethod
    def _is_first_exit(own: Exposure, side: Side, size: int) -> bool:
        held = -side.sign * own.position
        open_there = own.open_buy if side is Side.BUY else own.open_sell
        return held > 0 and open_there == 0 and size <= held

    def trade(self) -> None:
        """An own order is taken by the venue, and fills in part or whole."""
        orders = self.world.accounts.orders.open()
        if orders:
            order = self.rng.choice(orders)
            accept(self.world, order.client_order_id)
            size = self.rng.randint(1, max(order.size - order.filled, 1))
            self.world.kernel.publish(self._fill(order.client_order_id, f"v-{order.client_order_id}", order.side, size))

    def strange(self) -> None:
        """Somebody else places, trades or ends an order."""
        name = f"x{next(self.numbers)}"
        if self.strangers and self.rng.random() < 0.6:
            gone = self.strangers.pop()
            self.world.kernel.publish(listed("", venue_order_id=gone, is_open=False, at=self.world.clock.now_ns()))
        else:
            self.strangers.append(name)
            side = self.rng.choice(list(Side))
            self.world.kernel.publish(listed("", venue_order_id=name, size=self.rng.randint(1, 25), side=side))
            self.world.kernel.publish(self._fill("", name, side, 1))

    def operate(self) -> None:
        """An operator sets a state."""
        scope, target = self.rng.choice([(Scope.GLOBAL, ""), (Scope.STRATEGY, "a"), (Scope.STRATEGY, "b")])
        state = self.rng.choice([TradingState.ACTIVE, TradingState.ACTIVE, TradingState.REDUCING])
        self.world.kernel.publish(
            TradingStateChanged(scope=scope, target=target, state=state, reason="r", ts_recv=self.world.clock.now_ns())
        )

    def _fill(self, name: str, venue_order_id: str, side: Side, size: int) -> Any:
        at = self.world.clock.now_ns()
        return fill(f"f{next(self.numbers)}", name=name, venue_order_id=venue_order_id, side=side, size=size, at=at)

    def go(self, steps: int) -> None:
        for _ in range(steps):
            act = self.rng.choices([self.ask, self.trade, self.strange, self.operate], [60, 25, 6, 3])[0]
            act()
            self.world.clock.advance(1_000_000)


@pytest.mark.parametrize("seed", range(4))
def test_approvals_when_everybody_acts_at_random_then_no_limit_is_passed_and_nothing_that_reduces_grows(
    tmp_path: Path, seed: int
) -> None:
    run = Run(tmp_path, seed)
    run.go(1_500)
    wanted = {R.POSITION_MAX, R.OPEN_ORDERS_MAX, R.ORDER_SIZE_MAX, R.TRADING_REDUCING, None}
    assert wanted <= set(run.seen), run.seen
    run.world.close()


@pytest.mark.parametrize("seed", range(3))
def test_order_when_it_is_amended_up_after_each_fill_then_it_comes_to_no_more_than_one_order_may(
    tmp_path: Path, seed: int
) -> None:
    rng, world = Random(seed), World(tmp_path, checks=CHECKS[:2])
    world.start()
    host, at = world.add("a"), world.clock.now_ns()
    fills, refused = 0, 0
    for number in range(60):
        handle = world.do(host, lambda: host.buy(MARKET, Price(50), Size(rng.randint(1, SIZE_MAX))))
        name = handle.client_order_id
        accept(world, name)
        for _ in range(10):
            order = world.order(handle)
            if not order.status.may_trade:
                break
            size = rng.randint(1, order.remaining)
            fills += 1
            one = fill(f"f{fills}", name=name, venue_order_id=f"v-{name}", size=size, at=at + fills)
            world.kernel.publish(one)
            intent = AmendOrder(
                strategy="a", client_order_id=name, price=order.price, size=Size(order.filled + rng.randint(1, 9))
            )
            verdict = world.do(host, lambda ask=intent: host.desk.submit(ask))  # type: ignore[misc]
            refused += isinstance(verdict, Refused) and verdict.code is R.ORDER_SIZE_MAX
            assert order.filled + order.remaining_worst <= SIZE_MAX, number
            if not isinstance(verdict, Refused):
                world.kernel.publish(report(world, name, ReportKind.AMENDED, price=intent.price, size=intent.size))
    assert refused > 20
    world.close()
