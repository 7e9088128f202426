"""The end of a case: what the daemon knows and what really happened must be the same, and nothing may be left open."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from math import ceil

from framework.domain.account_events import Fill
from framework.domain.instruments import Instrument, instrument_id
from framework.domain.orders import Order, OrderStatus
from framework.domain.terms import FillListing
from framework.testing.conformance.findings import expect
from framework.testing.conformance.sandbox import Json, Sandbox
from framework.testing.conformance.session import VenueSession

ASK_S = 0.03
"""How often the sandbox is asked for the truth."""
ENDED = (OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.FILLED)


async def wind_up(session: VenueSession, sandbox: Sandbox) -> None:
    """End every order of the trader, and wait until daemon and venue agree. Raises `AssertionError` with the first
    difference when they never do."""
    await sandbox.end_faults()
    text = "nothing was compared"
    try:
        async with asyncio.timeout(session.wait_s_max):
            while text:
                _cancel_open(session)
                truth = await sandbox.truth()
                text = next(differences(session, truth), "")
                await asyncio.sleep(ASK_S if text else 0)
    except TimeoutError:
        raise AssertionError(f"daemon and venue do not agree: {text}") from None
    limited = 0 if sandbox.is_storming else truth["observed"]["rate_limited"]
    expect(limited == 0, f"{limited} requests were over the rate limit")


def differences(session: VenueSession, truth: Json) -> Iterator[str]:
    """Each point where the daemon differs from the truth, or has something open."""
    real = {row["order_id"]: row for row in truth["orders"]}
    known = session.placed_orders
    yield from (text for one in known if (text := _order_apart(session, one, real)))
    ids = {one.venue_order_id for one in known}
    rejected = {one.client_order_id for one in known if one.status is OrderStatus.REJECTED}
    own = {name: row for name, row in real.items() if row["is_own"] and not _stands_in(row, rejected)}
    yield from (f"the venue has an order that nobody asked for: {row}" for name, row in own.items() if name not in ids)
    yield from _fills_apart(session, truth)
    yield from _positions_apart(session, truth)


def _cancel_open(session: VenueSession) -> None:
    for order in session.orders:
        if order.status.is_at_venue and order.status is not OrderStatus.CANCEL_REQUESTED:
            session.cancel(order.client_order_id)


def _order_apart(session: VenueSession, order: Order, real: Mapping[str, Json]) -> str:
    row, one = real.get(order.venue_order_id), session.accounts.instruments.get(order.instrument)
    if order.is_open:
        return f"{order.client_order_id} is still {order.status.value}"
    if row is None or one is None:
        return "" if order.status is OrderStatus.REJECTED else f"{order.client_order_id} is at no venue: {order}"
    if row["client_order_id"] not in ("", order.client_order_id):
        return f"{order.client_order_id} is at the venue under another id: {row}"
    if row["status"] != "ended" or order.status not in ENDED:
        return f"{order.client_order_id} is {order.status.value}, really {row}"
    return "" if order.filled == one.size(row["filled"]) else f"filled {order.filled}, really {row}"


def _stands_in(row: Json, rejected: Collection[str]) -> bool:
    """Whether an order stands at the venue for one that never arrived, so that it can't arrive any more: under its id,
    ended, and without a fill."""
    return row["client_order_id"] in rejected and row["status"] == "ended" and not Decimal(row["filled"])


def _fills_apart(session: VenueSession, truth: Json) -> Iterator[str]:
    """By the fills' ids where the venue lists all of them; else what traded is compared order by order only."""
    if session.terms.fills is not FillListing.LISTED:
        return
    booked = {fill.fill_id: fill for fill in session.booked_fills}
    placed = {one.venue_order_id for one in session.placed_orders}
    for row in truth["fills"]:
        if row["order_id"] in placed and (text := _fill_apart(session, booked.pop(row["fill_id"], None), row)):
            yield text
    yield from (f"a fill is booked that never was: {fill}" for fill in booked.values())


def _fill_apart(session: VenueSession, fill: Fill | None, row: Json) -> str:
    one = _instrument(session, row)
    if fill is None:
        return f"a fill is not booked: {row}"
    seen = (fill.price, fill.size, fill.side.value, fill.is_maker)
    real = (one.price(row["price"]), one.size(row["size"]), row["side"], row["is_maker"])
    # A fee in another currency, or with more digits than our money, is rounded against us.
    fee = ceil(Decimal(row["fee"]).scaleb(fill.fee_decimals if fill.fee_currency else one.money_decimals))
    return "" if seen == real and fill.fee == fee else f"{fill} is really {row}"


def _positions_apart(session: VenueSession, truth: Json) -> Iterator[str]:
    real = {instrument_id(session.venue, row["instrument"]): row["size"] for row in truth["positions"]}
    for name, one in session.accounts.instruments.items():
        size, is_really = session.accounts.positions.account(name).size, one.size(real.get(name, "0"))
        if size != is_really:
            yield f"the position in {name} is {size}, really {is_really}"


def _instrument(session: VenueSession, row: Json) -> Instrument:
    return session.accounts.instruments[instrument_id(session.venue, row["instrument"])]
