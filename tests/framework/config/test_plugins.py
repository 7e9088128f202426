"""Plugins: where they are found, and what is said when they are not."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from framework.config import plugins as plugins_module
from framework.config.plugins import Plugins, begin_once, entry_points
from framework.domain.errors import PluginError

STRATEGY = """
from pydantic import BaseModel
from framework.domain.strategy import Strategy

class Settings(BaseModel):
    size: int = 1

class Mine(Strategy[Settings]):
    Settings = Settings
"""
CHECK = """
from pydantic import BaseModel

class Limit(BaseModel):
    limit: int
    def check(self, proposal, view):
        return None
"""
CONNECTOR = """
from pydantic import BaseModel

class Settings(BaseModel):
    url: str

def create(name, settings, *, clock, rng):
    return (name, settings.url)

SANDBOX = "mine.sandbox"
def sandbox_settings(ready):
    return {"url": ready["rest_url"]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def problem(folder: Path, use: str, kind: str = "strategy") -> str:
    with pytest.raises(PluginError) as caught:
        getattr(Plugins([folder]), kind)(use)
    return str(caught.value)


def test_strategy_when_in_the_package_then_is_found() -> None:
    assert Plugins().strategy("strategies.noop:Noop").__name__ == "Noop"


def test_strategy_when_in_a_plugin_folder_then_is_loaded_once_and_pollutes_nothing(folder: Path) -> None:
    write(folder, "mine_of_test.py", STRATEGY)
    path = list(sys.path)
    first = Plugins([folder]).strategy("mine_of_test:Mine")
    assert first is Plugins([folder]).strategy("mine_of_test:Mine")
    assert "mine_of_test" not in sys.modules
    assert sys.path == path


def test_strategy_when_two_folders_have_a_file_of_one_name_then_the_first_folder_wins(tmp_path: Path) -> None:
    write(tmp_path / "a", "mine.py", STRATEGY + "\nWHERE = 'a'\n")
    write(tmp_path / "b", "mine.py", STRATEGY + "\nWHERE = 'b'\n")
    modules = [Plugins([tmp_path / one, tmp_path / two]).module("mine") for one, two in (("a", "b"), ("b", "a"))]
    assert [module.WHERE for module in modules] == ["a", "b"]


def test_strategy_when_its_files_import_each_other_then_relative_imports_work(folder: Path) -> None:
    write(folder, "pricing.py", "EDGE = 3\n")
    write(folder, "mine.py", "from . import pricing\n" + STRATEGY + "\nEDGE = pricing.EDGE\n")
    assert Plugins([folder]).module("mine").EDGE == 3


def test_strategy_when_in_a_package_of_the_folder_then_is_found(folder: Path) -> None:
    write(folder, "desk/__init__.py", "")
    write(folder, "desk/quoter.py", STRATEGY)
    assert Plugins([folder]).strategy("desk.quoter:Mine").__name__ == "Mine"


def test_plugin_when_named_like_an_own_package_then_the_package_is_meant(folder: Path) -> None:
    write(folder, "strategies/noop.py", "raise RuntimeError('shadowed')\n")
    assert Plugins([folder]).strategy("strategies.noop:Noop").__name__ == "Noop"


def test_check_and_connector_when_well_made_then_are_loaded(folder: Path) -> None:
    write(folder, "limit.py", CHECK)
    write(folder, "venue/__init__.py", "")
    write(folder, "venue/plugin.py", CONNECTOR)
    assert Plugins([folder]).check("limit:Limit").__name__ == "Limit"
    connector = Plugins([folder]).connector("venue.plugin")
    assert connector.sandbox_module == "mine.sandbox"
    assert connector.sandbox_settings is not None
    assert connector.sandbox_settings({"rest_url": "x"}) == {"url": "x"}


def test_plugin_when_it_has_a_syntax_error_then_names_file_line_and_reason(folder: Path) -> None:
    file = write(folder, "mine.py", "x = 1\nclass Mine(:\n    pass\n")
    assert problem(folder, "mine:Mine") == f"mine:Mine: {file}:2: syntax error: invalid syntax; correct this line"


def test_plugin_when_its_import_fails_then_names_file_line_and_reason(folder: Path) -> None:
    file = write(folder, "mine.py", "x = 1\nimport not_a_module_at_all\n")
    message = problem(folder, "mine:Mine")
    assert message.startswith(f"mine:Mine: {file}:2: ModuleNotFoundError: No module named 'not_a_module_at_all'")


def test_plugin_when_it_raises_while_loading_then_names_the_line_that_did(folder: Path) -> None:
    file = write(folder, "mine.py", "def boom():\n    return 1 / 0\n\nboom()\n")
    assert problem(folder, "mine:Mine").startswith(f"mine:Mine: {file}:2: ZeroDivisionError: division by zero")


@pytest.mark.parametrize("leaving", ["sys.exit(3)", "raise KeyboardInterrupt", "raise GeneratorExit"])
def test_plugin_when_its_import_ends_the_program_then_it_does_not_load_and_the_line_is_named(
    folder: Path, leaving: str
) -> None:
    file = write(folder, "mine.py", f"import sys\n{leaving}\n")
    message = problem(folder, "mine:Mine")
    assert message.startswith(f"mine:Mine: {file}:2: ")
    assert "\n" not in message


def test_plugin_when_the_class_is_missing_then_suggests_the_closest(folder: Path) -> None:
    file = write(folder, "mine.py", STRATEGY)
    assert problem(folder, "mine:Mime") == f'mine:Mime: {file} has no Mime; did you mean "Mine"?'


def test_plugin_when_the_module_is_nowhere_then_says_where_was_looked(folder: Path) -> None:
    assert f"there is no module nowhere.at_all; check the spelling; plugin_paths: {folder}" in problem(
        folder, "nowhere.at_all:Mine"
    )


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("strategy", "class Mine: pass\n", "Mine is not a strategy; derive it from"),
        ("strategy", "Mine = 3\n", "3 is not a strategy"),
        ("strategy", STRATEGY + "    Settings = dict\n", "Settings is <class 'dict'>; make it a pydantic BaseModel"),
        ("check", "class Mine:\n    def check(self, p, v): ...\n", "Mine is not a check; make it a pydantic BaseModel"),
        ("check", "from pydantic import BaseModel\nclass Mine(BaseModel): pass\n", "Mine is not a check"),
    ],
)
def test_plugin_when_it_is_of_the_wrong_kind_then_says_what_it_must_be(
    folder: Path, kind: str, text: str, reason: str
) -> None:
    write(folder, "mine.py", text)
    assert reason in problem(folder, "mine:Mine", kind)


