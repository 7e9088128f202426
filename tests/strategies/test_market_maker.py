from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from random import Random

import msgspec
import pytest
from pydantic import ValidationError

from framework.domain.account_events import Fill
from framework.domain.instruments import Instrument, InstrumentStatus
from framework.domain.intents import AmendOrder, CancelOrder, Intent, NewOrder
from framework.domain.numbers import Size
from framework.domain.orders import Order, OrderStatus, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.terms import VenueTerms
from framework.domain.verdicts import RefusalCode
from strategies.market_maker import MarketMaker, MarketMakerSettings
from tests.support.desk import CountedBudget, HeldPosition, QuotedBook, RecordingDesk
from tests.support.risk_view import BINARY, SPOT
from tests.support.state_records import fill

NEW, AMEND, CANCEL = RequestKind.NEW, RequestKind.AMEND, RequestKind.CANCEL
WORKING, CANCELLED = OrderStatus.WORKING, OrderStatus.CANCELLED


def make(instrument: Instrument = BINARY, **settings: object) -> tuple[MarketMaker, RecordingDesk]:
    """A market maker on a desk whose budget allows much, with ten contracts bid at 0.40 and offered at 0.60."""
    desk = RecordingDesk([instrument])
    desk.budgets[instrument.venue] = CountedBudget({NEW: 100, AMEND: 100, CANCEL: 500})
    defaults = {"size": "10", "position_max": "30", "half_spread_ticks": 2, "skew_ticks": 3}
    maker = MarketMaker("mm", MarketMakerSettings.model_validate(defaults | settings), desk)
    desk.books[instrument.id] = QuotedBook(instrument.id, [(4_000, 1_000)], [(6_000, 1_000)])
    return maker, desk


def quotes(intents: list[Intent]) -> dict[str, tuple[int, int]]:
    return {i.side.value: (i.price, i.size) for i in intents if isinstance(i, NewOrder)}


def settled(desk: RecordingDesk, status: OrderStatus = WORKING) -> None:
    for order in desk.orders():
        desk.settle(order.client_order_id, status)


def started(**settings: object) -> tuple[MarketMaker, RecordingDesk]:
    """Both quotes work at the venue: 0.48 and 0.52."""
    maker, desk = make(**settings)  # type: ignore[arg-type]
    maker.on_start()
    settled(desk)
    desk.take_intents()
    desk.pass_time(ms=1_000)
    return maker, desk


def move(maker: MarketMaker, desk: RecordingDesk, bid: int, ask: int) -> list[Intent]:
    """Others move to (bid, ask); our own working orders are in the book too."""
    levels: dict[Side, dict[int, int]] = {Side.BUY: {bid: 1_000}, Side.SELL: {ask: 1_000}}
    for order in desk.orders():
        mine = levels[order.side]
        mine[order.price] = mine.get(order.price, 0) + order.remaining
    bids, asks = sorted(levels[Side.BUY].items(), reverse=True), sorted(levels[Side.SELL].items())
    desk.books[BINARY.id] = QuotedBook(BINARY.id, bids, asks)
    maker.on_book(desk.books[BINARY.id])
    return desk.take_intents()


def test_start_when_the_book_is_fresh_then_one_post_only_quote_per_side_around_the_microprice() -> None:
    maker, desk = make()
    maker.on_start()
    intents = desk.take_intents()
    assert quotes(intents) == {"buy": (4_800, 1_000), "sell": (5_200, 1_000)}
    assert all(isinstance(i, NewOrder) and i.post_only and i.deadline_ns > desk.now_ns for i in intents)
    assert desk.timers


@pytest.mark.parametrize(
    ("is_offered", "settings", "is_post_only", "expected"),
    [
        (True, {}, True, {"buy": (4_800, 1_000), "sell": (5_100, 1_000)}),
        (False, {}, False, {"buy": (4_800, 1_000), "sell": (5_100, 1_000)}),
        (False, {"safety_ticks": 3}, False, {"buy": (4_700, 1_000), "sell": (5_200, 1_000)}),
        (True, {"post_only": False, "safety_ticks": 4}, False, {"buy": (4_600, 1_000), "sell": (5_300, 1_000)}),
        (True, {"safety_ticks": 3}, True, {"buy": (4_800, 1_000), "sell": (5_100, 1_000)}),
        (False, {"post_only": True}, True, {"buy": (4_800, 1_000), "sell": (5_100, 1_000)}),
    ],
)
def test_quotes_when_the_venue_has_no_post_only_then_they_keep_their_distance_from_the_other_side(
    is_offered: bool, settings: dict[str, object], is_post_only: bool, expected: dict[str, tuple[int, int]]
) -> None:
    maker, desk = make(half_spread_ticks=1, **settings)  # type: ignore[arg-type]
    desk.venue_terms = VenueTerms(post_only=is_offered)
    desk.books[BINARY.id] = QuotedBook(BINARY.id, [(4_900, 1_000)], [(5_000, 1_000)])
    maker.on_start()
    assert quotes(desk.intents) == expected
    assert [one.post_only for one in desk.intents if isinstance(one, NewOrder)] == [is_post_only] * 2


def test_change_when_the_venue_has_no_amends_then_cancel_and_a_new_order() -> None:
    maker, desk = started()
    desk.venue_terms = VenueTerms(amend=False)
    assert {type(intent) for intent in move(maker, desk, 4_400, 6_400)} == {CancelOrder}


def test_microprice_when_more_is_bid_than_offered_then_quotes_lie_nearer_to_the_ask() -> None:
    maker, desk = make()
    desk.books[BINARY.id] = QuotedBook(BINARY.id, [(4_000, 3_000)], [(6_000, 1_000)])
    maker.on_start()
    assert quotes(desk.intents) == {"buy": (5_300, 1_000), "sell": (5_700, 1_000)}


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (1_000, {"buy": (4_500, 1_000), "sell": (4_900, 1_000)}),
        (-1_000, {"buy": (5_100, 1_000), "sell": (5_500, 1_000)}),
        (2_500, {"buy": (4_000, 500), "sell": (4_500, 1_000)}),
        (3_000, {"sell": (4_300, 1_000)}),
        (9_999, {"sell": (4_100, 1_000)}),
        (-3_000, {"buy": (5_700, 1_000)}),
    ],
)
def test_inventory_when_it_grows_then_quotes_lean_against_it_and_the_far_side_shrinks_and_ends(
    position: int, expected: dict[str, tuple[int, int]]
) -> None:
    maker, desk = make()
    desk.positions[BINARY.id] = HeldPosition(Size(position))
    maker.on_start()
    assert quotes(desk.intents) == expected


def test_quotes_when_the_market_is_at_the_edge_of_a_binary_grid_then_the_impossible_side_is_left_out() -> None:
    maker, desk = make()
    desk.books[BINARY.id] = QuotedBook(BINARY.id, [(100, 1_000)], [(200, 1_000)])
    maker.on_start()
    assert quotes(desk.take_intents()) == {"sell": (400, 1_000)}
    maker, desk = make()
    desk.books[BINARY.id] = QuotedBook(BINARY.id, [(9_800, 1_000)], [(9_900, 1_000)])
    maker.on_start()
    assert quotes(desk.take_intents()) == {"buy": (9_600, 1_000)}


def test_quotes_when_the_market_is_tight_then_never_through_the_best_of_others() -> None:
    maker, desk = make(half_spread_ticks=1, skew_ticks=9)
    desk.positions[BINARY.id] = HeldPosition(Size(-1_000))
    desk.books[BINARY.id] = QuotedBook(BINARY.id, [(5_000, 1_000)], [(5_100, 1_000)])
    maker.on_start()
    assert quotes(desk.intents) == {"buy": (5_000, 1_000), "sell": (6_100, 1_000)}


