"""``napari-sss presets``: what there is to choose from, with its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass
