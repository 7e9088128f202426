"""The command line: verbs, suggestions, exit codes, and how little `--help` loads."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from framework.cli.main import COMMANDS, main
from framework.config.layers import load
from framework.config.model import (
    AlertSettings,
    Configuration,
    HttpSettings,
    KernelSettings,
    LogSettings,
    SandboxSettings,
    StrategyRow,
    TapeTable,
    VenueRow,
)
from framework.config.plugins import shipped_venues
from framework.config.resolve import Resolved
from framework.daemon import RunOptions
from framework.domain.errors import EXIT_USAGE, ConfigurationError, Fatal
from framework.runtime.secrets import MASK
from framework.runtime.state_directory import set_aside
from framework.runtime.stop_signals import StopSignals
from strategies.market_maker import MarketMakerSettings
from tests.support.command_line import Capsys

PLUGIN = """
from pydantic import BaseModel, ConfigDict, Field, SecretStr
class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str = Field("http://127.0.0.1", description="Address.")
    api_secret: SecretStr = Field(SecretStr("default-secret"), description="Key.")
    passphrase: str = Field("plain-default", description="A secret whose model forgot to say so.")
class Connector:
    is_loopback, assumptions, account = True, (), "here"
    async def close(self): ...
def create(name, settings, *, clock, rng):
    return Connector()
