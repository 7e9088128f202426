"""V06 to V12: the life of an order, from its acceptance to its end."""

from __future__ import annotations

from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderStatus, Side, TimeInForce
from framework.domain.strategy import OrderHandle
from framework.testing.conformance.case import case
from framework.testing.conformance.findings import expect
from framework.testing.conformance.market import Market
from framework.testing.conformance.session import VenueSession
from framework.testing.conformance.stage import Stage, need

_RESTING = (OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED)


async def rest(session: VenueSession, market: Market, *, lots: int = 10, steps: int = -1) -> OrderHandle:
    """A bid of the trader that rests at the venue, the best one unless `steps` says otherwise."""
    handle = session.place(Side.BUY, market.price(steps), market.lot * lots)
    await session.until_status(handle, OrderStatus.WORKING)
    return handle


async def until_filled(session: VenueSession, handle: OrderHandle, size: int) -> Order:
    """Wait until so much of an order is filled and booked; the order."""
    await session.until(
        lambda: session.order(handle).filled == size and session.order(handle).status is not OrderStatus.ENDING,
        lambda: f"{size} is to be filled of {session.order(handle)}",
    )
    return session.order(handle)


@case
async def v06_an_order_that_rests_is_accepted_under_its_id(stage: Stage) -> None:
    """The venue has one order of ours, and its id is known."""
    session, market = await stage.trade()
    order = session.order(await rest(session, market))
    (real,) = (await stage.sandbox.truth())["orders"]
    expect(order.venue_order_id == real["order_id"], f"{order} is really {real}")
    one = session.instrument
    seen = (one.price(real["price"]), one.size(real["size"]), real["side"])
    expect(seen == (market.price(-1), market.lot * 10, "buy"), f"the venue has {real}")


@case
async def v07_an_order_that_crosses_fills_as_taker(stage: Stage) -> None:
    """At the resting price, with the fee that the venue takes; several levels are several fills."""
    session, market = await stage.trade(size=5)
    handle = session.place(Side.BUY, market.price(3), market.lot * 8)
    await until_filled(session, handle, market.lot * 8)
    await session.until_status(handle, OrderStatus.FILLED)
    expect(not any(fill.is_maker for fill in session.booked_fills), "a taker's fill is booked as a maker's")


@case
async def v08_an_order_that_fills_in_part_rests_with_the_remainder(stage: Stage) -> None:
    """What did not trade at once rests at the order's price."""
    session, market = await stage.trade(size=5)
    handle = session.place(Side.BUY, market.price(2), market.lot * 8)
    order = await until_filled(session, handle, market.lot * 5)
    expect(order.status is OrderStatus.PARTIALLY_FILLED, f"{order} was to rest")


@case
async def v09_an_order_that_rests_fills_as_maker(stage: Stage) -> None:
    """In two parts, the first of which leaves it open."""
    session, market = await stage.trade()
    handle = await rest(session, market)
    await market.take(Side.SELL, -1, market.lot * 4)
    await until_filled(session, handle, market.lot * 4)
    await market.take(Side.SELL, -1, market.lot * 6)
    await until_filled(session, handle, market.lot * 10)
    await session.until_status(handle, OrderStatus.FILLED)


@case
async def v10_a_cancel_ends_the_order(stage: Stage) -> None:
    """Nothing is left at the venue afterwards, of an order that has filled in part neither."""
    session, market = await stage.trade()
    whole, part = await rest(session, market, steps=-2), await rest(session, market)
    await market.take(Side.SELL, -1, market.lot * 3)
    await until_filled(session, part, market.lot * 3)
    for handle in (whole, part):
        session.cancel(handle.client_order_id)
        await session.until_status(handle, OrderStatus.CANCELLED)
    expect(session.order(part).filled == market.lot * 3, "the fill before the cancel is lost")


@case
async def v11_an_order_that_is_being_cancelled_can_still_fill(stage: Stage) -> None:
    """The fill that comes before the end is booked, and nothing ends twice."""
    session, market = await stage.trade()
    handle = await rest(session, market)
    session.cancel(handle.client_order_id)
    await stage.sandbox.act(
        "trade", **_taking(market, Side.SELL, market.lot * 10)
    )  # whether it comes before the cancel is the venue's to say
    await session.until(lambda: not session.order(handle).is_open, lambda: f"no end: {session.order(handle)}")


@case
async def v12_an_amend_changes_price_and_size_in_place(stage: Stage) -> None:
    """Of an order that has filled in part, too: the new size is the total."""
    session, market = await stage.trade()
    need(session.terms.amend, "amend")
    handle = await rest(session, market, steps=-2)
    session.do(lambda: handle.amend(market.price(-1), Size(market.lot * 12)))
    await until_terms(session, handle, market.price(-1), market.lot * 12)
    await market.take(Side.SELL, -1, market.lot * 2)
    await until_filled(session, handle, market.lot * 2)
    session.do(lambda: handle.amend(market.price(-1), Size(market.lot * 7)))
    await until_terms(session, handle, market.price(-1), market.lot * 7)
    await market.take(Side.SELL, -1, market.lot * 5)
    await session.until_status(handle, OrderStatus.FILLED)


@case
async def v63_an_immediate_or_cancel_order_ends_with_what_it_could_get(stage: Stage) -> None:
    """The remainder does not rest."""
    session, market = await stage.trade(size=5)
    need(TimeInForce.IMMEDIATE_OR_CANCEL in session.terms.times_in_force, "immediate or cancel")
    handle = session.place(Side.BUY, market.price(2), market.lot * 8, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)
    order = await session.until_status(handle, OrderStatus.CANCELLED, OrderStatus.EXPIRED)
    expect(order.filled == market.lot * 5, f"{order} was to fill in part")


@case
async def v64_a_fill_or_kill_order_ends_without_a_fill_when_it_cannot_fill_whole(stage: Stage) -> None:
    """Nothing of it trades, and nothing rests."""
    session, market = await stage.trade(size=5)
    need(TimeInForce.FILL_OR_KILL in session.terms.times_in_force, "fill or kill")
    handle = session.place(Side.BUY, market.price(2), market.lot * 8, time_in_force=TimeInForce.FILL_OR_KILL)
    await session.until(lambda: not session.order(handle).is_open, lambda: f"no end: {session.order(handle)}")
    expect(session.order(handle).filled == 0, f"{session.order(handle)} was not to fill")


async def until_terms(session: VenueSession, handle: OrderHandle, price: Price, size: int) -> None:
    """Wait until an order rests at this price with this total size."""
    await session.until(
        lambda: (
            (session.order(handle).price, session.order(handle).size) == (price, size)
            and session.order(handle).status in _RESTING
        ),
        lambda: f"{size} at {price} was asked for: {session.order(handle)}",
    )


def _taking(market: Market, side: Side, size: int) -> dict[str, str]:
    one = market.instrument
    return {
        "instrument": one.symbol,
        "side": side.value,
        "price": one.price_text(market.price(-1)),
        "size": one.size_text(Size(size)),
    }
