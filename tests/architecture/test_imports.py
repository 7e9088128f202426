"""Each contract of `.importlinter` reports what it forbids: import-linter reads copies with wrong imports in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT, source

CONFIG = ".importlinter"
CONTRACTS = {
    found[1]: found[2]
    for found in re.finditer(r"\[importlinter:contract:(.+)\]\nname = (.+)\n", (ROOT / CONFIG).read_text())
}
"""Identifier -> name as the report shows it."""
TIMEOUT_S = 60


class WrongImport(NamedTuple):
    """An import that is added to a file, and the contract that must report it. A file that isn't there is made."""

    contract: str
    path: str
    imported: str
    shown: str = ""
    """What the report says of it, if it is not `importer -> imported`."""

    @property
    def report(self) -> str:
        """What must stand in the report under the name of the contract."""
        return self.shown or f"- {source(self.path, '').module} -> {self.imported} (l."


CONTROLS = [
    WrongImport("layers", "framework/state/books.py", "framework.config.model"),
    WrongImport("layers", "framework/runtime/clock.py", "framework.state.books"),
    WrongImport("layers", "framework/extra.py", "framework.domain.orders", "framework.extra"),
    WrongImport("layers", "framework/domain/orders.py", "framework.engine.bus"),
    WrongImport("domain", "framework/domain/orders.py", "risk.gate"),
    WrongImport("domain", "framework/domain/orders.py", "aiohttp"),
    WrongImport("plugins", "strategies/noop.py", "framework.engine.bus"),
    WrongImport("plugins", "connectors/transport/dial.py", "framework.daemon"),
    WrongImport("plugins", "risk/limit_table.py", "framework.extra"),
    WrongImport("pure-plugins", "strategies/noop.py", "asyncio"),
    WrongImport("pure-plugins", "risk/gate.py", "connectors.transport.ports"),
    WrongImport("pure-codecs", "connectors/kalshi/wire/encode.py", "asyncio"),
    WrongImport("pure-codecs", "connectors/kalshi/wire/decode_rest.py", "connectors.transport.dial"),
    WrongImport("pure-codecs", "connectors/tide/wire/encode.py", "socket"),
    WrongImport("pure-codecs", "connectors/client/wire/decimals.py", "asyncio"),
    WrongImport("pure-codecs", "connectors/client/wire/answers.py", "connectors.transport.errors"),
    WrongImport("independent-strategies", "strategies/noop.py", "strategies.market_maker"),
    WrongImport("independent-strategies", "strategies/extra.py", "strategies.noop"),
    WrongImport("independent-strategies", "strategies/legs.py", "strategies.noop"),
    WrongImport("independent-checks", "risk/checks/order_grid.py", "risk.checks.price_collar"),
    WrongImport("independent-checks", "risk/checks/extra.py", "risk.checks.price_collar"),
    WrongImport("plugins-by-name", "framework/cli/list.py", "strategies.noop"),
    WrongImport("plugins-by-name", "framework/venues.py", "connectors.transport.dial"),
    WrongImport("only-the-root-names-parts", "framework/engine/kernel.py", "risk.gate"),
    WrongImport("only-the-root-names-parts", "framework/cli/run.py", "risk.limit_table"),
    WrongImport("gate-knows-no-check", "risk/gate.py", "risk.checks.price_collar"),
    WrongImport("acyclic", "connectors/transport/dial.py", "connectors.kalshi.plugin", ".kalshi"),
]


def batches() -> Mapping[WrongImport, int]:
    """Which run of import-linter has which wrong import: one of each contract, so that four runs do for all."""
    counts: Counter[str] = Counter()
    found = {}
    for wrong in CONTROLS:
        found[wrong] = counts[wrong.contract]
        counts[wrong.contract] += 1
    return found


BATCHES = batches()


def copy_to(root: Path, wrong: Iterable[WrongImport] = ()) -> None:
    """The packages and the contracts in a folder of their own, with wrong imports at the end of files."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / CONFIG, root)
    for one in wrong:
        path = root / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(root).parents[:-1]:
            (root / folder / "__init__.py").touch()
        with path.open("a") as file:
            file.write(f"\nimport {one.imported}\n")


def report_of(root: Path) -> str:
    """What import-linter says of the packages in a folder, white space as single spaces."""
    # The folder comes first on the path of modules, so the copy is read and not the installed packages.
    program = "import sys; sys.path.insert(0, ''); from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", program, "--no-logo", "--no-cache"]
    environ = {**os.environ, "COLUMNS": "400"}
    done = subprocess.run(
        command, cwd=root, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def broken_contracts(report: str) -> Mapping[str, str]:
    """Name of each broken contract -> what is reported of it."""
    names = "|".join(map(re.escape, CONTRACTS.values()))
    _, *parts = re.split(f"({names}) -{{10,}}", report)
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Mapping[str, str]]:
    """What each batch's report says, by the name of the broken contract."""
    found = []
    for batch in range(max(BATCHES.values()) + 1):
        root = tmp_path_factory.mktemp("copy")
        copy_to(root, (wrong for wrong, its in BATCHES.items() if its == batch))
        found.append(broken_contracts(report_of(root)))
    return found


def test_contracts_when_the_source_is_read_then_each_is_kept(tmp_path: Path) -> None:
    copy_to(tmp_path)
    report = report_of(tmp_path)
    assert [name for name in CONTRACTS.values() if f"{name} KEPT" not in report] == [], report


@pytest.mark.parametrize("wrong", CONTROLS, ids=lambda wrong: f"{wrong.contract}: {wrong.path} -> {wrong.imported}")
def test_contracts_when_a_wrong_import_is_added_then_its_contract_reports_it(
    reports: list[Mapping[str, str]], wrong: WrongImport
) -> None:
    assert wrong.report in reports[BATCHES[wrong]].get(CONTRACTS[wrong.contract], "not reported")


def test_contracts_when_counted_then_each_has_a_control() -> None:
    assert {wrong.contract for wrong in CONTROLS} == set(CONTRACTS)
