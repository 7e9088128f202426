"""The order rules, one by one, through the exchange's door."""

import pytest

from connectors.sandbox.engine.events import BookChange, FillEvent, OrderChange, TradePrint
from connectors.sandbox.engine.model import Accepted, MarketSpec, Rejection
from tests.connectors.sandbox.engine.venue import START_NS, Venue


def test_order_when_nothing_crosses_then_it_rests(venue: Venue) -> None:
    order = venue.order("A", "bid", 48, 10)
    assert (order.status, order.filled, order.remaining) == ("open", 0, 1000)
    assert venue.levels("bid") == [(4800, 1000)]


def test_taker_when_it_crosses_then_it_trades_at_the_resting_price(venue: Venue) -> None:
    venue.order("A", "ask", 52, 3)
    assert venue.fills("B", "bid", 99, 1, tif="ioc") == [(5200, 100)]
    assert (venue.net("A"), venue.net("B")) == (-100, 100)
    venue.assert_sound()


def test_taker_when_several_levels_cross_then_best_price_first_and_oldest_first(venue: Venue) -> None:
    second = venue.order("A", "ask", 53, 1)
    first = venue.order("A", "ask", 52, 1)
    third = venue.order("C", "ask", 53, 1)
    assert venue.fills("B", "bid", 53, 2.5) == [(5200, 100), (5300, 100), (5300, 50)]
    assert [order.reason for order in (first, second, third)] == ["filled", "filled", "traded"]
    assert third.remaining == 50


def test_good_till_canceled_when_partly_filled_then_the_rest_rests(venue: Venue) -> None:
    venue.order("A", "ask", 52, 3)
    order = venue.order("B", "bid", 52, 10)
    assert (order.status, order.filled, order.remaining, order.reason) == ("open", 300, 700, "traded")
    assert venue.levels("bid") == [(5200, 700)]


def test_immediate_or_cancel_when_partly_filled_then_the_rest_is_canceled(venue: Venue) -> None:
    venue.order("A", "ask", 52, 3)
    order = venue.order("B", "bid", 52, 10, tif="ioc")
    assert (order.reason, order.filled, order.remaining, order.initial) == ("unfilled", 300, 0, 1000)
    assert venue.levels("bid") == []


def test_fill_or_kill_when_it_cannot_fill_whole_then_it_is_refused_and_nothing_trades(venue: Venue) -> None:
    venue.order("A", "ask", 52, 3)
    assert venue.refusal("B", "bid", 52, 4, tif="fok") == "fok_unfillable"
    assert venue.levels("ask") == [(5200, 300)]
    assert venue.fills("B", "bid", 52, 3, tif="fok") == [(5200, 300)]


def test_post_only_when_it_would_cross_then_it_is_refused(venue: Venue) -> None:
    venue.order("A", "ask", 52, 3)
    answer = venue.send("B", "bid", 52, 1, post_only=True)
    assert answer == Rejection("post_only_crosses", "post only cross")
    assert venue.order("B", "bid", 51, 1, post_only=True).status == "open"


def test_self_trade_when_taker_at_cross_then_the_taker_ends_and_the_resting_order_is_untouched(venue: Venue) -> None:
    mine = venue.order("A", "bid", 48, 1)
    order = venue.order("A", "ask", 48, 1)
    assert (order.status, order.filled, order.remaining, order.reason) == ("ended", 0, 0, "self_trade")
    assert (mine.status, mine.remaining) == ("open", 100)


def test_self_trade_when_taker_at_cross_then_fills_before_the_own_order_stand(venue: Venue) -> None:
    venue.order("B", "bid", 49, 1)
    venue.order("A", "bid", 48, 1)
    order = venue.order("A", "ask", 48, 3)
    assert (order.status, order.filled) == ("ended", 100)
    assert venue.levels("ask") == []


def test_self_trade_when_maker_mode_then_the_own_resting_order_ends_and_the_taker_goes_on(venue: Venue) -> None:
    mine = venue.order("A", "bid", 49, 1)
    venue.order("B", "bid", 48, 2)
    order = venue.order("A", "ask", 48, 3, self_trade="maker")
    assert (mine.status, mine.reason) == ("ended", "self_trade")
    assert (order.filled, order.remaining, order.status) == (200, 100, "open")


def test_reduce_only_when_not_immediate_then_it_is_refused(venue: Venue) -> None:
    assert venue.refusal("A", "bid", 50, 1, reduce_only=True) == "invalid_order"


