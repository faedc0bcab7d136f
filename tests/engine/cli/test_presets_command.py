from __future__ import annotations


def test_every_preset_is_listed_with_its_source(napari_sss):
    told = napari_sss("presets", "--json").json
    tissues = {preset["name"]: preset for preset in told["tissues"]}
    assert {"bone", "soft-tissue", "lung"} <= set(tissues)
    assert all(preset["reference"] for preset in tissues.values())
    windows = {window["name"]: window for window in told["windows"]}
    assert {"abdomen", "lung", "bone", "brain"} <= set(windows)
    assert all(window["source"] for window in windows.values())

    text = napari_sss("presets").out
    assert all(name in text for name in (*tissues, *windows, "percentiles"))


def test_a_range_is_told_in_its_unit(napari_sss):
    lines = napari_sss("presets").out.splitlines()
    (bone,) = (line for line in lines if line.startswith("  bone ") and "class" in line)
    assert "from 120 HU" in bone
    (lung,) = (line for line in lines if line.startswith("  lung ") and "class" in line)
    assert "up to -400 HU" in lung
