"""V13 to V19: what the gate refuses before the venue, and what the venue refuses, in its own words."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from framework.domain.account_events import InstrumentDefined, OrderSnapshot
from framework.domain.instruments import InstrumentStatus, instrument_id
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderStatus, Side
from framework.domain.strategy import OrderHandle
from framework.domain.verdicts import Approved
from framework.testing.conformance.case import case
from framework.testing.conformance.cases.orders import rest
from framework.testing.conformance.findings import expect
from framework.testing.conformance.session import VenueSession
from framework.testing.conformance.stage import Stage, need

NO_SUCH_SYMBOL = "NO-SUCH-MARKET"


@case
async def v13_a_price_or_size_off_the_grid_is_refused_before_the_venue(stage: Stage) -> None:
    """No request leaves for it."""
    session, market = await stage.trade()
    one = session.instrument
    off = [(Price(market.price(-1) + 1), market.lot)] if one.tick_at(market.price(-1)) > 1 else []
    off += [(market.price(-1), Size(market.lot + 1))] if one.lot > 1 else []
    need(off, "a grid that is coarser than its numbers")
    for price, size in off:
        expect(not session.ask(Side.BUY, price, size).is_approved, f"{size} at {price} is approved")
    expect(not (await stage.sandbox.truth())["orders"], "an order has left")


@case
async def v14_a_post_only_order_that_would_take_is_rejected(stage: Stage) -> None:
    """Nothing trades, and nothing rests."""
    session, market = await stage.trade()
    need(session.terms.post_only, "post-only")
    await _rejected(session, session.place(Side.BUY, market.price(2), market.lot, post_only=True))


@case
async def v15_an_order_that_the_balance_does_not_cover_is_rejected(stage: Stage) -> None:
    """The account's cash would pay for half of it, at the highest leverage there is."""
    session, market = await stage.trade()
    one = session.instrument
    cash = max(Decimal(row["available"]) for row in (await stage.sandbox.truth())["balances"])
    most = cash.scaleb(one.money_decimals) * max(one.leverage_max, 1)
    lots = int(most * 2) // (market.price(-1) * market.lot) + 1
    need(not one.size_max or market.lot * lots <= one.size_max, "a size limit above the balance")
    await _rejected(session, session.place(Side.BUY, market.price(-1), market.lot * lots))


@case
async def v16_an_order_in_a_market_that_the_venue_does_not_have_is_rejected(stage: Stage) -> None:
    """It ends; it does not stay in question."""
    session, market = await stage.trade()
    name = instrument_id(session.venue, NO_SUCH_SYMBOL)
    unknown = msgspec.structs.replace(session.instrument, id=name, symbol=NO_SUCH_SYMBOL)
    session.daemon.kernel.publish(InstrumentDefined(unknown, 0))
    await _rejected(session, session.place(Side.BUY, market.price(-1), market.lot, instrument=name))


@case
async def v17_a_market_that_closes_takes_no_order_and_ends_those_that_rest(stage: Stage) -> None:
    """Before the daemon knows of the close the venue refuses, afterwards the gate."""
    session, market = await stage.trade()
    resting = await rest(session, market)
    await market.act("close")
    handle = session.ask(Side.BUY, market.price(-2), market.lot)
    if handle.is_approved:
        await _rejected(session, handle)
    await _until_status(session, InstrumentStatus.CLOSED, InstrumentStatus.SETTLED)
    expect(not session.ask(Side.BUY, market.price(-2), market.lot).is_approved, "the gate lets an order through")
    await session.until_status(resting, OrderStatus.CANCELLED, OrderStatus.EXPIRED)


@case
async def v18_a_paused_market_takes_no_order_until_it_resumes(stage: Stage) -> None:
    """Before the daemon knows of the pause the venue refuses, afterwards the gate."""
    session, market = await stage.trade()
    await market.act("pause")
    handle = session.ask(Side.BUY, market.price(-2), market.lot)
    if handle.is_approved:
        await _rejected(session, handle)
    await market.act("resume")
    await market.quote_around(market.lot * 5)
    await _until_status(session, InstrumentStatus.ACTIVE)
    await rest(session, market, steps=-2)


@case
async def v19_an_order_that_is_sent_twice_under_one_id_is_one_order(stage: Stage) -> None:
    """The second answer shows the first order, or refuses; it never proves that there is none."""
    session, market = await stage.trade()
    need(session.terms.client_ids, "client ids")
    handle = await rest(session, market)
    if isinstance(handle.verdict, Approved):
        for event in await session.gateway.send(session.gateway.sign(handle.verdict, None)):
            session.daemon.kernel.publish(event)
            shown = event.venue_order_id if isinstance(event, OrderSnapshot) else ""
            expect(shown in ("", session.order(handle).venue_order_id), f"another order: {event}")
    expect(session.order(handle).status.is_at_venue, f"the order is lost: {session.order(handle)}")


def refusal_line(handle: OrderHandle) -> str:
    """The gate's refusal, as `tidegate refusals` shows it. Raises `AssertionError` for an order that it let through."""
    if handle.refusal is None:
        raise AssertionError("the gate lets it through")
    return f"{handle.refusal.code.value}: {handle.refusal.detail}"


async def _until_status(session: VenueSession, *statuses: InstrumentStatus) -> None:
    await session.until(
        lambda: session.instrument.status in statuses, lambda: f"{session.instrument} is {session.instrument.status}"
    )


async def _rejected(session: VenueSession, handle: OrderHandle) -> Order:
    order = await session.until_status(handle, OrderStatus.REJECTED)
    expect(order.reason, f"no reason: {order}")
    return order
