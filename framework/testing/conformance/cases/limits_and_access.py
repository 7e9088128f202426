"""V40 to V56: rate limits, the venue's clock, and keys that are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import partial

from structlog.testing import capture_logs

from framework.domain.market_events import LimitsDeclared, VenueClock
from framework.domain.orders import OrderStatus, Side
from framework.domain.rate_limits import NS_PER_S, PoolShape
from framework.domain.strategy import OrderHandle
from framework.domain.terms import FillListing
from framework.domain.verdicts import RefusalCode
from framework.ops.readiness import NotReadyKind
from framework.testing.conformance.candidates import filled_in
from framework.testing.conformance.case import case
from framework.testing.conformance.cases.orders import rest, until_filled
from framework.testing.conformance.cases.refusals import refusal_line
from framework.testing.conformance.findings import NotStaged, expect
from framework.testing.conformance.front import Spoil
from framework.testing.conformance.sandbox import STORM
from framework.testing.conformance.session import VenueSession
from framework.testing.conformance.stage import Stage, need

ORDERS = 20
HOUR_MS = 3_600_000
LAG_MS = 1_000
"""So far behind are a venue's reads: longer than it takes to look twice."""
SLOW_CANCEL_MS = 600
REFUSED_REQUESTS_MAX = 10
"""A key that is refused is not tried again and again."""
LEFT_ALONE_S = 1.0
"""So long the case watches that nothing is tried; the daemon waits a minute."""


@case
async def v40_no_request_is_limited_under_load(stage: Stage) -> None:
    """As many orders as the limit leaves room for, each cancelled at once, beside everything that is read.

    That nothing was limited is looked at after every case.
    """
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


@case
async def v41_an_order_that_meets_a_429_is_neither_lost_nor_doubled(stage: Stage) -> None:
    """The venue has not got it: it is sent again, or ends here."""
    session, market = await stage.trade()
    _await_windows(session)
    await stage.sandbox.spoil(STORM, stage.request_of("new"))
    handle = session.place(Side.BUY, market.price(-1), market.lot * 10)
    await session.until_status(handle, OrderStatus.WORKING, OrderStatus.REJECTED)


@case
async def v42_a_cancel_gets_through_a_storm_of_429(stage: Stage) -> None:
    """Every request is refused for a while."""
    session, market = await stage.trade()
    handle = await rest(session, market)
    _await_windows(session)
    await stage.sandbox.fault(STORM, duration_ms=400)
    session.cancel(handle.client_order_id)
    await session.until_status(handle, OrderStatus.CANCELLED)


@case
async def v43_a_list_that_comes_in_small_pages_is_read_whole(stage: Stage) -> None:
    """Orders that rest and fills that were made while the daemon was down, a row on each page."""
    session, market = await stage.trade()
    need(session.terms.open_orders or session.terms.fills is not FillListing.BY_ORDER, "lists of the account")
    handles = [await rest(session, market, lots=3) for _ in range(3)]
    directory = await stage.crash()
    await stage.sandbox.fault("page_clamp", size=1, count=-1)
    for _ in range(4):
        await market.take(Side.SELL, -1, market.lot)
    session = await stage.resume(directory)
    await stage.sandbox.require_struck("page_clamp")
    for handle, lots in zip(handles, (3, 1, 0), strict=True):
        await until_filled(session, handle, market.lot * lots)


