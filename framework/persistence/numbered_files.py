"""Files of one kind in a directory, whose names hold the number that each begins with, or is of.

Twenty digits hold every 64-bit number, so that the order of names is the order of numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from framework.runtime.files import FileSystem


class NumberedFiles(NamedTuple):
    """One kind of files: their names are `prefix`, a number of twenty digits or more, and `suffix`."""

    prefix: str
    suffix: str

    def name(self, number: int) -> str:
        """The name of the file with this number, which is 0 or more."""
        return f"{self.prefix}{number:020d}{self.suffix}"

    def number(self, name: str) -> int | None:
        """The number in a file's name; None for the name of another kind of file."""
        digits = name.removeprefix(self.prefix).removesuffix(self.suffix)
        return int(digits) if name == f"{self.prefix}{digits}{self.suffix}" and digits.isdigit() else None

    def numbers(self, files: FileSystem, directory: Path) -> list[int]:
        """The numbers of all such files in a directory, ascending; other files are left out. Raises `OSError`."""
        return sorted(number for name in files.list(directory) if (number := self.number(name)) is not None)
