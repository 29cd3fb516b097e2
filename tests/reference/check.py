#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Self tests of the reference. Uses tests/vectors/tiny.m2tw and, where it stands in models/, the standard model.

    check.py            all tests (exit status 77 without numpy)
    check.py -k causal  those with "causal" in their name
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
except ImportError:
    sys.exit(77)

import bad_models
import m2t_reference as ref
import make_conformance
import make_corpus
import make_tiny_model
import make_vectors
import pictures

ROOT = pathlib.Path(__file__).parent.parent.parent
SIZES = [(16, 16), (17, 16), (16, 33), (31, 17), (129, 40), (150, 131)]


def refused(function, *arguments):
    try:
        function(*arguments)
    except ref.M2tError:
        return True
    return False


class Documents(unittest.TestCase):
    """The tables that bitstream.md prints are what its text says."""

    def test_tables(self):
        blocks = re.findall(r"```\n([-0-9 \n]+)```", (ROOT / "docs" / "bitstream.md").read_text())
        order, source = ([int(n) for n in block.split()] for block in blocks)
        self.assertEqual(order, make_tiny_model.USUAL_ORDER)
        self.assertEqual(source, make_tiny_model.source_table(order, make_tiny_model.USUAL_GROUPS))


class Arithmetic(unittest.TestCase):
    def test_single_precision(self):
        self.assertEqual(ref.fl([16777217, 16777219, -16777217]).tolist(), [16777216.0, 16777220.0, -16777216.0])
        self.assertEqual(ref.rnd(np.float32([0.5, 1.5, -0.5, -1.5, 2.5, 9e9, -9e9])).tolist(), [0, 2, 0, -2, 2, 2097152, -2097152])

    def test_products_are_exact(self):
        random = np.random.RandomState(1)
        x, w = random.choice([-128, -127, 127], (5, 1024)), random.choice([-127, 127, 1], (7, 1024))
        self.assertTrue(np.array_equal(ref.product(x, w.astype(np.float64)), np.dot(x, w.T)))

    def test_wide_halves(self):
        x = np.arange(-32768, 32768)
        hi, lo = ref.split_wide(x)
        self.assertTrue(np.array_equal(128 * hi + lo, np.clip(x, -16319, 16319)))
        self.assertEqual((hi.min(), hi.max(), lo.min(), lo.max()), (-127, 127, -64, 63))

    def test_shuffle(self):
        x = np.arange(4 * 6 * 5).reshape(4, 6, 5)
        self.assertTrue(np.array_equal(ref.shuffle(ref.unshuffle(x)), x))
        self.assertEqual(ref.unshuffle(x)[1, 2, 4 * 3 + 2 * 1 + 0], x[3, 4, 3])

    def test_patches(self):
        for width, height in SIZES:
            planes = pictures.drawn(width, height)
            patches = ref.planes_to_patches(planes)
            back = ref.patches_to_planes(patches + 128, width, height)
            for a, b in zip(planes, back):
                self.assertTrue(np.array_equal(np.maximum(a, 1), b))

    def test_varint_and_zigzag(self):
        for value in [0, 1, 127, 128, 300, 1 << 31, (1 << 32) - 1]:
            self.assertEqual(ref.Reader(ref.write_varint(value), "").varint(""), value)
        for bad in (b"\x80\x00", b"\xFF\xFF\xFF\xFF\x10", b"\xFF\xFF\xFF\xFF\xFF\x01", b"\x80"):
            self.assertTrue(refused(ref.Reader(bad, "").varint, ""))
        self.assertEqual([ref.zigzag(n) for n in (0, -1, 1, -2)], [0, 1, 2, 3])
        self.assertEqual([ref.unzigzag(ref.zigzag(n)) for n in range(-9, 9)], list(range(-9, 9)))

    def test_crc(self):
        self.assertEqual(ref.crc32c(b"123456789"), 0xE3069283)


