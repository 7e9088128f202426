"""Values as TOML writes them."""

from __future__ import annotations

import json
from decimal import Decimal
from enum import Enum
from typing import Any


def to_toml(value: Any) -> str:
    """One value as TOML writes it, without its key: exact decimals as they are, paths and others as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    if isinstance(value, Enum):
        return to_toml(value.value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, dict) and not value:
        return "{}"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml_key(str(name))} = {to_toml(item)}" for name, item in value.items()) + " }"
    return json.dumps(str(value), ensure_ascii=False)


def toml_key(name: str) -> str:
    """A key as TOML writes it: bare where it may be, else quoted."""
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else json.dumps(name)
