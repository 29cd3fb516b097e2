# SPDX-License-Identifier: LGPL-2.1-or-later
"""The container of model files (docs/model-format.md): named tensors in the safetensors layout. Needs NumPy only; bench/mt.py uses it as well."""
import hashlib
import json
import os
import struct

import numpy as np

DTYPES = {'int8': 'I8', 'uint8': 'U8', 'int16': 'I16', 'uint16': 'U16', 'int32': 'I32', 'float32': 'F32'}
NUMPY = {name: dtype for dtype, name in DTYPES.items()}


def read_file(path):
    """-> tensors of a model file: {name: array}"""
    with open(path, 'rb') as f:
        raw = f.read()
    size, = struct.unpack_from('<Q', raw)
    header = json.loads(raw[8:8 + size])
    tensors = {}
    for name, entry in header.items():
        if name != '__metadata__':
            begin, end = (8 + size + x for x in entry['data_offsets'])
            tensors[name] = np.frombuffer(raw[begin:end], NUMPY[entry['dtype']]).reshape(entry['shape'])
    return tensors


def identity(tensors):
    """SHA-256 over name, type, shape and bytes of all tensors in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        t = tensors[name]
        digest.update(name.encode() + b'\0' + DTYPES[t.dtype.name].encode() + b'\0')
        digest.update(struct.pack(f'<{1 + t.ndim}I', t.ndim, *t.shape) + t.tobytes())
    return digest.hexdigest()


def write_file(path, tensors, metadata):
    """Appears under its name complete or not at all. -> identity"""
    header, at = {'__metadata__': {'format': 'm2t', 'identity': identity(tensors), **metadata}}, 0
    names = sorted(tensors, key=lambda n: (-tensors[n].dtype.itemsize, n))
    for name in names:
        t = tensors[name]
        header[name] = {'dtype': DTYPES[t.dtype.name], 'shape': list(t.shape), 'data_offsets': [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path + '.part', 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text)
        for name in names:
            f.write(tensors[name].tobytes())
    os.replace(path + '.part', path)
    return header['__metadata__']['identity']
