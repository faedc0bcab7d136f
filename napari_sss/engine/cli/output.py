"""Where the commands write: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import math
import sys
from typing import Any


def say(text: str = "") -> None:
    """Write a line of the result to stdout."""
    sys.stdout.write(text + "\n")


def say_json(content: Any) -> None:
    """Write the result to stdout as one JSON document."""
    say(as_json(content))


def tell(text: str) -> None:
    """Write a line for the person at the terminal to stderr, beside the result."""
    sys.stderr.write(text + "\n")


def as_json(content: Any) -> str:
    """JSON text of plain content."""
    return json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False)


def finite(content: Any) -> Any:
    """Plain content in which NaN and infinities, which JSON does not have, are None."""
    if isinstance(content, dict):
        return {str(key): finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
