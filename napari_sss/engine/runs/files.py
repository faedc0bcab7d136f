"""Names of what lies in a run's folder, and reading small JSON files that others write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RUNS = "runs"
"""Folder of a project in which its runs lie."""

REQUEST_NAME = "request.json"
SNAPSHOT_NAME = "snapshot.json"
STATE_NAME = "state.json"
CONTROL_NAME = "control.json"
GIVE_WAY_NAME = "give_way.json"
LOCK_NAME = "run.lock"
LOG_NAME = "log.txt"
GATE_NAME = "gate.json"
GATE_FOLDER = "gate"
PICTURES = "pictures"
LABELS = "labels"


def read_json(path: Path) -> dict[str, Any] | None:
    """The mapping in a file; None where it is missing or cannot be read just now."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
