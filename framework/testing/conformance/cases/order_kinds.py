"""V60 to V69: market orders, triggers, ends at a date, orders that only reduce, and what a venue does not offer."""

from __future__ import annotations

from collections.abc import Mapping

from framework.domain.market_events import VenueClock
from framework.domain.numbers import Money
from framework.domain.orders import OrderKind, OrderStatus, Side, TimeInForce, Trigger, TriggerKind
from framework.domain.verdicts import RefusalCode
from framework.runtime.clock import SystemClock
from framework.testing.conformance.case import case
from framework.testing.conformance.cases.orders import rest, until_filled
from framework.testing.conformance.findings import expect
from framework.testing.conformance.stage import Stage, need

EXPIRES_S = 2
MARKET = {"kind": OrderKind.MARKET, "time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL}
"""The fields of a market order, which never rests."""
S = 1_000_000_000


@case
async def v60_a_market_order_fills_at_once_and_no_worse_than_its_price(stage: Stage) -> None:
    """What can't be had at this price ends."""
    session, market = await stage.trade(size=5)
    need(OrderKind.MARKET in session.terms.order_kinds, "market orders")
    handle = session.place(Side.BUY, market.price(3), market.lot * 8, **MARKET)
    order = await until_filled(session, handle, market.lot * 8)
    expect(all(fill.price <= order.price for fill in session.booked_fills), f"worse than {order.price}")


@case
async def v61_a_market_order_by_amount_spends_no_more_than_that(stage: Stage) -> None:
    """The amount is in the quote currency, fees aside."""
    session, market = await stage.trade(size=5)
    need(session.terms.quote_amounts, "market orders by amount")
    amount = Money(market.price(2) * market.lot * 2)
    handle = session.place(Side.BUY, market.price(3), market.lot * 8, quote_amount=amount, **MARKET)
    await session.until(lambda: not session.order(handle).is_open, lambda: f"no end: {session.order(handle)}")
    spent = sum(fill.price * fill.size for fill in session.booked_fills)
    expect(0 < spent <= amount, f"{spent} was spent of {amount}")


@case
async def v62_a_triggered_order_waits_for_its_price(stage: Stage) -> None:
    """It fills once a trade at its trigger price has been made, and not before; a restart changes nothing, and until
    then it can be cancelled."""
    session, market = await stage.trade(size=5)
    need(TriggerKind.STOP in session.terms.triggers, "stop orders")
    trigger = Trigger(TriggerKind.STOP, market.price(3))
    handle, other = (session.place(Side.BUY, market.price(5), market.lot * 2, trigger=trigger) for _ in range(2))
    for one in (handle, other):
        await session.until_status(one, OrderStatus.WORKING)
    session = await stage.resume(await stage.crash())
    expect(session.order(handle).is_open and not session.booked_fills, f"it waited: {session.order(handle)}")
    session.cancel(other.client_order_id)
    await session.until_status(other, OrderStatus.CANCELLED)
    await market.take(Side.BUY, 3, market.lot * 6)
    await until_filled(session, handle, market.lot * 2)


@case
async def v65_an_order_with_an_end_date_expires(stage: Stage) -> None:
    """The venue ends it, and the daemon learns it without asking for it."""
    session, market = await stage.trade()
    need(session.terms.good_till_date, "good till date")
    offset_ns = session.seen(VenueClock)[-1].offset_ns if session.seen(VenueClock) else 0
    expires_ns = SystemClock().now_ns() + offset_ns + EXPIRES_S * S
    handle = session.place(Side.BUY, market.price(-1), market.lot, expires_ns=expires_ns)
    await session.until_status(handle, OrderStatus.WORKING)
    await session.until_status(handle, OrderStatus.EXPIRED, OrderStatus.CANCELLED)


@case
async def v66_an_order_that_only_reduces_never_opens_a_position(stage: Stage) -> None:
    """Twice the position is offered, and the position ends flat."""
    session, market = await stage.trade()
    need(session.terms.reduce_only, "reduce-only")
    await until_filled(session, session.place(Side.BUY, market.price(2), market.lot * 3), market.lot * 3)
    reducing = {"reduce_only": True, "time_in_force": session.terms.times_in_force[0]}
    if TimeInForce.IMMEDIATE_OR_CANCEL in session.terms.times_in_force:
        reducing["time_in_force"] = TimeInForce.IMMEDIATE_OR_CANCEL
    handle = session.place(Side.SELL, market.price(-2), market.lot * 3, **reducing)
    await until_filled(session, handle, market.lot * 3)
    second = session.ask(Side.SELL, market.price(-2), market.lot, **reducing)
    if second.is_approved:
        await session.until(
            lambda: session.order(second).status.is_at_venue or not session.order(second).is_open, "no answer"
        )
        expect(session.order(second).filled == 0, f"it opened a position: {session.order(second)}")


@case
async def v67_what_the_venue_does_not_offer_is_refused_before_it(stage: Stage) -> None:
    """Each kind of order and each flag that its terms leave out."""
    session, market = await stage.trade()
    terms = session.terms
    missing: list[Mapping[str, object]] = [] if OrderKind.MARKET in terms.order_kinds else [MARKET]
    missing += [] if terms.triggers else [{"trigger": Trigger(TriggerKind.STOP, market.price(3))}]
    missing += [] if terms.post_only else [{"post_only": True}]
    missing += [] if terms.reduce_only else [{"reduce_only": True}]
    missing += [{"time_in_force": one} for one in TimeInForce if one not in terms.times_in_force]
    for fields in missing:
        handle = session.ask(Side.BUY, market.price(-3), market.lot, **fields)
        code = None if handle.refusal is None else handle.refusal.code
        expect(code is RefusalCode.NOT_OFFERED, f"{fields} is {code or 'approved'}")
    expect(not (await stage.sandbox.truth())["orders"], "an order has left")


@case
async def v68_everything_is_cancelled_with_one_request(stage: Stage) -> None:
    """Every order of the account, or of the market, ends."""
    session, market = await stage.trade()
    need(session.terms.cancel_all.value != "none", "cancel-all")
    handles = [await rest(session, market, steps=-1 - number) for number in range(3)]
    session.cancel_everything()
    for handle in handles:
        await session.until_status(handle, OrderStatus.CANCELLED)


@case
async def v69_an_order_larger_than_the_venue_takes_is_refused_before_it(stage: Stage) -> None:
    """One lot more than the largest size."""
    session, market = await stage.trade()
    one = session.instrument
    need(one.size_max, "a largest size")
    handle = session.ask(Side.BUY, market.price(-1), one.size_max + one.lot)
    expect(not handle.is_approved, "it is approved")
    expect(not (await stage.sandbox.truth())["orders"], "an order has left")