class Streams(unittest.TestCase):
    def test_slices_cover_the_picture(self):
        for rows in range(1, 70):
            for slices in range(1, min(rows, ref.SLICES_MAX) + 1):
                bounds = ref.slice_bounds(rows, slices)
                self.assertEqual([row for begin, end in bounds for row in range(begin, end)], list(range(rows)))
                self.assertTrue(all(begin < end for begin, end in bounds))
            self.assertTrue(refused(ref.slice_bounds, rows, rows + 1))

    def test_heads(self):
        random = np.random.RandomState(8)
        for tokens in [1, 2, 3, 7, 130, 400]:
            for share in (0, 0.1, 0.5, 0.9, 1):
                kept = random.rand(tokens) < share
                head = ref.write_head(kept, 0x9876ABCD)
                reader = ref.Reader(head + b"rest", "")
                back, reference = ref.read_head(reader, tokens)
                self.assertTrue(np.array_equal(back, kept))
                self.assertEqual(reference, 0xABCD if kept.any() else None)
                self.assertEqual(reader.left(), 4)
                for at in range(len(head)):
                    self.assertTrue(refused(ref.read_head, ref.Reader(head[:at], ""), tokens))

    def test_exact_tokens(self):
        """All samples come back, and a byte too many is found."""
        random = np.random.RandomState(9)
        for rows, cols, share in [(1, 1, 1), (1, 3, 0.5), (2, 3, 0), (2, 3, 0.5), (3, 2, 0.8), (2, 2, 1)]:
            samples = ref.planes_to_samples(pictures.drawn(16 * cols, 16 * rows, rows + cols))
            kept = random.rand(rows, cols) < 0.3
            kept[0, 0] = False
            exact = (random.rand(rows, cols) < share) & ~kept
            data = ref.write_exact(exact, kept, samples)
            reader = ref.Reader(data + b"rest", "")
            back, decoded = ref.read_exact(reader, kept)
            self.assertTrue(np.array_equal(back, exact))
            self.assertTrue(np.array_equal(decoded, np.where(ref.to_patches(exact), samples, 128)))
            self.assertEqual(reader.left(), 4)
            for at in [*range(min(len(data), 9)), len(data) - 1]:
                self.assertTrue(refused(ref.read_exact, ref.Reader(data[:at], ""), kept))
        one = np.zeros((1, 1), bool)
        coder = ref.BinaryEncoder()
        ref.code_exact(coder, ~one, ref.planes_to_samples(pictures.drawn(16, 16)))
        data = coder.finish()
        for size in (0, len(data), len(data) + 1):
            reader = ref.Reader(b"\1" + ref.write_varint(size) + data + b"\0", "")
            self.assertEqual(refused(ref.read_exact, reader, one), size != len(data))

    def test_runs_of_exact_tokens(self):
        three = np.zeros((1, 3), bool)
        three[0, 1] = True                                     # kept: two others are left
        for runs in (b"\2\2", b"\3\0\0", b"\3\1\1", b"\3\0\2", b"\4\0\1\1", b"\2\3", b"\2" + ref.write_varint(0xFFFFFFFF)):
            self.assertTrue(refused(ref.read_exact, ref.Reader(runs + b"\1\1", ""), three))
        for runs, exact in ((b"\0", (0, 0)), (b"\1", (1, 1)), (b"\2\1", (1, 0)), (b"\3\0\1", (0, 1))):
            flags = np.insert(np.array(exact, bool), 1, False)[None]
            data = ref.write_exact(flags, three, np.full((2, 6, ref.PATCH), 7))
            self.assertTrue(data.startswith(runs))
            self.assertTrue(np.array_equal(ref.read_exact(ref.Reader(data, ""), three)[0], flags))

    def test_escape(self):
        random = np.random.RandomState(2)
        for _ in range(300):
            data = bytes(random.choice([0, 0, 0, 1, 2, 3, 4, 77], random.randint(1, 60)).tolist())
            body = ref.escape(data)
            self.assertFalse(re.search(b"\0\0[\0\1\2]", body))
            self.assertEqual(ref.unescape(body), data)
            self.assertEqual(list(ref.read_units(b"\0\0\2" + ref.write_unit(data) + ref.write_unit(data))), [data, data])

    def test_coder(self):
        model, random = ref.read_model(pictures.VECTORS / "tiny.m2tw"), np.random.RandomState(3)
        for lanes in ref.LANES:
            level, mean, wanted = make_vectors.random_symbols(model, random, 5000)
            encoder = ref.RansEncoder(model)
            value, centroid = ref.code_chain(encoder, wanted, mean, level)
            self.assertLessEqual(np.abs(value - wanted).max(), 1)
            decoder = ref.RansDecoder(model, encoder.finish(lanes), lanes)
            self.assertTrue(np.array_equal(ref.code_chain(decoder, np.zeros_like(wanted), mean, level), (value, centroid)))
            decoder.finish()

    def test_coder_comes_near_the_entropy(self):
        model, random = ref.read_model(pictures.VECTORS / "tiny.m2tw"), np.random.RandomState(4)
        level, mean, wanted = make_vectors.random_symbols(model, random, 20000)
        encoder = ref.RansEncoder(model)
        ref.code_chain(encoder, wanted, mean, level)
        bits = sum(15 - np.log2(frequency) + sum(n for _, n in raws) for _, frequency, raws in encoder.symbols)
        self.assertLess(8 * len(encoder.finish(4)), 1.001 * bits + 200)


