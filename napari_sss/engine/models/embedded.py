"""The shape of the embedded model, the small SAM-2 that ships inside the package."""

from __future__ import annotations

from napari_sss.engine.models.architecture import Architecture


def embedded_architecture(image_size: int = 192) -> Architecture:
    """A SAM-2 of the official classes, small enough for a CPU.

    Features of every scale reach the finest level (official models stop two levels above),
    because a shallow trunk sees little context there. Prompts are drawn as well as embedded,
    and a small U-Net looks at the drawing, the features and the first mask together.
    """
    return Architecture(
        image_size=image_size,
        embed_dim=48,
        stages=(1, 2, 4, 1),
        global_att_blocks=(5,),
        window_spec=(8, 4, 8, 4),
        d_model=128,
        top_down_levels=(0, 1, 2, 3),
        memory_layers=2,
        memory_feedforward=512,
        dropout=0.0,
        pixel_mean=(0.5, 0.5, 0.5),
        pixel_std=(0.25, 0.25, 0.25),
        multimask_tracking=False,
        fallback_stability=0.0,
        drawn_prompts=True,
        refiner_width=16,
    )