def test_connector_when_it_lacks_create_then_says_so(folder: Path) -> None:
    write(folder, "venue/__init__.py", "")
    write(folder, "venue/plugin.py", CONNECTOR.replace("def create", "def make"))
    assert "is not a connector; it needs Settings" in problem(folder, "venue.plugin", "connector")


def test_plugin_when_named_by_an_entry_point_then_is_found(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    point = metadata.EntryPoint("quick", "strategies.noop:Noop", "tidegate.strategies")
    broken = metadata.EntryPoint("broken", "strategies.nope:Noop", "tidegate.strategies")
    monkeypatch.setattr(
        plugins_module.metadata, "entry_points", lambda *, group: [point, broken] if group == point.group else []
    )
    assert Plugins().strategy("quick").__name__ == "Noop"
    assert entry_points("tidegate.strategies") == {"quick": "strategies.noop:Noop", "broken": "strategies.nope:Noop"}
    assert "No module named 'strategies.nope'" in problem(folder, "broken")
    assert "no entry point of tidegate.strategies has this name" in problem(folder, "quik")
    assert 'did you mean "quick"?' in problem(folder, "quik")


@pytest.mark.parametrize(
    ("begin", "reason"),
    [
        ("raise KeyError('no limit')", "KeyError"),
        ("return 3", "begin() returned int, which has no follows; return an object with follows, check(self"),
        ("return type('M', (), {'follows': (), 'check': 1})()", "begin() returned M, which has no follow; return"),
    ],
)
def test_check_that_remembers_when_it_can_not_begin_then_the_configuration_is_refused(
    folder: Path, begin: str, reason: str
) -> None:
    (folder / "mine.py").write_text(
        f"from pydantic import BaseModel\nclass Mine(BaseModel):\n    def begin(self, before=None):\n        {begin}\n"
    )
    model = Plugins([folder]).check("mine:Mine")
    with pytest.raises(PluginError, match=re.escape(reason)):
        begin_once("mine:Mine", model())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def mass_cancel(name):\n    ...\n", "ends no orders; it needs Settings (a pydantic BaseModel) and"),
        ("from pydantic import BaseModel as Settings\n", "mass_cancel(name, settings, *, clock, rng, turn,"),
        ("1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_mass_cancel_when_it_lacks_a_part_or_breaks_then_one_line_says_what(folder: Path, text: str, said: str) -> None:
    write(folder, "pier/__init__.py", "")
    write(folder, "pier/plugin.py", "raise SystemExit\n")
    assert Plugins([folder]).mass_cancel("pier.plugin") is None
    write(folder, "pier/mass_cancel.py", text)
    assert said in problem(folder, "pier.plugin", "mass_cancel")


def test_mass_cancel_when_the_plugin_ships_with_tidegate_then_it_is_found_without_loading_that() -> None:
    command = (
        "import sys; from framework.config.plugins import Plugins; "
        "assert Plugins().mass_cancel('connectors.kalshi.plugin'); "
        "sys.exit(bool({'connectors.kalshi.plugin', 'connectors.kalshi.connector'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
