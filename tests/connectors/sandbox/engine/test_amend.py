"""Amending: what keeps the place in the queue, what trades, what is refused."""

from typing import Any

import pytest

from connectors.sandbox.engine.model import Accepted, Rejection
from tests.connectors.sandbox.engine.venue import START_NS, Venue


@pytest.mark.parametrize(
    ("cents", "contracts", "ahead"),
    [(48, 3, 0), (48, 5, 0), (48, 6, 500), (49, 5, 0), (47, 5, 500)],
    ids=["smaller keeps", "same keeps", "larger goes back", "better price leads", "worse price trails"],
)
def test_amend_when_price_or_size_change_then_priority_follows_the_rule(
    venue: Venue, cents: float, contracts: float, ahead: int
) -> None:
    order = venue.order("A", "bid", 48, 5)
    venue.order("B", "bid", 48, 5)
    assert isinstance(venue.amend(order, cents, contracts), Accepted)
    assert (order.price, order.remaining, order.reason) == (cents * 100, contracts * 100, "amended")
    assert venue.exchange.state.books["M"].queue_ahead(order) == ahead
    venue.assert_sound()


def test_amend_when_partly_filled_then_the_count_is_the_total(venue: Venue) -> None:
    order = venue.order("A", "bid", 48, 5)
    venue.order("B", "ask", 48, 2)
    assert isinstance(venue.amend(order, 48, 4), Accepted)
    assert (order.filled, order.remaining, order.initial) == (200, 200, 400)


@pytest.mark.parametrize("contracts", [2, 1])
def test_amend_when_the_total_leaves_nothing_to_rest_then_it_is_refused(venue: Venue, contracts: float) -> None:
    order = venue.order("A", "bid", 48, 5)
    venue.order("B", "ask", 48, 2)
    answer = venue.amend(order, 48, contracts)
    assert isinstance(answer, Rejection)
    assert answer.code == "invalid_size"


def test_amend_when_it_crosses_then_it_trades_at_once(venue: Venue) -> None:
    venue.order("B", "ask", 52, 2)
    order = venue.order("A", "bid", 48, 5)
    answer = venue.amend(order, 52, 5)
    assert isinstance(answer, Accepted)
    assert [(fill.price, fill.size, fill.is_taker) for fill in answer.fills] == [(5200, 200, True)]
    assert (order.filled, order.remaining, order.status) == (200, 300, "open")
    assert venue.levels("bid") == [(5200, 300)]
    venue.assert_sound()


def test_amend_when_post_only_would_cross_then_it_is_refused_and_unchanged(venue: Venue) -> None:
    venue.order("B", "ask", 52, 2)
    order = venue.order("A", "bid", 48, 5, post_only=True)
    assert venue.amend(order, 52, 5) == Rejection("post_only_crosses", "post only cross")
    assert (order.price, order.remaining) == (4800, 500)


def test_amend_when_a_decrease_came_before_then_growing_back_loses_the_place(venue: Venue) -> None:
    order = venue.order("A", "bid", 48, 5)
    venue.order("B", "bid", 48, 5)
    venue.exchange.decrease("A", order.order_id, now_ns=venue.tick(), reduce_by=200)
    assert isinstance(venue.amend(order, 48, 5), Accepted)
    assert venue.exchange.state.books["M"].queue_ahead(order) == 500
    assert order.remaining == 500


def test_amend_when_only_the_expiry_changes_then_it_expires_then(venue: Venue) -> None:
    order = venue.order("A", "bid", 48, 5)
    assert isinstance(venue.amend(order, 48, 5, expiration_ns=venue.now_ns + 10_000_000), Accepted)
    venue.exchange.advance(venue.tick(20))
    assert (order.status, order.reason) == ("ended", "expired")


def test_amend_when_the_expiry_is_cleared_then_it_no_longer_expires(venue: Venue) -> None:
    order = venue.order("A", "bid", 48, 5, expiration_ns=venue.now_ns + 10_000_000)
    assert isinstance(venue.amend(order, 48, 5, expiration_ns=0), Accepted)
    venue.exchange.advance(venue.tick(20))
    assert order.status == "open"


def test_amend_when_the_client_id_is_renewed_then_old_and_new_are_both_used(venue: Venue) -> None:
    order = venue.order("A", "bid", 48, 5, client_order_id="old")
    assert isinstance(venue.amend(order, 48, 5, client_order_id="old", new_client_order_id="new"), Accepted)
    assert order.client_order_id == "new"
    for used in ("old", "new"):
        assert venue.refusal("A", "bid", 40, 1, client_order_id=used) == "client_id_used"


def test_amend_when_the_new_client_id_is_taken_then_it_is_refused(venue: Venue) -> None:
    venue.order("A", "bid", 47, 1, client_order_id="taken")
    order = venue.order("A", "bid", 48, 5, client_order_id="mine")
    assert venue.amend(order, 48, 4, new_client_order_id="taken") == Rejection("client_id_used")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"market_id": "N"}, "market_mismatch"),
        ({"side": "ask"}, "side_mismatch"),
        ({"client_order_id": "other"}, "client_id_mismatch"),
        ({"expiration_ns": START_NS}, "invalid_expiry"),
        ({"account": "B"}, "not_found"),
    ],
)
def test_amend_when_it_contradicts_the_order_then_it_is_refused(venue: Venue, wrong: dict[str, Any], code: str) -> None:
    order = venue.order("A", "bid", 48, 5, client_order_id="mine")
    answer = venue.amend(order, 47, 4, **wrong)
    assert isinstance(answer, Rejection)
    assert answer.code == code
    assert (order.price, order.remaining) == (4800, 500)


def test_amend_when_the_balance_does_not_cover_it_then_it_is_refused(venue: Venue) -> None:
    order = venue.order("A", "bid", 50, 1_000)
    assert venue.amend(order, 50, 2_001) == Rejection("insufficient_balance")
    assert isinstance(venue.amend(order, 50, 2_000), Accepted)


def test_amend_when_off_the_grid_then_it_is_refused(venue: Venue) -> None:
    order = venue.order("A", "bid", 50, 1)
    assert venue.amend(order, 50.5, 1) == Rejection("invalid_price")
