"""Faults that are states of the venue: slow cancels, and what strikes perpetuals."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.sandbox.engine.model import FeeModel, MarketSpec, OrderRequest, PriceBand
from connectors.sandbox.serving.faults import FAULT_KINDS, FaultRequestError
from connectors.sandbox.serving.standing_faults import StandingFaults, check_fault
from connectors.sandbox.serving.truth import truth
from connectors.sandbox.serving.venue import ServedVenue
from tests.connectors.sandbox.serving.listed import Turned, listed_venue

PERPETUAL = MarketSpec(
    market_id="BTCUSDT",
    kind="perpetual",
    price_decimals=1,
    size_decimals=3,
    bands=(PriceBand(0, 10**8, 1),),
    fees=FeeModel(formula="notional", taker_ppm=500, balance_step=1),
    cash_account="USDT",
)


class Staged:
    """A venue that can commit every fault, whose member is long one BTC of a perpetual."""

    def __init__(self) -> None:
        self.clock = Turned()
        self.venue = ServedVenue(seed=1, now_ns=self.clock, fault_kinds=FAULT_KINDS)
        self.venue.exchange.add_market(PERPETUAL, self.clock.ns)
        self.venue.open_account("member", {"USDT": 20_000 * 10**4})
        self.venue.exchange.set_mark("BTCUSDT", 600_000, now_ns=self.clock.ns)
        self.venue.counterparty.quote("BTCUSDT", bids=[], asks=[(600_000, 1_000)], now_ns=self.clock.ns)
        request = OrderRequest(account="member", market_id="BTCUSDT", side="bid", price=600_000, size=1_000)
        self.venue.exchange.submit(request, self.clock.ns)
        self.standing = StandingFaults(self.venue)

    def commit(self, **fault: Any) -> None:
        """Plan a fault and let it strike."""
        check_fault(fault, self.venue)
        self.venue.faults.add(fault)
        self.standing.apply()


def test_mark_when_it_jumps_then_the_market_has_it_and_the_fault_is_used_up() -> None:
    staged = Staged()
    staged.commit(kind="mark_jump", price="61000.5")
    assert staged.venue.exchange.state.markets["BTCUSDT"].mark_price == 610_005
    assert staged.venue.faults.listed() == []


def test_funding_when_due_now_then_a_cash_flow_of_the_member() -> None:
    staged = Staged()
    staged.commit(kind="funding_now", rate_ppm=100)
    [flow] = truth(staged.venue)["cash_flows"]
    assert (flow["kind"], flow["instrument"], flow["amount"]) == ("funding", "BTCUSDT", "-6.0000")


def test_liquidation_when_it_strikes_then_the_position_is_gone() -> None:
    staged = Staged()
    staged.commit(kind="liquidate")
    assert truth(staged.venue)["positions"][0]["size"] == "0.000"


def test_slow_cancel_when_in_force_then_the_order_is_cancelling_until_the_delay_is_over() -> None:
    staged = Staged()
    venue, now_ns = staged.venue, staged.clock.ns
    request = OrderRequest(account="member", market_id="BTCUSDT", side="bid", price=500_000, size=10)
    venue.exchange.submit(request, now_ns)
    order_id = truth(venue)["orders"][-1]["order_id"]
    staged.commit(kind="slow_cancel", delay_ms=50, for_s=1)
    venue.exchange.cancel("member", order_id, now_ns=now_ns)
    assert truth(venue)["orders"][-1]["status"] == "cancelling"
    venue.step(now_ns + 50_000_000)
    assert truth(venue)["orders"][-1]["status"] == "ended"
    staged.clock.ns += 2 * 10**9
    staged.standing.apply()
    assert venue.exchange.state.cancel_delay_ns == 0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "mark_jump"}, "price is None; give a decimal as text"),
        ({"kind": "slow_cancel", "delay_ms": "50"}, "delay_ms is '50'; give a whole number"),
        ({"kind": "pause", "scope": "all"}, "scope is 'all'; use one of trading, exchange, market"),
        ({"kind": "settle", "value": 10_001}, "value is 10001"),
    ],
)
def test_fault_when_a_parameter_is_wrong_then_its_name_and_the_remedy(fault: dict[str, Any], said: str) -> None:
    with pytest.raises(FaultRequestError) as refused:
        check_fault(fault, listed_venue())
    assert said in str(refused.value)
