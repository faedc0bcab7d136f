"""Where coarse masks come from.

PCSW asks only for masks per class; whether intensities, a trained head or SAM-2's grid of
points made them is the source's own affair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from napari_sss.engine.jobs import JobControl
from napari_sss.engine.prompts.candidates import Candidate
from napari_sss.engine.volumes.volume import Volume


class CandidateSource(Protocol):
    """Anything that proposes coarse masks for a volume."""

    def candidates(
        self, volume: Volume, control: JobControl
    ) -> Mapping[str, NDArray[Any]] | Mapping[str, Sequence[Candidate]]:
        """Coarse masks by class name.

        Parameters
        ----------
        volume : Volume
            The scan.
        control : JobControl
            Hears how far the work is and may cancel it.

        Returns
        -------
        mapping of str to (Z, Y, X) array or to candidates
            As :func:`~napari_sss.engine.prompts.pcsw.pcsw` takes them: bool; float
            probabilities in [0, 1]; integer labels of parts that are already separated; or
            candidates, which may also overlap.
        """
        ...
