"""Loading late: what is heavy or seldom needed is imported by name when it is used, through one function.

`tidegate --help` answers in milliseconds because no verb is loaded before it runs, and a configuration that is wrong is
refused before the trading parts load. Everything else is imported at the top of its file, where a reader and the import
rules see it; no function holds an import of its own.
"""

from __future__ import annotations

import importlib
from typing import Any


def load_late(name: str) -> Any:
    """Import a module and return one of its attributes: `load_late("framework.cli.run:run_sandbox")`.

    The name is written as in a configuration, `module:attribute`. For Tidegate's own parts and its optional
    dependencies; what a user names is loaded by `framework.config.plugins`, which explains what went wrong. Raises
    `ImportError` when there is no such module and `AttributeError` when the module has no such attribute.
    """
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
