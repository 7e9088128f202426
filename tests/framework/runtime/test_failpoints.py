from __future__ import annotations

import ast
import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.domain.errors import ConfigurationError
from framework.runtime import failpoints
from framework.runtime.failpoints import POINTS, VARIABLE, arm, reach, reach_soon

ROOT = Path(__file__).parents[3]


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """What would have killed this process."""
    sent: list[int] = []
    monkeypatch.setattr(failpoints.os, "kill", lambda _, number: sent.append(number))
    yield sent
    arm("")


def test_point_when_nothing_is_armed_then_it_is_passed(deaths: list[int]) -> None:
    for point in POINTS:
        reach(point)
    assert deaths == []


def test_point_when_it_is_armed_then_only_its_first_passage_kills(deaths: list[int]) -> None:
    arm("after-sign")
    reach("before-sign")
    assert deaths == []
    reach("after-sign")
    reach("after-sign")
    assert deaths == [signal.SIGKILL]


def test_point_when_a_passage_is_named_then_the_ones_before_it_are_passed(deaths: list[int]) -> None:
    arm("after-sign:3")
    reach("after-sign")
    reach("after-sign")
    assert deaths == []
    reach("after-sign")
    assert deaths == [signal.SIGKILL]


async def test_point_when_it_is_reached_soon_then_the_round_of_the_loop_ends_first(deaths: list[int]) -> None:
    arm("cancel-after-send")
    reach_soon("cancel-after-send")
    reach_soon("amend-after-send")
    assert deaths == []
    await asyncio.sleep(0)
    assert deaths == [signal.SIGKILL]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("after-sing", 'no fail point "after-sing"; did you mean "after-sign"?'),
        ("xyz", "known: after-approve, after-outbox-push"),
        ("after-sign:0", 'TIDEGATE_FAILPOINT: "0" is not a number of passages; write it like after-sign:3'),
        ("after-sign:", "is not a number of passages"),
        ("after-sign:two", "is not a number of passages"),
    ],
)
def test_arming_when_it_names_nothing_then_it_is_refused_with_a_remedy(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        arm(text)
    assert says in str(refused.value)


def test_daemon_when_the_environment_names_an_unknown_point_then_it_does_not_start(tmp_path: Path) -> None:
    done = _python("-m", "framework", "run", "--state-dir", str(tmp_path / "state"), point="after-sing")
    assert done.returncode == 2
    assert 'did you mean "after-sign"?' in done.stderr
    assert not (tmp_path / "state").exists()


def test_process_when_the_environment_armed_a_point_then_it_dies_there_by_sigkill() -> None:
    source = """
        from framework.runtime.failpoints import reach
        reach("before-sign")
        reach("after-sign")
        print("one", flush=True)
        reach("after-sign")
        print("never")
    """
    done = _python("-c", textwrap.dedent(source), point="after-sign:2")
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "one\n")


def test_points_when_the_source_is_walked_then_each_is_reached_somewhere_and_no_other_is() -> None:
    found: set[str] = set()
    asked: set[str] = set()
    for path in sorted((ROOT / "framework").rglob("*.py")):
        if path == Path(failpoints.__file__):
            continue
        tree = ast.parse(path.read_text())
        found |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in POINTS}
        asked |= {
            node.args[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("reach", "reach_soon")
            and isinstance(node.args[0], ast.Constant)
        }
    assert found == set(POINTS)
    assert asked <= set(POINTS)


def test_points_when_they_are_listed_then_each_says_in_one_sentence_what_is_true_there() -> None:
    assert len(POINTS) >= 20
    assert all(sentence.endswith(".") and len(sentence) < 100 for sentence in POINTS.values())


def _python(*arguments: str, point: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {VARIABLE: point}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30
    )
