"""One order book: proved complete, or it says why not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookDelta, BookLevel, BookSnapshot
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.state.order_book import AGE_NEVER_NS, Book, FeedClock

MARKET = InstrumentId("tide:A")


def levels(*pairs: tuple[int, int]) -> tuple[tuple[Price, Size], ...]:
    return tuple((Price(price), Size(size)) for price, size in pairs)


def snapshot(bids: tuple[tuple[int, int], ...], asks: tuple[tuple[int, int], ...]) -> BookSnapshot:
    return BookSnapshot(MARKET, 100, 110, levels(*bids), levels(*asks))


def delta(side: Side, price: int, change: int) -> BookDelta:
    return BookDelta(MARKET, 200, 210, side, Price(price), Size(change))


def level(side: Side, price: int, size: int) -> BookLevel:
    return BookLevel(MARKET, 200, 210, side, Price(price), Size(size))


@pytest.fixture
def book() -> Book:
    book = Book(MARKET)
    book.apply_snapshot(snapshot(((48, 10), (49, 5)), ((52, 15), (51, 20))), 1_000)
    return book


def test_book_when_new_then_is_empty_and_not_fresh() -> None:
    book = Book(MARKET)
    assert (book.bid, book.ask, book.bid_size, book.ask_size) == (None, None, 0, 0)
    assert not book.is_fresh
    assert not book.is_two_sided
    assert book.stale_reason == "no snapshot yet"
    assert book.age_ns(5) == AGE_NEVER_NS
    assert book.mid_twice is None
    assert book.microprice is None


def test_snapshot_when_applied_then_shows_best_prices_and_depth(book: Book) -> None:
    assert (book.bid, book.bid_size, book.ask, book.ask_size) == (49, 5, 51, 20)
    assert book.is_fresh
    assert book.is_two_sided
    assert book.stale_reason == ""
    assert book.mid_twice == 100
    assert list(book.depth(Side.BUY, 5)) == [(49, 5), (48, 10)]
    assert list(book.depth(Side.SELL, 1)) == [(51, 20)]


def test_microprice_when_sizes_differ_then_leans_to_the_thin_side(book: Book) -> None:
    assert book.microprice == 49  # (49 * 20 + 51 * 5) / 25 = 49.4


def test_microprice_when_exactly_half_then_rounds_up() -> None:
    book = Book(MARKET)
    book.apply_snapshot(snapshot(((49, 5),), ((50, 5),)), 0)
    assert book.microprice == 50


def test_snapshot_when_it_has_empty_levels_then_drops_them() -> None:
    book = Book(MARKET)
    book.apply_snapshot(snapshot(((49, 0), (48, 1)), ()), 0)
    assert (book.bid, book.ask) == (48, None)
    assert book.is_fresh
    assert not book.is_two_sided


@pytest.mark.parametrize(
    ("bids", "asks"),
    [(((51, 1),), ((50, 1),)), (((50, 1),), ((50, 1),)), (((49, -1),), ()), ((), ((0, 1),))],
    ids=["crossed", "locked", "negative size", "price zero"],
)
def test_snapshot_when_impossible_then_is_stale_with_a_reason(
    bids: tuple[tuple[int, int], ...], asks: tuple[tuple[int, int], ...]
) -> None:
    book = Book(MARKET)
    book.apply_snapshot(snapshot(bids, asks), 0)
    assert not book.is_fresh
    assert book.stale_reason
    assert book.mid_twice is None or not book.is_fresh


def test_delta_when_it_adds_then_moves_the_level_and_the_best(book: Book) -> None:
    assert book.apply_delta(delta(Side.BUY, 50, 7), 2_000)
    assert (book.bid, book.bid_size) == (50, 7)
    assert book.apply_delta(delta(Side.BUY, 50, 3), 2_000)
    assert book.bid_size == 10
    assert book.ts_venue == 200


def test_delta_when_best_is_taken_away_then_finds_the_next(book: Book) -> None:
    book.apply_delta(delta(Side.BUY, 49, -5), 2_000)
    book.apply_delta(delta(Side.SELL, 51, -20), 2_000)
    assert (book.bid, book.ask) == (48, 52)
    book.apply_delta(delta(Side.BUY, 48, -10), 2_000)
    assert book.bid is None
    assert book.is_fresh


def test_delta_when_it_leads_below_zero_then_is_stale(book: Book) -> None:
    assert book.apply_delta(delta(Side.SELL, 51, -21), 2_000)
    assert not book.is_fresh
    assert book.stale_reason == "sell level 51 would hold -1"


@pytest.mark.parametrize("price", [51, 52], ids=["locks", "crosses by one tick"])
def test_delta_when_it_crosses_then_is_stale_until_a_snapshot(book: Book, price: int) -> None:
    book.apply_delta(delta(Side.BUY, price, 1), 2_000)
    assert (book.is_fresh, book.is_two_sided, book.mid_twice, book.microprice) == (False, False, None, None)
    assert not book.apply_delta(delta(Side.BUY, price, -1), 2_001)
    assert (book.is_fresh, book.is_two_sided) == (False, False)
    book.apply_snapshot(snapshot(((49, 1),), ((51, 1),)), 2_002)
    assert (book.is_fresh, book.is_two_sided) == (True, True)


def test_delta_when_ask_crosses_then_is_stale(book: Book) -> None:
    book.apply_delta(delta(Side.SELL, 49, 1), 2_000)
    assert book.stale_reason == "crossed: bid 49, ask 49"


def test_delta_when_no_snapshot_came_then_says_so_and_changes_nothing() -> None:
    book = Book(MARKET)
    assert not book.apply_delta(delta(Side.BUY, 50, 7), 1)
    assert book.bid is None
    assert "before any snapshot" in book.stale_reason


def test_level_when_set_then_replaces_the_total(book: Book) -> None:
    book.apply_level(level(Side.BUY, 49, 3), 2_000)
    assert book.bid_size == 3
    book.apply_level(level(Side.BUY, 49, 0), 2_000)
    assert book.bid == 48
    book.apply_level(level(Side.SELL, 52, -1), 2_000)
    assert not book.is_fresh


def test_level_when_stale_then_is_dropped(book: Book) -> None:
    book.mark_stale("gap")
    assert not book.apply_level(level(Side.BUY, 49, 3), 2_000)
    assert book.bid_size == 5


def test_stale_when_marked_twice_then_keeps_the_first_reason(book: Book) -> None:
    assert book.mark_stale("gap")
    assert not book.mark_stale("disconnected")
    assert book.stale_reason == "gap"
    assert "stale: gap" in repr(book)


def test_age_when_message_was_late_then_adds_the_lateness(book: Book) -> None:
    assert book.age_ns(1_500) == 500 + 10


def test_age_when_a_change_was_late_then_its_own_lateness_counts(book: Book) -> None:
    book.apply_delta(BookDelta(MARKET, 200, 277, Side.BUY, Price(49), Size(1)), 2_000)
    assert book.age_ns(2_005) == 5 + 77


def test_age_when_venue_clock_is_ahead_then_lateness_is_measured_in_venue_time() -> None:
    feed_clock = FeedClock()
    feed_clock.offset_ns = 40
    book = Book(MARKET, feed_clock)
    book.apply_snapshot(snapshot(((49, 1),), ()), 1_000)
    assert book.age_ns(1_000) == 110 + 40 - 100
    feed_clock.offset_ns = -500
    book.apply_delta(delta(Side.BUY, 49, 1), 1_000)
    assert book.age_ns(1_000) == 0


def test_age_when_venue_gives_no_time_then_counts_from_receipt_alone() -> None:
    book = Book(MARKET)
    book.apply_snapshot(BookSnapshot(MARKET, 0, 10**18, (), ()), 1_000)
    book.apply_delta(BookDelta(MARKET, 0, 10**18, Side.BUY, Price(5), Size(1)), 1_000)
    assert book.age_ns(1_007) == 7


def test_age_when_the_venue_sent_something_later_then_counts_from_there() -> None:
    feed_clock = FeedClock()
    book = Book(MARKET, feed_clock)
    book.apply_snapshot(snapshot(((49, 1),), ()), 1_000)
    feed_clock.received_ns = 5_000
    assert book.age_ns(5_001) == 1 + 10
    feed_clock.late_ns, feed_clock.is_late_known = 3, True
    assert book.age_ns(5_001) == 1 + 3


moves = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(1, 20), st.integers(-6, 6).filter(bool)), min_size=1, max_size=60
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(moves)
def test_book_when_any_deltas_come_then_agrees_with_a_plain_model(changes: list[tuple[Side, int, int]]) -> None:
    book = Book(MARKET)
    book.apply_snapshot(snapshot(((5, 4),), ((15, 4),)), 0)
    model: dict[Side, dict[int, int]] = {Side.BUY: {5: 4}, Side.SELL: {15: 4}}
    for side, price, change in changes:
        book.apply_delta(delta(side, price, change), 1)
        if not book.is_fresh:
            break
        total = model[side].get(price, 0) + change
        assert total >= 0
        model[side][price] = total
        bids = {at: size for at, size in model[Side.BUY].items() if size}
        asks = {at: size for at, size in model[Side.SELL].items() if size}
        assert (book.bid, book.ask) == (max(bids, default=None), min(asks, default=None))
        assert list(book.depth(Side.BUY, 99)) == sorted(bids.items(), reverse=True)
        assert list(book.depth(Side.SELL, 99)) == sorted(asks.items())
        assert not bids or not asks or max(bids) < min(asks)


def test_book_when_its_first_snapshot_can_not_be_read_then_that_is_why_it_is_stale() -> None:
    book = Book(InstrumentId("tide:A"))
    assert not book.mark_stale("a snapshot can't be read")
    assert not book.mark_stale("another reason")
    assert book.stale_reason == "a snapshot can't be read"
