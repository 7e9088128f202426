"""The run of the suite: a sandbox for each lane of cases, a fresh exchange and a fresh daemon for each case."""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from framework.domain.errors import TidegateError, describe_error
from framework.domain.ports import Clock
from framework.runtime.clock import SystemClock
from framework.testing.conformance import cases
from framework.testing.conformance.agreement import wind_up
from framework.testing.conformance.case import CASES, Case
from framework.testing.conformance.findings import Finding, NotOffered, NotStaged
from framework.testing.conformance.sandbox import Sandbox
from framework.testing.conformance.stage import Setting, Stage

LANES = 4
"""So many cases are played side by side at most, since a case mostly waits."""
LANE_CASES = 6
"""So many cases are worth a sandbox of their own."""

MODULES = cases.__all__
"""The modules whose import has declared the cases."""


@dataclass(frozen=True)
class Played:
    """What came of one case: the finding, why, how many seconds it took, and the line with which the program answered
    its bad input, as it was printed."""

    case: Case
    finding: Finding
    detail: str
    seconds: float
    said: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether the venue does not keep the contract, or nobody knows."""
        return self.finding is Finding.FAIL


async def play_venue(setting: Setting, codes: Collection[str] = ()) -> list[Played]:
    """Play the cases of these codes (none: all), in up to `LANES` lanes with a sandbox each.

    Raises `Fatal` when a sandbox does not start.
    """
    chosen = sorted((one for one in CASES.values() if not codes or one.code in codes), key=lambda one: one.code)
    # Cases of one subject are played one after the other: those of TLS change what the whole process trusts.
    subjects = deque(list(cases) for _, cases in groupby(chosen, key=lambda one: one.subject))
    lanes = range(min(LANES, -(-len(chosen) // LANE_CASES), len(subjects)))
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        found = await asyncio.gather(*(_play_lane(setting, subjects, Path(folder), number) for number in lanes))
    return sorted((played for lane in found for played in lane), key=lambda played: played.case.code)


async def _play_lane(setting: Setting, subjects: deque[list[Case]], folder: Path, number: int) -> list[Played]:
    """Play one subject after the other, as long as there are some."""
    directory = folder / f"sandbox-{number}"
    directory.mkdir()
    arguments = setting.venue.dialect(setting.dialect).arguments
    sandbox = await Sandbox.start(setting.venue, directory, arguments)
    played: list[Played] = []
    try:
        while subjects:
            played += [await play_case(one, setting, sandbox, folder / one.code) for one in subjects.popleft()]
    finally:
        await sandbox.stop()
    return played


async def play_case(one: Case, setting: Setting, sandbox: Sandbox, directory: Path) -> Played:
    """Play one case on a fresh exchange of this sandbox, with its files in `directory`."""
    stage = Stage(setting, sandbox, directory)
    clock: Clock = SystemClock()
    started_ns = clock.monotonic_ns()
    finding, detail = await _finding(one, stage)
    if finding is Finding.NOT_STAGED:
        reason = stage.venue.declaration.not_staged.get(one.code)
        finding, detail = (finding, reason) if reason else (Finding.FAIL, f"not staged: {detail}")
    return Played(one, finding, detail, (clock.monotonic_ns() - started_ns) / 1e9, stage.said)


async def _finding(one: Case, stage: Stage) -> tuple[Finding, str]:
    try:
        await stage.sandbox.reset()
        await one.play(stage)
        if stage.session is not None:
            await wind_up(stage.session, stage.sandbox)
    except NotOffered as e:
        return Finding.NOT_OFFERED, str(e)
    except NotStaged as e:
        return Finding.NOT_STAGED, str(e)
    except AssertionError as e:
        return Finding.FAIL, str(e)
    except (TidegateError, OSError, LookupError, ValueError, RuntimeError) as e:
        return Finding.FAIL, describe_error(e)
    finally:
        await stage.close()
    return Finding.PASS, ""
