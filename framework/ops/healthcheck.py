"""Asks a running daemon whether its event loop runs: `python -m framework.ops.healthcheck [URL]`.

Exit code 0 when `/healthz` answers 200 within 2 s, else 1 with the reason on standard error. The address is the
argument, else `TIDEGATE_HTTP__PORT` on this machine, else port 8080. Standard library only: it starts in
milliseconds, and container engines run it every few seconds.
"""

from __future__ import annotations

import http.client
import os
import sys
from urllib.parse import urlsplit

_TIMEOUT_S = 2.0


def check(url: str) -> str:
    """Ask `url`, for at most 2 s. Return an empty string when it answers 200, else why the daemon is not healthy."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=_TIMEOUT_S)
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
    port = os.environ.get("TIDEGATE_HTTP__PORT", "8080")
    reason = check(sys.argv[1] if len(sys.argv) > 1 else f"http://127.0.0.1:{port}/healthz")
    if reason:
        sys.stderr.write(reason + "\n")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
