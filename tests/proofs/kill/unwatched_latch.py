"""The program without what records the latch as a halt: only who sends asks for it."""

from __future__ import annotations

import asyncio
import sys

from framework.__main__ import main
from framework.ops.kill_watch import KillWatch


async def _run(_self: KillWatch) -> None:
    await asyncio.Event().wait()


if __name__ == "__main__":
    KillWatch.run = _run  # type: ignore[method-assign]
    sys.exit(main())
