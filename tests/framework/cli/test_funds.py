"""Funds leave a local KalqiX through a running daemon: recorded before, sent once, and known again after a death."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from connectors.kalqix.plugin import sandbox_settings
from framework.cli.main import main
from framework.domain.account_events import FundMoveReported
from framework.persistence.journal.scan import read_entries
from framework.runtime.failpoints import VARIABLE
from framework.runtime.files import RealFiles
from tests.support.daemon import Daemon, Sandbox, running, wait_until

TO = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
TRANSFER = ("transfer", "--asset", "USDC", "--amount", "100.50", "--to", TO, "--yes", "100.50")
WITHDRAW = ("withdraw", "--asset", "BTC", "--amount", "0.5", "--chain", "1", "--yes", "0.5")
AT_ONCE = ("--wait", "0")
"""Where it is enough that the venue has it."""
UNKNOWN = f"it is not known what became of the transfer of 100.50 USDC at kalqix to {TO}: look at the account's history"


@pytest.fixture(scope="module", params=["a", "b"])
def exchange(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("exchange")
    started = Sandbox(folder, module="connectors.kalqix.sandbox", speed=0, dialect=request.param)
    yield started
    started.stop()


@pytest.fixture
def sandbox(exchange: Sandbox) -> Sandbox:
    exchange.reset()
    return exchange


class Desk:
    """An account whose daemon only watches, and the commands of its operator."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.state = folder / "state"
        self.sandbox = sandbox
        self._folder = folder
        self._runs = 0

    def daemon(self, *, is_allowed: bool = True, **settings: object) -> Any:
        """A daemon of the account, for a `with`."""
        wallet = {"wallet_key_path": self.sandbox.ready["wallet_key_path"]}
        chosen = dict(sandbox_settings(self.sandbox.ready)) | wallet | {"markets": ["*"]} | settings
        rows = "\n".join(f"{name} = {json.dumps(value)}" for name, value in chosen.items())
        file = self._folder / "account.toml"
        file.write_text(
            "[http]\nport = 0\n[venues.kalshi]\nenabled = false\n[strategies.mm]\nenabled = false\n[venues.kalqix]\n"
            f'use = "connectors.kalqix.plugin"\nembedded_sandbox = false\nallow_fund_moves = {json.dumps(is_allowed)}\n'
            f"[venues.kalqix.settings]\n{rows}\n"
        )
        self._runs += 1
        arguments = ["-c", "sandbox", "-c", str(file), "--state-dir", str(self.state)]
        return running(arguments, self._folder / f"log{self._runs}")

    def move(self, *words: str, typed: str = "") -> CompletedProcess[str]:
        """One command, as it is typed."""
        out, err, before = io.StringIO(), io.StringIO(), sys.stdin
        sys.stdin = io.StringIO(typed)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = main([*words, "--venue", "kalqix", "--state-dir", str(self.state)])
        finally:
            sys.stdin = before
        return CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def left(self) -> list[str]:
        """What has left the account at the venue, as it counts."""
        flows = self.sandbox.truth()["cash_flows"]
        return [row["amount"].rstrip("0") for row in flows if row["amount"].startswith("-")]

    def recorded(self) -> list[tuple[str, str]]:
        """What the journal says of moves: verb and status, in their order."""
        bodies = (entry.record.body for entry in read_entries(RealFiles(), self.state / "journal"))
        return [(one.verb, one.status) for one in bodies if isinstance(one, FundMoveReported)]


def secret(path: str) -> str:
    return Path(path).read_text().strip()


@pytest.fixture
def desk(tmp_path: Path, sandbox: Sandbox) -> Desk:
    return Desk(tmp_path, sandbox)


