"""The shapes of the official SAM 2.1 models, and recognising them by their tensors.

The shapes are those of the ``sam2`` package's configuration files, written out here because
reading these goes through Hydra, whose state is global to the process and thus shared with
every other napari plugin.

References
----------
Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024, arXiv:2408.00714.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from napari_sss.engine.models.architecture import Architecture

OFFICIAL: Mapping[str, Architecture] = {
    "sam2.1-tiny": Architecture(
        embed_dim=96, num_heads=1, stages=(1, 2, 7, 2), global_att_blocks=(5, 7, 9)
    ),
    "sam2.1-small": Architecture(
        embed_dim=96, num_heads=1, stages=(1, 2, 11, 2), global_att_blocks=(7, 10, 13)
    ),
    "sam2.1-base-plus": Architecture(
        embed_dim=112,
        num_heads=2,
        stages=(2, 3, 16, 3),
        global_att_blocks=(12, 16, 20),
        position_grid=(14, 14),
    ),
    "sam2.1-large": Architecture(
        embed_dim=144,
        num_heads=2,
        stages=(2, 6, 36, 4),
        global_att_blocks=(23, 33, 43),
        window_spec=(8, 4, 16, 8),
    ),
}
"""Architecture by the registry's name; image size 1024."""

_PATCH_EMBEDDING = "image_encoder.trunk.patch_embed.proj.weight"
_TRUNK_BLOCK = "image_encoder.trunk.blocks."


def recognise_official(weights: Mapping[str, Tensor]) -> str | None:
    """Name the official model whose trunk these weights have, or None if it is none of them.

    Width and number of the trunk's blocks tell the four sizes apart, and any fine-tuned
    descendant (MedSAM2, for instance) has those of its ancestor. Whether all other weights
    agree is for the loading to find.
    """
    if _PATCH_EMBEDDING not in weights:
        return None
    width = int(weights[_PATCH_EMBEDDING].shape[0])
    blocks = {
        name.removeprefix(_TRUNK_BLOCK).partition(".")[0]
        for name in weights
        if name.startswith(_TRUNK_BLOCK)
    }
    for name, architecture in OFFICIAL.items():
        if (width, len(blocks)) == (architecture.embed_dim, sum(architecture.stages)):
            return name
    return None
