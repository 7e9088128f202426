from __future__ import annotations

import msgspec
import pytest
from pydantic import ValidationError

from framework.domain.instruments import InstrumentStatus
from framework.domain.orders import Side, TimeInForce
from framework.domain.verdicts import RefusalCode
from risk.checks.allow_list import AllowList
from tests.support.risk_view import BINARY, SPOT, Propose, StaticView, working_order


def allow(**settings: object) -> AllowList:
    return AllowList.model_validate({"instruments": ["kalshi:KX*"], **settings})


@pytest.mark.parametrize(
    ("instruments", "allowed"),
    [([], False), (["*"], True), (["kalshi:KXTIDE-B25"], True), (["kalshi:KXTIDE"], False), (["KALSHI:*"], False)],
)
def test_instrument_when_listed_then_passes_and_else_not(
    view: StaticView, propose: Propose, instruments: list[str], allowed: bool
) -> None:
    check = allow(instruments=instruments)
    for _ in range(2):
        refusal = check.check(propose(), view)
        assert (refusal is None) is allowed
        assert refusal is None or refusal.code is RefusalCode.NOT_ALLOWED
    assert check.check(propose(SPOT), view) is None or instruments != ["*"]


def test_side_and_time_in_force_when_not_listed_then_refused(view: StaticView, propose: Propose) -> None:
    buys = allow(sides=["buy"])
    assert buys.check(propose(), view) is None
    assert buys.check(propose(side=Side.SELL), view) is not None
    resting = allow(times_in_force=["gtc"])
    assert resting.check(propose(), view) is None
    refusal = resting.check(propose(time_in_force=TimeInForce.FILL_OR_KILL), view)
    assert refusal is not None
    assert (refusal.code, refusal.text) == (RefusalCode.NOT_ALLOWED, "time_in_force=fok")


def test_amend_when_judged_then_the_orders_own_time_in_force_counts(view: StaticView, propose_change: Propose) -> None:
    check = allow(times_in_force=["ioc"])
    assert check.check(propose_change(working_order()), view) is not None
    assert check.check(propose_change(working_order(time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)), view) is None


@pytest.mark.parametrize("status", InstrumentStatus)
def test_instrument_when_not_active_then_refused(view: StaticView, propose: Propose, status: InstrumentStatus) -> None:
    refusal = allow().check(propose(msgspec.structs.replace(BINARY, status=status)), view)
    assert (refusal is None) is (status is InstrumentStatus.ACTIVE)
    assert refusal is None or refusal.code is RefusalCode.INSTRUMENT_NOT_ACTIVE


@pytest.mark.parametrize(
    ("left_ms", "stop_ms", "passes"),
    [(1, 0, True), (0, 0, False), (-1, 0, False), (5_001, 5_000, True), (5_000, 5_000, False)],
)
def test_instrument_when_it_closes_then_refused_from_the_set_time_before(
    view: StaticView, propose: Propose, left_ms: int, stop_ms: int, passes: bool
) -> None:
    closing = msgspec.structs.replace(BINARY, close_ns=view.now_ns + left_ms * 1_000_000)
    assert (allow(stop_before_close_ms=stop_ms).check(propose(closing), view) is None) is passes


@pytest.mark.parametrize("bad", [{}, {"instruments": "*"}, {"instruments": ["*"], "sides": ["up"]}])
def test_settings_when_the_list_is_missing_or_wrong_then_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AllowList.model_validate(bad)
