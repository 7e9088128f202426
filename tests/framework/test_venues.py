"""The way to a venue is given to the account that the journal belongs to, and to no other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from framework.config.layers import DEFAULT_FILE, load
from framework.config.resolve import resolve
from framework.domain.account_events import OrderSnapshot
from framework.domain.errors import ConfigurationError, Fatal, NotSupported
from framework.domain.orders import Order
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn
from framework.domain.venue import Connector
from framework.runtime.clock import SystemClock
from framework.runtime.state_directory import ACCOUNTS
from framework.runtime.supervisor import Supervisor
from framework.venues import (
    VenueAccess,
    refuse_assumed_signing,
    refuse_old_gateway,
    side_by_side,
    venue_named,
    warn_of_proxy_variables,
)
from tests.framework.cli.test_dry_run import away


async def connector_at(folder: Path, port: int) -> Connector:
    """The connector of an account at this address, as a daemon with the state directory `folder/state` gets it."""
    options = away(folder, f"http://127.0.0.1:{port}")
    resolved = resolve(load([DEFAULT_FILE, Path(options[-1])], environ={}, overrides=[f"state_dir={folder / 'state'}"]))
    clock = SystemClock()
    access = VenueAccess(resolved.config, clock=clock, supervisor=Supervisor(clock=clock))
    try:
        return await access.connector(resolved.venues[0], live=False)
    finally:
        await access.close()


async def test_venue_when_its_account_is_another_than_the_journal_s_then_there_is_no_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "state" / "journal").mkdir(parents=True)
    for _ in range(2):
        assert (await connector_at(tmp_path, 1)).account == "127.0.0.1:1 k"

    with pytest.raises(ConfigurationError, match=r'venues\.kalshi: the records in .* account "127\.0\.0\.1:1 k"'):
        await connector_at(tmp_path, 2)


async def test_venue_when_it_can_not_be_written_down_whose_it_is_then_there_is_no_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "state" / "journal" / ACCOUNTS).mkdir(parents=True)
    with pytest.raises(Fatal, match=r"state_dir: .* can't be read or written"):
        await connector_at(tmp_path, 1)


def test_proxies_when_the_environment_names_some_then_one_line_says_which_and_that_they_are_ignored() -> None:
    with structlog.testing.capture_logs() as logged:
        warn_of_proxy_variables({"HTTPS_PROXY": "http://u:secret@p:1", "http_proxy": "http://p:1", "ALL_PROXY": ""})
        warn_of_proxy_variables({"NO_PROXY": "*", "all_proxy": ""})
    (line,) = logged
    assert (line["variables"], line["log_level"]) == ("HTTPS_PROXY, http_proxy", "warning")
    assert "secret" not in str(line)


async def test_venue_when_it_is_not_on_this_machine_and_a_guard_is_off_then_there_is_no_way_to_it(
    tmp_path: Path,
) -> None:
    options = away(tmp_path, "https://venue.invalid", live=True)
    resolved = resolve(
        load(
            [DEFAULT_FILE, Path(options[-1])],
            environ={},
            overrides=[f"state_dir={tmp_path / 'state'}", "checks.rate_budget.enabled=false"],
        )
    )
    clock = SystemClock()
    access = VenueAccess(
        resolved.config, clock=clock, supervisor=Supervisor(clock=clock), missing_guards=resolved.missing_guards
    )
    with pytest.raises(ConfigurationError, match=r"^checks: rate_budget can't be missing, replaced or switched off"):
        await access.connector(resolved.venues[0], live=True)
    await access.close()


async def test_funds_when_the_venue_moves_none_or_that_is_not_allowed_then_nothing_is_made(tmp_path: Path) -> None:
    options = away(tmp_path, "http://127.0.0.1:1")
    resolved = resolve(load([DEFAULT_FILE, Path(options[-1])], environ={}, overrides=[]))
    clock, (venue,) = SystemClock(), resolved.venues
    access = VenueAccess(resolved.config, clock=clock, supervisor=Supervisor(clock=clock))
    with pytest.raises(NotSupported, match=r"^venues\.kalshi: funds can't be moved by its API; use its website"):
        access.fund_mover(venue)

    made: list[tuple[str, list[str]]] = []

    def fund_mover(name: str, settings: Any, *, clock: Clock, rng: Rng, turn: TakeTurn) -> Any:
        made.append((name, settings.markets))

    movable = replace(venue, plugin=replace(venue.plugin, fund_mover=fund_mover))
    with pytest.raises(ConfigurationError, match=r"set allow_fund_moves = true in \[venues\.kalshi\] and start again"):
        access.fund_mover(movable)
    assert made == []
    access.fund_mover(replace(movable, row=venue.row.model_copy(update={"allow_fund_moves": True})))
    assert made == [("kalshi", ("*",))]


def test_venue_when_it_is_named_wrong_then_the_right_one_is_suggested() -> None:
    venues: Any = [SimpleNamespace(name="kalshi"), SimpleNamespace(name="zdex")]
    assert venue_named(venues, "zdex") is venues[1]
    for name, says in (("", "known: kalshi, zdex"), ("kalsi", 'did you mean "kalshi"?')):
        with pytest.raises(ConfigurationError) as raised:
            venue_named(venues, name)
        assert says in str(raised.value)


def test_gateway_when_it_is_of_an_earlier_form_then_one_line_says_what_to_change() -> None:
    class Gateway:
        async def find_order(self, order: Order, /) -> OrderSnapshot | None: ...

    connector = SimpleNamespace(venue="pond", gateway=Gateway())
    with pytest.raises(ConfigurationError, match=r"^venues\.pond: find_order of .*Gateway is .*is_claimed"):
        refuse_old_gateway(connector)  # type: ignore[arg-type]  # it has what is looked at


@pytest.mark.parametrize(
    ("is_assumed", "is_loopback", "is_accepted", "passes"),
    [(True, False, False, False), (True, False, True, True), (True, True, False, True), (False, False, False, True)],
)
def test_venue_when_its_signing_is_assumed_then_elsewhere_than_here_only_whom_accepts_that_may_trade(
    is_assumed: bool, is_loopback: bool, is_accepted: bool, passes: bool
) -> None:
    connector: Any = SimpleNamespace(venue="guess", is_loopback=is_loopback, assumed_signing=is_assumed)
    if passes:
        refuse_assumed_signing(connector, is_accepted=is_accepted)
        return
    with pytest.raises(ConfigurationError, match=r"accept_assumptions = true in \[venues.guess\]"):
        refuse_assumed_signing(connector, is_accepted=is_accepted)


def test_venue_when_its_connector_says_nothing_of_its_signing_then_it_is_not_assumed() -> None:
    connector: Any = SimpleNamespace(venue="old", is_loopback=False)
    refuse_assumed_signing(connector, is_accepted=False)


async def test_work_when_one_part_hangs_or_fails_then_the_others_are_done_all_the_same() -> None:
    done: list[str] = []

    async def part(name: str, error: Exception | None = None) -> str:
        await asyncio.sleep(0)
        done.append(name)
        if error is not None:
            raise error
        return name

    assert await side_by_side([part("a"), part("b")]) == ["a", "b"]
    with pytest.raises(ConfigurationError, match="first"):
        await side_by_side([part("c", ConfigurationError("first")), part("d", Fatal("second")), part("e")])
    assert done == ["a", "b", "c", "d", "e"]
