"""What the daemon loads of this venue: its settings model, its factories and its sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from connectors.kalshi.connector import make_connector
from connectors.kalshi.rest.keys import kalshi_keys as key_admin
from connectors.kalshi.settings import DialectName, KalshiSettings
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.venue import Connector

Settings = KalshiSettings

SANDBOX = "connectors.kalshi.sandbox"
"""Module of the local exchange, run as `python -m`: it prints one JSON line when it is ready."""


class SandboxOptions(BaseModel):
    """What the sandbox takes beside seed, markets and speed: `[venues.NAME.sandbox.options]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dialect: DialectName = Field(default="current", description="The generation of the API that it speaks.")
    multivariate: int = Field(default=0, ge=0, description="Legs of a further market, the first so many; 0 for none.")


def create(
    name: str, settings: KalshiSettings, *, clock: Clock, rng: Rng, proxy: str = "", turn: TakeTurn = no_limits
) -> Connector:
    """Make the connector of one account, which connects through `proxy` where one is given and has its reads wait for
    their `turn`.

    Raises `ConfigurationError` when the private key cannot be used.
    """
    return make_connector(name, settings, clock=clock, rng=rng, proxy=proxy, turn=turn)


def sandbox_settings(ready: Mapping[str, Any]) -> Mapping[str, Any]:
    """Map the sandbox's ready line to settings: its addresses, its key id, its RSA key and its dialect.

    Raises `KeyError` when the line lacks one of them.
    """
    return {name: ready[name] for name in ("rest_url", "ws_url", "key_id", "private_key_path", "dialect")}


__all__ = ["SANDBOX", "SandboxOptions", "Settings", "create", "key_admin", "sandbox_settings"]
