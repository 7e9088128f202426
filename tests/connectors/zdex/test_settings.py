"""Settings: what they refuse, and that the example names all of them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.zdex.settings import ZdexSettings
from tests.architecture.source_tree import ROOT

GIVEN: dict[str, Any] = {"key_id": "zdex_a", "secret_path": Path("/k"), "markets": ["BTCUSDT"]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"dialect": "v3"},
        {"dialect": "v2", "rest_url": "https://api.zdex.world/v1"},
        {"leverage": 126},
        {"leverage": 0},
        {"margin_type": "CROSS"},
        {"rest_url": "http://api.zdex.world/v1"},
        {"taker_fee": "5"},
        {"key_id": "a b"},
        {"markets": []},
        {"post_only": True},
    ],
)
def test_setting_when_it_is_wrong_then_it_is_refused_by_its_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        ZdexSettings(**(GIVEN | wrong))
    assert str(next(iter(wrong))) in str(refused.value)


def test_example_when_it_is_read_then_it_explains_every_setting() -> None:
    text = (ROOT / "config" / "zdex.toml").read_text()
    table = tomllib.loads(text)["venues"]["zdex"]["settings"]
    assert set(table) == set(ZdexSettings.model_fields)
    ZdexSettings(**table)
    lines = text.splitlines()
    begin = lines.index("[venues.zdex.settings]")
    assert lines[begin + 1].startswith("#")