def test_reduce_only_when_there_is_nothing_to_reduce_then_it_is_accepted_and_canceled(venue: Venue) -> None:
    venue.order("A", "ask", 52, 3)
    order = venue.order("B", "bid", 52, 1, reduce_only=True, tif="ioc")
    assert (order.status, order.reason, order.filled) == ("ended", "reduce_only", 0)


def test_reduce_only_when_larger_than_the_position_then_it_is_capped(venue: Venue) -> None:
    venue.order("A", "ask", 52, 3)
    venue.order("B", "bid", 52, 2)
    venue.order("C", "bid", 50, 10)
    order = venue.order("B", "ask", 50, 5, reduce_only=True, tif="ioc")
    assert (order.filled, order.status, order.reason) == (200, "ended", "reduce_only")
    assert venue.net("B") == 0
    venue.assert_sound()


def test_client_order_id_when_used_before_then_it_is_refused_for_ever_per_account(venue: Venue) -> None:
    order = venue.order("A", "bid", 48, 1, client_order_id="x")
    assert venue.refusal("A", "bid", 47, 1, client_order_id="x") == "client_id_used"
    venue.cancel(order)
    assert venue.refusal("A", "bid", 47, 1, client_order_id="x") == "client_id_used"
    assert venue.order("B", "bid", 47, 1, client_order_id="x").status == "open"


def test_client_order_id_when_the_order_was_refused_then_it_is_still_free(venue: Venue) -> None:
    assert venue.refusal("A", "bid", 48.5, 1, client_order_id="x") == "invalid_price"
    assert venue.order("A", "bid", 48, 1, client_order_id="x").status == "open"


@pytest.mark.parametrize("cents", [0, 100, 48.5, -1, 150])
def test_price_when_off_the_grid_or_outside_zero_to_one_then_it_is_refused(venue: Venue, cents: float) -> None:
    assert venue.refusal("A", "bid", cents, 1) == "invalid_price"


@pytest.mark.parametrize("contracts", [0, -1])
def test_size_when_not_above_zero_then_it_is_refused(venue: Venue, contracts: float) -> None:
    assert venue.refusal("A", "bid", 48, contracts) == "invalid_size"


def test_size_when_off_the_markets_step_then_it_is_refused() -> None:
    venue = Venue(MarketSpec(market_id="M", size_step=100))
    assert venue.refusal("A", "bid", 48, 1.5) == "invalid_size"


def test_expiration_when_past_or_with_another_time_in_force_then_it_is_refused(venue: Venue) -> None:
    assert venue.refusal("A", "bid", 48, 1, expiration_ns=START_NS - 1) == "invalid_expiry"
    assert venue.refusal("A", "bid", 48, 1, tif="ioc", expiration_ns=START_NS * 2) == "invalid_expiry"


def test_order_when_market_or_account_is_unknown_then_it_is_refused(venue: Venue) -> None:
    assert venue.refusal("A", "bid", 48, 1, market_id="X") == "market_not_found"
    assert venue.refusal("Z", "bid", 48, 1) == "account_not_found"


def test_cancel_when_resting_then_it_ends_and_says_what_it_took_off(venue: Venue) -> None:
    order = venue.order("A", "bid", 48, 2)
    answer = venue.cancel(order)
    assert isinstance(answer, Accepted)
    assert answer.reduced == 200
    assert (order.status, order.remaining, order.initial) == ("ended", 0, 200)
    assert venue.levels("bid") == []


def test_cancel_when_finished_unknown_or_foreign_then_not_found(venue: Venue) -> None:
    order = venue.order("A", "bid", 48, 2)
    assert venue.exchange.cancel("B", order.order_id, now_ns=venue.tick()) == Rejection("not_found")
    venue.cancel(order)
    assert venue.cancel(order) == Rejection("not_found")
    assert venue.exchange.cancel("A", "nothing", now_ns=venue.tick()) == Rejection("not_found")


def test_cancel_all_when_asked_then_only_the_accounts_own_orders_end(venue: Venue) -> None:
    venue.order("A", "bid", 48, 2)
    venue.order("A", "ask", 52, 2)
    other = venue.order("B", "bid", 47, 2)
    assert len(venue.exchange.cancel_all("A", venue.tick())) == 2
    assert other.status == "open"
    assert venue.available("A") == 1_000_000_000


