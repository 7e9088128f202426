"""`tidegate venue`: leverage and margin mode as a local ZDEX keeps them, and everything that is refused before."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.zdex.plugin import sandbox_settings
from framework.cli.main import main
from tests.connectors.zdex.support import signed
from tests.framework.cli.venue_keys import complaint, configured
from tests.support.command_line import Capsys
from tests.support.daemon import Sandbox, get


@pytest.fixture(scope="module", params=["v1", "v2"])
def sandbox(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("venue")
    module = "connectors.zdex.sandbox"
    exchange = Sandbox(folder, module=module, speed=0, markets=2, dialect=request.param)
    yield exchange
    exchange.stop()


@pytest.fixture
def venue(sandbox: Sandbox, tmp_path: Path) -> Callable[..., int]:
    """`tidegate venue zdex …` on a fresh account of that exchange."""
    assert get(f"{sandbox.ready['admin_url']}/reset", method="POST", body={})[0] < 300
    options = configured(tmp_path, "zdex", sandbox_settings(sandbox.ready))
    return lambda *words: main(["venue", *options, "zdex", *words])


class Trader:
    """Places orders with the account's key, by code of its own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._ready = sandbox.ready
        self._stamp_ms = 0
        self.act("quote", instrument="BTCUSDT", bids=[["62999", "1"]], asks=[["63001", "1"]])

    def act(self, act: str, **fields: Any) -> None:
        status, body = get(f"{self._ready['admin_url']}/act", method="POST", body={"act": act, **fields})
        assert status == 200, body

    def buy(self, quantity: str) -> None:
        body = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": quantity, "price": "63001"}
        self._ask("POST", "/orders", body)

    def position(self) -> dict[str, Any]:
        (row,) = self._ask("GET", "/positions")["positions"]
        return dict(row)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        self._stamp_ms = max(self._stamp_ms + 1, time.time_ns() // 1_000_000)
        query = signed(Path(self._ready["api_secret_path"]).read_text(), {}, self._stamp_ms)
        request = urllib.request.Request(
            f"{self._ready['rest_url']}{path}?{query}",
            None if body is None else json.dumps(body).encode(),
            {"X-API-KEY": self._ready["api_key"], "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)


def test_leverage_and_margin_when_they_are_set_then_the_next_position_has_them(
    venue: Callable[..., int], sandbox: Sandbox, capsys: Capsys
) -> None:
    assert venue("leverage", "BTCUSDT", "7") == 0
    assert venue("margin", "BTCUSDT", "isolated") == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["BTCUSDT: leverage is 7", "BTCUSDT: margin mode is ISOLATED"]
    assert shown.err == ""
    trader = Trader(sandbox)
    trader.buy("0.01")
    position = trader.position()
    assert (position["leverage"], position["marginMode"].upper()) == (7, "ISOLATED")


def test_leverage_when_a_position_is_open_then_it_keeps_its_own_and_the_line_says_what_to_do(
    venue: Callable[..., int], sandbox: Sandbox, capsys: Capsys
) -> None:
    trader = Trader(sandbox)
    trader.buy("0.01")
    assert venue("leverage", "BTCUSDT", "5") == 2
    assert "leverage=5: BTCUSDT has an open position at 10; close it first, or leave leverage out" in complaint(capsys)
    assert trader.position()["leverage"] == 10
    assert venue("leverage", "ETHUSDT", "5") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["leverage", "BTCUSDT", "126"], "leverage=126: BTCUSDT takes a whole number from 1 to 125"),
        (["leverage", "BTCUSDT", "0"], "leverage=0: BTCUSDT takes a whole number from 1 to 125"),
        (["leverage", "BTCUSDT", "2.5"], "leverage=2.5: BTCUSDT takes a whole number from 1 to 125"),
        (["leverage", "NOUSDT", "5"], '"NOUSDT": the venue has no such market; check the name'),
        (["margin", "BTCUSDT", "half"], "margin=HALF: BTCUSDT takes CROSSED or ISOLATED"),
        (["leverge", "BTCUSDT", "5"], '"leverge BTCUSDT 5": say leverage SYMBOL N, or margin SYMBOL CROSSED|ISOLATED'),
        (["leverage"], '"leverage": say leverage SYMBOL N, or margin SYMBOL CROSSED|ISOLATED'),
    ],
)
def test_words_when_the_venue_does_not_have_it_then_one_line_says_what_it_takes_and_nothing_is_sent(
    venue: Callable[..., int], sandbox: Sandbox, capsys: Capsys, words: list[str], message: str
) -> None:
    assert venue(*words) == 2
    assert complaint(capsys).endswith(message)
    assert not any(route.startswith("POST") for route in sandbox.truth()["observed"]["requests"])


