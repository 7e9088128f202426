"""A key's life beside a running daemon: one that may only read brings data, one that is revoked stands the venue down,
and its successor trades on with the same records. What a key may do is asked where the venue says it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from framework.runtime.state_directory import ACCOUNTS
from tests.journeys.conftest import Configure
from tests.support.daemon import ROOT, Sandbox, running, wait_until

SILENT = ("kalqix", "bitexasia", "zdex")
"""The venues whose API does not say what a key may do; Kalshi's does."""
ALL = ["-c", "config/four-venues.toml"]
UNKNOWN = "the venue does not say what the key may do: make sure that it may trade, can't withdraw, and is taken from"
READS = "the key may not trade, its scopes are read: orders would be refused"


def tidegate(*words: str, code: int = 0) -> str:
    """What a command prints that ends with this code."""
    command = [sys.executable, "-m", "framework", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def orders_sent(sandbox: Sandbox) -> int:
    requests = sandbox.truth()["requests"]
    return int(sum(count for route, count in requests.items() if not route.startswith("GET")))


def test_daemon_when_its_key_may_only_read_then_it_has_data_and_no_order_leaves(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    ready = sandbox.ready
    reader = {"key_id": ready["read_only_key_id"], "private_key_path": ready["ed25519_private_key_path"]}
    arguments = configure(**reader)
    with running(arguments, tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: daemon.total("tidegate_refusals_total", code="NOT_OFFERED") > 0, "a refusal")
        assert daemon.total("tidegate_events_total", kind="BookDelta") > 0
        assert daemon.logged("key", may=["read"])
        note = "the key may not trade, its scopes are read: orders would be refused"
        assert daemon.logged("key", note=note)
        move = ["withdraw", "--venue", "kalshi", "--asset", "USD", "--amount", "5", "--yes", "5"]
        said = tidegate(*move, *arguments, code=1)
        assert said == "tidegate: venues.kalshi: funds can't be moved by its API; use its website\n"
        assert daemon.terminate()[0] == 0
    assert orders_sent(sandbox) == 0
    assert "the key of this account may not trade: data only" in tidegate("refusals", *arguments)


def test_key_when_it_is_replaced_and_revoked_then_the_daemon_trades_on_with_the_next_one(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    arguments, secret = configure(balance_interval_ms=2_000), tmp_path / "next.pem"
    account = [*arguments[:-2], "--venue", "kalshi"]
    with running(arguments, tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(sandbox.open_orders, "open orders")
        new = ["--label", "next", "--scope", "read", "--scope", "write", "--out", str(secret), "--json"]
        made = json.loads(tidegate("keys", "generate", *new, *account))
        assert daemon.terminate()[0] == 0

    old = sandbox.ready["key_id"]
    arguments = configure(key_id=made["id"], private_key_path=str(secret), balance_interval_ms=2_000)
    names = tmp_path / "state" / "journal" / ACCOUNTS
    names.write_text(names.read_text().replace(old, made["id"]))
    with running(arguments, tmp_path / "log-2") as daemon:
        daemon.wait_ready()
        wait_until(sandbox.open_orders, "open orders")
        tidegate("keys", "revoke", old, "--yes", "sandbox rsa", *account)
        # A daemon that quotes for all that its tier allows leaves no room for another program's requests.
        tidegate("halt", "--cancel", *arguments)
        tidegate("keys", "revoke", "next", "--yes", "next", *account)
        alarm = wait_until(lambda: daemon.logged("alarm"), "an alarm")[0]["what"]
        assert "venue kalshi trades no more: it refuses the account: " in alarm
        daemon.kill()
    logs = "".join(path.read_text() for path in tmp_path.glob("log*"))
    assert all(line not in logs for line in secret.read_text().splitlines()[1:-1])


def declared(right: str) -> list[str]:
    """The settings by which each of those venues' keys may do this and no more."""
    return [word for venue in SILENT for word in ("--set", f'venues.{venue}.settings.key_rights=["{right}"]')]


def check_config(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "framework", "check-config", *ALL, "--connect", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_rights_when_the_venues_are_asked_then_one_says_them_and_of_the_others_they_are_unknown() -> None:
    done = check_config()
    assert done.returncode == 0, done.stderr
    unknown = {line.partition(":")[0] for line in done.stdout.splitlines() if UNKNOWN in line}
    assert unknown == set(SILENT)
    assert "kalshi: the key" not in done.stdout


def test_rights_when_a_key_is_declared_to_withdraw_then_each_venue_refuses_it() -> None:
    done = check_config(*declared("withdraw"))
    assert done.returncode == 2
    for venue in SILENT:
        assert f"venues.{venue}: its key may withdraw, its scopes are withdraw; use a key that can't" in done.stderr


def test_daemon_when_its_keys_may_only_read_then_there_is_data_and_no_order_leaves(tmp_path: Path) -> None:
    more = ["--set", "http.port=0", "--state-dir", str(tmp_path / "state"), *declared("read")]
    with running([*ALL, *more], tmp_path / "log") as daemon:
        for venue in SILENT:
            wait_until(lambda v=venue: daemon.logged("key", venue=v, may=["read"]), f"the rights at {venue}")
            wait_until(lambda v=venue: daemon.logged("key", venue=v, note=READS), f"a warning about {venue}")
        wait_until(lambda: daemon.logged("key", venue="kalshi", may=["read", "trade"]), "the rights at kalshi")
        for strategy in ("spot", "perpetual"):
            wait_until(
                lambda s=strategy: daemon.total("tidegate_refusals_total", code="NOT_OFFERED", strategy=s) > 0,
                f"refused orders of {strategy}",
            )
        for strategy in ("spot", "perpetual"):
            assert daemon.total("tidegate_orders_total", strategy=strategy) == 0
        assert daemon.terminate()[0] == 0
    shown = tidegate("orders", "--json", "--state-dir", str(tmp_path / "state"))
    assert not any(f'"{venue}:' in shown for venue in SILENT)
