"""The venues of the clock proof: a row each, of what differs there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import connectors.bitexasia.plugin as bitexasia_plugin
import connectors.kalqix.plugin as kalqix_plugin
import connectors.kalshi.plugin as kalshi_plugin
import connectors.zdex.plugin as zdex_plugin
from connectors.bitexasia.sandbox.server import bitexasia
from connectors.bitexasia.sandbox.venue import DRIFT_MS, STRICT_DRIFT_MS, BitExAsiaOptions
from connectors.kalqix.sandbox.server import KalqixOptions, kalqix
from connectors.kalqix.sandbox.venue import STAMP_AGE_MS_MAX
from connectors.kalshi.sandbox import server as kalshi_sandbox
from connectors.kalshi.sandbox.auth import WINDOW_MS
from connectors.zdex.sandbox import server as zdex_sandbox
from tests.support.rsa_key import keep_rsa_key

MANY = 1_000_000
"""A limit that is never reached: the proof is of clocks."""
ZDEX_DRIFT_MS = {"v1": 30_000, "v2": 5_000}


class Row(NamedTuple):
    """One venue in one dialect.

    `open` makes its sandbox of a directory, a seed and a clock; `settings` maps the ready line to those of the
    connector. A stamp may lie `behind_ms` behind the venue's clock and `ahead_ms` ahead of it. `is_first_signed`: also
    the read that learns the venue's time is signed, so the first one of a clock that is off beyond this is refused, and
    its answer says the time. `has_content_alone`: an order of which only we know is found by content and time, where
    the time is what our wall clock showed. `refuses_twins`: two requests of one content and time are one to it.
    """

    name: str
    plugin: Any
    open: Callable[[Path, int, Callable[[], int]], Any]
    settings: Callable[[Mapping[str, Any]], dict[str, Any]]
    behind_ms: int
    ahead_ms: int
    is_first_signed: bool = False
    has_content_alone: bool = False
    refuses_twins: bool = False

    def lets_in(self, error_ms: float, *, margin_ms: int = 0) -> bool:
        """Whether a stamp that is so far ahead of the venue's clock (negative: behind) is in its window, and nearer to
        the middle than its edge by a margin."""
        return margin_ms - self.behind_ms <= error_ms <= self.ahead_ms - margin_ms


def _kalshi(directory: Path, seed: int, now_ns: Callable[[], int]) -> Any:
    directory.mkdir(parents=True)
    keep_rsa_key(directory)
    options = kalshi_sandbox.SandboxOptions(directory=directory, seed=seed, markets=1, speed=0, tier="prestige")
    return kalshi_sandbox.KalshiSandbox(options, now_ns=now_ns)


def _kalshi_settings(ready: Mapping[str, Any]) -> dict[str, Any]:
    key = {"key_id": ready["ed25519_key_id"], "private_key_path": ready["ed25519_private_key_path"]}
    return {**kalshi_plugin.sandbox_settings(ready), **key, "markets": ("series:KXTIDE",), "tier": "prestige"}


def _kalqix(dialect: str, directory: Path, seed: int, now_ns: Callable[[], int]) -> Any:
    options = KalqixOptions(directory, seed=seed, speed=0, dialect=dialect, limit=MANY, wallet_limit=MANY)
    return kalqix(options, now_ns=now_ns)


def _bitexasia(directory: Path, seed: int, now_ns: Callable[[], int]) -> Any:
    return bitexasia(BitExAsiaOptions(directory, seed=seed, speed=0, limit=MANY), now_ns=now_ns)


def _strict(ready: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a key whose owner chose a narrow tolerance."""
    key = {"key_id": ready["strict_api_key"], "secret_path": ready["strict_api_secret_path"]}
    return {**bitexasia_plugin.sandbox_settings(ready), **key, "drift_ms": STRICT_DRIFT_MS}


def _zdex(dialect: str, directory: Path, seed: int, now_ns: Callable[[], int]) -> Any:
    options = zdex_sandbox.SandboxOptions(
        directory=directory, seed=seed, markets=1, speed=0, dialect=dialect, requests=MANY, orders=MANY
    )
    return zdex_sandbox.ZdexSandbox(options, now_ns=now_ns)


def _zdex_row(dialect: str) -> Row:
    drift_ms = ZDEX_DRIFT_MS[dialect]
    settings = lambda ready: dict(zdex_plugin.sandbox_settings(ready))  # noqa: E731 - a column of the table
    return Row(
        f"zdex-{dialect}", zdex_plugin, partial(_zdex, dialect), settings, drift_ms, drift_ms,
        has_content_alone=dialect == "v1", refuses_twins=dialect == "v2",
    )  # fmt: skip


def _kalqix_row(dialect: str, ahead_ms: int) -> Row:
    settings = lambda ready: dict(kalqix_plugin.sandbox_settings(ready))  # noqa: E731 - a column of the table
    return Row(
        f"kalqix-{dialect}",
        kalqix_plugin,
        partial(_kalqix, dialect),
        settings,
        STAMP_AGE_MS_MAX,
        ahead_ms,
        refuses_twins=dialect == "a",
    )


def _bitexasia_row(name: str, settings: Callable[[Mapping[str, Any]], Mapping[str, Any]], drift_ms: int) -> Row:
    made = lambda ready: dict(settings(ready))  # noqa: E731 - a column of the table
    return Row(name, bitexasia_plugin, _bitexasia, made, drift_ms, drift_ms, is_first_signed=True)


ROWS = {
    row.name: row
    for row in (
        Row("kalshi", kalshi_plugin, _kalshi, _kalshi_settings, WINDOW_MS, WINDOW_MS),
        _kalqix_row("a", 0),
        _kalqix_row("b", STAMP_AGE_MS_MAX),
        _bitexasia_row("bitexasia", bitexasia_plugin.sandbox_settings, DRIFT_MS),
        _bitexasia_row("bitexasia-strict", _strict, STRICT_DRIFT_MS),
        _zdex_row("v1"),
        _zdex_row("v2"),
    )
}
"""By the names that the proof gives them. A key of BitExAsia has a tolerance of its own: the usual one and a narrow
one."""


def as_members(ready: Any) -> Mapping[str, Any]:
    """A ready line as its members."""
    return dataclasses.asdict(ready) if dataclasses.is_dataclass(ready) else ready  # type: ignore[arg-type,no-any-return]
