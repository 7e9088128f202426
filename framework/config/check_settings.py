"""The settings of the gate's checks as they are now: those of the configuration, and what was changed while it runs.

A change is one value, at one key of one check. It is a record like any other, so it outlives a restart; it counts until
it is taken back. A check is made anew from all its settings: one whose settings do not fit together is never asked.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from framework.config.errors import parse_settings
from framework.config.toml import to_toml
from framework.domain.account_events import LimitChanged
from framework.domain.errors import ConfigurationError, suggestion
from framework.domain.ports import AnyCheck
from framework.domain.views import LimitView

_MAXIMUM = "is_maximum"
"""In a field's `json_schema_extra`: less of it is stricter, whatever its name. With a text, the field whose exceptions
are in this one."""


class CheckSettings:
    """Implements `framework.engine.kernel_ports.Limits`. `on_check` gets each check that was made anew."""

    def __init__(
        self,
        configured: Sequence[tuple[str, AnyCheck]],
        changes: Iterable[LimitChanged] = (),
        *,
        on_check: Callable[[str, AnyCheck], None] = lambda _name, _check: None,
    ) -> None:
        """`changes` are those that count at the start. One that does not fit this configuration is left out, and
        said in `unusable`."""
        self._configured = dict(configured)
        self._checks = dict(configured)
        self._changes: dict[tuple[str, str], LimitChanged] = {}
        self._on_check = on_check
        self.unusable = tuple(flaw for one in changes if (flaw := self._take(one)))

    @property
    def checks(self) -> tuple[tuple[str, AnyCheck], ...]:
        """The checks as they are asked now, in their order, by name."""
        return tuple(self._checks.items())

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever starts this should know of the changes that count, a line each."""
        return (*map(self._note, self._changes.values()), *self.unusable)

    def change(self, event: LimitChanged) -> None:
        """Ask a check with the changed setting from here on. A change that does not fit, as of a check that is not
        configured any more, does nothing."""
        if not self._take(event):
            self._on_check(event.check, self._checks[event.check])

    def rows(self) -> tuple[LimitView, ...]:
        """Every setting of every check as it counts now, in the order of the checks."""
        return tuple(self._rows())

    def plan(self, check: str, key: str, value: str) -> tuple[LimitView, bool]:
        """What a setting would be and was, changed to `value` in TOML (empty: what is configured), and whether that is
        surely no looser. Raises `ConfigurationError` with a line for each thing that is wrong."""
        made = self._made(check, key, value)
        before, after = self._now(check, key), dict(_leaves(_tree(made))).get(key, None)
        configured = dict(_leaves(_tree(self._configured[check]))).get(key)
        row = LimitView(check=check, key=key, value=_text(after), configured=_text(configured), before=_text(before))
        return row, is_no_looser(made, key, before, after, _tree(self._checks[check]))

    def _take(self, event: LimitChanged) -> str:
        """Make the check anew with this change; why that can't be, if it can't."""
        try:
            made = self._made(event.check, event.key, event.value)
        except ConfigurationError as e:
            return f"{str(e).splitlines()[0]}; the change of {event.check}.{event.key} to {event.value} does not count"
        place = event.check, event.key
        self._changes.pop(place, None)
        if event.value:
            self._changes[place] = event
        self._checks[event.check] = made
        return ""

    def _made(self, name: str, key: str, value: str) -> AnyCheck:
        """A check with one more setting changed. Raises `ConfigurationError`."""
        configured = self._configured.get(name)
        if configured is None:
            raise ConfigurationError(f'there is no check "{name}"; {suggestion(name, self._configured)}')
        if not isinstance(configured, BaseModel):
            raise ConfigurationError(f"{name}: this check has no settings")
        tree = configured.model_dump(exclude_unset=True)
        changes = {one.key: one.value for one in self._changes.values() if one.check == name} | {key: value}
        for at, text in changes.items():
            if text:
                _put(tree, at, _parsed(name, at, text))
        return cast("AnyCheck", parse_settings(type(configured), tree, key=name, origins={}))

    def _now(self, check: str, key: str) -> Any:
        return dict(_leaves(_tree(self._checks[check]))).get(key)

    def _rows(self) -> Iterator[LimitView]:
        for name, check in self._checks.items():
            configured = dict(_leaves(_tree(self._configured[name])))
            for key, value in _leaves(_tree(check)):
                change = self._changes.get((name, key))
                row = LimitView(check=name, key=key, value=_text(value), configured=_text(configured.get(key)))
                yield row if change is None else row.changed_by(change)

    def _note(self, change: LimitChanged) -> str:
        now = _text(dict(_leaves(_tree(self._configured[change.check]))).get(change.key))
        is_other = now != change.configured
        file = f"{now or 'not set'} (it was {change.configured or 'not set'} then)" if is_other else now or "not set"
        return (
            f"checks.{change.check}.settings.{change.key} = {change.value}, as {change.by or 'somebody'} set it while "
            f"it ran ({change.reason}); the configuration has {file}. `tidegate limit reset {change.check} "
            f"{change.key}` goes back to it"
        )