def test_spot_when_quoted_then_sizes_prices_and_the_empty_inventory_are_respected() -> None:
    maker, desk = make(SPOT, size="0.00025", position_max="0.001")
    desk.books[SPOT.id] = QuotedBook(SPOT.id, [(50_000_00, 10**8)], [(50_001_00, 10**8)])
    maker.on_start()
    assert quotes(desk.take_intents()) == {"buy": (50_000_48, 25_000)}, "no coins, no offer"
    desk.positions[SPOT.id] = HeldPosition(Size(12_345))
    settled(desk, CANCELLED)
    desk.pass_time(ms=1_000)
    maker.on_timer("check")
    assert quotes(desk.take_intents()) == {"buy": (50_000_47, 25_000), "sell": (50_000_51, 12_000)}


def test_spot_when_the_inventory_is_worth_less_than_the_venues_minimum_then_it_is_not_offered() -> None:
    maker, desk = make(SPOT, size="0.0001", position_max="0.001")
    desk.books[SPOT.id] = QuotedBook(SPOT.id, [(9_000_00, 10**8)], [(9_001_00, 10**8)])
    desk.positions[SPOT.id] = HeldPosition(Size(10_000))
    maker.on_start()
    assert desk.intents == []


def test_requote_when_the_market_moves_enough_then_by_one_amend_per_side() -> None:
    maker, desk = started(requote_ticks=2)
    assert move(maker, desk, 4_100, 6_100) == []
    amends = [(one.price, one.size) for one in move(maker, desk, 4_200, 6_200) if isinstance(one, AmendOrder)]
    assert amends == [(5_000, 1_000), (5_400, 1_000)]
    desk.pass_time(ms=1_000)
    assert move(maker, desk, 4_400, 6_400) == [], "a side with a request in flight waits"


def test_requote_when_part_has_filled_then_the_amend_asks_for_the_total() -> None:
    maker, desk = started()
    desk.settle("c1", OrderStatus.PARTIALLY_FILLED, filled=300)
    desk.positions[BINARY.id] = HeldPosition(Size(300))
    intents = move(maker, desk, 4_000, 6_000)
    assert [(i.price, i.size) for i in intents if isinstance(i, AmendOrder)] == [(4_700, 1_300), (5_200, 1_000)][:1]


def test_requote_when_the_order_would_come_to_more_than_one_may_then_it_ends_and_a_new_one_begins() -> None:
    maker, desk = started()
    desk.refuse = lambda intent: RefusalCode.ORDER_SIZE_MAX if isinstance(intent, AmendOrder) else None
    assert CancelOrder(strategy="mm", client_order_id="c1") in move(maker, desk, 4_200, 6_000)
    maker.on_order(desk.settle("c1", CANCELLED))
    desk.pass_time(ms=1_000)
    assert NewOrder in map(type, move(maker, desk, 4_200, 6_000))


@pytest.mark.parametrize(
    ("left", "amends"),
    [
        ({NEW: 30, AMEND: 30, CANCEL: 150}, True),
        ({NEW: 30, AMEND: 26, CANCEL: 150}, True),
        ({NEW: 30, AMEND: 24, CANCEL: 150}, False),
        ({NEW: 0, AMEND: 0, CANCEL: 150}, None),
    ],
)
def test_requote_when_an_amend_is_dearer_than_cancel_and_new_then_cancels_and_places_anew(
    left: dict[RequestKind, int], amends: bool | None
) -> None:
    maker, desk = started()
    desk.budgets["kalshi"] = CountedBudget(left)
    kinds = {type(intent) for intent in move(maker, desk, 4_200, 6_200)}
    assert kinds == {True: {AmendOrder}, False: {CancelOrder}, None: set()}[amends]


def test_requote_when_amends_are_switched_off_then_the_new_quote_comes_after_the_end_of_the_old() -> None:
    maker, desk = started(amend=False)
    cancels = move(maker, desk, 4_200, 6_200)
    assert [type(intent) for intent in cancels] == [CancelOrder, CancelOrder]
    assert move(maker, desk, 4_200, 6_200) == []
    for order in desk.orders():
        maker.on_order(desk.settle(order.client_order_id, CANCELLED))
    assert quotes(desk.take_intents()) == {"buy": (5_000, 1_000), "sell": (5_400, 1_000)}


