"""What is refused before anything starts: all that is known without the venue, and with `--connect` what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from connectors.kalshi.settings import ASSUMPTIONS
from connectors.kalshi.wire.sign import Signer, load_private_key
from framework.cli.main import main
from framework.runtime.clock import SystemClock
from framework.runtime.files import RealFiles
from framework.runtime.state_directory import JOURNAL_NAME, bind_account
from tests.framework.cli.test_dry_run import away
from tests.support.command_line import Capsys
from tests.support.daemon import ROOT, Sandbox, venue_toml

HERE, ELSEWHERE = "http://127.0.0.1:1", "https://venue.invalid"
STRATEGY = """
from framework.domain.strategy import Strategy

class Mine(Strategy[None]):
    def __init__(self, name, settings, desk):
        super().__init__(name, settings, desk)
        {body}
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(verb: str, options: Sequence[str], capsys: Capsys) -> list[str]:
    assert main([verb, *options]) == 2
    return [line.removeprefix("tidegate: ") for line in capsys.readouterr().err.splitlines()]


def overlay(folder: Path, text: str) -> list[str]:
    file = folder / "overlay.toml"
    file.write_text(text)
    return ["-c", str(file)]


def with_strategy(folder: Path, body: str) -> list[str]:
    (folder / "mine.py").write_text(STRATEGY.format(body=body))
    text = 'plugin_paths = ["."]\n[strategies.mine]\nuse = "mine:Mine"\ninstruments = ["kalshi:*"]\n'
    return ["-c", "sandbox", *overlay(folder, text)]


@pytest.mark.parametrize("verb", ["run", "check-config"])
def test_host_when_it_is_not_of_this_machine_then_is_refused(verb: str, capsys: Capsys) -> None:
    (line,) = refused(verb, ["--set", "http.host=2001:db8::1"], capsys)
    assert re.fullmatch(r"http\.host: can't listen on \[2001:db8::1\]:0 \(.*\); give an address of this machine", line)


@pytest.mark.parametrize("verb", ["run", "check-config"])
def test_account_when_its_key_file_is_missing_or_open_then_is_refused(
    verb: str, tmp_path: Path, capsys: Capsys
) -> None:
    options = away(tmp_path, HERE)
    (tmp_path / "key.pem").chmod(0o644)
    (found,) = refused(verb, options, capsys)
    assert found.startswith(f"venues.kalshi.settings: private_key_path={tmp_path}/key.pem: mode 0644")
    (tmp_path / "key.pem").unlink()
    (found,) = refused(verb, options, capsys)
    assert "can't be opened: No such file or directory" in found


@pytest.mark.parametrize("verb", ["run", "check-config"])
def test_account_when_it_is_not_on_this_machine_and_no_file_says_live_then_is_refused(
    verb: str, tmp_path: Path, capsys: Capsys
) -> None:
    (found,) = refused(verb, away(tmp_path, ELSEWHERE), capsys)
    assert "needs both `live = true` in the configuration and `--live`" in found


@pytest.mark.parametrize("verb", ["run", "check-config"])
@pytest.mark.parametrize("name", ["trading_state", "rate_budget"])
def test_account_when_it_is_not_on_this_machine_then_its_guards_can_not_be_switched_off(
    verb: str, name: str, tmp_path: Path, capsys: Capsys
) -> None:
    options = [*away(tmp_path, ELSEWHERE, live=True), "--live", "--set", f"checks.{name}.enabled=false"]
    (found,) = refused(verb, options, capsys)
    assert found.startswith(f"checks: {name} can't be missing, replaced or switched off while venues.kalshi is not on")
    assert main(["check-config", *away(tmp_path, ELSEWHERE, live=True)]) == 0
    assert main(["check-config", *away(tmp_path, HERE), *options[-2:]]) == 0


@pytest.mark.parametrize("verb", ["run", "check-config"])
def test_account_when_two_venues_are_the_same_then_is_refused(verb: str, tmp_path: Path, capsys: Capsys) -> None:
    options = away(tmp_path, HERE)
    text = (tmp_path / "venue.toml").read_text().replace("venues.kalshi", "venues.again").replace("live = false\n", "")
    second = overlay(tmp_path, text.replace("[venues.again]\n", '[venues.again]\nuse = "connectors.kalshi.plugin"\n'))
    (found,) = refused(verb, [*options, *second], capsys)
    assert found == "venues.again: is the same account as venues.kalshi (127.0.0.1:1 k); name it once"


