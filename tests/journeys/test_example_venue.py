"""A venue of somebody else's, as a plugin in a folder: checked, listed, and run with a strategy from there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.architecture.source_tree import ROOT

CONFIG = str(ROOT / "tests" / "support" / "example_venue" / "example.toml")
VENUE_LINES_MAX = 400


def tidegate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "framework", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_venue_when_its_lines_are_counted_then_client_and_sandbox_are_small() -> None:
    files = (Path(CONFIG).parent / "example").rglob("*.py")
    assert sum(file.read_text().count("\n") for file in files) <= VENUE_LINES_MAX


def test_venue_when_its_folder_is_named_then_commands_find_it() -> None:
    assert tidegate("check-config", "-c", CONFIG).returncode == 0
    assert "example" in tidegate("list", "venues", "-c", CONFIG).stdout
    shown = tidegate("sandbox", "-c", CONFIG, "example", "--help")
    assert "--limit N" in shown.stdout


def test_setting_when_it_is_misspelt_then_the_right_one_is_named() -> None:
    wrong = tidegate("check-config", "-c", CONFIG, "--set", "venues.example.settings.book_intervall_ms=5")
    assert wrong.returncode == 2
    assert 'did you mean "book_interval_ms"?' in wrong.stderr


def test_daemon_when_it_runs_then_it_quotes_and_leaves_nothing(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    run = tidegate("run", "-c", CONFIG, "--state-dir", state, "--duration", "3", "--no-status")
    assert run.returncode == 0, run.stdout + run.stderr
    orders = tidegate("orders", "--state-dir", state).stdout
    assert "example:BTC-USD" in orders
    assert "cancelled" in orders
    assert "working" not in orders
