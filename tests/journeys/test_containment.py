"""A short session with three unruly strategies, a spoiled market, a still exchange and `reduce`; and its judge."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.proofs.containment.__main__ import is_kept, run
from tests.proofs.containment.judge import increasing_orders

OURS = {"account": "us", "market_id": "A"}


def order(name: str, side: str, size: int, *, at: int, ended: int = 0) -> dict[str, Any]:
    """An order of ours as the truth tells it."""
    names = {"order_id": f"v-{name}", "client_order_id": name, "side": side, "initial": size, "arrival_ns": at}
    return OURS | names | {"status": "canceled" if ended else "resting", "updated_ns": ended or at}


def fill(name: str, side: str, size: int, *, at: int) -> dict[str, Any]:
    """A fill of such an order."""
    return OURS | {"order_id": f"v-{name}", "client_order_id": name, "side": side, "size": size, "ns": at}


def test_daemon_when_strategies_markets_and_the_exchange_misbehave_then_the_rest_trades_and_ends_well(
    tmp_path: Path,
) -> None:
    figures = asyncio.run(run(10, 7, "", tmp_path, speed=8))
    assert is_kept(figures), figures


def test_judge_when_orders_could_open_turn_or_grow_a_position_then_it_names_them() -> None:
    bought = fill("first", "bid", 10, at=1)
    for late, is_increasing in (
        ([order("opens", "bid", 1, at=9)], True),
        ([order("turns", "ask", 11, at=9)], True),
        ([order("closes", "ask", 10, at=9)], False),
        ([order("half", "ask", 5, at=8), order("closes", "ask", 5, at=9)], False),
        ([order("half", "ask", 5, at=8), order("too much", "ask", 6, at=9)], True),
        ([order("gone", "ask", 5, at=7, ended=8), order("closes", "ask", 10, at=9)], False),
        ([order("before", "bid", 1, at=4)], False),
    ):
        truth = {"orders": [order("first", "bid", 10, at=0, ended=2), *late], "fills": [bought]}
        found = increasing_orders(truth, since_ns=5)
        assert found == ([late[-1]["client_order_id"]] if is_increasing else []), late