class Quantizers(unittest.TestCase):
    def test_nearest(self):
        """Of the values of a quantizer, the nearest one, and that nearer to the centre where two are; so a value that it has is itself."""
        for centre in (-7, 0, 4):
            places = range(-40, 41)
            values = {0: {p: 2 * (centre + p) for p in places},
                      1: {p: 2 * (centre + p) - (1 if p > 0 else -1 if p < 0 else 0) for p in places}}
            for quantizer, wanted in ((quantizer, wanted) for quantizer in (0, 1) for wanted in range(-50, 51)):
                best = min(places, key=lambda p: (abs(values[quantizer][p] - wanted), abs(p)))
                self.assertEqual(ref.nearest_place(wanted, centre, quantizer), best, (centre, quantizer, wanted))

    def test_states(self):
        """What quantizer a latent has, by the parity check of the code: quantizers and odd places, both shifted and added as its polynomials say, are
        nothing. Each latent is then the nearest value of its quantizer."""
        model, rng = ref.read_model(pictures.VECTORS / "tiny.m2tw"), np.random.default_rng(7)
        mean, wanted, centre = 52, rng.integers(-30, 30, 400), 2
        chosen, _ = ref.code_chain(ref.RansEncoder(model), wanted, np.full(400, mean), np.full(400, 9))
        quantizers, odd, seen = [0] * 6, [0] * 6, set()
        for value, target in zip(chosen.tolist(), wanted.tolist()):
            of = lambda bits, polynomial: sum(bits[-j] for j in range(1, 7) if polynomial >> j & 1)
            quantizers.append((of(quantizers, 0o103) + of(odd, 0o024)) % 2)
            values = {(2 * (centre + p) - quantizers[-1] * ((p > 0) - (p < 0))): p for p in range(-40, 41)}
            self.assertIn(value, values)
            self.assertLessEqual(abs(value - target), min(abs(v - target) for v in values))
            odd.append(values[value] % 2)
            seen.add(tuple(quantizers[-6:] + odd[-6:]))
        self.assertGreater(len(seen), 300)


def coding_order(model, grid, left_out):
    """For each part of each group: its tokens that are coded, in coding order, and its channels."""
    ends = np.cumsum(model.graph["prior"]["parts"])
    for cells in grid.groups:
        tokens = [token for token in grid.token[cells].tolist() if token >= 0 and not left_out[token]]
        for end, size in zip(ends.tolist(), model.graph["prior"]["parts"]):
            yield tokens, range(end - size, end)


