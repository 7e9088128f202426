"""When the venue's word and ours are compared, and what can be told apart then."""

from __future__ import annotations

import msgspec

from framework.domain.ports import Clock


class Moment(msgspec.Struct, frozen=True):
    """When a comparison is made, and how long the venue's reads may lag behind (nanoseconds). A difference in what
    changed more recently than that proves nothing."""

    now_ns: int
    monotonic_ns: int
    lag_ns: int

    @classmethod
    def of(cls, clock: Clock, *, lag_ms: int) -> Moment:
        """Now."""
        return cls(clock.now_ns(), clock.monotonic_ns(), lag_ms * 1_000_000)

    def after(self, asked: Moment) -> Moment:
        """This moment, to judge an answer that was asked for at `asked`: what changed since need not be in it."""
        return msgspec.structs.replace(self, lag_ns=self.lag_ns + self.monotonic_ns - asked.monotonic_ns)

    def is_settled(self, changed_ns: int) -> bool:
        """Whether what changed at this wall time must be visible by now. A time that lies ahead was taken before the
        clock was set back."""
        return not 0 <= self.now_ns - changed_ns <= self.lag_ns