@pytest.mark.parametrize("verb", ["run", "check-config"])
def test_state_when_it_is_another_account_s_then_is_refused_and_nothing_is_written(
    verb: str, tmp_path: Path, capsys: Capsys
) -> None:
    journal = tmp_path / "state" / JOURNAL_NAME
    journal.mkdir(parents=True)
    bind_account(RealFiles(), journal, "kalshi", "another k")
    (found,) = refused(verb, away(tmp_path, HERE), capsys)
    assert 'the records in state/journal are of the account "another k"' in found
    (embedded,) = refused(verb, ["-c", "sandbox"], capsys)
    assert "holds the records of a venue's account" in embedded
    assert [file.name for file in journal.iterdir()] == ["accounts"]


@pytest.mark.parametrize("verb", ["run", "check-config"])
@pytest.mark.parametrize("place", ["taken", "taken/state"])
@pytest.mark.parametrize("key", ["state_dir", "ledger.archive"])
def test_folder_of_records_when_it_can_not_be_made_then_is_refused(
    verb: str, key: str, place: str, tmp_path: Path, capsys: Capsys
) -> None:
    (tmp_path / "taken").touch()
    (found,) = refused(verb, ["--set", f"{key}={place}"], capsys)
    assert found.startswith(f"{key}: ")
    assert f"{place} can't be used: " in found
    assert found.endswith("taken is a file; give a folder that this user may write")


def test_strategy_when_its_constructor_raises_then_check_config_names_file_and_line(
    tmp_path: Path, capsys: Capsys
) -> None:
    (found,) = refused("check-config", with_strategy(tmp_path, "self.x = {}['size']"), capsys)
    assert found == f"strategies.mine: mine:Mine: {tmp_path}/mine.py:7: KeyError: 'size'; correct this"


def test_strategy_when_its_constructor_asks_the_desk_then_only_a_run_can_judge_it(
    tmp_path: Path, capsys: Capsys
) -> None:
    assert main(["check-config", *with_strategy(tmp_path, "self.first = desk.instruments[0]")]) == 0