def slow_centroids(model, y, mean, level, left_out, length=128):
    """Section 7.2 latent by latent, of a slice [rows][TW][L] -> the centroids, or None if some latent is not one that its quantizer has."""
    entropy, centroids = model.graph["entropy"], np.zeros_like(y)
    radius, raw = model["entropy.radius"].tolist(), model["entropy.raw"].tolist()
    sizes = [16 * (2 * r + 2) for r in radius]
    flat = y.reshape(-1, y.shape[2])
    for tokens, channels in coding_order(model, ref.PriorGrid(model, *y.shape[:2]), left_out):
        for number, token in enumerate(tokens):
            state = 0 if number % length == 0 else state
            for c in channels:
                lv, value = level[token, c], flat[token, c]
                if lv < entropy["skip"]:
                    continue
                half, k, r, second = mean[token, c] // 2, raw[lv], radius[lv], state >= 32
                centre = (half + 8) // 16
                if value % 2 != second and not (second and value == 2 * centre):
                    return None
                i = value // 2 + (value % 2 == 1 and value > 2 * centre)
                a = half - 8 * (2 ** k - 1)
                m = (a + 8 * 2 ** k) // 2 ** (k + 4)
                v = i // 2 ** k - m
                entry = 2 * r + 1 if abs(v) > r else v + r
                at = second * sum(sizes) + sum(sizes[:lv]) + (a // 2 ** k - 16 * m + 8) * (2 * r + 2) + entry
                centroids.reshape(flat.shape)[token, c] = model["entropy.centroid"][at]
                state = (2 * state) % 64 ^ (33 if second else 0) ^ (20 if (i - centre) % 2 else 0)
    return centroids


def near(v, r, c):
    return v[min(max(r, 0), len(v) - 1)][min(max(c, 0), len(v[0]) - 1)]


def slow_classes(luma):
    """Section 6.4 place by place: v of luma, lists -> the class of each block, by (row, column)."""
    classes = {}
    for top in range(0, len(luma), 4):
        for left in range(0, len(luma[0]), 4):
            rough = [0, 0, 0, 0]
            for r in range(top, top + 4):
                for c in range(left, left + 4):
                    ends = [near(luma, r - 1, c) + near(luma, r + 1, c), near(luma, r, c - 1) + near(luma, r, c + 1),
                            near(luma, r - 1, c - 1) + near(luma, r + 1, c + 1), near(luma, r - 1, c + 1) + near(luma, r + 1, c - 1)]
                    for i in range(4):
                        rough[i] += abs(2 * luma[r][c] - ends[i]) // 16
            i = rough.index(min(rough))
            j = (1, 0, 3, 2)[i]
            side = rough[3] < rough[2] if i in (0, 1) else rough[1] < rough[0]
            strength = 2 if rough[j] > 4 * rough[i] else 1 if rough[j] > 2 * rough[i] else 0
            activity = sum(rough[0] + rough[1] >= n for n in (512, 1024, 2304, 5120))
            classes[top // 4, left // 4] = ((2 * i + side) * 3 + strength) * 5 + activity
    return classes


def slow_filter(v, classes, size, weight):
    """v of a plane, classes of its blocks of `size` by `size`, weights [pair][limit][class] -> samples."""
    samples = [[0] * len(v[0]) for _ in v]
    for r in range(len(v)):
        for c in range(len(v[0])):
            total, here = 0, v[r][c]
            for pair, (y, x) in enumerate([(0, 1), (0, 2), (1, -1), (1, 0), (1, 1), (2, 0)]):
                for k, limit in enumerate([192, 768, 3072]):
                    f = sum(min(max(near(v, r + s * y, c + s * x) - here, -limit), limit) for s in (1, -1))
                    total += (f * weight[pair][k][classes[r // size, c // size]] + 16384) // 32768
            samples[r][c] = min(max((here + total + 32) // 64, 0), 255)
    return samples


class Filter(unittest.TestCase):
    def draw(self, random, height, width):
        """v with blocks of all directions and sizes of steps: slopes, ripples, flat ground, noise, and both ends of the range."""
        r, c = np.mgrid[0:height, 0:width]
        plane = np.zeros((height, width), np.int64)
        for top in range(0, height, 8):
            for left in range(0, width, 8):
                wave = ((r, c, r - c, r + c)[random.randint(4)] >> random.randint(2)) & 1
                step = 2 ** random.uniform(4, 13)
                noise = random.uniform(-1, 1, plane.shape) * random.choice([0, 0.3, 0.6, 1, 4]) * step
                block = np.rint(random.randint(0, 16321) + wave * step + noise).astype(np.int64)
                plane[top:top + 8, left:left + 8] = block[top:top + 8, left:left + 8]
        return np.clip(plane, 0, 16320)

    def test_planes(self):
        random = np.random.RandomState(12)
        for height, width, largest in [(16, 16, 11096), (16, 80, 8000), (64, 48, 2800), (80, 16, 11096)]:
            planes = [self.draw(random, height >> half, width >> half) for half in (0, 1, 1)]
            classes, blocks = slow_classes(planes[0].tolist()), ref.block_classes(planes[0])
            for plane, size in zip(planes, (4, 2, 2)):
                weight = random.randint(-largest, largest + 1, (len(ref.PAIRS), len(ref.LIMITS), ref.CLASSES))
                wanted = slow_filter(plane.tolist(), classes, size, weight.tolist())
                self.assertEqual(ref.filter_plane(plane, blocks, weight).tolist(), wanted)

    def test_classes(self):
        random, met = np.random.RandomState(14), set()
        for height, width in [(16, 16), (16, 48), (48, 16)] + 8 * [(160, 128)]:
            luma = self.draw(random, height, width)
            classes = slow_classes(luma.tolist())
            self.assertEqual({at: int(n) for at, n in np.ndenumerate(ref.block_classes(luma))}, classes)
            met |= set(classes.values())
        self.assertGreater(len(met), 100)

    def test_classes_by_hand(self):
        """Flat ground and slopes tie; lines have the class of their direction, waves that of the two directions around theirs."""
        r, c = np.mgrid[0:16, 0:16]
        planes = [(0 * r + 77, 0), (16 * r + 16 * c, 0), (4000 * (c & 1), 2), (4000 * (r & 1), 6 + 2),
                  (300 * ((r - c) % 4), 12 + 2), (300 * ((r + c) % 4), 18 + 2)]
        for n, phase in enumerate((r - 3 * c, r + 3 * c, 3 * r - c, 3 * r + c, 2 * r - 3 * c, 3 * r - 2 * c, 2 * r + 3 * c, 3 * r + 2 * c)):
            planes.append((np.rint(8000 + 4000 * np.cos(0.4 * phase)).astype(np.int64), 3 * n + 2))
        for plane, wanted in planes:
            inside = ref.block_classes(plane)[1:-1, 1:-1]
            self.assertEqual(set((inside // 5).ravel().tolist()), {wanted})

    def test_activities_by_hand(self):
        """Lines that make D_1 twice their step."""
        for activity, steps in enumerate([(8, 248), (256, 504), (512, 1144), (1152, 2552), (2560, 16320)]):
            for step in steps:
                inside = ref.block_classes(step * (np.mgrid[0:16, 0:16][1] & 1))[1:-1, 1:-1]
                self.assertEqual(set(inside.ravel().tolist()), {2 * 5 + activity})

    def test_edges_and_limits(self):
        """A weight of -1 at one place: what it takes from beyond the edges, at what limit, and how halves are rounded."""
        v = 64 * (np.arange(1, 17)[None] ** 2 + 10) * np.ones((16, 1), np.int64)
        blocks, weight = np.zeros((4, 4), np.int64), np.zeros((len(ref.PAIRS), len(ref.LIMITS), ref.CLASSES), np.int64)
        weight[1, 2, 0] = -32768                            # two columns away, limit 48 samples
        s = [(n + 1) ** 2 + 10 for n in range(16)]
        wanted = [s[n] - sum(min(max(s[min(max(n + d, 0), 15)] - s[n], -48), 48) for d in (-2, 2)) for n in range(16)]
        for row in ref.filter_plane(np.minimum(v, 16320), blocks, weight):
            self.assertEqual(row[:12].tolist(), wanted[:12])
        weight[:] = 0
        weight[0, 0, 0], weight[3, 0, 0] = 16384, -16384    # left and right of a step of 1/64, up and down nothing
        step = np.array([[31] * 8 + [32] * 8] * 16)
        self.assertEqual(ref.filter_plane(step, blocks, weight)[0].tolist(), [0] * 7 + [1] + [1] * 8)

    def test_no_filter_rounds(self):
        v = np.random.RandomState(13).randint(0, 16321, (2, 2, ref.PATCH))
        model = ref.read_model(pictures.VECTORS / "mt.m2tw")
        self.assertTrue(np.array_equal(ref.filter_picture(model, ref.Quantizer(model, 0), v), (v + 32) // 64))


class Codec(unittest.TestCase):
    """Tests with a model; Standard below runs the same with the other one."""
    path, sizes, quantizers = pictures.VECTORS / "tiny.m2tw", SIZES, (0, 100, 252)
    clips = [(31, 17, 1), (31, 17, 2), (150, 131, 1), (150, 131, 4)]      # width, height, slices
    chains = (600, 410)

    def setUp(self):
        if not self.path.exists():
            self.skipTest(f"no {self.path}")
        self.model = ref.read_model(self.path)

    def latents(self, width, height, q4):
        quantizer = ref.Quantizer(self.model, q4)
        return quantizer, ref.analysis(self.model, quantizer, ref.planes_to_patches(pictures.drawn(width, height, q4)))

    def test_round_trip(self):
        for i, (width, height) in enumerate(self.sizes):
            for q4 in self.quantizers:
                planes = pictures.drawn(width, height, q4)
                sequence = ref.Sequence(self.model.identity[:16], width, height)
                frame = ref.encode_picture(self.model, planes, sequence, i, q4, ref.LANES[i % 3])
                quantizer, y = self.latents(width, height, q4)
                wanted = ref.synthesis(self.model, quantizer, *ref.choose_latents(self.model, quantizer, y))
                wanted = ref.patches_to_planes(wanted, width, height)
                for a, b in zip(ref.Decoder(self.model).decode(frame), wanted):
                    self.assertTrue(np.array_equal(a, b), (width, height, q4))

    def random_clip(self, count, width, height, slices, share=0.6):
        """-> frames of random changes, the first of them a key frame, and the d that each of them must leave behind."""
        random, sequence = np.random.RandomState(width), ref.Sequence(self.model.identity[:16], width, height)
        frames, values, last = [], [], None
        for number in range(count):
            quantizer, y = self.latents(width, height, 60 + 20 * number)
            kept = random.rand(*y.shape[:2]) < share
            kept[:2] = kept[0, 0]                              # so that slices may be kept as a whole, or stand alone
            kept = kept if number else None
            fresh = ref.dequantize(quantizer, *ref.choose_latents(self.model, quantizer, y, slices, kept))
            values.append(np.where(kept[:, :, None], values[-1], fresh) if number else fresh)
            frames.append(ref.encode_latents(self.model, quantizer, y, number, None if number else sequence, ref.LANES[number % 3], slices, kept, last))
            last = ref.read_frame(frames[-1])
        return frames, values

    def test_inter_frames(self):
        for width, height, slices in self.clips:
            decoder = ref.Decoder(self.model)
            for frame, values in zip(*self.random_clip(3, width, height, slices)):
                samples = ref.show(self.model, ref.Quantizer(self.model, ref.read_frame(frame).q4), values)
                for a, b in zip(decoder.decode(frame), ref.patches_to_planes(samples, width, height)):
                    self.assertTrue(np.array_equal(a, b), (width, height, slices))
                self.assertEqual(decoder.damaged, 0)

    def test_exact_tokens(self):
        """They are shown as they are while they are kept, also where their slice is lost; a frame without any has no flag."""
        for width, height, slices in self.clips:
            random, decoder, last = np.random.RandomState(height), ref.Decoder(self.model), None
            sequence = ref.Sequence(self.model.identity[:16], width, height)
            rows, cols = ref.token_grid(width, height)
            bounds = ref.slice_bounds(rows, slices)
            shown, samples, values = np.zeros((rows, cols), bool), 0, 0
            for number, (share, lost) in enumerate([(0.5, None), (0.3, None), (0, slices - 1), (0.5, None)]):
                quantizer, y = self.latents(width, height, 60 + 20 * number)
                planes = pictures.drawn(width, height, number)
                kept, exact = random.rand(rows, cols) < (0.5 if number % 3 else 0), random.rand(rows, cols) < share
                exact[slice(*bounds[number % slices])] |= share > 0                          # one slice has nothing else
                exact[slice(*bounds[-1])] &= slices == 1 or number != 1                      # and one has none
                data = ref.encode_latents(self.model, quantizer, y, number, None if number else sequence, ref.LANES[number % 3], slices,
                                          kept if number % 3 else None, last, exact, planes)
                last = ref.read_frame(data)
                self.assertEqual(last.exact, bool((exact & ~kept).any()))
                if lost is not None and slices > 1:
                    data = ref.without_slices(data, (lost,))
                    kept[slice(*bounds[lost])] = True
                exact &= ~kept
                new = ref.planes_to_samples(planes)
                fresh = ref.dequantize(quantizer, *ref.choose_latents(self.model, quantizer, y, slices, kept | exact))
                fresh = np.where(exact[:, :, None], ref.dequantize_exact(self.model, quantizer, new), fresh)
                values = np.where(kept[:, :, None], values, fresh)
                shown, samples = np.where(kept, shown, exact), np.where(ref.to_patches(kept), samples, new)
                wanted = np.where(ref.to_patches(shown), 64 * samples, ref.synthesize(self.model, quantizer, values))
                wanted = np.where(ref.to_patches(shown), samples, ref.filter_picture(self.model, quantizer, wanted))
                for a, b in zip(decoder.decode(data), ref.patches_to_planes(wanted, width, height)):
                    self.assertTrue(np.array_equal(a, b), (width, height, slices, number))
                self.assertTrue(np.array_equal(decoder.exact, shown))

    def test_lost_slices(self):
        """What is lost keeps what was there, all else is as it should be; a slice that leans on what is lost is known to be damaged."""
        width, height, slices = 40, 100, 3
        frames, wanted = self.random_clip(5, width, height, slices)
        bounds = ref.slice_bounds((height + 15) // 16, slices)
        for lost in (0, 2):
            for band in range(slices):
                decoder, before = ref.Decoder(self.model), np.zeros_like(wanted[0])
                for number, frame in enumerate(frames):
                    decoder.decode(ref.without_slices(frame, (band,)) if number == lost else frame)
                    for i, (begin, end) in enumerate(bounds):
                        same = np.array_equal(decoder.values[begin:end], wanted[number][begin:end])
                        self.assertTrue(same or decoder.states[i].damaged)
                        self.assertTrue(i == band or not decoder.states[i].damaged)
                        if number == lost and i == band:
                            self.assertTrue(np.array_equal(decoder.values[begin:end], before[begin:end]))
                    before = decoder.values
                self.assertEqual(decoder.damaged, sum(state.damaged for state in decoder.states))

    def test_lost_frames(self):
        """A reference that is not there is noticed; a frame that stands alone mends all."""
        frames, _ = self.random_clip(4, 40, 60, 2, 0.9)
        decoder = ref.Decoder(self.model)
        whole = [ref.md5_of_pictures([decoder.decode(frame)]) for frame in frames]
        decoder = ref.Decoder(self.model)
        decoder.decode(frames[0])
        decoder.decode(frames[2])
        leaning = [content[0] != 0 for content in ref.read_frame(frames[2]).slices]
        self.assertEqual([state.damaged for state in decoder.states], leaning)
        self.assertTrue(any(leaning))
        self.assertEqual(ref.md5_of_pictures([decoder.decode(frames[0])]), whole[0])
        self.assertEqual(decoder.damaged, 0)
        self.assertTrue(refused(ref.Decoder(self.model).decode, frames[1]))

    def test_chains(self):
        """What the encoder chooses is what the document allows, and a decoder finds the document's centroids, in groups of more than 128 tokens."""
        width, height = self.chains
        quantizer, y = self.latents(width, height, 110)
        left_out = np.random.RandomState(15).rand(y.shape[0] * y.shape[1]) < 0.3
        counts = [len(tokens) for tokens, _ in coding_order(self.model, ref.PriorGrid(self.model, *y.shape[:2]), left_out)]
        self.assertGreater(max(counts), 128)
        data = ref.encode_slice(self.model, quantizer, y, 4, left_out)
        chosen, centroid = ref.decode_slice(self.model, quantizer, data, *y.shape[:2], 4, left_out)
        mean, level = ref.predict_at_once(self.model, quantizer, chosen)
        self.assertTrue(np.array_equal(slow_centroids(self.model, chosen, mean, level, left_out), centroid))
        for wrong in ((left_out, 127), (left_out, 129), (np.zeros_like(left_out), 128)):
            self.assertIsNone(slow_centroids(self.model, chosen, mean, level, *wrong))

    def test_what_is_chosen_stays(self):
        """An encoder that is given latents that were decoded writes the same slice."""
        for width, height in self.sizes:
            quantizer, y = self.latents(width, height, 70)
            data = ref.encode_slice(self.model, quantizer, y, 1)
            chosen, _ = ref.decode_slice(self.model, quantizer, data, *y.shape[:2], 1)
            self.assertLessEqual(np.abs(chosen - y).max(), 1)
            self.assertEqual(ref.encode_slice(self.model, quantizer, chosen, 1), data)

    def test_group_by_group_equals_at_once(self):
        for width, height in self.sizes:
            quantizer, y = self.latents(width, height, 90)
            rows, cols, latents = y.shape
            mean, level = ref.predict_at_once(self.model, quantizer, y)
            prior = ref.Prior(self.model, quantizer, rows, cols)
            grid = prior.grid
            for group in range(len(grid.groups)):
                cells, state = prior.run_group(group)
                for k, channels in enumerate(prior.parts):
                    state, part_mean, part_level = prior.predict(k, cells, state)
                    at = np.ix_(grid.token[cells], channels)
                    self.assertTrue(np.array_equal(part_mean, mean[at]) and np.array_equal(part_level, level[at]))
                    prior.latents[np.ix_(cells, channels)] = y.reshape(-1, latents)[at]

    def test_causality(self):
        """A latent bears on nothing that is coded before it, and on something that is coded after it."""
        width, height = self.sizes[-1]
        quantizer, y = self.latents(width, height, 120)
        random = np.random.RandomState(5)
        before = ref.predict_at_once(self.model, quantizer, y)
        grid = ref.PriorGrid(self.model, *y.shape[:2])
        parts = np.cumsum(self.model.graph["prior"]["parts"])
        group = np.empty(y.shape[0] * y.shape[1], np.int64)
        inside = grid.token >= 0
        group[grid.token[inside]] = grid.group[inside]
        step = group[:, None] * len(parts) + np.searchsorted(parts, np.arange(y.shape[2]), side="right")   # of each latent
        for at in np.unique(step)[::3]:
            changed = y.copy().reshape(step.shape)
            where = step == at
            changed[where] += random.randint(-500, 500, where.sum())
            after = ref.predict_at_once(self.model, quantizer, changed.reshape(y.shape))
            for a, b in zip(before, after):
                self.assertTrue(np.array_equal(a[step <= at], b[step <= at]), at)
            if at < step.max() and at % len(parts) < len(parts) - 1:
                self.assertFalse(np.array_equal(before[0][step > at], after[0][step > at]), at)

    def test_damage_is_found(self):
        sequence = ref.Sequence(self.model.identity[:16], 24, 20)
        frame = ref.encode_picture(self.model, pictures.drawn(24, 20), sequence, 9, 180, 1)
        random = np.random.RandomState(6)
        for at in range(len(frame)):
            bad = bytearray(frame)
            bad[at] ^= random.randint(1, 256)
            self.assertTrue(refused(ref.Decoder(self.model).decode, bytes(bad)), at)
            self.assertTrue(refused(ref.Decoder(self.model).decode, frame[:at]), at)

    def test_model_checks(self):
        data = bytearray(self.path.read_bytes())
        random = np.random.RandomState(7)
        for at in sorted(random.randint(0, len(data), 12)):
            bad = bytearray(data)
            bad[at] ^= 1 << random.randint(0, 8)
            self.assertTrue(refused(ref.Model, bytes(bad)) or bad[at] in b" \t\n\r", at)
        self.assertTrue(refused(ref.Model, bytes(data[:-1])))
        self.assertTrue(refused(ref.Model, bytes(data + b"\0")))


class Mt(Codec):
    path, sizes, clips = pictures.VECTORS / "mt.m2tw", SIZES[2:5], [(31, 33, 2)]
    test_lost_slices = test_lost_frames = None                            # as above


class Standard(Codec):
    path, sizes, quantizers = ROOT / "models" / "standard.m2tw", [(16, 16), (145, 131)], (40, 160)
    clips = [(40, 60, 2)]
    test_lost_slices = test_lost_frames = None


class TinyModel(unittest.TestCase):
    def test_is_fit_for_tests(self):
        """All levels occur, coded and not coded latents, exceptions and escapes; pictures resemble the input, and the filter shows."""
        model = ref.read_model(pictures.VECTORS / "tiny.m2tw")
        planes = pictures.photograph("photo-176x144")
        levels, exceptions, escapes, classes = np.zeros(20, np.int64), 0, 0, set()
        for q4 in (0, 128, 252):
            quantizer = ref.Quantizer(model, q4)
            y, coder = ref.analysis(model, quantizer, ref.planes_to_patches(planes)), ref.RansEncoder(model)
            y, centroid, coded = ref.code_latents(model, quantizer, y, np.zeros(y.shape[:2], bool).ravel(), coder)
            levels += np.bincount(ref.predict_at_once(model, quantizer, y)[1].ravel(), minlength=20)
            exceptions += np.count_nonzero(y[~coded])
            escapes += sum(len(raws) > 1 for _, _, raws in coder.symbols)
            v = ref.synthesize(model, quantizer, ref.dequantize(quantizer, y, centroid))
            decoded = ref.patches_to_planes(ref.filter_picture(model, quantizer, v), 176, 144)
            self.assertGreater(pictures.psnr(planes[0], decoded[0]), 28)
            for plane, unfiltered in zip(decoded, ref.patches_to_planes((v + 32) >> 6, 176, 144)):
                self.assertGreater(np.mean(plane != unfiltered), 0.3)
            classes.update(ref.block_classes(ref.padded_planes(v)[0]).ravel().tolist())
        self.assertTrue(levels.all())
        self.assertGreater(len(classes), 30)
        self.assertGreater(min(exceptions, escapes), 20)

    def test_tables(self):
        """Escapes, raw bits, centroids, and nothing that would look the same with the other quantizer's tables."""
        for name in ("tiny", "mt"):
            model = ref.read_model(pictures.VECTORS / f"{name}.m2tw")
            self.assertTrue(model.entropy.raw.any() and not model.entropy.raw.all())
            for level in range(len(model.entropy.raw)):
                for first, second in zip(*(tables[level] for tables in model.entropy.tables)):
                    self.assertNotEqual(first.starts, second.starts)
                    self.assertNotEqual(first.centroids, second.centroids)

    def test_bad_models_are_refused(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "bad.m2tw"
            for name, good in bad_models.bad_models(path):
                self.assertEqual(refused(ref.read_model, path), not good, name)


class Files(unittest.TestCase):
    """What is in tests/vectors and in the fuzzer's corpus is what the programs write today."""

    def write(self, program, directory):
        subprocess.run([sys.executable, pathlib.Path(__file__).parent / program, directory], check=True, stdout=subprocess.DEVNULL)

    def compare(self, directory, pattern, there):
        names = sorted(p.name for p in pathlib.Path(directory).glob(pattern))
        self.assertTrue(names)
        for name in names:
            self.assertTrue((there / name).exists(), there / name)
            self.assertEqual((pathlib.Path(directory) / name).read_bytes(), (there / name).read_bytes(), name)

    def test_vectors(self):
        with tempfile.TemporaryDirectory() as directory:
            self.write("make_vectors.py", directory)
            self.compare(directory, "*.ini", pictures.VECTORS)
            self.compare(directory, "*.bin", pictures.VECTORS)

    def test_corpus(self):
        with tempfile.TemporaryDirectory() as directory:
            self.write("make_corpus.py", directory)
            for written in pathlib.Path(directory).iterdir():
                there = make_corpus.CORPUS / written.name
                self.compare(written, "*", there)
                others = {p.name for p in there.iterdir()} - {p.name for p in written.iterdir()}
                self.assertFalse({name for name in others if not name.startswith("crash-")})

    def test_conformance(self):
        for name, digest in make_conformance.read_list(pictures.VECTORS / "conformance").items():
            model = make_conformance.model_path(name)
            if not model.exists():
                continue
            decoder = ref.Decoder(ref.read_model(model))
            data = (pictures.VECTORS / "conformance" / name).read_bytes()
            first = ref.read_frame(next(ref.read_units(data)))
            self.assertEqual(ref.read_sequence(first.sequence).model, decoder.model.identity[:16],
                             f"{name}: made with another {model.name}; make_conformance.py writes the streams again")
            self.assertEqual(ref.md5_of_pictures(decoder.decode(frame) for frame in ref.read_units(data)), digest, name)


if __name__ == "__main__":
    unittest.main()