@case
async def v44_an_order_without_an_answer_is_found_by_reads_that_lag(stage: Stage) -> None:
    """The answer is lost, the stream says nothing, and the venue's reads are behind for a while."""
    front = await stage.front()
    session, market = await stage.trade({"read_lag_ms": LAG_MS + LAG_MS // 4})
    await stage.sandbox.fault("read_lag", lag_ms=LAG_MS, count=-1)
    target = front.spoil(stage.request_of("new"), Spoil.LOST_ANSWER)
    front.mute()
    handle = session.place(Side.BUY, market.price(-1), market.lot)
    await session.until(target.struck.is_set, "no order came")
    await session.until_status(handle, OrderStatus.WORKING)


@case
async def v50_a_venue_whose_clock_is_off_is_traded_by_its_own_clock(stage: Stage) -> None:
    """An hour, from the start on; it is said."""
    await stage.sandbox.fault("clock_skew", skew_ms=HOUR_MS, count=-1)
    with capture_logs() as logged:
        session, market = await stage.trade()
        await rest(session, market)
        await session.until(lambda: _offset_ms(session) > HOUR_MS - 10_000, "the offset was not published")
    said = [one["what"] for one in logged if one["event"] == "this machine's clock and the venue's differ"]
    stage.say(next(iter(said), ""), "clock_offset_s=+36", "NTP")


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
    changes = _declared(stage, stage.venue.declaration.wrong_signature, "wrong_signature")
    stage.say(await _refused(stage, changes), *changes)


@case
async def v53_a_key_that_may_not_trade_is_said(stage: Stage) -> None:
    """Orders are rejected, or refused here where the venue says what the key may do; nothing stays in question."""
    session, market = await stage.trade(_declared(stage, stage.venue.declaration.read_only, "read_only"))
    handle = session.ask(Side.BUY, market.price(-1), market.lot)
    if session.terms.trading:
        order = await session.until_status(handle, OrderStatus.REJECTED)
        stage.say(order.reason, "the key may not trade")
    else:
        code = None if handle.refusal is None else handle.refusal.code
        expect(code is RefusalCode.NOT_OFFERED, f"an order is {code or 'approved'}")
        stage.say(refusal_line(handle), "another key")
    expect(not (await stage.sandbox.truth())["orders"], "the venue has an order")


@case
async def v54_an_address_that_is_not_allowed_is_said(stage: Stage) -> None:
    """Every request is refused as coming from an address that the key does not allow."""
    await stage.sandbox.fault("ip_refused", count=-1)
    stage.say(await _refused(stage), "addresses")


@case
async def v55_a_key_that_nobody_knows_is_said_and_not_tried_again_and_again(stage: Stage) -> None:
    """The venue is left alone for a while."""
    changes = _declared(stage, stage.venue.declaration.wrong_key, "wrong_key")
    stage.say(await _refused(stage, changes), *changes)


@case
async def v56_a_request_that_is_called_a_replay_is_signed_anew(stage: Stage) -> None:
    """The venue has not done it: it is sent again with a signature of its own, or ends here."""
    session, market = await stage.trade()
    await stage.sandbox.spoil("replay_refusal", stage.request_of("new"))
    handle = session.place(Side.BUY, market.price(-1), market.lot)
    await session.until_status(handle, *_ANSWERED)


@case
async def v57_a_cancel_that_the_venue_carries_out_later_is_not_repeated(stage: Stage) -> None:
    """The order can still fill meanwhile, and is not taken for one that goes on working."""
    session, market = await stage.trade()
    handle = await rest(session, market)
    await stage.sandbox.fault("slow_cancel", count=-1, delay_ms=SLOW_CANCEL_MS)
    session.cancel(handle.client_order_id)
    await session.until(lambda: session.order(handle).status is OrderStatus.CANCEL_REQUESTED, "it was not sent")
    await market.take(Side.SELL, -1, market.lot * 3)
    await until_filled(session, handle, market.lot * 3)
    await session.until_status(handle, OrderStatus.CANCELLED)
    method, _, path = stage.request_of("cancel").partition(" ")
    requests = (await stage.sandbox.truth())["observed"]["requests"]
    sent = sum(count for name, count in requests.items() if name.startswith(method) and _is_cancel(name, path))
    expect(sent <= 1, f"{sent} cancels were sent: {requests}")


def _await_windows(session: VenueSession) -> None:
    """Have conditions wait for as long as the venue's windows last: a 429 says that nothing is left of one."""
    pools = [pool for declared in session.seen(LimitsDeclared)[-1:] for pool in declared.limits.pools]
    session.wait_s_max += max([one.period_ns for one in pools if one.shape is PoolShape.WINDOW], default=0) / NS_PER_S


def _declared(stage: Stage, texts: Mapping[str, str], table: str) -> Mapping[str, str]:
    """Declared settings for a key that is refused. Raises `NotStaged` when the venue declares none."""
    if not texts:
        raise NotStaged(f"conformance.toml has no [{table}]")
    return filled_in(texts, stage.sandbox.ready)


async def _refused(stage: Stage, changes: Mapping[str, str] | None = None) -> str:
    """Start with settings that the venue refuses: the daemon says so and stays up, and the venue is left alone. What it
    says."""
    session = await stage.open(changes, is_awaited=False)
    await session.until(
        lambda: any(one.kind is NotReadyKind.VENUE_UNUSABLE for one in session.daemon.not_ready()),
        lambda: f"nobody says it: {session.daemon.not_ready()}",
    )
    truth = await stage.sandbox.truth()
    expect(not truth["orders"], "an order has left")
    requests = sum(truth["observed"]["requests"].values())
    expect(requests <= REFUSED_REQUESTS_MAX, f"the venue got {requests} requests")
    await asyncio.sleep(LEFT_ALONE_S)
    later = sum((await stage.sandbox.truth())["observed"]["requests"].values())
    expect(later == requests, f"the venue got {later - requests} requests more within {LEFT_ALONE_S:g} s")
    expect(not session.daemon.supervisor.is_stopping, "the daemon stops, and not this venue alone")
    line = session.stops[0]
    await stage.leave()
    return line


_ANSWERED = (OrderStatus.WORKING, OrderStatus.REJECTED)


def _is_cancel(name: str, path: str) -> bool:
    # Requests are counted by route, whose variable parts are in braces: the pattern's star stands for them, too.
    return fnmatchcase(name.partition(" ")[2], path)


def _is_at_venue(session: VenueSession, handle: OrderHandle) -> bool:
    return session.order(handle).status.is_at_venue


def _offset_ms(session: VenueSession) -> int:
    clocks = session.seen(VenueClock)
    return clocks[-1].offset_ns // 1_000_000 if clocks else 0
