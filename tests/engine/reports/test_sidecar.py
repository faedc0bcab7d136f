from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np

from napari_sss._version import __version__
from napari_sss.engine.reports.sidecar import ModelIdentity, provenance
from napari_sss.engine.volumes.intensity import IntensityWindow
from napari_sss.engine.volumes.volume import Source

MODEL = ModelIdentity("embedded", "ab" * 32, 256, "cpu")
WINDOW = IntensityWindow.from_centre(40, 400, "abdomen")


def describe(volume, segmentation):
    content = provenance(
        volume, segmentation, model=MODEL, window=WINDOW, settings={"source": "intensity"}
    )
    return json.loads(json.dumps(content, allow_nan=False))


def test_it_says_what_the_values_mean_and_how_they_were_made(volume, segmentation):
    content = describe(volume, segmentation)
    assert content["classes"] == {"kidney": 7, "liver": 3}
    assert [o["class"] for o in content["objects"]] == ["kidney", "liver"]
    assert content["objects"][1] == {
        "id": 2,
        "class": "liver",
        "confidence": 0.9,
        "mask": "candidate",
    }
    assert content["model"]["sha256"] == "ab" * 32
    assert (content["window"]["low"], content["window"]["high"]) == (-160.0, 240.0)
    assert content["grid"]["spacing_zyx_mm"] == [20.0, 10.0, 5.0]
    assert content["settings"] == {"source": "intensity"}
    assert content["software"]["napari-sss"] == __version__
    liver = content["prompts"]["objects"][1]
    assert liver["prompts"][0]["box"] == [1, 2, 4, 4]


def test_it_names_neither_folder_nor_file_nor_patient(volume, segmentation):
    noted = replace(volume, notes=("/ward7/Smith_John/ct.nii.gz: qform and sform differ.",))
    text = json.dumps(describe(noted, segmentation))
    assert "qform and sform differ" in text
    for secret in ("Smith", "ward7", "ct.nii"):
        assert secret not in text


def test_a_checkpoint_is_named_without_its_folder():
    class Loaded:
        name = "/home/jane/best.safetensors"
        sha256 = "0"
        image_size = 512
        device = "cpu"

    assert ModelIdentity.of(Loaded()).name == "best.safetensors"


def test_a_file_is_known_by_the_hash_of_its_bytes(volume, segmentation, tmp_path):
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(b"scan")
    source = describe(replace(volume, source=Source(path)), segmentation)["source"]
    assert source["sha256_of"] == "file"
    assert source["sha256"] == hashlib.sha256(b"scan").hexdigest()


def test_what_lies_in_no_single_file_is_known_by_its_voxels(volume, segmentation):
    little = replace(volume, source=Source(), array=volume.array.astype("<i2"))
    big = replace(little, array=volume.array.astype(">i2"))
    turned = replace(little, array=np.asfortranarray(little.array))
    sources = [describe(v, segmentation)["source"] for v in (little, big, turned)]
    expected = hashlib.sha256(volume.array.astype("<i2").tobytes()).hexdigest()
    assert [s["sha256"] for s in sources] == [expected] * 3
    assert sources[0]["sha256_of"] == "voxels"


def test_a_mask_prompt_is_known_by_its_hash(volume, segmentation, tmp_path):
    mask = tmp_path / "Smith_mask.nii.gz"
    mask.write_bytes(b"mask")
    liver = segmentation.objects[0]
    prompt = replace(liver.prompts.prompts[0], mask=mask)
    prompted = replace(liver, prompts=replace(liver.prompts, prompts=(prompt,)))
    content = describe(volume, replace(segmentation, objects=(prompted,)))
    entry = content["prompts"]["objects"][0]["prompts"][0]
    assert entry["mask_sha256"] == hashlib.sha256(b"mask").hexdigest()
    assert "Smith" not in json.dumps(content)