def test_funds_when_they_are_moved_then_each_step_is_said_and_recorded_and_what_is_to_be_claimed_is_shown(
    desk: Desk,
) -> None:
    with desk.daemon() as daemon:
        daemon.wait_ready()
        sent = desk.move(*TRANSFER)
        assert (sent.returncode, sent.stderr) == (0, "")
        (line,) = sent.stdout.splitlines()
        assert line.startswith("transfer ")
        assert line.endswith(" at kalqix: COMPLETED")
        begun = desk.move(*WITHDRAW, "--wait", "0")
        first, more = begun.stdout.splitlines()
        assert first.endswith(" at kalqix: begun, its proof is not ready")
        ask_again = more.removeprefix("more is to come; ask again: tidegate ").split()
        done = desk.move(*ask_again[:1], *ask_again[3:])
        assert done.returncode == 0, done.stdout
        first, *claim = done.stdout.splitlines()
        assert first.endswith(": proved: claim it on the chain, by the bridge contract, with what follows")
        assert {"amount_formatted: 0.5", "chain_id: 1", "network: Ethereum"} <= set(claim)
        assert any(one.startswith("local_exit_proof: 0x") for one in claim)
        assert daemon.terminate()[0] == 0
    assert desk.left() == ["-100.5", "-0.5"]
    steps = [("transfer", "requested"), ("transfer", "PENDING")]
    assert desk.recorded() == [*steps, ("withdraw", "requested"), ("withdraw", "begun, its proof is not ready")]
    logs = "".join(path.read_text() for path in desk.state.parent.glob("log*"))
    assert [name for name, path in desk.sandbox.ready.items() if name.endswith("_path") and secret(path) in logs] == []


def test_funds_when_something_is_wrong_then_one_line_says_so_and_nothing_leaves(desk: Desk) -> None:
    own = desk.sandbox.ready["wallet_address"]
    with desk.daemon() as daemon:
        daemon.wait_ready()
        for words, typed, code, message in (
            (TRANSFER[:-2], "100.5\n", 2, "transfer: what was typed is not the amount, 100.50: nothing was done"),
            ([*TRANSFER, "--to", own], "", 1, f"--to: {own} is the account's own wallet; give another one"),
            ([*TRANSFER, "--to", TO.lower()[:-1]], "", 1, "is no wallet; write 0x and 40 hexadecimal digits"),
            ([*TRANSFER, "--to", TO.replace("5a", "5A")], "", 1, "capitals that are not its checksum; compare each"),
            ([*TRANSFER, "--amount", "1e3", "--yes", "1e3"], "", 2, "--amount: 1e3 is no amount; write a decimal"),
            ([*TRANSFER, "--amount", "600000", "--yes", "600000"], "", 1, "is more than the 500000 USDC that are"),
            ([*TRANSFER, "--asset", "DOGE"], "", 1, "Asset not found"),
            ([*WITHDRAW, "--chain", "0"], "", 1, "--chain: 0 is no chain; give its id, as 1 for Ethereum"),
            ([*WITHDRAW, "--chain", "5"], "", 1, "nothing was moved: "),
            (["withdraw", "--id", "nothing"], "", 1, "Withdrawal not found"),
        ):
            done = desk.move(*words, typed=typed)
            said = (done.stdout + done.stderr).splitlines()
            assert (done.returncode, message in said[-1]) == (code, True), (words, said)
            assert len(said) == 1 or typed
        assert daemon.terminate()[0] == 0
    assert desk.left() == []
    assert desk.recorded() == [("withdraw", "requested"), ("withdraw", "refused")]


def test_funds_when_the_configuration_does_not_allow_it_then_nothing_is_asked(desk: Desk) -> None:
    with desk.daemon(is_allowed=False) as daemon:
        daemon.wait_ready()
        for words in (TRANSFER, WITHDRAW):
            done = desk.move(*words)
            assert done.returncode == 1
            assert done.stdout == (
                "tidegate: venues.kalqix: moving funds is not allowed; set allow_fund_moves = true in [venues.kalqix] "
                "and start again\n"
            )
        assert daemon.terminate()[0] == 0
    assert (desk.left(), desk.recorded()) == ([], [])


