"""The rule of REDUCING, as the gate and the last look before the write ask it."""

from __future__ import annotations

import pytest

from framework.domain.account_events import Scope, TradingState
from framework.domain.numbers import Size
from framework.domain.orders import Side
from risk.order_proposal import passes_reducing
from tests.support.risk_view import BINARY, Exposure, StaticView

STRATEGY, ACCOUNT = frozenset({Scope.STRATEGY}), frozenset({Scope.GLOBAL})


def passes(view: StaticView, side: Side = Side.SELL, increase: int = 1_000) -> bool:
    return passes_reducing("mm", BINARY, side, Size(increase), view)


@pytest.mark.parametrize(
    ("scopes", "account", "own", "is_passed"),
    [
        (STRATEGY, 0, 1_000, True),
        (STRATEGY, -5_000, 1_000, True),
        (STRATEGY, 1_000, 999, False),
        (ACCOUNT, 0, 1_000, False),
        (ACCOUNT, 1_000, 0, True),
        (frozenset({Scope.VENUE}), 999, 1_000, False),
        (frozenset({Scope.INSTRUMENT}), 1_000, 1_000, True),
        (STRATEGY | ACCOUNT, 0, 1_000, False),
        (STRATEGY | ACCOUNT, 1_000, 0, False),
        (STRATEGY | ACCOUNT, 1_000, 1_000, True),
    ],
)
def test_order_when_scopes_are_reducing_then_each_is_judged_in_its_own_position(
    view: StaticView, scopes: frozenset[Scope], account: int, own: int, is_passed: bool
) -> None:
    view.state, view.scopes = TradingState.REDUCING, scopes
    view.account, view.own = Exposure(Size(account)), Exposure(Size(own))
    assert passes(view) is is_passed


def test_order_when_it_counts_in_the_exposure_already_then_it_is_not_counted_twice(view: StaticView) -> None:
    view.state = TradingState.REDUCING
    view.account = view.own = Exposure(Size(1_000), open_sell=Size(1_000))
    assert not passes(view)
    assert passes(view, increase=0)
    view.account = Exposure(Size(1_000), open_sell=Size(1_001))
    assert not passes(view, increase=0), "with another order of its side it could turn the position"


def test_order_when_no_scope_is_reducing_then_passes(view: StaticView) -> None:
    assert passes(view, Side.BUY)
