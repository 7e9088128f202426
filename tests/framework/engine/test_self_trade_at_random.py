"""No two own orders can match, whatever strategies, the venue and operators do (I16)."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest

from framework.domain.account_events import OrderReport, ReportKind
from framework.domain.intents import AmendOrder, CancelOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderStatus, Side
from framework.domain.verdicts import RefusalCode, Refused
from risk.checks.self_trade import SelfTrade
from tests.support.state_records import fill, listed
from tests.support.world import MARKET, VENUE, World

K = ReportKind
OVER = {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.ENDING}
Mode = Literal["refuse", "cancel_resting"]
Range = tuple[Side, set[int]]
"""A side, and the prices at which an order of it may be, or get, at the venue."""


class Run:
    """One market and three strategies that ask at prices around one another's; the venue answers when it likes."""

    def __init__(self, directory: Path, mode: Mode, seed: int) -> None:
        self.rng = Random(seed)
        self.world = World(directory, checks=[("self_trade", SelfTrade(mode=mode))])
        self.world.start()
        self.hosts: dict[str, Any] = {name: self.world.add(name) for name in "abc"}
        self.others: dict[str, tuple[Side, int]] = {}
        self.said: dict[RefusalCode | None, int] = {}
        self.numbers = iter(range(10**6))

    @property
    def mine(self) -> list[Order]:
        return [one for one in self.world.accounts.orders.open() if one.status not in OVER]

    def ranges(self) -> list[Range]:
        """Where every order that the account may have open can be."""
        own = [(one.side, {int(one.price), int(one.amend_price or one.price)}) for one in self.mine]
        return [*own, *((side, {price}) for side, price in self.others.values())]

    def can_match(self) -> bool:
        """Whether some bid may be at or above some ask."""
        bids = [max(prices) for side, prices in self.ranges() if side is Side.BUY]
        asks = [min(prices) for side, prices in self.ranges() if side is Side.SELL]
        return any(bid >= ask for bid, ask in product(bids, asks))

    def ask(self) -> None:
        name, rng = self.rng.choice("abc"), self.rng
        own = [one for one in self.mine if one.strategy == name]
        price, size = Price(rng.randint(40, 60)), Size(rng.randint(1, 9))
        intent: NewOrder | AmendOrder | CancelOrder
        if own and rng.random() < 0.5:
            order = rng.choice(own)
            total = Size(order.filled + size)
            if rng.random() < 0.3:
                intent = CancelOrder(strategy=name, client_order_id=order.client_order_id)
            else:
                intent = AmendOrder(strategy=name, client_order_id=order.client_order_id, price=price, size=total)
            side = order.side
        else:
            side = rng.choice(list(Side))
            intent = NewOrder(strategy=name, instrument=MARKET, side=side, price=price, size=size)
        would_match = self._would_match(side, price) and not isinstance(intent, CancelOrder)
        verdict = self.world.do(self.hosts[name], lambda: self.hosts[name].desk.submit(intent))
        code = verdict.code if isinstance(verdict, Refused) else None
        self.said[code] = self.said.get(code, 0) + 1
        if code is None and isinstance(intent, AmendOrder):
            at, name = self.world.clock.now_ns(), intent.client_order_id
            self.world.kernel.publish(OrderReport(venue=VENUE, client_order_id=name, kind=K.SENT, ts_recv=at))
        if code in (None, RefusalCode.SELF_TRADE):
            assert would_match is (code is RefusalCode.SELF_TRADE), "refused if and only if it could match"

    def _would_match(self, side: Side, price: int) -> bool:
        there = [prices for other, prices in self.ranges() if other is side.opposite]
        if side is Side.BUY:
            return any(price >= min(prices) for prices in there)
        return any(price <= max(prices) for prices in there)

    def answer(self) -> None:
        """The venue says something of an order, true at that time, or an answer is lost."""
        if not self.mine:
            return
        order, at = self.rng.choice(self.mine), self.world.clock.now_ns()
        kinds = [K.SENT, K.ACCEPTED, K.ACCEPTED, K.UNKNOWN, K.REJECTED, K.CANCELLED, K.CANCEL_REFUSED]
        if order.amend_price is not None:
            kinds = [K.AMENDED, K.AMEND_REFUSED, K.UNKNOWN, K.CANCELLED]
        kind = self.rng.choice(kinds)
        terms = {"price": order.amend_price, "size": order.amend_size} if kind is K.AMENDED else {}
        name = order.client_order_id
        self.world.kernel.publish(
            OrderReport(venue=VENUE, client_order_id=name, kind=kind, ts_recv=at, venue_order_id=f"v-{name}", **terms)
        )

    def trade(self) -> None:
        if self.mine:
            order = self.rng.choice(self.mine)
            size, name = self.rng.randint(1, max(order.remaining, 1)), order.client_order_id
            self.world.kernel.publish(
                fill(
                    f"f{next(self.numbers)}",
                    name=name,
                    venue_order_id=f"v-{name}",
                    side=order.side,
                    size=size,
                    at=self.world.clock.now_ns(),
                )
            )

    def strange(self) -> None:
        """Somebody else places an order on the account where it meets none of ours, or ends one."""
        at = self.world.clock.now_ns()
        if self.others and self.rng.random() < 0.5:
            name = self.rng.choice(sorted(self.others))
            side, price = self.others.pop(name)
            self.world.kernel.publish(listed("", venue_order_id=name, side=side, price=price, is_open=False, at=at))
            return
        name, side, price = f"x{next(self.numbers)}", self.rng.choice(list(Side)), self.rng.randint(40, 60)
        if not self._would_match(side, price):
            self.others[name] = (side, price)
            self.world.kernel.publish(listed("", venue_order_id=name, side=side, price=price, at=at))

    def go(self, steps: int) -> None:
        for step in range(steps):
            act = self.rng.choices([self.ask, self.answer, self.trade, self.strange], [50, 40, 8, 4])[0]
            act()
            self.world.clock.advance(1_000_000)
            assert not self.can_match(), f"own orders can match after step {step}: {self.ranges()}"


@pytest.mark.parametrize("mode", ["refuse", "cancel_resting"])
@pytest.mark.parametrize("seed", range(3))
def test_own_orders_when_everybody_acts_at_random_then_no_two_of_them_can_match(
    tmp_path: Path, mode: Mode, seed: int
) -> None:
    run = Run(tmp_path, mode, seed)
    run.go(1_500)
    assert {None, RefusalCode.SELF_TRADE, RefusalCode.ORDER_BUSY} <= set(run.said), run.said
    assert min(run.said[None], run.said[RefusalCode.SELF_TRADE]) > 100, run.said
    run.world.close()
