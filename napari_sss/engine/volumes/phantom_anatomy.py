"""The phantom's anatomy: where its structures lie, how they are shaped, what HU they have.

Positions are millimetres in a patient frame with its origin in the middle of the scan: x to
the left, y to the back, z to the head. The HU are those of a portal venous phase.
"""

from __future__ import annotations

import numpy as np

from napari_sss.engine.volumes.grid import Vector3
from napari_sss.engine.volumes.phantom_canvas import Canvas, Field


def paint_abdomen(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint everything, from the skin inwards."""
    sizes = rng.uniform(0.94, 1.06, size=16)
    _trunk(canvas)
    _bowel(canvas)
    _lungs(canvas)
    _ribs(canvas)
    _muscles(canvas)
    _vessels(canvas)
    _pancreas(canvas, sizes[0])
    _stomach(canvas, sizes[1])
    _liver(canvas, sizes[2])
    _spleen(canvas, sizes[3])
    _kidney(canvas, "right kidney", (-64.0, 38.0, -2.0), sizes[4])
    _kidney(canvas, "left kidney", (66.0, 40.0, 14.0), sizes[5])
    _pelvis(canvas)
    _spine(canvas)
    _bladder(canvas, sizes[6])
    _table(canvas)


def _fat(canvas: Canvas) -> Field:
    """Thickness in mm of the fat below the skin."""
    _, y, z = canvas.position
    hips = 5 * np.exp(-(((z + 110) / 60) ** 2))
    return 13 + 4 * canvas.rough + hips + np.float32(4) * (y > 40)


def _trunk(canvas: Canvas) -> None:
    depth, fat = canvas.skin, _fat(canvas)
    canvas.paint(depth, -5)
    canvas.paint(depth - 2, -102 + 6 * canvas.fine)
    canvas.paint(depth - fat, 58 + 12 * canvas.fine)
    canvas.paint(depth - fat - 11 - 2 * canvas.rough, -98 + 10 * canvas.fine)


def _bowel(canvas: Canvas) -> None:
    """Loops of small bowel as the high parts of noise, and a colon on either side."""
    gut = canvas.part((0, -25, -45), (100, 50, 75))
    room = gut.ellipsoid((0, -28, -48), (98, 44, 72), rough=6)
    loops = np.minimum(room, 14 * (gut.fine + 0.35))
    gut.paint(loops, 62)
    gut.paint(loops - 4, 28 + 14 * gut.rough)
    gut.paint(np.minimum(loops - 5, 16 * (gut.rough - 0.9)), -820)
    for side, low, high in ((-1, -95, 25), (1, -100, 45)):
        middle = (low + high) / 2
        colon = canvas.part((104.0 * side, 4, middle), (24, 24, (high - low) / 2))
        x, y, z = colon.position
        haustra = 19 + 3 * np.sin(z / 5.5) + 2 * colon.fine
        tube = haustra - np.hypot(x - 103 * side, y - 4)
        tube = np.minimum(tube, (high - low) / 2 - np.abs(z - middle))
        colon.paint(tube, 52)
        colon.paint(tube - 3, 5 + 60 * colon.fine)
        colon.paint(np.minimum(tube - 4, -(y + 2) + 5 * colon.rough), -900)


def _lungs(canvas: Canvas) -> None:
    for side, structure, base in ((-1, "right lung", 202.0), (1, "left lung", 190.0)):
        lung = canvas.part((72.0 * side, 12, base), (68, 84, 110))
        depth = lung.ellipsoid((70.0 * side, 12, base), (64, 80, 108), rough=1.5)
        vessels = 2.4 - 9 * np.hypot(lung.fine, lung.rough - 0.2)
        lung.paint(depth, -860 + 35 * lung.fine, structure)
        lung.tint(np.minimum(vessels, depth - 2), 20)
    heart = canvas.part((18, -28, 185), (58, 50, 60))
    heart.paint(heart.ellipsoid((18, -28, 190), (58, 50, 62), 20), 45)
    heart.paint(heart.ellipsoid((26, -24, 192), (38, 32, 46), 20), 155)


def _ribs(canvas: Canvas) -> None:
    """Tubes around the chest that descend towards the front, 30 mm apart."""
    chest = canvas.part((0, 0, 78), (170, 125, 85))
    x, y, z = chest.position
    wall = chest.skin - _fat(chest) - 6
    to_front = np.clip((70 - y) / 150, 0, 1)
    height = z + 75 * to_front - 8 * np.abs(x) / 150
    across = np.hypot(wall * np.float32(1.25), height - 30 * np.round(height / 30))
    # They begin beside the spine, and end before the middle; the lowest are the shortest.
    lowest = z - 8 + 40 * (1 - to_front)
    ends = np.minimum((np.abs(x) - 30) * np.float32(0.8), y + 62 + 0.25 * (z - 60))
    depth = np.minimum(np.float32(5.4) - across, np.minimum(lowest, ends))
    chest.paint(depth, 520 + 60 * chest.fine, "ribs")
    chest.tint(depth - 2.4, 210)


def _muscles(canvas: Canvas) -> None:
    """The long muscles beside the spine and the psoas before it."""
    for side in (-1, 1):
        back = canvas.part((30.0 * side, 80, 0), (28, 20, 200))
        back.paint(
            back.ellipsoid((31.0 * side, 80, 0), (29, 19, 900), rough=1), 56 + 10 * back.fine
        )
        psoas = canvas.part((38.0 * side, 40, -75), (24, 26, 90))
        shift = np.float32(0.16) * np.clip(20 - psoas.position[2], 0, None)
        x, y, z = psoas.position
        grow = np.clip((35 - z) / 60, 0.05, 1)
        depth = 19 * grow - np.hypot(x * side - 32 - shift, (y - 42 + 0.5 * shift))
        psoas.paint(depth, 60 + 8 * psoas.fine)


def _vessels(canvas: Canvas) -> None:
    """Aorta and vena cava, which divide above the pelvis."""
    for structure, x0, y0, radius, fork, hu in (
        ("aorta", 11.0, 20.0, 10.0, -62.0, 165.0),
        ("vena cava", -17.0, 22.0, 11.5, -72.0, 130.0),
    ):
        tube = canvas.part((x0, y0 - 10, 0), (70, 40, 200))
        x, y, z = tube.position
        below = np.clip(fork - z, 0, None)
        apart = np.float32(0.62) * below
        ahead = np.float32(0.22) * below * np.exp(-below / 90)
        width = np.where(below > 0, np.float32(radius * 0.66), np.float32(radius))
        distance = np.hypot(np.abs(x - x0) - apart, y - y0 + ahead)
        tube.paint(width - distance, hu, structure)


def _pancreas(canvas: Canvas, size: float) -> None:
    gland = canvas.part((12, -8, 38), (62, 22, 22))
    x, y, z = gland.position
    along = np.clip((x + 38) / 100, 0, 1)
    bend = np.hypot(y + 16 - 28 * along**2, z - 26 - 26 * along)
    depth = (14 - 5 * along) * size - bend + 2 * gland.fine
    gland.paint(np.minimum(depth, 50 - np.abs(x - 12)), 96 + 14 * gland.fine, "pancreas")


def _stomach(canvas: Canvas, size: float) -> None:
    """A wall around fluid with food; air collects at the front, as the patient lies."""
    bag = canvas.part((52, -34, 72), (52, 44, 58))
    depth = bag.ellipsoid((52, -34, 72), (46 * size, 38 * size, 52 * size), 25, rough=3)
    bag.paint(depth, 78, "stomach")
    inside = depth - 4 - 1.5 * bag.fine
    bag.paint(inside, 22 + 12 * bag.fine, "stomach")
    bag.paint(np.minimum(inside, -(bag.position[1] + 50)), -960, "stomach")


def _liver(canvas: Canvas, size: float) -> None:
    part = canvas.part((-45, -10, 70), (125, 90, 88))
    right = part.ellipsoid((-84, 2, 66), (70 * size, 80 * size, 78 * size), rough=2.5)
    taper = 34 + 0.75 * (part.position[2] + 12) - (part.position[0] + 100)
    right = np.minimum(np.minimum(right, taper), part.skin - _fat(part) - 13)
    left = part.ellipsoid((-6, -46, 88), (70 * size, 32 * size, 36 * size), 12, rough=2.5)
    lobes = np.maximum(right, left)
    x, y, z = part.position
    hollow = np.hypot(x + 52, y - 30) + np.float32(0.35) * (z - 30) - 10  # for the right kidney
    lobes = np.minimum(lobes, np.maximum(hollow - 4, z - 42))
    part.paint(lobes, 112 + 5 * part.fine, "liver")
    vessels = 3.4 - 12 * np.hypot(part.rough - 0.1, part.fine * np.float32(0.8))
    part.tint(np.minimum(vessels, lobes - 6), 160)
    bile = canvas.part((-44, -58, 30), (18, 18, 30))
    bile.paint(bile.ellipsoid((-44, -58, 30), (14, 15, 26), 20, 1), 60, "gallbladder")
    bile.paint(bile.ellipsoid((-44, -58, 30), (12, 13, 24), 20, 1), 8, "gallbladder")


def _spleen(canvas: Canvas, size: float) -> None:
    part = canvas.part((104, 34, 74), (40, 52, 58))
    outer = part.ellipsoid((102, 34, 74), (32 * size, 48 * size, 52 * size), -28)
    hilum = part.ellipsoid((74, 20, 72), (24, 30, 46), -28, 1)
    outer = np.minimum(outer, part.skin - _fat(part) - 13)
    part.paint(np.minimum(outer, -hilum), 124 + 5 * part.fine, "spleen")


def _kidney(canvas: Canvas, structure: str, centre: Vector3, size: float) -> None:
    """Bright cortex around darker pyramids, with fat and the pelvis in the middle."""
    side = float(np.sign(centre[0]))
    part = canvas.part(centre, (36, 36, 62))
    turn = -30 * side
    outer = part.ellipsoid(centre, (27 * size, 24 * size, 54 * size), turn, 1)
    sinus_at = (centre[0] - 15 * side, centre[1] - 6, centre[2])
    sinus = part.ellipsoid(sinus_at, (16, 9, 28), turn, 2.5)
    kidney = np.minimum(outer, -sinus)
    part.paint(kidney, 198, structure)
    part.paint(kidney - 6 - 5 * np.abs(part.fine), 142, structure)
    pelvis_at = (centre[0] - 13 * side, centre[1] - 6, centre[2])
    part.paint(part.ellipsoid(pelvis_at, (8, 5, 14), turn, 1), 15)


def _pelvis(canvas: Canvas) -> None:
    """Two bowl-like iliac wings and the heads of the femurs in their sockets."""
    for side in (-1, 1):
        part = canvas.part((78.0 * side, 28, -120), (74, 84, 90))
        x, y, z = part.position
        bowl = part.ellipsoid((50.0 * side, 8, -92), (72, 74, 80), rough=1.5)
        inner = part.ellipsoid((46.0 * side, 5, -84), (67, 69, 78), rough=-1.5)
        wing = np.minimum(
            np.minimum(bowl, -inner), np.minimum(-52 - z, y + 12 + 0.35 * (z + 60))
        )
        wing = np.minimum(wing, x * side - 26)
        _bone(part, wing, "pelvis")
        socket = part.ellipsoid((84.0 * side, 4, -152), (31, 33, 34), rough=2)
        _bone(part, np.minimum(socket, 88 + 0.5 * (z + 160) - x * side), "pelvis")
        part.paint(part.ellipsoid((92.0 * side, 0, -162), (27, 27, 27), rough=0), 40)
        _bone(part, part.ellipsoid((92.0 * side, 0, -162), (24, 24, 24), rough=0), "pelvis")
    buttocks = canvas.part((0, 88, -130), (120, 30, 70))
    x, _, z = buttocks.position
    depth = buttocks.ellipsoid((0, 84, -150), (115, 24, 76), rough=3)
    soft = np.where(buttocks.labels == 0, depth, -50)
    buttocks.paint(np.minimum(soft, np.abs(x) - 8), 54 + 14 * buttocks.fine)


def _bone(part: Canvas, depth: Field, structure: str) -> None:
    """A dense shell around marrow."""
    part.paint(depth, 640 + 80 * part.fine, structure)
    part.tint(depth - 2.6, 190 + 45 * part.fine)


def _spine(canvas: Canvas) -> None:
    """Vertebrae 34 mm apart with discs between, canal and processes; the sacrum below."""
    spine = canvas.part((0, 60, 0), (48, 52, 200))
    x, y, z = spine.position
    lordosis = 7 * np.cos((z + 40) / 75)
    y = y + lordosis
    phase = np.mod(z + 8, 34) - 17
    body = 1 - np.sqrt((x / 23) ** 2 + ((y - 52) / 17.5) ** 2)
    height = 12.5 - np.abs(phase)
    canal = np.float32(9.5) - np.hypot(x * np.float32(0.85), y - 77)
    ring = np.minimum(
        np.float32(15) - np.hypot(x * np.float32(0.85), y - 77), 9 - np.abs(phase)
    )
    spike = np.minimum(
        3.6 - np.abs(x), np.minimum(16 - np.abs(y - 99 - phase * 0.3), 7 - np.abs(phase))
    )
    wings = np.minimum(36 - np.abs(x), np.minimum(5 - np.abs(y - 72), 6 - np.abs(phase)))
    spine.paint(body * 17 - 1, 88)
    arch = np.maximum(np.maximum(ring, spike), wings)
    _bone(spine, np.minimum(arch, z + 92), "spine")
    _bone(spine, np.minimum(np.minimum(body * 17, height), z + 92), "spine")
    taper = np.clip((z + 190) / 100, 0.1, 1)
    curve = y - 60 - 0.0035 * (z + 92) ** 2
    sacrum = (1 - np.sqrt((x / (46 * taper)) ** 2 + (curve / (20 * taper)) ** 2)) * 20 * taper
    _bone(spine, np.minimum(sacrum, -90 - z), "pelvis")
    spine.paint(np.minimum(canal, z + 100), 22)


def _bladder(canvas: Canvas, size: float) -> None:
    part = canvas.part((0, -22, -136), (50, 42, 40))
    depth = part.ellipsoid((0, -22, -136), (42 * size, 34 * size, 30 * size), rough=2)
    part.paint(depth, 48, "bladder")
    part.paint(depth - 3, 7, "bladder")


def _table(canvas: Canvas) -> None:
    """The couch: two thin shells of carbon around foam."""
    below = canvas.part((0, 140, 0), (180, 50, 200))
    x, y, _ = below.position
    sag = y - 128 + x**2 * np.float32(0.0009)
    outside = -below.skin - 2
    below.paint(np.minimum(outside, 12 - np.abs(sag - 10)), -930)
    for shell in (0, 20):
        below.paint(np.minimum(outside, 1.4 - np.abs(sag - shell)), -380)