def test_leverage_when_the_key_may_only_read_then_the_refusal_is_the_venue_s(
    sandbox: Sandbox, tmp_path: Path, capsys: Capsys
) -> None:
    ready = sandbox.ready
    reader = {"key_id": ready["reader_api_key"], "secret_path": ready["reader_api_secret_path"]}
    options = configured(tmp_path, "zdex", dict(sandbox_settings(ready)) | reader)
    assert main(["venue", *options, "zdex", "leverage", "BTCUSDT", "5"]) == 2
    assert "leverage=5: the venue refuses it for BTCUSDT: missing_permission_trade" in complaint(capsys)


def test_leverage_when_its_answer_is_lost_then_it_is_sent_again_and_comes_to_the_same(
    venue: Callable[..., int], sandbox: Sandbox, capsys: Capsys
) -> None:
    sandbox.fault(kind="lost_response", match={"method": "POST"})
    assert venue("leverage", "BTCUSDT", "9") == 0
    assert capsys.readouterr().out == "BTCUSDT: leverage is 9\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-c", "sandbox", "zdex", "leverage"], 'venue: there is no venue "zdex"; known: kalshi'),
        (["-c", "sandbox", "kalshi", "leverage"], "venue kalshi: there is nothing to set at connectors.kalshi.plugin"),
        (
            ["-c", "sandbox", "-c", "embedded", "zdex", "leverage", "BTCUSDT", "5"],
            "venue zdex: its embedded sandbox runs with the daemon only; start it with `tidegate sandbox` and give its "
            "address in the settings",
        ),
    ],
)
def test_venue_when_there_is_nothing_to_ask_then_one_line_says_so(
    tmp_path: Path, capsys: Capsys, words: list[str], message: str
) -> None:
    embedded = tmp_path / "embedded.toml"
    embedded.write_text(
        '[venues.zdex]\nuse = "connectors.zdex.plugin"\nembedded_sandbox = true\n[venues.zdex.settings]\n'
        'markets = ["*"]\n'
    )
    given = [str(embedded) if word == "embedded" else word for word in words]
    assert main(["venue", *given]) == 2
    assert complaint(capsys).endswith(message)


def elsewhere(folder: Path, origin: str) -> list[str]:
    """The options that name an account at an address where no exchange is."""
    secret = folder / "zdex.secret"
    secret.touch(0o600)
    secret.write_text("5f" * 32)
    urls = {"rest_url": f"{origin}/v1", "ws_url": f"{origin.replace('http', 'ws')}/ws"}
    return configured(folder, "zdex", urls | {"key_id": "k", "secret_path": str(secret)})


@pytest.mark.parametrize(("is_in_file", "words"), [(True, []), (False, ["--live"])])
def test_venue_when_it_is_not_on_this_machine_then_both_words_for_live_are_needed(
    tmp_path: Path, capsys: Capsys, is_in_file: bool, words: list[str]
) -> None:
    (tmp_path / "live.toml").write_text(f"live = {str(is_in_file).lower()}\n")
    options = [*elsewhere(tmp_path, "https://venue.invalid"), "-c", str(tmp_path / "live.toml"), *words]
    assert main(["venue", *options, "zdex", "leverage", "BTCUSDT", "5"]) == 2
    line = complaint(capsys)
    assert "venues.zdex: its addresses are not on this machine; changing an account needs both `live = true`" in line


def test_venue_when_nobody_answers_then_one_line_says_so(tmp_path: Path, capsys: Capsys) -> None:
    options = elsewhere(tmp_path, "http://127.0.0.1:1")
    assert main(["venue", *options, "zdex", "leverage", "BTCUSDT", "5"]) == 1
    line = complaint(capsys)
    assert line.startswith("tidegate: venue zdex: GET /v1/market/symbols: ")
    assert "nothing was sent" in line
