"""Reading typed values from parsed JSON, with messages that say where the fault is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from napari_sss.engine.errors import PromptError


class Entry:
    """One JSON object of a prompt file, and the place it stands at.

    Parameters
    ----------
    data : mapping
        The parsed JSON object.
    name : str
        How messages call it, for instance ``"object 2"``; empty for the file as a whole.
    path : Path, optional
        The file, for messages.
    """

    def __init__(self, data: Any, name: str, path: Path | None) -> None:
        self.name = name
        self.path = path
        if not isinstance(data, dict):
            raise self.fault(None, "is not a JSON object", "Write it as {...}.")
        self._data = data

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def fault(self, key: str | None, what: str, remedy: str) -> PromptError:
        """The error for a value: names the file, the entry and the key."""
        where = str(self.path) if self.path is not None else "The prompts"
        place = ", ".join(part for part in (where, self.name) if part)
        subject = f'"{key}" ' if key is not None else ""
        return PromptError(f"{place}: {subject}{what}.", remedy, self.path)

    def only(self, *known: str) -> None:
        """Refuse keys other than the known ones."""
        for key in self._data:
            if key not in known:
                raise self.fault(key, "is not a known key", f"Known are {', '.join(known)}.")

    def value(self, key: str) -> Any:
        """The value of a key that must be there."""
        if key not in self._data:
            raise self.fault(key, "is missing", "Add it.")
        return self._data[key]

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self.value(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fault(key, f"is {value!r}", "Write a text that is not empty.")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._data.get(key, default)
        if not isinstance(value, bool):
            raise self.fault(key, f"is {value!r}", "Write true or false.")
        return value

    def whole(self, key: str, least: int = 0) -> int:
        """A whole number of at least ``least``."""
        value = self.value(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.fault(key, f"is {value!r}", f"Write a whole number from {least}.")
        return value

    def share(self, key: str) -> float | None:
        """A number from 0 to 1, or None where the key is absent."""
        if key not in self._data:
            return None
        value = self._number(key, self._data[key])
        if not 0 <= value <= 1:
            raise self.fault(key, f"is {value:g}", "Write a number from 0 to 1.")
        return value

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """A list of exactly ``count`` numbers."""
        return self._row(key, self.value(key), count)

    def number_rows(self, key: str, count: int) -> list[tuple[float, ...]]:
        """A list of lists of ``count`` numbers; empty where the key is absent."""
        return [self._row(key, row, count) for row in self._list(key, optional=True)]

    def entries(self, key: str, name: str, optional: bool = False) -> list[Entry]:
        """A list of JSON objects, called ``name`` and counted from 1 in messages."""
        prefix = f"{self.name}, " if self.name else ""
        return [
            Entry(item, f"{prefix}{name} {number}", self.path)
            for number, item in enumerate(self._list(key, optional), start=1)
        ]

    def _list(self, key: str, optional: bool) -> list[Any]:
        if optional and key not in self._data:
            return []
        value = self.value(key)
        if not isinstance(value, list):
            raise self.fault(key, "is not a list", "Write it as [...].")
        return value

    def _row(self, key: str, row: Any, count: int) -> tuple[float, ...]:
        if not isinstance(row, list) or len(row) != count:
            raise self.fault(key, f"holds {row!r}", f"Write a list of {count} numbers there.")
        return tuple(self._number(key, item) for item in row)

    def _number(self, key: str, value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise self.fault(key, f"holds {value!r}", "Write a finite number there.")
        return float(value)
