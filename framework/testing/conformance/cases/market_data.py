"""V01 to V05: what a connector says of the venue, and books and trades that equal the venue's."""

from __future__ import annotations

from framework.domain.account_events import InstrumentDefined
from framework.domain.market_events import (
    BookStale,
    ConnectorStatus,
    LimitsDeclared,
    TermsDeclared,
    TradePrint,
    VenueClock,
)
from framework.domain.orders import Side
from framework.testing.conformance.case import case
from framework.testing.conformance.findings import expect
from framework.testing.conformance.market import book_apart, until_equal
from framework.testing.conformance.stage import Stage, need

ROUNDS = 8


@case
async def v01_it_connects_and_declares_instruments_limits_terms_and_clock(stage: Stage) -> None:
    """Instruments, limits and terms come before the first status, so that nothing is decided without them."""
    session = await stage.open()
    kinds = [type(event) for event in session.events]
    up = kinds.index(ConnectorStatus)
    for kind in (InstrumentDefined, LimitsDeclared, TermsDeclared):
        expect(kind in kinds[:up], f"no {kind.__name__} before the streams were up")
    for event in session.seen(InstrumentDefined):
        expect(event.instrument.id == f"{session.venue}:{event.instrument.symbol}", f"a wrong name: {event.instrument}")
    await session.until(lambda: session.seen(VenueClock), "the venue's clock is not known")


@case
async def v02_a_book_equals_the_venues(stage: Stage) -> None:
    """Every level of both sides, and no other."""
    session, market = await stage.trade()
    await market.quote([(market.price(-1), market.lot * 3), (market.price(-5), market.lot)], [])
    await until_equal(session, market)


@case
async def v03_changes_keep_the_book_equal(stage: Stage) -> None:
    """Levels that come, change and go, and trades; without a new snapshot where the venue has a stream."""
    session, market = await stage.trade()
    seen = len(session.events)
    for step in range(1, ROUNDS):
        size = market.lot * (10 + step)
        bids = [(market.price(-1 - (step + level) % 5), size + market.lot * level) for level in range(3)]
        asks = [(market.price(1 + (step * 3 + level) % 5), size + market.lot * level) for level in range(3)]
        await market.quote(sorted(bids, reverse=True), sorted(asks))
        await until_equal(session, market)
    expect(not session.seen(BookStale, seen), "the book became stale on the way")


@case
async def v04_a_book_that_misses_something_is_stale_until_it_is_equal_again(stage: Stage) -> None:
    """A frame is left out of the stream."""
    need(stage.sandbox.has_stream, "a stream")
    session, market = await stage.trade()
    seen = len(session.events)
    await stage.sandbox.fault("sequence_gap", count=1)
    await market.quote_around(market.lot * 7)
    await market.quote_around(market.lot * 9)
    await session.until(
        lambda: session.seen(BookStale, seen) or not book_apart(session, market), "the gap was not noticed"
    )
    if not session.seen(BookStale, seen):
        # Where each frame is a whole book none can be missed, and the sandbox leaves none out.
        await stage.sandbox.require_struck("sequence_gap")
    expect(session.seen(BookStale, seen), "the gap was not noticed")
    expect(not session.seen(ConnectorStatus, seen), "the gap was noticed only when the stream came anew")
    await until_equal(session, market)


@case
async def v05_a_trade_is_published_once(stage: Stage) -> None:
    """With its price, its size, and the taker's side."""
    session, market = await stage.trade()
    handle = session.place(Side.BUY, market.price(-1), market.lot * 4)
    await session.until(lambda: session.order(handle).status.is_at_venue, "the order did not come to rest")
    await market.take(Side.SELL, -1, market.lot * 4)

    def trades() -> list[TradePrint]:
        """Those at our price: others may have been made before the market was quiet."""
        return [one for one in session.seen(TradePrint) if one.price == market.price(-1)]

    await session.until(trades, "no trade was published")
    await session.until(lambda: not session.order(handle).is_open, "the fill was not booked")
    seen = [(one.size, one.aggressor) for one in trades()]
    expect(seen == [(market.lot * 4, Side.SELL)], f"published: {trades()}")


@case
async def v94_a_venue_out_of_reach_makes_the_books_stale_until_they_are_equal_again(stage: Stage) -> None:
    """Every connection is cut, and refused for a moment; the book changes meanwhile."""
    front = await stage.front()
    session, market = await stage.trade()
    front.down()
    await session.until(lambda: not session.book.is_fresh, "nobody noticed")
    await market.quote_around(market.lot * 11)
    await front.up()
    await until_equal(session, market)


@case
async def v95_a_stream_that_falls_silent_is_replaced(stage: Stage) -> None:
    """The connection stays, and says nothing any more."""
    need(stage.sandbox.has_stream, "a stream")
    session, market = await stage.trade(stage.venue.declaration.impatient)
    await stage.sandbox.fault("silent_stream", count=1)
    await market.quote_around(market.lot * 11)
    await session.until(lambda: not session.book.is_fresh, "nobody noticed")
    await until_equal(session, market)
