"""The NO side of a binary market."""

from __future__ import annotations

import pytest

from framework.domain.events import BookSnapshot, BookStale
from framework.domain.instruments import Instrument, InstrumentId, InstrumentKind, TickBand
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.state.binary import complement
from framework.state.books import Books

MARKET = InstrumentId("tide:A")


def instrument(kind: InstrumentKind) -> Instrument:
    bands = (TickBand(Price(1), Price(99), Price(1)),)
    return Instrument(
        id=MARKET, venue="tide", symbol="A", kind=kind, price_decimals=2, size_decimals=0, tick_bands=bands
    )


def test_complement_when_yes_moves_then_no_mirrors_it() -> None:
    books = Books()
    bids = ((Price(40), Size(7)), (Price(39), Size(1)))
    books.apply(BookSnapshot(MARKET, 5, 5, bids, ((Price(45), Size(3)),)), 10)
    no = complement(books.of(MARKET), instrument(InstrumentKind.BINARY))
    assert (no.bid, no.bid_size, no.ask, no.ask_size) == (55, 3, 60, 7)
    assert no.mid_twice == 115
    assert no.microprice == 100 - 44  # YES: (40 * 3 + 45 * 7) / 10 = 43.5, rounded up
    assert list(no.depth(Side.SELL, 5)) == [(60, 7), (61, 1)]
    assert list(no.depth(Side.BUY, 5)) == [(55, 3)]
    assert (no.instrument, no.ts_venue, no.age_ns(12)) == (MARKET, 5, 2)
    assert no.is_fresh
    assert no.is_two_sided
    books.apply(BookStale(MARKET, 6, "gap"), 11)
    assert no.stale_reason == "gap"


def test_complement_when_book_is_empty_then_is_empty() -> None:
    no = complement(Books().of(MARKET), instrument(InstrumentKind.BINARY))
    assert (no.bid, no.ask, no.mid_twice, no.microprice) == (None, None, None, None)


def test_complement_when_not_binary_then_refuses() -> None:
    with pytest.raises(ValueError, match="only binary markets"):
        complement(Books().of(MARKET), instrument(InstrumentKind.SPOT))
