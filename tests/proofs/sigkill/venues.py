"""The venues at which daemons are killed and cut off: one row each, by the name that the proofs give them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from framework.domain.terms import FillListing
from tests.support.daemon import ROOT, Sandbox

AMENDS = frozenset({"amend-before-send", "amend-after-send"})
READ_LAG_MS, VENUE_LAG_MS = 200, 100
"""How long reads may lag by the settings, and how long they do."""


class Row(NamedTuple):
    """A venue, or one dialect of it.

    `configs` are the files that the daemon gets first; `sandbox` is what the exchange is given beside seed, speed and
    lag, `settings` what is laid over those that its ready line gives, `strategies` the tables of what trades there,
    with its `markets` as `{0}`, `{1}`… . `fills` says which own fills the venue lists, `absent` which fail points are
    never passed there, `records_share` how much a daemon records in a life, compared with one at Kalshi. Orders with a
    price below `stand_ins_below` only take an id, as a look-up does.

    A start is ready within `ready_s_max` (p99), and agrees with the venue within `agree_s_max` of being ready: `why`
    says what that is made of. `behind_s` is how old news of a venue that must be asked for them may be. `legs` are its
    connections, `silent_cases` the silences that its stream may fall into, `noticed_s_max` how soon these are noticed,
    `reconciled_s_max` how soon (p99) both sides agree once the network is healed.
    """

    venue: str
    configs: tuple[str, ...]
    sandbox: Mapping[str, object]
    settings: Mapping[str, object]
    strategies: str
    markets: Callable[[Sandbox], list[str]] = lambda _sandbox: []
    fills: FillListing = FillListing.LISTED
    absent: frozenset[str] = AMENDS
    stand_ins_below: int = 0
    behind_s: float = 0.0
    ready_s_max: float = 3.0
    agree_s_max: float = 5.0
    why: str = ""
    speed: float = 10.0
    records_share: float = 1.0
    legs: tuple[str, ...] = ("rest", "stream")
    silent_cases: tuple[str, ...] = ("frozen", "muted")
    reconciled_s_max: float = 5.0
    noticed_s_max: float = 30.0
    connects_per_minute_max: int = 10

    def exchange(self, directory: Path, *, seed: int, speed: float, **more: object) -> Sandbox:
        """Start the exchange."""
        module = f"connectors.{self.venue}.sandbox"
        return Sandbox(directory, module=module, seed=seed, speed=speed, **{**self.sandbox, **more})

    def toml(self, sandbox: Sandbox, *, ready: Mapping[str, Any] | None = None, **settings: object) -> str:
        """The configuration of a daemon there, to be laid over `configs`. `ready`: the ready line with other
        addresses; `settings` are laid over the row's."""
        given = import_module(f"connectors.{self.venue}.plugin").sandbox_settings(ready or sandbox.ready)
        chosen = {**given, "markets": ["*"], **self.settings, **settings}
        rows = "\n".join(f"{name} = {json.dumps(value)}" for name, value in chosen.items())
        table = f'[venues.{self.venue}]\nuse = "connectors.{self.venue}.plugin"\nembedded_sandbox = false\n'
        return f"{table}[venues.{self.venue}.settings]\n{rows}\n" + self.strategies.format(*self.markets(sandbox))


KALSHI_STRATEGIES = """
[strategies.mm]
use = "strategies.market_maker:MarketMaker"
instruments = ["{0}", "{1}"]
instruments_max = 2
[strategies.mm.settings]
interval_ms_min = 40
[strategies.changer]
use = "strategies.market_maker:MarketMaker"
instruments = ["{2}", "{3}"]
instruments_max = 2
[strategies.changer.settings]
size = "5"
position_max = "50"
amend = false
interval_ms_min = 40
"""
KALQIX_STRATEGIES = """
[strategies.mm]
instruments = ["kalqix:BTC_USDC", "kalqix:ETH_USDC"]
[strategies.mm.settings]
half_spread_ticks = 60
requote_ticks = 30
interval_ms_min = 100
"""
BITEXASIA_STRATEGIES = """
[strategies.mm]
instruments = ["bitexasia:BTC-USD"]
[strategies.mm.settings]
requote_ticks = 100
interval_ms_min = 200
"""
ZDEX_STRATEGIES = """
[strategies.mm]
instruments = ["zdex:*"]
instruments_max = 1
[strategies.mm.settings]
size = "0.02"
position_max = "0.2"
short_max = "0.2"
half_spread_ticks = 1
interval_ms_min = 400
[checks.allow_list.settings]
instruments = ["zdex:*"]
[checks.max_order_size.settings]
max_size = "0.05"
[checks.max_order_notional.settings]
max_notional = "5000"
[checks.max_position.settings]
max_position = "0.5"
max_strategy_position = "0.5"
"""


def _of_kalshi(sandbox: Sandbox) -> list[str]:
    return sorted(f"kalshi:{market}" for market in sandbox.truth()["markets"])


def _kalqix(dialect: str) -> Row:
    return Row(
        "kalqix",
        (str(ROOT / "config" / "kalqix.toml"),),
        {"dialect": dialect},
        {"book_interval_ms": 100, "orders_interval_ms": 100, "idle_interval_ms": 300},
        KALQIX_STRATEGIES,
        why="orders and fills are polled ten times a second, and reads lag",
        behind_s=1.0,
        legs=("rest",),
        silent_cases=(),
        connects_per_minute_max=30,
    )


def _zdex(dialect: str) -> Row:
    return Row(
        "zdex",
        ("sandbox", str(ROOT / "config" / "zdex.toml")),
        {"dialect": dialect, "markets": 1},
        {"orders_interval_ms": 1_000, "leverage": 20},
        ZDEX_STRATEGIES,
        fills=FillListing.TAKER_ONLY,
        agree_s_max=15.0,
        behind_s=5.0,
        ready_s_max=8.0,
        reconciled_s_max=15.0,
        records_share=0.2,
        why="what a resting order traded shows the position alone, which must stay so for a lag",
    )


VENUES: Mapping[str, Row] = {
    "kalshi": Row(
        "kalshi",
        ("sandbox",),
        {"markets": 4, "tier": "prime"},
        {},
        KALSHI_STRATEGIES,
        _of_kalshi,
        absent=frozenset(),
        ready_s_max=2.0,
        silent_cases=("frozen", "muted", "fills_muted"),
        why="what the stream does not bring a start reads, and reads lag",
    ),
    "kalqix-a": _kalqix("a"),
    "kalqix-b": _kalqix("b"),
    "bitexasia": Row(
        "bitexasia",
        ("sandbox", str(ROOT / "config" / "bitexasia.toml")),
        {"limit": 6_000},
        {"limit": 6_000},
        BITEXASIA_STRATEGIES,
        fills=FillListing.BY_ORDER,
        absent=AMENDS | {"reconcile-mid-pass"},
        stand_ins_below=1,
        records_share=0.4,
        why="orders are looked up one by one, four a second",
        behind_s=3.0,
        noticed_s_max=45.0,
        # A request that times out, after 1.2 s, costs a connection: ten are gone soon, and the next one has to wait.
        reconciled_s_max=30.0,
    ),
    "zdex-v1": _zdex("v1"),
    "zdex-v2": _zdex("v2"),
}
