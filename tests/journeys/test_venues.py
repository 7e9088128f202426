"""Several venues and markets that come and go: what one of them does is not the others' trouble."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from framework.assembly import assemble, core_settings
from framework.config.layers import DEFAULT_FILE, load
from framework.config.resolve import resolve
from framework.engine.replay import DecisionRecorder, Replayed, SteppedClock, read_session, replay_session
from framework.engine.universe import InstrumentPattern
from framework.runtime.files import RealFiles
from framework.state.books import Books
from tests.journeys.conftest import TIER
from tests.proofs.four_venues.judge import broken
from tests.proofs.four_venues.run import Run, Spec
from tests.support.daemon import Daemon, Sandbox, get, running, venue_toml, wait_until
from tests.support.world import HandTimers, RecordingWatcher

QUICK = {
    "kalshi": {"balance_interval_ms": 2_000, "silence_ms_max": 1_500, "read_lag_ms": 200},
    "kalqix": {"balance_interval_ms": 2_000, "read_lag_ms": 200},
    "bitexasia": {"balance_interval_ms": 2_000, "silence_ms_max": 1_500, "read_lag_ms": 200},
    "zdex": {"balance_interval_ms": 2_000, "silence_ms_max": 1_500, "read_lag_ms": 200},
}
"""Waits short enough for a test."""
UNHURRIED = {"strategy_call_ms_max": 5_000, "shutdown_ms_max": 3_500}
"""A loaded machine is no fault of a strategy; a stop waits for a dead venue, and not for long."""


def table_of(name: str, ready: dict[str, Any]) -> str:
    """The configuration of a sandbox under another venue's name."""
    return (
        venue_toml(ready, tier=TIER)
        .replace("venues.kalshi", f"venues.{name}")
        .replace("embedded_sandbox", 'use = "connectors.kalshi.plugin"\nembedded_sandbox', 1)
    )


def readiness(daemon: Daemon) -> dict[str, Any]:
    """What /readyz says."""
    return dict(json.loads(get(f"{daemon.url}/readyz")[1]))


