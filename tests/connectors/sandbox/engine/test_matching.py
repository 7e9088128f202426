"""The book by itself: who is hit next, what rests where."""

import pytest

from connectors.sandbox.engine.matching import Book
from connectors.sandbox.engine.model import Order, Side


def resting(order_id: str, side: Side, price: int, size: int, *, account: str = "A") -> Order:
    return Order(
        order_id=order_id,
        client_order_id="",
        account=account,
        market_id="M",
        side=side,
        price=price,
        initial=size,
        remaining=size,
        tif="gtc",
        self_trade="taker_at_cross",
        post_only=False,
        reduce_only=False,
        expiration_ns=0,
        group_id="",
        cancel_on_pause=False,
        arrival_ns=0,
        updated_ns=0,
    )


@pytest.fixture
def book() -> Book:
    book = Book()
    for order in (
        resting("b1", "bid", 40, 5),
        resting("b2", "bid", 45, 7),
        resting("b3", "bid", 45, 2),
        resting("a1", "ask", 50, 4, account="B"),
        resting("a2", "ask", 48, 3),
    ):
        book.add(order)
    return book


def test_book_when_asked_for_the_best_then_highest_bid_and_lowest_ask(book: Book) -> None:
    assert (book.best("bid"), book.best("ask")) == (45, 48)
    assert Book().best("bid") is None


def test_book_when_asked_for_levels_then_best_first_with_totals(book: Book) -> None:
    assert book.levels("bid") == [(45, 9), (40, 5)]
    assert book.levels("ask") == [(48, 3), (50, 4)]
    assert book.levels("bid", depth=1) == [(45, 9)]
    assert (book.total("bid", 45), book.total("bid", 44)) == (9, 0)


def test_book_when_two_orders_share_a_price_then_the_older_is_hit_first(book: Book) -> None:
    head = book.head("bid")
    assert head is not None
    assert head.order_id == "b2"
    assert [order.order_id for order in book.orders("bid")] == ["b2", "b3", "b1"]


@pytest.mark.parametrize(
    ("side", "price", "crosses"), [("bid", 48, True), ("bid", 47, False), ("ask", 45, True), ("ask", 46, False)]
)
def test_book_when_a_price_meets_the_other_side_then_it_crosses(
    book: Book, side: Side, price: int, crosses: bool
) -> None:
    assert book.crosses(side, price) is crosses


def test_book_when_an_order_is_reduced_to_nothing_then_it_leaves_with_its_level(book: Book) -> None:
    order = next(order for order in book.orders("ask") if order.order_id == "a2")
    assert book.reduce(order, 1) == 2
    assert book.reduce(order, 2) == 0
    assert book.levels("ask") == [(50, 4)]


def test_book_when_an_order_is_removed_then_its_remaining_stays_as_it_is(book: Book) -> None:
    order = next(book.orders("bid"))
    assert book.remove(order) == 2
    assert order.remaining == 7
    assert book.levels("bid") == [(45, 2), (40, 5)]


def test_queue_position_when_better_and_older_orders_rest_then_they_are_ahead(book: Book) -> None:
    ahead = {order.order_id: book.queue_ahead(order) for order in book.orders("bid")}
    assert ahead == {"b2": 0, "b3": 7, "b1": 9}


def test_takeable_when_own_order_is_in_the_way_then_it_ends_or_is_skipped_or_counts_by_mode(book: Book) -> None:
    taker = resting("t", "bid", 50, 10)
    assert list(book.takeable(taker, nothing)) == []
    taker.self_trade = "maker"
    assert list(book.takeable(taker, nothing)) == [(50, 4)]
    taker.self_trade = "allow"
    assert list(book.takeable(taker, nothing)) == [(48, 3), (50, 4)]


def test_takeable_when_a_resting_order_only_reduces_then_no_more_than_the_position_counts(book: Book) -> None:
    taker = resting("t", "bid", 60, 10, account="C")
    for number in (1, 2):
        reducing = resting(f"r{number}", "ask", 55, 4, account="B")
        reducing.reduce_only = True
        book.add(reducing)
    # Account B is long 6; its plain order of 4 comes first.
    assert list(book.takeable(taker, lambda order: 6)) == [(48, 3), (50, 4), (55, 2)]


def nothing(_order: Order) -> int:
    return 0
