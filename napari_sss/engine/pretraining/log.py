"""The log of a training: one JSON object per line, appended as it goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LOG_NAME = "log.jsonl"
TRAINING, VALIDATION = "training", "validation"


def append_entry(folder: Path, entry: dict[str, Any]) -> None:
    """Add a line to the log in a training's folder."""
    with (folder / LOG_NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def read_entries(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The entries of one kind, each step once and rising.

    A training that was resumed repeats the steps since its checkpoint; what it says last
    counts. A line that was cut short, as by a crash, is left out.
    """
    entries: list[dict[str, Any]] = []
    path = folder / LOG_NAME
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("kind", TRAINING) == kind:
            while entries and entries[-1]["step"] >= entry["step"]:
                entries.pop()
            entries.append(entry)
    return entries
