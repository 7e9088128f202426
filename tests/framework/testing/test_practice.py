"""The practice venue behaves like a kind exchange behind the real gate."""

from __future__ import annotations

import msgspec
import pytest

from framework.domain.instruments import FeeSchedule, InstrumentStatus
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.market_events import BookSnapshot
from framework.domain.orders import OrderStatus, Side, TimeInForce
from framework.domain.strategy import Strategy
from framework.domain.verdicts import RefusalCode
from framework.testing.practice import INSTRUMENT, PracticeDesk, PracticeVenue
from risk.checks.max_order_size import MaxOrderSize
from risk.gate import Gate


class Plain(Strategy[None]):
    """Does what the test does with its handles."""


@pytest.fixture
def venue() -> PracticeVenue:
    return PracticeVenue(Gate)


@pytest.fixture
def strategy(venue: PracticeVenue) -> Plain:
    return Plain("plain", None, venue.desk("plain"))


def test_quote_when_made_then_the_book_is_fresh_and_two_sided(venue: PracticeVenue) -> None:
    book = venue.quote(bid="0.40", ask="0.44", size="7")
    assert book.is_fresh
    assert (book.bid, book.ask, book.bid_size) == (4_000, 4_400, 700)
    assert not venue.quote(bid="0.40").is_two_sided


def test_order_when_approved_then_works_and_can_be_amended_and_cancelled(venue: PracticeVenue, strategy: Plain) -> None:
    venue.quote(bid="0.40", ask="0.44")
    handle = strategy.buy(INSTRUMENT.id, INSTRUMENT.price("0.40"), INSTRUMENT.size(3), post_only=True)
    assert handle.order is not None
    assert handle.order.status is OrderStatus.WORKING
    handle.amend(INSTRUMENT.price("0.41"), INSTRUMENT.size(4))
    assert (handle.order.price, handle.order.size) == (4_100, 400)
    assert strategy.desk.orders() == (handle.order,)
    handle.cancel()
    assert not handle.is_open
    assert [type(intent) for intent in venue.intents] == [NewOrder, AmendOrder, CancelOrder]
    assert venue.refusals == []


def test_fill_when_told_then_position_and_order_follow(venue: PracticeVenue, strategy: Plain) -> None:
    handle = strategy.sell(INSTRUMENT.id, INSTRUMENT.price("0.44"), INSTRUMENT.size(3))
    fill, order = venue.fill(handle.client_order_id, size=INSTRUMENT.size(1))
    assert (fill.side, fill.size, order.status) == (Side.SELL, 100, OrderStatus.PARTIALLY_FILLED)
    venue.fill(handle.client_order_id)
    assert strategy.desk.position(INSTRUMENT.id).size == -300
    assert not handle.is_open


@pytest.mark.parametrize("time_in_force", list(TimeInForce))
def test_order_when_it_is_not_to_rest_then_it_still_waits_for_the_test_to_fill_it(
    venue: PracticeVenue, strategy: Plain, time_in_force: TimeInForce
) -> None:
    venue.quote(bid="0.40", ask="0.44")
    price, size = INSTRUMENT.price("0.44"), INSTRUMENT.size(3)
    handle = strategy.buy(INSTRUMENT.id, price, size, time_in_force=time_in_force)
    assert handle.is_open
    _, order = venue.fill(handle.client_order_id)
    assert (order.time_in_force, order.status) == (time_in_force, OrderStatus.FILLED)


def test_order_when_the_instrument_is_not_open_then_only_a_check_refuses_it() -> None:
    venue = PracticeVenue(Gate, instrument=msgspec.structs.replace(INSTRUMENT, status=InstrumentStatus.PAUSED))
    strategy = Plain("plain", None, venue.desk("plain"))
    assert strategy.buy(INSTRUMENT.id, INSTRUMENT.price("0.44"), INSTRUMENT.size(3)).is_open


