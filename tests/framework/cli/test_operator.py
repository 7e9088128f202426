"""The operator's verbs: what each sends to the daemon, what comes back, and what happens when no daemon is there."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from framework.cli.main import main
from framework.domain.account_events import Scope, TradingState
from framework.domain.operator_requests import (
    SOCKET_NAME,
    AcknowledgeAlerts,
    AdoptExternalOrder,
    Answer,
    CancelExternalOrder,
    CancelOrders,
    Flatten,
    IgnoreExternalOrder,
    Kill,
    MoveFunds,
    Reconcile,
    Request,
    SendTestAlert,
    SetLimit,
    SetTradingState,
    ShowAlerts,
    ShowFundMove,
    ShowLimits,
    ShowStatus,
)
from framework.runtime.unix_socket import UnixServer
from tests.support.command_line import Capsys

HALTED, ACTIVE, REDUCING = TradingState.HALTED, TradingState.ACTIVE, TradingState.REDUCING


class StandIn:
    """A daemon's socket in a thread of its own; it notes what it hears and answers as the test says."""

    def __init__(self, directory: Path) -> None:
        self.heard: list[Request] = []
        self.answer = Answer(is_ok=True, lines=("done",), data=[])
        self.first: list[Answer] = []
        """What it answers before that, one each time."""
        self._directory = directory
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> StandIn:
        self._thread.start()
        assert self._is_up.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        path, uids = self._directory / SOCKET_NAME, frozenset({os.geteuid()})
        server = UnixServer(path, self._note, refuse=str.encode, uids=uids)
        await server.start()
        self._is_up.set()
        await self._stop.wait()
        await server.close()

    async def _note(self, line: bytes) -> bytes:
        self.heard.append(msgspec.json.decode(line, type=Request))
        return msgspec.json.encode(self.first.pop(0) if self.first else self.answer)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[StandIn]:
    with StandIn(tmp_path) as daemon:
        yield daemon


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., int]:
    return lambda *words: main([*words, "--state-dir", str(tmp_path)])


REQUESTS: list[tuple[list[str], Request]] = [
    (["halt"], SetTradingState(scope=Scope.GLOBAL, state=HALTED, reason="")),
    (["halt", "--reason", "b\udcff"], SetTradingState(scope=Scope.GLOBAL, state=HALTED, reason="b\\udcff")),
    (
        ["halt", "--venue", "k", "--reason", "r"],
        SetTradingState(scope=Scope.VENUE, target="k", state=HALTED, reason="r"),
    ),
    (
        ["reduce", "--instrument", "k:A"],
        SetTradingState(scope=Scope.INSTRUMENT, target="k:A", state=REDUCING, reason=""),
    ),
    (
        ["resume", "--strategy", "mm", "--reason", "fixed"],
        SetTradingState(scope=Scope.STRATEGY, target="mm", state=ACTIVE, reason="fixed"),
    ),
    (
        ["stop-entry", "--for", "900", "--dry-run"],
        SetTradingState(scope=Scope.GLOBAL, state=REDUCING, reason="", for_ms=900_000, is_dry_run=True),
    ),
    (["cancel", "--all", "--dry-run"], CancelOrders(is_all=True, reason="by the operator", is_dry_run=True)),
    (
        ["resume", "--kill", "--reason", "looked"],
        SetTradingState(scope=Scope.GLOBAL, state=ACTIVE, reason="looked", is_kill=True),
    ),
    (["cancel", "c-1"], CancelOrders(order="c-1", reason="by the operator")),
    (["cancel", "--strategy", "mm", "--reason", "r"], CancelOrders(strategy="mm", reason="r")),
    (["cancel", "--venue", "k"], CancelOrders(venue="k", reason="by the operator")),
    (["cancel", "--instrument", "k:A"], CancelOrders(instrument="k:A", reason="by the operator")),
    (
        ["halt", "--cancel", "--strategy", "mm"],
        SetTradingState(scope=Scope.STRATEGY, target="mm", state=HALTED, reason="", is_cancelling=True),
    ),
    (
        ["reduce", "--cancel"],
        SetTradingState(scope=Scope.GLOBAL, state=REDUCING, reason="", is_cancelling=True),
    ),
    (["cancel", "--all"], CancelOrders(is_all=True, reason="by the operator")),
    (["external-orders", "adopt", "v9", "--to", "mm"], AdoptExternalOrder(order="v9", strategy="mm")),
    (["external-orders", "cancel", "v9"], CancelExternalOrder(order="v9", reason="by the operator")),
    (["external-orders", "ignore", "v9", "--reason", "r"], IgnoreExternalOrder(order="v9", reason="r")),
    (["orphans", "adopt", "v9", "--to", "mm"], AdoptExternalOrder(order="v9", strategy="mm")),
    (["orphans", "cancel", "v9"], CancelExternalOrder(order="v9", reason="by the operator")),
    (["orphans", "ignore", "v9", "--reason", "mine"], IgnoreExternalOrder(order="v9", reason="mine")),
    (
        ["flatten", "--strategy", "mm", "--time", "5", "--collar", "20", "--reason", "r"],
        Flatten(scope=Scope.STRATEGY, target="mm", reason="r", time_ms=5_000, collar_bps=20),
    ),
    (["flatten", "--all", "--dry-run"], Flatten(scope=Scope.GLOBAL, reason="by the operator", is_dry_run=True)),
    (
        ["limit", "set", "max_position", "overrides.k:A", "5", "--reason", "r", "--confirm", "9d33"],
        SetLimit(check="max_position", key="overrides.k:A", value="5", reason="r", confirm="9d33"),
    ),
    (
        ["limit", "reset", "max_position", "max_position", "--reason", "r"],
        SetLimit(check="max_position", key="max_position", value="", reason="r"),
    ),
    (["reconcile"], Reconcile(is_dry_run=False)),
    (["reconcile", "--dry-run"], Reconcile(is_dry_run=True)),
    (["alerts", "test", "phone"], SendTestAlert(output="phone")),
    (["ack", "venue_down:k", "--reason", "r"], AcknowledgeAlerts(name="venue_down:k", reason="r", by="ann")),
    (["ack", "--all"], AcknowledgeAlerts(is_all=True, by="ann")),
]


