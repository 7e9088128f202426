"""A local KalqiX: its options, its keys, and what the frame serves of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.kalqix.sandbox.account import ACCOUNT_ROUTES
from connectors.kalqix.sandbox.markets import PUBLIC
from connectors.kalqix.sandbox.orders import ORDERS
from connectors.kalqix.sandbox.signatures import address_of, agent_of, new_wallet_key, require_curve_library
from connectors.kalqix.sandbox.venue import Credentials, KalqixVenue, admit
from connectors.kalqix.sandbox.words import INTERNAL, body_of, refusal
from connectors.sandbox.serving.command import option
from connectors.sandbox.serving.keys import kept_secret
from connectors.sandbox.serving.rest import RestFace, guarded
from connectors.sandbox.serving.server import Design, SandboxServer

AGENT_INDEX = 6
"""The first index of the pool from which agents of clients come (vendor's connector)."""


@dataclass(frozen=True)
class KalqixOptions:
    """The options of the command line."""

    directory: Path
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    speed: float = 1.0
    read_lag_ms: int = 0
    dialect: str = option("a", "which generation of the protocol it speaks (default a)", choices=("a", "b"))
    limit: int = option(1_000, "requests that an address may send in a second (default 1000)", metavar="N", least=1)
    wallet_limit: int = option(
        18_000, "requests that a wallet may send in a minute (default 18000)", metavar="N", least=1
    )


def kalqix(options: KalqixOptions, *, now_ns: Callable[[], int] = time.time_ns) -> SandboxServer[KalqixVenue, Any]:
    """The whole venue; `now_ns` reads wall time in nanoseconds since the epoch. Raises `ValueError` where the libraries
    for its signatures are not what they must be."""
    require_curve_library()
    has_agents, credentials = options.dialect == "b", Credentials()

    def fresh() -> KalqixVenue:
        limits = (options.limit, options.wallet_limit)
        return KalqixVenue(
            credentials,
            has_agents=has_agents,
            seed=options.seed,
            speed=options.speed,
            limits=limits,
            now_ns=now_ns,
        )

    def make_keys(folder: Path) -> Mapping[str, str]:
        return _make_keys(folder, credentials, options.dialect)

    return SandboxServer(Design("kalqix", fresh, make_keys, face_of(has_agents=has_agents)), options, now_ns=now_ns)


def face_of(*, has_agents: bool) -> RestFace[KalqixVenue]:
    """The REST side of a dialect."""
    return RestFace(
        prefix="/v1",
        endpoints=guarded((*PUBLIC, *ORDERS, *ACCOUNT_ROUTES), admit),
        unknown_path=lambda: refusal("unknown_path", has_codes=has_agents),
        too_many=lambda: refusal("too_fast", has_codes=has_agents, headers={"Retry-After": "1"}),
        failure=lambda _status: body_of(INTERNAL, has_codes=has_agents),
        headers=lambda venue, arrival: venue.address_window.headers(arrival.now_ns),
        replayed=lambda: refusal("replayed", has_codes=has_agents),
        ip_refused=lambda: refusal("ip_refused", has_codes=has_agents),
    )


def _make_keys(folder: Path, credentials: Credentials, dialect: str) -> Mapping[str, str]:
    """The keys of an earlier run in the folder, else fresh ones, as members of the ready line."""
    names = {name: folder / f"{name}.secret" for name in ("api", "wallet", "agent")}
    api_key = kept_secret(folder / "api.key", lambda: secrets.token_hex(16))
    credentials.api_keys[api_key] = kept_secret(names["api"], lambda: secrets.token_hex(32))
    wallet_key = kept_secret(names["wallet"], new_wallet_key)
    credentials.wallet = address_of(wallet_key)
    ready: dict[str, Any] = {
        "dialect": dialect,
        "ws_url": None,
        "api_key": api_key,
        "api_secret_path": str(names["api"]),
        "wallet_address": credentials.wallet,
        "wallet_key_path": str(names["wallet"]),
    }
    if dialect == "b":
        credentials.agents[AGENT_INDEX] = agent_of(kept_secret(names["agent"], new_wallet_key))
        ready |= {"agent_index": AGENT_INDEX, "agent_key_path": str(names["agent"])}
    return ready