"""
CONFIG = """
plugin_paths = ["{folder}"]
[venues.here]
use = "venue.plugin"
[strategies.watch]
use = "strategies.noop:Noop"
instruments = ["here:*"]
[[checks]]
use = "risk.order_grid:OrderGrid"
[[checks]]
use = "risk.max_order_size:MaxOrderSize"
[checks.settings]
max_size = 10.50
overrides = {{ "here:KX*" = "2" }}
"""
HEAVY = (
    "aiohttp",
    "pydantic",
    "cryptography",
    "rich",
    "structlog",
    "msgspec",
    "prometheus_client",
    "uvloop",
    "sqlite3",
)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "plugins" / "venue"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "plugin.py").write_text(PLUGIN)
    file = tmp_path / "my.toml"
    file.write_text(CONFIG.format(folder=tmp_path / "plugins"))
    for name in ("TIDEGATE_HTTP__PORT", "TIDEGATE_VENUES__HERE__SETTINGS__API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return file


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Resolved, dict[str, Any]]]:
    """What was handed to a daemon that only notes it."""
    calls: list[tuple[Resolved, dict[str, Any]]] = []

    def run(resolved: Resolved, options: RunOptions) -> int:
        calls.append((resolved, msgspec.structs.asdict(options)))
        return 7

    recorder = ModuleType("recording_daemon")
    recorder.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "recording_daemon", recorder)
    monkeypatch.setattr("framework.cli.run.DAEMON", "recording_daemon:run")
    return calls


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_when_asked_then_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom framework.cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as e: assert e.code == 0\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_help_when_asked_then_names_every_verb(capsys: Capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in COMMANDS)


def test_command_when_run_as_a_module_then_is_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "framework", "chek-config"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert 'unknown command "chek-config"; did you mean "check-config"?' in done.stderr


def test_command_when_nothing_is_said_then_shows_help(capsys: Capsys) -> None:
    assert main([]) == 2
    assert "check-config" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], 'unknown command "rnu"; did you mean "run"?'),
        (["check"], 'unknown command "check"; did you mean "check-config"?'),
        (["show"], 'unknown command "show"; did you mean "show-config"?'),
        (["zzzzzz"], 'unknown command "zzzzzz"; see: tidegate --help'),
        (["run", "--duraton", "5"], 'unknown option "--duraton"; did you mean "--duration"?'),
        (["run", "--dur", "5"], 'unknown option "--dur"; did you mean "--duration"?'),
        (["run", "--json"], 'unknown option "--json"; see: tidegate run --help'),
        (["check-config", "--conifg=x"], 'unknown option "--conifg=x"; did you mean "--config"?'),
        (["list", "stratgies"], 'there is no section "stratgies"; did you mean "strategies"?'),
        (["sandbox", "kalshy"], 'no venue "kalshy" with a sandbox; did you mean "kalshi"?'),
    ],
)
def test_command_when_something_is_unknown_then_suggests(arguments: list[str], message: str, capsys: Capsys) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("duration", ["0", "-1", "nan", "inf", "soon"])
def test_run_when_the_duration_is_no_time_then_refuses(duration: str, capsys: Capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", f"--duration={duration}"])
    assert caught.value.code == 2
    assert "is not a number of seconds above 0" in capsys.readouterr().err


def test_run_when_the_configuration_is_right_then_starts_the_daemon_with_its_options(
    config: Path, started: list[tuple[Resolved, dict[str, Any]]]
) -> None:
    options = ["--duration", "1.5", "--live", "--no-status", "--set", "http.port=0", "--state-dir", "/tmp/s"]
    assert main(["run", "-c", str(config), *options]) == 7
    ((resolved, keywords),) = started
    assert isinstance(keywords.pop("signals"), StopSignals)
    assert keywords == {"duration_s": 1.5, "live": True, "show_status": False, "has_tracebacks": False}
    assert resolved.config.http.port == 0
    assert resolved.config.state_dir == Path("/tmp/s")


def test_run_when_the_state_is_a_sandbox_s_and_the_venue_is_not_then_refuses_to_start(
    config: Path, started: list[tuple[Resolved, dict[str, Any]]], capsys: Capsys, tmp_path: Path
) -> None:
    set_aside(tmp_path / "state")
    (tmp_path / "state" / "journal" / "journal-00000000000000000001.seg").touch()
    assert main(["run", "-c", str(config), "--state-dir", str(tmp_path / "state")]) == 2
    assert "holds the records of an embedded sandbox" in capsys.readouterr().err
    assert started == []


def test_run_when_a_plugin_does_not_load_then_refuses_to_start_and_names_it(
    config: Path, started: list[tuple[Resolved, dict[str, Any]]], capsys: Capsys
) -> None:
    (config.parent / "plugins" / "venue" / "plugin.py").write_text("def broken(:\n")
    for verb in ("run", "check-config"):
        assert main([verb, "-c", str(config)]) == 2
        assert f"venues.here.use: venue.plugin: {config.parent}/plugins/venue/plugin.py:1: " in capsys.readouterr().err
    assert started == []


def test_check_config_when_right_then_says_what_was_found(config: Path, capsys: Capsys) -> None:
    assert main(["check-config", "-c", str(config)]) == 0
    assert capsys.readouterr().out == f"ok: {config}: 1 venues, 1 strategies, 2 checks\n"


def test_check_config_when_wrong_then_prints_a_line_per_problem(config: Path, capsys: Capsys) -> None:
    assert main(["check-config", "-c", str(config), "--set", "http.prot=1", "--set", "log.level=loud"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith('tidegate: --set: http.prot: unknown key "prot"; did you mean "port"?')
    assert lines[1].startswith("tidegate: --set: log.level: 'loud'")


def test_show_config_when_printed_then_has_origins_and_masks_secrets(
    config: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_VENUES__HERE__SETTINGS__API_SECRET", "hunter2-hunter2")
    monkeypatch.setenv("TIDEGATE_HTTP__PORT", "9999")
    monkeypatch.setenv("TIDEGATE_HTTP__HOST", "http://me:hunter2@host")
    assert main(["show-config", "-c", str(config)]) == 0
    shown = capsys.readouterr().out
    lines = {line.partition(" = ")[0]: line for line in shown.splitlines()}
    assert lines["port"].split() == ["port", "=", "9999", "#", "environment", "TIDEGATE_HTTP__PORT"]
    assert lines["level"].endswith("# default")
    assert lines["max_size"].endswith(f"# {config}")
    assert MASK in lines["api_secret"]
    assert MASK in lines["passphrase"]
    assert "hunter2" not in shown
    assert "default-secret" not in shown
    assert "plain-default" not in shown


def test_show_config_when_loaded_again_then_is_the_same_configuration(
    config: Path, tmp_path: Path, capsys: Capsys
) -> None:
    plugin = PLUGIN.replace("api_secret", "note").replace("passphrase", "word")
    (config.parent / "plugins" / "venue" / "plugin.py").write_text(plugin)
    main(["show-config", "-c", str(config)])
    again = tmp_path / "again.toml"
    again.write_text("\n".join(line for line in capsys.readouterr().out.splitlines() if not line.startswith("note")))
    tomllib.loads(again.read_text())
    main(["show-config", "-c", str(again)])
    shown = tomllib.loads(capsys.readouterr().out)
    shown["venues"]["here"]["settings"].pop("note")
    assert shown == tomllib.loads(again.read_text())
    assert load([again], environ={}).config.checks["max_order_size"].settings["overrides"] == {"here:KX*": 2}


def test_list_when_asked_then_shows_what_to_write_and_every_setting(config: Path, capsys: Capsys) -> None:
    (config.parent / "plugins" / "broken.py").write_text("import nothing_like_it\n")
    assert main(["list", "strategies", "-c", str(config)]) == 0
    shown = capsys.readouterr().out
    assert 'use = "strategies.noop:Noop"' in shown
    assert 'use = "strategies.market_maker:MarketMaker"' in shown
    assert 'use = "broken"\n      does not load: broken: ' in shown
    assert main(["list", "checks", "-c", str(config)]) == 0
    shown = capsys.readouterr().out
    assert 'use = "risk.max_order_size:MaxOrderSize"' in shown
    assert "max_size   number, required: Largest order" in shown


@pytest.mark.parametrize(("section", "word"), [("refusals", "`PRICE_COLLAR`"), ("metrics", "`tidegate_fills_total`")])
def test_list_when_a_table_is_asked_for_then_prints_it(section: str, word: str, capsys: Capsys) -> None:
    assert main(["list", section]) == 0
    assert word in capsys.readouterr().out


def test_venues_when_listed_then_are_those_that_ship_the_part() -> None:
    for part in ("plugin", "sandbox"):
        assert "kalshi" in shipped_venues(part)
        assert not {"transport", "client", "sandbox"} & set(shipped_venues(part))


def test_sandbox_when_named_then_gets_the_rest_of_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def command_main(arguments: list[str]) -> int:
        seen.append(arguments)
        return 5

    recorder = ModuleType("connectors.kalshi.sandbox.__main__")
    recorder.main = command_main  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "connectors.kalshi.sandbox.__main__", recorder)
    assert main(["sandbox", "kalshi", "--port", "0", "--seed=3"]) == 5
    assert seen == [["--port", "0", "--seed=3"]]


TIDE = {
    "tide/__init__.py": "",
    "tide/plugin.py": """
