"""Fills that are told when newer ones than theirs are forgotten: booked once, or an alarm; never a silent gap."""

from __future__ import annotations

import pytest

from framework.domain.account_events import ReportKind, Scope, TradingState
from framework.domain.orders import OrderStatus
from framework.domain.strategy import OrderHandle
from framework.reconciliation import reconciler
from framework.state import account_updates
from framework.state.accounts import Accounts
from framework.state.fills import FILLS_KEPT_MAX
from tests.support.inquiries import look, working
from tests.support.inquiries import report as tell
from tests.support.state_records import MARKET, VENUE, fill, new, report
from tests.support.world import MS, Scribe, World

K = ReportKind


def trade_on(accounts: Accounts, count: int) -> None:
    """Another order trades so often, each time a little later."""
    first = len(accounts.fills) + int(accounts.positions.account(MARKET).size)
    for number in range(first, first + count):
        accounts.apply(fill(f"n{number}", name="c2", venue_order_id="v2", size=1, at=1_000 + number), 1)


@pytest.fixture
def accounts() -> Accounts:
    """Two working orders; the second one is large."""
    accounts = Accounts()
    for name, number in (("c1", "v1"), ("c2", "v2")):
        for record in (new(name, size=10**6), report(K.SENT, name), report(K.ACCEPTED, name, venue_order_id=number)):
            accounts.apply(record, 1)
    return accounts


def size_of(accounts: Accounts) -> int:
    return int(accounts.positions.account(MARKET).size)


def test_fill_when_it_is_told_after_10001_newer_ones_then_it_is_booked_once(accounts: Accounts) -> None:
    trade_on(accounts, FILLS_KEPT_MAX + 1)
    before = size_of(accounts)

    for _ in range(3):
        accounts.apply(fill("late", name="c1", venue_order_id="v1", size=7, at=500), 1)

    assert size_of(accounts) == before + 7
    order = accounts.orders.get("c1")
    assert order is not None
    assert order.filled == 7


def test_fill_when_it_was_booked_and_is_told_after_10001_newer_ones_then_it_is_not_booked_again(
    accounts: Accounts,
) -> None:
    accounts.apply(fill("early", name="c1", venue_order_id="v1", size=7, at=500), 1)
    trade_on(accounts, FILLS_KEPT_MAX + 1)
    assert accounts.fills.get(VENUE, "early") is None
    before = size_of(accounts)

    change = accounts.apply(fill("early", name="c1", venue_order_id="v1", size=7, at=500), 1)

    assert size_of(accounts) == before
    assert change.halts == (MARKET,)


def test_fill_when_the_orders_numbers_are_not_asked_then_it_is_lost(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_updates, "remembers_all", lambda *_: False)
    trade_on(accounts, FILLS_KEPT_MAX + 1)
    before = size_of(accounts)
    change = accounts.apply(fill("late", name="c1", venue_order_id="v1", size=7, at=500), 1)
    assert (size_of(accounts), change.halts) == (before, (MARKET,))


def forgotten(world: World, scribe: Scribe, sizes: tuple[int, ...]) -> OrderHandle:
    """An order of 10 of which the first trade is booked and forgotten and the others never came; the venue lists them
    all, and has said that the order is filled."""
    handle = working(world, scribe)
    tell(world, handle, K.SENT)
    fills = [world.fill(handle, size, f"f{number}") for number, size in enumerate(sizes)]
    world.gateway.fills_there += fills
    world.kernel.publish(fills[0])
    world.accounts.fills._kept_max = 1
    other = working(world, scribe)
    for number in range(3):
        world.clock.advance(1_000 * MS)
        world.kernel.publish(world.fill(other, 1, f"n{number}"))
    assert world.accounts.fills.is_forgotten(fills[-1])
    world.kernel.publish(world.listing(handle, is_open=False, filled=sum(sizes)))
    return handle


async def test_order_when_one_fill_was_forgotten_and_the_other_never_came_then_the_other_one_is_booked(
    world: World, scribe: Scribe
) -> None:
    handle = forgotten(world, scribe, (4, 6))
    for _ in range(2):
        await look(world, after_ns=1_000 * MS)

    order = world.order(handle)
    assert (order.status, order.filled) == (OrderStatus.FILLED, 10)
    assert world.accounts.positions.account(MARKET).size == 13
    for _ in range(3):
        await world.reconciler.once()
    assert world.accounts.positions.account(MARKET).size == 13


async def test_order_when_nothing_tells_which_fill_was_booked_then_its_instrument_is_halted_with_an_alarm(
    world: World, scribe: Scribe
) -> None:
    handle = forgotten(world, scribe, (5, 5))
    for _ in range(30):
        await look(world, after_ns=1_000 * MS)

    order = world.order(handle)
    assert (order.status, order.filled) == (OrderStatus.FILLED, 5)
    assert world.accounts.exposure(MARKET).open_buy >= 5
    assert world.accounts.trading.is_set(Scope.INSTRUMENT, MARKET, TradingState.HALTED)


async def test_order_when_late_fills_are_not_worked_out_then_it_stays_short_of_them(
    world: World, scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "owed", lambda *_: [])
    handle = forgotten(world, scribe, (4, 6))
    for _ in range(2):
        await look(world, after_ns=1_000 * MS)
    assert world.order(handle).filled == 4
