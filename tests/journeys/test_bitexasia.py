"""The market maker on a venue that lists neither orders nor fills: it fills, stops, leaves nothing, knows the truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.source_tree import ROOT
from tests.support.daemon import Sandbox, running, wait_until
from tests.support.records import journal_is_sound, positions

CONFIG = str(ROOT / "config" / "bitexasia.toml")


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Sandbox]:
    """A local BitExAsia that outlives the daemon."""
    started = Sandbox(tmp_path / "exchange", module="connectors.bitexasia.sandbox", speed=4)
    yield started
    started.stop()


def arguments(folder: Path, ready: dict[str, Any], **settings: Any) -> list[str]:
    """The command line of a daemon with the shipped configuration, on a sandbox that runs by itself."""
    chosen = {name: ready[name] for name in ("rest_url", "ws_url")}
    chosen |= {"key_id": ready["api_key"], "secret_path": ready["api_secret_path"], **settings}
    rows = "\n".join(f"{name} = {json.dumps(value)}" for name, value in chosen.items())
    file = folder / "here.toml"
    file.write_text(f"[venues.bitexasia]\nembedded_sandbox = false\n[venues.bitexasia.settings]\n{rows}\n")
    return ["-c", "sandbox", "-c", CONFIG, "-c", str(file), "--state-dir", str(folder / "state")]


def net(truth: dict[str, Any]) -> dict[str, Decimal]:
    """What the venue says of each pair: what was bought less what was sold, where that is not nothing."""
    found = {row["instrument"]: Decimal(row["size"]) for row in truth["positions"]}
    return {name: size for name, size in found.items() if size}


def test_daemon_when_it_trades_and_is_stopped_then_it_leaves_nothing_and_agrees_with_the_venue(
    tmp_path: Path, exchange: Sandbox
) -> None:
    with running(arguments(tmp_path, exchange.ready), tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: daemon.total("tidegate_fills_total", strategy="mm") >= 4, "four fills")
        assert daemon.total("tidegate_rate_limited_total") == 0
        code, _seconds = daemon.terminate()

    assert code == 0, daemon.tail
    assert not daemon.logged("alarm")
    truth = exchange.truth()
    assert [row for row in truth["orders"] if row["status"] != "ended"] == []
    names = [row["client_order_id"] for row in truth["orders"]]
    assert len(names) == len(set(names))
    assert positions(tmp_path / "state", "bitexasia") == net(truth)
    assert truth["observed"]["rate_limited"] == 0
    assert journal_is_sound(tmp_path / "state")


def test_daemon_when_it_dies_in_the_middle_then_the_next_one_knows_what_was_filled_and_doubles_nothing(
    tmp_path: Path, exchange: Sandbox
) -> None:
    command = arguments(tmp_path, exchange.ready, read_lag_ms=200)
    with running(command, tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: daemon.total("tidegate_fills_total") >= 2, "two fills")
        daemon.kill()
    with running(command, tmp_path / "log") as daemon:
        daemon.wait_ready()
        wait_until(lambda: daemon.total("tidegate_fills_total") >= 2, "fills of the second run")
        code, _seconds = daemon.terminate()

    assert code == 0, daemon.tail
    truth = exchange.truth()
    assert [row for row in truth["orders"] if row["status"] != "ended"] == []
    names = [row["client_order_id"] for row in truth["orders"]]
    assert len(names) == len(set(names))
    assert positions(tmp_path / "state", "bitexasia") == net(truth)


def test_daemon_when_the_key_is_refused_then_it_says_why_in_words_of_the_refusal(
    tmp_path: Path, exchange: Sandbox
) -> None:
    ready = exchange.ready
    elsewhere = {"key_id": ready["elsewhere_api_key"], "secret_path": ready["elsewhere_api_secret_path"]}
    with running(arguments(tmp_path, ready, **elsewhere), tmp_path / "log") as daemon:
        wait_until(lambda: "ip_not_allowed" in daemon.tail, "a line about the address")
        assert "check key_id, secret_path, and the addresses that the key allows" in daemon.tail
        daemon.terminate()
    assert exchange.truth()["orders"] == []
