"""A market maker on a local ZDEX, as a user runs it: it trades, is paid funding, stops, and agrees with the venue."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.source_tree import ROOT
from tests.support.daemon import READY_S, running, wait_until

FILLS = 2
WINDOW_S = 10
"""A window in which the venue takes as much as else in a minute: less is waited for."""
ORDER_SIZE = Decimal("0.02")
CONFIG = """
[kernel]
shutdown_ms_max = 15000
[venues.kalshi]
enabled = false
[venues.zdex]
use = "connectors.zdex.plugin"
embedded_sandbox = false
[venues.zdex.settings]
dialect = "{dialect}"
rest_url = "{rest_url}"
ws_url = "{ws_url}"
key_id = "{api_key}"
secret_path = "{api_secret_path}"
markets = ["BTCUSDT"]
leverage = 20
read_lag_ms = 500
balance_interval_ms = 2000
window_s = {window_s}
[checks.allow_list.settings]
instruments = ["zdex:*"]
[checks.max_order_notional.settings]
max_notional = "5000"
[strategies.mm]
instruments = ["zdex:*"]
[strategies.mm.settings]
size = "0.02"
position_max = "0.2"
short_max = "0.2"
"""


def command(*words: str) -> list[str]:
    """The command line of `tidegate`."""
    return [sys.executable, "-m", "framework", *words]


def said(*words: str) -> list[dict[str, Any]]:
    """The JSON lines of a listing."""
    done = subprocess.run(command(*words, "--json"), cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(params=["v1", "v2"])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The ready line of a running sandbox."""
    words = ["sandbox", "zdex", "--dialect", request.param, "--markets", "1", "--dir", str(tmp_path / "sandbox")]
    words += ["--window-s", str(WINDOW_S)]
    with subprocess.Popen(command(*words), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(READY_S) == 0


def admin(ready: dict[str, Any], path: str, body: Any = None) -> Any:
    """Ask the administrator's address of the sandbox."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"{ready['admin_url']}/{path}", data, timeout=10) as answer:
        return json.loads(answer.read())


def is_funded(ready: dict[str, Any]) -> bool:
    """Whether the venue has paid funding; has it pay once the market maker holds something."""
    truth = admin(ready, "truth")
    if any(row["kind"] == "funding" for row in truth["cash_flows"]):
        return True
    if any(Decimal(row["size"]) for row in truth["positions"]):
        admin(ready, "faults", {"kind": "funding_now", "rate_ppm": 700})
    return False


def test_market_maker_when_it_trades_and_stops_then_nothing_is_left_and_the_venue_agrees(
    sandbox: dict[str, Any], tmp_path: Path
) -> None:
    config, state = tmp_path / "zdex.toml", str(tmp_path / "state")
    config.write_text(CONFIG.format(**sandbox, window_s=WINDOW_S))
    with running(["-c", "sandbox", "-c", str(config), "--state-dir", state], tmp_path / "log") as daemon:
        wait_until(lambda: is_funded(sandbox), "funding")
        wait_until(lambda: daemon.logged("cash flow") and len(daemon.logged("fill")) >= FILLS, "its booking, and fills")
        assert daemon.terminate()[0] == 0, daemon.tail
        log = daemon.tail
    truth = admin(sandbox, "truth")
    assert truth["orders"], log
    assert {row["status"] for row in truth["orders"]} == {"ended"}
    assert (truth["problems"], truth["observed"]["rate_limited"]) == ([], 0)
    real = {row["instrument"]: Decimal(row["size"]) for row in truth["positions"]}
    paid = sum((Decimal(row["amount"]) for row in truth["cash_flows"] if row["kind"] == "funding"), Decimal(0))
    rows = said("positions", "--state-dir", state)
    assert sum(Decimal(row["size"]) for row in rows) == real.get("BTCUSDT", 0), log
    assert sum(Decimal(row["funding"] or 0) for row in rows) == paid, log
    fills = [row for row in said("fills", "--state-dir", state, "--limit", "1000") if not row["is_voided"]]
    unseen = {side: size_of(truth["orders"], side, "filled") - size_of(fills, side, "size") for side in ("buy", "sell")}
    # Two orders that trade alike on both sides between two looks at the position, and are cancelled, leave no trace.
    assert unseen["buy"] == unseen["sell"], log
    assert 0 <= unseen["buy"] <= ORDER_SIZE, log


def size_of(rows: list[dict[str, Any]], side: str, name: str) -> Decimal:
    """The sum of a member over the rows of one side."""
    return sum((Decimal(row[name]) for row in rows if row["side"] == side), Decimal(0))
