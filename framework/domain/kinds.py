"""Kinds: how records, metrics and listings name what they hold: by the struct's tag, which is written with it, and not
by the name of its class, which may change."""

from __future__ import annotations

import msgspec


class _Kinds(dict[type, str]):
    """Class -> tag, filled as classes are met: counting a market event costs one look-up."""

    def __missing__(self, struct: type[msgspec.Struct]) -> str:
        tag = struct.__struct_config__.tag
        if not isinstance(tag, str):
            raise TypeError(f'{struct!r} has no tag of its own; give it one: tag=True, or tag="..." after a renaming')
        self[struct] = tag
        return tag


_KINDS = _Kinds()


def kind_of(struct: msgspec.Struct) -> str:
    """The tag of a struct's class, for example "OrderReport". Raises `TypeError` when the class has no tag."""
    return _KINDS[type(struct)]
