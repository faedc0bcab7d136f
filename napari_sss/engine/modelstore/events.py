"""Hearing, within this process, that a project's models have changed.

What another process does is seen only by looking again.
"""

from __future__ import annotations

from pathlib import Path

from psygnal import Signal


class StoreEvents:
    """What all stores of this process tell."""

    changed = Signal(Path)
    """Emitted with the store's folder after each change, in the thread that made it."""


events = StoreEvents()
