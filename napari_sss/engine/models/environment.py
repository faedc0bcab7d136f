"""Settings that PyTorch reads once, while it is imported."""

from __future__ import annotations

import logging
import os
import sys

logger = logging.getLogger(__name__)


def prepare_for_torch() -> bool:
    """Set what must be in the environment before PyTorch is imported for the first time.

    - OpenMP's waiting threads sleep instead of spinning: with one core busy elsewhere,
      spinning makes two threads several times slower than one.
    - On a Mac, operations that MPS lacks are computed on the CPU instead of failing.

    What the user has set stays. To be called as early as possible; other plugins may have
    imported PyTorch before, and then it is too late and nothing is changed.

    Returns
    -------
    bool
        Whether it came in time.
    """
    if "torch" in sys.modules:
        logger.debug("PyTorch was imported before its environment could be prepared")
        return False
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if sys.platform == "darwin":
        os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    return True