def test_requests_when_listed_then_a_verb_makes_each_of_them() -> None:
    # What `status`, `alerts` and `limit show` print is no answer's lines: `test_status.py`, `test_alerts.py`,
    # `test_limit.py`. A move of funds is followed until it is done: below. A kill is asked for again: `test_kill.py`.
    others = {ShowStatus, ShowAlerts, ShowLimits, MoveFunds, ShowFundMove, Kill}
    assert {type(request) for _, request in REQUESTS} | others == set(get_args(Request))


@pytest.mark.parametrize(("words", "request_"), REQUESTS)
def test_command_when_given_then_the_daemon_hears_it_and_its_answer_is_shown(
    daemon: StandIn,
    run: Callable[..., int],
    capsys: Capsys,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    request_: Request,
) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")
    assert run(*words) == 0
    assert daemon.heard == [request_]
    assert capsys.readouterr().out.splitlines()[0] == "done"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resume"], "resume: say why"),
        (["resume", "--reason", " "], "resume: say why"),
        (["halt", "--venue", "k", "--strategy", "mm"], "name one of --venue, --instrument and --strategy"),
        (["cancel"], "cancel: name one order"),
        (["flatten"], "flatten: name one of --venue, --instrument, --strategy and --all"),
        (["flatten", "--all", "--venue", "k"], "flatten: name one of --venue, --instrument, --strategy and --all"),
        (["cancel", "c\udcff"], r"'c\udcff' is no text in UTF-8; type it anew"),
        (["cancel", "c-1", "--all"], "cancel: name one order"),
        (["orphans", "adpt", "v9"], 'there is no action "adpt"; did you mean "adopt"?'),
        (["orphans", "adopt", "v9"], "--to STRATEGY"),
        (["orphans", "ignore"], "orphans ignore: name the order by the venue's id; `tidegate orphans` lists"),
        (["external-orders", "adpt", "v9"], 'external-orders: there is no action "adpt"; did you mean "adopt"?'),
        (["external-orders", "adopt", "v9"], "external-orders adopt: name the strategy that gets the order: --to"),
        (["external-orders", "ignore"], "`tidegate external-orders` lists"),
    ],
)
def test_command_when_it_makes_no_sense_then_it_is_refused_before_the_daemon_hears_it(
    daemon: StandIn, run: Callable[..., int], capsys: Capsys, words: list[str], message: str
) -> None:
    assert run(*words) == 2
    assert message in capsys.readouterr().err
    assert daemon.heard == []


def test_command_when_the_daemon_refuses_then_it_fails_with_the_reason(
    daemon: StandIn, run: Callable[..., int], capsys: Capsys
) -> None:
    daemon.answer = Answer(is_ok=False, lines=('there is no venue "k"',))
    assert run("halt", "--venue", "k") == 1
    assert 'tidegate: there is no venue "k"' in capsys.readouterr().out


