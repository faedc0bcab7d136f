import numpy as np
import pytest
from napari.layers import Image

from napari_sss._layers.window_link import WindowLink
from napari_sss.engine.volumes.intensity import PRESETS, IntensityWindow


@pytest.fixture
def layer():
    return Image(np.arange(24.0).reshape(2, 3, 4), contrast_limits=(-150, 250))


@pytest.fixture
def link(layer):
    link = WindowLink()
    link.attach(layer)
    return link


def test_contrast_limits_of_a_preset_are_that_preset(link):
    # Abdomen: centre 50, width 400.
    assert link.window == PRESETS["abdomen"].window


def test_the_window_follows_the_contrast_limits(link, layer):
    heard = []
    link.changed.connect(heard.append)
    layer.contrast_limits = (0, 100)
    assert link.window == IntensityWindow(0, 100)
    assert heard == [IntensityWindow(0, 100)]


def test_a_chosen_window_sets_the_contrast_limits_even_beyond_their_range(link, layer):
    layer.contrast_limits_range = (-150, 250)
    link.choose(PRESETS["bone"].window)
    assert layer.contrast_limits == [-500, 1300]
    assert link.window.name == "bone"


def test_unlinked_each_goes_its_own_way(link, layer):
    link.linked = False
    layer.contrast_limits = (0, 100)
    assert link.window.name == "abdomen"
    link.choose(PRESETS["lung"].window)
    assert layer.contrast_limits == [0, 100]
    link.linked = True
    assert link.window == IntensityWindow(0, 100)


def test_a_former_layer_is_followed_no_more(link, layer):
    other = Image(np.zeros((2, 3, 4)), contrast_limits=(1, 2))
    link.attach(other)
    layer.contrast_limits = (5, 6)
    assert link.window == IntensityWindow(1, 2)
