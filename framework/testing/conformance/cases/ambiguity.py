"""V20 to V34: answers that never come, and what the request did: nothing is lost, doubled or guessed."""

from __future__ import annotations

from functools import partial

from framework.domain.numbers import Size
from framework.domain.orders import OrderStatus, Side
from framework.domain.strategy import OrderHandle
from framework.testing.conformance.case import declare
from framework.testing.conformance.cases.orders import rest, until_filled, until_terms
from framework.testing.conformance.findings import expect
from framework.testing.conformance.front import Spoil
from framework.testing.conformance.market import Market
from framework.testing.conformance.session import VenueSession
from framework.testing.conformance.stage import Stage, need

REQUESTS = {"new": "a new order", "cancel": "a cancel", "amend": "an amend"}
SPOILS = (
    Spoil.LOST_ANSWER,
    Spoil.SERVER_ERROR,
    Spoil.RESET_IN_BODY,
    Spoil.LATE_ANSWER,
    Spoil.LOST_REQUEST,
)
LATE = 1.5
"""A late answer comes after so many time-outs."""
TIMEOUT_MS = 400
"""The time-out of a request where the venue's declaration names none."""


async def _play(request: str, spoil: Spoil, stage: Stage) -> None:
    """Spoil one request, and wait for what became of it."""
    front = await stage.front()
    session, market = await stage.trade()
    need(request != "amend" or session.terms.amend, "amend")
    resting = None if request == "new" else await rest(session, market, steps=-2)
    timeout_ms = stage.venue.declaration.settings.get("request_timeout_ms", TIMEOUT_MS)
    target = front.spoil(stage.request_of(request), spoil, late_s=LATE * timeout_ms / 1000)
    handle = _ask(session, market, request, resting)
    await session.until(target.struck.is_set, f"no request came: {stage.request_of(request)}")
    await _END[request](session, market, handle, spoil)


def _ask(session: VenueSession, market: Market, request: str, resting: OrderHandle | None) -> OrderHandle:
    if resting is None:
        return session.place(Side.BUY, market.price(-1), market.lot * 10)
    if request == "cancel":
        session.cancel(resting.client_order_id)
    else:
        session.do(lambda: resting.amend(market.price(-1), Size(market.lot * 12)))
    return resting


async def _end_of_new(session: VenueSession, market: Market, handle: OrderHandle, spoil: Spoil) -> None:
    """It is there, and fills as if nothing had been; or it is proved that it never arrived. Where a venue takes an id
    once, the gateway may have sent the order again while it was wanted: then it is there as well."""
    if not spoil.arrives:
        await session.until_status(handle, OrderStatus.REJECTED, OrderStatus.WORKING)
        return
    await session.until_status(handle, OrderStatus.WORKING)
    await market.take(Side.SELL, -1, market.lot * 3)
    await until_filled(session, handle, market.lot * 3)


async def _end_of_cancel(session: VenueSession, _market: Market, handle: OrderHandle, _spoil: Spoil) -> None:
    """It is repeated until the order has ended."""
    await session.until_status(handle, OrderStatus.CANCELLED)


async def _end_of_amend(session: VenueSession, market: Market, handle: OrderHandle, spoil: Spoil) -> None:
    """The terms are those that the venue really has."""
    steps, lots = (-1, 12) if spoil.arrives else (-2, 10)
    await until_terms(session, handle, market.price(steps), market.lot * lots)
    expect(session.order(handle).amend_size is None, f"the amend is still open: {session.order(handle)}")


_END = {"new": _end_of_new, "cancel": _end_of_cancel, "amend": _end_of_amend}

for number, (kind, way) in enumerate(((kind, way) for kind in REQUESTS for way in SPOILS), start=20):
    declare(f"V{number}", f"{REQUESTS[kind]} ends at the truth when {way.value}", partial(_play, kind, way))
