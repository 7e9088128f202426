"""Asks a running daemon whether its event loop runs: `python -m framework.ops.healthcheck [URL]`.

Exit code 0 when `/healthz` answers 200 within 2 s, else 1 with the reason on standard error. The address is the
argument, else what the daemon wrote into its state directory (`TIDEGATE_STATE_DIR`, else `state`), else
`TIDEGATE_HTTP__PORT` on this machine, else port 8080. Standard library only: it starts in milliseconds, and container
engines run it every few seconds.
"""

from __future__ import annotations

import http.client
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

ADDRESS_NAME = "http-address"
"""The file in a state directory that says where its daemon listens, as a URL that this machine can dial."""

_TIMEOUT_S = 2.0
_PORT = 8080
_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told apart here, not listened on


def url_of(host: str, port: int, path: str = "") -> str:
    """An address as a URL: that of IPv6 in brackets."""
    return f"http://[{host}]:{port}{path}" if ":" in host else f"http://{host}:{port}{path}"


def write_address(directory: Path, host: str, port: int) -> str:
    """Leave in a state directory where its daemon can be asked: "any address" is this machine's own. Return an empty
    string, or why it can't be written: no reason not to trade."""
    try:
        (directory / ADDRESS_NAME).write_text(url_of(_ANY.get(host, host), port) + "\n", encoding="utf-8")
    except OSError as e:
        return str(e)
    return ""


def address_in(directory: Path) -> str:
    """The URL to ask for the health of the daemon of a state directory; empty when none has run there."""
    try:
        return (directory / ADDRESS_NAME).read_text(encoding="utf-8").strip() + "/healthz"
    except (OSError, UnicodeDecodeError):
        return ""


def check(url: str) -> str:
    """Ask `url`, for at most 2 s. Return an empty string when it answers 200, else why the daemon is not healthy."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as e:
        return f"{url}: is no address ({e}); write it like http://127.0.0.1:8080/healthz"
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", parts.path or "/healthz")
        answer = connection.getresponse()
        body = answer.read(500).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as e:
        return f"{url}: no answer ({e})"
    finally:
        connection.close()
    return "" if answer.status == http.client.OK else f"{url}: {answer.status} {body}"


def main() -> int:
    """Check the daemon of this container or machine; return 0 when it is healthy, else 1 with the reason printed."""
    written = address_in(Path(os.environ.get("TIDEGATE_STATE_DIR", "state")))
    assumed = f"http://127.0.0.1:{os.environ.get('TIDEGATE_HTTP__PORT', _PORT)}/healthz"
    reason = check(sys.argv[1] if len(sys.argv) > 1 else written or assumed)
    if reason:
        sys.stderr.write(reason + "\n")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
