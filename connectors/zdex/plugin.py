"""What the daemon finds by its name: settings, the connector, and the local exchange with its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from connectors.zdex.connector import make_connector
from connectors.zdex.dialect import DialectName
from connectors.zdex.futures import margin_setup
from connectors.zdex.keys import key_admin as key_admin
from connectors.zdex.settings import ZdexSettings
from connectors.zdex.sign import zdex_rest
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.venue import Connector

Settings = ZdexSettings

SANDBOX = "connectors.zdex.sandbox"
"""Module of the local exchange, run as `python -m`: it prints one JSON line when it is ready."""


class SandboxOptions(BaseModel):
    """What the sandbox takes beside seed, markets and speed: `[venues.NAME.sandbox.options]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dialect: DialectName = Field(default="v1", description="The generation of the API that it speaks.")


def create(
    name: str, settings: ZdexSettings, *, clock: Clock, rng: Rng, proxy: str = "", turn: TakeTurn = no_limits
) -> Connector:
    """Make the connector of one account: see `make_connector`. Raises `ConfigurationError` when the secret can't be
    used."""
    return make_connector(name, settings, clock=clock, rng=rng, proxy=proxy, turn=turn)


def sandbox_settings(ready: Mapping[str, Any]) -> Mapping[str, Any]:
    """Map the sandbox's ready line to settings. Raises `KeyError` when the line lacks a member."""
    names = {"dialect": "dialect", "rest_url": "rest_url", "ws_url": "ws_url", "key_id": "api_key"}
    return {name: ready[member] for name, member in names.items()} | {"secret_path": ready["api_secret_path"]}


async def operate(
    settings: ZdexSettings, words: Sequence[str], *, clock: Clock, rng: Rng, proxy: str = ""
) -> Sequence[str]:
    """Set what the venue keeps for a market: `leverage SYMBOL N` or `margin SYMBOL CROSSED|ISOLATED`; what came of it.

    Raises `ConfigurationError` for other words and for what the venue refuses; else like reads.
    """
    return await margin_setup(zdex_rest(settings, clock=clock, rng=rng, proxy=proxy)).operate(words)
