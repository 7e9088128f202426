"""What the daemon loads of this venue: its settings model, its factory and its sandbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from connectors.client.connector import VenueConnector
from connectors.kalqix.connector import make_connector as create
from connectors.kalqix.dialect import DialectName
from connectors.kalqix.operator import fund_mover, key_admin
from connectors.kalqix.settings import KalqixSettings as Settings

SANDBOX = "connectors.kalqix.sandbox"
"""Module of the local exchange, run as `python -m`: it prints one JSON line when it is ready."""


class SandboxOptions(BaseModel):
    """Options of the sandbox, beside seed and speed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dialect: DialectName = Field("a", description="Which generation of the protocol it speaks.")


def sandbox_settings(ready: Mapping[str, Any]) -> Mapping[str, Any]:
    """Map the sandbox's ready line to settings: its address, its dialect and its keys.

    Raises `KeyError` when the line lacks one of them.
    """
    keys = ("agent_index", "agent_key_path") if ready["dialect"] == "b" else ("wallet_key_path",)
    named = {name: ready[name] for name in ("rest_url", "dialect", "api_secret_path", *keys)}
    return named | {"key_id": ready["api_key"]}


async def access_notes(connector: VenueConnector) -> Sequence[str]:
    """What the key of a started connector may not do that trading needs, a sentence each. Raises like its `start`."""
    return await connector.access_notes()


__all__ = [
    "SANDBOX", "SandboxOptions", "Settings", "access_notes", "create", "fund_mover", "key_admin",
    "sandbox_settings",
]  # fmt: skip
