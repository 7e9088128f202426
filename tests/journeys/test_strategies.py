"""The strategies that ship, at local exchanges: a whole daemon, real sockets, and the venue's truth at the end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import ROOT, Daemon, Sandbox, get, running, venue_toml, wait_until

SAMPLES = "config/strategies.toml"
EXAMPLE = ROOT / "tests" / "support" / "example_venue"
SOLD_OR_BOUGHT = re.compile(r"(buy|sell) (\S+) at ")
ARBITRAGE = f"""
durability = "process-crash"
plugin_paths = ["{EXAMPLE}"]
[strategies.arb]
use = "strategies.cross_venue_arbitrage:CrossVenueArbitrage"
instruments = ["left:BTC-USD", "right:BTC-USD"]
[strategies.arb.settings]
size_max = "0.01"
position_max = "0.02"
inventory = {{ "left:BTC-USD" = "0.02", "right:BTC-USD" = "0.02" }}
bound_bps = 100
legs = {{ age_ms_max = 2000, work_out_ms = 500, report_ms = 1000 }}
[checks.trading_state]
use = "risk.trading_state:TradingStateCheck"
[checks.order_grid]
use = "risk.order_grid:OrderGrid"
[checks.rate_budget]
use = "risk.rate_budget:RateBudget"
"""


class Example:
    """A local Example as a process of its own, without order flow: a test quotes its market."""

    def __init__(self, directory: Path, *, port: int = 0) -> None:
        self.directory = directory
        command = [sys.executable, "-m", "framework", "sandbox", "-c", str(EXAMPLE / "example.toml"), "example"]
        options = ["--dir", str(directory), "--port", str(port), "--speed", "0"]
        self._process = subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.port = int(self.ready["rest_url"].split(":")[2].partition("/")[0])

    def quote(self, bid: str, ask: str) -> None:
        """Quote one coin on each side, in place of what was quoted before."""
        act = {"act": "quote", "instrument": "BTC-USD", "bids": [[bid, "1"]], "asks": [[ask, "1"]]}
        status, body = get(f"{self.ready['admin_url']}/act", method="POST", body=act)
        assert status == 200, body

    def fills(self) -> list[tuple[str, str]]:
        """Side and size of every fill of the member, as the venue has them."""
        truth = json.loads(get(f"{self.ready['admin_url']}/truth")[1])
        return [(one["side"], one["size"]) for one in truth["fills"]]

    def fault(self, **description: object) -> None:
        """Have something go wrong."""
        status, body = get(f"{self.ready['admin_url']}/faults", method="POST", body=description)
        assert status == 201, body

    def kill(self) -> None:
        """End it as a machine that loses its power."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def table(self, name: str) -> str:
        """Its rows in a configuration."""
        settings = {
            "rest_url": self.ready["rest_url"],
            "key_id": self.ready["trader_id"],
            "secret_path": self.ready["trader_secret_path"],
            "markets": ["BTC-USD"],
            "book_interval_ms": 200,
            "request_timeout_ms": 1_000,
            "failing_ms_max": 2_000,
        }
        rows = "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
        return f'[venues.{name}]\nuse = "example.plugin"\n[venues.{name}.settings]\n{rows}\n'


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Example]:
    """The venue that lives on."""
    started = Example(tmp_path / "left")
    yield started
    started.kill()


def sets_bought(daemon: Daemon) -> dict[str, Decimal]:
    """The positions that the sets come to which the log names, by market; each has an edge."""
    hundredths: Counter[str] = Counter()
    for line in daemon.logged("buys a set that pays whatever happens"):
        assert Decimal(line["edge"]) > 0
        for side, market in SOLD_OR_BOUGHT.findall(line["legs"]):
            hundredths[market] += int(Decimal(line["size"]) * 100) * (1 if side == "buy" else -1)
    return {market: Decimal(size) / 100 for market, size in hundredths.items() if size}


