"""What the daemon loads of this venue: its settings model, its factory and its sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.bitexasia.connector import make_connector
from connectors.bitexasia.settings import BitExAsiaSettings
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.venue import Connector

Settings = BitExAsiaSettings

SANDBOX = "connectors.bitexasia.sandbox"
"""Module of the local exchange, run as `python -m`: it prints one JSON line when it is ready."""

NO_KEY_ADMIN = "this venue has no API for keys; make, scope and revoke them in the account settings of its website"
"""Where keys are made (vendor's page), for `tidegate keys`."""


class SandboxOptions(BaseModel):
    """`[venues.NAME.sandbox.options]`: what this venue's sandbox takes beside seed and speed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dialect: Literal["v1"] = Field("v1", description="The generation of the API; there is one.")
    limit: int = Field(1_200, ge=1, description="Weighted requests a minute that a key may send.")
    depth: Literal[100, 1000] = Field(100, description="Levels of a book: 100, or 1000 of a verified account.")


def create(
    name: str, settings: BitExAsiaSettings, *, clock: Clock, rng: Rng, proxy: str = "", turn: TakeTurn = no_limits
) -> Connector:
    """Make the connector of one account, which connects through `proxy` where one is given and has its reads wait for
    their `turn`.

    Raises `ConfigurationError` when the secret can't be used.
    """
    return make_connector(name, settings, clock=clock, rng=rng, proxy=proxy, turn=turn)


def sandbox_settings(ready: Mapping[str, Any]) -> Mapping[str, Any]:
    """Map the sandbox's ready line to settings: its addresses, its key and the key's secret.

    Raises `KeyError` when the line lacks one of them.
    """
    addresses = {name: ready[name] for name in ("rest_url", "ws_url")}
    return addresses | {"key_id": ready["api_key"], "secret_path": ready["api_secret_path"]}


__all__ = ["NO_KEY_ADMIN", "SANDBOX", "SandboxOptions", "Settings", "create", "sandbox_settings"]
