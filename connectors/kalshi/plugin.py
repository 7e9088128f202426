"""Where the daemon finds this venue: its settings model, its factory and its sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.kalshi.connector import KalshiConnector
from connectors.kalshi.settings import KalshiSettings
from framework.domain.ports import Clock, Rng
from framework.domain.venue import Connector

Settings = KalshiSettings

SANDBOX = "connectors.kalshi.sandbox"
"""Run as `python -m`: the local exchange, which prints one JSON line when it is ready."""


def create(name: str, settings: KalshiSettings, *, clock: Clock, rng: Rng) -> Connector:
    """The connector of one account. Raises `ConfigurationError`."""
    return KalshiConnector(name, settings, clock=clock, rng=rng)


def sandbox_settings(ready: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings that the sandbox's ready line stands for: its addresses and its RSA key."""
    return {name: ready[name] for name in ("rest_url", "ws_url", "key_id", "private_key_path")}


__all__ = ["SANDBOX", "Settings", "create", "sandbox_settings"]
