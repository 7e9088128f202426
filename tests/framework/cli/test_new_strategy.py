"""`tidegate new-strategy`: what it writes works as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from framework.cli.main import main
from framework.config.layers import DEFAULT_FILE, load
from framework.config.resolve import resolve
from tests.architecture.source_tree import ROOT
from tests.support.command_line import Capsys


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "plugins"


def test_new_strategy_when_written_then_its_own_test_passes(folder: Path, capsys: Capsys) -> None:
    assert main(["new-strategy", "my_first"]) == 0
    assert {file.name for file in folder.iterdir()} == {"my_first.py", "test_my_first.py", "my_first.toml"}
    assert "run it:   tidegate run -c sandbox -c plugins/my_first.toml" in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "plugins"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_new_strategy_when_it_lies_in_a_clone_then_the_linter_has_nothing_to_say(folder: Path) -> None:
    main(["new-strategy", "my_third"])
    # Which imports are ours is seen in the clone only.
    options = ["--no-cache", "--ignore", "I001", "--config", ROOT / "pyproject.toml"]
    command = [sys.executable, "-m", "ruff", "check", *options, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_new_strategy_when_its_row_is_laid_over_the_default_then_resolves(folder: Path) -> None:
    main(["new-strategy", "my_second"])
    resolved = resolve(load([DEFAULT_FILE, folder / "my_second.toml"], environ={}))
    (mine,) = [row for row in resolved.strategies if row.name == "my_second"]
    assert mine.factory.__name__ == "MySecond"
    assert mine.settings is not None
    assert mine.settings.model_dump() == {"size": 1}


def test_new_strategy_when_the_folder_can_not_be_written_then_says_so(folder: Path, capsys: Capsys) -> None:
    folder.touch()
    assert main(["new-strategy", "mine"]) == 2
    assert capsys.readouterr().err.startswith("tidegate: new-strategy: can't write to plugins (File exists); name a ")


@pytest.mark.parametrize("existing", ["mine.py", "test_mine.py", "mine.toml"])
def test_new_strategy_when_a_file_exists_then_refuses_and_writes_nothing(
    folder: Path, existing: str, capsys: Capsys
) -> None:
    folder.mkdir()
    (folder / existing).write_text("precious")
    assert main(["new-strategy", "mine"]) == 2
    assert f"{existing} exists already" in capsys.readouterr().err
    assert [(file.name, file.read_text()) for file in folder.iterdir()] == [(existing, "precious")]


@pytest.mark.parametrize(
    "name", ["Mine", "1st", "my-own", "class", "a/b", "../up", "risk", "operator", "json", "x" * 40]
)
def test_new_strategy_when_the_name_can_not_be_a_module_or_is_taken_then_refuses(
    folder: Path, name: str, capsys: Capsys
) -> None:
    assert main(["new-strategy", name]) == 2
    assert "new-strategy: " in capsys.readouterr().err
    assert not folder.exists()
