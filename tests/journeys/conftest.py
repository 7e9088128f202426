from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Sandbox, venue_toml

Configure = Callable[..., list[str]]

TIER = "premier"
"""Rate limits under which a start reads at once: the lowest tier's let it wait for a second."""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A local exchange that outlives the daemon."""
    started = Sandbox(tmp_path / "sandbox", tier=TIER)
    yield started
    started.stop()


@pytest.fixture
def configure(tmp_path: Path, sandbox: Sandbox) -> Configure:
    """The command line of a daemon that trades at that exchange; `extra` is laid over the default configuration."""

    def arguments(extra: str = "", **settings: object) -> list[str]:
        file = tmp_path / "tidegate.toml"
        file.write_text(venue_toml(sandbox.ready, **{"tier": TIER, **settings}) + extra)
        return ["-c", "sandbox", "-c", str(file), "--state-dir", str(tmp_path / "state")]

    return arguments
