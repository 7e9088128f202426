"""V70 to V77: positions, cash, payments that are no trades, and what a contract pays in the end."""

from __future__ import annotations

from decimal import Decimal

from framework.domain.account_events import BalanceReport, CashFlow, CashFlowKind, InstrumentSettled, PositionReport
from framework.domain.instruments import InstrumentKind
from framework.domain.market_events import MarkPrice
from framework.domain.orders import Side
from framework.domain.terms import FillListing, PositionListing
from framework.testing.conformance.case import case
from framework.testing.conformance.cases.orders import until_filled
from framework.testing.conformance.findings import expect
from framework.testing.conformance.market import Market
from framework.testing.conformance.session import VenueSession
from framework.testing.conformance.stage import Stage, need

FUNDING_PPM = 500
"""The rate of the funding that a case asks for, in parts per million of the position's value."""


async def hold(session: VenueSession, market: Market, *, lots: int = 5) -> None:
    """Buy so many lots at the counterparty's best ask."""
    handle = session.place(Side.BUY, market.price(2), market.lot * lots)
    await until_filled(session, handle, market.lot * lots)


@case
async def v70_a_position_is_what_the_venue_says(stage: Stage) -> None:
    """Bought, sold in part, and sold out."""
    session, market = await stage.trade()
    await hold(session, market)
    for lots in (2, 3):
        handle = session.place(Side.SELL, market.price(-2), market.lot * lots)
        await until_filled(session, handle, market.lot * lots)
    expect(session.accounts.positions.account(session.instrument.id).size == 0, "the position is not flat")


@case
async def v71_the_balance_is_what_the_venue_says(stage: Stage) -> None:
    """After a trade with its fee, and a deposit, read by the next daemon's start."""
    session, market = await stage.trade()
    await hold(session, market)
    currency = (await stage.sandbox.truth())["balances"][0]["currency"]
    await stage.sandbox.act("deposit", currency=currency, amount="12")
    session = await stage.resume(await stage.crash())
    reports = session.seen(BalanceReport)
    truth = await stage.sandbox.truth()
    totals = [Decimal(row["total"]) for row in truth["balances"]]
    for report in reports:
        seen = Decimal(report.amount).scaleb(-report.decimals)
        expect(any(_same(seen, total, report.decimals) for total in totals), f"{seen} is none of {totals}")
    expect(reports, "no balance was published")


@case
async def v72_a_position_is_compared_with_the_venues(stage: Stage) -> None:
    """The venue's own word for the position arrives, and equals ours."""
    session, market = await stage.trade()
    need(session.terms.positions is PositionListing.LISTED, "positions that can be read")
    await hold(session, market)
    session = await stage.resume(await stage.crash())
    sizes = {one.size for one in await session.gateway.positions() or ()}
    expect(sizes == {market.lot * 5}, f"the venue lists {sizes}")
    expect(all(one.size == market.lot * 5 for one in session.seen(PositionReport)), "a report differs")


@case
async def v73_funding_is_booked_once(stage: Stage) -> None:
    """As a cash flow with its id, of the amount that the venue pays or takes; when the next daemon reads it again, the
    position's funding is the same."""
    session, market = await _perpetual(stage)
    await hold(session, market)
    await stage.sandbox.fault("funding_now", match={"market": market.instrument.symbol}, rate_ppm=FUNDING_PPM)
    await session.until(lambda: session.seen(CashFlow), "no cash flow was published")
    flows = {one.flow_id: one for one in session.seen(CashFlow) if one.kind is CashFlowKind.FUNDING}
    real = {one["flow_id"]: Decimal(one["amount"]) for one in (await stage.sandbox.truth())["cash_flows"]}
    seen = {name: Decimal(one.amount).scaleb(-one.decimals) for name, one in flows.items()}
    expect(seen and seen == {name: real.get(name) for name in seen}, f"{seen} is really {real}")
    _expect_funding(session, market, sum(seen.values()))
    later = await stage.resume(await stage.crash())
    await later.until(lambda: later.seen(CashFlow), "the next daemon read no cash flow")
    _expect_funding(later, market, sum(seen.values()))


@case
async def v74_mark_prices_are_published(stage: Stage) -> None:
    """A jump of the mark arrives."""
    session, market = await _perpetual(stage)
    await market.act("mark", price=market.instrument.price_text(market.price(3)))
    await session.until(
        lambda: any(one.mark == market.price(3) for one in session.seen(MarkPrice)), "the mark never came"
    )


@case
async def v75_a_contract_that_settles_pays_its_value(stage: Stage) -> None:
    """The position is paid out and gone."""
    session, market = await stage.trade()
    need(market.instrument.kind is InstrumentKind.BINARY, "contracts that settle")
    await hold(session, market)
    one = market.instrument
    await market.act("settle", value=one.price_text(one.unit))
    await session.until(lambda: session.seen(InstrumentSettled), "the settlement was not published")
    await session.until(lambda: one.id in session.accounts.settlements, "the settlement was not booked")
    value = session.accounts.settlements[one.id]
    expect(value == one.unit, f"it paid {value}")


@case
async def v76_a_position_that_the_venue_liquidates_is_gone_here_too(stage: Stage) -> None:
    """What no order of ours did is booked for the account, and said."""
    session, market = await _perpetual(stage)
    await hold(session, market)
    await stage.sandbox.fault("liquidate", match={"market": market.instrument.symbol})
    positions, name = session.accounts.positions, session.instrument.id
    await session.until(lambda: positions.account(name).size == 0, "the position is still there")
    if session.terms.fills is FillListing.TAKER_ONLY:
        await session.until(lambda: session.stops, "nobody said it")
        expect(not session.ask(Side.BUY, market.price(-1), market.lot).is_approved, "it trades on as if nothing were")


async def _perpetual(stage: Stage) -> tuple[VenueSession, Market]:
    session, market = await stage.trade()
    need(market.instrument.kind is InstrumentKind.PERPETUAL, "perpetual contracts")
    return session, market


def _expect_funding(session: VenueSession, market: Market, total: Decimal | int) -> None:
    held = session.accounts.positions.account(market.instrument.id)
    expect(market.instrument.money(held.funding) == total, f"{held.funding} is booked of {total}")


def _same(seen: Decimal, real: Decimal, decimals: int) -> bool:
    return abs(seen - real) < Decimal(1).scaleb(-decimals)
