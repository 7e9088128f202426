"""What an administrator can make happen at a venue, and what the neutral truth then says."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.sandbox.engine.audit_report import problems
from connectors.sandbox.serving.acts import ActRequestError, perform
from connectors.sandbox.serving.truth import truth
from connectors.sandbox.serving.venue import ServedVenue
from tests.connectors.sandbox.serving.listed import listed_venue


def do(venue: ServedVenue, act: str, **fields: Any) -> dict[str, Any]:
    answer = perform(venue, {"act": act} | fields)
    venue.publish_events()
    return answer


def order(venue: ServedVenue, **changes: Any) -> str:
    fields = {"instrument": "BTC_USDC", "side": "buy", "price": "30000", "size": "0.5"} | changes
    return str(do(venue, "order", **fields)["order_id"])


def test_quote_when_it_comes_again_then_it_replaces_what_rested() -> None:
    venue = listed_venue()
    do(venue, "quote", instrument="BTC_USDC", bids=[["29999.5", "1"]], asks=[["30000.5", "1"]])
    do(venue, "quote", instrument="BTC_USDC", bids=[["29990", "2"]], asks=[])
    book = venue.exchange.state.books["BTC_USDC"]
    assert (book.best("bid"), book.best("ask")) == (2_999_000, None)


def test_trade_when_the_member_rests_then_it_is_filled_as_maker_and_written_in_decimals() -> None:
    venue = listed_venue()
    name = order(venue, client_order_id="mine")
    assert do(venue, "trade", instrument="BTC_USDC", side="sell", price="29000", size="0.2")["filled"] == "0.2000"
    said = truth(venue)
    [shown] = said["orders"]
    assert (shown["order_id"], shown["status"], shown["filled"], shown["cost"]) == (
        name,
        "open",
        "0.2000",
        "6000.000000",
    )
    assert (shown["client_order_id"], shown["side"], shown["is_own"]) == ("mine", "buy", False)
    [fill] = said["fills"]
    assert (fill["price"], fill["size"], fill["is_maker"], fill["is_listed"]) == ("30000.00", "0.2000", True, True)
    assert said["positions"] == [{"account": "member", "instrument": "BTC_USDC", "size": "0.2000"}]
    held = {one["currency"]: (one["total"], one["locked"]) for one in said["balances"]}
    assert held["USDC"] == ("94000.000000", "9000.000000")
    assert held["BTC"][0] == "2.2000"
    assert problems(venue.exchange) == []


def test_cancel_when_the_order_rests_then_it_has_ended() -> None:
    venue = listed_venue()
    do(venue, "cancel", order_id=order(venue))
    assert truth(venue)["orders"][0]["status"] == "ended"


def test_deposit_when_made_then_the_balance_has_it_and_everything_adds_up() -> None:
    venue = listed_venue()
    do(venue, "deposit", currency="USDC", amount="-0.5")
    held = {one["currency"]: one["total"] for one in truth(venue)["balances"]}
    assert held["USDC"] == "99999.500000"
    [flow] = truth(venue)["cash_flows"]
    assert (flow["kind"], flow["currency"], flow["amount"]) == ("transfer", "USDC", "-0.500000")
    assert problems(venue.exchange) == []


def test_market_when_paused_closed_and_settled_then_its_status_follows() -> None:
    venue = listed_venue()
    for act, status in (("pause", "inactive"), ("resume", "active"), ("close", "closed")):
        do(venue, act, instrument="TIDE")
        assert venue.exchange.state.markets["TIDE"].status == status
    do(venue, "settle", instrument="TIDE", value="1")
    assert venue.exchange.state.markets["TIDE"].settle_value == 10_000


def test_quiet_when_asked_then_the_flow_leaves_the_books_empty_and_never_acts_again() -> None:
    venue = listed_venue()
    venue.start_flow(50, {"BTC_USDC": 3_000_000})
    now_ns = venue.clock.engine_ns()
    for second in range(1, 4):
        venue.step(now_ns + second * 10**9)
    book = venue.exchange.state.books["BTC_USDC"]
    assert book.best("bid") is not None
    do(venue, "quiet")
    acted = venue.flow.actions
    venue.step(now_ns + 9 * 10**9)
    assert (book.best("bid"), book.best("ask"), venue.flow.actions) == (None, None, acted)


@pytest.mark.parametrize(
    ("act", "fields", "said"),
    [
        ("jump", {}, "act is 'jump'; use one of quiet, quote"),
        ("trade", {"instrument": "BTC"}, "instrument is 'BTC'; use one that is listed, such as BTC_USDC"),
        ("trade", {"instrument": "TIDE", "side": "bid", "price": "1", "size": "1"}, "side is 'bid'; use buy or sell"),
        ("trade", {"instrument": "TIDE", "side": "buy", "price": 1, "size": "1"}, "price is 1; give a decimal as text"),
        ("quote", {"instrument": "TIDE", "bids": "x"}, "bids is 'x'; give a list of"),
        ("quote", {"instrument": "TIDE", "bids": [["0.005", "1"]]}, "invalid_price"),
        ("cancel", {"order_id": "none"}, "not_found: none"),
        ("cancel", {}, "order_id is None; give a string"),
        ("mark", {"instrument": "TIDE", "price": "0.5"}, "has no mark price"),
        ("deposit", {"currency": "EUR", "amount": "1"}, "currency is 'EUR'"),
        ("deposit", {"currency": "USD", "amount": "-101"}, "insufficient_balance"),
        ("order", {"instrument": "TIDE", "time_in_force": "day"}, "time_in_force is 'day'; use one of gtc, ioc, fok"),
        ("order", {"instrument": "TIDE", "account": "rival"}, "account is 'rival'; use one of member"),
    ],
)
def test_act_when_described_wrongly_then_the_field_and_the_remedy(act: str, fields: dict[str, Any], said: str) -> None:
    filled = {"side": "buy", "price": "0.5", "size": "1"} | fields if act == "order" else fields
    with pytest.raises(ActRequestError) as refused:
        do(listed_venue(), act, **filled)
    assert said in str(refused.value)


def test_hidden_fill_when_it_strikes_then_reads_leave_it_out_and_the_truth_says_so() -> None:
    venue = listed_venue()
    venue.faults.add({"kind": "hidden_fill", "match": {"role": "maker"}})
    order(venue)
    for _ in range(2):
        do(venue, "trade", instrument="BTC_USDC", side="sell", price="29000", size="0.1")
    assert [one["is_listed"] for one in truth(venue)["fills"]] == [False, True]
    assert len(venue.reads.fills(["member"], venue.clock.engine_ns())) == 1
