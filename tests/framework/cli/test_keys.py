"""The API keys of an account, against the local Kalshi: what is sent, where a secret goes, what is refused before."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519, rsa

from framework.cli.main import main
from tests.framework.cli.test_dry_run import away
from tests.support.command_line import Capsys
from tests.support.daemon import ROOT, Sandbox, get, venue_toml

SECRET = "PRIVATE KEY-----\n"
Keys: TypeAlias = Callable[..., int]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    exchange = Sandbox(tmp_path_factory.mktemp("venue"), speed=0)
    yield exchange
    exchange.stop()


@pytest.fixture(autouse=True)
def _alone(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test in a folder of its own, and without the keys and faults of the one before."""
    monkeypatch.chdir(tmp_path)
    sandbox.heal()
    reset(sandbox)


def reset(sandbox: Sandbox) -> None:
    assert get(f"{sandbox.ready['admin_url']}/reset", method="POST", body={})[0] < 300


def configured(sandbox: Sandbox, folder: Path, **settings: object) -> list[str]:
    file = folder / "account.toml"
    file.write_text(venue_toml(sandbox.ready, **settings))
    return ["-c", "sandbox", "-c", str(file), "--venue", "kalshi"]


@pytest.fixture
def keys(sandbox: Sandbox, tmp_path: Path) -> Keys:
    """`tidegate keys …` on the sandbox's account."""
    options = configured(sandbox, tmp_path)
    return lambda *words: main(["keys", *words, *options])


def listed(keys: Keys, capsys: Capsys) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert keys("list", "--json") == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def labels(keys: Keys, capsys: Capsys) -> list[str]:
    return [row["label"] for row in listed(keys, capsys)]


def complaint(capsys: Capsys) -> str:
    """The one line of standard error."""
    (line,) = capsys.readouterr().err.splitlines()
    return line


def public_pem(key: Any) -> str:
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_key().public_bytes(*form).decode())


GENERATE = ("generate", "--label", "bot", "--scope", "read", "--key-type", "ed25519")


def test_list_when_asked_then_each_key_is_a_row_and_the_one_in_use_is_marked(
    keys: Keys, sandbox: Sandbox, capsys: Capsys
) -> None:
    assert keys("list") == 0
    heading, own, *_ = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "label", "scopes", "note"]
    assert re.split("  +", own) == [sandbox.ready["key_id"], "sandbox rsa", "read, write", "used here"]


def test_generate_when_a_file_is_named_then_the_secret_is_there_alone_for_its_owner_and_works(
    keys: Keys, sandbox: Sandbox, tmp_path: Path, capsys: Capsys
) -> None:
    file = tmp_path / "bot.pem"
    before = os.umask(0)
    try:
        assert keys(*GENERATE, "--scope", "write", "--out", str(file)) == 0
    finally:
        os.umask(before)
    shown = capsys.readouterr()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().count(SECRET) == 2  # its first and its last line
    assert SECRET not in shown.out + shown.err
    key_id = shown.out.splitlines()[0].split()[1]

    options = configured(sandbox, tmp_path, key_id=key_id, private_key_path=str(file))
    assert main(["keys", "list", *options]) == 0
    (own,) = [line for line in capsys.readouterr().out.splitlines() if line.endswith("used here")]
    assert key_id in own


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_generate_when_no_file_is_named_then_the_secret_is_printed_once_and_kept_nowhere(
    keys: Keys, sandbox: Sandbox, tmp_path: Path, capsys: Capsys, form: tuple[str, ...]
) -> None:
    assert keys(*GENERATE, *form) == 0
    shown = capsys.readouterr()
    text = json.loads(shown.out)["secret"] if form else shown.out[shown.out.index("-----BEGIN") :]
    secret = text.splitlines()[1]
    assert shown.out.count(secret) == 1
    assert shown.err == ""
    kept = [*tmp_path.rglob("*"), *Path(sandbox.ready["private_key_path"]).parent.rglob("*")]
    assert [path for path in kept if path.is_file() and secret in path.read_text()] == []