def test_daemon_when_one_venue_is_dead_then_the_other_trades_and_it_says_who_waits_for_what(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    other = Sandbox(tmp_path / "other", tier=TIER)
    other.stop()
    port = other.ready["rest_url"].split(":")[2].partition("/")[0]
    strategy = '[strategies.far]\nuse = "strategies.noop:Noop"\ninstruments = ["other:*"]\n'
    file = tmp_path / "tidegate.toml"
    file.write_text(venue_toml(sandbox.ready, tier=TIER) + table_of("other", other.ready) + strategy)
    arguments = ["-c", "sandbox", "-c", str(file), "--state-dir", str(tmp_path / "state")]

    with running(arguments, tmp_path / "log") as daemon:
        wait_until(lambda: daemon.logged("strategy starts", strategy="mm"), "strategy at the venue that is there")
        wait_until(sandbox.open_orders, "quote at the venue that is there")
        wait_until(lambda: ": GET " in readiness(daemon)["reasons"][0], "reason why a venue is not connected")
        said = readiness(daemon)
        down, waits = said.pop("reasons")
        assert down.startswith("venue other is not connected: GET /trade-api/v2/exchange/status: ")
        assert waits == "strategy far has not begun: waits for venue other"
        assert said == {"ready": False, "halted": [], "reducing": [], "waiting": []}

        back = Sandbox(tmp_path / "other", port=int(port), tier=TIER)
        try:
            wait_until(lambda: daemon.logged("strategy starts", strategy="far"), "the other strategy", timeout_s=30)
            daemon.wait_ready()
            assert daemon.terminate()[0] == 0
        finally:
            back.stop()
    assert sandbox.open_orders() == []


def test_strategy_over_two_venues_when_one_is_dead_then_a_market_maker_quotes_at_the_other_and_others_wait(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    other = Sandbox(tmp_path / "other", tier=TIER)
    other.stop()
    port = other.ready["rest_url"].split(":")[2].partition("/")[0]
    file, state = tmp_path / "tidegate.toml", tmp_path / "state"
    both = 'instruments = ["kalshi:*", "other:*"]\n'
    strategies = (
        f"[strategies.mm]\ninstruments_max = 4\n{both}"
        f'[strategies.pair]\nuse = "strategies.noop:Noop"\n{both}'
        '[checks.allow_list.settings]\ninstruments = ["*"]\n'
    )
    file.write_text(venue_toml(sandbox.ready, tier=TIER) + table_of("other", other.ready) + strategies)
    arguments = ["-c", "sandbox", "-c", str(file), "--state-dir", str(state)]

    with running(arguments, tmp_path / "log") as daemon:
        wait_until(sandbox.open_orders, "quote at the venue that is there")
        assert daemon.logged("strategy starts", strategy="mm")[0]["without"] == ["other"]
        assert "strategy pair has not begun: waits for venue other" in daemon.not_ready()

        back = Sandbox(tmp_path / "other", port=int(port), tier=TIER)
        try:
            wait_until(back.open_orders, "quote at the venue that came later", timeout_s=30)
            assert daemon.logged("strategy starts", strategy="pair")
            assert {line["instrument"][:6] for line in daemon.logged("instrument joins", strategy="mm")} == {"other:"}
            assert daemon.terminate()[0] == 0
        finally:
            back.stop()
    assert sandbox.open_orders() == []
    assert decided_again(arguments[:4], state).is_same

    with running(arguments, tmp_path / "log2") as daemon:  # what it knows of the dead venue it has from the start
        wait_until(sandbox.open_orders, "quote after a restart")
        assert daemon.logged("strategy starts", strategy="mm")[0]["without"] == ["other"]
        assert daemon.terminate()[0] == 0
    assert decided_again(arguments[:4], state).is_same


def decided_again(options: list[str], state: Path) -> Replayed:
    """A replay of the last run in a state directory."""
    resolved = resolve(load([DEFAULT_FILE, Path(options[3])], environ={}))
    rows = {row.name: row for row in resolved.strategies}
    session, clock, recorder = read_session(RealFiles(), state), SteppedClock(), DecisionRecorder()
    core = assemble(
        core_settings(resolved),
        clock=clock,
        accounts=session.accounts,
        books=Books(),
        next_client_order_id=session.client_order_ids().next,
        recorder=recorder,
        watcher=RecordingWatcher(),
        timers=HandTimers(),
        on_journal_failure=lambda _: None,
        log=lambda *_, **__: None,
        decides=False,
    )

    def start(name: str) -> None:
        row = rows[name]
        pattern = InstrumentPattern(row.row.instruments, row.row.instruments_max)
        chosen = pattern.choose(
            one for one in core.accounts.instruments.values() if one.id not in core.accounts.settlements
        )
        core.add_strategy(name, row.make, row.settings, chosen, pattern)

    return replay_session(session, core.kernel, clock, recorder, start=start)


def test_strategy_when_markets_roll_over_then_it_quotes_each_and_leaves_what_has_settled(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "sandbox", roll_every=7, tier=TIER)
    file = tmp_path / "tidegate.toml"
    strategies = (
        '[strategies.mm]\ninstruments = ["kalshi:KXROLL-*"]\ninstruments_max = 3\n'
        "[strategies.mm.settings]\nstop_before_close_ms = 100\n"
        '[strategies.night]\nuse = "strategies.noop:Noop"\ninstruments = ["kalshi:KXNIGHT-*"]\n'
    )
    file.write_text(venue_toml(sandbox.ready, markets=["series:KXROLL"], tier=TIER) + strategies)
    try:
        with running(
            ["-c", "sandbox", "-c", str(file), "--state-dir", str(tmp_path / "state")], tmp_path / "log"
        ) as daemon:
            daemon.wait_ready()
            night = "strategy night waits for an active instrument that matches kalshi:KXNIGHT-*"
            assert night in readiness(daemon)["waiting"]
            wait_until(lambda: len(quoted(sandbox)) >= 2, "quote in two markets", timeout_s=25)
            wait_until(lambda: daemon.logged("instrument leaves", strategy="mm"), "end of the first")
            assert not daemon.logged("strategy fault")
            assert daemon.terminate()[0] == 0
    finally:
        sandbox.stop()


def test_daemon_of_four_venues_when_one_is_dead_and_another_dies_then_it_trades_on_at_the_others(
    tmp_path: Path,
) -> None:
    spec = Spec(directory=tmp_path, story="deaths", seconds=3, kernel=UNHURRIED, settings=QUICK, look_s=0.3)

    figures = Run(spec).figures()

    assert broken(figures) == [], figures
    assert figures["deaths"]["died"]["after"]["kalqix"]
    assert figures["deaths"]["revived"]["after"]["zdex"]


INCIDENT = {"venue": "zdex", "kind": "mute", "is_struck": True, "trouble": "", "others_down": []}
KEPT: dict[str, Any] = {
    "apart_when_halted": {},
    "apart_after_stop": {},
    "apart_at_the_dead": {},
    "open_at_the_dead": {"zdex": ["a"]},
    "rate_limited": {"kalqix": 2},
    "struck": {"kalqix": {"rate_limit_storm": 2, "replay_refusal": 1}},
    "unauthorized": {"kalqix": {"403 filled already": 3, "403 DUPLICATE": 1}},
    "exit_code": 3,
    "reconcile": {"code": 1},
    "memory_mib": {"warm": 80.0, "end": 82.0, "rows": 100},
    "traded_after_resume": True,
    "errors": ["order may be left at zdex"],
    "incidents": [INCIDENT | {"others_orders": {"kalqix": 3}}],
    "deaths": {"died": {"venue": "zdex", "after": {"kalqix": 5, "zdex": 0, "kalshi": 0}}},
}
"""Figures of a run that keeps every promise, with an order left at a venue that died."""


@pytest.mark.parametrize(
    "change",
    [
        {"apart_when_halted": {"kalqix": ["balance of BTC"]}},
        {"apart_after_stop": {"kalqix": ["fill 7"]}},
        {"apart_at_the_dead": {"zdex": ["order a"]}},
        {"open_at_the_dead": {"zdex": []}},
        {"rate_limited": {"kalqix": 3}},
        {"unauthorized": {"kalqix": {"403 INVALID_SIGNATURE": 1, "403 DUPLICATE": 1}}},
        {"exit_code": 0},
        {"reconcile": {"code": 0}},
        {"memory_mib": {"warm": 80.0, "end": 85.0, "rows": 100}},
        {"traded_after_resume": False},
        {"errors": ["order may be left at kalqix"]},
        {"incidents": [INCIDENT | {"others_orders": {"kalqix": 0}}]},
        {"incidents": [INCIDENT | {"others_orders": {"kalqix": 3}, "is_struck": False}]},
        {"deaths": {"died": {"venue": "zdex", "after": {"kalqix": 0}}}},
    ],
)
def test_proof_of_four_venues_when_a_promise_is_broken_then_it_is_named(change: dict[str, Any]) -> None:
    assert (broken(KEPT), broken(KEPT | change) != []) == ([], True)


def quoted(sandbox: Sandbox) -> set[str]:
    """The markets in which we ever had an order."""
    return {order["market_id"] for order in sandbox.truth()["orders"]}
