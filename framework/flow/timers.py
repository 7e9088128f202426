"""Strategy timers: one-shot, replaced by name, delivered to the kernel as events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from framework.domain.events import TimerFired
from framework.domain.ports import Clock


class LoopTimers:
    """Timers of the running event loop."""

    def __init__(self, publish: Callable[[TimerFired], None], clock: Clock) -> None:
        self._publish = publish
        self._clock = clock
        self._handles: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def set(self, strategy: str, name: str, after_ms: int) -> None:
        """Fire once after `after_ms`; replaces the strategy's timer of that name."""
        key = (strategy, name)
        if (old := self._handles.pop(key, None)) is not None:
            old.cancel()
        self._handles[key] = asyncio.get_running_loop().call_later(after_ms / 1000, self._fire, key)

    def close(self) -> None:
        """Cancel all."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _fire(self, key: tuple[str, str]) -> None:
        self._handles.pop(key, None)
        self._publish(TimerFired(key[0], key[1], self._clock.now_ns()))
