from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.runs import Begin, Run, beginner
from tests.support.world import Dispatching, Scribe, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A core whose venue is open."""
    world = World(tmp_path)
    world.start()
    yield world
    world.close()


@pytest.fixture
def scribe(world: World) -> Scribe:
    """A strategy that does what the test asks."""
    strategy = world.add()
    assert isinstance(strategy, Scribe)
    return strategy


@pytest.fixture
async def dispatching(world: World) -> AsyncIterator[World]:
    """The same core with its dispatcher at work."""
    async with Dispatching(world):
        yield world


@pytest.fixture
def begin() -> Begin:
    """Open the records of one more run in a directory."""
    return beginner()


@pytest.fixture
def run(tmp_path: Path, begin: Begin) -> Run:
    """Open the records of one more run in the same directory."""
    return partial(begin, tmp_path)
