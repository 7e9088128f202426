from __future__ import annotations

import msgspec
import pytest

from framework.domain.instruments import Instrument, TickBand
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side, Trigger, TriggerKind
from framework.domain.verdicts import RefusalCode
from risk.checks.order_grid import OrderGrid
from tests.support.risk_view import BINARY, SPOT, Propose, StaticView, working_order

TAPERED = msgspec.structs.replace(
    BINARY,
    tick_bands=(
        TickBand(Price(0), Price(1_000), Price(10)),
        TickBand(Price(1_000), Price(9_000), Price(100)),
        TickBand(Price(9_000), Price(10_000), Price(10)),
    ),
)
LIMITED = msgspec.structs.replace(SPOT, size_max=Size(30_000))


@pytest.mark.parametrize(
    ("instrument", "price", "size", "code"),
    [
        (BINARY, 5_000, 1, None),
        (BINARY, 5_001, 1, RefusalCode.OFF_GRID),
        (BINARY, 100, 1, None),
        (BINARY, 9_900, 1, None),
        (BINARY, 0, 1, RefusalCode.OFF_GRID),
        (BINARY, 10_000, 1, RefusalCode.OFF_GRID),
        (BINARY, -100, 1, RefusalCode.OFF_GRID),
        (BINARY, 5_000, 0, RefusalCode.BAD_SIZE),
        (BINARY, 5_000, -1, RefusalCode.BAD_SIZE),
        (TAPERED, 990, 1, None),
        (TAPERED, 1_010, 1, RefusalCode.OFF_GRID),
        (TAPERED, 9_010, 1, None),
        (SPOT, 50_000_00, 10_000, None),
        (SPOT, 50_000_00, 9_000, RefusalCode.BAD_SIZE),
        (SPOT, 50_000_00, 10_001, RefusalCode.BAD_SIZE),
        (SPOT, 50_000_00, 11_000, None),
        (LIMITED, 50_000_00, 30_000, None),
        (LIMITED, 50_000_00, 31_000, RefusalCode.BAD_SIZE),
        (SPOT, 10_000_00, 10_000, None),
        (SPOT, 9_999_99, 10_000, RefusalCode.NOTIONAL_MIN),
        (SPOT, 100_000_000_01, 10_000, RefusalCode.OFF_GRID),
    ],
)
@pytest.mark.parametrize("side", Side)
def test_order_when_on_and_off_the_grid_then_only_exact_ones_pass(
    view: StaticView,
    propose: Propose,
    side: Side,
    instrument: Instrument,
    price: int,
    size: int,
    code: RefusalCode | None,
) -> None:
    refusal = OrderGrid().check(propose(instrument, side, price, size), view)
    assert (refusal and refusal.code) is code


@pytest.mark.parametrize(
    ("instrument", "price", "size", "text"),
    [
        (SPOT, 50_000_00, 10_001, "size=0.00010001 lot=0.00001000 size_min=0.00010000 give=a multiple of lot"),
        (LIMITED, 50_000_00, 31_000, "size_max=0.00030000"),
        (SPOT, 9_999_99, 10_000, "notional_min=1.0000000000 give=a larger size, or a higher price"),
        (BINARY, 5_001, 1, "price=0.5001 give=a price of the instrument's grid"),
    ],
)
def test_refusal_when_read_then_it_has_decimals_and_the_remedy(
    view: StaticView, propose: Propose, instrument: Instrument, price: int, size: int, text: str
) -> None:
    refusal = OrderGrid().check(propose(instrument, Side.BUY, price, size), view)
    assert refusal is not None
    assert text in refusal.text


def test_order_when_it_is_larger_than_the_venue_takes_then_refused(view: StaticView, propose: Propose) -> None:
    bounded = msgspec.structs.replace(SPOT, size_max=Size(50_000))
    found = [OrderGrid().check(propose(bounded, Side.BUY, 50_000_00, size), view) for size in (50_000, 51_000)]
    assert [refusal and refusal.code for refusal in found] == [None, RefusalCode.BAD_SIZE]


def test_amend_when_the_total_is_off_the_lot_or_nothing_is_left_then_refused(
    view: StaticView, propose_change: Propose
) -> None:
    order = working_order(SPOT, price=Price(50_000_00), size=Size(50_000), filled=Size(20_000))

    def judged(size: int) -> RefusalCode | None:
        refusal = OrderGrid().check(propose_change(order, price=50_000_00, size=size, instrument=SPOT), view)
        return None if refusal is None else refusal.code

    assert [judged(size) for size in (50_000, 50_001, 20_000)] == [None, RefusalCode.BAD_SIZE, RefusalCode.BAD_SIZE]
    assert judged(21_000) is RefusalCode.NOTIONAL_MIN, "the part that is left is worth 0.50"


@pytest.mark.parametrize(("price", "code"), [(5_000, None), (5_050, RefusalCode.OFF_GRID), (0, RefusalCode.OFF_GRID)])
def test_trigger_when_its_price_is_off_the_grid_then_refused(
    view: StaticView, propose: Propose, price: int, code: RefusalCode | None
) -> None:
    refusal = OrderGrid().check(propose(trigger=Trigger(TriggerKind.STOP, Price(price))), view)
    assert (refusal and refusal.code) is code
