"""The page of the gate is true: its checks work as they stand there, and its table of controls is that of the code."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from framework.config.plugins import Plugins
from framework.domain.orders import Side
from framework.domain.verdicts import RefusalCode
from framework.testing import INSTRUMENT, TradingHarness
from strategies.noop import Noop
from tests.architecture.source_tree import ROOT
from tests.architecture.test_readme import numbers_explained

PAGE = (ROOT / "risk/README.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CONFIG = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


class Row(NamedTuple):
    """One row of the table of controls."""

    control: str
    file: str
    settings: set[str]
    codes: set[str]
    proofs: tuple[str, ...]


def rows() -> list[Row]:
    cells = re.findall(r"^\| (C\d+) \| \[([^\]]+)\]\([^)]+\) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", PAGE, re.MULTILINE)
    return [
        Row(control, file, names(settings), names(codes), tuple(re.findall(r"`([^`]+)`", proofs)))
        for control, file, settings, codes, proofs in cells
    ]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def checks() -> Iterator[tuple[str, type[BaseModel]]]:
    """Each file of a check with its settings model."""
    for path in sorted((ROOT / "risk/checks").glob("[a-z]*.py")):
        module = importlib.import_module(f"risk.checks.{path.stem}")
        for found in vars(module).values():
            is_own = isinstance(found, type) and issubclass(found, BaseModel) and found.__module__ == module.__name__
            if is_own and (hasattr(found, "check") or hasattr(found, "begin")):
                yield f"risk/checks/{path.name}", found


def test_controls_when_listed_then_every_check_is_there_with_its_number_settings_and_codes() -> None:
    listed = {row.file: row for row in rows() if row.file.startswith("risk/checks/")}
    assert set(listed) == {file for file, _ in checks()}
    for file, model in checks():
        row, source = listed[file], (ROOT / file).read_text()
        assert (model.__doc__ or "").startswith(f"{row.control}:"), file
        assert row.settings == set(model.model_fields), file
        assert row.codes == set(re.findall(r"RefusalCode\.([A-Z_]+)", source)), file
        assert f"tests/risk/checks/test_{Path(file).stem}.py" in row.proofs, file


def test_controls_when_listed_then_they_are_those_that_the_code_speaks_of() -> None:
    explained = {one for one in numbers_explained((ROOT / "framework/README.md").read_text()) if one[0] == "C"}
    assert {row.control for row in rows()} == explained


def test_controls_when_listed_then_files_and_proofs_exist_and_codes_are_codes() -> None:
    for row in rows():
        assert (ROOT / row.file).is_file(), row
        assert row.control in (ROOT / row.file).read_text(), f"{row.file} does not say {row.control}"
        assert row.codes <= set(RefusalCode.__members__), row
        for proof in row.proofs:
            module = proof.removeprefix("make proof-").replace("-", "_")
            is_proof = proof.startswith("make proof-") and (ROOT / "tests/proofs" / module / "__main__.py").is_file()
            assert is_proof or (ROOT / proof).exists(), proof


def test_check_when_it_is_copied_from_the_page_then_it_has_ten_lines_and_refuses(tmp_path: Path) -> None:
    first, its_test = CODE[:2]
    assert len([line for line in first.splitlines() if line.strip()]) <= 10
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text(first)
    (tmp_path / "mine.toml").write_text(CONFIG[0])
    command = [sys.executable, "-m", "framework", "check-config", "-c", "sandbox", "-c", "mine.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    space: dict[str, Any] = {"FewOrders": Plugins([tmp_path / "plugins"]).check("mine:FewOrders")}
    exec(its_test, space)  # noqa: S102 - what stands on the page
    (run,) = (one for name, one in space.items() if name.startswith("test_"))
    run()


@pytest.mark.parametrize(("fills", "is_allowed"), [(1, True), (2, False)])
def test_check_that_acts_when_it_is_copied_from_the_page_then_it_does(fills: int, is_allowed: bool) -> None:
    space: dict[str, Any] = {}
    exec(CODE[2], space)  # noqa: S102 - what stands on the page
    harness = TradingHarness(checks=[space["Enough"](fills_max=2)])
    mine = harness.add("mine", Noop)
    price, size = INSTRUMENT.price("0.40"), INSTRUMENT.size(5)
    handle = harness.call(mine.buy, INSTRUMENT.id, price, size)
    for _ in range(fills):
        harness.venue.fill(handle, size="1")
    assert harness.call(mine.place, Side.BUY, INSTRUMENT.id, price, size).is_approved is is_allowed