def test_generate_when_the_file_exists_then_it_is_left_and_nothing_is_made(
    keys: Keys, tmp_path: Path, capsys: Capsys
) -> None:
    file = tmp_path / "bot.pem"
    file.write_text("mine")
    (tmp_path / "link.pem").symlink_to(tmp_path / "elsewhere.pem")
    assert keys(*GENERATE, "--out", str(file)) == 2
    assert complaint(capsys).endswith("bot.pem: exists already, and is not overwritten; name a new file")
    assert keys(*GENERATE, "--out", str(tmp_path / "link.pem")) == 2
    assert keys(*GENERATE, "--out", str(tmp_path / "nowhere" / "bot.pem")) == 2
    assert "can't be made: No such file or directory" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert not (tmp_path / "elsewhere.pem").exists()
    assert "bot" not in labels(keys, capsys)


@pytest.mark.parametrize("where", ["file", "full", "pipe"])
def test_generate_when_the_secret_can_not_be_handed_over_then_the_key_is_revoked(
    keys: Keys, sandbox: Sandbox, tmp_path: Path, capsys: Capsys, where: str
) -> None:
    options = configured(sandbox, tmp_path)
    words = [*GENERATE, *options, *(("--out", str(tmp_path / "bot.pem")) if where == "file" else ())]
    reader, writer = os.pipe()
    os.close(reader)
    with open("/dev/full" if where == "full" else os.devnull, "w") as full, os.fdopen(writer, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "framework", "keys", *words],
            cwd=ROOT,
            stdout=pipe if where == "pipe" else full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))) if where == "file" else None,
        )
    assert done.returncode == 1
    assert "could not be written" in done.stderr
    assert "the key is revoked, nothing is left" in done.stderr
    assert SECRET not in done.stderr
    assert not (tmp_path / "bot.pem").exists()
    assert "bot" not in labels(keys, capsys)


def test_generate_when_its_answer_is_lost_then_it_says_what_may_be_there_and_is_not_sent_again(
    keys: Keys, sandbox: Sandbox, tmp_path: Path, capsys: Capsys
) -> None:
    sandbox.fault(kind="lost_response", match={"method": "POST"})
    assert keys(*GENERATE, "--out", str(tmp_path / "bot.pem")) == 1
    line = complaint(capsys)
    assert line.endswith('a key "bot" may exist, and nobody has its secret: `tidegate keys list`, and revoke it')
    assert not (tmp_path / "bot.pem").exists()
    assert labels(keys, capsys).count("bot") == 1
    assert keys("revoke", "bot", "--yes", "bot") == 0
    assert "bot" not in labels(keys, capsys)


def test_generate_when_the_rate_limit_is_used_up_then_it_is_tried_again_and_then_says_who_uses_it(
    keys: Keys, sandbox: Sandbox, tmp_path: Path, capsys: Capsys
) -> None:
    sandbox.fault(kind="rate_limit_storm", match={"method": "POST"}, count=2)
    assert keys(*GENERATE) == 0
    capsys.readouterr()
    sandbox.fault(kind="rate_limit_storm", match={"method": "DELETE"}, count=20)
    assert keys("revoke", "bot", "--yes", "bot") == 1
    assert complaint(capsys).endswith(
        "nothing was done: the account's rate limit is used up, as by a daemon that trades on it: halt that one for a "
        "moment (tidegate halt), or try again"
    )
    sandbox.heal()
    assert "bot" in labels(keys, capsys)


def test_generate_when_the_label_is_taken_then_nothing_is_made(keys: Keys, capsys: Capsys) -> None:
    assert keys(*GENERATE) == 0
    capsys.readouterr()
    assert keys(*GENERATE) == 2
    assert 'the account has a key "bot" already; give another label' in complaint(capsys)
    assert labels(keys, capsys).count("bot") == 1


def test_create_when_the_tier_is_too_low_then_the_refusal_says_what_to_do(
    keys: Keys, tmp_path: Path, capsys: Capsys
) -> None:
    (tmp_path / "own.pub").write_text(public_pem(ed25519.Ed25519PrivateKey.generate()))
    assert keys("create", "--label", "own", "--scope", "read", "--public-key", "own.pub") == 1
    assert complaint(capsys) == (
        "tidegate: forbidden: a public key of one's own is taken from the usage levels Premier and Market Maker up, "
        "and this account's is basic; have the venue make the pair: tidegate keys generate"
    )


