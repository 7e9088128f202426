from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Sandbox, venue_toml

Configure = Callable[..., list[str]]

TIER = "premier"
"""Rate limits under which a start reads at once: the lowest tier's let it wait for a second."""


@pytest.fixture(scope="session")
def kept() -> Iterator[list[Sandbox]]:
    """The process of the local exchange that the tests before have used, if there is one."""
    found: list[Sandbox] = []
    yield found
    for one in found:
        one.stop()


@pytest.fixture
def sandbox(kept: list[Sandbox], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A local exchange that outlives the daemon: a fresh one, in a process that is kept until a test kills it."""
    if not kept:
        kept.append(Sandbox(tmp_path_factory.mktemp("exchange"), tier=TIER))
    kept[0].reset()
    yield kept[0]
    kept[0].signal(signal.SIGCONT)
    if kept[0].has_ended:
        kept.pop().stop()


@pytest.fixture
def configure(tmp_path: Path, sandbox: Sandbox) -> Configure:
    """The command line of a daemon that trades at that exchange; `extra` is laid over the default configuration."""

    def arguments(extra: str = "", **settings: object) -> list[str]:
        file = tmp_path / "tidegate.toml"
        file.write_text(venue_toml(sandbox.ready, **{"tier": TIER, **settings}) + extra)
        return ["-c", "sandbox", "-c", str(file), "--state-dir", str(tmp_path / "state")]

    return arguments
