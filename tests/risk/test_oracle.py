"""The checks against an oracle that knows nothing of scaled integers: the rules once more, in decimals."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest

from framework.domain.instruments import Instrument
from framework.domain.numbers import Size
from framework.domain.orders import Side
from framework.domain.ports import Check
from framework.domain.verdicts import RefusalCode, Refused
from risk.checks.max_order_notional import MaxOrderNotional
from risk.checks.max_order_size import MaxOrderSize
from risk.checks.max_position import MaxPosition
from risk.checks.order_grid import OrderGrid
from risk.checks.price_collar import PriceCollar
from risk.gate import Gate
from tests.support.desk import QuotedBook
from tests.support.risk_view import BINARY, SPOT, Exposure, StaticView, new_order

D = Decimal
CHECKS: list[tuple[str, Check]] = [
    ("grid", OrderGrid()),
    ("size", MaxOrderSize.model_validate({"max_size": "8", "overrides": {"coin:*": "0.005"}})),
    ("notional", MaxOrderNotional.model_validate({"max_notional": "4.5", "overrides": {"coin:*": "200"}})),
    ("collar", PriceCollar.model_validate({"band": {"bps": 800}, "age_ms_max": 2_000})),
    ("position", MaxPosition.model_validate({"max_position": "20", "max_strategy_position": "14"})),
]


def oracle(instrument: Instrument, side: Side, price: Decimal, size: Decimal, facts: dict[str, Decimal]) -> str:
    """Which rule is broken first; empty: none."""
    is_binary = instrument is BINARY
    tick, lot = (D("0.01"), D("0.01")) if is_binary else (D("0.01"), D("0.00001"))
    bid, ask = facts["bid"], facts["ask"]
    mid, sign = (bid + ask) / 2, 1 if side is Side.BUY else -1
    has_mid = bid < ask
    worst = max(price, mid) if has_mid else price
    if is_binary and side is Side.SELL:
        worst = 1 - (min(price, mid) if has_mid else price)
    if price % tick or price <= 0 or (is_binary and price >= 1):
        return "OFF_GRID"
    if size % lot or size < (D("0.01") if is_binary else D("0.0001")):
        return "BAD_SIZE"
    if not is_binary and price * size < 1:
        return "NOTIONAL_MIN"
    if size > (8 if is_binary else D("0.005")):
        return "ORDER_SIZE_MAX"
    if worst * size > (D("4.5") if is_binary else 200):
        return "ORDER_NOTIONAL_MAX"
    if not has_mid or facts["age_s"] > 2:
        return "NO_REFERENCE_PRICE"
    if sign * (price - mid) > mid * D("0.08"):
        return "PRICE_COLLAR"
    return oracle_position(sign, size, facts)


def oracle_position(sign: int, size: Decimal, facts: dict[str, Decimal]) -> str:
    after = {}
    for who in ("account", "own"):
        same_way = facts[f"{who}_buy"] if sign > 0 else facts[f"{who}_sell"]
        after[who] = sign * facts[who] + same_way + size
    if all(sign * facts[who] < 0 and after[who] <= 0 for who in after):
        return ""
    return "POSITION_MAX" if after["account"] > 20 or after["own"] > 14 else ""


def scaled_exposure(instrument: Instrument, facts: dict[str, Decimal], who: str) -> Exposure:
    def scale(key: str) -> Size:
        return Size(int(facts[key].scaleb(instrument.size_decimals)))

    return Exposure(scale(who), scale(f"{who}_buy"), scale(f"{who}_sell"))


def draw_case(rng: Random, instrument: Instrument) -> tuple[int, int, dict[str, Decimal]]:
    unit = 10**instrument.size_decimals
    if instrument is BINARY:
        bid = rng.randrange(100, 9_800, 100)
        ask = bid + rng.choice([100, 200, 300, 0, -100])
        price = rng.choice([bid, ask, rng.randrange(-100, 10_100, 50), bid + rng.randrange(-9, 9) * 100])
        size = rng.choice([rng.randrange(0, 1_000), 800, 801, 1])
    else:
        bid = rng.randrange(30_000_00, 60_000_00)
        ask = bid + rng.choice([1, 500, 0])
        price = rng.choice([bid, bid * 108 // 100, bid * 92 // 100, rng.randrange(1, 90_000_00)])
        size = rng.choice([rng.randrange(0, 60_000) * 10, 500_000, 501_000, 10_000, 9_000])
    facts = {"bid": D(bid).scaleb(-instrument.price_decimals), "ask": D(ask).scaleb(-instrument.price_decimals)}
    facts["age_s"] = D(rng.choice(["0", "1", "2", "2.000000001", "9"]))
    for who in ("account", "own"):
        facts[who] = D(rng.choice([0, rng.randrange(-22 * unit, 22 * unit)])).scaleb(-instrument.size_decimals)
        for way in ("buy", "sell"):
            facts[f"{who}_{way}"] = D(rng.choice([0, rng.randrange(0, 9 * unit)])).scaleb(-instrument.size_decimals)
    return price, size, facts


@pytest.mark.parametrize("instrument", [BINARY, SPOT])
def test_gate_when_asked_at_random_then_it_agrees_with_the_oracle(instrument: Instrument) -> None:
    rng, gate = Random(11), Gate(CHECKS, next_client_order_id=lambda: "t")
    seen: dict[str, int] = {}
    for _ in range(4_000):
        price, size, facts = draw_case(rng, instrument)
        side = rng.choice(list(Side))
        scale = 10**instrument.price_decimals
        levels = [(int(facts["bid"] * scale), 500)], [(int(facts["ask"] * scale), 500)]
        view = StaticView(
            books={instrument.id: QuotedBook(instrument.id, *levels, age=int(facts["age_s"] * 10**9))},
            account=scaled_exposure(instrument, facts, "account"),
            own=scaled_exposure(instrument, facts, "own"),
        )
        verdict = gate.judge(new_order(instrument, side, price, size), view)
        said = verdict.code.value if isinstance(verdict, Refused) else ""
        decimal_price, decimal_size = D(price) / scale, D(size).scaleb(-instrument.size_decimals)
        expected = oracle(instrument, side, decimal_price, decimal_size, facts)
        if price <= 0 or size <= 0:
            expected = "INVALID_INTENT"
        assert said == expected, (instrument.id, side, decimal_price, decimal_size, facts)
        seen[said] = seen.get(said, 0) + 1
    assert seen.pop("") > 50
    never = {"NOTIONAL_MIN", "BAD_SIZE"} if instrument is BINARY else {"OFF_GRID"}
    wanted = {"OFF_GRID", "BAD_SIZE", "NOTIONAL_MIN", "ORDER_SIZE_MAX", "ORDER_NOTIONAL_MAX", "NO_REFERENCE_PRICE"}
    assert wanted | {"PRICE_COLLAR", "POSITION_MAX"} - never <= set(seen) | never
    assert set(seen) <= set(RefusalCode.__members__)
