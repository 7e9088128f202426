"""V90 to V93, V96 to V99: other hands on the account, and the end of a run."""

from __future__ import annotations

from framework.domain.numbers import Size
from framework.domain.orders import OrderStatus, Side
from framework.domain.terms import FillListing, PositionListing
from framework.testing.conformance.case import case
from framework.testing.conformance.cases.orders import rest, until_filled
from framework.testing.conformance.findings import expect
from framework.testing.conformance.market import Market
from framework.testing.conformance.session import TRADER
from framework.testing.conformance.stage import Stage, need


@case
async def v90_an_order_of_another_hand_is_external_and_left_alone(stage: Stage) -> None:
    """It is known, it is nobody's here, and nothing is done to it."""
    session, market = await stage.trade()
    need(session.terms.open_orders, "a list of open orders")
    made = await market.act("order", **_order(market, Side.BUY, -3, lots=2))
    session.reconcile()
    await session.until(lambda: session.accounts.external_orders(session.venue), "it was not noticed")
    (known,) = session.accounts.external_orders(session.venue)
    expect(known.venue_order_id == made["order_id"], f"{known} is really {made}")
    await stage.stop()
    rows = {row["order_id"]: row["status"] for row in (await stage.sandbox.truth())["orders"]}
    expect(rows[made["order_id"]] == "open", "the other hand's order was cancelled")


@case
async def v91_a_stop_cancels_what_is_ours(stage: Stage) -> None:
    """An orderly end leaves nothing open, and exits with 0."""
    session, market = await stage.trade()
    for steps in (-1, -2):
        await rest(session, market, steps=steps)
    code = await stage.stop()
    expect(code == 0, f"the exit code is {code}")
    rows = (await stage.sandbox.truth())["orders"]
    expect([row["status"] for row in rows] == ["ended"] * 2, f"left: {rows}")


@case
async def v92_a_position_that_another_hand_moved_stops_trading_there(stage: Stage) -> None:
    """What no fill of ours explains is said, and the instrument is not traded on."""
    session, market = await stage.trade()
    need(session.terms.positions is PositionListing.LISTED, "positions that can be read")
    directory = await stage.crash()
    await stage.sandbox.fault("hidden_fill", count=1)
    await market.act("order", time_in_force="ioc", **_order(market, Side.BUY, 2, lots=5))
    session = await stage.resume(directory, is_awaited=False)
    await session.until(lambda: session.stops, "nobody said it")
    expect(not session.ask(Side.BUY, market.price(-1), market.lot).is_approved, "it trades on")
    await stage.leave()


@case
async def v97_what_another_hand_trades_counts_in_the_account_and_is_nobodys(stage: Stage) -> None:
    """The account's position follows, a strategy's does not."""
    session, market = await stage.trade()
    need(session.terms.fills is not FillListing.BY_ORDER, "fills or positions that show it")
    await market.act("order", time_in_force="ioc", **_order(market, Side.BUY, 2, lots=5))
    session.reconcile()
    positions, name = session.accounts.positions, session.instrument.id
    await session.until(lambda: positions.account(name).size == market.lot * 5, "the fill was not noticed")
    expect(positions.of_strategy(TRADER, name).size == 0, "it is booked for a strategy")


@case
async def v93_a_fill_that_no_list_shows_is_booked_all_the_same(stage: Stage) -> None:
    """From what the position, or the order, says."""
    session, market = await stage.trade()
    need(session.terms.fills is not FillListing.LISTED, "fills that are not listed")
    handle = await rest(session, market)
    await stage.sandbox.fault("hidden_fill", count=1)
    await market.take(Side.SELL, -1, market.lot * 4)
    await until_filled(session, handle, market.lot * 4)


@case
async def v96_an_order_that_another_hand_cancels_ends_here(stage: Stage) -> None:
    """The venue's word is enough; nothing was asked for here."""
    session, market = await stage.trade()
    handle = await rest(session, market)
    await stage.sandbox.act("cancel", order_id=session.order(handle).venue_order_id)
    await session.until_status(handle, OrderStatus.CANCELLED)


def _order(market: Market, side: Side, steps: int, *, lots: int) -> dict[str, str]:
    one = market.instrument
    price, size = one.price_text(market.price(steps)), one.size_text(Size(market.lot * lots))
    return {"side": side.value, "price": price, "size": size}
