"""A real CT to try things on, downloaded once and kept in the user's cache folder.

It is the abdominal CT of 3D Slicer's sample data, from the Medical Segmentation Decathlon
(Task03_Liver, liver_100; Antonelli et al., Nature Communications 13, 2022), licensed
CC BY-SA 4.0. The address contains the file's own SHA-256, so what it names cannot change.
"""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from pathlib import Path

from napari_sss.engine.errors import DownloadError
from napari_sss.engine.jobs import JobControl
from napari_sss.engine.volumes.atomic import replacing

CT_SHA256 = "e16eae0ae6fefa858c5c11e58f0f1bb81834d81b7102e021571056324ef6f37e"
CT_URL = f"https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/{CT_SHA256}"
CT_NAME = "CTLiver.nrrd"
CT_LICENCE = "CC BY-SA 4.0, Medical Segmentation Decathlon, liver_100"

_CHUNK = 1 << 18
_TIMEOUT_S = 30.0


def sample_ct_path() -> Path:
    """Where the CT is kept, whether or not it is there yet."""
    import platformdirs

    return (
        Path(platformdirs.user_cache_dir("napari-sss", appauthor=False)) / "samples" / CT_NAME
    )


def fetch_sample_ct(
    path: Path | None = None,
    control: JobControl | None = None,
    *,
    url: str = CT_URL,
    sha256: str = CT_SHA256,
) -> Path:
    """Download the CT unless it is there.

    Parameters
    ----------
    path : Path, optional
        Where to keep it; :func:`sample_ct_path` by default.
    control : JobControl, optional
        Told the bytes so far; a request to cancel leaves no file behind.
    url, sha256 : str
        Where it is, and the checksum it must have.

    Returns
    -------
    Path
        The verified file.

    Raises
    ------
    DownloadError
        If the server cannot be reached or sends another file.
    WriteError
        If the file cannot be kept.
    Cancelled
        If the user asked to stop.
    """
    path = path or sample_ct_path()
    if path.is_file():
        return path
    control = control or JobControl()
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
            total = int(response.headers.get("Content-Length") or 0)
            content = bytearray()
            while chunk := response.read(_CHUNK):
                content += chunk
                control.report("download", len(content), total)
    except (urllib.error.URLError, OSError) as error:
        raise DownloadError(
            f"The sample CT cannot be downloaded from {url} ({error}).",
            "Check the connection and try again, or open a scan of your own.",
            path,
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DownloadError(
            f"What {url} sent is not the sample CT: its SHA-256 differs.",
            "Try again; if it stays so, a proxy may be changing downloads.",
            path,
        )
    with replacing(path, path.suffix, make_folder=True) as beside:
        beside.write_bytes(content)
    return path