def test_venue_when_it_is_not_on_this_machine_then_what_is_assumed_of_it_is_listed(
    tmp_path: Path, capsys: Capsys
) -> None:
    assert main(["check-config", *away(tmp_path, ELSEWHERE, live=True)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [f"kalshi: assumed of the venue without proof: {one}" for one in ASSUMPTIONS] == told[: len(ASSUMPTIONS)]


def test_venue_when_it_is_on_this_machine_then_nothing_is_assumed(tmp_path: Path, capsys: Capsys) -> None:
    assert main(["check-config", *away(tmp_path, HERE)]) == 0
    assert "assumed" not in capsys.readouterr().out


def test_connect_when_all_is_right_then_says_what_the_venue_lists_and_leaves_nothing(
    tmp_path: Path, capsys: Capsys
) -> None:
    assert main(["check-config", "-c", "sandbox", "--connect"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "kalshi: 4 instruments, streams are up"
    assert re.fullmatch(r"kalshi: its clock is [+-]\d+ ms from this machine's, give or take \d+ ms", lines[1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "venues.kalshi.settings.markets_max=1",
            "venues.kalshi: markets=['*']: 4 markets match, more than markets_max",
        ),
        ('venues.kalshi.settings.markets=["KXNO"]', "venues.kalshi: markets: the venue has no market KXNO; check"),
    ],
)
def test_connect_when_the_venue_does_not_have_what_is_named_then_is_refused(
    override: str, message: str, capsys: Capsys
) -> None:
    (found,) = refused("check-config", ["-c", "sandbox", "--connect", "--set", override], capsys)
    assert found.startswith(message)


def test_connect_when_no_open_market_matches_then_it_says_that_the_strategy_would_wait(capsys: Capsys) -> None:
    assert (
        main(["check-config", "-c", "sandbox", "--connect", "--set", 'strategies.mm.instruments=["kalshi:NO*"]']) == 0
    )
    assert "strategies.mm.instruments: no active instrument matches ['kalshi:NO*'] now, so it waits" in (
        capsys.readouterr().out
    )


def test_connect_when_nobody_answers_then_the_venue_is_named(tmp_path: Path, capsys: Capsys) -> None:
    (found,) = refused("check-config", [*away(tmp_path, HERE), "--connect"], capsys)
    assert found.startswith("venues.kalshi: ")


def test_connect_when_the_venue_is_not_on_this_machine_then_live_is_needed_here_too(
    tmp_path: Path, capsys: Capsys
) -> None:
    (found,) = refused("check-config", [*away(tmp_path, ELSEWHERE, live=True), "--connect"], capsys)
    assert "asking it needs both" in found


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    exchange = Sandbox(tmp_path / "venue", speed=0)
    yield exchange
    exchange.stop()


def test_connect_when_the_key_is_not_the_account_s_then_it_is_refused(
    tmp_path: Path, sandbox: Sandbox, capsys: Capsys
) -> None:
    options = ["-c", "sandbox", *overlay(tmp_path, venue_toml(sandbox.ready)), "--connect"]
    assert main(["check-config", *options]) == 0

    away(tmp_path, HERE)
    key = f"venues.kalshi.settings.private_key_path={tmp_path}/key.pem"
    (found,) = refused("check-config", [*options, "--set", key], capsys)
    assert found.startswith("venues.kalshi: ")
    assert "the key is refused; check key_id, private_key_path and that both fit rest_url" in found


def test_connect_when_the_address_is_not_allowed_then_the_line_names_the_addresses(
    tmp_path: Path, sandbox: Sandbox, capsys: Capsys
) -> None:
    sandbox.fault(kind="ip_refused", count=-1)
    options = ["-c", "sandbox", *overlay(tmp_path, venue_toml(sandbox.ready)), "--connect"]
    (found,) = refused("check-config", options, capsys)
    assert found.startswith("venues.kalshi: HTTP 403 forbidden: ")
    assert "from the addresses of this machine" in found


PERP = """
plugin_paths = ["{support}"]
[strategies.mm]
enabled = false
[venues.kalshi]
enabled = false
[venues.perp]
use = "perp_venue.plugin"
embedded_sandbox = true
[venues.perp.settings]
key_rights = ["read", "trade", "withdraw"]
"""


def test_connect_when_the_key_may_withdraw_then_it_is_refused_unless_that_is_allowed(
    tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    options = ["-c", "sandbox", *overlay(tmp_path, PERP.format(support=ROOT / "tests" / "support")), "--connect"]
    (found,) = refused("check-config", options, capsys)
    assert found == (
        "venues.perp: its key may withdraw, its scopes are read, trade, withdraw; use a key that can't, or set "
        "allow_withdraw_keys = true in [venues.perp]"
    )
    assert main(["check-config", *options, "--set", "venues.perp.allow_withdraw_keys=true"]) == 0
    assert "perp: the key may withdraw, its scopes are read, trade, withdraw: use one" in capsys.readouterr().out


def test_connect_when_the_key_may_only_read_then_that_is_said(tmp_path: Path, sandbox: Sandbox, capsys: Capsys) -> None:
    ready = sandbox.ready
    target = f"{urlsplit(ready['rest_url']).path}/api_keys/generate"
    signer = Signer(ready["key_id"], load_private_key(Path(ready["private_key_path"])))
    request = Request(
        f"{ready['rest_url']}/api_keys/generate",
        data=b'{"name": "reader", "scopes": ["read"]}',
        headers=dict(signer.headers(SystemClock().now_ns() // 1_000_000, "POST", target)),
    )
    with urlopen(request) as answer:
        made = json.loads(answer.read())
    key = tmp_path / "reader.pem"
    key.touch(0o600)
    key.write_text(made["private_key"])
    rows = venue_toml(ready, key_id=made["api_key_id"], private_key_path=str(key))

    assert main(["check-config", "-c", "sandbox", *overlay(tmp_path, rows), "--connect"]) == 0

    assert "kalshi: the key may not trade, its scopes are read: orders would be refused" in capsys.readouterr().out
