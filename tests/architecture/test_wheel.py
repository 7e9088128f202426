"""The wheel: what an installation gets beside the code, and that it runs from there without the source tree."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from framework.config.layers import DEFAULT_FILE

ROOT = Path(__file__).parents[2]
PACKAGES = ("framework", "strategies", "connectors", "risk")
MISSING = [name for name in ("pip", "setuptools") if importlib.util.find_spec(name) is None]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a copy of the source, unpacked: building in place would leave its files there."""
    if MISSING:
        pytest.skip(f"building a wheel without a network needs {', '.join(MISSING)} to be installed")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, str(source), "--wheel-dir", str(out)], check=True, capture_output=True)
    (file,) = out.glob("tidegate-*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(out / "unpacked")
    return out / "unpacked"


def test_wheel_when_built_then_it_holds_every_file_that_belongs_to_the_packages(wheel: Path) -> None:
    wanted = {
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", ".toml", ".md") or path.name == "py.typed"
    }
    assert {Path("framework/config/sandbox.toml"), Path("framework/py.typed"), Path("framework/README.md")} <= wanted
    assert sorted(path for path in wanted if not (wheel / path).is_file()) == []
    assert not (wheel / "tests").exists()


def test_wheel_when_unpacked_then_the_command_runs_on_its_own_default_configuration(
    wheel: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "framework", "check-config", "-c", "sandbox"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(wheel)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith(f"ok: {wheel / 'framework' / 'config' / 'sandbox.toml'}: 1 venues"), done.stderr


def test_default_configuration_when_opened_in_the_source_tree_then_it_is_the_packaged_file() -> None:
    assert (ROOT / "config" / "sandbox.toml").resolve(strict=True) == DEFAULT_FILE.resolve()
