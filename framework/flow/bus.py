"""The bus: typed topics, resolved once into tuples of handlers, called inline and in a fixed order.

A topic is an event class, narrowed to one instrument or not. Handlers guard themselves (see
`framework.flow.host`): whatever one of them does, the next is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.domain.instruments import InstrumentId

Handler = Callable[[Any], None]

ANY = InstrumentId("")
"""Subscribe to a topic for every instrument."""


class Bus:
    """Who gets what. Handlers are called in the order in which they subscribed."""

    __slots__ = ("_resolved", "_subscriptions")

    def __init__(self) -> None:
        self._subscriptions: list[tuple[type, InstrumentId, Handler]] = []
        self._resolved: dict[tuple[type, InstrumentId], tuple[Handler, ...]] = {}

    def subscribe(self, event_type: type, handler: Handler, instrument: InstrumentId = ANY) -> None:
        """Have `handler` called for every event of exactly `event_type`, of one instrument or of `ANY`."""
        self._subscriptions.append((event_type, instrument, handler))
        self._resolved.clear()

    def publish(self, event: object, instrument: InstrumentId = ANY) -> None:
        """Call every handler of the event's topic, now."""
        topic = (type(event), instrument)
        handlers = self._resolved.get(topic)
        if handlers is None:
            handlers = self._resolve(topic)
        for handler in handlers:
            handler(event)

    def _resolve(self, topic: tuple[type, InstrumentId]) -> tuple[Handler, ...]:
        event_type, instrument = topic
        handlers = tuple(
            handler
            for subscribed_type, subscribed_instrument, handler in self._subscriptions
            if subscribed_type is event_type and subscribed_instrument in (ANY, instrument)
        )
        self._resolved[topic] = handlers
        return handlers
