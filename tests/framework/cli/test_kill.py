"""`tidegate kill` and `tidegate guard`: a venue whose orders are lines of a file, and a stand-in for the daemon."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.cli.main import main
from framework.domain.errors import EXIT_ORDERS_LEFT, EXIT_USAGE
from framework.domain.operator_requests import Answer, Kill
from framework.kill.guard import Guard
from framework.runtime.kill_latch import KillLatch
from framework.runtime.kill_log import finished_logs
from tests.framework.cli.test_operator import StandIn
from tests.support.command_line import Capsys

VENUE = """
from pathlib import Path

from pydantic import BaseModel

from framework.domain.mass_cancel import OpenOrder
from framework.domain.rate_limits import RateLimits
from framework.domain.terms import CancelAllScope


class Settings(BaseModel):
    orders: Path
    is_loopback: bool = True


class Account:
    limits, scope, read_lag_ms, is_listing = RateLimits((), ()), CancelAllScope.NONE, 0, True

    def __init__(self, venue, settings):
        self.venue, self.is_loopback, self._file = venue, settings.is_loopback, settings.orders

    async def open_orders(self):
        return [OpenOrder(venue_order_id=name, symbol="A") for name in self._file.read_text().split()]

    async def cancel(self, order):
        names = [name for name in self._file.read_text().split() if name != order.venue_order_id]
        self._file.write_text("\\n".join(names))
        return True

    async def close(self):
        pass


def mass_cancel(name, settings, *, clock, rng, turn, stamps, see):
    return Account(name, settings)
"""
TABLE = """
[venues.{name}]
use = "pier.plugin"
[venues.{name}.settings]
orders = "{name}.orders"
"""


class Harbour:
    """Venues with open orders, their configuration and a state directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.state.mkdir()
        self.file = directory / "harbour.toml"
        self.file.write_text(
            'plugin_paths = ["."]\n[checks.trading_state]\nuse = "risk.trading_state:TradingStateCheck"\n'
        )
        (directory / "pier").mkdir()
        (directory / "pier" / "__init__.py").touch()
        # It is not loaded: that would take too long.
        (directory / "pier" / "plugin.py").write_text("raise SystemExit\n")
        (directory / "pier" / "mass_cancel.py").write_text(VENUE)

    def add(self, name: str, *orders: str, rows: str = "") -> None:
        """A venue with these open orders."""
        self.orders(name).write_text("\n".join(orders))
        with self.file.open("a") as file:
            file.write(TABLE.format(name=name) + rows)

    def orders(self, name: str) -> Path:
        """Its open orders, a line for each."""
        return self.directory / f"{name}.orders"

    def run(self, *words: str) -> int:
        """One command with this configuration."""
        return main([*words, "-c", str(self.file), "--state-dir", str(self.state)])

    def is_latched(self, venue: str) -> bool:
        """Whether nothing new may leave to a venue."""
        return KillLatch(self.state).is_set(venue)


@pytest.fixture
def harbour(tmp_path: Path) -> Harbour:
    return Harbour(tmp_path)


@pytest.fixture
def daemon(harbour: Harbour) -> Iterator[StandIn]:
    with StandIn(harbour.state) as daemon:
        yield daemon


def test_kill_when_no_daemon_runs_then_every_venue_is_emptied_and_what_was_done_is_left_for_the_next_start(
    harbour: Harbour, capsys: Capsys
) -> None:
    harbour.add("east", "1", "2", "3")
    harbour.add("west", "7")
    assert harbour.run("kill", "--reason", "smoke") == 0
    assert capsys.readouterr().out.splitlines() == ["east: 0 open; 3 cancelled", "west: 0 open; 1 cancelled"]
    assert harbour.is_latched("any")
    ((_path, records),) = finished_logs(harbour.state)
    assert (records[0].action, records[0].reason) == ("kill", "smoke")
    cancels = sorted((one.venue_order_id, one.outcome) for one in records if one.action == "cancel")
    assert cancels == [(name, outcome) for name in "1237" for outcome in ("", "ended")]


def test_kill_when_for_one_venue_then_the_others_are_left_alone(harbour: Harbour, capsys: Capsys) -> None:
    harbour.add("east", "1")
    harbour.add("west", "7")
    assert harbour.run("kill", "--venue", "east", "--json") == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (row["venue"], row["left"], row["cancelled"]) == ("east", 0, 1)
    assert harbour.orders("west").read_text() == "7"
    assert (harbour.is_latched("east"), harbour.is_latched("west")) == (True, False)


def test_kill_when_the_configuration_can_not_be_used_then_the_latch_is_set_all_the_same(
    harbour: Harbour, capsys: Capsys
) -> None:
    harbour.file.write_text("no toml")
    assert harbour.run("kill") == EXIT_USAGE
    assert "tidegate: " in capsys.readouterr().err
    assert harbour.is_latched("any")


