"""V40 to V56: rate limits, the venue's clock, and keys that are refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from framework.domain.market_events import VenueClock
from framework.domain.orders import OrderStatus, Side
from framework.domain.strategy import OrderHandle
from framework.testing.conformance.candidates import filled_in
from framework.testing.conformance.case import case
from framework.testing.conformance.cases.orders import rest
from framework.testing.conformance.findings import NotStaged, expect
from framework.testing.conformance.session import VenueSession
from framework.testing.conformance.stage import Stage

ORDERS = 20
HOUR_MS = 3_600_000
REFUSED_REQUESTS_MAX = 10
"""A key that is refused is not tried again and again."""


@case
async def v40_no_request_is_limited_under_load(stage: Stage) -> None:
    """As many orders as the limit leaves room for, each cancelled at once, beside everything that is read."""
    await stage.limit()
    session, market = await stage.trade()
    sent = 0
    while sent < ORDERS:
        await session.until(session.room, "no room for an order")
        handle = session.place(Side.BUY, market.price(-1 - sent % 5), market.lot)
        await session.until(partial(_is_at_venue, session, handle), "it did not come to rest")
        session.cancel(handle.client_order_id)
        sent += 1
    await session.until(lambda: not session.orders, lambda: f"{len(session.orders)} orders are left")
    observed = (await stage.sandbox.truth())["observed"]
    expect(observed["rate_limited"] == 0, f"{observed['rate_limited']} requests were over the limit")


@case
async def v41_an_order_that_meets_a_429_is_neither_lost_nor_doubled(stage: Stage) -> None:
    """The venue has not got it: it is sent again, or ends here."""
    session, market = await stage.trade()
    await stage.sandbox.spoil("rate_limit_storm", stage.request_of("new"))
    handle = session.place(Side.BUY, market.price(-1), market.lot * 10)
    await session.until_status(handle, OrderStatus.WORKING, OrderStatus.REJECTED)


@case
async def v42_a_cancel_gets_through_a_storm_of_429(stage: Stage) -> None:
    """Every request is refused for a while."""
    session, market = await stage.trade()
    handle = await rest(session, market)
    await stage.sandbox.fault("rate_limit_storm", duration_ms=400)
    session.cancel(handle.client_order_id)
    await session.until_status(handle, OrderStatus.CANCELLED)


@case
async def v50_a_venue_whose_clock_is_off_is_traded_by_its_own_clock(stage: Stage) -> None:
    """An hour, from the start on."""
    await stage.sandbox.fault("clock_skew", skew_ms=HOUR_MS, count=-1)
    session, market = await stage.trade()
    await rest(session, market)
    await session.until(lambda: _offset_ms(session) > HOUR_MS - 10_000, "the offset was not published")


@case
async def v51_a_venue_whose_clock_steps_is_followed(stage: Stage) -> None:
    """Orders go on, before the offset is measured anew and after it."""
    session, market = await stage.trade()
    await stage.sandbox.fault("clock_skew", skew_ms=HOUR_MS, count=-1)
    handle = session.place(Side.BUY, market.price(-1), market.lot)
    await session.until(
        lambda: session.order(handle).status in _ANSWERED, lambda: f"in question: {session.order(handle)}"
    )
    await rest(session, market)
    await session.until(lambda: _offset_ms(session) > HOUR_MS - 10_000, "the offset was not published")


@case
async def v52_a_wrong_signature_is_said_and_no_order_leaves(stage: Stage) -> None:
    """The key is known, and its secret is another one's."""
    await _refused(stage, _declared(stage, stage.venue.declaration.wrong_signature, "wrong_signature"))


@case
async def v53_a_key_that_may_not_trade_is_said(stage: Stage) -> None:
    """Orders are rejected; nothing stays in question."""
    session, market = await stage.trade(_declared(stage, stage.venue.declaration.read_only, "read_only"))
    handle = session.place(Side.BUY, market.price(-1), market.lot)
    await session.until_status(handle, OrderStatus.REJECTED)


@case
async def v54_an_address_that_is_not_allowed_is_said(stage: Stage) -> None:
    """Every request is refused as coming from an address that the key does not allow."""
    await stage.sandbox.fault("ip_refused", count=-1)
    await _refused(stage)


@case
async def v55_a_key_that_nobody_knows_is_said_and_not_tried_again_and_again(stage: Stage) -> None:
    """The venue is left alone for a while."""
    await _refused(stage, _declared(stage, stage.venue.declaration.wrong_key, "wrong_key"))


def _declared(stage: Stage, texts: Mapping[str, str], table: str) -> Mapping[str, str]:
    """Declared settings for a key that is refused. Raises `NotStaged` when the venue declares none."""
    if not texts:
        raise NotStaged(f"conformance.toml has no [{table}]")
    return filled_in(texts, stage.sandbox.ready)


async def _refused(stage: Stage, changes: Mapping[str, str] | None = None) -> None:
    """Start with settings that the venue refuses: the daemon says so, and the venue is left alone."""
    session = await stage.open(changes, is_awaited=False)
    await session.until(lambda: session.stops, lambda: f"nobody says it: {session.daemon.not_ready()}")
    truth = await stage.sandbox.truth()
    expect(not truth["orders"], "an order has left")
    requests = sum(truth["observed"]["requests"].values())
    expect(requests <= REFUSED_REQUESTS_MAX, f"the venue got {requests} requests")
    await stage.leave()


_ANSWERED = (OrderStatus.WORKING, OrderStatus.REJECTED)


def _is_at_venue(session: VenueSession, handle: OrderHandle) -> bool:
    return session.order(handle).status.is_at_venue


def _offset_ms(session: VenueSession) -> int:
    clocks = session.seen(VenueClock)
    return clocks[-1].offset_ns // 1_000_000 if clocks else 0
