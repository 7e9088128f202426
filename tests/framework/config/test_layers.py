"""Loading the configuration: layers, origins, and messages that say what to do."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from framework.config.layers import DEFAULT_FILE, Loaded, load
from framework.domain.errors import ConfigurationError

MINIMAL = """
[venues.kalshi]
use = "connectors.kalshi.plugin"
[[checks]]
use = "risk.order_grid:OrderGrid"
"""


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    return write(tmp_path, "minimal.toml", MINIMAL)


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def loaded(*files: Path, environ: dict[str, str] | None = None, overrides: tuple[str, ...] = ()) -> Loaded:
    return load(files, environ=environ or {}, overrides=overrides)


def problem(*files: Path, environ: dict[str, str] | None = None, overrides: tuple[str, ...] = ()) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(files, environ=environ or {}, overrides=overrides)
    return str(caught.value)


def test_load_when_no_file_is_given_then_is_the_embedded_sandbox() -> None:
    found = loaded()
    assert found.files == (DEFAULT_FILE,)
    assert found.config.venues["kalshi"].embedded_sandbox
    assert not found.config.live


def test_default_file_when_compared_then_is_the_one_that_people_read() -> None:
    assert Path("config/sandbox.toml").read_text() == DEFAULT_FILE.read_text()


def test_load_when_layered_then_tables_merge_and_later_values_win(tmp_path: Path, minimal: Path) -> None:
    first = write(tmp_path, "a.toml", '[http]\nport = 1\nhost = "127.0.0.2"\n')
    second = write(tmp_path, "b.toml", "[http]\nport = 2\n")
    found = loaded(
        minimal, first, second, environ={"TIDEGATE_LOG__LEVEL": "debug"}, overrides=("kernel.strategy_faults_max=9",)
    )
    assert (found.config.http.host, found.config.http.port) == ("127.0.0.2", 2)
    assert found.config.log.level == "debug"
    assert found.config.kernel.strategy_faults_max == 9
    assert found.origin("http.host") == str(first)
    assert found.origin("http.port") == str(second)
    assert found.origin("log.level") == "environment TIDEGATE_LOG__LEVEL"
    assert found.origin("kernel.strategy_faults_max") == "--set"
    assert found.origin("tape.enabled") == "default"


def test_load_when_environment_and_set_disagree_then_set_wins(minimal: Path) -> None:
    found = loaded(minimal, environ={"TIDEGATE_HTTP__PORT": "1"}, overrides=("http.port=2",))
    assert found.config.http.port == 2
    assert found.origin("http.port") == "--set"


def test_load_when_toml_has_a_decimal_then_it_stays_exact(tmp_path: Path, minimal: Path) -> None:
    other = write(tmp_path, "b.toml", "[venues.kalshi.settings]\nlimit = 0.1\n")
    assert loaded(minimal, other).config.venues["kalshi"].settings["limit"] == Decimal("0.1")


def test_load_when_a_value_is_an_array_then_it_is_read_as_toml(minimal: Path) -> None:
    found = loaded(minimal, overrides=('http.allowed_hosts=["a", "b"]',))
    assert found.config.http.allowed_hosts == ("a", "b")


def test_load_when_a_secret_is_mounted_then_counts_like_the_environment(tmp_path: Path, minimal: Path) -> None:
    (tmp_path / "secrets").mkdir()
    write(tmp_path / "secrets", "tidegate_venues__kalshi__settings__api_secret", "hunter2\n")
    write(tmp_path / "secrets", "unrelated", "x")
    found = load([minimal], environ={}, secrets_dir=tmp_path / "secrets")
    assert found.config.venues["kalshi"].settings["api_secret"] == "hunter2"
    assert found.secret_values() == ["hunter2"]


def test_load_when_the_secrets_folder_is_absent_then_goes_on(tmp_path: Path, minimal: Path) -> None:
    assert load([minimal], environ={}, secrets_dir=tmp_path / "none").secret_values() == []


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ("[http]\nprot = 1\n", "http.prot", 'unknown key "prot"; did you mean "port"?'),
        ("[htpp]\nport = 1\n", "htpp", 'unknown key "htpp"; did you mean "http"?'),
        ('[venues.kalshi]\nuze = "x"\n', "venues.kalshi.uze", 'unknown key "uze"; did you mean "use"?'),
        ("[venues.kalshi.sandbox]\nsede = 1\n", "venues.kalshi.sandbox.sede", 'did you mean "seed"?'),
        ("[tape]\nzzz = 1\n", "tape.zzz", "known: bytes_max, enabled"),
    ],
)
def test_load_when_a_key_is_unknown_then_names_file_key_and_the_closest(
    tmp_path: Path, minimal: Path, text: str, key: str, remedy: str
) -> None:
    other = write(tmp_path, "mine.toml", text)
    assert problem(minimal, other).startswith(f"{other}: {key}: ")
    assert remedy in problem(minimal, other)


def test_load_when_a_value_is_wrong_then_names_file_key_value_and_remedy(tmp_path: Path, minimal: Path) -> None:
    other = write(tmp_path, "mine.toml", '[log]\nlevel = "loud"\n[http]\nport = 70000\n')
    lines = problem(minimal, other).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{other}: http.port: 70000: is above 65535; give: TCP port")
    assert lines[1].startswith(f"{other}: log.level: 'loud': is not 'debug'")


def test_load_when_a_required_table_is_missing_then_says_what_to_give(tmp_path: Path) -> None:
    empty = write(tmp_path, "empty.toml", "live = false\n")
    assert "venues: is missing; give: The venues" in problem(empty)
    assert "checks: is missing; give: The risk gate's checks" in problem(empty)


@pytest.mark.parametrize("name", ["Kalshi", "a:b", "", "x" * 40])
def test_load_when_a_venue_has_a_name_that_can_not_be_part_of_an_instrument_then_refuses(
    tmp_path: Path, minimal: Path, name: str
) -> None:
    other = write(tmp_path, "b.toml", f'[venues."{name}"]\nuse = "x.y"\n')
    assert "pattern" in problem(minimal, other)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"TIDEGATE_HTTP__PROT": "1"}, 'environment TIDEGATE_HTTP__PROT: http.prot: unknown key "prot"'),
        ({"TIDEGATE_LIV": "true"}, 'environment TIDEGATE_LIV: unknown key "liv"; did you mean "live"?'),
        ({"TIDEGATE_HTTP__": "1"}, "environment TIDEGATE_HTTP__: is not a key"),
        ({"TIDEGATE_HTTP__PORT__X": "1", "TIDEGATE_HTTP__PORT": "1"}, "is a value, not a table"),
        ({"TIDEGATE_CHECKS__0__USE": "x"}, "TIDEGATE_CHECKS__0__USE: checks.0.use: checks have names, not numbers"),
    ],
)
def test_load_when_the_environment_is_wrong_then_names_the_variable(
    minimal: Path, environ: dict[str, str], message: str
) -> None:
    assert message in problem(minimal, environ=environ)


def test_load_when_a_container_engine_adds_variables_then_ignores_them_and_says_so(minimal: Path) -> None:
    found = loaded(minimal, environ={"TIDEGATE_SERVICE_HOST": "10.0.0.1", "TIDEGATE_RECORDINGS": "x", "PATH": "/bin"})
    (note,) = found.notes
    assert note == "environment: taken for those of a Kubernetes Service and ignored: TIDEGATE_SERVICE_HOST"


@pytest.mark.parametrize("override", ["http.port", "=1", "http..port=1", ""])
def test_load_when_set_is_not_a_pair_then_shows_how(minimal: Path, override: str) -> None:
    assert "write it like --set http.port=8081" in problem(minimal, overrides=(override,))


def test_load_when_set_has_a_broken_array_then_says_so(minimal: Path) -> None:
    assert "--set: '[1' is not a TOML value" in problem(minimal, overrides=("http.allowed_hosts=[1",))


@pytest.mark.parametrize(
    "source", [{"environ": {"TIDEGATE_LIVE": "true"}}, {"overrides": ("live=true",)}, {"overrides": ("live=false",)}]
)
def test_load_when_live_is_not_said_by_a_file_then_refuses(minimal: Path, source: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="live: only a configuration file may say this"):
        load([minimal], environ=source.get("environ", {}), overrides=source.get("overrides", ()))  # type: ignore[arg-type]


def test_load_when_replacing_checks_is_not_said_by_a_file_then_refuses(minimal: Path) -> None:
    assert "replace_checks: only a configuration file may say this" in problem(
        minimal, environ={"TIDEGATE_REPLACE_CHECKS": "true"}
    )


def test_load_when_paths_are_relative_then_they_count_from_the_file_that_names_them(
    tmp_path: Path, minimal: Path
) -> None:
    (tmp_path / "mine").mkdir()
    other = write(
        tmp_path / "mine",
        "b.toml",
        'plugin_paths = [".", "../shared", "/srv"]\nstate_dir = "state"\n[ledger]\narchive = "old"\n',
    )
    config = loaded(minimal, other).config
    assert config.plugin_paths == (tmp_path / "mine", tmp_path / "shared", Path("/srv"))
    assert config.ledger.archive == tmp_path / "mine" / "old"
    assert config.state_dir == Path("state")
    overridden = loaded(minimal, other, overrides=('plugin_paths=["here"]',)).config
    assert overridden.plugin_paths == (Path("here"),)


def test_load_when_a_url_has_a_password_then_it_is_a_secret_and_never_shown(tmp_path: Path, minimal: Path) -> None:
    other = write(tmp_path, "b.toml", '[venues.kalshi.settings]\nproxy = "http://me:hunter2@proxy:3128"\n')
    assert loaded(minimal, other).secret_values() == ["hunter2"]
    wrong = write(tmp_path, "c.toml", 'durability = "http://me:hunter2@proxy"\n')
    assert "hunter2" not in problem(minimal, wrong)
    assert "http://********@proxy" in problem(minimal, wrong)


def test_load_when_a_secret_variable_is_no_toml_then_does_not_show_it(minimal: Path) -> None:
    message = problem(minimal, environ={"TIDEGATE_VENUES__KALSHI__SETTINGS__API_SECRET": "[hunter2"})
    assert "hunter2" not in message
    assert "is not a TOML value" in message


def test_load_when_live_is_said_by_a_file_then_is_taken(tmp_path: Path, minimal: Path) -> None:
    assert loaded(minimal, write(tmp_path, "live.toml", "live = true\n")).config.live


@pytest.mark.parametrize("key", ["api_secret", "password", "wallet_private_key"])
def test_load_when_a_secret_stands_in_a_file_then_refuses_without_showing_it(
    tmp_path: Path, minimal: Path, key: str
) -> None:
    other = write(tmp_path, "b.toml", f'[venues.kalshi.settings]\n{key} = "hunter2"\n')
    message = problem(minimal, other)
    assert f"TIDEGATE_VENUES__KALSHI__SETTINGS__{key.upper()}" in message
    assert "hunter2" not in message
    assert "looks like a secret" in problem(minimal, overrides=(f"venues.kalshi.settings.{key}=hunter2",))


def test_load_when_a_setting_only_places_a_secret_then_is_taken(tmp_path: Path, minimal: Path) -> None:
    text = '[venues.kalshi.settings]\nprivate_key_path = "/run/k.pem"\ntokens_max = 3\nreserve_tokens = 1\n'
    assert loaded(minimal, write(tmp_path, "b.toml", text)).secret_values() == []


def test_load_when_a_file_is_missing_then_names_it(tmp_path: Path) -> None:
    assert (
        problem(tmp_path / "no.toml")
        == f"{tmp_path}/no.toml: can't be read (No such file or directory); check the path after -c"
    )


def test_load_when_a_file_is_not_toml_then_names_the_line(tmp_path: Path) -> None:
    assert "is not valid TOML: Expected '=' after a key" in problem(write(tmp_path, "a.toml", "\nhttp port\n"))
    assert "line 2" in problem(write(tmp_path, "a.toml", "\nhttp port\n"))


def test_load_when_a_file_is_not_utf8_then_says_so(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in problem(file)