def is_no_looser(model: object, key: str, before: Any, after: Any, tree: Mapping[str, Any]) -> bool:
    """Whether it is sure that a check with `after` at `key` refuses all that it refused with `before`. `tree` are its
    settings before. A setting is known as a maximum by its name (`max_…`, `…_max`) or its `json_schema_extra`."""
    if before == after:
        return True
    if after is None:
        return False
    if isinstance(after, (list, tuple)):
        return isinstance(before, (list, tuple)) and set(map(_text, after)) <= set(map(_text, before))
    general = _maximum(model, key)
    if not general or isinstance(after, bool) or not isinstance(after, (int, Decimal)):
        return False
    if before is None and general != key:
        # A new exception: it may stand in the way of one of before, or of the general limit.
        others = tree.get(key.partition(".")[0]) or {}
        known = [one for one in (tree.get(general), *others.values()) if one is not None]
        return all(isinstance(one, (int, Decimal)) and after <= one for one in known)
    return before is None or after <= before


def _maximum(model: object, key: str) -> str:
    """The key of the general limit of which the setting at `key` is one, or an exception; empty for no maximum."""
    first, _, rest = key.partition(".")
    field = type(model).model_fields.get(first) if isinstance(model, BaseModel) else None
    if field is None:
        return ""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    general = extra.get(_MAXIMUM)
    if rest:
        inner = next((one for one in _types_of(field) if issubclass(one, BaseModel)), None)
        if inner is not None:
            return key if _maximum(inner.model_construct(), rest) else ""
        return general if isinstance(general, str) else ""
    return key if general or first.startswith("max_") or first.endswith("_max") else ""


def _types_of(field: FieldInfo) -> Iterator[type]:
    for one in (field.annotation, *get_args(field.annotation)):
        if isinstance(one, type):
            yield one


def _tree(check: object) -> dict[str, Any]:
    return check.model_dump() if isinstance(check, BaseModel) else {}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a table by their dotted keys; tables inside it are gone into, what is not set is left out."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a value at a dotted key. In a table of patterns the first that matches wins: a new one comes first. A pattern
    may hold dots itself: what is there already says where a key ends."""
    first, _, rest = key.partition(".")
    inner = tree.get(first)
    if not rest or not (inner is None or isinstance(inner, dict)):
        tree[key if rest else first] = value
        return
    if isinstance(inner, dict) and rest.partition(".")[0] in inner and isinstance(inner[rest.partition(".")[0]], dict):
        _put(inner, rest, value)
    elif isinstance(inner, dict) and rest in inner:
        inner[rest] = value
    else:
        tree[first] = {rest: value} | (inner or {})


def _parsed(name: str, key: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        raise ConfigurationError(
            f'{name}.{key}: {text} is no value of TOML; write a number, or "text" in quotation marks'
        ) from None


def _text(value: Any) -> str:
    return "" if value is None else to_toml(value)
