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


def screen(width, height, seed=1):
    """Planes of what programs draw: flat areas, frames of windows, slanted lines with soft edges, rows of small marks; and a corner of noise."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[0:height + 1, 0:width + 1]
    planes = [np.full(y.shape, value) for value in random.randint(0, 256, 3)]
    for _ in range(5):
        top, left = random.randint(0, height), random.randint(0, width)
        bottom, right = top + random.randint(9, height // 2 + 10), left + random.randint(9, width // 2 + 10)
        inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
        within = (y > top) & (y < bottom - 1) & (x > left) & (x < right - 1)
        marks = within & ((y - top) % 7 > 2) & (random.rand(*y.shape) < 0.3) & (x < left + (right - left) // 2)
        distance = np.abs((x - left) * random.randint(1, 5) - (y - top) * random.randint(1, 5))   # to a line, 4 and more are outside
        cover = np.where(inside, np.clip(4 - distance, 0, 3), 0)
        for plane in planes:
            ground, line = random.randint(0, 256, 2)
            plane[inside] = line
            plane[within] = ground
            plane[marks] = line
            plane[:] = (plane * (3 - cover) + line * cover) // 3
    noisy = (y < height // 4) & (x < width // 4)
    planes = [np.where(noisy, random.randint(0, 256, y.shape), plane).astype(np.uint8) for plane in planes]
    return [planes[0][:height, :width]] + [plane[:(height + 1) // 2 * 2:2, :(width + 1) // 2 * 2:2] for plane in planes[1:]]


def moving(width, height, count, seed=1, draw=drawn):
    """Pictures of one drawn scene, through the middle of which a patch of another one moves; the lower part stays as it is."""
    scene, other = draw(width, height, seed), draw(width, height, seed + 1)
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


def moving_screen(width, height, count, seed=1):
    """The same as moving(), of screens."""
    return moving(width, height, count, seed, screen)


def photograph(name):
    """Planes of the first picture of tests/vectors/NAME.y4m."""
    return ref.read_y4m(VECTORS / f"{name}.y4m")[5][0]


def psnr(a, b):
    """Of two planes, in dB."""
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255 ** 2 / error))
