"""The API keys of a KalqiX account, against its local exchange: they have no labels, and one asks for another."""

from __future__ import annotations

import io
import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.kalqix.plugin import sandbox_settings
from tests.framework.cli.venue_keys import Keys, complaint, keys_of, listed
from tests.support.command_line import Capsys
from tests.support.daemon import Sandbox

ASSUMED = (
    "tidegate: note: assumed of this venue, not documented: the key in use signs for another one; the first key is "
    "made on the venue's website"
)


@pytest.fixture(scope="module", params=["a", "b"])
def sandbox(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("venue")
    exchange = Sandbox(folder, module="connectors.kalqix.sandbox", speed=0, dialect=request.param)
    yield exchange
    exchange.stop()


@pytest.fixture
def keys(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    """`tidegate keys …` on the exchange's account, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    sandbox.heal()
    return keys_of(tmp_path, "kalqix", sandbox_settings(sandbox.ready))


def names(keys: Keys, capsys: Capsys) -> set[str]:
    return {row["id"] for row in listed(keys, capsys)}


def test_list_when_asked_then_the_key_in_use_is_marked_and_nothing_secret_is_there(
    keys: Keys, sandbox: Sandbox, capsys: Capsys
) -> None:
    assert keys("list") == 0
    shown = capsys.readouterr()
    heading, *rows = shown.out.splitlines()
    assert heading.split() == ["id", "note"]
    assert f"{sandbox.ready['api_key']}  used here" in rows
    assert Path(sandbox.ready["api_secret_path"]).read_text() not in shown.out
    assert shown.err == ""


def test_create_when_a_file_is_named_then_the_new_key_works_with_it_and_is_revoked_by_its_id(
    keys: Keys, sandbox: Sandbox, tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "next.secret"
    assert keys("create", "--out", str(file), "--json") == 0
    shown = capsys.readouterr()
    made = json.loads(shown.out)
    assert made.keys() == {"id", "out"}
    assert shown.err.splitlines() == [ASSUMED]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() not in shown.out + shown.err
    own = dict(sandbox_settings(sandbox.ready)) | {"key_id": made["id"], "api_secret_path": str(file)}
    assert [row["id"] for row in listed(keys_of(tmp_path, "kalqix", own), capsys) if row["is_own"]] == [made["id"]]
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{made['id']}\n"))
    assert keys_of(tmp_path, "kalqix", sandbox_settings(sandbox.ready))("revoke", made["id"]) == 0
    shown = capsys.readouterr()
    assert f"for good?\nType its id, {made['id']}: " in shown.err
    assert shown.out.splitlines() == [f"revoked: {made['id']}"]
    assert made["id"] not in names(keys, capsys)


def test_create_when_no_file_is_named_then_the_secret_is_printed_once(keys: Keys, capsys: Capsys) -> None:
    assert keys("create") == 0
    shown = capsys.readouterr()
    first, heading, secret = shown.out.splitlines()
    assert first.startswith("id      ")
    assert heading == "secret  shown this once, and nowhere else:"
    assert (len(secret), shown.out.count(secret), shown.err.count(secret)) == (64, 1, 0)


def test_create_when_its_answer_is_lost_then_one_key_may_be_there_and_that_is_said(
    keys: Keys, sandbox: Sandbox, capsys: Capsys
) -> None:
    before = names(keys, capsys)
    sandbox.fault(kind="lost_response", match={"method": "PUT"})
    assert keys("create") == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.endswith("a key may exist, and nobody has its secret: `tidegate keys list`, and revoke it")
    assert len(names(keys, capsys) - before) == 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["create", "--label", "bot"], 2, "--label: this venue has no such thing for keys; leave it out"),
        (["create", "--scope", "read"], 2, "--scope: this venue has no such thing for keys; leave it out"),
        (["create", "--ip", "::1"], 2, "--ip: this venue has no such thing for keys; leave it out"),
        (["create", "--token-file", "t"], 2, "--token-file: venues.kalqix asks with the account's own key; leave it"),
        (["update", "x", "--label", "y"], 4, "its API has no update for keys; it has list, create, revoke"),
        (["generate", "--label", "x"], 4, "its API has no generate for keys; it has list, create, revoke"),
        (["revoke", "x", "--yes", "x"], 2, 'the account has no key "x"; known: '),
    ],
)
def test_keys_when_the_venue_does_not_have_it_then_one_line_says_so_and_nothing_changes(
    keys: Keys, capsys: Capsys, words: list[str], code: int, message: str
) -> None:
    before = names(keys, capsys)
    assert keys(*words) == code
    assert message in complaint(capsys)
    assert names(keys, capsys) == before


def test_keys_when_the_secret_is_another_s_then_the_line_says_what_to_check(
    sandbox: Sandbox, tmp_path: Path, capsys: Capsys
) -> None:
    (tmp_path / "other.secret").touch(0o600)
    (tmp_path / "other.secret").write_text("5f" * 32)
    settings = dict(sandbox_settings(sandbox.ready)) | {"api_secret_path": str(tmp_path / "other.secret")}
    assert keys_of(tmp_path, "kalqix", settings)("list") == 1
    assert "the key is refused; check key_id, api_secret_path" in complaint(capsys)
