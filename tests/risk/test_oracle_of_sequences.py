"""Controls that remember against oracles that keep everything: the rules once more, over whole histories."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from framework.domain.intents import NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.domain.verdicts import RefusalCode, Refused
from risk.checks.duplicate_order import DuplicateOrder
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
