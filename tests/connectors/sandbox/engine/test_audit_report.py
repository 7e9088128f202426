"""The report of the exchange's state and history, and the check that everything adds up."""

import json

from connectors.sandbox.engine import audit_report
from connectors.sandbox.engine.events import OrderChange
from tests.connectors.sandbox.engine.venue import DOLLAR, Venue


def test_report_when_orders_came_and_went_then_all_are_there_with_their_final_state(venue: Venue) -> None:
    maker = venue.order("A", "ask", 52, 3, client_order_id="m")
    taker = venue.order("B", "bid", 52, 1, tif="ioc", client_order_id="t")
    gone = venue.order("B", "bid", 40, 1, client_order_id="g")
    venue.cancel(gone)
    report = json.loads(json.dumps(audit_report.report(venue.exchange)))
    states = {order["client_order_id"]: (order["status"], order["filled"]) for order in report["orders"]}
    assert states == {"m": ("open", 100), "t": ("ended", 100), "g": ("ended", 0)}
    assert [order["arrival_ns"] for order in report["orders"]] == [o.arrival_ns for o in (maker, taker, gone)]
    assert {fill["account"]: fill["position"] for fill in report["fills"]} == {"A": -100, "B": 100}
    assert report["positions"]["B"]["M"]["net"] == 100
    assert report["balances"]["B"]["cash"]["USD"] == 1_000 * DOLLAR - 537_500
    assert report["problems"] == []


def test_report_when_a_request_was_refused_then_it_is_not_there(venue: Venue) -> None:
    venue.refusal("A", "bid", 48.5, 1, client_order_id="x")
    assert audit_report.report(venue.exchange)["orders"] == []


def test_report_when_internal_accounts_trade_then_they_are_left_out_and_forgotten(venue: Venue) -> None:
    venue.exchange.add_account("robot", {"USD": 1_000 * DOLLAR}, internal=True)
    venue.order("robot", "ask", 52, 1)
    venue.order("robot", "bid", 40, 1)
    venue.order("B", "bid", 52, 1)
    report = audit_report.report(venue.exchange)
    assert {order["account"] for order in report["orders"]} == {"B"}
    assert {fill["account"] for fill in report["fills"]} == {"B"}
    assert "robot" not in report["balances"]
    assert {change.order.account for change in venue.events(OrderChange)} == {"B"}
    venue.exchange.cancel_all("robot", venue.tick())
    assert [order.account for order in venue.exchange.ledger.orders.values()] == ["B"]
    assert venue.exchange.ledger.orders_of("robot") == []


def test_problems_when_money_appears_then_the_cash_account_is_named(venue: Venue) -> None:
    account = venue.exchange.state.accounts["A"]
    account.cash["USD"] += 1
    assert any(line.startswith("cash account USD") for line in audit_report.problems(venue.exchange))


def test_problems_when_open_interest_is_wrong_then_the_market_is_named(venue: Venue) -> None:
    venue.order("A", "ask", 52, 1)
    venue.order("B", "bid", 52, 1)
    venue.exchange.state.markets["M"].open_interest = 0
    assert any("M: open interest" in line for line in audit_report.problems(venue.exchange))