def test_quotes_when_the_market_jumps_over_an_own_order_then_never_cross_it() -> None:
    maker, desk = started()
    first = move(maker, desk, 5_100, 9_100)
    assert [type(i) for i in first] == [AmendOrder], "the bid waits for the ask to leave"
    assert isinstance(first[0], AmendOrder)
    assert first[0].client_order_id == "c2"
    maker.on_order(desk.settle("c2", WORKING))
    then = desk.take_intents()
    assert [(i.client_order_id, i.price) for i in then if isinstance(i, AmendOrder)] == [("c1", 6_900)]


@pytest.mark.parametrize(
    ("budget", "asks"),
    [
        (None, False),
        ({NEW: 0, AMEND: 5, CANCEL: 9}, False),
        ({NEW: 5, AMEND: 5, CANCEL: 0}, False),
        ({NEW: 5, AMEND: 5, CANCEL: 9}, True),
    ],
)
def test_budget_when_unknown_used_up_or_without_a_cancel_left_then_nothing_is_asked(
    budget: dict[RequestKind, int] | None, asks: bool
) -> None:
    maker, desk = make()
    desk.budgets = {} if budget is None else {"kalshi": CountedBudget(budget)}
    maker.on_start()
    assert bool(desk.intents) is asks


def test_budget_when_one_cancel_is_left_then_only_one_order_is_opened() -> None:
    maker, desk = make()
    desk.budgets["kalshi"] = CountedBudget({NEW: 5, AMEND: 5, CANCEL: 1})
    maker.on_start()
    assert len(desk.intents) == 1


@pytest.mark.parametrize(
    "book",
    [
        QuotedBook(BINARY.id, [(4_000, 1_000)], [(6_000, 1_000)], is_fresh=False),
        QuotedBook(BINARY.id, [(4_000, 1_000)], [(6_000, 1_000)], age=5_000_000_001),
        QuotedBook(BINARY.id, [(4_000, 1_000)], []),
        QuotedBook(BINARY.id, [(6_000, 1_000)], [(4_000, 1_000)]),
        QuotedBook(BINARY.id, [(4_800, 1_000)], [(6_000, 1_000)]),
    ],
)
def test_quotes_when_the_book_is_stale_old_one_sided_crossed_or_ours_alone_then_both_are_pulled_once(
    book: QuotedBook,
) -> None:
    maker, desk = started()
    desk.books[BINARY.id] = book
    maker.on_book(book)
    maker.on_book(book)
    assert [i.client_order_id for i in desk.take_intents() if isinstance(i, CancelOrder)] == ["c1", "c2"]


def test_pull_when_the_venue_refuses_it_then_it_is_repeated_after_the_interval_only() -> None:
    maker, desk = started(interval_ms_min=250)
    desk.books[BINARY.id].is_fresh = False
    maker.on_timer("check")
    assert len(desk.take_intents()) == 2
    for order in desk.orders():
        order.status, order.cancel_wanted = WORKING, False
        maker.on_order(order)
    assert desk.take_intents() == []
    desk.pass_time(ms=250)
    maker.on_timer("check")
    assert len(desk.take_intents()) == 2


def test_quote_when_it_is_larger_than_the_room_that_is_left_then_it_shrinks_at_the_same_price() -> None:
    maker, desk = started(skew_ticks=0)
    desk.positions[BINARY.id] = HeldPosition(Size(2_500))
    maker.on_timer("check")
    assert [(i.price, i.size) for i in desk.take_intents() if isinstance(i, AmendOrder)] == [(4_800, 500)]


def test_quotes_when_a_book_ages_without_an_event_then_the_timer_pulls_them_and_is_set_again() -> None:
    maker, desk = started()
    desk.timers.clear()
    desk.books[BINARY.id].age = 6_000_000_000
    maker.on_timer("check")
    assert [type(i) for i in desk.take_intents()] == [CancelOrder, CancelOrder]
    assert desk.timers == {"check": 1_000}


