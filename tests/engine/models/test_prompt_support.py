import pytest

from napari_sss.engine.models.prompt_support import PromptKind, prompt_support
from napari_sss.engine.models.registry import model_names


@pytest.mark.parametrize("name", [*model_names(), "/somewhere/my_run/model.safetensors"])
def test_sam2_takes_every_kind_in_one_way_or_another(name):
    support = prompt_support(name)
    assert set(support) == set(PromptKind)
    assert {s.why_not for s in support.values()} == {""}
    assert "points" in support[PromptKind.SCRIBBLE].how
    assert "mask" in support[PromptKind.LASSO].how


@pytest.mark.parametrize("path", ["MedSAM2_latest.pt", "/models/medsam2_CT.pt"])
def test_medsam2_takes_what_it_was_trained_with(path):
    support = prompt_support(path)
    refused = {kind for kind, s in support.items() if s.why_not}
    assert refused == {PromptKind.POINT, PromptKind.SCRIBBLE}
    assert "choose another model" in support[PromptKind.POINT].why_not
