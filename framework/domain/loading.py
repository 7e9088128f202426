"""Loading late, and which files may hold a secret.

Loading late: what is heavy or seldom needed is imported by name when it is used, through one function.

`tidegate --help` answers in milliseconds because no verb is loaded before it runs, and a configuration that is wrong is
refused before the trading parts load. Everything else is imported at the top of its file, where a reader and the import
rules see it; no function holds an import of its own.
"""

from __future__ import annotations

import importlib
import os
import stat
import sys
from types import ModuleType
from typing import Any


def load_late(name: str) -> Any:
    """Import a module and return one of its attributes: `load_late("framework.cli.run:run_sandbox")`.

    The name is written as in a configuration, `module:attribute`. For Tidegate's own parts and its optional
    dependencies; what a user names is loaded by `framework.config.plugins`, which explains what went wrong. Raises
    `ImportError` when there is no such module and `AttributeError` when the module has no such attribute.
    """
    module, _, attribute = name.partition(":")
    return getattr(import_bounded(module), attribute)


RECURSION_MAX = 1_000
"""Python's own limit of nested calls, which the stack of a thread surely holds."""


def import_bounded(name: str) -> ModuleType:
    """Import a module, and undo what it does to the limit of nested calls. Raises what the import raises.

    Libraries for wallets raise the limit to 100,000 for the whole process when they are imported. Then a message that
    nests deeply is no error any more: reading it overflows the stack, and the process ends without a word.
    """
    try:
        return importlib.import_module(name)
    finally:
        if sys.getrecursionlimit() > RECURSION_MAX:
            sys.setrecursionlimit(RECURSION_MAX)


_AS_MOUNTED = 0o440


def secret_file_flaw(status: os.stat_result) -> str:
    """Why a file of this status must not hold a secret, with the remedy; empty when it may.

    It may when only its owner can use it (0600, 0400), or when root owns it and a group of this process can read it
    and nobody else (0440): so Kubernetes mounts a secret for a process that is not root. Ask with the status of the
    opened file (`os.fstat`): a symbolic link is then as good as what it leads to, and nothing can be swapped.
    """
    mode = stat.S_IMODE(status.st_mode)
    is_mounted = status.st_uid == 0 and status.st_gid in (os.getegid(), *os.getgroups())
    if not mode & (stat.S_IRWXG | stat.S_IRWXO) or (is_mounted and mode == _AS_MOUNTED):
        return ""
    return (
        f"mode {mode:04o}, owner {status.st_uid}, group {status.st_gid} let others read it; make it readable by its "
        "owner alone (chmod 600), or mount it as root's with mode 0440 and a group of this process (Kubernetes: "
        "defaultMode 0440 and fsGroup)"
    )
