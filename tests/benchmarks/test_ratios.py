"""A guard against losing speed, by ratios with generous bounds; and the official masks.

What is compared is measured in turns, in processor time, so that a busy computer slows both.
The bounds lie far below what ``python benchmarks/run.py`` finds; its figures stand in
``docs/performance.md``.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sss.engine.models.sam2_model import PointPrompts


@pytest.fixture(scope="module")
def official(benchmark_module):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield benchmark_module("entries_official")
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def measure(benchmark_module):
    return benchmark_module("_measure").measure


@pytest.fixture(scope="module")
def models(official):
    return official.models()


@pytest.fixture(scope="module")
def video(official, models):
    return official.video_predictor(models[0])


def test_a_followed_object_has_the_official_predictors_masks(official, models, video):
    """Eight slices, a box on the fifth, the whole slice as input, memory alone, both ways.

    Small models are otherwise reminded of the previous slice's box and see a crop: that is
    another mode, with other masks, and better ones.
    """
    volume, start, boxes = official.scene(8, 2)
    expected = official.official_masks(video, models[0], volume, start, boxes)
    assert all(
        np.count_nonzero(mask[index]) > 50 for mask in expected.values() for index in range(8)
    )
    exact = official.our_masks(models[0], volume, start, boxes)
    assert official.agreement(exact, expected) > 0.999
    default = official.our_masks(models[1], volume, start, boxes)
    assert official.agreement(default, expected) > 0.99


def test_following_is_no_slower_than_the_official_predictor(official, models, video, measure):
    volume, start, boxes = official.scene(8, 1)
    timings = measure(
        {
            "ours": lambda: official.our_masks(models[0], volume, start, boxes),
            "official": lambda: official.official_masks(video, models[0], volume, start, boxes),
        },
        rounds=5,
        warmup=1,
    )
    assert timings["ours"].times_as_fast_as(timings["official"])[1] > 1.0


def test_encoding_and_decoding_are_faster_than_the_networks_own(models, measure):
    model = models[0]
    grey = torch.rand(1, *(model.image_size,) * 2)
    box = PointPrompts(
        torch.tensor([[[50.0, 50.0], [120.0, 130.0]]]), torch.tensor([[2, 3]]).int()
    )
    with model.inference():
        features = model.encode(grey)
        pixels = model.without_memory(features)
    coordinates, labels = model._padded(box, 1)

    def ours_encode() -> None:
        with model.inference():
            model.encode(grey)

    def own_encode() -> None:
        with torch.no_grad():
            model.net.forward_image(grey[:, None].expand(-1, 3, -1, -1))

    def ours_decode() -> None:
        with model.inference():
            model.decode(features, pixels, box)

    def own_decode() -> None:
        with torch.no_grad():
            model.net._forward_sam_heads(
                pixels,
                {"point_coords": coordinates, "point_labels": labels},
                high_res_features=list(features.levels[:2]),
            )

    timings = measure(
        {
            "encode": ours_encode,
            "own encode": own_encode,
            "decode": ours_decode,
            "own decode": own_decode,
        },
        rounds=9,
    )
    assert timings["encode"].times_as_fast_as(timings["own encode"])[1] > 1.05
    assert timings["decode"].times_as_fast_as(timings["own decode"])[1] > 1.0


def test_pcsw_is_far_faster_than_a_plain_search(benchmark_module, measure):
    pcsw = benchmark_module("pcsw")
    mask = pcsw.ellipsoids((100, 160, 160), 8)
    timings = measure(
        {
            "pcsw": pcsw.finding(mask, pcsw.CONFIGS["annotation"]),
            "search": lambda: pcsw.search(mask),
        },
        rounds=3,
        warmup=1,
    )
    assert timings["pcsw"].times_as_fast_as(timings["search"])[1] > 8
