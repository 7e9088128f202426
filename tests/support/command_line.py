"""What tests of the command line share."""

from __future__ import annotations

import pytest

Capsys = pytest.CaptureFixture[str]
"""What was printed, as text."""
