from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.conftest import Configure
from tests.support.daemon import ROOT, Sandbox, running, wait_until

BAD = """
import time

from framework.domain.strategy import Strategy


class Raises(Strategy[None]):
    def on_book(self, book):
        raise LookupError("no such level")


class Blocks(Strategy[None]):
    def on_book(self, book):
        time.sleep(0.3)


class Nonsense(Strategy[None]):
    def on_book(self, book):
        self.buy(book.instrument, "cheap", -3)
        return "sold"
"""

SIMPLE = """
from framework.domain.events import Fill
from framework.domain.intents import CancelOrder
from framework.domain.orders import Order, Side
from framework.domain.ports import BookView
from framework.domain.strategy import Strategy


class Joiner(Strategy[None]):
    def on_book(self, book: BookView) -> None:
        if not (book.is_fresh and book.is_two_sided):
            return
        instrument = self.desk.instrument(book.instrument)
        tick = instrument.tick_at(book.bid)
        is_long = self.desk.position(book.instrument).size > 0
        side, price = (Side.SELL, book.bid + tick) if is_long else (Side.BUY, book.ask - tick)
        orders = self.desk.orders(book.instrument)
        for order in orders:
            if (order.side, order.price) != (side, price):
                self.desk.submit(CancelOrder(strategy=self.name, client_order_id=order.client_order_id))
        if not orders:
            self.place(side, book.instrument, price, instrument.size(1), post_only=True)

    def on_fill(self, fill: Fill, order: Order) -> None:
        self.desk.log("traded", side=fill.side.value, price=fill.price)
"""

ROW = """
[strategies.{name}]
use = "{use}"
instruments = ["kalshi:*"]
instruments_max = 1
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir()
    return folder


def paths(plugins: Path) -> str:
    """What sets the plugin folder."""
    return f'plugin_paths=["{plugins}"]'


def run_verb(verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "framework", verb, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_strategies_when_three_misbehave_then_each_is_named_counted_and_stopped_and_the_good_one_goes_on(
    tmp_path: Path, plugins: Path, configure: Configure
) -> None:
    (plugins / "bad.py").write_text(BAD)
    rows = "".join(ROW.format(name=kind.lower(), use=f"bad:{kind}") for kind in ("Raises", "Blocks", "Nonsense"))
    limit = ["--set", paths(plugins), "--set", "kernel.strategy_call_ms_max=200"]

    with running([*configure(rows), *limit], tmp_path / "log") as daemon:
        names = {"raises", "blocks", "nonsense"}
        wait_until(lambda: names <= {line["strategy"] for line in daemon.logged("strategy fault")}, "their faults")
        wait_until(lambda: _quarantined(daemon.not_ready()) == names, "three quarantines")
        fills = daemon.total("tidegate_fills_total", strategy="mm")
        wait_until(lambda: daemon.total("tidegate_fills_total", strategy="mm") > fills, "fills of the good one")
        assert daemon.total("tidegate_strategy_faults_total", strategy="raises") == 5
        assert daemon.total("tidegate_strategy_faults_total", strategy="blocks") == 1
        assert daemon.total("tidegate_strategy_faults_total", strategy="nonsense") >= 5
        assert daemon.total("tidegate_refusals_total", strategy="nonsense", code="INVALID_INTENT") >= 2
        assert daemon.total("tidegate_strategy_faults_total", strategy="mm") == 0
        reasons = {line["strategy"]: line["reason"] for line in daemon.logged("strategy fault")}
        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    assert "LookupError: no such level" in reasons["raises"]
    assert f"{plugins / 'bad.py'}:9" in reasons["raises"]
    assert "blocked the daemon" in reasons["blocks"]


def test_strategy_when_it_has_twenty_five_lines_then_it_trades(
    tmp_path: Path, plugins: Path, configure: Configure, sandbox: Sandbox
) -> None:
    assert len(SIMPLE.strip().splitlines()) <= 25
    (plugins / "joiner.py").write_text(SIMPLE)
    row = ROW.format(name="joiner", use="joiner:Joiner")

    with running([*configure(row), "--set", paths(plugins)], tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: daemon.total("tidegate_fills_total", strategy="joiner") >= 2, "its fills")
        assert daemon.total("tidegate_strategy_faults_total", strategy="joiner") == 0
        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    assert daemon.logged("traded", strategy="joiner")
    assert sandbox.open_orders() == []


@pytest.mark.parametrize("verb", ["check-config", "run"])
def test_plugin_when_it_does_not_load_then_file_line_and_reason_are_named_and_nothing_starts(
    tmp_path: Path, plugins: Path, configure: Configure, sandbox: Sandbox, verb: str
) -> None:
    (plugins / "broken.py").write_text("import math\n\nlimit = math.sqroot(4)\n")
    row = ROW.format(name="broken", use="broken:Broken")

    done = run_verb(verb, *configure(row), "--set", paths(plugins))

    assert done.returncode == 2
    assert f"{plugins / 'broken.py'}:3: AttributeError: module 'math' has no attribute 'sqroot'" in done.stderr
    assert "strategies.broken.use" in done.stderr
    assert not (tmp_path / "state").exists()
    assert sandbox.truth()["requests"] == {}


@pytest.mark.parametrize(("file", "flags"), [("", []), ("", ["--live"]), ("live = true", [])])
def test_venue_when_it_is_not_on_this_machine_then_it_is_refused_unless_live_is_said_twice(
    tmp_path: Path, configure: Configure, file: str, flags: list[str]
) -> None:
    (tmp_path / "live.toml").write_text(file)
    url = "https://exchange.invalid/trade-api/v2"
    stream = "wss://exchange.invalid/trade-api/ws/v2"
    arguments = [*configure(rest_url=url, ws_url=stream), "-c", str(tmp_path / "live.toml"), *flags]

    done = run_verb("run", *arguments, "--set", "http.port=0")

    assert done.returncode == 2
    assert "real trading needs both `live = true` in the configuration and `--live` on the command line" in done.stderr


def _quarantined(reasons: list[str]) -> set[str]:
    return {reason.split()[1] for reason in reasons if reason.endswith("is quarantined")}


def test_daemon_when_its_port_is_taken_then_one_line_says_so_and_no_task_is_blamed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["--set", f"http.port={port}", "--state-dir", str(tmp_path / "state")]
        with running(words, tmp_path / "log") as daemon:
            assert daemon.wait(30) == 2
            errors = [line for line in daemon.lines if line.get("level") == "error" or "text" in line]
    (line,) = errors
    assert line["text"].startswith(f"tidegate: http.port: can't listen on 127.0.0.1:{port} (")
    assert list((tmp_path / "state").glob("sandbox-*/sandbox.log")) != []
