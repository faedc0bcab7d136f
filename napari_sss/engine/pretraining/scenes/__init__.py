"""Generated scans for training: anatomy-like scenes with labels, drawn on the fly.

The images follow the idea of domain randomisation: contrasts, textures, resolution and
artefacts vary far beyond what scanners do, so that a model trained on them relies on shape
and edges and knows no modality too well.

References
----------
Billot et al., "SynthSeg: Segmentation of brain MRI scans of any contrast and resolution
without retraining", Medical Image Analysis 86, 2023.
"""

from .config import SceneConfig, SceneWeights
from .generator import SceneGenerator
from .scene import Scene

__all__ = ["Scene", "SceneConfig", "SceneGenerator", "SceneWeights"]