def test_kill_when_one_venue_can_not_be_used_then_the_others_are_emptied(harbour: Harbour, capsys: Capsys) -> None:
    harbour.add("away", "1", rows="is_loopback = false\n")
    harbour.add("bad", "1", rows="oders = 1\n")
    harbour.add("none", "1", rows='[venues.none2]\nuse = "strategies.noop"\n')
    harbour.add("east", "1")
    assert harbour.run("kill") == EXIT_ORDERS_LEFT
    shown = capsys.readouterr()
    assert (
        shown.err
        == "tidegate: venues.none2: strategies.noop can't end orders beside its daemon: it has no mass_cancel\n"
    )
    away, bad, none, east = shown.out.splitlines()
    assert away == (
        "away: not known what is open; venues.away: its addresses are not on this machine; to end orders there needs "
        "`live = true` in the configuration"
    )
    assert bad.startswith("bad: not known what is open; ")
    assert bad.endswith('venues.bad.settings.oders: unknown key "oders"; did you mean "orders"?')
    assert (none, east) == ("none: 0 open; 1 cancelled", "east: 0 open; 1 cancelled")


def test_kill_when_the_state_directory_can_not_be_written_then_orders_end_all_the_same(
    harbour: Harbour, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(harbour.directory))
    harbour.state.rmdir()
    harbour.state.touch()
    harbour.add("east", "1")
    assert harbour.run("kill") == 0
    shown = capsys.readouterr()
    assert shown.out == "east: 0 open; 1 cancelled\n"
    latch, log = shown.err.splitlines()
    assert latch.startswith("tidegate: the kill latch can't be made durable in ")
    assert log.startswith(f"tidegate: {harbour.state} can't be written")
    ((_path, records),) = finished_logs(Path(log.rpartition(" ")[2]))
    assert [one.action for one in records] == ["kill", "cancel", "cancel"]


def test_kill_when_its_venue_is_not_known_then_it_says_so(harbour: Harbour, capsys: Capsys) -> None:
    harbour.add("east", "1")
    assert harbour.run("kill", "--venue", "eats") == EXIT_USAGE
    assert capsys.readouterr().err == 'tidegate: kill: there is no venue "eats"; did you mean "east"?\n'
    assert harbour.orders("east").read_text() == "1"


def test_kill_when_an_embedded_sandbox_has_no_daemon_then_there_is_nothing_to_end(
    tmp_path: Path, capsys: Capsys
) -> None:
    assert main(["kill", "-c", "sandbox", "--state-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "kalshi: 0 open; its embedded sandbox has ended with its daemon\n"


def left(count: int) -> Answer:
    """What a daemon says that knows of so many open orders."""
    return Answer(is_ok=True, lines=(), data={"east": {"own": count, "external": 0}})


def test_kill_when_the_daemon_ends_its_orders_then_it_is_left_to_it(
    harbour: Harbour, daemon: StandIn, capsys: Capsys
) -> None:
    harbour.add("east")
    daemon.first, daemon.answer = [left(2), left(1)], left(0)
    assert harbour.run("kill", "--reason", "smoke") == 0
    assert capsys.readouterr().out == "east: 0 open; 2 ended by the daemon\n"
    assert daemon.heard[0] == Kill(reason="smoke")


@pytest.mark.parametrize("answer", [Answer(is_ok=False, lines=("no",)), Answer(is_ok=True, lines=(), data={})])
def test_kill_when_the_daemon_ends_nothing_then_it_is_done_here(
    harbour: Harbour, daemon: StandIn, capsys: Capsys, answer: Answer
) -> None:
    harbour.add("east", "1")
    daemon.answer = answer
    assert harbour.run("kill") == 0
    assert capsys.readouterr().out == "east: 0 open; 1 cancelled\n"


def test_kill_when_the_daemon_gets_no_further_then_it_is_done_here(
    harbour: Harbour, daemon: StandIn, capsys: Capsys
) -> None:
    harbour.add("east", "1")
    daemon.answer = left(1)
    assert harbour.run("kill") == 0
    assert capsys.readouterr().out == "east: 0 open; 1 cancelled\n"


def test_guard_when_started_then_it_says_what_it_can_not_do_and_watches(
    harbour: Harbour, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_guard: Guard) -> None:
        """It would watch for ever."""

    monkeypatch.setattr(Guard, "run", at_once)
    harbour.add("east")
    assert harbour.run("guard", "--timeout", "5") == 0
    east, all_of_them = (line.partition(" guard: ")[2] for line in capsys.readouterr().out.splitlines())
    assert east == (
        "east: orders are ended one by one, at the pace of the rate limit; the venue has no timer of its own: what "
        "this process can't reach stays open"
    )
    assert all_of_them == f"every order is ended after 5 s without a heartbeat in {harbour.state}"


@pytest.mark.parametrize(
    ("words", "rows", "message"),
    [
        (["--timeout", "0.5"], "", "--timeout: 0.5 is too short; give 1 s or more"),
        ([], "oders = 1\n", "venues.east.settings"),
        ([], "is_loopback = false\n", "to end orders there needs `live = true` in the configuration"),
        ([], '[venues.none]\nuse = "strategies.noop"\n', "strategies.noop can't end orders beside its daemon"),
    ],
)
def test_guard_when_it_could_not_end_every_order_then_it_does_not_begin(
    harbour: Harbour, capsys: Capsys, words: list[str], rows: str, message: str
) -> None:
    harbour.add("east", rows=rows)
    assert harbour.run("guard", *words) == EXIT_USAGE
    assert message in capsys.readouterr().err
