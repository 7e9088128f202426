"""The strategies that ship, at local exchanges: a whole daemon, real sockets, and the venues' truth at the end.

Cross-venue arbitrage runs between three venues whose money has three names.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from framework.config.plugins import Plugins
from tests.journeys.conftest import TIER
from tests.support.daemon import ROOT, Daemon, Sandbox, get, running, venue_toml, wait_until

SAMPLES = "config/strategies.toml"
SOLD_OR_BOUGHT = re.compile(r"(buy|sell) (\S+) at ")
CROSS_VENUE = str(ROOT / "config" / "cross-venue.toml")
MODULES = {"kalqix": "ETH_USDC", "bitexasia": "ETH-USD", "zdex": "ETHUSDT"}
USE = "strategies.cross_venue_arbitrage:CrossVenueArbitrage"
BOUND_BPS = 100
WINDOW_S = 10
"""A window in which the venue takes as much as else in a minute: less is waited for."""
QUICK = {"orders_interval_ms": 100, "idle_interval_ms": 500, "balance_interval_ms": 2_000}


class Exchange:
    """A local exchange of one venue as a process of its own, without order flow: a test quotes its market."""

    def __init__(self, venue: str, directory: Path, *options: str, port: int = 0) -> None:
        self.venue, self.symbol, self.instrument = venue, MODULES[venue], f"{venue}:{MODULES[venue]}"
        directory.mkdir(exist_ok=True)
        command = [sys.executable, "-m", f"connectors.{venue}.sandbox", "--dir", str(directory), "--port", str(port)]
        self._process = subprocess.Popen([*command, "--speed", "0", *options], cwd=ROOT, stdout=subprocess.PIPE)

    @cached_property
    def ready(self) -> dict[str, Any]:
        """The line that it prints when it can be used; waits for it, so that two of them start side by side."""
        assert self._process.stdout is not None
        return dict(json.loads(self._process.stdout.readline()))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.ready["rest_url"].split(":")[2].partition("/")[0])

    def act(self, act: str, **fields: object) -> None:
        """Have something happen to its market."""
        body = {"act": act, "instrument": self.symbol, **fields}
        status, answer = get(f"{self.ready['admin_url']}/act", method="POST", body=body)
        assert status == 200, answer

    def quote(self, bid: str, ask: str) -> None:
        """Quote two coins on each side, in place of what was quoted before."""
        self.act("quote", bids=[[bid, "2"]], asks=[[ask, "2"]])

    def fault(self, **description: object) -> None:
        """Have something go wrong."""
        status, answer = get(f"{self.ready['admin_url']}/faults", method="POST", body=description)
        assert status == 201, answer

    def fills(self) -> list[tuple[str, Decimal, Decimal]]:
        """Side, size and price of every fill of the member, as the venue has them."""
        truth = json.loads(get(f"{self.ready['admin_url']}/truth?words=neutral")[1])
        return [(one["side"], Decimal(one["size"]), Decimal(one["price"])) for one in truth["fills"]]

    def settings(self) -> dict[str, Any]:
        """What a connector needs to find it."""
        of_sandbox = Plugins([]).connector(f"connectors.{self.venue}.plugin").sandbox_settings
        assert of_sandbox is not None
        return {**of_sandbox(self.ready), "request_timeout_ms": 1_000, "markets": [self.symbol]}

    def kill(self) -> None:
        """End it as a machine that loses its power."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


Open = Callable[..., Exchange]


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Open]:
    """Starts local exchanges, which end with the test."""
    with ExitStack() as started:

        def start(venue: str, *options: str, port: int = 0) -> Exchange:
            one = Exchange(venue, tmp_path / venue, *options, port=port)
            started.callback(one.kill)
            return one

        yield start


