from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.journeys.conftest import TIER, Configure
from tests.support.daemon import READY_S, Sandbox, running, venue_toml, wait_until
from tests.support.records import journal_is_sound, positions, promised_at


def test_daemon_when_it_trades_and_is_stopped_then_it_fills_leaves_nothing_and_agrees_with_the_venue(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    with running(configure(), tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: daemon.total("tidegate_fills_total", strategy="mm") >= 10, "ten fills")
        assert daemon.total("tidegate_connector_up", venue="kalshi") == 1
        assert daemon.total("tidegate_orders_total", venue="kalshi", strategy="mm", outcome="accepted") > 0
        assert daemon.total("tidegate_order_latency_seconds_count", venue="kalshi", stage="venue") > 0
        assert daemon.total("tidegate_rate_limited_total") == 0
        assert not daemon.not_ready()

        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    assert not daemon.logged("alarm")
    truth = sandbox.truth()
    assert sandbox.open_orders() == []
    assert (truth["rate_limited"], truth["refused_signatures"], truth["problems"]) == (0, 0, [])
    assert len(truth["fills"]) >= 10
    assert positions(tmp_path / "state") == sandbox.positions()
    promised = promised_at(tmp_path / "state")
    for order in truth["orders"]:
        (approved_ns,) = promised[order["client_order_id"]]
        assert approved_ns < order["arrival_ns"]
    assert journal_is_sound(tmp_path / "state")


def test_daemon_when_it_dies_in_the_middle_then_the_next_one_owns_its_orders_and_doubles_none(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    arguments = configure(read_lag_ms=200)
    with running(arguments, tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: daemon.total("tidegate_fills_total") >= 5 and sandbox.open_orders(), "fills and open orders")
        daemon.kill()
    left = {order["client_order_id"] for order in sandbox.open_orders()}

    with running(arguments, tmp_path / "log") as daemon:
        daemon.wait_ready()
        assert daemon.logged("listening")[0]["epoch"] == 2
        wait_until(lambda: left.isdisjoint(_open_names(sandbox)), "end of the orders that were left")
        wait_until(lambda: daemon.total("tidegate_fills_total") >= 5, "fills of the second run")
        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    assert not daemon.logged("alarm")
    truth = sandbox.truth()
    names = [order["client_order_id"] for order in truth["orders"]]
    assert len(names) == len(set(names))
    assert sandbox.open_orders() == []
    assert set(names) <= set(promised_at(tmp_path / "state"))
    assert positions(tmp_path / "state") == sandbox.positions()
    assert _fill_ids(tmp_path / "state") == {fill["trade_id"] for fill in truth["fills"]}


def test_daemon_when_a_second_one_wants_the_same_state_then_it_is_refused(tmp_path: Path, configure: Configure) -> None:
    arguments = configure()
    with running(arguments, tmp_path / "log") as daemon:
        daemon.wait_ready()
        with running(arguments, tmp_path / "log2") as second:
            assert second.wait(READY_S) != 0
            assert "is in use by process" in second.tail
        assert not daemon.not_ready()


def test_daemon_when_its_state_is_another_account_s_then_it_is_refused_and_asks_nothing(
    tmp_path: Path, sandbox: Sandbox, configure: Configure
) -> None:
    with running(configure(), tmp_path / "log") as daemon:
        daemon.wait_ready()
        daemon.kill()
    open_names = _open_names(sandbox)
    other = Sandbox(tmp_path / "other", tier=TIER)
    file = tmp_path / "other.toml"
    file.write_text(venue_toml(other.ready, tier=TIER))
    arguments = ["-c", "sandbox", "-c", str(file), "--state-dir", str(tmp_path / "state")]

    try:
        with running(arguments, tmp_path / "log2") as second:
            code, tail = second.wait(READY_S), second.tail
        other_orders = other.truth()["orders"]
    finally:
        other.stop()

    assert code == 2, tail
    assert f'names "{other.ready["rest_url"].split("/")[2]}' in tail
    assert other_orders == []
    with running(configure(), tmp_path / "log3") as third:
        third.wait_ready()
    assert sandbox.open_orders() == []
    assert open_names <= set(promised_at(tmp_path / "state"))


def test_daemon_when_started_again_with_its_own_exchange_then_the_last_one_is_forgotten(tmp_path: Path) -> None:
    arguments = ["--state-dir", str(tmp_path / "state"), "--set", "venues.kalshi.sandbox.speed=20"]
    names: list[set[str]] = []
    for _ in range(2):
        with running(arguments, tmp_path / "log") as daemon:
            daemon.wait_ready()
            wait_until(lambda: daemon.total("tidegate_fills_total") >= 3, "fills")
            sandboxes = daemon.children()
            code, _ = daemon.terminate()
        assert code == 0, daemon.tail
        assert not daemon.logged("the venue and we differ")
        assert not any(Path(f"/proc/{pid}").exists() for pid in sandboxes)
        names.append(set(promised_at(tmp_path / "state")))

    assert names[0]
    assert names[0].isdisjoint(names[1])


def _open_names(sandbox: Sandbox) -> set[str]:
    return {order["client_order_id"] for order in sandbox.open_orders()}


def _fill_ids(state: Path) -> set[str]:
    connection = sqlite3.connect(state / "ledger.sqlite3")
    try:
        return {row[0] for row in connection.execute("SELECT fill_id FROM fills")}
    finally:
        connection.close()
