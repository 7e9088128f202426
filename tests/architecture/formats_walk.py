"""What structs are written: their tags, fields in order, types, and the words of their enums.

Nothing here is keyed by the name of a class. A struct with a tag is keyed by it, one without by its place, for example
`snapshot.snapshot.fills`. So a class may be called something else, and nothing changes; a changed layout is seen.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Any

from msgspec import inspect

PLAIN = {
    inspect.AnyType: "any",
    inspect.BoolType: "bool",
    inspect.BytesType: "bytes",
    inspect.DecimalType: "decimal",
    inspect.IntType: "int",
    inspect.NoneType: "null",
    inspect.StrType: "str",
}
VALUES: dict[type[inspect.Type], Any] = {
    inspect.BoolType: True,
    inspect.BytesType: b"x",
    inspect.DecimalType: Decimal(1),
    inspect.IntType: 1,
    inspect.NoneType: None,
    inspect.StrType: "x",
}
DEFAULT = " (default)"


class Walk:
    """Collects what can be reached from roots: `structs` as layout and fields, `words` as values of enums by place."""

    def __init__(self) -> None:
        self.structs: dict[str, list[str]] = {}
        self.words: dict[str, list[str]] = {}
        self.enums: set[type[Enum]] = set()
        self._keys: dict[str, type] = {}

    def add(self, place: str, kind: Any) -> None:
        """Walk a type. Raises `ValueError` when two structs have one tag, and for a type that has no word here."""
        self._text(inspect.type_info(kind), place)

    def _text(self, found: inspect.Type, place: str) -> str:
        match found:
            case inspect.StructType():
                return self._struct(found, place)
            case inspect.EnumType():
                self.words[place] = sorted(str(member.value) for member in found.cls)
                self.enums.add(found.cls)
                return "word"
            case inspect.UnionType():
                return self._union(found, place)
            case inspect.ListType() | inspect.VarTupleType():
                return f"[{self._text(found.item_type, f'{place}[]')}, ...]"
            case inspect.TupleType():
                return f"[{', '.join(self._text(one, f'{place}[{n}]') for n, one in enumerate(found.item_types))}]"
            case inspect.DictType():
                return f"{{{self._text(found.key_type, place)}: {self._text(found.value_type, f'{place}{{}}')}}}"
        if type(found) not in PLAIN:
            raise ValueError(f"{place}: {found} has no word in the list of formats; give it one")
        return PLAIN[type(found)]

    def _union(self, found: inspect.UnionType, place: str) -> str:
        texts = sorted(self._text(one, place) for one in found.types if not isinstance(one, inspect.NoneType))
        if len(texts) > 1 and all(text.startswith("<") for text in texts):
            self.words[place] = [text.strip("<>") for text in texts]
            texts = ["tagged"]
        return " | ".join([*texts, *["null" for one in found.types if isinstance(one, inspect.NoneType)]])

    def _struct(self, found: inspect.StructType, place: str) -> str:
        key = place if found.tag is None else str(found.tag)
        if self._keys.setdefault(key, found.cls) is not found.cls:
            raise ValueError(f"{place}: {found.cls} and {self._keys[key]} have one key, {key}: give each its own tag")
        if key not in self.structs:
            lines = self.structs[key] = [_layout(found)]
            lines += [
                f"{field.encode_name}: {self._text(field.type, f'{key}.{field.encode_name}')}"
                + ("" if field.required else DEFAULT)
                for field in found.fields
            ]
        return "struct" if found.tag is None else f"<{key}>"


def _layout(found: inspect.StructType) -> str:
    parts = ["array" if found.array_like else "object"]
    if found.tag is not None:
        parts.append("its tag first" if found.array_like else f"its tag as {found.tag_field}")
    if found.forbid_unknown_fields:
        parts.append("nothing else")
    if found.cls.__struct_config__.omit_defaults:
        parts.append("without defaults")
    return ", ".join(parts)


def sample(kind: Any) -> Any:
    """A value of a type, always the same: 1, "x", the first member, a list of one."""
    return _sample(inspect.type_info(kind))


def _sample(found: inspect.Type) -> Any:
    match found:
        case inspect.StructType():
            return found.cls(**{field.name: _sample(field.type) for field in found.fields})
        case inspect.EnumType():
            return next(iter(found.cls))
        case inspect.UnionType():
            return _sample(min(found.types, key=lambda one: str(getattr(one, "tag", None) or type(one).__name__)))
        case inspect.VarTupleType():
            return (_sample(found.item_type),)
        case inspect.TupleType():
            return tuple(_sample(one) for one in found.item_types)
    return VALUES[type(found)]