def configured(folder: Path, exchanges: Sequence[Exchange], more: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The command line of a daemon that trades these two against each other, under the checks of the sample."""
    names = [one.instrument for one in exchanges]
    strategy = {
        "inventory": {one.instrument: "2" for one in exchanges if one.venue != "zdex"},
        "bound_bps": BOUND_BPS,
        "size_max": "0.2",
        "position_max": "0.2",
        "currencies_as_equal": ["USDC", "USD", "USDT"],
        "currency_haircut_bps": 2,
    }
    tables: dict[str, Mapping[str, Any]] = {
        "strategies.cross_venue": {"enabled": False},
        "strategies.pair": {"use": USE, "instruments": names},
        "strategies.pair.settings": strategy,
        "strategies.pair.settings.legs": {"work_out_ms": 500, "report_ms": 500, "age_ms_max": 3_000},
        "checks.allow_list.settings": {"instruments": names},
        "checks.price_collar.settings": {"band": {"bps": 500}},
    }
    for one in exchanges:
        tables[f"venues.{one.venue}"] = {"embedded_sandbox": False, "use": f"connectors.{one.venue}.plugin"}
        tables[f"venues.{one.venue}.settings"] = {**one.settings(), **more.get(one.venue, {})}
    for venue in {"kalqix", "bitexasia"} - {one.venue for one in exchanges}:
        tables[f"venues.{venue}"] = {"enabled": False}
    rows = [f"[{name}]\n" + "".join(f"{key} = {toml(one)}\n" for key, one in at.items()) for name, at in tables.items()]
    file = folder / "pair.toml"
    file.write_text('durability = "process-crash"\n' + "".join(rows))
    return ["-c", CROSS_VENUE, "-c", str(file), "--state-dir", str(folder / "state")]


def toml(value: object) -> str:
    """A value as TOML has it."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


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
    sandbox = Sandbox(tmp_path / "sandbox", markets=4, speed=1, tier=TIER)
    sandbox.fault(kind="lost_response", match={"method": "POST"})
    file = tmp_path / "tidegate.toml"
    file.write_text(venue_toml(sandbox.ready, tier=TIER) + '[strategies.complement.settings]\nposition_max = "5"\n')
    layers = ["-c", "sandbox", "-c", SAMPLES, "-c", str(file), "--state-dir", str(tmp_path / "state")]
    try:
        with running(layers, tmp_path / "log") as daemon:
            # All that the largest position allows: then nothing more is bought, and nothing is under way.
            wait_until(lambda: any(abs(one) == 5 for one in sandbox.positions().values()), "largest position")
            wait_until(lambda: sets_bought(daemon) == sandbox.positions(), "whole sets")
            held = sandbox.positions()
            for market in held:
                # At what the venue had in mind from the start.
                sandbox.fault(kind="settle", match={"market": market})
            wait_until(lambda: daemon.total("tidegate_pnl", kind="realised"), "payment")
            wait_until(lambda: not sandbox.positions(), "payment of all")
            edges = sum(Decimal(one["edge"]) for one in daemon.logged("buys a set that pays whatever happens"))
            wait_until(lambda: profit(daemon) >= edges - slips(daemon), "the edge, or more")
            assert not daemon.logged("strategy fault")
            assert daemon.terminate()[0] == 0
        assert sandbox.truth()["faults_struck"] == {"lost_response": 1, "settle": len(held)}
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
    sandbox = Sandbox(tmp_path / "sandbox", markets=1, speed=5, tier=TIER)
    file = tmp_path / "tidegate.toml"
    wanted = "[strategies.complement]\nenabled = false\n[strategies.twap]\nenabled = true\n"
    file.write_text(
        venue_toml(sandbox.ready, tier=TIER) + wanted + "[strategies.twap.settings]\nduration_ms = 6000\nslices = 4\n"
    )
    layers = ["-c", "sandbox", "-c", SAMPLES, "-c", str(file), "--state-dir", str(tmp_path / "state")]
    try:
        with running(layers, tmp_path / "log") as daemon:
            (end,) = wait_until(lambda: daemon.logged("TWAP ends"), "end of the execution")
            assert (end["done"], end["left"]) == ("20.00", "0.00")
            assert daemon.terminate()[0] == 0
        assert list(sandbox.positions().values()) == [Decimal(20)]
    finally:
        sandbox.stop()


def test_cross_venue_when_one_venue_dies_between_the_legs_then_the_other_leg_is_flattened_within_its_bound(
    tmp_path: Path, exchange: Open
) -> None:
    lives, dies = exchange("bitexasia"), exchange("kalqix")
    for one in (lives, dies):
        one.quote("2499", "2501")
    settings = {"kalqix": {"failing_ms_max": 2_000, "book_interval_ms": 100}}
    with running(configured(tmp_path, [lives, dies], settings), tmp_path / "log") as daemon:
        wait_until(lambda: daemon.logged("strategy starts"), "strategy")
        # The venue hears no order any more when its bid rises.
        dies.fault(kind="lost_request", count=-1, match={"method": "POST"})
        dies.quote("2530", "2532")
        wait_until(lives.fills, "leg at the venue that lives on")
        dies.kill()
        wait_until(lambda: daemon.logged("leg held: the outcome of an order is unknown"), "report")
        assert lives.fills() == [("buy", Decimal("0.2"), Decimal(2501))]

        # Nothing of the order is there when the venue is back, so the other leg is sold again, no worse than its bound.
        lives.quote("2480", "2501")
        dies = exchange("kalqix", port=dies.port)
        dies.quote("2499", "2501")
        (even,) = wait_until(lambda: daemon.logged("legs are even"), "even legs")
        assert "kalqix:ETH_USDC sell 0.0000 of" in even["legs"]
        *_, (side, size, price) = lives.fills()
        assert (side, size) == ("sell", Decimal("0.2"))
        assert price >= Decimal(2501) * (1 - Decimal(BOUND_BPS) / 10_000)
        assert dies.fills() == []
        ends_well(daemon)


def test_cross_venue_when_a_perpetual_is_dearer_then_it_is_sold_and_closed_as_prices_meet_with_more_than_the_edge(
    tmp_path: Path, exchange: Open
) -> None:
    spot, perpetual = exchange("bitexasia"), exchange("zdex", "--markets", "2", "--window-s", str(WINDOW_S))
    perpetual.act("mark", price="2500")
    for one in (spot, perpetual):
        one.quote("2499", "2501")
    settings = {"zdex": {**QUICK, "window_s": WINDOW_S}}
    with running(configured(tmp_path, [spot, perpetual], settings), tmp_path / "log") as daemon:
        wait_until(lambda: daemon.logged("strategy starts"), "strategy")
        perpetual.quote("2540", "2542")
        (opening,) = wait_until(lambda: daemon.logged("opens a position across venues"), "position")
        # Both fees twice, the haircut, and 40 less the spread of 1: whatever funding brings is not counted.
        edge = Decimal(opening["edge"])
        assert 0 < edge < Decimal("0.2") * 39
        wait_until(lambda: daemon.logged("legs are even"), "even legs")
        perpetual.fault(kind="funding_now", rate_ppm=100, match={"market": perpetual.symbol})
        wait_until(lambda: daemon.total("tidegate_pnl", kind="funding"), "funding")
        perpetual.quote("2509", "2510")
        spot.quote("2510", "2511")
        wait_until(lambda: daemon.logged("closes a position across venues"), "closing")
        wait_until(lambda: len(daemon.logged("legs are even")) == 2, "even legs")
        assert [side for side, _, _ in spot.fills()] == ["buy", "sell"]
        assert [side for side, _, _ in perpetual.fills()] == ["sell", "buy"]
        wait_until(lambda: daemon.total("tidegate_pnl", kind="fees") > 2, "fees")
        pnl = {kind: Decimal(str(daemon.total("tidegate_pnl", kind=kind))) for kind in ("realised", "fees", "funding")}
        assert pnl["realised"] - pnl["fees"] >= edge
        assert pnl["funding"] == Decimal("0.2") * 2500 / 10_000
        ends_well(daemon)


def ends_well(daemon: Daemon) -> None:
    """It stops as it is asked to, and no strategy has failed."""
    assert not daemon.logged("strategy fault")
    assert daemon.terminate()[0] == 0
