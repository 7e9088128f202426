"""One RSA key for every local Kalshi of a test process: to make one costs more than to start a sandbox."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from connectors.sandbox.serving.keys import write_private
from connectors.sandbox.serving.public_keys import generate_private_key, private_pem


def keep_rsa_key(directory: Path) -> None:
    """Put the key where a sandbox that is started in this directory looks for its own."""
    file = directory / "kalshi-rsa.pem"
    if not file.exists():
        write_private(file, _pem())


@cache
def _pem() -> str:
    return private_pem(generate_private_key("rsa"))
