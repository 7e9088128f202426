"""The API keys of a ZDEX account, against its local exchange: with a session's token, checked before they are sent."""

from __future__ import annotations

import io
import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.zdex.plugin import sandbox_settings
from tests.framework.cli.venue_keys import Keys, complaint, keys_of, listed
from tests.support.command_line import Capsys
from tests.support.daemon import Sandbox

BOT = ("create", "--label", "bot", "--scope", "READ_ONLY", "--scope", "TRADE")
ASSUMED = "tidegate: note: assumed of this venue, not documented: the end of a key is sent as expiresAt, in "


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    exchange = Sandbox(tmp_path_factory.mktemp("venue"), module="connectors.zdex.sandbox", speed=0, markets=1)
    yield exchange
    exchange.stop()


@pytest.fixture
def settings(sandbox: Sandbox) -> dict[str, Any]:
    sandbox.heal()
    return dict(sandbox_settings(sandbox.ready)) | {"session_token_path": sandbox.ready["session_token_path"]}


@pytest.fixture
def keys(settings: dict[str, Any], tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    """`tidegate keys …`, in a folder of its own; the keys that a test made are gone after it."""
    monkeypatch.chdir(tmp_path)
    asked = keys_of(tmp_path, "zdex", settings)
    yield asked
    for row in listed(asked, capsys):
        if row["is_active"] and not row["id"].startswith("key_"):
            assert asked("revoke", row["id"], "--yes", row["label"]) == 0


def active(keys: Keys, capsys: Capsys) -> dict[str, dict[str, Any]]:
    return {row["label"]: row for row in listed(keys, capsys) if row["is_active"]}


def writes(sandbox: Sandbox) -> int:
    """How many requests other than reads the exchange has had."""
    requests = sandbox.truth()["observed"]["requests"]
    return sum(count for route, count in requests.items() if not route.startswith("GET"))


def test_list_when_asked_then_the_key_in_use_is_known_by_the_beginning_that_is_shown(
    keys: Keys, sandbox: Sandbox, capsys: Capsys
) -> None:
    rows = active(keys, capsys)
    assert [name for name, row in rows.items() if row["is_own"]] == ["sandbox trader"]
    trader = rows["sandbox trader"]
    assert sandbox.ready["api_key"].startswith(trader["key"])
    assert (trader["scopes"], trader["ip_list"]) == (["READ_ONLY", "TRADE"], [])
    assert keys("list") == 0
    assert "any        used here" in capsys.readouterr().out


def test_create_when_everything_is_given_then_it_is_what_the_venue_has_and_the_secret_is_in_the_file_alone(
    keys: Keys, settings: dict[str, Any], tmp_path: Path, capsys: Capsys
) -> None:
    file = tmp_path / "bot.secret"
    more = ("--ip", "127.0.0.1", "--ip", "::1", "--expires", "2099-01-31", "--out", str(file))
    assert keys(*BOT, *more, "--json") == 0
    shown = capsys.readouterr()
    made = json.loads(shown.out)
    assert made.keys() == {"id", "label", "scopes", "key", "out"}
    assert shown.err.startswith(ASSUMED)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() not in shown.out + shown.err
    row = active(keys, capsys)["bot"]
    assert (row["id"], row["scopes"], row["ip_list"]) == (made["id"], ["READ_ONLY", "TRADE"], ["127.0.0.1", "::1"])
    assert row["expires_ns"] == 4_073_500_800 * 10**9
    own = settings | {"key_id": made["key"], "secret_path": str(file)}
    assert [row["label"] for row in listed(keys_of(tmp_path, "zdex", own), capsys) if row["is_own"]] == ["bot"]


def test_create_when_no_file_is_named_then_the_secret_is_printed_once(keys: Keys, capsys: Capsys) -> None:
    assert keys(*BOT) == 0
    shown = capsys.readouterr()
    *_, heading, secret = shown.out.splitlines()
    assert heading == "secret  shown this once, and nowhere else:"
    assert (len(secret), shown.out.count(secret), shown.err) == (64, 1, "")


def test_update_when_something_is_given_then_only_that_changes(keys: Keys, capsys: Capsys) -> None:
    assert keys(*BOT, "--ip", "203.0.113.50") == 0
    assert keys("update", "bot", "--label", "quoter", "--ip", "any") == 0
    row = active(keys, capsys)["quoter"]
    assert (row["scopes"], row["ip_list"]) == (["READ_ONLY", "TRADE"], [])
    assert keys("update", "quoter", "--scope", "READ_ONLY") == 0
    assert active(keys, capsys)["quoter"]["scopes"] == ["READ_ONLY"]


def test_revoke_when_the_label_is_typed_then_the_key_is_over_for_good_and_its_label_free_again(
    keys: Keys, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keys(*BOT) == 0
    first = active(keys, capsys)["bot"]["id"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("bto\n"))
    assert keys("revoke", "bot") == 2
    assert 'what was typed is not "bot"' in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", io.StringIO("bot\n"))
    assert keys("revoke", "bot") == 0
    assert "bot" not in active(keys, capsys)
    assert keys("revoke", "bot", "--yes", "bot") == 2
    assert complaint(capsys) == 'tidegate: keys revoke: "bot" is revoked already, for good'
    assert keys("update", first, "--label", "x") == 2
    assert complaint(capsys) == f'tidegate: keys update: "{first}" is revoked already, for good'
    assert keys(*BOT) == 0
    capsys.readouterr()
    assert keys("update", "bot", "--label", "bot 2") == 0
    assert first not in capsys.readouterr().out


def test_create_when_five_are_active_then_a_sixth_is_refused_here(keys: Keys, sandbox: Sandbox, capsys: Capsys) -> None:
    for number in range(3):
        assert keys("create", "--label", f"bot {number}", "--scope", "READ_ONLY") == 0
    before = writes(sandbox)
    capsys.readouterr()
    assert keys(*BOT) == 2
    assert complaint(capsys) == "tidegate: keys create: 5 keys are active, this venue takes 5; revoke one"
    assert writes(sandbox) == before
    assert len(active(keys, capsys)) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--label", "x" * 51, "--scope", "TRADE"], "--label: has 51 characters, this venue takes 50; shorten it"),
        (["--label", "x"], "once for each of: READ_ONLY, TRADE, WITHDRAW; as little as it needs"),
        (["--label", "x", "--scope", "ADMIN"], '--scope: there is no scope "ADMIN"; known: READ_ONLY, TRADE'),
        (["--label", "x", "--scope", "TRADE", "--ip", "1.2.3"], "--ip: 1.2.3 is no address; write it as 203.0.113.50"),
        (["--label", "x", "--scope", "TRADE", "--ip", "10.0.0.0/8"], "--ip: 10.0.0.0/8 is a network, this venue takes"),
        (["--label", "x", "--scope", "TRADE", "--ip", "any", "--ip", "::1"], "--ip: any is no address"),
        (
            ["--label", "x", "--scope", "TRADE", "--expires", "2020-01-01"],
            "--expires: 2020-01-01 is past; give a later",
        ),
        (
            ["--label", "x", "--scope", "TRADE", "--expires", "soon"],
            "--expires: soon is no date; write it as 2027-01-31",
        ),
        (["--label", "x", "--scope", "TRADE", "--subaccount", "1"], "--subaccount: this venue has no such thing"),
        (["--label", "sandbox trader", "--scope", "TRADE"], 'the account has a key "sandbox trader" already'),
    ],
)
def test_create_when_something_is_wrong_then_one_line_says_so_and_nothing_is_sent(
    keys: Keys, sandbox: Sandbox, capsys: Capsys, words: list[str], message: str
) -> None:
    before = writes(sandbox)
    assert keys("create", *words) == 2
    assert message in complaint(capsys)
    assert writes(sandbox) == before


