"""The sample of a configuration: every strategy that ships, with every key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from strategies.complement_arbitrage import ComplementSettings
from strategies.cross_venue_arbitrage import CrossVenueSettings
from strategies.legs import LegSettings
from strategies.twap import TwapSettings

SAMPLE: Mapping[str, Any] = tomllib.loads(Path("config/strategies.toml").read_text())["strategies"]


@pytest.mark.parametrize(
    ("name", "model"),
    [("complement", ComplementSettings), ("cross_venue", CrossVenueSettings), ("twap", TwapSettings)],
)
def test_sample_when_read_then_it_has_every_key_of_the_strategy_and_each_is_valid(
    name: str, model: type[BaseModel]
) -> None:
    settings = SAMPLE[name]["settings"]
    assert set(settings) == set(model.model_fields)
    assert set(settings.get("legs", LegSettings.model_fields)) == set(LegSettings.model_fields)
    model.model_validate(settings)


@pytest.mark.parametrize("model", [ComplementSettings, CrossVenueSettings, TwapSettings, LegSettings])
def test_settings_when_listed_then_every_key_has_a_description(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []
