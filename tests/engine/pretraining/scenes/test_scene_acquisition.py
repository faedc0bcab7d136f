import pytest
import torch

from napari_sss.engine.pretraining.scenes.acquisition import (
    acquire,
    bias_field,
    breath_holds,
    circular_view,
    correlated_noise,
    limited_k_space,
    streaks,
)
from napari_sss.engine.pretraining.scenes.appearance import MR_SCALE, Palette, Tissue
from napari_sss.engine.pretraining.scenes.draws import Draws

SPACING = (3.0, 1.0, 1.0)


def ground(value: float = 100.0) -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.full((6, 48, 48), value)
    labels = torch.zeros(6, 48, 48, dtype=torch.int16)
    image[:, 16:32, 16:32] = 2 * value
    labels[:, 16:32, 16:32] = 1
    return image, labels


def test_nothing_is_labelled_outside_a_circular_view() -> None:
    image, labels = ground()
    labels[:] = 1
    image, labels = circular_view(Draws(0), image, labels, -1024.0)
    assert bool((labels[image == -1024.0] == 0).all())
    assert int(labels[0, 0, 0]) == 0
    assert int(labels[0, 24, 24]) == 1


def test_breath_holds_move_image_and_labels_together() -> None:
    image, labels = ground()
    moved, moved_labels = breath_holds(Draws(1), image, labels, (3.0, 0.5, 0.5))
    assert not torch.equal(moved, image)
    assert torch.equal(moved == 200.0, moved_labels == 1)


@pytest.mark.parametrize("grain", [0.0, 0.7])
def test_noise_has_variance_one(grain: float) -> None:
    noise = correlated_noise(Draws(2), torch.zeros(8, 64, 64), grain)
    assert float(noise.std()) == pytest.approx(1.0, abs=0.05)


def test_bias_is_positive_and_smooth() -> None:
    for key in range(8):
        bias = bias_field(Draws(key), torch.zeros(6, 48, 48), SPACING)
        assert float(bias.min()) > 0
        assert float(bias.diff(dim=2).abs().max()) < 0.3


def test_a_limited_k_space_keeps_the_mean() -> None:
    image, _ = ground()
    assert float(limited_k_space(Draws(3), image).mean()) == pytest.approx(
        float(image.mean()), rel=0.01
    )


def test_streaks_fade_along_z_and_have_about_the_strength_asked_for() -> None:
    rays = streaks(Draws(4), torch.zeros(24, 96, 96), (3.0, 2.0, 2.0), 20.0)
    per_slice = rays.std(dim=(1, 2))
    assert 3.0 < float(per_slice.max()) < 60.0
    assert float(per_slice.min()) < 0.7 * float(per_slice.max())


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_the_object_stays_brighter_than_its_ground(modality: str) -> None:
    """Means 100 apart, in units where noise is at most 30 (CT) or 84 (MR) per voxel."""
    for key in range(12):
        image, labels = ground(300.0)
        palette = Palette(Draws(key), modality)
        scan, moved = acquire(Draws(key, 1), image, labels, SPACING, palette)
        inside = scan[:, 20:28, 20:28].mean()
        around = scan[:, 18:30, 6:12].mean()
        assert float(inside) > float(around)
        assert moved.shape == scan.shape


def test_tissues_render_their_mean_and_keep_it_in_range() -> None:
    draws = Draws(5)
    for modality in ("CT", "MR"):
        palette = Palette(draws, modality, camouflage=1.0)
        assert 0 < palette.contrast < 1
        for _ in range(40):
            mean = palette.tissue("liver").mean
            if modality == "CT":
                assert -80 < mean < 250
            else:
                assert 0 < mean < 1.6 * MR_SCALE


def test_camouflage_narrows_the_range_of_soft_tissues() -> None:
    """A factor of at most 0.7 on every difference between soft tissues' means."""
    names = ("liver", "spleen", "muscle", "blood", "fluid")

    def spread(camouflage: float) -> float:
        spreads = []
        for key in range(30):
            palette = Palette(Draws(key), "CT", camouflage)
            means = torch.tensor([palette.mean(name) for name in names])
            spreads.append(float(means.std()))
        return sum(spreads) / len(spreads)

    assert spread(1.0) < 0.7 * spread(0.0)


def test_a_shifted_tissue_keeps_its_texture() -> None:
    tissue = Tissue(40.0, (1.0, 2.0), 3.0, (0.1, 0.2, 0.3))
    assert tissue.shifted(-15.0) == Tissue(25.0, (1.0, 2.0), 3.0, (0.1, 0.2, 0.3))