def test_complement_when_it_runs_at_the_sandbox_then_the_venue_holds_whole_sets_that_pay_their_edge(
    tmp_path: Path,
) -> None:
    sandbox = Sandbox(tmp_path / "sandbox", markets=4, speed=1)
    sandbox.fault(kind="lost_response", match={"method": "POST"})
    file = tmp_path / "tidegate.toml"
    file.write_text(venue_toml(sandbox.ready) + '[strategies.complement.settings]\nposition_max = "5"\n')
    layers = ["-c", "sandbox", "-c", SAMPLES, "-c", str(file), "--state-dir", str(tmp_path / "state")]
    try:
        with running(layers, tmp_path / "log") as daemon:
            # All that the largest position allows: then nothing more is bought, and nothing is under way.
            wait_until(lambda: any(abs(one) == 5 for one in sandbox.positions().values()), "largest position")
            wait_until(lambda: sets_bought(daemon) == sandbox.positions(), "whole sets")
            for market in sandbox.positions():
                act = {"act": "close", "instrument": market}
                assert get(f"{sandbox.ready['admin_url']}/act", method="POST", body=act)[0] == 200
            wait_until(lambda: daemon.total("tidegate_pnl", kind="realised"), "payment")
            wait_until(lambda: not sandbox.positions(), "payment of all")
            edges = sum(Decimal(one["edge"]) for one in daemon.logged("buys a set that pays whatever happens"))
            wait_until(lambda: profit(daemon) >= edges - slips(daemon), "the edge, or more")
            assert not daemon.logged("strategy fault")
            assert daemon.terminate()[0] == 0
        assert sandbox.truth()["faults_struck"] == {"lost_response": 1}
        assert sandbox.truth()["problems"] == []
    finally:
        sandbox.stop()


def profit(daemon: Daemon) -> Decimal:
    """What the strategy has made after fees."""
    realised, fees = (daemon.total("tidegate_pnl", kind=kind, strategy="complement") for kind in ("realised", "fees"))
    return Decimal(str(realised)) - Decimal(str(fees))


def slips(daemon: Daemon) -> Decimal:
    """What the legs that were worked out may have cost: three cents for each contract, and a fee of at most two."""
    return Decimal("0.05") * 5 * len(daemon.logged("works a leg out"))


def test_twap_when_it_runs_at_the_sandbox_then_all_has_traded_by_the_end(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "sandbox", markets=1, speed=5)
    file = tmp_path / "tidegate.toml"
    wanted = "[strategies.complement]\nenabled = false\n[strategies.twap]\nenabled = true\n"
    file.write_text(venue_toml(sandbox.ready) + wanted + "[strategies.twap.settings]\nduration_ms = 6000\nslices = 4\n")
    layers = ["-c", "sandbox", "-c", SAMPLES, "-c", str(file), "--state-dir", str(tmp_path / "state")]
    try:
        with running(layers, tmp_path / "log") as daemon:
            (end,) = wait_until(lambda: daemon.logged("TWAP ends"), "end of the execution")
            assert (end["done"], end["left"]) == ("20.00", "0.00")
            assert daemon.terminate()[0] == 0
        assert list(sandbox.positions().values()) == [Decimal(20)]
    finally:
        sandbox.stop()


def test_cross_venue_when_one_venue_dies_between_the_legs_then_the_leg_is_held_and_flattened_when_that_is_sure(
    tmp_path: Path, left: Example
) -> None:
    right = Example(tmp_path / "right")
    file = tmp_path / "tidegate.toml"
    file.write_text(ARBITRAGE + left.table("left") + right.table("right"))
    left.quote("59900", "60000")
    right.quote("59900", "60000")
    try:
        with running(["-c", str(file), "--state-dir", str(tmp_path / "state")], tmp_path / "log") as daemon:
            wait_until(lambda: daemon.logged("strategy starts"), "strategy")
            # The venue hears no order any more when the books cross.
            right.fault(kind="lost_request", count=-1, match={"method": "POST"})
            right.quote("60500", "60600")
            wait_until(left.fills, "leg at the venue that lives on")
            right.kill()
            wait_until(lambda: daemon.logged("leg held: the outcome of an order is unknown"), "report")
            assert left.fills() == [("buy", "0.0100")]

            # Nothing of the order is there when the venue is back, so the other leg is sold again within its bound.
            right = Example(tmp_path / "right", port=right.port)
            wait_until(lambda: daemon.logged("legs are even"), "even legs")
            assert (left.fills(), right.fills()) == ([("buy", "0.0100"), ("sell", "0.0100")], [])
            assert not daemon.logged("strategy fault")
            assert daemon.terminate()[0] == 0
    finally:
        right.kill()
