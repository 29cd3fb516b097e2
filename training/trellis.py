# SPDX-License-Identifier: LGPL-2.1-or-later
"""The encoder's choice with dependent quantisation (docs/bitstream.md, section 7.2): the values of many latents in a row, chosen together.

The search goes from latent to latent, and is in C: trellis.c, which the first import compiles.
"""
import ctypes
import os
import shlex
import subprocess
import tempfile

import numpy as np
import torch

import tables

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'trellis.c')


class CTables(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ('first', 'radius', 'raw', 'cost', 'centroid')] + [(name, ctypes.c_int64) for name in ('levels', 'skip')]


def library():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'trellis.so')
        subprocess.run([*shlex.split(os.environ.get('CC', 'cc')), '-O3', '-march=native', '-shared', '-fPIC', SOURCE, '-o', path, '-lm'], check=True)
        return ctypes.CDLL(path)


LIBRARY = library()


class Trellis:
    """radius, raw (levels), frequency (entries, see tables.py): of the entropy coder."""

    def __init__(self, radius, raw, frequency):
        flat = lambda x, kind: np.ascontiguousarray(x, kind)
        self.radius, self.raw = flat(radius, np.int64), flat(raw, np.int64)
        sizes = 16 * (2 * np.tile(self.radius, tables.QUANTIZERS) + 2)
        self.first, self.cost = flat(np.cumsum(sizes) - sizes, np.int64), flat(15 - np.log2(frequency), np.float32)
        assert len(self.cost) == sizes.sum()

    def choose(self, y, mean, level, centroid, worth):
        """y, in steps, mean, in 1/16, level: latents as they follow each other (one dimension); centroid, in steps, of all entries; worth: bits for a
        squared step of error -> values, their quantizers (0, 1) and their places from the mean, all like y"""
        y, mean, level = (x.contiguous().to(kind) for x, kind in ((y, torch.float32), (mean, torch.int32), (level, torch.uint8)))
        value, quantizer, place = torch.empty_like(y), torch.empty_like(level), torch.empty_like(mean)
        centroid = np.ascontiguousarray(centroid, np.float32)
        c = CTables(*(x.ctypes.data for x in (self.first, self.radius, self.raw, self.cost, centroid)), len(self.radius), tables.SKIP)
        pointers = lambda *arrays: [ctypes.c_void_p(x.data_ptr()) for x in arrays]
        LIBRARY.trellis_choose(ctypes.c_int64(y.numel()), *pointers(y, mean, level), ctypes.byref(c), ctypes.c_float(worth), *pointers(value, quantizer, place))
        return value, quantizer, place
