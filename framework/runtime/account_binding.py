"""To which account each venue name of a journal belongs. A journal is never continued with another account: its open
orders would be looked for where they never were, found absent and taken for ended.

The file lies in the journal's folder, so that it goes wherever the journal goes.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from framework.domain.errors import ConfigurationError
from framework.runtime.files import FileSystem, write_atomically

ACCOUNTS = "accounts"


def bind_account(files: FileSystem, journal: Path, venue: str, account: str) -> None:
    """Let the journal's records of `venue` be those of `account` from now on, durably: the first use decides.

    Call it before anything is asked of the account; hold the state directory's lock. Raises `ConfigurationError`, with
    nothing changed, when they are another account's, and `OSError`.
    """
    bound = refuse_other_account(files, journal, venue, account)
    if venue not in bound:
        rows = msgspec.json.format(msgspec.json.encode({**bound, venue: account}, order="sorted"), indent=2)
        write_atomically(files, journal / ACCOUNTS, rows + b"\n")


def refuse_other_account(files: FileSystem, journal: Path, venue: str, account: str) -> dict[str, str]:
    """Raise `ConfigurationError` when the journal's records of `venue` are another account's, or when the file that
    says so can't be read. Returns whose they are, by venue. Raises `OSError`."""
    path = journal / ACCOUNTS
    try:
        bound = msgspec.json.decode(files.read(path), type=dict[str, str]) if files.exists(path) else {}
    except msgspec.DecodeError as e:
        raise ConfigurationError(
            f"state_dir: {path} is damaged ({e}): it says to which account each venue's records belong. Make sure that "
            "the configuration names those accounts, then remove the file: the next start writes it again"
        ) from e
    known = bound.get(venue, account)
    if known != account:
        raise ConfigurationError(
            f'venues.{venue}: the records in {journal} are of the account "{known}", the configuration names '
            f'"{account}": the one never had the orders and positions of the other. Give each account a folder of its '
            "own: --state-dir DIR, or state_dir in the configuration. If it is the same account under a new key or "
            f"address, write that into {path}"
        )
    return bound
