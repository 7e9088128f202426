from __future__ import annotations

import msgspec
import pytest

from framework.domain.errors import ConfigurationError
from framework.domain.instruments import Instrument, InstrumentId, InstrumentStatus
from framework.engine.strategy_context import choose_instruments
from tests.support.world import INSTRUMENT


def market(symbol: str, status: InstrumentStatus = InstrumentStatus.ACTIVE) -> Instrument:
    return msgspec.structs.replace(INSTRUMENT, id=InstrumentId(f"tide:{symbol}"), symbol=symbol, status=status)


def test_lineup_when_several_match_then_the_first_names_are_taken_once_each() -> None:
    known = [market("C"), market("A"), market("B"), market("X")]
    assert choose_instruments(known, ["tide:[ABC]", "tide:*"], count_max=3, strategy="mm") == (
        "tide:A",
        "tide:B",
        "tide:C",
    )


def test_lineup_when_a_market_is_not_open_then_it_is_passed_over() -> None:
    known = [market("A", InstrumentStatus.CLOSED), market("B")]
    assert choose_instruments(known, ["tide:*"], count_max=2, strategy="mm") == ("tide:B",)


def test_lineup_when_nothing_matches_then_the_error_shows_what_there_is() -> None:
    with pytest.raises(ConfigurationError, match=r"no active instrument matches \['other:\*'\]; the venues offer"):
        choose_instruments([market("A")], ["other:*"], count_max=1, strategy="mm")
