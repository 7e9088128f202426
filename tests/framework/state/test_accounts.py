"""The whole fold: duplicates, voids, settlements, venue reports, digest and snapshot."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.domain.account_events import (
    BalanceReport,
    FillVoided,
    InstrumentDefined,
    InstrumentSettled,
    InstrumentStatusChanged,
    PositionReport,
    ReportKind,
    Scope,
    ShutdownRequested,
    StrategyQuarantined,
    TradingState,
    TradingStateChanged,
)
from framework.domain.errors import JournalError
from framework.domain.instruments import InstrumentId, InstrumentStatus
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, OrderStatus, Side
from framework.domain.verdicts import RefusalCode, Refused
from framework.state.accounts import AccountRecord, Accounts
from framework.state.change import NO_CHANGE
from framework.state.exposure import Exposure
from framework.state.fills import Fills
from tests.support.state_records import INSTRUMENT, MARKET, VENUE, amend, cancel, fill, listed, new, report

K = ReportKind


def folded(*records: AccountRecord) -> Accounts:
    accounts = Accounts()
    for now_ns, record in enumerate(records, 1):
        accounts.apply(record, now_ns)
    return accounts


def void(fill_id: str = "f1") -> FillVoided:
    return FillVoided(venue=VENUE, fill_id=fill_id, ts_recv=30, reason="bust")


def settled(value: int) -> InstrumentSettled:
    return InstrumentSettled(MARKET, Price(value), 40, 40)


def position_report(size: int, ts_venue: int) -> PositionReport:
    return PositionReport(venue=VENUE, instrument=MARKET, size=Size(size), ts_recv=1, ts_venue=ts_venue)


def balance(amount: int, ts_recv: int) -> BalanceReport:
    return BalanceReport(venue=VENUE, currency="USD", amount=amount, decimals=2, ts_recv=ts_recv)


def test_fill_when_reported_twice_then_is_booked_once() -> None:
    accounts = folded(new(), fill(size=4))
    assert accounts.apply(fill(size=4, at=99), 9).fills == ()
    order = accounts.orders.get("c1")
    assert order is not None
    assert order.filled == 4
    assert accounts.exposure(MARKET).position == 4


def test_fill_when_the_same_id_is_used_at_another_venue_then_both_are_booked() -> None:
    elsewhere = msgspec.structs.replace(fill(name="", instrument=InstrumentId("ebb:A")), venue="ebb")
    accounts = folded(fill(name=""), elsewhere)
    assert accounts.exposure(MARKET).position == 10
    assert accounts.exposure(InstrumentId("ebb:A")).position == 10


def test_fill_when_reported_with_other_amounts_then_alarms_and_keeps_the_first() -> None:
    accounts = folded(new(), fill(size=4))
    change = accounts.apply(fill(size=5), 9)
    assert change.halts == (MARKET,)
    assert accounts.exposure(MARKET).position == 4


def test_fill_when_older_than_memory_then_is_refused_with_an_alarm() -> None:
    accounts = Accounts()
    accounts.fills = Fills(kept_max=2)
    accounts._wire()
    for number in (10, 20, 30):
        accounts.apply(fill(f"f{number}", name="", size=1, at=number), 1)
    change = accounts.apply(fill("f9", name="", size=1, at=9), 1)
    assert change.halts == (MARKET,)
    assert accounts.exposure(MARKET).position == 3
    assert accounts.apply(fill("f10", name="", size=1, at=20), 1).alarms == ()
    assert len(accounts.fills) == 2


def test_void_when_reported_twice_then_reverses_once() -> None:
    accounts = folded(new(), fill(size=4, price=30, fee=2))
    change = accounts.apply(void(), 9)
    order = accounts.orders.get("c1")
    assert order is not None
    assert (order.filled, order.fees) == (0, 0)
    assert change.alarms
    assert change.orders == (order,)
    assert accounts.exposure(MARKET) == accounts.strategy_exposure("maker", MARKET)
    assert (accounts.exposure(MARKET).position, accounts.exposure(MARKET).open_buy) == (0, 10)
    assert accounts.positions.account(MARKET).realised == 0
    assert accounts.apply(void(), 9) == NO_CHANGE


def test_void_when_it_comes_before_its_fill_then_the_fill_never_counts() -> None:
    accounts = folded(new(), void())
    change = accounts.apply(fill(), 9)
    assert change.fills == ()
    assert accounts.exposure(MARKET).position == 0
    order = accounts.orders.get("c1")
    assert order is not None
    assert (order.status, order.filled) == (OrderStatus.FILLED, 0)


def test_settlement_when_reported_then_positions_are_paid_once() -> None:
    accounts = folded(InstrumentDefined(INSTRUMENT, 1), new(), fill(price=30), settled(100))
    assert accounts.exposure(MARKET).position == 0
    assert accounts.strategy_exposure("maker", MARKET).position == 0
    assert accounts.positions.of_strategy("maker", MARKET).realised == 700
    assert accounts.instruments[MARKET].status is InstrumentStatus.SETTLED
    assert accounts.apply(settled(100), 9) == NO_CHANGE
    assert accounts.apply(settled(0), 9).alarms
    assert accounts.settlements == {MARKET: 100}


def test_instrument_when_its_status_changes_then_the_definition_follows() -> None:
    closing = InstrumentStatusChanged(MARKET, InstrumentStatus.PAUSED, 1, 1, close_ns=77)
    accounts = folded(closing, InstrumentDefined(INSTRUMENT, 1), closing)
    assert (accounts.instruments[MARKET].status, accounts.instruments[MARKET].close_ns) == (InstrumentStatus.PAUSED, 77)
    accounts.apply(InstrumentStatusChanged(MARKET, InstrumentStatus.ACTIVE, 2, 2), 9)
    assert accounts.instruments[MARKET].close_ns == 77


def test_venue_reports_when_an_older_one_comes_late_then_the_newest_stays() -> None:
    accounts = folded(position_report(5, 20), position_report(4, 10), balance(7, 20), balance(6, 10))
    assert accounts.venue_positions[MARKET].size == 5
    assert accounts.balances[VENUE, "USD"].amount == 7
    assert accounts.exposure(MARKET).position == 0, "compared with ours, never copied over it"


def test_records_when_they_change_nothing_then_say_so() -> None:
    refused = Refused(intent=new().intent, code=RefusalCode.OFF_GRID, detail="", check="grid", ts_ns=1)
    accounts = Accounts()
    before = accounts.digest()
    assert accounts.apply(refused, 1) is NO_CHANGE
    assert accounts.digest() == before


def everything() -> list[AccountRecord]:
    return [
        InstrumentDefined(INSTRUMENT, 1),
        new("c1"),
        new("c2", side=Side.SELL, strategy="taker"),
        new("c3"),
        new("c4"),
        report(K.SENT, "c1"),
        report(K.ACCEPTED, "c1", venue_order_id="v1"),
        report(K.UNKNOWN, "c2"),
        report(K.CANCELLED, "c3", filled=2),
        report(K.NEVER_ARRIVED, "c4"),
        fill("f1", size=4, fee=1),
        fill("f2", name="", venue_order_id="external", size=2, at=12),
        listed("", venue_order_id="external", size=5, filled=2),
        fill("f3", name="c2", venue_order_id="v2", side=Side.SELL, size=3, price=60, at=13),
        void("f3"),
        void("f9"),
        amend("c1", price=51, size=12),
        cancel("c1"),
        position_report(5, 20),
        balance(7, 20),
        TradingStateChanged(scope=Scope.VENUE, target=VENUE, state=TradingState.REDUCING, reason="test", ts_recv=1),
        StrategyQuarantined("taker", "raised", 1),
        ShutdownRequested("done", 1),
    ]


def test_snapshot_when_restored_then_state_is_equal_and_goes_on_alike() -> None:
    accounts = folded(*everything())
    again = Accounts.from_snapshot(accounts.to_snapshot())
    assert again.digest() == accounts.digest()
    assert again.to_snapshot() == accounts.to_snapshot()
    more: list[AccountRecord] = [
        fill("f4", name="c1", size=8, at=50),
        settled(100),
        listed("c2", venue_order_id="v2", at=60),
    ]
    for record in more:
        assert again.apply(record, 99) == accounts.apply(record, 99)
    assert again.digest() == accounts.digest()
    for instrument in (MARKET, InstrumentId("tide:B")):
        assert again.exposure(instrument) == accounts.exposure(instrument)
    assert again.orders.open() == accounts.orders.open()
    assert again.trading.rows() == accounts.trading.rows()


def digest_at_once(records: Sequence[AccountRecord]) -> str:
    """The digest after records that all come at the same time."""
    accounts = Accounts()
    for record in records:
        accounts.apply(record, 1)
    return accounts.digest()


def test_digest_when_any_record_is_left_out_then_differs() -> None:
    records = everything()
    whole = digest_at_once(records)
    implied = report(K.ACCEPTED, "c1", venue_order_id="v1")  # by the fill that names both ids
    for number, record in enumerate(records):
        assert (digest_at_once([*records[:number], *records[number + 1 :]]) == whole) is (record == implied), record


def test_digest_when_only_a_settlement_is_known_then_differs() -> None:
    assert folded(settled(100)).digest() != folded(settled(0)).digest() != Accounts().digest()


def test_snapshot_when_restored_then_what_came_first_is_still_first() -> None:
    unsorted = (new("c2"), new("c1"), fill("b", name="c2"), fill("a", name="c1", venue_order_id="v2"))
    external_orders = (listed("", venue_order_id="v9"), listed("", venue_order_id="v8"))
    accounts = folded(*unsorted, *external_orders, new("c4"), new("c3"))
    again = Accounts.from_snapshot(accounts.to_snapshot())
    assert again.fills.keys() == [(VENUE, "b"), (VENUE, "a")]
    assert (again.orders.snapshot().open_names, again.orders.snapshot().ended_names) == (["c4", "c3"], ["c2", "c1"])
    assert [one.venue_order_id for one in again.external_orders(VENUE)] == ["v9", "v8"]


def test_epoch_when_it_begins_then_only_the_shutdown_is_over() -> None:
    accounts = folded(*everything())
    before = accounts.trading.is_shutting_down
    accounts.begin_epoch()
    assert (before, accounts.trading.is_shutting_down) == (True, False)
    assert accounts.trading.is_quarantined("taker")


@pytest.mark.parametrize("payload", [b"", b"junk", b"\x93\x02\x90\x90"], ids=["empty", "junk", "wrong shape"])
def test_snapshot_when_unreadable_then_says_to_start_from_the_journal(payload: bytes) -> None:
    with pytest.raises(JournalError, match="start from the journal"):
        Accounts.from_snapshot(payload)


def test_snapshot_when_of_another_version_then_is_refused() -> None:
    dependencies = msgspec.msgpack.decode(Accounts().to_snapshot())
    with pytest.raises(JournalError, match="version 99"):
        Accounts.from_snapshot(msgspec.msgpack.encode([99, *dependencies[1:]]))


def test_snapshot_when_its_queues_name_what_it_does_not_hold_then_is_refused() -> None:
    dependencies = msgspec.msgpack.decode(folded(new()).to_snapshot())
    dependencies[1][0][1] = ["unknown"]
    with pytest.raises(JournalError, match="unknown"):
        Accounts.from_snapshot(msgspec.msgpack.encode(dependencies))


names = st.sampled_from(["c1", "c2", "c3"])
facts = st.one_of(
    st.builds(report, st.sampled_from(K), names, at=st.integers(5, 9), filled=st.none() | st.integers(0, 12)),
    st.builds(report, st.just(K.AMENDED), names, size=st.none() | st.integers(1, 15)),
    st.builds(report, st.just(K.CANCEL_REFUSED), names, code=st.just("not_found"), at=st.integers(5, 9)),
    st.builds(amend, names, size=st.integers(1, 15)),
    st.builds(cancel, names),
    st.builds(listed, names, is_open=st.booleans(), filled=st.integers(0, 10), size=st.integers(1, 12)),
    st.builds(fill, st.sampled_from("abcdef"), name=names, size=st.integers(1, 6), at=st.integers(1, 9)),
    st.builds(void, st.sampled_from("abcdef")),
)


def recounted(accounts: Accounts, strategy: str) -> Exposure:
    """The exposure worked out from nothing."""
    exposure = Exposure()
    for name in ("c1", "c2", "c3"):
        order = accounts.orders.get(name)
        if order is None or (strategy and order.strategy != strategy):
            continue
        worst = max(order.remaining_worst, accounts.orders.evidence(order).missing)
        if order.side is Side.BUY:
            exposure.open_buy = Size(exposure.open_buy + worst)
        else:
            exposure.open_sell = Size(exposure.open_sell + worst)
        exposure.open_orders += int(not order.status.is_final)
    sizes = [
        one.fill.side.sign * one.fill.size
        for key in accounts.fills.keys()
        if (one := accounts.fills.get(*key)) and not one.is_voided and (not strategy or one.strategy == strategy)
    ]
    exposure.position = Size(sum(sizes))
    return exposure


def check_indexes(accounts: Accounts) -> None:
    known: list[Order] = [one for name in ("c1", "c2", "c3") if (one := accounts.orders.get(name))]
    assert {one.client_order_id for one in accounts.orders.open()} == {
        one.client_order_id for one in known if one.is_open
    }
    for strategy in ("maker", "taker"):
        count = sum(one.is_open for one in known if one.strategy == strategy)
        assert accounts.orders.open_count(strategy=strategy) == count


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(facts, max_size=40))
def test_state_when_anything_at_all_is_reported_then_sums_and_indexes_hold(records: Sequence[AccountRecord]) -> None:
    accounts = folded(new("c1"), new("c2", side=Side.SELL), new("c3", strategy="taker"))
    for now_ns, record in enumerate(records):
        accounts.apply(record, now_ns)
        assert accounts.exposure(MARKET) == recounted(accounts, "")
        for strategy in ("maker", "taker"):
            assert accounts.strategy_exposure(strategy, MARKET) == recounted(accounts, strategy)
    check_indexes(accounts)
    again = Accounts.from_snapshot(accounts.to_snapshot())
    assert again.digest() == accounts.digest()
    assert again.exposure(MARKET) == accounts.exposure(MARKET)


def test_fill_when_its_instrument_is_defined_after_it_then_strategy_and_account_count_it_alike() -> None:
    terms = msgspec.structs.replace(INSTRUMENT, base_currency="BTC")
    early = msgspec.structs.replace(fill("f1", name="", size=10), fee_currency="BTC", fee=Money(2))
    accounts = folded(new("c1"), early, InstrumentDefined(terms, 1), report(K.ACCEPTED, "c1", venue_order_id="v1"))

    assert accounts.positions.account(MARKET).size == accounts.positions.of_strategy("maker", MARKET).size == 10
    accounts.apply(void("f1"), 9)
    assert accounts.positions.account(MARKET).size == accounts.positions.of_strategy("maker", MARKET).size == 0