def test_decrease_when_less_than_remaining_then_the_place_in_the_queue_is_kept(venue: Venue) -> None:
    first = venue.order("A", "bid", 48, 5)
    second = venue.order("B", "bid", 48, 5)
    answer = venue.exchange.decrease("A", first.order_id, now_ns=venue.tick(), reduce_by=200)
    assert isinstance(answer, Accepted)
    assert (first.remaining, first.reason) == (300, "decreased")
    book = venue.exchange.state.books["M"]
    assert (book.queue_ahead(first), book.queue_ahead(second)) == (0, 300)


def test_decrease_when_to_nothing_then_the_order_is_canceled(venue: Venue) -> None:
    order = venue.order("A", "bid", 48, 5)
    answer = venue.exchange.decrease("A", order.order_id, now_ns=venue.tick(), reduce_to=0)
    assert isinstance(answer, Accepted)
    assert (answer.reduced, order.status) == (500, "ended")


@pytest.mark.parametrize(
    ("sizes", "code"),
    [
        ({}, "invalid_request"),
        ({"reduce_by": 1, "reduce_to": 1}, "invalid_request"),
        ({"reduce_by": 600}, "invalid_size"),
        ({"reduce_to": 500}, "invalid_size"),
    ],
)
def test_decrease_when_sizes_are_invalid_then_it_is_refused(venue: Venue, sizes: dict[str, int], code: str) -> None:
    order = venue.order("A", "bid", 48, 5)
    answer = venue.exchange.decrease("A", order.order_id, now_ns=venue.tick(), **sizes)
    assert isinstance(answer, Rejection)
    assert answer.code == code
    assert order.remaining == 500


def test_events_when_orders_trade_then_book_tape_and_private_events_agree(venue: Venue) -> None:
    maker = venue.order("A", "ask", 52, 3, client_order_id="m")
    venue.exchange.drain()
    taker = venue.order("B", "bid", 52, 1, tif="ioc")
    events = venue.exchange.drain()
    (change,) = [event for event in events if isinstance(event, BookChange)]
    (trade,) = [event for event in events if isinstance(event, TradePrint)]
    fills = [event.fill for event in events if isinstance(event, FillEvent)]
    orders = [event.order for event in events if isinstance(event, OrderChange)]
    assert (change.side, change.price, change.delta, change.total) == ("ask", 5200, -100, 200)
    assert (change.account, change.client_order_id) == ("A", "m")
    assert (trade.price, trade.size, trade.taker_side, trade.clock) == (5200, 100, "bid", change.clock)
    assert {(fill.trade_id, fill.order_id, fill.is_taker, fill.position) for fill in fills} == {
        (trade.trade_id, maker.order_id, False, -100),
        (trade.trade_id, taker.order_id, True, 100),
    }
    assert [(order.order_id, order.status) for order in orders] == [
        (maker.order_id, "open"),
        (taker.order_id, "ended"),
    ]
    assert venue.exchange.drain() == []


def test_events_when_summed_then_they_rebuild_the_book(venue: Venue) -> None:
    for account, side, cents, contracts in (
        ("A", "ask", 52, 3),
        ("B", "bid", 50, 4),
        ("C", "bid", 53, 5),
        ("A", "ask", 50, 1),
    ):
        venue.order(account, side, cents, contracts)
    book: dict[tuple[str, int], int] = {}
    for change in venue.events(BookChange):
        key = (change.side, change.price)
        book[key] = book.get(key, 0) + change.delta
        assert book[key] == change.total
    rebuilt = sorted((side, price, total) for (side, price), total in book.items() if total)
    assert rebuilt == sorted((side, price, total) for side in ("bid", "ask") for price, total in venue.levels(side))


def test_clock_when_a_market_changes_then_it_never_goes_back(venue: Venue) -> None:
    venue.order("A", "ask", 52, 3)
    venue.order("B", "bid", 53, 5)
    venue.exchange.cancel_all("B", venue.tick())
    clocks = [change.clock for change in venue.events(BookChange)]
    assert clocks == sorted(clocks)
    assert venue.exchange.state.markets["M"].clock == clocks[-1]


def test_time_when_an_act_comes_with_an_older_time_then_the_engine_does_not_go_back(venue: Venue) -> None:
    venue.order("A", "bid", 48, 1)
    venue.now_ns = START_NS - 5_000_000
    order = venue.order("A", "bid", 47, 1)
    assert order.arrival_ns >= START_NS


def test_market_and_account_when_named_twice_then_it_is_an_error(venue: Venue) -> None:
    with pytest.raises(ValueError, match="M is listed already"):
        venue.exchange.add_market(MarketSpec(market_id="M"), START_NS)
    with pytest.raises(ValueError, match="account A exists already"):
        venue.exchange.add_account("A", {})
