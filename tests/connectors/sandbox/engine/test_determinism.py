"""The same seed gives the same session, whatever process runs it."""

import os
import subprocess
import sys

from tests.connectors.sandbox.engine.session import digest


def in_a_process(seed: int, hash_seed: str) -> str:
    environment = dict(os.environ, PYTHONHASHSEED=hash_seed)
    command = [sys.executable, "-m", "tests.connectors.sandbox.engine.session", str(seed)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_session_when_run_in_processes_with_different_hash_seeds_then_the_digests_are_equal() -> None:
    here = digest(3)
    assert in_a_process(3, "1") == here
    assert in_a_process(3, "2") == here


def test_session_when_the_seed_differs_then_the_digest_does_too() -> None:
    assert digest(3, steps=40) != digest(4, steps=40)