def test_create_when_the_key_may_withdraw_then_a_note_says_that_a_daemon_refuses_it(keys: Keys, capsys: Capsys) -> None:
    assert keys("create", "--label", "w", "--scope", "WITHDRAW") == 0
    assert "this key may withdraw; a daemon refuses it unless allow_withdraw_keys = true" in complaint(capsys)


def test_create_when_its_answer_is_lost_then_it_says_what_may_be_there_and_is_not_sent_again(
    keys: Keys, sandbox: Sandbox, tmp_path: Path, capsys: Capsys
) -> None:
    sandbox.fault(kind="lost_response", match={"method": "POST"})
    assert keys(*BOT, "--out", str(tmp_path / "bot.secret")) == 1
    line = complaint(capsys)
    assert line.endswith('a key "bot" may exist, and nobody has its secret: `tidegate keys list`, and revoke it')
    assert not (tmp_path / "bot.secret").exists()
    assert [row["label"] for row in listed(keys, capsys) if row["is_active"]].count("bot") == 1


def test_generate_when_the_venue_has_none_then_it_says_what_it_has(keys: Keys, capsys: Capsys) -> None:
    assert keys("generate", "--label", "x", "--scope", "TRADE") == 4
    assert complaint(capsys).endswith("its API has no generate for keys; it has list, create, update, revoke")


def token(folder: Path, text: str, mode: int = 0o600) -> str:
    """The path of a file that holds a token."""
    file = folder / "session.token"
    file.touch(mode)
    file.write_text(text)
    file.chmod(mode)
    return str(file)


def test_keys_when_the_token_is_another_then_the_line_says_how_to_get_one(
    keys: Keys, tmp_path: Path, capsys: Capsys
) -> None:
    assert keys("list", "--token-file", token(tmp_path, "eyJub2JvZHk.e30.x")) == 1
    line = complaint(capsys)
    assert "HTTP 401 invalid_or_expired_token Invalid or expired token: the session's token is refused; log in" in line
    assert "eyJ" not in line


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("t", 0o644, "mode 0644, owner "),
        ("", 0o600, "holds no secret; it must be one line"),
        ("Bearer t", 0o600, "holds no secret; it must be one line"),
    ],
)
def test_keys_when_the_token_s_file_can_not_be_used_then_it_is_named_and_nothing_is_sent(
    keys: Keys, sandbox: Sandbox, tmp_path: Path, capsys: Capsys, text: str, mode: int, message: str
) -> None:
    before = sandbox.truth()["observed"]["requests"]
    assert keys("list", "--token-file", token(tmp_path, text, mode)) == 2
    line = complaint(capsys)
    assert "--token-file=" in line
    assert message in line
    assert sandbox.truth()["observed"]["requests"] == before


def test_keys_when_no_token_is_named_then_the_line_says_where_to_get_one(
    settings: dict[str, Any], tmp_path: Path, capsys: Capsys
) -> None:
    del settings["session_token_path"]
    assert keys_of(tmp_path, "zdex", settings)("list") == 2
    line = complaint(capsys)
    assert "session_token_path: the venue wants the token of a session for that; log in on the venue's website" in line
