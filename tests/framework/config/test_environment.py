"""Variables and secret files: which key each name means, and nothing of its text lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from framework.config.environment import Variable, from_environment, from_secrets, injected_names
from framework.domain.errors import ConfigurationError


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("TIDEGATE_LIVE", ("live",)),
        ("TIDEGATE_HTTP__PORT", ("http", "port")),
        ("tidegate_http__Port", ("http", "port")),
        ("TIDEGATE_HTTP__PROT", ("http", "prot")),
        ("TIDEGATE_CHECKS", ("checks",)),
        ("TIDEGATE_CHECKS__MAX_ORDER_SIZE__SETTINGS__MAX_SIZE", ("checks", "max_order_size", "settings", "max_size")),
        ("TIDEGATE_VENUES__KALSHI__SETTINGS__API_SECRET", ("venues", "kalshi", "settings", "api_secret")),
        ("TIDEGATE_STRATEGIES__MM__SETTINGS__BAND__TICKS", ("strategies", "mm", "settings", "band", "ticks")),
    ],
)
@pytest.mark.parametrize("text", ["0.10", "1", "true", '["a"]', "{", "", " x ", "null"])
def test_variable_when_named_like_a_key_then_its_path_is_found_and_its_text_untouched(
    name: str, path: tuple[str, ...], text: str
) -> None:
    assert list(from_environment({name: text})) == [Variable(path, text, f"environment {name}")]


def test_variables_when_they_contradict_each_other_then_both_are_told_in_the_order_of_their_names() -> None:
    environ = {"TIDEGATE_HTTP__PORT__X": "2", "TIDEGATE_HTTP__PORT": "1", "HOME": "/root"}
    assert [one.path for one in from_environment(environ)] == [("http", "port"), ("http", "port", "x")]


@pytest.mark.parametrize("name", ["TIDEGATE_FAILPOINT", "TIDEGATE_RECORDINGS", "PATH", "TIDEGATEWAY"])
def test_variable_when_it_is_nobodys_then_it_is_ignored(name: str) -> None:
    assert list(from_environment({name: "x"})) == []


KUBERNETES = {
    "TIDEGATE_SERVICE_HOST": "10.0.0.1",
    "TIDEGATE_SERVICE_PORT": "8080",
    "TIDEGATE_SERVICE_PORT_METRICS": "8080",
    "TIDEGATE_PORT": "tcp://10.0.0.1:8080",
    "TIDEGATE_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    "TIDEGATE_PORT_8080_TCP_PROTO": "tcp",
    "TIDEGATE_PORT_8080_TCP_PORT": "8080",
    "TIDEGATE_PORT_8080_TCP_ADDR": "10.0.0.1",
    "TIDEGATE_HTTP_SERVICE_HOST": "10.0.0.1",
    "TIDEGATE_HTTP_PORT": "tcp://10.0.0.1:8080",
}


def test_variables_when_kubernetes_injects_them_then_they_are_told_apart_and_ignored() -> None:
    assert injected_names(KUBERNETES) == sorted(KUBERNETES)
    assert list(from_environment(KUBERNETES)) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TIDEGATE_HTTP_PORT", "TIDEGATE_HTTP__PORT"),
        ("TIDEGATE_STATE__DIR", "TIDEGATE_STATE_DIR"),
        ("TIDEGATE_KERNEL_SHUTDOWN_MS_MAX", "TIDEGATE_KERNEL__SHUTDOWN_MS_MAX"),
    ],
)
def test_variable_when_only_its_underscores_are_wrong_then_the_right_one_is_named(name: str, meant: str) -> None:
    assert injected_names({name: "9000"}) == []
    with pytest.raises(ConfigurationError, match=f'environment {name}: is not a key; did you mean "{meant}"'):
        list(from_environment({name: "9000"}))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("TIDEGATE_LIV", 'unknown key "liv"; did you mean "live"?'),
        ("TIDEGATE_HTPP__PORT", 'unknown key "htpp"; did you mean "http"?'),
        ("TIDEGATE_ZZZ__PORT", 'unknown key "zzz"; known: '),
        ("TIDEGATE_", "is not a key"),
        ("TIDEGATE_RECORDS", "unknown key"),
        ("TIDEGATE_VENUES_KALSHI_USE", "two underscores"),
        ("TIDEGATE_HTTP__", "is not a key"),
        ("TIDEGATE___PORT", "is not a key"),
        ("TIDEGATE_VENUES____USE", "is not a key"),
    ],
)
def test_variable_when_its_name_is_a_slip_then_it_is_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        list(from_environment({name: "x"}))
    assert str(caught.value).startswith(f"environment {name}: ")
    assert message in str(caught.value)


def test_secret_when_mounted_then_its_name_is_the_key_and_the_line_end_is_not_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "tidegate_venues__kalshi__settings__api_secret").write_text("hunter2=1\n")
    (tmp_path / "TIDEGATE_LOG__LEVEL").write_text("debug")
    (tmp_path / "unrelated").write_bytes(b"\xff")
    (tmp_path / "tidegate_folder").mkdir()
    found = {one.path: (one.text, one.origin) for one in from_secrets(tmp_path)}
    secret = tmp_path / "tidegate_venues__kalshi__settings__api_secret"
    assert found == {
        ("venues", "kalshi", "settings", "api_secret"): ("hunter2=1", f"secret {secret}"),
        ("log", "level"): ("debug", f"secret {tmp_path / 'TIDEGATE_LOG__LEVEL'}"),
    }


def test_secret_when_it_is_a_link_within_the_folder_then_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "value").write_text("debug")
    (tmp_path / "tidegate_log__level").symlink_to(Path("..data") / "value")
    assert [one.text for one in from_secrets(tmp_path)] == ["debug"]


def test_secrets_when_there_is_no_folder_then_there_are_none(tmp_path: Path) -> None:
    assert list(from_secrets(tmp_path / "none")) == []


def test_secret_when_its_name_is_a_slip_then_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tidegate_liv").write_text("x")
    with pytest.raises(ConfigurationError, match=f"^secret {tmp_path}/tidegate_liv: unknown key"):
        list(from_secrets(tmp_path))


def test_secret_when_it_can_not_be_read_then_start_is_refused_without_showing_it(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "tidegate_log__level").write_bytes(b"hunter2\xff")
    with pytest.raises(ConfigurationError, match="tidegate_log__level: can't be read") as caught:
        list(from_secrets(folder))
    assert "hunter2" not in str(caught.value)


def test_secret_when_it_leads_out_of_the_folder_then_start_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (tmp_path / "elsewhere").write_text("hunter2")
    (folder / "tidegate_log__level").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="resolves outside of"):
        list(from_secrets(folder))


def test_help_when_asked_for_then_no_settings_library_is_loaded() -> None:
    code = """
import sys
from framework.cli.main import main
try:
    main(["--help"])
finally:
    assert "pydantic" not in sys.modules
    assert "pydantic_settings" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
