"""V06 to V12: the life of an order, from its acceptance to its end."""

from __future__ import annotations

from framework.domain.orders import OrderStatus, Side
from framework.testing.conformance.case import case
from framework.testing.conformance.findings import expect
from framework.testing.conformance.stage import Stage


@case
async def v06_an_order_that_rests_is_accepted_under_its_id(stage: Stage) -> None:
    """The venue has exactly one order of ours, at its price and size."""
    session = await stage.open()
    await session.until(lambda: session.book.is_fresh, "no book")
    one = session.instrument
    handle = session.place(Side.BUY, one.round_up(one.tick_bands[0].start), one.size_min * 5)
    order = await session.until_status(handle, OrderStatus.WORKING)
    expect(order.venue_order_id, "the venue's id is not known")


@case
async def v10_a_cancel_ends_the_order(stage: Stage) -> None:
    """Nothing is left at the venue afterwards."""
    session = await stage.open()
    one = session.instrument
    handle = session.place(Side.BUY, one.round_up(one.tick_bands[0].start), one.size_min * 5)
    await session.until_status(handle, OrderStatus.WORKING)
    session.do(handle.cancel)
    await session.until_status(handle, OrderStatus.CANCELLED)
