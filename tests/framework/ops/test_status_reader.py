"""The status as it is read from the kernel's state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from framework.domain.account_events import (
    BalanceReport,
    InstrumentDefined,
    PositionReport,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.instruments import InstrumentId, InstrumentStatus
from framework.domain.market_events import BookSnapshot, ConnectorStatus, VenueClock
from framework.domain.numbers import Price, Size
from framework.domain.orders import OrderStatus
from framework.ops.orders_in_question import OrdersInQuestion
from framework.ops.readiness import NotReady, NotReadyKind
from framework.ops.status import CashStatus, PositionStatus, StrategyStatus, TradingStatus
from framework.ops.status_reader import StatusReader, StatusSources
from framework.runtime.metrics import Metrics
from tests.support import state_records
from tests.support.inquiries import listed, unknown
from tests.support.state_records import INSTRUMENT, MARKET, VENUE
from tests.support.world import MS, Scribe, World


def reader_of(world: World, **sources: Any) -> StatusReader:
    return StatusReader(world.kernel, Metrics(), world.clock, StatusSources(**sources))


def test_venue_when_nothing_was_received_yet_then_it_says_so_and_its_feed_age_is_not_known(tmp_path: Path) -> None:
    world = World(tmp_path)
    trouble: dict[str, str] = {}
    reader = reader_of(world, trouble=trouble)
    (venue,) = reader.read().venues
    assert (venue.is_up, venue.reason, venue.feed_age_ms) == (False, "not connected yet", None)
    trouble[VENUE] = "connection refused"
    assert reader.read().venues[0].reason == "connection refused"
    world.start()
    world.clock.advance(250 * MS)
    world.kernel.publish(VenueClock(VENUE, 4 * MS, 1, 1))

    (venue,) = reader.read().venues

    assert (venue.is_up, venue.reason, venue.feed_age_ms) == (True, "", 250)
    assert (venue.books, venue.books_fresh, venue.clock_offset_ms) == (1, 1, 4.0)
    assert venue.rate_limit_left == dict(world.budgets[VENUE].tokens())
    world.close()


def test_venue_when_it_went_down_then_it_says_why(world: World) -> None:
    world.kernel.publish(ConnectorStatus(VENUE, False, "silent for 25 s", 1))
    (venue,) = reader_of(world).read().venues
    assert (venue.is_up, venue.reason) == (False, "silent for 25 s")
    assert (venue.books_fresh, venue.feed_age_ms) == (0, None)


def test_venue_when_a_market_has_closed_then_its_book_counts_no_more(world: World) -> None:
    reader = reader_of(world)
    before = reader.read().venues[0]
    world.kernel.publish(InstrumentDefined(msgspec.structs.replace(INSTRUMENT, status=InstrumentStatus.CLOSED), 1))
    (venue,) = reader.read().venues
    assert (before.books, before.books_fresh) == (1, 1)
    assert (venue.books, venue.books_fresh, venue.feed_age_ms) == (0, 0, None)


def test_status_when_a_scope_is_halted_then_it_says_why_by_whom_and_since_when(world: World) -> None:
    world.kernel.publish(
        TradingStateChanged(
            scope=Scope.VENUE, target=VENUE, state=TradingState.HALTED, reason="drill", ts_recv=7, by="operator"
        )
    )
    assert reader_of(world).read().trading == (TradingStatus("venue", VENUE, "halted", "drill", "operator", 7),)


def test_strategies_when_one_runs_and_others_do_not_then_each_says_why(world: World, scribe: Scribe) -> None:
    listed(world, scribe)
    world.add(name="bad")
    world.kernel.hosts["bad"].quarantine = "on_book raised"
    not_ready = [NotReady(NotReadyKind.STARTING, "strategy late has not begun: waits for venue ebb")]
    waiting = ["strategy later waits for an active instrument that matches ebb:X-*"]
    reader = reader_of(
        world,
        strategies=["scribe", "bad", "late", "later"],
        not_ready=lambda: not_ready,
        waiting=lambda: waiting,
    )
    assert reader.read().strategies == (
        StrategyStatus("scribe", "running", instruments=1, open_orders=1),
        StrategyStatus("bad", "quarantined", "on_book raised", instruments=1),
        StrategyStatus("late", "waiting", "has not begun: waits for venue ebb"),
        StrategyStatus("later", "waiting", "waits for an active instrument that matches ebb:X-*"),
    )


def test_orders_when_in_doubt_then_each_is_there_with_its_age(world: World, scribe: Scribe) -> None:
    in_question = OrdersInQuestion(world.accounts.orders, world.clock)
    handle = unknown(world, scribe)
    in_question.look_at(world.order(handle))
    world.clock.advance(1_500 * MS)
    (one,) = reader_of(world, in_question=in_question).read().orders_in_question
    assert (one.client_order_id, one.strategy, one.what, one.age_ms) == (
        handle.client_order_id,
        "scribe",
        "unknown",
        1_500,
    )


async def test_money_when_reported_then_cash_positions_and_what_differs_are_there(world: World, scribe: Scribe) -> None:
    world.kernel.publish(BalanceReport(venue=VENUE, currency="USD", amount=1_000_050, decimals=2, ts_recv=1))
    handle = listed(world, scribe)
    world.kernel.publish(world.fill(handle, 3))
    world.gateway.positions_there.append(PositionReport(venue=VENUE, instrument=MARKET, size=Size(5), ts_recv=1))
    await world.reconciler.once()
    world.clock.advance(101 * MS)
    await world.reconciler.once()

    status = reader_of(world, reconcilers=lambda: {VENUE: world.reconciler}).read()

    assert status.cash == (CashStatus(VENUE, "USD", "10000.5", 1),)
    assert status.positions == (PositionStatus(MARKET, "3"),)
    assert any("position" in text for text in status.differences)


def test_quotes_when_a_strategy_trades_another_instrument_then_that_is_a_row_while_it_holds_something(
    world: World,
) -> None:
    other = msgspec.structs.replace(INSTRUMENT, id=InstrumentId(f"{VENUE}:OTHER"), symbol="OTHER")
    world.kernel.publish(InstrumentDefined(other, 1))
    scribe: Any = world.core.add_strategy("scribe", Scribe, None, (MARKET,), trade_anything=True)
    reader = reader_of(world)

    def rows() -> list[tuple[str, str, str]]:
        return [(row.instrument, row.own_bid, row.position) for row in reader.read().quotes]

    assert rows() == [(INSTRUMENT.symbol, "", "0")]
    handle = world.do(scribe, lambda: scribe.buy(other.id, Price(45), Size(10)))
    assert rows()[1:] == [("OTHER", "0.45 x 10", "0")]
    world.kernel.publish(msgspec.structs.replace(world.fill(handle, 10), instrument=other.id))
    assert rows()[1:] == [("OTHER", "", "10")]
    assert world.books.get(other.id) is None, "looking at it makes no book"


def test_pnl_when_nobody_asks_then_says_that_it_is_marked_at_the_bid(world: World, scribe: Scribe) -> None:
    world.kernel.publish(world.fill(world.buy(scribe), 10))
    world.kernel.publish(BookSnapshot(MARKET, 1, 1, ((Price(97), Size(5)),), ()))
    (row,) = reader_of(world).read().quotes
    assert row.pnl.endswith(" at bid")
    world.quote(40, 60)
    (row,) = reader_of(world).read().quotes
    assert float(row.pnl) > 0


def test_summary_when_an_order_can_not_trade_any_more_then_it_is_not_among_those_that_may_be_left(
    world: World, scribe: Scribe
) -> None:
    handle = listed(world, scribe)
    assert f"order may be left: {handle.client_order_id}" in reader_of(world).exit_summary("SIGTERM", Path("s"))
    world.kernel.publish(world.listing(handle, is_open=False, filled=10))
    assert world.order(handle).status is OrderStatus.ENDING
    assert "no order of ours left" in reader_of(world).exit_summary("SIGTERM", Path("s"))


def test_summary_when_others_have_open_orders_then_says_that_these_stay(world: World) -> None:
    reader = reader_of(world)
    assert "not ours" not in reader.exit_summary("SIGTERM", Path("s"))
    world.kernel.publish(state_records.listed(""))
    assert "open and not ours: 1  (tidegate external-orders --state-dir s)" in reader.exit_summary("SIGTERM", Path("s"))
