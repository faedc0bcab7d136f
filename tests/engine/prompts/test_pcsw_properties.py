"""What holds for PCSW on any mask: boxes cover, flips and transposes commute."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from napari_sss.engine.prompts.constraints import PhysicalConstraints
from napari_sss.engine.prompts.pcsw import FoundObject, PcswConfig, pcsw
from napari_sss.engine.prompts.types import Box
from napari_sss.engine.volumes.grid import Grid

_SPACING = (2.5, 0.7, 1.3)

_masks = hnp.arrays(
    bool,
    st.tuples(st.integers(1, 12), st.integers(1, 7), st.integers(1, 7)),
    elements=st.booleans(),
)
_configs = st.sampled_from(
    [
        PcswConfig(),
        PcswConfig(max_slice_share=1.0, point="centre"),
        PcswConfig(tau=0.5, connectivity=6, window_order="grow"),
        PcswConfig(constraints=PhysicalConstraints(min_volume_ml=0.01, max_volume_ml=0.2)),
        PcswConfig.paper(),
    ]
)


def _found(
    mask: NDArray[np.bool_],
    config: PcswConfig,
    spacing: tuple[float, float, float] = _SPACING,
) -> tuple[FoundObject, ...]:
    return pcsw(mask, Grid(mask.shape, spacing), config, class_name="a")


def _summary(found: tuple[FoundObject, ...]) -> Counter[tuple[object, ...]]:
    """What must be the same after moving: slice, box, voxels, continuity, confidence."""
    return Counter(
        (
            f.prompts.prompts[0].index,
            f.prompts.prompts[0].box,
            f.region.voxels,
            round(f.continuity, 9),
            round(f.confidence, 9),
        )
        for f in found
    )


def _moved(summary: Counter[tuple[object, ...]], move: object) -> Counter[tuple[object, ...]]:
    return Counter(
        {(z, move(box), *rest): n for (z, box, *rest), n in summary.items()}  # type: ignore[operator]
    )


@settings(max_examples=80, deadline=None)
@given(_masks, _configs)
def test_a_box_covers_its_cross_section_tightly(
    mask: NDArray[np.bool_], config: PcswConfig
) -> None:
    for found in _found(mask, config):
        (prompt,) = found.prompts.prompts
        box = prompt.box
        assert box is not None
        if not found.region.voxels:
            assert box == Box(0, 0, mask.shape[2], mask.shape[1])
            continue
        section = found.region.to_array(mask.shape)[prompt.index]
        rows, columns = np.nonzero(section)
        assert (columns.min(), columns.max() + 1) == (box.x0, box.x1)
        assert (rows.min(), rows.max() + 1) == (box.y0, box.y1)
        for point in prompt.points:
            if config.point == "interior":
                assert section[int(point.y), int(point.x)]
        assert mask[found.region.slices][found.region.mask].all()
        assert 0 <= found.continuity <= 1
        assert 0 <= found.confidence <= 1


@settings(max_examples=80, deadline=None)
@given(_masks, _configs)
def test_in_plane_flips_commute(mask: NDArray[np.bool_], config: PcswConfig) -> None:
    height, width = mask.shape[1:]
    plain = _summary(_found(mask, config))
    in_x = _moved(plain, lambda b: Box(width - b.x1, b.y0, width - b.x0, b.y1))
    in_y = _moved(plain, lambda b: Box(b.x0, height - b.y1, b.x1, height - b.y0))
    if config.objects == "one":
        # Where two pieces are equally large, the paper's single object may be either.
        assert _sizes(_summary(_found(mask[:, :, ::-1], config))) == _sizes(plain)
        assert _sizes(_summary(_found(mask[:, ::-1], config))) == _sizes(plain)
        return
    assert _summary(_found(mask[:, :, ::-1], config)) == in_x
    assert _summary(_found(mask[:, ::-1], config)) == in_y


@settings(max_examples=80, deadline=None)
@given(_masks, _configs)
def test_in_plane_transposes_commute(mask: NDArray[np.bool_], config: PcswConfig) -> None:
    z, y, x = _SPACING
    plain = _summary(_found(mask, config))
    turned = _summary(_found(mask.transpose(0, 2, 1), config, (z, x, y)))
    if config.objects == "one":
        assert _sizes(turned) == _sizes(plain)
        return
    assert turned == _moved(plain, lambda b: Box(b.y0, b.x0, b.y1, b.x1))


def _sizes(summary: Counter[tuple[object, ...]]) -> list[object]:
    return sorted(key[2:4] for key in summary)


@settings(max_examples=80, deadline=None)
@given(_masks, _configs)
def test_flips_along_z_commute_for_all_objects(
    mask: NDArray[np.bool_], config: PcswConfig
) -> None:
    """The same objects; the same slice, unless two cross-sections are equally good."""
    if config.objects == "one":
        return
    depth = len(mask)

    def by_region(found: tuple[FoundObject, ...], flipped: bool) -> dict[bytes, FoundObject]:
        arrays = [f.region.to_array(mask.shape) for f in found]
        keys = [(a[::-1] if flipped else a).tobytes() for a in arrays]
        return dict(zip(keys, found, strict=True))

    plain = by_region(_found(mask, config), flipped=False)
    turned = by_region(_found(mask[::-1], config), flipped=True)
    assert plain.keys() == turned.keys()
    for key, found in plain.items():
        region = np.frombuffer(key, dtype=bool).reshape(mask.shape)
        areas = region.sum(axis=(1, 2))
        here = found.prompts.prompts[0].index
        there = depth - 1 - turned[key].prompts.prompts[0].index
        assert areas[here] == areas[there] or found.continuity < 1
        if np.count_nonzero(areas == areas[here]) == 1 and found.continuity == 1:
            assert here == there
            assert np.isclose(found.confidence, turned[key].confidence)


@settings(max_examples=40, deadline=None)
@given(_masks)
def test_all_objects_are_the_components(mask: NDArray[np.bool_]) -> None:
    """With nothing to reject an object, those found are pieces of the mask, none twice."""
    found = _found(mask, PcswConfig(max_slice_share=1.0, tau=0.01, max_objects=1000))
    covered = np.zeros(mask.shape, dtype=int)
    for each in found:
        covered += each.region.to_array(mask.shape)
    np.testing.assert_array_equal(covered, mask.astype(int))
