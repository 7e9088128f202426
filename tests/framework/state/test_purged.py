"""Instruments that leave the state once they have settled, and what is kept of them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from framework.domain.account_events import (
    CashFlow,
    CashFlowKind,
    Fill,
    FillVoided,
    InstrumentDefined,
    InstrumentPurged,
    InstrumentSettled,
    OrderAdopted,
    ReportKind,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Price
from framework.runtime.clock import ManualClock
from framework.state.accounts import Accounts
from framework.state.purged import REMEMBERED_MAX, STAYS_NS, PurgeSchedule
from tests.support.state_records import INSTRUMENT, MARKET, VENUE, adopted, fill, new, report

ONE = INSTRUMENT.unit
FUNDING = CashFlow(
    venue=VENUE,
    flow_id="a",
    kind=CashFlowKind.FUNDING,
    currency="USD",
    amount=-7,
    decimals=INSTRUMENT.money_decimals,
    ts_venue=1,
    ts_recv=1,
    instrument=MARKET,
)


def accounts_with(*records: Any) -> Accounts:
    """Accounts that know the instrument and have taken in these records."""
    accounts = Accounts()
    take(accounts, InstrumentDefined(INSTRUMENT, 1), *records)
    return accounts


def take(accounts: Accounts, *records: Any) -> list[str]:
    """Apply records; the alarms that they raise."""
    return [alarm for record in records for alarm in accounts.apply(record, 1).alarms]


def settled(value: int = ONE) -> InstrumentSettled:
    return InstrumentSettled(MARKET, Price(value), 1, 1)


LEAVES = InstrumentPurged(MARKET, 1)


def traded_and_settled(*more: Any) -> Accounts:
    """An order of a strategy was filled, its instrument has settled."""
    return accounts_with(new("a"), filled("f1"), settled(), *more)


def filled(fill_id: str, **changes: Any) -> Fill:
    return fill(fill_id, name="a", **changes)


def halted(state: TradingState) -> TradingStateChanged:
    return TradingStateChanged(scope=Scope.INSTRUMENT, target=MARKET, state=state, reason="look", ts_recv=1)


def total(accounts: Accounts, strategy: str) -> int:
    """What a strategy has realised, wherever it is counted."""
    here = sum(one.realised for (name, _), one in accounts.positions.strategies() if name == strategy)
    return here + sum(one.realised for one in accounts.purged.sums() if one.strategy == strategy)


def is_there(accounts: Accounts) -> bool:
    """Whether anything of the instrument is left in the state's parts."""
    positions = accounts.positions.snapshot()
    return bool(
        MARKET in accounts.instruments
        or MARKET in accounts.settlements
        or MARKET in accounts.venue_positions
        or positions.account
        or positions.strategies
        or accounts.exposures._account
        or accounts.exposures._strategies
        or accounts.trading.snapshot().states
    )


def test_instrument_when_it_has_settled_and_leaves_then_nothing_of_it_is_left_but_its_sums() -> None:
    accounts = traded_and_settled(halted(TradingState.ACTIVE))
    before = total(accounts, "maker")
    assert accounts.purgeable() == [MARKET]

    take(accounts, LEAVES)

    assert not is_there(accounts)
    assert before == total(accounts, "maker") == 10 * (ONE - 50)
    (row,) = accounts.purged.sums()
    assert (row.strategy, row.venue, row.decimals) == ("maker", INSTRUMENT.venue, INSTRUMENT.money_decimals)


@pytest.mark.parametrize(
    "records",
    [
        (new("a"), filled("f1")),
        (new("a"), filled("f1", size=4), settled()),
        (settled(), halted(TradingState.HALTED)),
        (settled(), halted(TradingState.REDUCING)),
    ],
    ids=["held", "open", "halted", "reducing"],
)
def test_instrument_when_it_is_held_open_or_stopped_then_it_stays_whatever_is_asked(records: tuple[Any, ...]) -> None:
    accounts = accounts_with(*records)
    before = accounts.digest()
    assert accounts.purgeable() == []

    take(accounts, LEAVES)

    assert accounts.digest() == before


@pytest.mark.parametrize(
    ("late", "change"),
    [
        (filled("f2", price=60, size=3), 3 * (ONE - 60)),
        (FillVoided(venue=INSTRUMENT.venue, fill_id="f1", ts_recv=2), -10 * (ONE - 50)),
    ],
    ids=["late fill", "void"],
)
def test_fill_when_it_comes_or_goes_after_its_instrument_has_left_then_it_counts_with_an_alarm(
    late: Any, change: int
) -> None:
    accounts = traded_and_settled(LEAVES)
    before = total(accounts, "maker")

    alarms = take(accounts, late)

    assert any("had settled and left" in alarm for alarm in alarms)
    assert accounts.positions.account(MARKET).size == 0
    assert total(accounts, "maker") == before + change
    take(accounts, LEAVES)
    assert not is_there(accounts)
    assert total(accounts, "maker") == before + change


