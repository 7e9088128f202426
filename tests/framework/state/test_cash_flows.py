from __future__ import annotations

import pytest

from framework.domain.account_events import CashFlow, CashFlowKind, InstrumentDefined
from framework.domain.orders import Side
from framework.state import cash_flows
from framework.state.accounts import Accounts
from framework.state.cash_flows import CashFlows
from framework.state.positions import Positions
from tests.support.state_records import INSTRUMENT, MARKET, VENUE, fill, new


def flow(
    name: str, amount: int, *, decimals: int = 2, kind: CashFlowKind = CashFlowKind.FUNDING, at: int = 1
) -> CashFlow:
    return CashFlow(
        venue=VENUE,
        flow_id=name,
        kind=kind,
        currency="USD",
        amount=amount,
        decimals=decimals,
        ts_venue=at,
        ts_recv=at,
        instrument=MARKET,
    )


def holding() -> Accounts:
    """Three strategies: 2 of 3 long, 1 of 3 long, and none."""
    accounts = Accounts()
    records = (
        InstrumentDefined(INSTRUMENT, 1),
        new("c1"),
        new("c2", strategy="taker"),
        fill("f1", name="c1", size=2),
        fill("f2", name="c2", size=1),
    )
    for record in records:
        accounts.apply(record, 1)
    return accounts


def test_flow_when_reported_twice_then_it_counts_once() -> None:
    accounts = holding()
    assert accounts.apply(flow("a", -100), 2).flows == (flow("a", -100),)
    assert accounts.apply(flow("a", -100), 3).flows == ()
    total = accounts.cash_flows.total(VENUE, "USD", CashFlowKind.FUNDING)
    assert (total.amount, total.decimals) == (-100, 2)


def test_flows_when_of_different_scales_then_the_sum_is_exact() -> None:
    accounts = holding()
    accounts.apply(flow("a", -1), 2)
    accounts.apply(flow("b", 1, decimals=8), 2)
    total = accounts.cash_flows.total(VENUE, "USD", CashFlowKind.FUNDING)
    assert (total.amount, total.decimals) == (-999_999, 8)
    assert accounts.positions.account(MARKET).funding == total.as_money(INSTRUMENT.money_decimals)


def test_funding_when_strategies_hold_parts_then_each_has_its_part_and_the_account_the_whole() -> None:
    accounts = holding()
    accounts.apply(flow("a", -100), 2)
    scale = 10 ** (INSTRUMENT.money_decimals - 2)
    assert accounts.positions.account(MARKET).funding == -100 * scale
    assert accounts.positions.of_strategy("maker", MARKET).funding == -66 * scale
    assert accounts.positions.of_strategy("taker", MARKET).funding == -33 * scale


def test_funding_when_a_strategy_is_on_the_other_side_then_it_gets_what_the_others_pay() -> None:
    accounts = holding()
    accounts.apply(new("c3", side=Side.SELL, strategy="hedge"), 1)
    accounts.apply(fill("f3", name="c3", side=Side.SELL, size=1), 1)
    accounts.apply(flow("a", -100), 2)
    assert accounts.positions.of_strategy("hedge", MARKET).funding > 0


@pytest.mark.parametrize("kind", [CashFlowKind.TRANSFER, CashFlowKind.FEE])
def test_flow_when_it_is_no_funding_then_no_position_shows_it(kind: CashFlowKind) -> None:
    accounts = holding()
    accounts.apply(flow("a", -100, kind=kind), 2)
    assert accounts.positions.account(MARKET).funding == 0
    assert accounts.cash_flows.total(VENUE, "USD", kind).amount == -100


def test_flows_when_restored_from_a_snapshot_then_they_go_on_alike() -> None:
    accounts = holding()
    accounts.apply(flow("a", -100), 2)
    again = Accounts.from_snapshot(accounts.to_snapshot())
    assert again.digest() == accounts.digest()
    assert again.positions.account(MARKET).funding == accounts.positions.account(MARKET).funding != 0
    assert again.apply(flow("a", -100), 3).flows == ()
    assert again.digest() == accounts.digest()


def test_flow_when_as_old_as_a_forgotten_one_then_it_is_not_booked() -> None:
    flows, positions = CashFlows(kept_max=1), Positions()
    assert flows.apply(flow("a", 1, at=5), positions, 2)
    assert flows.apply(flow("b", 1, at=6), positions, 2)
    assert not flows.apply(flow("a", 1, at=5), positions, 2)
    assert flows.apply(flow("c", 1, at=6), positions, 2)
    assert cash_flows.FLOWS_KEPT_MAX == 10_000
