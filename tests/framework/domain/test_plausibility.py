from __future__ import annotations

import re

import msgspec
import pytest

from framework.domain.account_events import (
    BalanceReport,
    CashFlow,
    CashFlowKind,
    InstrumentDefined,
    InstrumentSettled,
    OrderReport,
    OrderSnapshot,
    PositionReport,
    ReportKind,
    ShutdownRequested,
)
from framework.domain.numbers import Price, Size
from framework.domain.plausibility import EVENT_BYTES_MAX, implausible
from tests.support.state_records import INSTRUMENT, MARKET, VENUE, fill, listed

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
        (FLOW, {"decimals": 25}, "CashFlow.decimals: 25 is more than 24"),
        (FLOW, {"decimals": -1}, "CashFlow.decimals: -1 is below 0"),
        (BALANCE, {"decimals": 10**9}, f"BalanceReport.decimals: {10**9} is more than 24"),
        (FILL, {"fee_decimals": -(10**9)}, f"Fill.fee_decimals: {-(10**9)} is below 0"),
        (InstrumentSettled(MARKET, Price(1), 1, 1), {"value": -1}, "InstrumentSettled.value: -1 is below 0"),
    ],
)
def test_event_when_a_number_can_not_be_then_it_is_named(
    event: OrderSnapshot, changes: dict[str, int], said: str
) -> None:
    assert implausible(msgspec.structs.replace(event, **changes)) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fill_id": "\ud800"}, "Fill: no record can hold it: .* surrogates not allowed"),
        ({"fill_id": 7}, "Fill: no record can hold it: Expected `str`, got `int` .*"),
        ({"price": "7"}, "Fill: no record can hold it: Expected `int`, got `str` .*"),
        ({"price": 5.0}, "Fill: no record can hold it: Expected `int`, got `float` .*"),
        ({"fill_id": "x" * EVENT_BYTES_MAX}, r"Fill: \d+ bytes are more than 2097152"),
    ],
)
def test_event_when_it_could_not_be_read_again_then_it_is_said(changes: dict[str, object], said: str) -> None:
    assert re.fullmatch(said, implausible(msgspec.structs.replace(FILL, **changes)))


def test_definition_when_a_time_passes_64_bits_then_it_is_said() -> None:
    terms = msgspec.structs.replace(INSTRUMENT, close_ns=10**30)
    assert "no record can hold it" in implausible(InstrumentDefined(terms, 1))
