"""Loading late, and which files may hold a secret."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from framework.domain.loading import RECURSION_MAX, load_late, secret_file_flaw

OURS, OUR_GROUP = os.geteuid(), os.getegid()
ROOT, STRANGER, FOREIGN_GROUP = 0, 54_321, 54_321


def status(mode: int, owner: int, group: int) -> os.stat_result:
    return os.stat_result((0o100000 | mode, 1, 1, 1, owner, group, 10, 0, 0, 0))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_secret_file_when_only_its_owner_can_use_it_then_it_may_hold_a_secret(mode: int) -> None:
    assert secret_file_flaw(status(mode, OURS, OUR_GROUP)) == ""


def test_secret_file_when_it_is_root_s_and_our_group_reads_it_then_it_may_as_kubernetes_mounts_it() -> None:
    assert secret_file_flaw(status(0o440, ROOT, OUR_GROUP)) == ""


@pytest.mark.parametrize(
    ("mode", "owner", "group"),
    [
        (0o440, STRANGER, OUR_GROUP),
        (0o440, ROOT, FOREIGN_GROUP),
        (0o460, ROOT, OUR_GROUP),
        (0o444, ROOT, OUR_GROUP),
        (0o644, OURS, OUR_GROUP),
    ],
)
def test_secret_file_when_others_can_use_it_then_both_ways_out_are_named(mode: int, owner: int, group: int) -> None:
    flaw = secret_file_flaw(status(mode, owner, group))
    assert flaw.startswith(f"mode {mode:04o}, owner {owner}, group {group} ")
    assert "chmod 600" in flaw
    assert "defaultMode 0440 and fsGroup" in flaw


def test_import_when_a_module_raises_the_recursion_limit_then_it_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "greedy_wallet.py").write_text("import sys\nsys.setrecursionlimit(100_000)\nANSWER = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_late("greedy_wallet:ANSWER") == 42
    assert sys.getrecursionlimit() == RECURSION_MAX