def test_transfer_when_its_answer_is_lost_then_it_is_found_at_once_and_never_sent_again(desk: Desk) -> None:
    with desk.daemon() as daemon:
        daemon.wait_ready()
        desk.sandbox.fault(kind="lost_response", match={"method": "PUT"})
        done = desk.move(*TRANSFER)
        assert (done.returncode, done.stdout.endswith(" at kalqix: COMPLETED\n")) == (0, True), done.stdout
        assert daemon.terminate()[0] == 0
    assert desk.left() == ["-100.5"]
    assert desk.recorded() == [("transfer", "requested"), ("transfer", "PENDING")]


def test_move_when_it_may_never_have_arrived_then_an_operator_must_have_looked_before_the_next_one(desk: Desk) -> None:
    with desk.daemon() as daemon:
        daemon.wait_ready()
        desk.sandbox.fault(kind="lost_request", match={"method": "PUT"})
        desk.sandbox.fault(kind="lost_response", match={"path": "*/withdrawals"})
        lost, withdrawn = desk.move(*TRANSFER), desk.move(*WITHDRAW)
        assert "it is not known whether 100.50 USDC left: PUT /v1/transfers: " in lost.stdout
        assert "it is not known whether 0.5 BTC left: POST /v1/withdrawals: " in withdrawn.stdout
        for words in (TRANSFER, WITHDRAW):
            assert "and then say --again" in desk.move(*words).stdout
        assert desk.left() == ["-0.5"]
        assert desk.move(*TRANSFER, "--again", *AT_ONCE).returncode == 0
        assert daemon.terminate()[0] == 0
    assert desk.left() == ["-0.5", "-100.5"]


def dies_at(desk: Desk, point: str, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """A daemon that kills itself at this point of a move."""
    monkeypatch.setenv(VARIABLE, point)
    with desk.daemon() as daemon:
        daemon.wait_ready()
        monkeypatch.delenv(VARIABLE)
        assert desk.move(*words).returncode != 0
        wait_until(lambda: daemon.has_ended, "its death")


def alarms(daemon: Daemon) -> list[str]:
    return [str(one["what"]) for one in daemon.logged("alarm")]


@pytest.mark.parametrize(("point", "amounts"), [("move-before-send", []), ("move-after-send", ["-100.5"])])
def test_transfer_when_the_daemon_dies_around_its_sending_then_the_next_one_says_what_is_known_and_doubles_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, point: str, amounts: list[str]
) -> None:
    dies_at(desk, point, monkeypatch, *TRANSFER)
    assert desk.left() == amounts
    assert desk.recorded() == [("transfer", "requested")]
    with desk.daemon() as daemon:
        daemon.wait_ready()
        assert [UNKNOWN in one for one in alarms(daemon)] == [True]
        again = desk.move(*TRANSFER)
        assert again.returncode == 1
        had_arrived = f"nothing was sent: the transfer of 100.50 USDC at kalqix to {TO} had arrived, as "
        assert (had_arrived if amounts else f"{UNKNOWN} at the venue, and then say --again") in again.stdout
        assert desk.left() == amounts
        assert desk.move(*TRANSFER, *([] if amounts else ["--again"]), *AT_ONCE).returncode == 0
        assert daemon.terminate()[0] == 0
    assert desk.left() == [*amounts, "-100.5"]


def test_withdrawal_when_the_daemon_dies_before_its_answer_is_recorded_then_it_stays_unknown_until_one_has_looked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_at(desk, "move-after-send", monkeypatch, *WITHDRAW)
    with desk.daemon() as daemon:
        daemon.wait_ready()
        assert any("it is not known what became of the withdraw of 0.5 BTC at kalqix" in one for one in alarms(daemon))
        assert "and then say --again" in desk.move(*WITHDRAW).stdout
        assert desk.left() == ["-0.5"]
        assert daemon.terminate()[0] == 0
