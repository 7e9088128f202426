"""Alerts of a whole daemon: a venue that is cut, an acknowledgement that outlives a SIGKILL, a webhook that is dead."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Configure
from tests.journeys.test_operator import done, rows, tidegate
from tests.support.daemon import Sandbox, running, wait_until

SECRET = "Xk3Jq9Zt7Lw2Vb8Nc5Md1Rf6"


class Hook:
    """A webhook's receiver on loopback."""

    def __init__(self, directory: Path) -> None:
        bodies: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.bodies = bodies
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.address = directory / "address"
        self.address.touch(mode=0o600)
        self.address.write_text(f"http://127.0.0.1:{self._server.server_port}/hooks/{SECRET}\n")

    def said(self, alert: str) -> list[str]:
        """What came of an alert: the statuses, in order."""
        return [body["status"] for body in self.bodies if body["alert"] == alert]

    def close(self) -> None:
        """Listen no more; a second call does nothing."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[Hook]:
    started = Hook(tmp_path)
    yield started
    started.close()


def alerts_toml(hook: Hook, repeat_s: int = 300) -> str:
    return (
        f'[alerts]\nrepeat_s = {repeat_s}\n[alerts.outputs.phone]\nuse = "webhook"\naddress_path = "{hook.address}"\n'
    )


def test_venue_when_it_is_cut_then_the_webhook_is_told_and_told_again_when_it_is_back(
    tmp_path: Path, sandbox: Sandbox, configure: Configure, hook: Hook
) -> None:
    state, log = tmp_path / "state", tmp_path / "log"
    with running(configure(alerts_toml(hook), read_lag_ms=200), log) as daemon:
        daemon.wait_ready()
        assert "phone took the message: HTTP 204" in done(state, "alerts", "test", "phone")
        assert rows(state, "alerts") == []

        sandbox.fault(kind="lost_request", duration_ms=600_000)
        sandbox.fault(kind="drop_connection", duration_ms=600_000, count=100_000)
        wait_until(lambda: hook.said("venue_down:kalshi"), "alert")
        (row,) = [row for row in rows(state, "alerts") if row["kind"] == "venue_down"]
        assert (row["name"], row["level"], row["target"]) == ("venue_down:kalshi", "page", "kalshi")
        assert "alerts: " in done(state, "status")
        assert daemon.total("tidegate_alerts_active", kind="venue_down") == 1

        sandbox.heal()
        wait_until(lambda: hook.said("venue_down:kalshi") == ["firing", "resolved"], "message that it is over")
        wait_until(lambda: not daemon.total("tidegate_alerts_active", kind="venue_down"), "end of the alert")
        code, _ = daemon.terminate()
    assert code == 0, daemon.tail
    assert SECRET not in log.read_text()


def test_acknowledgement_when_the_daemon_is_killed_then_it_holds_and_the_crash_is_an_alert(
    tmp_path: Path, sandbox: Sandbox, configure: Configure, hook: Hook
) -> None:
    state, log, name = tmp_path / "state", tmp_path / "log", "venue_unusable:kalshi"
    arguments = configure(alerts_toml(hook, repeat_s=1), key_id="nobody")
    with running(arguments, log) as daemon:
        wait_until(lambda: hook.said(name).count("firing") >= 2, "repetition")
        assert f"{name} is acknowledged" in done(state, "ack", name, "--reason", "the key is ordered")
        daemon.kill()
    said = len(hook.said(name))

    with running(arguments, log) as daemon:
        wait_until(lambda: hook.said("crashed"), "alert about the crash")
        wait_until(lambda: daemon.total("tidegate_alerts_active", kind="venue_unusable"), "alert")
        wait_until(lambda: len(hook.said("crashed")) >= 3, "repetitions")
        assert len(hook.said(name)) == said
        by_name = {row["name"]: row for row in rows(state, "alerts")}
        assert by_name[name]["reason"] == "the key is ordered"
        assert by_name[name]["acknowledged_by"]

        done(state, "ack", "--all")
        hook.close()
        refused = tidegate(state, "alerts", "test", "phone")
        assert refused.returncode == 1
        assert "phone did not take the message" in refused.stdout
        shown = refused.stdout + done(state, "alerts") + done(state, "status")
        code, _ = daemon.terminate()

    assert code == 0, daemon.tail
    assert SECRET not in log.read_text() + shown
    wait_until(lambda: "This held when it ended" in " ".join(done(state, "alerts").split()), "alerts of its end")
