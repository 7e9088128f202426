"""What an account's table may say, and what stands between an assumption and real money."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.bitexasia.dialect import ASSUMPTIONS, PLACEHOLDERS
from connectors.bitexasia.limits import limits_of, terms_of
from connectors.bitexasia.plugin import SandboxOptions, Settings, create, sandbox_settings
from framework.domain.errors import ConfigurationError
from framework.domain.orders import OrderKind, TimeInForce, TriggerKind
from framework.domain.rate_limits import PoolShape, RequestKind
from framework.domain.venue import Connector
from framework.runtime.clock import SystemClock, seeded_rng
from framework.venues import refuse_assumed_signing
from tests.architecture.source_tree import ROOT, product_files

CLIENT_LINES_MAX = 1_200
AWAY = {"rest_url": "https://api.bitexasia.com/v1", "ws_url": "wss://stream.example/v1"}


def settings(directory: Path, **changes: Any) -> Settings:
    secret = directory / "secret"
    secret.touch(mode=0o600)
    secret.write_text("hkt_secret\n")
    return Settings(**AWAY | {"key_id": "k", "secret_path": secret, "markets": ("*",)} | changes)


def connector(directory: Path, **changes: Any) -> Connector:
    return create("bx", settings(directory, **changes), clock=SystemClock(), rng=seeded_rng(1))


@pytest.mark.parametrize("name", ["rest_url", "ws_url", "key_id", "secret_path", "markets"])
def test_settings_when_an_address_or_key_is_missing_then_there_is_no_guess_in_its_place(name: str) -> None:
    given = AWAY | {"key_id": "k", "secret_path": "x", "markets": ["*"]}
    with pytest.raises(ValidationError, match=name):
        Settings(**{key: value for key, value in given.items() if key != name})  # type: ignore[arg-type]


@pytest.mark.parametrize("host", PLACEHOLDERS)
def test_placeholders_when_the_product_is_searched_then_no_default_and_no_example_uses_one(host: str) -> None:
    texts = [one.text for one in product_files() if one.name != "connectors/bitexasia/dialect.py"]
    texts += [file.read_text() for file in (ROOT / "config").glob("*.toml")]
    lines = [line for text in texts for line in text.splitlines() if host in line and not line.startswith("#")]
    assert lines == []


def test_client_when_its_lines_are_counted_then_it_is_small() -> None:
    files = [one for one in product_files() if one.name.startswith("connectors/bitexasia/")]
    lines = sum(one.lines for one in files if "/sandbox/" not in one.name)
    print(f"connectors/bitexasia: {lines} lines without its sandbox")
    assert 0 < lines <= CLIENT_LINES_MAX


def test_configuration_when_it_is_read_then_it_explains_every_key() -> None:
    lines = (ROOT / "config" / "bitexasia.toml").read_text().splitlines()
    named = {line.removeprefix("# ").partition(" = ")[0] for line in lines if " = " in line}
    assert set(Settings.model_fields) - named == set()
    assert set(SandboxOptions.model_fields) - named == set()


def test_signing_when_the_address_is_not_on_this_machine_then_it_needs_a_permission_of_its_own(tmp_path: Path) -> None:
    away = connector(tmp_path)
    with pytest.raises(ConfigurationError, match="accept_assumptions = true"):
        refuse_assumed_signing(away, is_accepted=False)
    refuse_assumed_signing(away, is_accepted=True)
    here = {"rest_url": "http://127.0.0.1:1/v1", "ws_url": "ws://127.0.0.1:1/ws"}
    refuse_assumed_signing(connector(tmp_path, **here), is_accepted=False)


def test_one_address_when_it_is_elsewhere_then_the_connector_is_not_on_this_machine(tmp_path: Path) -> None:
    assert not connector(tmp_path, rest_url="http://127.0.0.1:1/v1").is_loopback
    assert not connector(tmp_path, ws_url="ws://127.0.0.1:1/ws").is_loopback


def test_assumptions_when_listed_then_each_is_a_sentence_and_the_signature_is_among_them(tmp_path: Path) -> None:
    assert connector(tmp_path).assumptions == ASSUMPTIONS
    assert len(ASSUMPTIONS) > 10
    assert all(one.endswith(".") for one in ASSUMPTIONS)
    assert any("line breaks" in one for one in ASSUMPTIONS)


def test_connector_when_shown_then_its_secret_is_not(tmp_path: Path) -> None:
    made = connector(tmp_path)
    assert "hkt_secret" not in f"{made!r} {made.gateway!r} {settings(tmp_path)!r}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rest_url", "http://api.bitexasia.com/v1"),
        ("ws_url", "https://stream.example"),
        ("taker_fee", "1.5"),
        ("sign_encoding", "utf-7"),
        ("sign_separator", "||"),
        ("drift_ms", 5),
        ("depth", 5_000),
        ("key_rights", ("admin",)),
        ("secret", "hkt_secret"),
    ],
)
def test_setting_when_it_is_wrong_then_it_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        settings(tmp_path, **{name: value})


def test_secret_when_others_may_read_it_then_it_is_refused(tmp_path: Path) -> None:
    made = settings(tmp_path)
    made.secret_path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="secret_path"):
        create("bx", made, clock=SystemClock(), rng=seeded_rng(1))


def test_terms_when_optional_fields_are_off_then_only_documented_orders_are_offered() -> None:
    terms = terms_of(optional_fields=False)
    assert terms.times_in_force == (TimeInForce.GOOD_TILL_CANCELLED,)
    assert not terms.post_only
    assert (terms.order_kinds, terms.triggers) == (tuple(OrderKind), (TriggerKind.STOP,))
    assert terms_of(optional_fields=True).times_in_force == tuple(TimeInForce)


def test_limits_when_declared_then_they_are_one_window_of_a_minute() -> None:
    limits = limits_of(1_200)
    (pool,) = limits.pools
    assert (pool.capacity, pool.period_ns, pool.shape) == (1_200, 60_000_000_000, PoolShape.WINDOW)
    assert all(limits.cost(kind)[0].tokens == 1 for kind in RequestKind)


def test_ready_line_when_mapped_then_addresses_and_the_trading_key_are_settings() -> None:
    ready = {"rest_url": "http://127.0.0.1:1/v1", "ws_url": "ws://127.0.0.1:1/ws", "api_key": "k"}
    found = sandbox_settings(ready | {"api_secret_path": "file", "venue": "bitexasia"})
    assert found == {"rest_url": ready["rest_url"], "ws_url": ready["ws_url"], "key_id": "k", "secret_path": "file"}
    assert SandboxOptions().model_dump() == {"dialect": "v1", "limit": 1_200, "depth": 100}
