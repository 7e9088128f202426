"""Monitors at work: checks that watch are shown what happens, and what they order becomes an input of the kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from framework.domain.account_events import (
    CancelRequested,
    ControlSaved,
    Fill,
    Scope,
    TradingState,
    TradingStateChanged,
)
from framework.domain.errors import describe_error
from framework.domain.events import Event
from framework.domain.ports import ControlAction, Followed, Monitor
from framework.domain.views import RiskView

_Handlers = Mapping[type, Callable[[Any], None]]


class Monitors:
    """Shows events to the monitors that follow them, and publishes what they order: numbered and journaled like every
    other input, so that a replay finds it there. `monitors` are by the names of their checks; one of changed settings
    takes the place of the one before.

    A monitor only tightens: what would replace a stricter trading state is left out. One that raises, or orders what it
    may not, has not watched: then everything is halted until a person resumes it.
    """

    def __init__(self, monitors: Mapping[str, Monitor], view: RiskView, publish: Callable[[Event], None]) -> None:
        self._monitors = monitors
        self._view = view
        self._publish = publish
        self._following: dict[type, list[str]] = {}
        for name, monitor in monitors.items():
            for kind in monitor.follows:
                self._following.setdefault(kind, []).append(name)

    def shown_by(self, handlers: _Handlers) -> dict[type, Callable[[Any], None]]:
        """The same handlers, where somebody follows the type of event with its monitors behind; the others cost nothing
        more."""
        return {
            kind: self._before_showing(handler) if kind in self._following else handler
            for kind, handler in handlers.items()
        }

    def show(self, event: Followed) -> None:
        """Show one event, or one approval, to those who follow its type."""
        for name in self._following.get(type(event), ()):
            try:
                for action in self._monitors[name].follow(event, self._view):
                    self._order(name, action)
            except BaseException as e:  # noqa: BLE001 - a check may raise anything: one that broke does not watch
                self._halt(name, describe_error(e))

    def show_booked(self, event: Event, fills: Iterable[Fill]) -> None:
        """Show a record of orders and money with the fills that it booked: each fill once, however often it is told."""
        if self._following:
            for fill in fills:
                self.show(fill)
            if not isinstance(event, Fill):
                self.show(event)

    def _before_showing(self, handler: Callable[[Any], None]) -> Callable[[Any], None]:
        def handle(event: Any) -> None:
            handler(event)
            self.show(event)

        return handle

    def _order(self, name: str, action: ControlAction) -> None:
        if isinstance(action, TradingStateChanged) and action.state is not TradingState.ACTIVE:
            if not self._is_stricter_set(action):
                self._publish(msgspec.structs.replace(action, by=name, ts_recv=self._view.now_ns))
        elif isinstance(action, CancelRequested | ControlSaved):
            self._publish(msgspec.structs.replace(action, ts_recv=self._view.now_ns))
        else:
            raise TypeError(f"{type(action).__name__} is nothing that a check may order")

    def _is_stricter_set(self, action: TradingStateChanged) -> bool:
        is_halted = self._view.is_set(action.scope, action.target, TradingState.HALTED)
        return is_halted and action.state is not TradingState.HALTED

    def _halt(self, name: str, what: str) -> None:
        if not self._view.is_set(Scope.GLOBAL, "", TradingState.HALTED):
            self._publish(
                TradingStateChanged(
                    scope=Scope.GLOBAL,
                    target="",
                    state=TradingState.HALTED,
                    reason=f"the check {name} does not watch any more: {what}",
                    ts_recv=self._view.now_ns,
                    by=name,
                )
            )