def test_fill_when_the_order_is_unknown_then_says_so(venue: PracticeVenue) -> None:
    with pytest.raises(KeyError, match="was never approved here"):
        venue.fill("nobody")


def test_order_when_a_check_refuses_then_is_among_the_refusals() -> None:
    venue = PracticeVenue(Gate, checks=[("MaxOrderSize", MaxOrderSize.model_validate({"max_size": "2"}))])
    strategy = Plain("plain", None, venue.desk("plain"))
    handle = strategy.buy(INSTRUMENT.id, INSTRUMENT.price("0.40"), INSTRUMENT.size(3))
    assert handle.refusal is not None
    assert [refused.code for refused in venue.refusals] == [RefusalCode.ORDER_SIZE_MAX]
    assert strategy.desk.orders() == ()


def test_cancel_all_when_submitted_then_nothing_is_open(venue: PracticeVenue, strategy: Plain) -> None:
    for price in ("0.40", "0.41"):
        strategy.buy(INSTRUMENT.id, INSTRUMENT.price(price), INSTRUMENT.size(1))
    strategy.desk.submit(CancelAll(strategy="plain", venue=INSTRUMENT.venue))
    assert strategy.desk.orders(INSTRUMENT.id) == ()


def test_desk_when_another_strategy_asks_then_does_not_show_ones_orders(venue: PracticeVenue, strategy: Plain) -> None:
    handle = strategy.buy(INSTRUMENT.id, INSTRUMENT.price("0.40"), INSTRUMENT.size(1))
    assert venue.desk("other").order(handle.client_order_id) is None
    assert venue.desk("other").orders() == ()


def test_time_when_advanced_then_books_age_and_timers_are_only_remembered(venue: PracticeVenue) -> None:
    desk: PracticeDesk = venue.desk("plain")
    book = venue.quote(bid="0.40", ask="0.44")
    before_ns = desk.now_ns
    venue.advance(ms=250)
    desk.set_timer("requote", after_ms=100)
    desk.log("hello", size=1)
    assert desk.now_ns - before_ns == 250_000_000
    assert book.age_ns(desk.monotonic_ns) == 250_000_000
    assert desk.timers == {"requote": 100}
    assert desk.lines == [("hello", {"size": 1})]
    assert desk.instruments == (INSTRUMENT.id,)
    assert desk.budget("nowhere") is None


def test_books_when_fed_directly_then_a_test_may_show_any_depth(venue: PracticeVenue) -> None:
    bids = tuple((INSTRUMENT.price(price), INSTRUMENT.size(5)) for price in ("0.40", "0.39"))
    venue.books.apply(BookSnapshot(INSTRUMENT.id, venue.now_ns, venue.now_ns, bids, ()), venue.monotonic_ns)
    assert venue.desk("plain").book(INSTRUMENT.id).depth(Side.BUY, 2) == list(bids) or bids


def test_desk_when_a_strategy_saves_then_its_own_bytes_come_back(venue: PracticeVenue) -> None:
    desk = venue.desk("plain")
    assert desk.saved == b""
    desk.save(b"first")
    desk.save(b"second")
    assert (venue.desk("plain").saved, venue.desk("other").saved) == (b"second", b"")
    with pytest.raises(TypeError, match="str is not bytes"):
        desk.save("text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="are more than"):
        desk.save(bytes(1024 * 1024 + 1))


def test_fill_when_the_instrument_has_fees_then_none_is_charged() -> None:
    instrument = msgspec.structs.replace(INSTRUMENT, fees=FeeSchedule(maker_rate="0.01"))
    venue = PracticeVenue(Gate, instrument=instrument)
    strategy = Plain("plain", None, venue.desk("plain"))
    fill, _ = venue.fill(strategy.buy(instrument.id, instrument.price("0.40"), instrument.size(1)).client_order_id)
    assert (fill.fee, strategy.desk.instrument(instrument.id)) == (0, instrument)
