from __future__ import annotations

import io
import json
import subprocess
import urllib.request
from contextlib import redirect_stderr, redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any

from framework.cli.main import main
from framework.domain.account_events import CancelRequested, ExternalOrderIgnored
from framework.persistence.journal.scan import read_entries
from framework.runtime.files import RealFiles
from tests.connectors.kalshi.sandbox.signed_client import PREFIX, signed_headers
from tests.journeys.conftest import Configure
from tests.support.daemon import Sandbox, comes_true, running, wait_until


def tidegate(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One command of the operator, in this process: to start one takes longer than most of what they do."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*words, "--state-dir", str(state)])
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def done(state: Path, *words: str) -> str:
    """What a command that must succeed printed."""
    answer = tidegate(state, *words)
    assert answer.returncode == 0, (words, answer.stdout, answer.stderr)
    return answer.stdout


def rows(state: Path, *words: str) -> list[dict[str, Any]]:
    """What a listing printed as JSON lines."""
    return [json.loads(line) for line in done(state, *words, "--json").splitlines()]


def place_by_hand(sandbox: Sandbox, price: str, *, name: str = "") -> str:
    """An order that a person places at the venue, beside the daemon, by the client order id `name`; its id there."""
    ready = sandbox.ready
    ticker = next(iter(sandbox.truth()["decimals"]))
    body = {
        "ticker": ticker,
        "client_order_id": name or f"by-hand-{price}",
        "side": "bid",
        "count": "1.00",
        "price": price,
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }
    path = "/portfolio/events/orders"
    headers = signed_headers(ready["ed25519_private_key_path"], ready["ed25519_key_id"], "POST", PREFIX + path)
    request = urllib.request.Request(
        ready["rest_url"] + path, json.dumps(body).encode(), {**headers, "Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        return str(json.load(answer)["order_id"])


def status(sandbox: Sandbox, venue_order_id: str) -> str:
    """What became of an order, by the venue."""
    found = [one for one in sandbox.truth()["orders"] if one["order_id"] == venue_order_id]
    return str(found[0]["status"])


def test_orphans_when_placed_by_hand_then_one_is_adopted_one_cancelled_and_one_ignored(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    state = tmp_path / "state"
    with running(configure(read_lag_ms=200), tmp_path / "log") as daemon:
        daemon.wait_ready()
        adopted, cancelled, ignored = (place_by_hand(sandbox, price) for price in ("0.0100", "0.0200", "0.0300"))
        wait_until(lambda: len(rows(state, "orphans")) == 3, "three orphans")
        assert ignored in done(state, "orphans")
        report = tidegate(state, "reconcile", "--dry-run", "--json")
        found = json.loads(report.stdout)["data"]
        assert report.returncode == 1
        assert {one["subject"] for one in found if one["kind"] == "orphan"} == {adopted, cancelled, ignored}

        assert "is now by-hand-0.0100 of mm" in done(state, "orphans", "adopt", adopted, "--to", "mm")
        assert "cancel asked" in done(state, "orphans", "cancel", cancelled)
        assert "not shown again" in done(state, "orphans", "ignore", ignored[:13], "--reason", "mine")

        wait_until(lambda: status(sandbox, cancelled) not in ("resting", "pending"), "end of the cancelled orphan")
        wait_until(lambda: rows(state, "orphans") == [], "no orphans to decide about")
        assert [row["venue_order_id"] for row in rows(state, "orphans", "--ignored")] == [ignored]
        assert status(sandbox, ignored) == "resting"
        owners = {row["client_order_id"]: row["strategy"] for row in rows(state, "orders", "--limit", "1000000")}
        assert (owners["by-hand-0.0100"], owners["by-hand-0.0200"]) == ("mm", "operator")

        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    assert status(sandbox, ignored) == "resting"
    assert status(sandbox, adopted) not in ("resting", "pending")
    kinds = [type(entry.record.body) for entry in read_entries(RealFiles(), state / "journal")]
    assert (kinds.count(CancelRequested), kinds.count(ExternalOrderIgnored)) == (1, 1)
    assert [row["venue_order_id"] for row in rows(state, "orphans", "--ignored")] == [ignored]


def test_dry_run_when_the_daemon_was_killed_and_its_orders_traded_on_then_booking_the_fills_is_all_there_is_to_do(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    state = tmp_path / "state"
    arguments = configure(read_lag_ms=200)

    def differs() -> bool:
        booked = {row["instrument"]: Decimal(row["size"]) for row in booked_rows if Decimal(row["size"])}
        return {f"kalshi:{market}": net for market, net in sandbox.positions().items()} != booked

    for number in range(10):
        with running(arguments, tmp_path / f"log{number}") as daemon:
            daemon.wait_ready()
            wait_until(lambda: len(sandbox.open_orders()) >= 3, "orders that rest on both sides of the market")
            daemon.kill()
        booked_rows = rows(state, "positions")
        comes_true(differs, timeout_s=10)
        sandbox.fault(kind="pause", scope="trading", duration_ms=120_000)
        if differs():
            break
        # The market has gone away from these orders, or came back to them: the next daemon places others.
        sandbox.heal()
    assert differs()

    report = tidegate(state, "reconcile", "--dry-run", "--json", *arguments[:4])
    kinds = {one["kind"] for one in json.loads(report.stdout)["data"]}

    assert "fills" in kinds
    assert "position" not in kinds, report.stdout
    assert report.returncode == 1


def test_halt_when_the_daemon_restarts_then_it_still_holds_until_somebody_resumes(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    state = tmp_path / "state"
    arguments = configure(read_lag_ms=200)
    with running(arguments, tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: daemon.total("tidegate_fills_total") >= 1, "a fill")
        told = done(state, "halt", "--cancel", "--reason", "drill")
        assert "everything is halted" in told
        assert "cancel asked" in told
        assert daemon.not_ready() == ["everything is halted: drill"]
        assert daemon.total("tidegate_trading_state", scope="global") == 2
        assert "HALTED everything: drill, by operator" in done(state, "status")
        wait_until(lambda: not sandbox.open_orders(), "end of all orders")
        wait_until(lambda: daemon.total("tidegate_refusals_total", code="TRADING_HALTED"), "refused orders")
        daemon.kill()
    assert "ended without a stop" in " ".join(done(state, "status").split())
    sent = len(sandbox.truth()["orders"])

    with running(arguments, tmp_path / "log") as daemon:
        wait_until(lambda: daemon.not_ready() == ["everything is halted: drill"], "readiness but for the halt")
        wait_until(lambda: daemon.total("tidegate_refusals_total", code="TRADING_HALTED"), "refused orders")
        assert len(sandbox.truth()["orders"]) == sent
        refused = tidegate(state, "resume")
        assert refused.returncode == 2
        assert "say why" in refused.stderr
        assert "everything is active" in done(state, "resume", "--reason", "drill is over")
        wait_until(lambda: len(sandbox.truth()["orders"]) > sent, "new orders")
        assert daemon.not_ready() == []
        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    assert {row["code"] for row in rows(state, "refusals")} >= {"TRADING_HALTED"}
    agreed = tidegate(state, "reconcile", "--dry-run", *arguments[:4])
    assert agreed.returncode == 0, agreed.stdout + agreed.stderr
    assert "the venues and the journal agree" in agreed.stdout
    place_by_hand(sandbox, "0.0100")
    differs = tidegate(state, "reconcile", "--dry-run", *arguments[:4])
    assert differs.returncode == 1
    assert "placed by hand" in differs.stdout
    asked = tidegate(state, "reconcile")
    assert asked.returncode == 1
    assert "no daemon answers" in asked.stderr


def test_order_when_another_state_directory_of_ours_placed_it_then_not_ready_until_it_is_adopted_and_cancelled(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    watching = [*configure(), "--set", "strategies.mm.enabled=false"]
    with running(watching, tmp_path / "log") as daemon:
        daemon.wait_ready()
        former = place_by_hand(sandbox, "0.0100", name="tg0a1b2c-3-7")
        reason = "that a Tidegate daemon placed and this journal does not know: 1"
        wait_until(lambda: any(reason in one for one in daemon.not_ready()), "the reason")
        daemon.terminate()
        assert daemon.logged("trading stopped")[0]["external_orders"] == 1
    assert status(sandbox, former) == "resting"

    with running([*watching, "--set", "venues.kalshi.adopt_own=true"], tmp_path / "log2") as daemon:
        daemon.wait_ready()
        code, _ = daemon.terminate()
    assert (code, sandbox.open_orders()) == (0, []), daemon.tail
