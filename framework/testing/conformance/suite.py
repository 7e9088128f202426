"""The run of the suite: one sandbox for all cases of a venue, a fresh exchange and a fresh daemon for each case."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from framework.domain.errors import TidegateError, describe_error
from framework.domain.ports import Clock
from framework.runtime.clock import SystemClock
from framework.testing.conformance import cases
from framework.testing.conformance.agreement import wind_up
from framework.testing.conformance.candidates import Candidate
from framework.testing.conformance.case import CASES, Case
from framework.testing.conformance.findings import Finding, NotOffered, NotStaged
from framework.testing.conformance.sandbox import Sandbox
from framework.testing.conformance.session import Wrap
from framework.testing.conformance.stage import Stage, unchanged

MODULES = cases.__all__
"""The modules whose import has declared the cases."""


@dataclass(frozen=True)
class Played:
    """What came of one case: the finding, why, and how many seconds it took."""

    case: Case
    finding: Finding
    detail: str
    seconds: float

    @property
    def is_failure(self) -> bool:
        """Whether the venue does not keep the contract, or nobody knows."""
        return self.finding is Finding.FAIL


async def play_venue(
    venue: Candidate,
    *,
    dialect: str = "",
    library: str = "",
    codes: Sequence[str] = (),
    wrap: Wrap = unchanged,
) -> list[Played]:
    """Play the cases of these codes (none: all) against one venue. `wrap` exchanges the connector, for tests of the
    suite itself. Raises `Fatal` when the sandbox does not start."""
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        sandbox_folder = Path(folder) / "sandbox"
        sandbox_folder.mkdir()
        sandbox = await Sandbox.start(venue, dialect, sandbox_folder)
        try:
            return [
                await _play(one, Stage(venue, dialect, library, sandbox, Path(folder) / one.code, wrap))
                for one in sorted(CASES.values(), key=lambda one: one.code)
                if not codes or one.code in codes
            ]
        finally:
            await sandbox.stop()


async def _play(one: Case, stage: Stage) -> Played:
    clock: Clock = SystemClock()
    started_ns = clock.monotonic_ns()
    finding, detail = await _finding(one, stage)
    if finding is Finding.NOT_STAGED:
        reason = stage.venue.declaration.not_staged.get(one.code)
        finding, detail = (finding, reason) if reason else (Finding.FAIL, f"not staged: {detail}")
    return Played(one, finding, detail, (clock.monotonic_ns() - started_ns) / 1e9)


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
