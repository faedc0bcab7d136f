"""Events carried from one axis order of a volume to another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_sss.engine.inference.result import SliceMask
from napari_sss.engine.prompts.reframing import region_to_source
from napari_sss.engine.prompts.types import Plane
from napari_sss.engine.volumes.grid import AxisView, Shape3
from napari_sss.engine.volumes.region import Region


def slice_to_source(event: SliceMask, view: AxisView, source_shape: Shape3) -> SliceMask:
    """A slice's mask given in the view, as one of the source's array."""
    axes = (event.plane.axis, event.plane.row_axis, event.plane.column_axis)
    offset = [0, 0, 0]
    for axis, start in zip(axes, (event.index, *event.offset), strict=True):
        offset[axis] = start
    stacked = event.mask[None].transpose(tuple(int(k) for k in np.argsort(axes)))
    region = region_to_source(
        Region(tuple(offset), stacked),  # type: ignore[arg-type]
        view,
        source_shape,
    )
    plane = Plane(view.order[event.plane.axis])
    mask = np.take(region.mask, 0, axis=plane.axis)
    return replace(
        event,
        index=region.offset[plane.axis],
        plane=plane,
        offset=(region.offset[plane.row_axis], region.offset[plane.column_axis]),
        mask=mask,
    )
