"""Settings: presets, texts, refusals, and a form's worth of titles."""

from __future__ import annotations

import pytest

from napari_sss.engine.errors import ConfigError
from napari_sss.engine.training.config import TrainConfig, configured, read_config_file


def test_every_field_has_what_a_form_needs():
    for name, field in TrainConfig.model_fields.items():
        assert field.title, name
        assert field.description, name


def test_the_default_is_sss_on_unimatch_v2s_stream():
    config = configured({"steps": 1})
    assert config == configured({"steps": 1}, preset="sss")
    assert (config.strategy, config.ema, config.threshold) == ("sss", 0.99, 0.9)
    assert config.power == 0.9
    assert config.dfe
    assert config.dfe_residual
    assert config.channel_dropout


def test_paper_is_the_skeleton():
    config = configured({"steps": 1}, preset="paper")
    assert (config.ema, config.threshold, config.ramp) == (0.0, 0.5, 0.0)
    assert (config.cutmix, config.channel_dropout) == (0.0, False)
    assert (config.norm, config.head_levels, config.dfe_channels) == ("batch", "finest", 256)
    assert (config.prompt_objects, config.prompt_points) == ("one", True)


def test_later_layers_win_and_texts_are_yaml():
    config = configured(
        {"steps": 5, "batch": 4},
        {"batch": 6},
        preset="paper",
        settings=[
            "learning_rate=1e-4", "dfe=false", "zoom=[1.0, 2.0]", "classes={liver: 3}",
            "window=null", "ema=0.9",
        ],
    )  # fmt: skip
    assert (config.batch, config.learning_rate, config.dfe) == (6, 1e-4, False)
    assert (config.zoom, config.classes, config.window) == ((1.0, 2.0), {"liver": 3}, None)
    assert config.ema == 0.9


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ({}, "minutes or steps"),
        ({"steps": 1, "minutes": 1}, "minutes or steps"),
        ({"steps": 1, "unknown": 1}, "unknown"),
        ({"steps": 1, "image_size": 100}, "image_size"),
        ({"steps": 1, "classes": {"a": 1, "b": 1}}, "same value"),
        ({"steps": 1, "classes": {"a": 0}}, "between 1 and 200"),
        ({"steps": 1, "zoom": [2, 1]}, "lower first"),
        ({"steps": 1, "mode": "some"}, "mode"),
    ],
)
def test_what_makes_no_sense_is_refused(layers, says):
    with pytest.raises(ConfigError, match=says):
        configured(layers)


def test_the_norm_follows_the_batch():
    assert configured({"steps": 1, "batch": 8}).group_or_batch == "group"
    large = {"steps": 1, "batch": 16, "unlabelled_batch": 16}
    assert configured(large).group_or_batch == "batch"
    assert configured(large | {"norm": "group"}).group_or_batch == "group"


def test_a_file_must_be_a_mapping(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("steps: 3\nbatch: 2\n")
    assert read_config_file(file) == {"steps": 3, "batch": 2}
    file.write_text("- a\n")
    with pytest.raises(ConfigError, match="no settings"):
        read_config_file(file)
    file.write_text("a: [1")
    with pytest.raises(ConfigError, match="YAML"):
        read_config_file(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config_file(tmp_path / "none.yaml")
