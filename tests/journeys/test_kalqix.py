"""A daemon on KalqiX's local exchange, in both dialects: it quotes, fills, stops, leaves nothing, and agrees."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.kalqix.plugin import sandbox_settings
from tests.support.daemon import ROOT, get, running, wait_until
from tests.support.records import journal_is_sound, positions, promised_at

FILLS = 8


@pytest.fixture(params=["a", "b"])
def ready(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The ready line of an exchange that outlives the daemon, in each dialect."""
    options = ["--dir", tmp_path / "sandbox", "--dialect", request.param, "--speed", 20, "--seed", 7]
    process = subprocess.Popen(
        [sys.executable, "-m", "connectors.kalqix.sandbox", *map(str, options)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout:
        yield json.loads(process.stdout.readline())
        process.terminate()
        process.wait(10)


def truth(ready: dict[str, Any]) -> dict[str, Any]:
    """What really happened."""
    status, body = get(f"{ready['admin_url']}/truth")
    assert status == 200, body
    return dict(json.loads(body))


def configured(tmp_path: Path, ready: dict[str, Any]) -> list[str]:
    """The command line of a daemon on that exchange, with the configuration that is shipped."""
    rows = "\n".join(f"{name} = {json.dumps(value)}" for name, value in sandbox_settings(ready).items())
    file = tmp_path / "over.toml"
    file.write_text(
        f"[http]\nport = 0\n[venues.kalqix]\nembedded_sandbox = false\n[venues.kalqix.settings]\n{rows}\n"
        "book_interval_ms = 100\norders_interval_ms = 100\nread_lag_ms = 300\n"
        "[strategies.mm.settings]\nhalf_spread_ticks = 100\ninterval_ms_min = 200\n"
    )
    return ["-c", "config/kalqix.toml", "-c", str(file), "--state-dir", str(tmp_path / "state")]


def test_daemon_when_it_trades_and_is_stopped_then_it_fills_leaves_nothing_and_agrees_with_the_venue(
    tmp_path: Path, ready: dict[str, Any]
) -> None:
    with running(configured(tmp_path, ready), tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: daemon.total("tidegate_fills_total", strategy="mm") >= FILLS, "fills")
        assert daemon.total("tidegate_connector_up", venue="kalqix") == 1
        assert daemon.total("tidegate_rate_limited_total") == 0
        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    assert not daemon.logged("alarm")
    found = truth(ready)
    assert (found["rate_limited"], found["refused_signatures"], found["problems"]) == (0, 0, [])
    assert [order for order in found["orders"] if order["status"] != "ended"] == []
    assert len(found["fills"]) >= FILLS
    really = {row["instrument"]: Decimal(row["size"]) for row in found["positions"]}
    assert positions(tmp_path / "state", "kalqix") == {name: size for name, size in really.items() if size}
    # No order left that the journal had not promised.
    assert len(found["orders"]) <= len(promised_at(tmp_path / "state"))
    assert journal_is_sound(tmp_path / "state")


def test_daemon_when_it_dies_in_the_middle_then_the_next_one_owns_its_orders_and_doubles_none(
    tmp_path: Path, ready: dict[str, Any]
) -> None:
    arguments = configured(tmp_path, ready)
    with running(arguments, tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: daemon.total("tidegate_fills_total", strategy="mm") >= 3, "fills")
        wait_until(lambda: _open(ready), "an open order")
        daemon.kill()
    left = {order["order_id"] for order in _open(ready)}

    with running(arguments, tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: left.isdisjoint(order["order_id"] for order in _open(ready)), "end of what was left")
        wait_until(lambda: daemon.total("tidegate_fills_total", strategy="mm") >= 3, "fills of the second run")
        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    assert not daemon.logged("alarm")
    found = truth(ready)
    assert (found["rate_limited"], found["refused_signatures"], found["problems"]) == (0, 0, [])
    assert _open(ready) == []
    assert len(found["orders"]) <= len(promised_at(tmp_path / "state"))
    really = {row["instrument"]: Decimal(row["size"]) for row in found["positions"]}
    assert positions(tmp_path / "state", "kalqix") == {name: size for name, size in really.items() if size}
    with sqlite3.connect(tmp_path / "state" / "ledger.sqlite3") as ledger:
        booked = {str(row[0]) for row in ledger.execute("SELECT fill_id FROM fills")}
    ledger.close()
    assert booked == {row["fill_id"] for row in found["fills"]}


def _open(ready: dict[str, Any]) -> list[dict[str, Any]]:
    """Our orders that may still trade."""
    return [order for order in truth(ready)["orders"] if order["status"] != "ended"]