from pydantic import BaseModel
class Settings(BaseModel):
    \"\"\"Settings of the tide.\"\"\"
def create(name, settings, *, clock, rng): ...
SANDBOX = "tide.sandbox"
""",
    "tide/sandbox/__init__.py": "",
    "tide/sandbox/__main__.py": """
from .rules import CODE
def main(arguments):
    return CODE if list(arguments) == ["--dialect", "new"] else 1
""",
    "tide/sandbox/rules.py": "CODE = 6",
    "ebb/__init__.py": "",
    "ebb/plugin.py": """
from pydantic import BaseModel
class Settings(BaseModel): ...
def create(name, settings, *, clock, rng): ...
""",
}


@pytest.fixture
def with_tide(tmp_path: Path) -> str:
    """A configuration with a folder of plugins: a venue with a sandbox, and one without."""
    for name, text in TIDE.items():
        path = tmp_path / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    file = tmp_path / "tide.toml"
    file.write_text('plugin_paths = ["plugins"]\n')
    return str(file)


def test_sandbox_when_its_venue_is_in_a_plugin_folder_then_it_is_run_and_listed(with_tide: str, capsys: Capsys) -> None:
    assert main(["sandbox", "-c", "sandbox", "-c", with_tide, "tide", "--dialect", "new"]) == 6
    assert main(["list", "-c", "sandbox", "-c", with_tide, "venues"]) == 0
    assert "tide.plugin" in capsys.readouterr().out


def test_sandbox_when_its_venue_ships_none_then_says_so(with_tide: str, capsys: Capsys) -> None:
    assert main(["sandbox", "-c", "sandbox", "-c", with_tide, "ebb"]) == EXIT_USAGE
    assert "ebb.plugin ships no sandbox" in capsys.readouterr().err


def let_run_raise(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a command that raises in the place of `run`."""

    def fail(_options: object) -> int:
        raise error

    failing = ModuleType("failing_command")
    failing.fail = fail  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "failing_command", failing)
    monkeypatch.setitem(COMMANDS, "run", "failing_command:fail")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("http.port: taken"), 2),
        (Fatal("journal: no space left"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_command_when_it_fails_then_the_exit_code_says_how(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    let_run_raise(error, monkeypatch)
    assert main(["run"]) == code
    assert str(error) in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--debug", "run"], ["run", "--debug"], ["run"]])
def test_command_when_it_has_a_defect_then_a_traceback_is_shown_only_to_who_asks(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    let_run_raise(KeyError("size"), monkeypatch)
    assert main(words) == 1
    *traceback, last = capsys.readouterr().err.splitlines()
    assert last.startswith(f"tidegate: unexpected error: KeyError: 'size' at {__file__}:")
    assert (traceback[:1] == ["Traceback (most recent call last):"]) is ("--debug" in words)


@pytest.mark.parametrize("words", [["--debug", "run"], ["run"]])
def test_command_when_its_defect_names_an_address_with_a_password_then_that_is_masked(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    let_run_raise(KeyError("http://me:hunter2@venue"), monkeypatch)
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "********@venue" in said
    assert "hunter2" not in said


def test_command_when_it_is_refused_then_debug_shows_where(capsys: Capsys) -> None:
    assert main(["--debug", "check-config", "--set", "http.prot=1"]) == 2
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "Traceback (most recent call last):"
    assert last.startswith('tidegate: --set: http.prot: unknown key "prot"')


def test_default_when_something_else_is_called_like_it_then_it_wins_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sandbox").mkdir()
    assert main(["check-config", "-c", "sandbox"]) == 0
    assert "-c sandbox is the default that ships with tidegate, not the file or folder ./" in capsys.readouterr().err
    assert main(["check-config", "-c", "./sandbox"]) == 2
    assert "can't be read (Is a directory)" in capsys.readouterr().err


def test_show_config_when_a_url_has_a_password_then_it_is_masked(config: Path, capsys: Capsys) -> None:
    assert main(["show-config", "-c", str(config), "--set", "venues.here.settings.url=http://me:hunter2@venue"]) == 0
    shown = capsys.readouterr().out
    assert 'url = "http://********@venue"' in shown
    assert "hunter2" not in shown


def test_show_config_when_printed_then_says_in_which_order_the_gate_asks(config: Path, capsys: Capsys) -> None:
    assert main(["show-config", "-c", str(config), "--set", "checks.order_grid.after=max_order_size"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "# The gate asks, in this order: max_order_size, order_grid"
    assert [line for line in lines if line.startswith("[checks.") and line.count(".") == 1] == [
        "[checks.max_order_size]",
        "[checks.order_grid]",
    ]


def test_default_configuration_when_each_key_is_looked_up_then_is_explained() -> None:
    lines = Path("config/sandbox.toml").read_text().splitlines()
    explained = False
    for line in lines:
        if not line.strip():
            explained = False
        elif line.startswith("#"):
            explained = True
        elif not line.startswith("["):
            assert explained, f"no comment above: {line}"


def test_default_configuration_when_compared_with_the_models_then_leaves_no_key_out() -> None:
    tree = tomllib.loads(Path("config/sandbox.toml").read_text())
    tables: list[tuple[type[BaseModel], dict[str, Any]]] = [
        (Configuration, tree),
        (HttpSettings, tree["http"]),
        (LogSettings, tree["log"]),
        (KernelSettings, tree["kernel"]),
        (TapeTable, tree["tape"]),
        (AlertSettings, tree["alerts"]),
        (VenueRow, tree["venues"]["kalshi"]),
        (SandboxSettings, tree["venues"]["kalshi"]["sandbox"]),
        (StrategyRow, tree["strategies"]["mm"]),
        (MarketMakerSettings, tree["strategies"]["mm"]["settings"]),
    ]
    for model, table in tables:
        assert set(model.model_fields) == set(table), model.__name__


@pytest.mark.parametrize("file", ["config/sandbox.toml", "sandbox"])
def test_shipped_configurations_when_checked_then_are_right(file: str, capsys: Capsys) -> None:
    assert main(["check-config", "-c", file]) == 0
    assert "1 venues, 1 strategies, 13 checks" in capsys.readouterr().out


def test_example_when_laid_over_the_default_then_is_not_live_yet() -> None:
    config = load([Path("config/sandbox.toml"), Path("config/kalshi.toml")], environ={}).config
    assert not config.live
    assert not config.venues["kalshi"].embedded_sandbox