@pytest.mark.parametrize(
    "change",
    [{"status": InstrumentStatus.PAUSED}, {"status": InstrumentStatus.CLOSED}, {"close_ns": 1_700_000_060_000_000_000}],
)
def test_quotes_when_the_instrument_stops_or_is_about_to_close_then_pulled(change: dict[str, object]) -> None:
    maker, desk = started()
    desk.definitions[BINARY.id] = msgspec.structs.replace(BINARY, **change)
    maker.on_timer("check")
    assert [type(i) for i in desk.take_intents()] == [CancelOrder, CancelOrder]


def test_quote_when_not_confirmed_yet_then_it_can_be_pulled_but_not_moved() -> None:
    maker, desk = make()
    maker.on_start()
    desk.take_intents()
    desk.pass_time(ms=1_000)
    assert move(maker, desk, 4_200, 6_200) == []
    desk.books[BINARY.id].is_fresh = False
    maker.on_book(desk.books[BINARY.id])
    assert [type(i) for i in desk.take_intents()] == [CancelOrder, CancelOrder]


def test_interval_when_it_has_not_passed_then_quotes_stay() -> None:
    maker, desk = make(interval_ms_min=250)
    maker.on_start()
    settled(desk)
    desk.take_intents()
    desk.pass_time(ms=249)
    assert move(maker, desk, 4_200, 6_200) == []
    desk.pass_time(ms=1)
    assert len(move(maker, desk, 4_200, 6_200)) == 2


