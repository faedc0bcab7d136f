"""Connected components in 3-D, on connected-components-3d."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cc3d
import numpy as np
from numpy.typing import NDArray

from napari_sss.engine.volumes.region import Region

Connectivity = Literal[6, 18, 26]
PlaneConnectivity = Literal[4, 8]


@dataclass(frozen=True)
class Components:
    """The connected components of a mask.

    Parameters
    ----------
    labels : (Z, Y, X) unsigned array
        0 outside, 1 to ``count`` inside.
    voxels : (count + 1,) int array
        Voxels of each label; index 0 is the background.
    bounds : (count + 1, 3, 2) int array
        First and one past the last index of each label along Z, Y, X.
    """

    labels: NDArray[Any]
    voxels: NDArray[np.int64]
    bounds: NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many components there are."""
        return len(self.voxels) - 1

    def slices(self, label: int) -> tuple[slice, slice, slice]:
        """The bounding box of a component, for indexing."""
        z, y, x = (slice(int(a), int(b)) for a, b in self.bounds[label])
        return z, y, x

    def region(self, label: int) -> Region:
        """One component as a small mask with an offset."""
        box = self.slices(label)
        offset = (box[0].start, box[1].start, box[2].start)
        return Region(offset, self.labels[box] == label)

    def largest_first(self) -> NDArray[np.int64]:
        """The labels by falling size; the lower label first where sizes are equal."""
        return np.argsort(-self.voxels[1:], kind="stable") + 1


def find_components(mask: NDArray[Any], connectivity: Connectivity = 26) -> Components:
    """The connected components of a mask, with sizes and bounding boxes.

    Parameters
    ----------
    mask : (Z, Y, X) array
        Bool, or integer labels: voxels of different labels are then never joined.
    connectivity : {6, 18, 26}
        Voxels that count as neighbours: by faces, by edges too, by corners too.
    """
    labels = label_components(mask, connectivity)
    table = cc3d.statistics(labels, no_slice_conversion=True)
    bounds = np.asarray(table["bounding_boxes"], dtype=np.int64).reshape(-1, 3, 2)
    bounds[..., 1] += 1
    voxels = np.asarray(table["voxel_counts"], dtype=np.int64)
    return Components(labels, voxels, bounds)


def keep_components(
    mask: NDArray[np.bool_], least_voxels: float, connectivity: Connectivity = 26
) -> NDArray[np.bool_]:
    """The mask without its small components.

    Parameters
    ----------
    mask : (Z, Y, X) bool array
        What to clean; untouched.
    least_voxels : float
        Components of fewer voxels go.
    connectivity : {6, 18, 26}
        Voxels that count as neighbours.
    """
    found = find_components(mask, connectivity)
    keep = found.voxels >= least_voxels
    keep[0] = False
    return keep[found.labels]


def largest_component(
    mask: NDArray[np.bool_], connectivity: Connectivity = 26
) -> NDArray[np.bool_]:
    """The largest component of a mask; all False where the mask is empty."""
    found = find_components(mask, connectivity)
    if not found.count:
        return np.zeros(mask.shape, dtype=bool)
    return found.labels == found.largest_first()[0]


def label_components(
    mask: NDArray[Any], connectivity: Connectivity | PlaneConnectivity
) -> NDArray[Any]:
    """Number the components of a mask of 2 or 3 axes from 1; 0 outside.

    Parameters
    ----------
    mask : 2-D or 3-D array
        Bool, or integer labels that are never joined.
    connectivity : {4, 8} or {6, 18, 26}
        Voxels that count as neighbours.
    """
    mask = np.ascontiguousarray(mask)  # of strided views cc3d may transpose the labels
    if mask.dtype == bool:
        # cc3d's way for binary images (bool, or binary_image=True) mislabels or fails on some
        # images, as a single voxel in the last corner (found with 4.1.1, 8 and 26 neighbours);
        # its way for labels does not.
        mask = mask.view(np.uint8)
    return cc3d.connected_components(mask, connectivity=connectivity)
