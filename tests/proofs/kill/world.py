"""Four sandboxes as processes of their own, a daemon that rests orders at each, and `tidegate kill` beside it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from framework.config.layers import load
from framework.config.resolve import ResolvedVenue, resolve
from framework.runtime.venue_lease import BudgetLeft
from tests.proofs.four_venues.exchange import CONFIGURATION, Exchange
from tests.support.daemon import ROOT, Daemon, wait_until

FILL_S_MAX = 90.0
"""Longest time until each venue has all its orders: at the slowest, five new ones a second are allowed."""

OVER = """
replace_checks = true
plugin_paths = [{folder}]
[kernel]
strategy_call_ms_max = 60000
refusals_per_second_max = 1000000
[tape]
enabled = false
[strategies.complement]
enabled = false
[strategies.spot]
enabled = false
[strategies.perpetual]
enabled = false
[strategies.crowd]
use = "crowd:Crowd"
instruments = ["kalshi:*", "kalqix:BTC_USDC", "bitexasia:BTC-USD", "zdex:BTCUSDT"]
[strategies.crowd.settings]
count = {count}
signs = {signs}
[checks.trading_state]
use = "risk.trading_state:TradingStateCheck"
[checks.allow_list]
use = "risk.allow_list:AllowList"
[checks.allow_list.settings]
instruments = ["*"]
[checks.order_grid]
use = "risk.order_grid:OrderGrid"
[checks.rate_budget]
use = "risk.rate_budget:RateBudget"
[venues.kalshi.sandbox]
speed = 0.2
markets = 1
[venues.kalqix.sandbox]
speed = 0.2
[venues.bitexasia.sandbox]
speed = 0.2
[venues.zdex.sandbox]
speed = 0.2
"""

Json = Mapping[str, Any]


class World:
    """Sandboxes and daemon. `module` is what is run as `tidegate`: the program, or a broken variant of it."""

    def __init__(self, directory: Path, *, count: int, module: str) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.signs = directory / "signs"
        self.count = count
        self.exchanges: dict[str, Exchange] = {}
        self._module = module
        self._log = directory / "log"
        self._daemon: Daemon | None = None
        self._over = directory / "over.toml"

    @contextmanager
    def running(self) -> Iterator[World]:
        """Everything for the length of a `with`."""
        self.signs.mkdir(parents=True)
        folder = json.dumps(str(Path(__file__).parent))
        self._over.write_text(OVER.format(folder=folder, count=self.count, signs=json.dumps(str(self.signs))))
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(self._begin, resolve(load([CONFIGURATION, self._over], environ={})).venues))
            with self._over.open("a") as file:
                # Tables of sandboxes are of no use any more; those of settings lead to the processes.
                file.write("".join(_settings(one) for one in self.exchanges.values()))
            self.start()
            yield self
        finally:
            self.end()
            for one in self.exchanges.values():
                one.stop()

    @property
    def daemon(self) -> Daemon:
        """The daemon that runs."""
        assert self._daemon is not None
        return self._daemon

    def start(self) -> None:
        """Start the daemon."""
        self._daemon = Daemon([*self.arguments, "--no-status"], self._log, module=self._module)

    def end(self) -> None:
        """End the daemon at once."""
        if self._daemon is not None and not self._daemon.has_ended:
            self._daemon.signal(signal.SIGCONT)
            self._daemon.kill()

    @property
    def arguments(self) -> list[str]:
        """What daemon and commands are given alike."""
        return ["-c", str(CONFIGURATION), "-c", str(self._over), "--state-dir", str(self.state)]

    def tidegate(self, *words: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """One command in a process of its own."""
        command = [sys.executable, "-m", self._module, *words, *self.arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)

    def truth(self, venue: str) -> Json:
        """What really happened at a venue."""
        return self.exchanges[venue].truth()

    def open_orders(self, venue: str) -> list[Json]:
        """The orders that are open there."""
        return [one for one in self.truth(venue)["orders"] if one["status"] == "open"]

    def wait_full(self) -> None:
        """Return once each venue has all its orders."""
        for venue in self.exchanges:
            wait_until(
                lambda venue=venue: len(self.open_orders(venue)) >= self.count,
                f"{self.count} orders at {venue}: {len(self.open_orders(venue))}",
                timeout_s=FILL_S_MAX,
            )
            time.sleep(0.1)

    def block_loop(self, for_s: float) -> None:
        """Have the strategy block the daemon's event loop; returns when it has begun."""
        # Moved into place: one that is written half says nothing.
        (self.signs / "soon").write_text(str(for_s))
        (self.signs / "soon").rename(self.signs / "busy")
        wait_until(lambda: not (self.signs / "busy").exists(), "a strategy that blocks the loop", timeout_s=20)

    def left(self, venue: str) -> BudgetLeft:
        """What the daemon has noted that is left of a venue's limits."""
        line = (self.state / f"budget-{venue}").read_bytes().partition(b"\n")[0]
        return msgspec.json.decode(line, type=BudgetLeft)

    def is_latched(self) -> bool:
        """Whether the latch is set."""
        return (self.state / "killed").exists()

    def latched_ns(self) -> int:
        """When the latch was set, by its file; 0 when there is none."""
        return int(json.loads((self.state / "killed").read_bytes())["since_ns"]) if self.is_latched() else 0

    def _begin(self, venue: ResolvedVenue) -> None:
        self.exchanges[venue.name] = Exchange(venue, self.directory / venue.name, {})


def _settings(exchange: Exchange) -> str:
    """The rows that lead to the process in place of an embedded sandbox."""
    head, _, rows = exchange.table().partition(f"[venues.{exchange.name}.settings]")
    return f"{head}[venues.{exchange.name}.settings]{rows}"