def test_refusals_when_repeated_then_each_side_waits_twice_as_long_up_to_the_limit_and_begins_anew_after_success() -> (
    None
):
    maker, desk = make(interval_ms_min=100, backoff_ms_max=1_000)
    asked: list[int] = []

    def refuse(intent: Intent) -> RefusalCode | None:
        if isinstance(intent, NewOrder) and intent.side is Side.BUY:
            asked.append(desk.monotonic_ns // 1_000_000)
            return RefusalCode.PRICE_COLLAR
        return None

    desk.refuse = refuse
    maker.on_start()
    for _ in range(600):
        desk.pass_time(ms=10)
        maker.on_timer("check")
    waits = [b - a for a, b in pairwise(asked)]
    assert waits[:7] == [100, 200, 400, 800, 1_000, 1_000, 1_000]


def test_rejections_by_the_venue_when_repeated_then_they_count_like_refusals() -> None:
    maker, desk = make(interval_ms_min=100)
    maker.on_start()
    maker.on_order(desk.settle("c1", OrderStatus.REJECTED))
    desk.pass_time(ms=100)
    maker.on_timer("check")
    maker.on_order(desk.settle("c3", OrderStatus.REJECTED))
    desk.take_intents()
    desk.pass_time(ms=199)
    maker.on_timer("check")
    assert desk.take_intents() == []
    desk.pass_time(ms=1)
    maker.on_timer("check")
    assert len(desk.take_intents()) == 1


def test_amend_when_the_venue_did_not_make_it_then_that_counts_as_a_refusal_too() -> None:
    maker, desk = started(interval_ms_min=100)
    move(maker, desk, 4_200, 6_200)
    for _ in range(2):
        order = desk.known["c1"]
        order.status, order.amend_price, order.amend_size = WORKING, None, None
        maker.on_order(order)
        desk.pass_time(ms=100)
        maker.on_timer("check")
    assert [i for i in desk.take_intents() if isinstance(i, AmendOrder) and i.client_order_id == "c1"][1:] == []


def test_fill_when_complete_then_that_side_is_quoted_anew_with_the_new_inventory() -> None:
    maker, desk = started()
    order = desk.settle("c1", OrderStatus.FILLED, filled=1_000)
    desk.positions[BINARY.id] = HeldPosition(Size(1_000))
    maker.on_fill(fill_of(order), order)
    placed, amended = desk.take_intents()
    assert isinstance(placed, NewOrder)
    assert isinstance(amended, AmendOrder)
    assert (placed.price, amended.price) == (4_500, 4_900)


def test_fill_when_the_book_still_shows_what_traded_then_the_quote_does_not_follow_its_own_echo() -> None:
    maker, desk = started()
    move(maker, desk, 4_000, 6_000)
    order = desk.settle("c1", OrderStatus.FILLED, filled=1_000)
    desk.positions[BINARY.id] = HeldPosition(Size(1_000))
    maker.on_fill(fill_of(order), order)
    assert quotes(desk.take_intents())["buy"] == (4_500, 1_000)
    settled(desk)
    desk.pass_time(ms=1_000)
    ghost = desk.books[BINARY.id]
    assert ghost.bid == 4_800, "after a second it is somebody else's"
    maker.on_book(ghost)
    assert [i.price for i in desk.take_intents() if isinstance(i, AmendOrder)] == [5_300]


def test_orders_when_more_than_one_is_open_on_a_side_then_the_younger_ones_are_cancelled() -> None:
    maker, desk = started()
    adopted = msgspec.structs.replace(desk.known["c1"], client_order_id="x9")
    desk.known["x9"] = adopted
    maker.on_timer("check")
    assert desk.take_intents() == [CancelOrder(strategy="mm", client_order_id="x9")]


def test_order_when_of_an_instrument_not_given_to_it_then_left_alone() -> None:
    maker, desk = started()
    maker.on_order(msgspec.structs.replace(desk.known["c1"], instrument=SPOT.id))
    assert desk.intents == []


@pytest.mark.parametrize("seed", range(5))
def test_maker_when_the_world_is_random_then_its_limits_hold_at_every_step(seed: int) -> None:
    rng, position, mid = Random(seed), 0, 5_000
    maker, desk = make(interval_ms_min=0)
    maker.on_start()
    for _ in range(400):
        desk.pass_time(ms=rng.choice([1, 50, 500]))
        for order in desk.orders():
            if rng.random() < 0.5:
                position += world_acts(rng, desk, order)
                desk.positions[BINARY.id] = HeldPosition(Size(position))
                maker.on_order(order)
        mid = min(max(mid + rng.randrange(-4, 5) * 100, 300), 9_700)
        move(maker, desk, mid - 100 * rng.choice([1, 2]), mid + 100 * rng.choice([1, 2]))
        bids = [o for o in desk.orders() if o.side is Side.BUY]
        asks = [o for o in desk.orders() if o.side is Side.SELL]
        assert len(bids) <= 1
        assert len(asks) <= 1
        assert -3_000 <= position - sum(o.remaining_worst for o in asks)
        assert position + sum(o.remaining_worst for o in bids) <= 3_000
        for bid in bids:
            for ask in asks:
                assert max(bid.price, bid.amend_price or 0) < min(ask.price, ask.amend_price or ask.price)


def world_acts(rng: Random, desk: RecordingDesk, order: Order) -> int:
    """The venue confirms, ends or fills an order; answers how the position changes."""
    if order.status is OrderStatus.CANCEL_REQUESTED:
        desk.settle(order.client_order_id, CANCELLED)
        return 0
    if order.status is not WORKING and order.status is not OrderStatus.PARTIALLY_FILLED:
        desk.settle(order.client_order_id, rng.choice([WORKING, WORKING, OrderStatus.REJECTED]))
        return 0
    filled = rng.choice([order.remaining, order.remaining // 2])
    status = OrderStatus.FILLED if filled == order.remaining else OrderStatus.PARTIALLY_FILLED
    desk.settle(order.client_order_id, status, filled=filled)
    return filled * order.side.sign


def fill_of(order: Order) -> Fill:
    terms = {"side": order.side, "price": order.price, "size": order.size, "instrument": order.instrument}
    return fill(name=order.client_order_id, at=0, **terms)


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"size": "1"},
        {"size": "0", "position_max": "1"},
        {"size": "NaN", "position_max": "1"},
        {"size": "1", "position_max": "Infinity"},
        {"size": 1.5, "position_max": "1"},
        {"size": "1", "position_max": "1", "half_spread_ticks": 0},
        {"size": "1", "position_max": "1", "typo": 1},
    ],
)
def test_settings_when_missing_or_no_limit_then_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MarketMakerSettings.model_validate(bad)


def test_start_when_a_size_has_more_digits_than_the_instrument_then_refused_by_name() -> None:
    maker, _ = make(size=Decimal("0.001"))
    with pytest.raises(ValueError, match="KXTIDE-B25 size"):
        maker.on_start()
