"""Limits that an operator changes while the daemon runs: stricter at once, anything else after a second word."""

from __future__ import annotations

from typing import NamedTuple

import structlog

from framework.domain.account_events import LimitChanged
from framework.domain.errors import ConfigurationError
from framework.domain.operator_requests import OPERATOR, Answer, SetLimit
from framework.domain.ports import Clock, Rng
from framework.domain.views import LimitView
from framework.engine.kernel_ports import Limits

CONFIRM_NS_MAX = 60_000_000_000
"""So long a second word is waited for."""

_log = structlog.get_logger("operator")


class Awaited(NamedTuple):
    """What waits for a second word: the request without it, and until when (monotonic nanoseconds)."""

    request: tuple[str, str, str]
    until_ns: int


class LimitChanges:
    """Plans and shows changes of the gate's settings. `rng` makes the words that confirm one."""

    def __init__(self, settings: Limits, clock: Clock, rng: Rng) -> None:
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._awaited: dict[str, Awaited] = {}

    def rows(self, check: str = "") -> list[LimitView]:
        """The settings as they count now, of one check or of all."""
        return [row for row in self._settings.rows() if check in ("", row.check)]

    def planned(self, request: SetLimit) -> LimitChanged | Answer:
        """The record that makes the change; an answer when it waits for a second word, or is none.

        Raises `ConfigurationError` with a line for each thing that is wrong with it.
        """
        if not request.reason.strip():
            raise ConfigurationError('limit: say why, it is recorded: --reason "half size until the listing is over"')
        row, is_no_looser = self._settings.plan(request.check, request.key, request.value)
        where = f"checks.{row.check}.settings.{row.key}"
        if row.value == row.before:
            return Answer(is_ok=True, lines=(f"{where} is {row.value or 'not set'} already: nothing was done",))
        if not is_no_looser and not self._is_confirmed(request):
            word = self._await(request)
            text = (
                f"{where} would go from {row.before or 'not set'} to {row.value or 'not set'}, which may let more pass"
            )
            return Answer(
                is_ok=False,
                lines=(f"{text}: nothing was done", f"to do it, say the same within a minute with --confirm {word}"),
                data={"confirm": word},
            )
        return LimitChanged(
            check=request.check,
            key=request.key,
            value=request.value,
            configured=row.configured,
            reason=request.reason,
            ts_recv=self._clock.now_ns(),
            by=OPERATOR,
        )

    def answer(self, change: LimitChanged) -> Answer:
        """What is said of a change that is recorded."""
        where = f"checks.{change.check}.settings.{change.key}"
        now = change.value or change.configured or "not set"
        _log.info("limit changed", check=change.check, key=change.key, value=now, reason=change.reason)
        source = f"the configuration has {change.configured or 'none'}" if change.value else "as configured"
        return Answer(is_ok=True, lines=(f"{where} is {now} from now on, also after a restart; {source}",))

    def _await(self, request: SetLimit) -> str:
        now_ns = self._clock.monotonic_ns()
        self._awaited = {word: one for word, one in self._awaited.items() if one.until_ns > now_ns}
        word = self._rng.randbytes(2).hex()
        self._awaited[word] = Awaited((request.check, request.key, request.value), now_ns + CONFIRM_NS_MAX)
        return word

    def _is_confirmed(self, request: SetLimit) -> bool:
        """Whether the word is that of the same request, at most a minute ago. Raises `ConfigurationError` for another
        one."""
        if not request.confirm:
            return False
        awaited = self._awaited.pop(request.confirm, None)
        if awaited is None or awaited.until_ns <= self._clock.monotonic_ns():
            raise ConfigurationError(
                f"--confirm {request.confirm}: no change waits for this word; ask again without it"
            )
        if awaited.request != (request.check, request.key, request.value):
            check, key, value = awaited.request
            raise ConfigurationError(
                f"--confirm {request.confirm}: this word is for {check}.{key} = {value}; ask again without it"
            )
        return True