def test_command_when_json_is_asked_for_then_the_whole_answer_is_one_line(
    daemon: StandIn, run: Callable[..., int], capsys: Capsys
) -> None:
    daemon.answer = Answer(is_ok=True, lines=("done",), data=["c-1"])
    assert run("cancel", "--all", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"is_ok": True, "lines": ["done"], "data": ["c-1"]}


@pytest.mark.parametrize("words", [["reconcile"], ["reconcile", "--dry-run"]])
def test_reconcile_when_something_differs_then_the_exit_code_says_so(
    daemon: StandIn, run: Callable[..., int], capsys: Capsys, words: list[str]
) -> None:
    difference: dict[str, Any] = {"kind": "orphan"}
    daemon.answer = Answer(is_ok=True, lines=("an orphan",), data=[difference])
    assert run(*words) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "an orphan"
    assert ("dry run: nothing was done" in lines) is ("--dry-run" in words)


@pytest.mark.parametrize("words", [["halt"], ["cancel", "--all"], ["external-orders", "ignore", "v9"], ["reconcile"]])
def test_command_when_no_daemon_runs_then_it_says_where_it_looked(
    tmp_path: Path, run: Callable[..., int], capsys: Capsys, words: list[str]
) -> None:
    assert run(*words) == 1
    assert f"no daemon answers in {tmp_path}" in capsys.readouterr().err


TO = ["transfer", "--venue", "k", "--asset", "USDC", "--amount", "1.5", "--to", "0xab"]
TRANSFER = MoveFunds(venue="k", verb="transfer", asset="USDC", amount="1.5", to="0xab")
PENDING = Answer(is_ok=True, lines=("transfer t-1 at k: PENDING",), data={"id": "t-1", "is_final": False})
DONE = Answer(is_ok=True, lines=("transfer t-1 at k: DONE",), data={"id": "t-1", "is_final": True})


@pytest.mark.parametrize("typed", ["1.5\n", "1.50\n", "yes\n", ""])
def test_transfer_when_the_amount_is_typed_again_then_it_is_asked_for_and_else_not(
    daemon: StandIn, run: Callable[..., int], capsys: Capsys, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    daemon.answer = DONE
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    is_same = typed == "1.5\n"
    assert run(*TO) == (0 if is_same else 2)
    shown = capsys.readouterr()
    question = "This moves 1.5 USDC out of the account at k\nto 0xab, and can't be undone.\nType the amount again: "
    assert question in shown.err
    assert daemon.heard == ([TRANSFER] if is_same else [])
    assert ("what was typed is not the amount, 1.5: nothing was done" in shown.err) is not is_same


def test_withdraw_when_more_is_to_come_then_it_is_asked_for_until_the_wait_is_over(
    daemon: StandIn, run: Callable[..., int], capsys: Capsys
) -> None:
    daemon.answer = PENDING
    words = ["withdraw", "--venue", "k", "--asset", "USDC", "--amount", "1.5", "--chain", "1", "--yes", "1.5"]
    assert run(*words, "--wait", "2") == 0
    withdraw = MoveFunds(venue="k", verb="withdraw", asset="USDC", amount="1.5", chain_id=1)
    assert daemon.heard == [withdraw, ShowFundMove(venue="k", verb="withdraw", id="t-1")]
    more = "more is to come; ask again: tidegate withdraw --venue k --id t-1"
    assert capsys.readouterr().out.splitlines() == ["transfer t-1 at k: PENDING", more]
    daemon.answer = DONE
    assert run("withdraw", "--venue", "k", "--id", "t-1") == 0
    assert capsys.readouterr().out.splitlines() == ["transfer t-1 at k: DONE"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["transfer"], "transfer: name the account: --venue NAME"),
        ([*TO, "--amount", "1,5", "--yes", "1,5"], "--amount: 1,5 is no amount; write a decimal above 0, as in 100.5"),
        ([*TO, "--to", "", "--yes", "1.5"], "--to: '' is no account"),
        ([*TO, "--yes", "1.4"], "transfer: --yes is not the amount, 1.5: nothing was done"),
    ],
)
def test_transfer_when_it_can_not_be_asked_for_then_one_line_says_so_and_no_daemon_is_asked(
    daemon: StandIn, run: Callable[..., int], capsys: Capsys, words: list[str], message: str
) -> None:
    assert run(*words) == 2
    assert message in capsys.readouterr().err
    assert daemon.heard == []
