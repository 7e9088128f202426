"""Faults that only a venue with perpetuals can commit, and cancels that take their time."""

from typing import Any

import pytest

from connectors.sandbox.engine.model import FeeModel, MarketSpec, Order, OrderRequest, PriceBand
from connectors.sandbox.serving.faults import FAULT_KINDS, FaultRequestError
from connectors.sandbox.serving.standing_faults import StandingFaults, check_fault
from connectors.sandbox.serving.truth import truth
from connectors.sandbox.serving.venue import ServedVenue
from tests.connectors.sandbox.serving.listed import Turned

PERPETUALS = [
    MarketSpec(
        market_id=name,
        kind="perpetual",
        price_decimals=1,
        size_decimals=3,
        bands=(PriceBand(0, 10**8, 1),),
        fees=FeeModel("notional", taker_ppm=500, maker_ppm=200, rounding="up"),
        cash_account="USDT",
    )
    for name in ("BTCUSDT", "ETHUSDT")
]


class Stage:
    """A venue whose member is long one coin of each perpetual at 63,000.0, and its standing faults."""

    def __init__(self) -> None:
        self.clock = Turned()
        self.venue = ServedVenue(seed=1, now_ns=self.clock, fault_kinds=FAULT_KINDS)
        self.venue.open_account("member", {"USDT": 100_000 * 10**4})
        self.faults = StandingFaults(self.venue)
        for spec in PERPETUALS:
            self.venue.exchange.add_market(spec, self.clock.ns)
            self.venue.exchange.set_mark(spec.market_id, 630_000, now_ns=self.clock.ns)
            self.venue.counterparty.quote(spec.market_id, bids=[], asks=[(630_000, 1_000)], now_ns=self.clock.ns)
            self.order(spec.market_id, 630_000)

    def order(self, market_id: str, price: int) -> Order:
        """A bid of the member for one coin."""
        request = OrderRequest(account="member", market_id=market_id, side="bid", price=price, size=1_000)
        self.venue.exchange.submit(request, self.clock.ns)
        return self.venue.exchange.ledger.orders_of("member")[-1]

    def strike(self, **description: Any) -> None:
        """Plan a fault as the administrator would, and apply the plan."""
        check_fault(description, self.venue)
        self.venue.faults.add(description)
        self.faults.apply()

    def net(self, market_id: str) -> int:
        """The member's position."""
        return self.venue.exchange.state.accounts["member"].position(market_id).net


def test_mark_jump_when_it_names_an_instrument_then_only_its_mark_moves() -> None:
    stage = Stage()
    stage.strike(kind="mark_jump", instrument="ETHUSDT", price="64000.5")
    markets = stage.venue.exchange.state.markets
    assert (markets["BTCUSDT"].mark_price, markets["ETHUSDT"].mark_price) == (630_000, 640_005)
    stage.faults.apply()
    assert stage.venue.faults.listed() == []


def test_mark_jump_when_it_is_deep_then_the_member_is_liquidated() -> None:
    stage = Stage()
    stage.strike(kind="mark_jump", price="56000", match={"market": "BTC*"})
    assert (stage.net("BTCUSDT"), stage.net("ETHUSDT")) == (0, 1_000)


def test_funding_now_when_it_strikes_then_the_cash_flow_is_in_the_truth() -> None:
    stage = Stage()
    stage.strike(kind="funding_now", instrument="BTCUSDT", rate_ppm=100)
    (flow,) = truth(stage.venue)["cash_flows"]
    assert (flow["kind"], flow["instrument"], flow["currency"]) == ("funding", "BTCUSDT", "USDT")
    assert flow["amount"] == "-6.3000"


def test_liquidate_when_it_strikes_then_the_position_is_gone_and_the_fill_is_not_listed() -> None:
    stage = Stage()
    stage.strike(kind="liquidate", instrument="BTCUSDT")
    assert (stage.net("BTCUSDT"), stage.net("ETHUSDT")) == (0, 1_000)
    shown = truth(stage.venue)
    assert [fill["is_listed"] for fill in shown["fills"]] == [True, True, False]
    assert [flow["kind"] for flow in shown["cash_flows"]] == ["liquidation"]


def test_slow_cancel_when_in_force_then_a_cancel_ends_the_order_later() -> None:
    stage = Stage()
    stage.strike(kind="slow_cancel", delay_ms=500, for_s=60)
    order = stage.order("BTCUSDT", 600_000)
    stage.venue.exchange.cancel("member", order.order_id, now_ns=stage.clock.ns)
    assert truth(stage.venue)["orders"][-1]["status"] == "cancelling"
    stage.clock.ns += 500_000_000
    stage.venue.step(stage.clock.ns)
    assert truth(stage.venue)["orders"][-1]["status"] == "ended"
    stage.venue.faults.clear()
    stage.faults.apply()
    assert stage.venue.exchange.state.cancel_delay_ns == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "mark_jump"}, "price is None"),
        ({"kind": "mark_jump", "price": "dear"}, "price is 'dear'"),
        ({"kind": "funding_now", "rate_ppm": "1"}, "rate_ppm is '1'"),
    ],
)
def test_fault_when_its_fields_are_wrong_then_it_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(FaultRequestError, match=said):
        Stage().strike(**wrong)
