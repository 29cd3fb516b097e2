# SPDX-License-Identifier: LGPL-2.1-or-later
"""Test pictures: drawn in integers from a seed, the same everywhere; and the two photographs of tests/vectors."""
import pathlib

import numpy as np

import m2t_reference as ref

VECTORS = pathlib.Path(__file__).parent.parent / "vectors"


def drawn(width, height, seed=1):
    """Planes Y, U, V with slopes, edges, texture, flat ground, and areas of 0 and of 255."""
    random = np.random.RandomState(seed)
    planes = []
    for h, w, amount in ((height, width, 40), ((height + 1) // 2, (width + 1) // 2, 20), ((height + 1) // 2, (width + 1) // 2, 20)):
        y, x = np.mgrid[0:h, 0:w]
        plane = 60 + 90 * x // w + 60 * y // h
        for _ in range(6):
            top, left = random.randint(0, h), random.randint(0, w)
            bottom, right = top + random.randint(2, h // 2 + 3), left + random.randint(2, w // 2 + 3)
            kind, value = random.randint(0, 4), random.randint(-amount, amount + 1)
            inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
            if kind == 0:
                plane = np.where(inside, plane + value, plane)
            elif kind == 1:
                plane = np.where(inside, plane + random.randint(-amount, amount + 1, (h, w)), plane)
            elif kind == 2:
                plane = np.where(inside, 255 * ((x // 3 + y // 5) & 1), plane)
            else:
                plane = np.where(inside & (x + 2 * y < left + right + top + bottom), 255 if value > 0 else 0, plane)
        planes.append(np.clip(plane, 0, 255).astype(np.uint8))
    return planes


def moving(width, height, count, seed=1):
    """Pictures of one drawn scene, through the middle of which a patch of another one moves; the lower part stays as it is."""
    scene, other = drawn(width, height, seed), drawn(width, height, seed + 1)
    clip = []
    for i in range(count):
        planes = [plane.copy() for plane in scene]
        for n, (plane, new) in enumerate(zip(planes, other)):
            unit = 2 if n == 0 else 1
            top, left = unit * (height // 8 + 3 * i), unit * (width // 16 + 5 * i)
            at = np.s_[top:top + 16 * unit, left:left + 20 * unit]
            plane[at] = new[at]
        clip.append(planes)
    return clip


def photograph(name):
    """Planes of the first picture of tests/vectors/NAME.y4m."""
    return ref.read_y4m(VECTORS / f"{name}.y4m")[5][0]


def psnr(a, b):
    """Of two planes, in dB."""
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255 ** 2 / error))