def test_create_when_the_tier_allows_it_then_the_own_key_signs_and_no_secret_is_shown(
    tmp_path: Path, capsys: Capsys
) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    (tmp_path / "own.pub").write_text(public_pem(private))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "own.pem").touch(0o600)
    (tmp_path / "own.pem").write_bytes(private.private_bytes(*pem))
    exchange = Sandbox(tmp_path / "premier", speed=0, tier="premier")
    try:
        options = configured(exchange, tmp_path)
        own = ("--label", "own", "--scope", "read", "--public-key", "own.pub", "--subaccount", "0", "--json")
        assert main(["keys", "create", *own, *options]) == 0
        made = json.loads(capsys.readouterr().out)
        assert made.keys() == {"id", "label", "scopes"}
        own_options = configured(
            exchange, tmp_path, key_id=made["id"], private_key_path=str(tmp_path / "own.pem"), subaccount=0
        )
        assert main(["keys", "list", "--json", *own_options]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(row["label"], row["subaccount"]) for row in rows if row["is_own"]] == [("own", 0)]
    finally:
        exchange.stop()


def written(folder: Path, text: str) -> str:
    (folder / "given.pub").write_text(text)
    return "given.pub"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("own", "the file holds a private key, which must not leave this machine; give its public half"),
        ("hello", "the file holds no PEM public key; make one with `openssl pkey -in FILE -pubout`"),
        (
            public_pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),  # noqa: S505 - refused
            "RSA key of 1024 bits; use 2048 or more",
        ),
        (public_pem(dsa.generate_private_key(key_size=2048)), "is not supported; use RSA or Ed25519"),
    ],
    ids=["private", "text", "short", "dsa"],
)
def test_create_when_the_file_holds_no_usable_public_key_then_it_is_not_sent(
    keys: Keys, sandbox: Sandbox, tmp_path: Path, capsys: Capsys, text: str, message: str
) -> None:
    own = Path(sandbox.ready["private_key_path"]).read_text()
    name = written(tmp_path, own if text == "own" else text)
    before = posts(sandbox)
    assert keys("create", "--label", "own", "--scope", "read", "--public-key", name) == 2
    line = complaint(capsys)
    assert message in line
    assert own.splitlines()[1] not in line
    assert posts(sandbox) == before


def posts(sandbox: Sandbox) -> dict[str, int]:
    """How often each route of a POST was asked."""
    return {route: count for route, count in sandbox.truth()["requests"].items() if route.startswith("POST")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lst"], 'keys: there is no action "lst"; did you mean "list"?'),
        (["list", "--label", "x"], "keys list: --label goes with create and generate and update only; leave it out"),
        (["list", "x"], "keys list: a key (x) goes with update and revoke only; leave it out"),
        (["revoke"], "keys revoke: name the key by its id or label; `tidegate keys list` shows both"),
        (["generate", "--scope", "read"], "--label: say what the key is for"),
        (["generate", "--label", " ", "--scope", "read"], "--label: must be one line of visible text"),
        (["generate", "--label", "a\nb", "--scope", "read"], "--label: must be one line of visible text"),
        (["generate", "--label", "x" * 101, "--scope", "read"], "has 101 characters, this venue takes 100; shorten it"),
        (["generate", "--label", "x"], "--scope: say what the key may do, once for each of: read, "),
        (["generate", "--label", "x", "--scope", "wirte"], 'there is no scope "wirte"; did you mean "write"?'),
        (["generate", "--label", "x", "--scope", "write"], "--scope: write needs read, too; give both"),
        (["generate", "--label", "x", "--scope", "read", "--key-type", "dsa"], 'there is no type "dsa"; did you mean'),
        (["generate", "--label", "x", "--scope", "read", "--ip", "1.2.3.4"], "--ip: this venue has no such thing"),
        (["generate", "--label", "x", "--scope", "read", "--expires", "2099-01-01"], "--expires: this venue has no"),
        (["generate", "--label", "x", "--scope", "read", "--token-file", "t"], "asks with the account's own key"),
        (["create", "--label", "x", "--scope", "read"], "--public-key: give the PEM file of a public key of your own"),
        (["create", "--label", "x", "--scope", "read", "--public-key", "no.pub"], "no.pub: can't be read: No such"),
        (["revoke", "nobody", "--yes", "nobody"], 'the account has no key "nobody"; known: '),
        (["revoke", "sandbox rs", "--yes", "x"], 'the account has no key "sandbox rs"; did you mean "sandbox rsa"?'),
        (["revoke", "sandbox ed25519"], '2 keys have the label "sandbox ed25519"; name one by id: '),
    ],
)
def test_keys_when_the_command_is_wrong_then_one_line_says_so_and_nothing_is_changed(
    keys: Keys, capsys: Capsys, words: list[str], message: str
) -> None:
    before = listed(keys, capsys)
    assert keys(*words) == 2
    assert message in complaint(capsys)
    assert listed(keys, capsys) == before


