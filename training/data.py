# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pictures as I420 planes (BT.709, limited range), patches, and random crops."""
import glob

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from model import CHROMA


def rgb_to_i420(rgb):
    """(H, W, 3) uint8, even sides -> planes (y, u, v), chroma the mean of 2×2 samples."""
    rgb = rgb.astype(np.float32)
    luma = rgb @ np.float32([0.2126, 0.7152, 0.0722])
    u, v = (rgb[..., 2] - luma) / 1.8556, (rgb[..., 0] - luma) / 1.5748
    mean = lambda c: (c[0::2, 0::2] + c[1::2, 0::2] + c[0::2, 1::2] + c[1::2, 1::2]) / 4
    byte = lambda c: np.clip(np.rint(c), 0, 255).astype(np.uint8)
    return byte(16 + luma * (219 / 255)), byte(128 + mean(u) * (224 / 255)), byte(128 + mean(v) * (224 / 255))


def load_pictures(folder, least=256):
    """Planes of all .jpg and .png files of a folder, sides cut to multiples of 16, none below `least`."""
    pictures = []
    for path in sorted(path for kind in ('jpg', 'png') for path in glob.glob(f'{glob.escape(folder)}/*.{kind}')):
        rgb = np.asarray(Image.open(path).convert('RGB'))
        h, w = rgb.shape[0] & ~15, rgb.shape[1] & ~15
        if min(h, w) >= least:
            pictures.append(rgb_to_i420(rgb[:h, :w]))
    if not pictures:
        raise SystemExit(f'{folder}: no .jpg or .png pictures of at least {least} pixels a side')
    return pictures


def pad(planes, multiple=16):
    """Planes with the last column and row repeated, up to a multiple of `multiple` luma samples."""
    h, w = planes[0].shape
    h, w = -(-h // multiple) * multiple, -(-w // multiple) * multiple
    grow = lambda c, a, b: np.pad(c, ((0, a - c.shape[0]), (0, b - c.shape[1])), mode='edge')
    return grow(planes[0], h, w), grow(planes[1], h // 2, w // 2), grow(planes[2], h // 2, w // 2)


def patches(y, u, v):
    """(B, H, W) and twice (B, H/2, W/2), real numbers -> (B, 96, H/8, W/8)"""
    cut = lambda c, n: F.pixel_unshuffle(c[:, None], n)
    return torch.cat([cut(y, 8), cut(u, 4), cut(v, 4)], 1)


def to_real(planes):
    """Batch of planes, 0…255 -> what the network reads."""
    y, u, v = (torch.as_tensor(np.stack(c)).float() / 255 - 0.5 for c in planes)
    return patches(y, u * CHROMA, v * CHROMA)


def from_real(x, h, w):
    """Network output (1, 96, …) -> uint8 planes of an h × w picture."""
    byte = lambda c: ((c + 0.5) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    join = lambda c, n: F.pixel_shuffle(c, n)[0, 0]
    ch, cw = (h + 1) // 2, (w + 1) // 2
    return (byte(join(x[:, :64], 8))[:h, :w], byte(join(x[:, 64:80], 4) / CHROMA)[:ch, :cw],
            byte(join(x[:, 80:], 4) / CHROMA)[:ch, :cw])


def crop(pictures, size, rng, others=(), share=0.0):
    """Planes of a random piece of size × size luma samples of a random picture, with the chance `share` one of `others`."""
    source = others if share and rng.random() < share else pictures
    planes = source[rng.integers(len(source))]
    top, left = (rng.integers((side - size) // 2 + 1) for side in planes[0].shape)
    return [planes[0][2 * top:2 * top + size, 2 * left:2 * left + size], *(c[top:top + size // 2, left:left + size // 2] for c in planes[1:])]


def add_options(parser, share):
    """Where training pictures come from. share: default of --share"""
    parser.add_argument('--train', required=True, help='folder of pictures')
    parser.add_argument('--structured', help='folder of pictures drawn by structured.py')
    parser.add_argument('--share', type=float, default=share, help='share of the crops that come from them (default: %(default)s)')


def endless_crops(train, structured, share, size, rng):
    """Planes of random crops of the pictures in the folder `train`; if there is a folder `structured`, `share` of them are from there."""
    pictures, others = load_pictures(train, size), load_pictures(structured, size) if structured else []
    while True:
        yield crop(pictures, size, rng, others, share if others else 0)


def crops(pictures, count, size, rng, others=(), share=0.0):
    """`count` random crops of size × size luma samples, flipped and transposed at random -> (count, 96, size/8, size/8)

    On average `share` of them come from the pictures `others`.
    """
    batch = []
    for _ in range(count):
        cut = crop(pictures, size, rng, others, share)
        if rng.random() < 0.5:
            cut = [c[:, ::-1] for c in cut]
        if rng.random() < 0.5:
            cut = [c[::-1] for c in cut]
        if rng.random() < 0.5:
            cut = [c.T for c in cut]
        batch.append(cut)
    return to_real(list(zip(*batch)))
