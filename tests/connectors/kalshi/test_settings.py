"""Settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.kalshi.settings import KalshiSettings
from tests.connectors.kalshi.support import settings_for


def test_settings_when_addresses_are_local_then_they_are_loopback_and_split(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    assert settings.is_loopback
    assert settings.rest_origin == "http://127.0.0.1:1"
    assert settings.rest_prefix == "/trade-api/v2"
    assert settings.ws_target == "/trade-api/ws/v2"


def test_settings_when_one_address_is_not_local_then_the_account_is_not_loopback(tmp_path: Path) -> None:
    assert not settings_for(tmp_path, rest_url="https://external-api.demo.kalshi.co/trade-api/v2").is_loopback


@pytest.mark.parametrize(
    "changes",
    [
        {"rest_url": "http://external-api.kalshi.com/trade-api/v2"},
        {"ws_url": "ws://external-api-ws.kalshi.com/trade-api/ws/v2"},
        {"rest_url": "https://user:secret@127.0.0.1/trade-api/v2"},
        {"rest_url": "127.0.0.1:8080"},
        {"rest_url": "wss://127.0.0.1/x"},
        {"markets": ()},
        {"markets_max": 0},
        {"tier": "gold"},
        {"dialect": "v0"},
        {"dialect": "v1", "tier": "prestige"},
        {"private_key": "-----BEGIN"},
    ],
)
def test_settings_when_unsafe_or_unknown_then_they_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings_for(tmp_path, **changes)


def test_settings_when_listed_then_every_one_is_described() -> None:
    assert all(field.description for field in KalshiSettings.model_fields.values())