def test_fill_when_it_is_repeated_after_its_instrument_has_left_then_nothing_happens() -> None:
    accounts = traded_and_settled(LEAVES)
    assert take(accounts, filled("f1")) == []
    assert not is_there(accounts)


def test_instrument_when_it_is_read_again_after_it_has_left_then_it_is_paid_once() -> None:
    accounts = traded_and_settled(LEAVES)
    before = total(accounts, "maker")

    alarms = take(accounts, InstrumentDefined(INSTRUMENT, 2), settled())

    assert alarms == []
    assert total(accounts, "maker") == before
    assert accounts.purgeable() == [MARKET]


def test_snapshot_when_taken_after_instruments_have_left_then_it_gives_the_same_state() -> None:
    accounts = traded_and_settled(LEAVES)
    again = Accounts.from_snapshot(accounts.to_snapshot())
    assert again.digest() == accounts.digest()
    assert take(again, filled("f2", size=3)) == take(accounts, filled("f2", size=3)) != []
    assert again.digest() == accounts.digest()


def test_instruments_when_many_have_left_then_the_newest_are_remembered() -> None:
    accounts = Accounts()
    for number in range(REMEMBERED_MAX + 2):
        one = InstrumentId(f"{MARKET}-{number}")
        take(accounts, InstrumentDefined(replace(INSTRUMENT, id=one), 1), InstrumentSettled(one, Price(0), 1, 1))
        take(accounts, InstrumentPurged(one, 1))
    assert len(accounts.purged.remembered()) == REMEMBERED_MAX
    assert accounts.instruments == accounts.settlements == {}


def test_schedule_when_an_instrument_could_leave_for_long_enough_then_it_does_and_not_before() -> None:
    accounts, clock = accounts_with(settled()), ManualClock(wall_ns=1, monotonic_ns=2_000_000_000)
    schedule = PurgeSchedule(accounts, lambda event: take(accounts, event) and None, clock)
    schedule.look()
    clock.advance(STAYS_NS - 1)
    schedule.look()
    assert MARKET in accounts.instruments

    clock.advance(1_000_000_000)
    schedule.look()

    assert MARKET not in accounts.instruments


def test_order_when_it_changes_hands_after_its_instrument_left_then_its_profit_goes_along_and_nothing_is_held() -> None:
    accounts = traded_and_settled(LEAVES)
    order = accounts.orders.get("a")
    assert order is not None
    before = total(accounts, "maker")
    given = OrderAdopted(
        venue=order.venue,
        venue_order_id=order.venue_order_id,
        client_order_id="a",
        strategy="other",
        instrument=MARKET,
        side=order.side,
        price=order.price,
        size=order.size,
        filled=order.filled,
        time_in_force=order.time_in_force,
        ts_recv=1,
    )

    assert len(take(accounts, given)) == 1

    assert (total(accounts, "maker"), total(accounts, "other")) == (0, before)
    assert accounts.strategy_exposure("maker", MARKET).position == 0
    assert accounts.strategy_exposure("other", MARKET).position == 0
    assert accounts.purgeable() == [MARKET]


@pytest.mark.parametrize("blank", ["voided", "handed over"])
def test_instrument_when_a_position_in_it_came_to_nothing_then_a_restored_state_leaves_alike(blank: str) -> None:
    accounts = accounts_with(new("a"), filled("f1"))
    if blank == "voided":
        take(accounts, FillVoided(venue=VENUE, fill_id="f1", ts_recv=1))
    else:
        take(accounts, adopted(client_order_id="a", strategy="other"))
    take(accounts, report(ReportKind.CANCELLED, "a"))
    again = Accounts.from_snapshot(accounts.to_snapshot())

    for one in (accounts, again):
        take(one, settled(), LEAVES)

    assert not is_there(accounts)
    assert again.digest() == accounts.digest()


def test_instrument_when_it_leaves_then_its_funding_goes_with_it_and_comes_back_by_no_restart() -> None:
    accounts = accounts_with(new("a"), filled("f1"), FUNDING, settled(), LEAVES)
    assert [(one.strategy, one.funding) for one in accounts.purged.sums()] == [("maker", -7)]

    take(accounts, filled("f2", size=1))
    again = Accounts.from_snapshot(accounts.to_snapshot())

    assert again.digest() == accounts.digest()
    for one in (accounts, again):
        assert one.positions.account(MARKET).funding == one.positions.of_strategy("maker", MARKET).funding == 0
