from __future__ import annotations

import pytest

from tests.connectors.kalshi.stream.session_rig import Rig
from tests.connectors.kalshi.support import TICKER


@pytest.fixture
def running() -> Rig:
    """Subscribed, one market, its book proved."""
    rig = Rig(TICKER)
    rig.acknowledge_all()
    rig.snapshot()
    rig.events.clear()
    rig.commands.clear()
    return rig
