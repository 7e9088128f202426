"""V35 to V39, V98: the daemon ends without a word in each state of an order, and the next one finds the truth."""

from __future__ import annotations

from framework.config.plugins import Plugins
from framework.domain.orders import OrderStatus, Side
from framework.domain.strategy import OrderHandle
from framework.testing.conformance.case import case
from framework.testing.conformance.cases.orders import rest, until_filled
from framework.testing.conformance.findings import expect
from framework.testing.conformance.front import Spoil
from framework.testing.conformance.market import Market
from framework.testing.conformance.session import VenueSession
from framework.testing.conformance.stage import Stage, need


@case
async def v35_an_order_that_was_sent_before_a_crash_is_found(stage: Stage) -> None:
    """The venue has it, and the daemon ended before the answer came. A part fills meanwhile."""
    session, market, handle = await _crash_while(stage, "new", Spoil.NO_ANSWER)
    await until_filled(session, handle, market.lot * 3)


@case
async def v36_an_order_that_never_arrived_before_a_crash_is_not_sent_again(stage: Stage) -> None:
    """The daemon ended while the request was on its way, and the venue never got it."""
    session, _market, handle = await _crash_while(stage, "new", Spoil.NO_ANSWER_TO_NOTHING)
    await session.until_status(handle, OrderStatus.REJECTED)


@case
async def v37_an_order_that_rests_fills_while_the_daemon_is_down(stage: Stage) -> None:
    """The fill is booked once, and the order has ended."""
    session, market = await stage.trade()
    handle = await rest(session, market)
    directory = await stage.crash()
    await market.take(Side.SELL, -1, market.lot * 10)
    session = await stage.resume(directory)
    await session.until_status(handle, OrderStatus.FILLED)


@case
async def v38_an_order_that_has_filled_in_part_fills_on_while_the_daemon_is_down(stage: Stage) -> None:
    """The fill of before is not booked again."""
    session, market = await stage.trade()
    handle = await rest(session, market)
    await market.take(Side.SELL, -1, market.lot * 4)
    await until_filled(session, handle, market.lot * 4)
    directory = await stage.crash()
    await market.take(Side.SELL, -1, market.lot * 3)
    session = await stage.resume(directory)
    await until_filled(session, handle, market.lot * 7)


@case
async def v39_a_cancel_that_was_under_way_at_a_crash_has_ended_the_order(stage: Stage) -> None:
    """The venue has done it, and the daemon ended before the answer came."""
    front = await stage.front()
    session, market = await stage.trade()
    handle = await rest(session, market)
    target = front.spoil(stage.request_of("cancel"), Spoil.NO_ANSWER)
    session.cancel(handle.client_order_id)
    await session.until(target.struck.is_set, "no cancel came")
    session = await stage.resume(await stage.crash())
    await session.until_status(handle, OrderStatus.CANCELLED)


@case
async def v98_a_kill_ends_every_order_while_the_daemon_is_dead(stage: Stage) -> None:
    """A process without the daemon cancels them at the venue; the next run records it, and is halted."""
    session, market = await stage.trade()
    is_offered = Plugins(stage.venue.plugin_paths).mass_cancel(stage.venue.use) is not None
    need(is_offered, "a connector that ends orders beside the daemon")
    handles = [await rest(session, market, steps=steps) for steps in (-1, -2, -3)]
    directory = await stage.crash()
    outcome = await stage.kill(directory)
    expect(outcome.is_ended, f"the venue was left with {outcome}")
    rows = (await stage.sandbox.truth())["orders"]
    expect([row["status"] for row in rows] == ["ended"] * 3, f"left: {rows}")
    session = await stage.resume(directory, is_awaited=False)
    for handle in handles:
        await session.until_status(handle, OrderStatus.CANCELLED)
    await session.until(lambda: len(session.daemon.not_ready()) == 1, lambda: f"{session.daemon.not_ready()}")
    expect(session.stops == ["kill: a case"], f"it is not halted: {session.stops}")


async def _crash_while(stage: Stage, request: str, spoil: Spoil) -> tuple[VenueSession, Market, OrderHandle]:
    """Crash while a new order is under way, let a part of it fill if it rests, and start again."""
    front = await stage.front()
    session, market = await stage.trade()
    target = front.spoil(stage.request_of(request), spoil)
    handle = session.place(Side.BUY, market.price(-1), market.lot * 10)
    await session.until(target.struck.is_set, "no order came")
    directory = await stage.crash()
    if spoil.arrives:
        await market.take(Side.SELL, -1, market.lot * 3)
    return await stage.resume(directory), market, handle
