"""A small exchange to trade on, and a short way to write orders."""

import pytest

from tests.connectors.sandbox.engine.venue import Venue


@pytest.fixture
def venue() -> Venue:
    return Venue()
