"""What the daemon loads of the venue: light, and started by the configuration that is shipped."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from connectors.client.wire import wallet_sign
from connectors.kalqix.connector import make_connector
from connectors.kalqix.plugin import SandboxOptions, sandbox_settings
from connectors.kalqix.sandbox import signatures
from connectors.kalqix.settings import KalqixSettings
from framework.domain.errors import ConfigurationError
from framework.runtime.clock import SystemClock, system_rng

ROOT = Path(__file__).parents[3]
HEAVY = ("coincurve", "eth_account", "eth_keys", "Crypto")
READY: dict[str, Any] = {
    "ready": True, "venue": "kalqix", "dialect": "a", "rest_url": "http://127.0.0.1:1/v1", "ws_url": None,
    "admin_url": "http://127.0.0.1:1/admin", "api_key": "k", "api_secret_path": "/s", "wallet_address": "0x1",
    "wallet_key_path": "/w",
}  # fmt: skip


def test_plugin_when_it_is_loaded_then_no_wallet_library_is() -> None:
    code = f"import sys, connectors.kalqix.plugin; print([one for one in {HEAVY} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_connector_when_the_signing_library_is_missing_then_the_start_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text("11" * 32)
    file.chmod(0o600)

    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name.partition(':')[0]!r}")

    monkeypatch.setattr(wallet_sign, "load_late", missing)
    settings = KalqixSettings(key_id="k", api_secret_path=file, wallet_key_path=file, markets=("*",))
    with pytest.raises(ConfigurationError, match=r"needs coincurve .*; install coincurve>=21"):
        make_connector("kalqix", settings, clock=SystemClock(), rng=system_rng())


def test_sandbox_when_addresses_would_be_recovered_in_python_then_it_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signatures.require_curve_library()
    monkeypatch.setattr(signatures, "get_backend", object)
    with pytest.raises(ValueError, match="eth-account does not use coincurve; install coincurve>=21"):
        signatures.require_curve_library()


def test_ready_line_when_it_becomes_settings_then_each_dialect_has_its_key() -> None:
    assert sandbox_settings(READY) == {
        "rest_url": READY["rest_url"], "dialect": "a", "key_id": "k", "api_secret_path": "/s", "wallet_key_path": "/w",
    }  # fmt: skip
    other = sandbox_settings(READY | {"dialect": "b", "agent_index": 6, "agent_key_path": "/a"})
    assert (other["agent_index"], other["agent_key_path"], "wallet_key_path" in other) == (6, "/a", False)


def test_configuration_when_it_is_shipped_then_every_setting_stands_in_it_and_it_is_valid() -> None:
    text = (ROOT / "config" / "kalqix.toml").read_text()
    tree = tomllib.loads(text)
    assert [name for name in KalqixSettings.model_fields if f"{name} = " not in text] == []
    options = SandboxOptions(**tree["venues"]["kalqix"]["sandbox"]["options"])
    assert options.dialect == "a"
    command = [sys.executable, "-m", "framework", "check-config", "-c", "config/kalqix.toml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dialect", ["a", "b"])
def test_sandbox_when_it_is_started_then_its_line_names_addresses_dialect_and_keys_of_its_owner_only(
    tmp_path: Path, dialect: str
) -> None:
    command = [sys.executable, "-m", "framework", "sandbox", "kalqix", "--dialect", dialect, "--dir", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        ready = json.loads(process.stdout.readline())
        process.terminate()
        process.wait(10)
    more = {"agent_index", "agent_key_path"} if dialect == "b" else set()
    assert ready.keys() == READY.keys() | more
    assert (ready["venue"], ready["dialect"], ready["ws_url"]) == ("kalqix", dialect, None)
    assert ready["rest_url"].endswith("/v1")
    files = [Path(value) for name, value in ready.items() if name.endswith("_path")]
    assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600"] * len(files)
    keys = [bytes.fromhex(Path(ready[name]).read_text()) for name in ready if name.endswith("_key_path")]
    assert {len(key) for key in keys} == {32}