def test_create_when_a_file_for_its_secret_is_named_then_there_is_none(
    keys: Keys, tmp_path: Path, capsys: Capsys
) -> None:
    name = written(tmp_path, public_pem(ed25519.Ed25519PrivateKey.generate()))
    assert keys("create", "--label", "x", "--scope", "read", "--public-key", name, "--out", "x.pem") == 2
    assert "--out: a key of your own has no secret that the venue could give" in complaint(capsys)


def test_revoke_when_the_label_is_typed_again_then_the_key_is_gone(
    keys: Keys, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keys(*GENERATE) == 0
    capsys.readouterr()
    monkeypatch.setattr(sys, "stdin", io.StringIO("bto\n"))
    assert keys("revoke", "bot") == 2
    assert 'what was typed is not "bot"' in capsys.readouterr().err
    assert keys("revoke", "bot", "--yes", "bots") == 2
    assert '--yes is not "bot", which ' in complaint(capsys)
    assert "bot" in labels(keys, capsys)
    monkeypatch.setattr(sys, "stdin", io.StringIO("bot\n"))
    assert keys("revoke", "bot") == 0
    shown = capsys.readouterr()
    assert "(read) for good?\nType its label, bot: " in shown.err
    assert shown.out.startswith("revoked: ")
    assert "bot" not in labels(keys, capsys)


def test_revoke_when_nobody_answers_then_nothing_is_done(
    keys: Keys, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert keys("revoke", "sandbox rsa") == 2
    shown = capsys.readouterr().err
    assert "this is the key of venues.kalshi itself: a daemon that trades with it is refused" in shown
    assert 'nothing was done; in a script give --yes "sandbox rsa"' in shown
    assert "sandbox rsa" in labels(keys, capsys)


def test_revoke_when_it_is_the_own_key_then_the_next_command_is_refused_in_one_line(keys: Keys, capsys: Capsys) -> None:
    assert keys("revoke", "sandbox rsa", "--yes", "sandbox rsa", "--json") == 0
    assert json.loads(capsys.readouterr().out)["done"] == "revoked"
    assert keys("list") == 1
    assert "the key is refused; check key_id, private_key_path" in complaint(capsys)


def test_generate_when_the_key_may_only_read_then_the_refusal_names_its_scopes(
    sandbox: Sandbox, tmp_path: Path, capsys: Capsys
) -> None:
    ready = sandbox.ready
    reader = {"key_id": ready["read_only_key_id"], "private_key_path": ready["ed25519_private_key_path"]}
    options = configured(sandbox, tmp_path, **reader)
    assert main(["keys", *GENERATE, *options]) == 1
    may_not = "the key of venues.kalshi may not change keys, its scopes are read; use one with write"
    assert complaint(capsys) == f"tidegate: forbidden: {may_not}"
    assert main(["keys", "revoke", "sandbox rsa", "--yes", "sandbox rsa", *options]) == 1
    assert may_not in complaint(capsys)


def test_keys_when_the_secret_is_another_venue_s_then_one_line_says_so(
    sandbox: Sandbox, tmp_path: Path, capsys: Capsys
) -> None:
    (tmp_path / "hmac.secret").touch(0o600)
    (tmp_path / "hmac.secret").write_text("5f" * 32)
    options = configured(sandbox, tmp_path, private_key_path=str(tmp_path / "hmac.secret"))
    assert main(["keys", "list", *options]) == 2
    assert complaint(capsys).endswith("hmac.secret: not a PEM private key; download it again")
    options = configured(sandbox, tmp_path, key_id="00000000-0000-0000-0000-000000000000")
    assert main(["keys", "list", *options]) == 1
    assert "HTTP 401 authentication_error NOT_FOUND: the key is refused" in complaint(capsys)


def test_update_when_the_venue_has_none_then_it_says_what_it_has_with_a_code_of_its_own(
    keys: Keys, capsys: Capsys
) -> None:
    assert keys("update", "sandbox rsa", "--label", "x") == 4
    has = "its API has no update for keys; it has list, create, generate, revoke"
    assert complaint(capsys) == f"tidegate: venues.kalshi: {has}"


def test_keys_when_the_venue_has_no_such_api_then_one_line_says_so_with_a_code_of_its_own(
    tmp_path: Path, capsys: Capsys
) -> None:
    file = tmp_path / "example.toml"
    file.write_text(
        f'plugin_paths = ["{ROOT}/tests/support/example_venue"]\n[venues.spot]\nuse = "example.plugin"\n'
        'embedded_sandbox = true\n[venues.spot.settings]\nmarkets = ["*"]\n'
    )
    assert main(["keys", "list", "-c", "sandbox", "-c", str(file), "--venue", "spot"]) == 4
    explained = "this venue has no API for keys; make and revoke them on its website"
    assert complaint(capsys) == f"tidegate: venues.spot: {explained}"


@pytest.mark.parametrize("verb", ["list", "create", "revoke"])
def test_keys_when_the_venue_says_where_they_are_made_then_the_line_does(capsys: Capsys, verb: str) -> None:
    words = ["keys", verb, *(["x"] if verb == "revoke" else []), "--venue", "bitexasia"]
    assert main([*words, "-c", "sandbox", "-c", str(ROOT / "config" / "bitexasia.toml")]) == 4
    assert complaint(capsys) == (
        "tidegate: venues.bitexasia: this venue has no API for keys; make, scope and revoke them in the account "
        "settings of its website"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-c", "sandbox"], "--venue: name the account; known: kalshi"),
        (["-c", "sandbox", "--venue", "kalsi"], 'there is no venue "kalsi"; did you mean "kalshi"?'),
        (["-c", "sandbox", "--venue", "kalshi"], "its embedded sandbox lives only while its daemon does"),
    ],
)
def test_keys_when_no_account_is_named_that_can_be_asked_then_one_line_says_so(
    capsys: Capsys, options: list[str], message: str
) -> None:
    assert main(["keys", "list", *options]) == 2
    assert message in complaint(capsys)


@pytest.mark.parametrize(("is_in_file", "words"), [(True, []), (False, ["--live"])])
def test_keys_when_the_venue_is_not_on_this_machine_then_both_words_for_live_are_needed(
    tmp_path: Path, capsys: Capsys, is_in_file: bool, words: list[str]
) -> None:
    options = away(tmp_path, "https://venue.invalid", live=is_in_file)
    assert main(["keys", "list", "--venue", "kalshi", *options, *words]) == 2
    assert "asking it needs both `live = true`" in complaint(capsys)


def test_keys_when_nobody_answers_then_one_line_says_so(tmp_path: Path, capsys: Capsys) -> None:
    assert main(["keys", "list", "--venue", "kalshi", *away(tmp_path, "http://127.0.0.1:1")]) == 1
    line = complaint(capsys)
    assert line.startswith("tidegate: venues.kalshi can't be asked now: GET /trade-api/v2/exchange/status: ")
    assert line.endswith("; nothing was sent; check its address and the network")
