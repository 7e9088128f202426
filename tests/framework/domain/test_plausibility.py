from __future__ import annotations

import msgspec
import pytest

from framework.domain.account_events import (
    BalanceReport,
    CashFlow,
    CashFlowKind,
    InstrumentSettled,
    OrderReport,
    OrderSnapshot,
    PositionReport,
    ReportKind,
    ShutdownRequested,
)
from framework.domain.numbers import Price, Size
from framework.domain.plausibility import implausible
from tests.support.state_records import MARKET, VENUE, fill, listed

FILL, SNAPSHOT = fill("f"), listed("c")
REPORT = OrderReport(venue=VENUE, client_order_id="c", kind=ReportKind.ACCEPTED, ts_recv=1)
POSITION = PositionReport(venue=VENUE, instrument=MARKET, size=Size(-5), ts_recv=1)
BALANCE = BalanceReport(venue=VENUE, currency="USD", amount=-5, decimals=2, ts_recv=1)
FLOW = CashFlow(
    venue=VENUE, flow_id="a", kind=CashFlowKind.FEE, currency="USD", amount=-1, decimals=2, ts_venue=1, ts_recv=1
)


@pytest.mark.parametrize("event", [FILL, SNAPSHOT, REPORT, POSITION, BALANCE, FLOW, ShutdownRequested("x", -1)])
def test_event_when_its_numbers_can_be_then_nothing_is_said(event: object) -> None:
    assert implausible(event) == ""


@pytest.mark.parametrize(
    ("event", "changes", "said"),
    [
        (FILL, {"size": -1}, "Fill.size: -1 is below 0"),
        (FILL, {"price": -1}, "Fill.price: -1 is below 0"),
        (FILL, {"fee": 2**63}, "Fill.fee: 9223372036854775808 is more than 64 bits"),
        (SNAPSHOT, {"filled": -1}, "OrderSnapshot.filled: -1 is below 0"),
        (SNAPSHOT, {"ts_venue": 10**30}, f"OrderSnapshot.ts_venue: {10**30} is more than 64 bits"),
        (REPORT, {"filled": -1}, "OrderReport.filled: -1 is below 0"),
        (POSITION, {"size": -(2**63) - 1}, f"PositionReport.size: {-(2**63) - 1} is more than 64 bits"),
        (BALANCE, {"amount": 10**30}, f"BalanceReport.amount: {10**30} is more than 64 bits"),
        (FLOW, {"amount": 10**30}, f"CashFlow.amount: {10**30} is more than 64 bits"),
        (InstrumentSettled(MARKET, Price(1), 1, 1), {"value": -1}, "InstrumentSettled.value: -1 is below 0"),
    ],
)
def test_event_when_a_number_can_not_be_then_it_is_named(
    event: OrderSnapshot, changes: dict[str, int], said: str
) -> None:
    assert implausible(msgspec.structs.replace(event, **changes)) == said
