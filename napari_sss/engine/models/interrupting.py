"""Stopping inside a network's pass: a large model needs seconds for one on a CPU.

Between the blocks of the encoder and the layers of the memory attention whoever waits is
asked whether the pass is still wanted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

_current = threading.local()


@contextmanager
def interruptible(net: SAM2Base, check: Callable[[], None]) -> Iterator[None]:
    """Call ``check`` between the blocks of what is computed inside; it may raise to stop.

    Parameters
    ----------
    net : SAM2Base
        The network. A pass leaves nothing behind in it, so that it may end anywhere, and
        ``check`` may even run another pass.
    check : callable
        Called in this thread only, whoever else uses the network.
    """
    former = getattr(_current, "check", None)
    _current.check = check
    hooks = [block.register_forward_pre_hook(_at_block) for block in _blocks(net)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        _current.check = former


def between_blocks() -> None:
    """Ask whether the pass is still wanted; called by what computes without the modules."""
    check = getattr(_current, "check", None)
    if check is not None:
        check()


def _at_block(*_: Any) -> None:
    between_blocks()


def _blocks(net: SAM2Base) -> list[Any]:
    return [*net.image_encoder.trunk.blocks, *net.memory_attention.layers]
