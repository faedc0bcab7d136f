"""The official SAM-2 predictors of the ``sam2`` package with this project's architecture.

Nothing of their code is changed. What they assume of the input's size (1024 pixels) and of
their normalisation (ImageNet's) is set to the model's own, as their users do for other sizes.
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sss.engine.models.sam2_model import Sam2Model

Box4 = tuple[float, float, float, float]


def video_predictor(model: Sam2Model) -> Any:
    """``SAM2VideoPredictor`` with a copy of the model's weights."""
    from sam2.sam2_video_predictor import SAM2VideoPredictor

    predictor = copy.deepcopy(model.net).float().eval()
    predictor.__class__ = SAM2VideoPredictor
    # What its __init__ would have set, at its defaults.
    predictor.fill_hole_area = 0
    predictor.non_overlap_masks = False
    predictor.clear_non_cond_mem_around_input = False
    predictor.add_all_frames_to_correct_as_cond = False
    return predictor


def image_predictor(model: Sam2Model) -> Any:
    """``SAM2ImagePredictor`` with a copy of the model's weights, at the model's size."""
    _let_torchvision_import()
    from sam2.sam2_image_predictor import SAM2ImagePredictor
    from torchvision.transforms import Normalize, Resize

    predictor = SAM2ImagePredictor(copy.deepcopy(model.net).float().eval())
    side = model.image_size
    predictor._bb_feat_sizes = [(side // stride,) * 2 for stride in (4, 8, 16)]
    predictor._transforms.transforms = torch.jit.script(
        torch.nn.Sequential(
            Resize((side, side)),
            Normalize(list(model.architecture.pixel_mean), list(model.architecture.pixel_std)),
        )
    )
    return predictor


def _let_torchvision_import() -> None:
    """Declare the operators over which torchvision built for another torch stumbles.

    The predictor resizes and normalises with it, for which none of its own operators is
    needed.
    """
    while True:
        try:
            import torchvision  # noqa: F401
        except RuntimeError as error:
            lacking = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if lacking is None:
                raise
            for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
                del sys.modules[name]
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(f"{lacking[1]}(Tensor any) -> Tensor")
            _KEPT.append(library)
        else:
            return


_KEPT: list[Any] = []  # a library's declarations end with it


def as_rgb(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A slice, 0 to 1, as the 8-bit colour image that official users make of it."""
    eight = np.round(255 * grey).astype(np.uint8)
    return np.repeat(eight[..., None], 3, axis=2)


def write_jpegs(slices: Sequence[NDArray[np.float32]], folder: Path) -> None:
    """A stack as the folder of JPEG files that the video predictor reads."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for index, grey in enumerate(slices):
        Image.fromarray(as_rgb(grey)).save(folder / f"{index:05d}.jpg", quality=95)


@contextmanager
def fed_with(frames: torch.Tensor, shape: tuple[int, int]) -> Iterator[None]:
    """Let the video predictor's ``init_state`` take normalised frames (N, 3, S, S)."""
    target = "sam2.sam2_video_predictor.load_video_frames"
    with mock.patch(target, return_value=(frames, *shape)):
        yield


def normalised(grey: torch.Tensor, model: Sam2Model) -> torch.Tensor:
    """Grey slices (N, S, S), 0 to 1, as the network's own input (N, 3, S, S)."""
    mean, std = (
        torch.tensor(values)[:, None, None]
        for values in (model.architecture.pixel_mean, model.architecture.pixel_std)
    )
    return (grey[:, None] - mean) / std


def state_from_jpegs(predictor: Any, folder: Path, model: Sam2Model) -> Any:
    """``init_state`` on a folder of JPEG, with the model's own normalisation."""
    from sam2.utils import misc

    def load(**keywords: Any) -> Any:
        return misc.load_video_frames(
            **keywords,
            img_mean=model.architecture.pixel_mean,
            img_std=model.architecture.pixel_std,
        )

    with mock.patch("sam2.sam2_video_predictor.load_video_frames", load):
        return predictor.init_state(str(folder))


def propagated(
    predictor: Any, state: Any, prompts: Mapping[int, tuple[int, Box4]]
) -> dict[int, NDArray[np.bool_]]:
    """Masks (Z, H, W) of each object, from its box on its slice both ways through the stack.

    As the package's example notebook does it: prompts, then ``propagate_in_video`` from the
    first prompted slice forwards and in reverse, each mask thresholded at 0.
    """
    for number, (index, box) in prompts.items():
        predictor.add_new_points_or_box(state, index, number, box=np.array(box, np.float32))
    shape = (state["num_frames"], state["video_height"], state["video_width"])
    masks = {number: np.zeros(shape, dtype=bool) for number in prompts}
    for reverse in (False, True):
        for index, numbers, logits in predictor.propagate_in_video(state, reverse=reverse):
            for row, number in enumerate(numbers):
                masks[number][index] = (logits[row, 0] > 0.0).cpu().numpy()
    return masks
