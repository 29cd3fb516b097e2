# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws training pictures of what photographs show too little of: lettering, straight edges, fine lines, flat colours.

    python3 structured.py OUT --count 400 --seed 1 [--photos FOLDER]

Every picture is a scene of one of the kinds in SCENES, drawn at twice its size and reduced. Four fifths of those that one
would photograph (CAMERA), and a quarter of the others, pass an imagined camera on the way (perspective, blur, sharpening,
noise). Fonts are those of the system, without HELD_OUT, which belong to the test pictures. The same seed, fonts and
photographs give the same pictures.
"""
import argparse
import colorsys
import functools
import glob
import math
import os

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

HELD_OUT = ('Lato', 'C059', 'Hack', 'Carlito')           # file names begin so
ALPHABETS = (0x41, 26), (0x391, 17), (0x410, 32), (0x561, 38), (0x5D0, 27), (0x627, 36), (0x905, 50), (0x985, 8), \
    (0xE01, 46), (0x10D0, 33), (0x1200, 300), (0x3041, 86), (0x4E00, 4000), (0xAC00, 11000)
SYLLABLES = 'ba ce di fo gu ha in jo ka le mi no or pa qui ra se ti un ve wo xa ys zo st er an en tr al ch th ing ment pro'.split()


# ---- fonts and words

@functools.lru_cache(maxsize=4000)
def load_font(path, size):
    return ImageFont.truetype(path, size)


@functools.lru_cache(maxsize=None)
def alphabets(path):
    """The entries of ALPHABETS this font has: letters of it look different, so none is the empty box."""
    font = load_font(path, 20)
    shape = lambda code: bytes(font.getmask(chr(code)))
    try:
        found = [a for a in ALPHABETS if len({shape(a[0]), shape(a[0] + 1), shape(0xFFFE)}) == 3]
        small = len({shape(ord(letter)) for letter in 'ABenr'}) == 5
        return [a for a in found if a != ALPHABETS[0] or small]
    except OSError:
        return []


def find_fonts():
    """-> (fonts with Latin letters, fonts without), lists of families, each a list of files"""
    latin, other = {}, {}
    for path in sorted(glob.glob('/usr/share/fonts/**/*.[to]t[fc]', recursive=True)):
        name = os.path.basename(path)
        if not name.startswith(HELD_OUT) and 'Emoji' not in name and alphabets(path):
            family = name.split('-')[0].split('.')[0]
            same = family.startswith('Noto') and family not in ('NotoSans', 'NotoSerif', 'NotoSansMono')   # Latin letters as in those
            group = latin if ALPHABETS[0] in alphabets(path) and not same else other
            group.setdefault(family, []).append(path)
    if not latin:
        raise SystemExit('no fonts in /usr/share/fonts')
    return list(latin.values()), list(other.values())


def fractal(rng, size, coarsest, roughness):
    """Noise of mean 0 and deviation 1; `roughness` is the gain from one octave to the next finer one."""
    total, n, gain = np.zeros((size, size), np.float32), coarsest, 1.0
    while n <= size:
        octave = Image.fromarray(rng.standard_normal((n, n), np.float32))
        total += gain * np.asarray(octave.resize((size, size), Image.BICUBIC))
        n, gain = n * 2, gain * roughness
    return (total - total.mean()) / total.std()


def photo_texture(path):
    """The fine structure of a photograph, as `fractal`."""
    grey = Image.open(path).convert('L')
    detail = np.asarray(grey).astype(np.float32) - np.asarray(grey.filter(ImageFilter.GaussianBlur(12)))
    detail = detail[:min(grey.size), :min(grey.size)]
    return detail / (detail.std() + 1)


class Source:
    """What the scenes draw from: fonts, textures, photographs."""

    def __init__(self, seed, photos=None, fonts=None):
        rng = np.random.default_rng(seed)
        self.latin, self.other = fonts or find_fonts()
        self.clouds = fractal(rng, 1024, 4, 0.55)
        self.textures = [fractal(rng, 1024, n, r) for n, r in ((8, 0.9), (16, 0.8), (32, 0.7), (32, 1), (64, 0.8), (64, 1.2), (128, 1), (256, 1.2))]
        self.photos = sorted(path for kind in ('jpg', 'png') for path in glob.glob(f'{glob.escape(photos)}/*.{kind}')) if photos else []
        self.textures += [photo_texture(path) for path in self.photos[::len(self.photos) // 12 or 1]]


# ---- the canvas

def homography(source, target):
    """Eight coefficients for Image.transform: where a target point comes from."""
    rows = []
    for (x, y), (u, v) in zip(target, source):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    return np.linalg.solve(np.array(rows, float), np.array(source, float).reshape(8))


def byte(values):
    return np.clip(values, 0, 255).astype(np.uint8)


class Canvas:
    """A picture at twice its size, a palette, and random choices."""

    def __init__(self, rng, source, w, h, palette=None):
        self.rng, self.source, self.w, self.h = rng, source, w, h
        self.image = Image.new('RGB', (w, h))
        self.draw = ImageDraw.Draw(self.image)
        self.palette = palette or self.bright_palette()

    def part(self, w, h):
        """An empty canvas of the same random source and palette, for a surface to be pasted."""
        return Canvas(self.rng, self.source, max(8, int(w)), max(8, int(h)), self.palette)

    # choices
    def chance(self, p):
        return self.rng.random() < p

    def between(self, a, b):
        return a + (b - a) * self.rng.random()

    def whole(self, a, b):
        return int(self.rng.integers(int(a), max(int(a), int(b)) + 1))

    def size(self, a, b):
        """Between a and b, small ones as likely as large ones in proportion."""
        return a * (b / a) ** self.rng.random()

    def pick(self, things):
        return things[self.rng.integers(len(things))]

    def point(self):
        return self.between(0, self.w), self.between(0, self.h)

    # colours
    def natural_palette(self):
        """Stone, plaster, brick, metal, some paint."""
        hue = lambda: self.pick([self.between(0, 0.14), self.between(0.03, 0.12), self.between(0.5, 0.65), self.rng.random()])
        one = lambda: colorsys.hsv_to_rgb(hue(), self.between(0.02, 0.45) * self.pick([1, 1, 1, 2]), self.between(0.2, 0.95))
        return [tuple(int(255 * v) for v in one()) for _ in range(self.whole(4, 8))]

    def bright_palette(self):
        hue, spread, vivid = self.rng.random(), self.pick([0.03, 0.1, 0.5]), self.pick([0.15, 0.4, 0.9])
        one = lambda: colorsys.hsv_to_rgb((hue + self.between(-spread, spread)) % 1, vivid * self.rng.random() ** 0.5, self.between(0.15, 1))
        return [tuple(int(255 * v) for v in one()) for _ in range(self.whole(3, 7))]

    def colour(self):
        if self.chance(0.8):
            return tuple(int(v) for v in byte(np.array(self.pick(self.palette)) + self.rng.normal(0, 6, 3)))
        return tuple(int(v) for v in self.rng.integers(0, 256, 3)) if self.chance(0.5) else (self.whole(0, 255),) * 3

    def pale(self):
        return tuple(int(255 - (255 - v) * 0.25) for v in self.colour()) if self.chance(0.5) else (self.whole(228, 255),) * 3

    def dark(self):
        return tuple(int(v * 0.25) for v in self.colour())

    def ink(self, ground):
        """A colour that can be read on `ground`; now and then hardly."""
        if self.chance(0.1):
            return self.colour()
        bright = np.dot(ground, [0.3, 0.6, 0.1]) > 120
        return (self.dark() if bright else self.pale()) if self.chance(0.6) else ((0, 0, 0) if bright else (255, 255, 255))

    def near(self, colour, by):
        return tuple(int(v) for v in byte(np.array(colour) + self.between(-by, by)))

    # surfaces
    def paint(self, points, colour, grain=0.0, shade=0.0):
        """A polygon with the grain of a random texture and light that falls off across it."""
        points = [(float(x), float(y)) for x, y in points]
        if not grain and not shade:
            return self.draw.polygon(points, fill=colour)
        xs, ys = zip(*points)
        left, top = max(0, math.floor(min(xs))), max(0, math.floor(min(ys)))
        w, h = min(self.w, math.ceil(max(xs)) + 1) - left, min(self.h, math.ceil(max(ys)) + 1) - top
        if w <= 1 or h <= 1:
            return None
        mask = Image.new('L', (w, h))
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in points], fill=255)
        gain = np.ones((h, w), np.float32)
        if grain:
            gain += grain * self.texture(w, h)
        if shade:
            angle = self.between(0, 2 * math.pi)
            gain += shade * (np.linspace(-1, 1, w)[None] * math.cos(angle) + np.linspace(-1, 1, h)[:, None] * math.sin(angle))
        self.image.paste(Image.fromarray(byte(gain[..., None] * np.array(colour))), (left, top), mask)

    def texture(self, w, h):
        t = self.pick(self.source.textures)
        n = len(t)
        y, x = self.whole(0, n - 1), self.whole(0, n - 1)
        t = t if self.chance(0.5) else t.T
        return np.take(np.take(t, np.arange(y, y + h) % n, 0), np.arange(x, x + w) % n, 1)

    def box(self, x, y, w, h, colour, grain=0.0, shade=0.0):
        self.paint([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], colour, grain, shade)

    def photo(self, w, h):
        """A piece of a photograph; without photographs, a textured gradient."""
        w, h = max(4, int(w)), max(4, int(h))
        if not self.source.photos:
            part = self.part(w, h)
            part.box(0, 0, w, h, self.colour(), self.between(0.05, 0.4), self.between(0, 0.6))
            return part.image
        image = Image.open(self.pick(self.source.photos)).convert('RGB')
        most = min(image.width / w, image.height / h)
        cut = self.between(0.4, 1) * most if most > 0.5 else most
        pw, ph = max(1, int(w * cut)), max(1, int(h * cut))
        x, y = self.whole(0, image.width - pw), self.whole(0, image.height - ph)
        return image.crop((x, y, x + pw, y + ph)).resize((w, h), Image.BICUBIC)

    def ground(self, photo=0.2):
        """Fills the canvas; -> its colour"""
        if self.chance(photo):
            self.image.paste(self.photo(self.w, self.h))
            return tuple(int(v) for v in np.asarray(self.image.resize((1, 1), Image.BOX))[0, 0])
        colour = self.pick([self.pale, self.colour, self.colour, self.dark])()
        self.box(0, 0, self.w, self.h, colour, self.pick([0, 0, 0.02, 0.1]), self.pick([0, 0, 0.2, 0.5]))
        return colour

    def paste_quad(self, image, quad):
        """`image` in perspective, its corners from the upper left, clockwise."""
        quad = np.array(quad, float)
        left, top = np.floor(quad.min(0)).clip(0).astype(int)
        right, bottom = np.ceil(quad.max(0)).astype(int) + 1
        w, h = min(right, self.w) - left, min(bottom, self.h) - top
        if w < 2 or h < 2:
            return
        widest = max(np.hypot(*(quad[1] - quad[0])), np.hypot(*(quad[2] - quad[3])), 2)
        highest = max(np.hypot(*(quad[3] - quad[0])), np.hypot(*(quad[2] - quad[1])), 2)
        fit = (min(image.width, int(widest) + 1), min(image.height, int(highest) + 1))
        image = image.resize(fit, Image.LANCZOS) if fit != image.size else image
        target = quad - (left, top)
        corners = [(0, 0), (image.width, 0), (image.width, image.height), (0, image.height)]
        mask = Image.new('L', (w, h))
        ImageDraw.Draw(mask).polygon([tuple(p) for p in target], fill=255)
        if image.mode == 'RGBA':
            warped = image.transform((w, h), Image.PERSPECTIVE, homography(corners, target), Image.BICUBIC)
            mask = ImageChops.multiply(mask, warped.getchannel('A'))
            self.image.paste(warped.convert('RGB'), (left, top), mask)
        else:
            self.image.paste(image.transform((w, h), Image.PERSPECTIVE, homography(corners, target), Image.BICUBIC), (left, top), mask)

    def skew(self, x, y, w, h, much=0.15):
        """A box whose corners moved, turned a little: as a flat thing looks before a camera."""
        angle = self.rng.normal(0, 0.12)
        corners = np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) / 2 * self.rng.uniform(1 - much, 1 + much, (4, 2))
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        return corners @ turn + (x + w / 2, y + h / 2)

    # lettering
    def font(self, size, plain=False):
        families = self.source.other if self.source.other and not plain and self.chance(0.2) else self.source.latin
        return load_font(self.pick(self.pick(families)), max(6, int(size)))

    def word(self, font=None):
        found = alphabets(font.path) if font else ALPHABETS[:1]
        start, count = found[0] if ALPHABETS[0] in found and self.chance(0.8) else self.pick(found)
        if start != ALPHABETS[0][0]:
            return ''.join(chr(start + self.whole(0, count - 1)) for _ in range(self.whole(1, 8)))
        if self.chance(0.15):
            return self.pick(['%d', '%d', '%05d', '$%d', '%d%%', '%d.', '(%d)', '%d:00', '#%d', '%d km/h']) % self.size(1, 30000)
        word = ''.join(self.pick(SYLLABLES) for _ in range(self.whole(1, 4)))
        case = self.rng.random()
        return (word.upper() if case < 0.12 else word.capitalize() if case < 0.3 else word) + self.pick(['', '', '', '', '', ',', '.', ':', '!', '-'])

    def words(self, count, font=None):
        return ' '.join(self.word(font) for _ in range(int(count)))

    def text(self, x, y, text, font, fill, **more):
        self.draw.text((x, y), text, font=font, fill=fill, **more)

    def paragraph(self, x, y, w, h, font, fill, ragged=True):
        """Lines of words that fill a box."""
        step = font.size * self.between(1.1, 1.6)
        letter = max(1, font.getlength('n'))
        while h >= step:
            line = self.words(w / letter / 5 + 2, font)
            room = int(w / letter * (self.between(0.75, 1) if ragged else 1))
            while line and font.getlength(line[:room]) > w:
                room = int(room * 0.9)
            self.text(x, y, line[:room], font, fill)
            y, h = y + step * (2 if self.chance(0.08) else 1), h - step

    def label(self, x, y, w, h, fill):
        """One to three words, as large as the box allows."""
        font = self.font(h * 0.8)
        text = self.words(self.whole(1, 3), font)
        size = font.size * min(1, w / max(1, font.getlength(text)))
        if size >= 7:
            self.text(x + w / 2, y + h / 2, text, load_font(font.path, int(size)), fill, anchor='mm')

    def turned_text(self, text, font, fill, angle, x, y, **more):
        box = font.getbbox(text, stroke_width=more.get('stroke_width', 0))
        layer = Image.new('RGBA', (max(1, min(4000, box[2] - box[0] + 8)), max(1, box[3] - box[1] + 8)), fill + (0,))
        ImageDraw.Draw(layer).text((4 - box[0], 4 - box[1]), text, font=font, fill=fill + (255,), **more)
        layer = layer.rotate(angle, Image.BICUBIC, expand=True)
        self.image.paste(layer, (int(x - layer.width / 2), int(y - layer.height / 2)), layer)


# ---- flat things: pages, screens, drawings

def lettering(c):
    """Words of all sizes, weights and angles, with outlines and shadows."""
    ground = c.ground(0.45)
    tilt = c.pick([0, 0, c.between(-90, 90)])
    for _ in range(c.whole(4, 40)):
        font = c.font(c.size(16, 220))
        text, fill = c.words(c.whole(1, 4), font), c.ink(ground)
        angle = tilt + c.rng.normal(0, 3) if c.chance(0.7) else c.between(-180, 180)
        x, y = c.point()
        if c.chance(0.25):
            c.turned_text(text, font, c.dark(), angle, x + font.size / 20 + 2, y + font.size / 20 + 2)
        more = dict(stroke_width=max(1, font.size // 20), stroke_fill=c.colour()) if c.chance(0.25) else {}
        c.turned_text(text, font, fill, angle, x, y, **more)


def table(c, x, y, w, h, fill):
    columns, row = c.whole(2, 8), c.size(24, 60)
    font, lines = c.font(row * c.between(0.45, 0.65), True), c.pick([None, c.colour(), fill])
    stripe, rows = (c.near(fill, 90) if c.chance(0.3) else None), int(h / row)
    for i in range(rows):
        if stripe and i % 2:
            c.box(x, y + i * row, w, row, stripe)
        for j in range(columns):
            room = int(w / columns / max(1, font.getlength('0')))
            c.text(x + j * w / columns + 6, y + i * row + row * 0.15, c.words(2)[:room], font, fill)
        if lines:
            c.draw.line([(x, y + i * row), (x + w, y + i * row)], fill=lines, width=c.whole(1, 2))
    if lines and c.chance(0.6):
        for j in range(columns + 1):
            c.draw.line([(x + j * w / columns, y), (x + j * w / columns, y + rows * row)], fill=lines, width=2)


def page(c):
    """A document or a web page: columns of headings, paragraphs, pictures, tables, lists."""
    paper = c.pale() if c.chance(0.75) else c.dark()
    c.box(0, 0, c.w, c.h, paper, c.pick([0, 0, 0, 0.01]))
    ink, family = c.ink(paper), c.font(20).path
    top = 0
    if c.chance(0.5):
        top = c.whole(40, 130)
        bar = c.colour()
        c.box(0, 0, c.w, top, bar, 0, c.pick([0, 0.2]))
        for x in range(20, c.w, c.whole(150, 300)):
            c.text(x, top / 2, c.word(), c.font(c.between(18, 40), True), c.ink(bar), anchor='lm')
    body = c.size(14, 44)
    edge = c.whole(0, 60)
    columns = c.whole(1, 3)
    width = (c.w - 2 * edge) / columns
    for k in range(columns):
        x, y, w = edge + k * width + 14, top + c.whole(10, 60), width - 28
        while y < c.h:
            kind, h = c.rng.random(), c.size(80, 500)
            if kind < 0.25:
                h = body * c.between(1.3, 3)
                c.text(x, y, c.words(3)[:int(w / h * 1.7)], load_font(family, int(h)), c.pick([ink, c.colour()]))
            elif kind < 0.65:
                c.paragraph(x, y, w, h, load_font(family, max(9, int(body))), ink, c.chance(0.7))
            elif kind < 0.8:
                c.image.paste(c.photo(w, h), (int(x), int(y)))
            elif kind < 0.9:
                table(c, x, y, w, h, ink)
            else:
                colour = c.colour()
                c.draw.rounded_rectangle([x, y, x + w, y + h], c.pick([0, 8, 24]), colour, c.dark(), c.whole(0, 4))
                c.paragraph(x + 12, y + 8, w - 24, h - 16, c.font(body), c.ink(colour))
            y += h + c.between(6, 50)


def chart(c):
    """One to four charts with axes, grid lines, marks and labels."""
    paper = c.pale() if c.chance(0.7) else c.dark()
    c.box(0, 0, c.w, c.h, paper)
    ink = c.ink(paper)
    across, down = c.whole(1, 2), c.whole(1, 2)
    for k in range(across * down):
        w, h = c.w / across, c.h / down
        one_chart(c, k % across * w + 0.13 * w, k // across * h + 0.12 * h, 0.8 * w, 0.72 * h, ink)


def one_chart(c, x, y, w, h, ink):
    font, thin = c.font(c.size(14, 34), True), c.whole(1, 4)
    series = [c.colour() for _ in range(c.whole(1, 6))]
    kind = c.pick(['line', 'bar', 'dots', 'pie', 'heat', 'line'])
    c.text(x + w / 2, y - font.size * 1.2, c.words(3), font, ink, anchor='mm')
    if kind == 'pie':
        at, r = c.between(0, 360), min(w, h) / 2
        for share in c.rng.dirichlet(np.ones(c.whole(2, 9))) * 360:
            c.draw.pieslice([x, y, x + 2 * r, y + 2 * r], at, at + share, c.colour(), c.pick([None, ink]), thin)
            at += share
        return
    n = c.whole(4, 12)
    for i in range(n + 1):
        if c.chance(0.9) and n < 10:
            c.draw.line([(x, y + h * i / n), (x + w, y + h * i / n)], fill=c.near(ink, 100), width=1)
        c.text(x - 8, y + h * i / n, '%g' % round(100 - i * 100 / n, 1), font, ink, anchor='rm')
        c.text(x + w * i / n, y + h + 6, str(i * 5), font, ink, anchor='ma')
    walk = lambda m: y + h * (0.5 + 0.45 * np.tanh(np.cumsum(c.rng.normal(0, 0.6 / m ** 0.5, m)) + c.rng.normal(0, 0.5)))
    if kind == 'line':
        for s in series:
            m = c.whole(6, 200)
            c.draw.line(list(zip(np.linspace(x, x + w, m), walk(m))), fill=s, width=c.whole(1, 8), joint='curve')
    elif kind == 'bar':
        m = c.whole(4, 40)
        for i, v in enumerate(walk(m)):
            c.draw.rectangle([x + w * (i + 0.15) / m, v, x + w * (i + 0.85) / m, y + h], c.pick(series), c.pick([None, ink]))
    elif kind == 'dots':
        for px, py in c.rng.normal(0.5, 0.2, (c.whole(20, 400), 2)).clip(0, 1):
            r = c.between(2, 9)
            c.draw.ellipse([x + w * px - r, y + h * py - r, x + w * px + r, y + h * py + r], c.pick(series), ink if c.chance(0.2) else None)
    else:
        m, a, b = c.whole(4, 30), np.array(c.colour()), np.array(c.colour())
        for i in range(m * m):
            t = c.rng.random()
            c.box(x + w * (i % m) / m, y + h * (i // m) / m, w / m, h / m, tuple(int(v) for v in a * t + b * (1 - t)))
    c.draw.line([(x, y), (x, y + h), (x + w, y + h)], fill=ink, width=thin + 1)


def icon(c, x, y, s):
    """A few simple shapes on each other."""
    c.draw.rounded_rectangle([x, y, x + s, y + s], c.pick([0, s / 6, s / 2]), c.colour())
    for _ in range(c.whole(1, 3)):
        a, b = c.between(0.1, 0.5) * s, c.between(0.1, 0.5) * s
        box = [x + a, y + b, x + a + 0.4 * s, y + b + 0.4 * s]
        shape = c.whole(0, 3)
        if shape == 0:
            c.draw.ellipse(box, c.colour(), c.dark(), max(1, int(s / 20)))
        elif shape == 1:
            c.draw.rectangle(box, c.colour())
        elif shape == 2:
            c.draw.line(box, fill=c.ink((0, 0, 0)), width=max(1, int(s / 10)))
        else:
            c.draw.regular_polygon((x + s / 2, y + s / 2, s * 0.35), c.whole(3, 6), c.whole(0, 90), c.colour())


def terminal(c, x, y, w, h):
    """A terminal or an editor: lines of coloured words, one width of letters where such a font is there."""
    ground = c.dark() if c.chance(0.75) else c.pale()
    c.box(x, y, w, h, ground)
    mono = [f for f in c.source.latin if 'Mono' in f[0]] or c.source.latin
    font = load_font(c.pick(c.pick(mono)), int(c.size(14, 38)))
    inks, step, indent = [c.ink(ground) for _ in range(5)], font.size * 1.25, 0
    for row in range(int(h / step)):
        indent = max(0, indent + c.whole(-1, 1))
        at = x + 6 + indent * font.size
        if c.chance(0.4):
            c.text(x + 4, y + row * step, '%3d' % row, font, inks[0])
        for _ in range(c.whole(0, 9)):
            token = c.pick([c.word(), c.word(), '=', '{', '});', '"%s"' % c.word(), '->', '//', str(c.whole(0, 999)), 'if', 'return'])
            if at + font.getlength(token) > x + w:
                break
            c.text(at, y + row * step, token, font, c.pick(inks))
            at += font.getlength(token + ' ')


def window(c, x, y, w, h):
    face, bar = c.pale() if c.chance(0.7) else c.dark(), c.colour()
    if c.chance(0.5):
        c.box(x + 8, y + 10, w, h, c.dark())
    c.box(x, y, w, h, face)
    high = c.whole(30, 60)
    c.box(x, y, w, high, bar, 0, c.pick([0, 0.25]))
    c.text(x + 14, y + high / 2, c.words(3), c.font(high * 0.55, True), c.ink(bar), anchor='lm')
    for k in range(3):
        c.draw.ellipse([x + w - 30 * (k + 1), y + high / 2 - 9, x + w - 30 * (k + 1) + 18, y + high / 2 + 9], c.colour())
    x, y, w, h, ink = x + 8, y + high + 6, w - 16, h - high - 12, c.ink(face)
    kind = c.whole(0, 4)
    if w < 60 or h < 60:
        return
    if kind == 0:
        terminal(c, x, y, w, h)
    elif kind == 1:
        table(c, x, y, w, h, ink)
    elif kind == 2:
        c.image.paste(c.photo(w, h), (int(x), int(y)))
    elif kind == 3:
        s = c.size(40, 120)
        for i in range(int(w / s / 1.4) * int(h / s / 1.8)):
            px, py = x + i % int(w / s / 1.4) * s * 1.4, y + i // int(w / s / 1.4) * s * 1.8
            icon(c, px + s * 0.2, py, s)
            c.text(px + s * 0.7, py + s * 1.25, c.word()[:9], c.font(s * 0.25, True), ink, anchor='mm')
    else:
        for row in range(int(h / 60)):
            c.text(x + 6, y + row * 60 + 30, c.word(), c.font(26, True), ink, anchor='lm')
            box, style = [x + w * 0.4, y + row * 60 + 8, x + w * c.between(0.55, 0.95), y + row * 60 + 50], c.whole(0, 2)
            if style == 2:
                c.draw.line([box[0], y + row * 60 + 29, box[2], y + row * 60 + 29], fill=c.colour(), width=6)
                c.draw.ellipse([box[0] + 40, y + row * 60 + 16, box[0] + 66, y + row * 60 + 42], c.colour(), ink)
            else:
                colour = c.colour() if style else face
                c.draw.rounded_rectangle(box, c.pick([0, 6, 20]), colour, ink, c.whole(1, 3))
                c.label(box[0] + 8, box[1] + 4, box[2] - box[0] - 16, box[3] - box[1] - 8, c.ink(colour))


def desktop(c):
    """Windows with buttons, tables, icons, text; a bar at an edge."""
    c.ground(0.5)
    if c.chance(0.3):
        terminal(c, 0, 0, c.w, c.h)
    for _ in range(c.whole(1, 5)):
        w, h = c.between(0.3, 0.95) * c.w, c.between(0.3, 0.9) * c.h
        window(c, c.between(-0.1, 0.9) * (c.w - w), c.between(0, 1) * (c.h - h), w, h)
    if c.chance(0.6):
        s = c.whole(36, 80)
        c.box(0, c.h - s - 12, c.w, s + 12, c.colour())
        for k in range(c.whole(4, 14)):
            icon(c, 8 + k * s * 1.3, c.h - s - 6, s)


def sprite(c, s):
    """Symmetric pixel art, RGBA."""
    n = c.pick([8, 12, 16])
    half, inks = c.rng.random((n, n // 2)) < c.between(0.4, 0.7), np.array([c.colour() for _ in range(3)])
    mask = np.concatenate([half, half[:, ::-1]], 1)
    kind = c.rng.integers(0, 3, (n, n // 2))
    rgba = np.concatenate([inks[np.concatenate([kind, kind[:, ::-1]], 1)], mask[..., None] * 255], 2).astype(np.uint8)
    return Image.fromarray(rgba).resize((int(s), int(s)), Image.NEAREST)


def game(c):
    """Tiles, sprites, bars and numbers."""
    c.ground(0.3)
    s = int(c.size(32, 128))
    tiles = []
    for _ in range(c.whole(3, 7)):
        t, colour = c.part(s, s), c.colour()
        t.box(0, 0, s, s, colour, c.pick([0, 0.05, 0.2]), c.pick([0, 0.3]))
        if c.chance(0.5):
            t.draw.rectangle([0, 0, s - 1, s - 1], None, c.near(colour, 90), c.whole(1, 4))
        if c.chance(0.4):
            one = sprite(t, s)
            t.image.paste(one, (0, 0), one)
        tiles.append(t.image)
    level, floor = c.chance(0.5), c.rng.integers(2, 7, c.w // s + 1)
    for i in range(c.w // s + 1):
        for j in range(c.h // s + 1):
            if (j * s > c.h - floor[i] * s) if level else c.chance(0.85):
                c.image.paste(c.pick(tiles), (i * s, j * s))
    for _ in range(c.whole(2, 20)):
        one = sprite(c, s * c.pick([1, 1, 2, 3]))
        c.image.paste(one, tuple(int(v) for v in c.point()), one)
    for _ in range(c.whole(2, 8)):
        font, (x, y) = c.font(c.size(24, 80), True), c.point()
        x, y = (x, c.pick([10, c.h - 90])) if c.chance(0.6) else (x, y)
        text = c.pick(['SCORE %d', 'x%d', 'HP %d', '%d', 'LEVEL %d', '+%d']) % c.size(1, 99999)
        c.text(x, y, text, font, c.pale(), stroke_width=c.whole(0, 4), stroke_fill=c.dark())
        if c.chance(0.5):
            c.draw.rectangle([x, y + font.size * 1.2, x + 200, y + font.size * 1.2 + 20], c.dark(), c.pale(), 3)
            c.draw.rectangle([x + 4, y + font.size * 1.2 + 4, x + c.between(20, 190), y + font.size * 1.2 + 16], c.colour())


def drawing(c):
    """An engineering drawing: outlines, hatching, dimensions, centre lines."""
    paper = c.pick([(255, 255, 255), c.pale(), (20, 40, 110)])
    c.box(0, 0, c.w, c.h, paper)
    ink, font = c.ink(paper), c.font(c.size(16, 32), True)
    for _ in range(c.whole(10, 40)):
        x, y = c.point()
        w, h, thick = c.size(40, 900), c.size(40, 700), c.whole(1, 6)
        kind = c.whole(0, 4)
        if kind == 0:
            c.draw.rectangle([x, y, x + w, y + h], None, ink, thick)
            gap = c.size(8, 40)
            for k in range(int((w + h) / gap) if c.chance(0.5) else 0):
                t = k * gap
                c.draw.line([(x + max(0, t - h), y + min(t, h)), (x + min(t, w), y + max(0, t - w))], fill=ink, width=c.pick([1, 1, 2]))
        elif kind == 1:
            for r in sorted(c.rng.uniform(10, w / 2 + 11, c.whole(1, 5))):
                c.draw.ellipse([x - r, y - r, x + r, y + r], None, ink, thick)
            for d in range(int(-w / 2), int(w / 2), 40):
                c.draw.line([(x + d, y), (x + d + 26, y)], fill=ink, width=1)
                c.draw.line([(x, y + d), (x, y + d + 26)], fill=ink, width=1)
        elif kind == 2:
            points, at = [(x, y)], np.array([x, y])
            for k in range(c.whole(4, 14)):
                at = at + (np.array([c.between(-200, 200), 0]) if k % 2 else np.array([0, c.between(-200, 200)]))
                points.append(tuple(at))
            c.draw.line(points, fill=ink, width=thick, joint='curve')
        elif kind == 3:
            n, phase = c.whole(8, 40), c.between(0, 6)
            r = [w / 3 * (1 + 0.12 * (k % 4 < 2)) for k in range(4 * n)]
            turn = [phase + k * math.pi / 2 / n for k in range(4 * n)]
            c.draw.polygon([(x + q * math.cos(t), y + q * math.sin(t)) for q, t in zip(r, turn)], None, ink, thick)
        else:
            c.draw.arc([x, y, x + w, y + h], c.between(0, 360), c.between(0, 360), ink, thick)
        c.draw.line([(x, y - 20), (x + w, y - 20)], fill=ink, width=1)
        for at, d in ((x, 12), (x + w, -12)):
            c.draw.polygon([(at, y - 20), (at + d, y - 24), (at + d, y - 16)], ink)
        c.text(x + w / 2, y - 22, '%.1f' % w, font, ink, anchor='ms')
    if c.chance(0.5):
        table(c, c.w * 0.5, c.h * 0.82, c.w * 0.48, c.h * 0.16, ink)


def map_sheet(c):
    """Fields, water, streets of several ranks with names along them, houses."""
    land = c.pale()
    c.box(0, 0, c.w, c.h, land)
    for _ in range(c.whole(3, 9)):
        x, y = c.point()
        r = c.size(80, 500) * (1 + 0.35 * c.rng.standard_normal(12))
        c.draw.polygon([(x + q * math.cos(k / 12 * 6.283), y + q * math.sin(k / 12 * 6.283)) for k, q in enumerate(r)], c.near(c.colour(), 40))
    turn, gap = c.between(0, 3), c.size(60, 240)
    for rank in range(c.whole(2, 4)):
        width, colour, case = 2 + 7 * rank, c.pick([(255, 255, 255), c.colour()]), c.dark() if c.chance(0.7) else None
        for k in range(int(3 * c.w / gap / (1 + 2 * rank))):
            x, y = c.point()
            angle = turn + (k % 2) * math.pi / 2 + c.rng.normal(0, 0.05 + 0.15 * rank)
            t = np.linspace(-1, 1, 12) * c.size(200, 2500)
            bend = c.rng.normal(0, 0.00015)
            line = list(zip(x + t * math.cos(angle) - bend * t * t * math.sin(angle), y + t * math.sin(angle) + bend * t * t * math.cos(angle)))
            if case:
                c.draw.line(line, fill=case, width=width + 4, joint='curve')
            c.draw.line(line, fill=colour, width=width, joint='curve')
            if c.chance(0.5):
                c.turned_text(c.words(2), c.font(c.size(16, 30), True), c.dark(), (90 - math.degrees(angle)) % 180 - 90, x, y)
    for _ in range(c.whole(50, 500)):
        x, y = c.point()
        c.paint(c.skew(x, y, c.size(10, 60), c.size(10, 60), 0), c.near(land, 60))
    for _ in range(c.whole(3, 15)):
        x, y = c.point()
        c.text(x, y, c.words(c.whole(1, 2)), c.font(c.size(18, 60)), c.dark(), stroke_width=c.pick([0, 3]), stroke_fill=(255, 255, 255))


def lines(c):
    """Gratings, rings, wedges, checks at all angles, some over shading."""
    n = c.whole(1, 4)
    y, x = np.mgrid[0:c.h, 0:c.w].astype(np.float32)
    for k in range(n * n):
        a, b = np.array(c.colour(), np.float32), np.array(c.colour(), np.float32)
        w, h = c.w // n, c.h // n
        px, py = x[:h, :w] - c.between(0, w), y[:h, :w] - c.between(0, h)
        angle, period, kind = c.between(0, math.pi), c.size(5, 90), c.whole(0, 5)
        along, across = px * math.cos(angle) + py * math.sin(angle), py * math.cos(angle) - px * math.sin(angle)
        phase = {0: along / period, 1: np.hypot(px, py) / period, 2: np.arctan2(py, px) * c.whole(4, 40) / math.pi,
                 3: along / period, 4: (along / w) ** 2 * c.between(4, 40), 5: along / period + np.sin(across / period / 4)}[kind]
        wave = np.sin(2 * math.pi * phase)
        if kind == 3:
            wave = wave * np.sin(2 * math.pi * across / period)
        wave = np.clip(wave * c.pick([0.5, 2, 30]) + c.between(-0.8, 0.8) * c.chance(0.5), -1, 1)[..., None] * 0.5 + 0.5
        light = 1 + c.pick([0, 0.4]) * (py / h)[..., None]
        c.image.paste(Image.fromarray(byte((a * wave + b * (1 - wave)) * light)), (k % n * w, k // n * h))
    for _ in range(c.pick([0, 30, 150])):
        c.draw.line([c.point(), c.point()], fill=c.colour(), width=c.whole(1, 5))


def shapes(c):
    """Sharp edges over smooth shading."""
    c.ground(0.15)
    outline = c.dark() if c.chance(0.4) else None
    for _ in range(c.whole(6, 60)):
        x, y = c.point()
        r, n = c.size(20, 500), c.whole(3, 9)
        star = c.pick([1, 1, 0.5])
        angle = np.sort(c.rng.uniform(0, 6.283, n)) if c.chance(0.5) else c.between(0, 6) + np.arange(n) * 6.283 / n
        if c.chance(0.3):
            angle = np.linspace(0, 6.28, 50)
        squash = c.between(0.3, 1)
        points = [(x + r * math.cos(a) * (star if k % 2 else 1), y + squash * r * math.sin(a) * (star if k % 2 else 1)) for k, a in enumerate(angle)]
        c.paint(points, c.colour(), c.pick([0, 0, 0.03, 0.15]), c.pick([0, 0.3, 0.7]))
        if outline:
            c.draw.line(points + points[:1], fill=outline, width=c.whole(2, 8), joint='curve')


def cartoon(c):
    """Smooth outlines filled with flat colours, ink lines, a bubble of words."""
    c.ground(0.1)
    thick = c.whole(3, 10)
    for _ in range(c.whole(5, 16)):
        x, y = c.point()
        t = np.linspace(0, 2 * math.pi, 90)
        r = c.size(40, 450) * (1 + sum(c.rng.normal(0, 0.25 / k) * np.cos(k * t + c.between(0, 6)) for k in range(1, 6)))
        points = list(zip(x + r * np.cos(t), y + r * np.sin(t) * c.between(0.5, 1.3)))
        c.paint(points, c.colour(), 0, c.pick([0, 0, 0.2]))
        c.draw.line(points + points[:1], fill=(10, 10, 10), width=thick, joint='curve')
        for _ in range(c.whole(0, 6)):
            s = r.mean() * c.between(0.05, 0.2)
            px, py = x + r.mean() * c.between(-0.6, 0.6), y + r.mean() * c.between(-0.6, 0.6)
            c.draw.ellipse([px - s, py - s, px + s, py + s], c.pick([(255, 255, 255), (0, 0, 0), c.colour()]), (10, 10, 10), thick // 2)
    if c.chance(0.6):
        x, y, w, h = c.between(0, c.w * 0.5), c.between(0, c.h * 0.7), c.w * 0.45, c.h * 0.22
        c.draw.ellipse([x, y, x + w, y + h], (255, 255, 255), (0, 0, 0), thick)
        c.paragraph(x + w * 0.2, y + h * 0.25, w * 0.6, h * 0.55, c.font(c.size(24, 48)), (0, 0, 0))


# ---- things in front of a camera

def bricks(c, x, y, w, h, colour):
    bh = c.size(10, 36)
    bw, joint = bh * c.between(1.5, 3.5), max(1, int(bh / 9))
    mortar = c.near(colour, 70)
    c.box(x, y, w, h, mortar, 0.08)
    for j in range(int(h / bh) + 1):
        at = x - (j % 2) * bw / 2
        while at < x + w:
            c.draw.rectangle([max(x, at), y + j * bh, min(x + w, at + bw - joint), min(y + h, y + (j + 1) * bh - joint)], c.near(colour, 25))
            at += bw
    grain = c.texture(int(w), int(h))[..., None] * c.between(2, 14)
    at = (int(x), int(y), int(x) + int(w), int(y) + int(h))
    c.image.paste(Image.fromarray(byte(np.asarray(c.image.crop(at)) + grain)), at[:2])


def facade(c, w, h):
    """A wall with windows, bricks or plaster, ledges, shops on the ground floor."""
    f, wall = c.part(w, h), c.colour()
    if c.chance(0.35):
        bricks(f, 0, 0, f.w, f.h, wall)
    else:
        f.box(0, 0, f.w, f.h, wall, c.between(0.01, 0.12), c.between(0, 0.3))
    floors, across = int(c.size(2, 12)), int(c.size(2, 14))
    fw, fh = f.w / across, f.h / floors
    ww, wh, frame = fw * c.between(0.35, 0.92), fh * c.between(0.4, 0.85), c.pick([c.pale(), c.dark(), c.colour()])
    panes, tall, thick = c.whole(1, 3), c.whole(1, 3), max(1, int(fw * c.between(0.02, 0.08)))
    glass, balcony, sill, mirror = c.dark(), c.chance(0.3), c.chance(0.6), c.chance(0.15)
    for j in range(floors):
        if c.chance(0.3):
            f.box(0, j * fh, f.w, max(2, fh * 0.06), f.near(wall, 70), 0.03)
        for i in range(across):
            x, y = i * fw + (fw - ww) / 2, j * fh + (fh - wh) / 2
            lit = c.near(glass, 50) if c.chance(0.85) else c.pale()
            f.box(x, y, ww, wh, lit, 0.15 if c.chance(0.5) else 0, c.between(0, 0.6))
            if mirror and c.chance(0.7):
                f.image.paste(Image.blend(f.photo(ww, wh), Image.new('RGB', (max(4, int(ww)), max(4, int(wh))), lit), 0.5), (int(x), int(y)))
            f.draw.rectangle([x, y, x + ww, y + wh], None, frame, thick)
            for k in range(1, panes):
                f.draw.line([(x + ww * k / panes, y), (x + ww * k / panes, y + wh)], fill=frame, width=thick)
            for k in range(1, tall):
                f.draw.line([(x, y + wh * k / tall), (x + ww, y + wh * k / tall)], fill=frame, width=thick)
            if sill:
                f.box(x - 3, y + wh, ww + 6, max(2, fh * 0.04), c.near(frame, 40))
            if balcony:
                fence(f, x - 4, y + wh * 0.55, ww + 8, wh * 0.45, frame)
    if c.chance(0.6):
        y = f.h - fh
        sign = c.colour()
        f.box(0, y, f.w, fh * 0.28, sign, 0.02, c.between(0, 0.3))
        f.label(f.w * 0.05, y, f.w * 0.9, fh * 0.27, c.ink(sign))
        for k in range(c.whole(1, 4)):
            f.image.paste(f.photo(f.w * 0.2, fh * 0.6), (int(f.w * (0.03 + 0.25 * k)), int(y + fh * 0.33)))
    return f.image


def fence(c, x, y, w, h, colour):
    gap = max(4, c.size(6, 30))
    for k in range(int(w / gap) + 1):
        c.draw.line([(x + k * gap, y), (x + k * gap, y + h)], fill=colour, width=max(1, int(gap / 6)))
    for t in (0, 1):
        c.draw.line([(x, y + t * h), (x + w, y + t * h)], fill=colour, width=max(2, int(gap / 4)))


def sign(c, w, h):
    """A board with a rim and lettering, an arrow, a pictogram."""
    s, colour = c.part(w, h), c.pick([c.colour(), (0, 70, 160), (190, 20, 20), (0, 110, 60), (245, 200, 0), (250, 250, 250)])
    ink = c.ink(colour)
    s.box(0, 0, s.w, s.h, ink)
    rim = max(2, int(min(s.w, s.h) * c.between(0.02, 0.07)))
    s.box(rim, rim, s.w - 2 * rim, s.h - 2 * rim, colour, c.between(0, 0.05), c.between(0, 0.25))
    rows = c.whole(1, 4)
    for k in range(rows):
        s.label(rim * 3, rim * 2 + k * (s.h - 4 * rim) / rows, s.w - 6 * rim, (s.h - 4 * rim) / rows * 0.9, ink)
    if c.chance(0.3):
        icon(s, rim * 2, rim * 2, min(s.w, s.h) * 0.35)
    return s.image


def round_sign(c, s):
    r = c.part(s, s)
    layer = Image.new('RGBA', r.image.size)
    d = ImageDraw.Draw(layer)
    n = c.pick([0, 3, 4, 8])
    red, white = c.near((200, 20, 25), 30) + (255,), (245, 245, 245, 255)
    for size, fill in ((0.49, red), (0.49 * c.between(0.65, 0.85), white)):
        if n:
            d.regular_polygon((s / 2, s / 2, s * size), n, c.pick([0, 180]) if n == 3 else 22.5 * (n == 8), fill)
        else:
            d.ellipse([s * (0.5 - size), s * (0.5 - size), s * (0.5 + size), s * (0.5 + size)], fill)
    d.text((s / 2, s / 2), str(c.whole(1, 13) * 10), font=c.font(s * 0.35, True), fill=(10, 10, 10, 255), anchor='mm')
    return layer


def car(c, x, y, w):
    """A vehicle from the side: body, windows, wheels, lights, plate or lettering; (x, y) where it stands."""
    h, body = w * c.between(0.28, 0.6), c.colour()
    boxy = c.chance(0.35)
    roof = [(0, 1), (0, 0.45), (0.04, 0.42), (0.05, 0), (0.97, 0), (1, 0.5), (1, 1)] if boxy else \
        [(0, 1), (0.01, 0.55), (0.15 + c.between(-0.1, 0.05), 0.45), (0.3, 0.03), (0.45, 0), (0.68, 0), (0.82, 0.42), (0.97, 0.55), (1, 0.75), (1, 1)]
    at = lambda points: [(x + w * a, y - h * 1.1 + h * b) for a, b in points]
    c.paint([(x - w * 0.02, y), (x + w * 1.02, y), (x + w * 0.95, y + h * 0.1), (x + w * 0.05, y + h * 0.1)], (20, 20, 22))
    c.paint(at(roof), body, c.between(0, 0.03), c.between(0.1, 0.5))
    glass, n = c.near((50, 60, 70), 40), c.whole(3, 7)
    for k in range(n if boxy else 2):
        left, right = 0.08 + 0.86 * k / n, 0.08 + 0.86 * (k + 0.85) / n
        quad = [(left, 0.12), (right, 0.12), (right, 0.45), (left, 0.45)] if boxy else \
            [[(0.24, 0.42), (0.33, 0.1), (0.47, 0.08), (0.48, 0.42)], [(0.51, 0.42), (0.5, 0.08), (0.66, 0.08), (0.75, 0.42)]][k]
        c.paint(at(quad), glass, 0.1, 0.6)
    for a in (0.33, 0.5, 0.68):
        c.draw.line(at([(a, 0.15), (a, 0.92)]), fill=c.near(body, 80), width=2)
    c.draw.line(at([(0.02, 0.62), (0.98, 0.62)]), fill=c.near(body, 90), width=max(1, int(h / 40)))
    for a in (0.2, 0.8):
        for r, colour in ((0.115, (18, 18, 20)), (0.07, c.near((170, 170, 175), 50)), (0.02, (40, 40, 40))):
            c.draw.ellipse([x + w * (a - r), y - w * (r + 0.02), x + w * (a + r), y + w * (r - 0.02)], colour)
        for k in range(10):
            t = k * math.pi / 5
            rim = (x + w * (a + 0.065 * math.cos(t)), y - w * (0.02 + 0.065 * math.sin(t)))
            c.draw.line([(x + w * a, y - w * 0.02), rim], fill=(60, 60, 62), width=max(1, int(w / 150)))
    for a, colour in ((0.0, (200, 30, 20)), (0.95, (250, 240, 200))):
        c.draw.rectangle([x + w * a, y - h * 0.6, x + w * (a + 0.05), y - h * 0.48], colour)
    if boxy or c.chance(0.3):
        c.label(x + w * 0.1, y - h * 0.58, w * 0.8, h * 0.26, c.ink(body))


def sky(c, until):
    top, low = np.array(c.pick([(70, 120, 200), (150, 170, 190), (210, 215, 220), (30, 35, 60), c.colour()]), float), np.array(c.pale(), float)
    t = np.linspace(0, 1, max(1, int(until)))[:, None, None]
    y, x = c.whole(0, 1023), c.whole(0, 1023)
    clouds = np.roll(c.source.clouds, (y, x), (0, 1))
    clouds = np.asarray(Image.fromarray(clouds).resize((c.w, len(t)), Image.BICUBIC))[..., None] * c.pick([0, 6, 20, 45])
    c.image.paste(Image.fromarray(byte(top * (1 - t) + low * t + clouds + np.zeros((1, c.w, 1)))), (0, 0))


def tree(c, x, y, s):
    c.paint([(x - s * 0.03, y), (x + s * 0.03, y), (x + s * 0.02, y - s), (x - s * 0.02, y - s)], (60, 45, 35), 0.2)
    green = c.near((60, 95, 40), 35)
    for _ in range(c.whole(100, 600)):
        a, b = c.rng.normal(0, 0.22 * s, 2)
        r = s * c.between(0.005, 0.03)
        c.draw.ellipse([x + a - r, y - s + b - r, x + a + r, y - s + b + r], c.near(green, 45))
    for _ in range(c.whole(0, 12)):
        c.draw.line([(x, y - s * 0.6), (x + c.rng.normal(0, 0.3 * s), y - s + c.rng.normal(0, 0.3 * s))], fill=(50, 40, 30), width=c.whole(1, 4))


def street(c):
    """Houses on both sides towards a vanishing point, road, markings, vehicles, signs, wires, trees."""
    vx, vy = c.w * c.between(0.25, 0.75), c.h * c.between(0.35, 0.6)
    sky(c, c.h)
    road = (c.whole(60, 130),) * 3
    c.paint([(0, c.h), (0, vy + 0.2 * c.h), (vx, vy), (c.w, vy + 0.2 * c.h), (c.w, c.h)], c.near(road, 50), 0.08)
    c.paint([(-0.4 * c.w, c.h), (vx, vy), (1.3 * c.w, c.h)], road, c.between(0.05, 0.2), 0.1)
    for edge, far in ((0.0, c.between(0.6, 0.95)), (float(c.w), c.between(0.6, 0.95))):
        cuts = np.sort(np.append(c.rng.uniform(0, far, c.whole(1, 5)), [0.0, far]))[::-1]
        for a, b in zip(cuts[:-1], cuts[1:]):         # the farthest first
            top, foot = vy - c.h * c.between(0.4, 1.1), vy + c.h * 0.3
            along = lambda t, y: (edge + (vx - edge) * t, y + (vy - y) * t)
            quad = [along(b, top), along(a, top), along(a, foot), along(b, foot)]
            quad = quad if edge == 0 else [quad[1], quad[0], quad[3], quad[2]]
            c.paste_quad(facade(c, c.size(200, 600), c.size(250, 700)), quad)
            if c.chance(0.4):
                c.paint([quad[0], quad[1], along((a + b) / 2, top - c.h * 0.15)], c.colour(), 0.1)
    for k in range(14):
        near, far = 0.97 ** (k * 6), 0.97 ** (k * 6 + 3)
        for offset in (0.0, -0.55, 0.6):
            mark = lambda t, side: (vx + (offset * c.w + side) * t, vy + (c.h - vy) * t)
            c.paint([mark(near, -12), mark(near, 12), mark(far, 12), mark(far, -12)], (225, 225, 220))
    for _ in range(c.whole(1, 6)):
        t = c.size(0.12, 0.9)
        car(c, vx + c.between(-0.8, 0.5) * c.w * t, vy + (c.h - vy) * t, c.w * 0.5 * t)
    for _ in range(c.whole(0, 4)):
        tree(c, c.between(0, c.w), vy + c.h * c.between(0.1, 0.4), c.size(100, 500))
    for _ in range(c.whole(1, 6)):
        x, y, s = c.between(0, c.w), c.between(0, c.h * 0.6), c.size(40, 300)
        c.box(x + s / 2 - s / 30, y, max(3, s / 15), c.h * c.between(0.2, 0.6), c.near((120, 120, 125), 60), 0, 0.3)
        if c.chance(0.6):
            c.paste_quad(sign(c, s * 2, s), c.skew(x - s / 2, y, 2 * s, s, 0.05))
        else:
            c.paste_quad(round_sign(c, int(s)), c.skew(x, y, s, s, 0.05))
    for _ in range(c.pick([0, 0, 3, 8])):
        a, b, sag = c.between(0, vy), c.between(0, vy), c.between(0, 100)
        t = np.linspace(0, 1, 20)
        c.draw.line(list(zip(t * c.w, a + (b - a) * t + sag * 4 * t * (1 - t))), fill=(25, 25, 28), width=c.whole(2, 4))


def building(c):
    """One or two fronts in perspective, a roof line against the sky, things before them."""
    sky(c, c.h)
    corner, low, high = c.w * c.between(-0.1, 1.1), c.h * c.between(0.8, 1.2), c.h * c.between(-0.4, 0.35)
    for side in (-1, 1):
        far = corner + side * c.w * c.between(0.8, 1.5)
        top, foot = high + c.h * c.between(-0.05, 0.45), low - c.h * c.between(0, 0.3)
        quad = [(far, top), (corner, high), (corner, low), (far, foot)] if side < 0 else [(corner, high), (far, top), (far, foot), (corner, low)]
        c.paste_quad(facade(c, c.size(400, 1300), c.size(400, 1300)), quad)
        if c.chance(0.5):
            c.draw.line([quad[0], quad[1]], fill=c.colour(), width=c.whole(6, 50))
    if c.chance(0.5):
        c.box(0, c.h * 0.93, c.w, c.h * 0.07, (c.whole(70, 160),) * 3, 0.12)
    if c.chance(0.4):
        fence(c, 0, c.h * c.between(0.6, 0.85), c.w, c.h * 0.3, c.colour())
    for _ in range(c.whole(0, 3)):
        car(c, c.between(-0.2, 0.8) * c.w, c.h * c.between(0.93, 1), c.w * c.between(0.2, 0.6))
    for _ in range(c.whole(0, 2)):
        tree(c, c.between(0, c.w), c.h, c.size(300, 1000))


def wall_signs(c):
    """Boards, posters and lettering on a wall or a photograph."""
    if c.chance(0.5):
        c.ground(1)
    else:
        bricks(c, 0, 0, c.w, c.h, c.colour()) if c.chance(0.5) else c.box(0, 0, c.w, c.h, c.colour(), c.between(0.03, 0.2), 0.3)
    for _ in range(c.whole(3, 12)):
        w = c.size(150, 1000)
        h, (x, y) = w * c.between(0.2, 1.2), c.point()
        c.paste_quad(sign(c, w, h) if c.chance(0.8) else round_sign(c, int(min(w, h))), c.skew(x - w / 2, y - h / 2, w, h))


def vehicles(c):
    c.ground(0.4)
    ground = c.h * c.between(0.4, 0.7)
    c.box(0, ground, c.w, c.h - ground, (c.whole(60, 150),) * 3, c.between(0.05, 0.2), 0.2)
    if c.chance(0.5):
        c.paste_quad(facade(c, c.w, ground), [(0, 0), (c.w, 0), (c.w, ground), (0, ground)])
    for _ in range(c.whole(1, 5)):
        w = c.size(300, 1200)
        car(c, c.between(-0.2, 0.7) * c.w, min(c.h * 1.02, ground + w * c.between(0.1, 0.4)), w)


def shelf(c):
    """Book spines or boxes with lettering on shelves."""
    c.box(0, 0, c.w, c.h, c.dark(), 0.1)
    rows = c.whole(1, 4)
    wood = c.colour()
    for r in range(rows):
        x, floor = -c.between(0, 60), (r + 1) * c.h / rows
        while x < c.w:
            w, h = c.size(24, 160), c.h / rows * c.between(0.5, 0.88)
            b, colour = c.part(h, w), c.colour()
            b.box(0, 0, b.w, b.h, colour, c.between(0, 0.06), c.between(0, 0.3))
            b.label(b.w * 0.08, b.h * 0.1, b.w * 0.84, b.h * 0.8, c.ink(colour))
            for t in c.rng.uniform(0, b.w, c.whole(0, 4)):
                b.draw.line([(t, 0), (t, b.h)], fill=c.colour(), width=c.whole(1, 6))
            turned = b.image.transpose(Image.ROTATE_90) if c.chance(0.85) else b.image.resize((b.h, b.w))
            c.image.paste(turned, (int(x), int(floor - 20 - h)))
            x += w + c.pick([0, 1, 2, 30])
        c.box(0, floor - 20, c.w, 20, wood, 0.12, 0.2)


def room(c):
    """Tiled floor, walls, a door, furniture as boxes, a screen or a page before the camera."""
    vx, vy = c.w * c.between(0.3, 0.7), c.h * c.between(0.3, 0.6)
    c.box(0, 0, c.w, c.h, c.colour(), c.between(0, 0.05), 0.3)
    floor, n = c.part(600, 600), c.whole(3, 16)
    a, b = c.colour(), c.colour()
    for i in range(n * n):
        floor.box(i % n * 600 / n, i // n * 600 / n, 600 / n, 600 / n, a if (i + i // n) % 2 or n > 10 else b, 0.05)
    for k in range(n + 1):
        floor.draw.line([(k * 600 / n, 0), (k * 600 / n, 600)], fill=c.near(a, 80), width=3)
    edge = c.h * c.between(0.6, 0.8)
    c.paste_quad(floor.image, [(vx - 0.4 * c.w, edge), (vx + 0.4 * c.w, edge), (1.6 * c.w, c.h * 1.2), (-0.6 * c.w, c.h * 1.2)])
    c.draw.line([(0, edge + 0.2 * c.h), (vx - 0.4 * c.w, edge), (vx + 0.4 * c.w, edge), (c.w, edge + 0.2 * c.h)], fill=c.pale(), width=c.whole(4, 24))
    for _ in range(c.whole(4, 14)):
        x, y, w, h, d = *c.point(), c.size(80, 500), c.size(80, 500), c.between(0.08, 0.3)
        front = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        back = [(px + (vx - px) * d, py + (vy - py) * d) for px, py in front]
        colour = c.colour()
        for i, j in ((0, 1), (1, 2), (2, 3), (3, 0)):
            c.paint([front[i], front[j], back[j], back[i]], c.near(colour, 70), 0.05, 0.2)
        c.paint(front, colour, 0.04, 0.2)
        if c.chance(0.5):
            c.paste_quad(sign(c, w, h), [(x + w * 0.1, y + h * 0.1), (x + w * 0.9, y + h * 0.1), (x + w * 0.9, y + h * 0.9), (x + w * 0.1, y + h * 0.9)])
    if c.chance(0.6):
        flat_thing(c, c.between(0.3, 0.7))


def flat_thing(c, share):
    """A screen, a page, a poster held before the camera."""
    w, h = c.w * share, c.h * share * c.between(0.6, 1)
    inner = c.part(c.w * 0.8, c.h * 0.8)
    c.pick([page, desktop, chart, map_sheet, drawing, game])(inner)
    x, y = c.between(0, c.w - w), c.between(0, c.h - h)
    quad = c.skew(x, y, w, h, 0.08)
    middle = quad.mean(0)
    c.paint(middle + (quad - middle) * c.between(1.02, 1.12), c.pick([(20, 20, 22), c.pale(), c.dark()]), 0.02, 0.2)
    c.paste_quad(inner.image, quad)


def screen(c):
    c.ground(0.7)
    flat_thing(c, c.between(0.6, 1.05))


def mosaic(c):
    """Pieces of photographs or textures, with straight and curved borders between them."""
    c.image.paste(c.photo(c.w, c.h))
    for _ in range(c.whole(2, 12)):
        piece = c.photo(c.size(200, c.w), c.size(200, c.h))
        mask, (x, y) = Image.new('L', piece.size), c.point()
        d, (w, h) = ImageDraw.Draw(mask), piece.size
        shape = c.whole(0, 3)
        if shape == 0:
            d.polygon([(c.between(0, w), c.between(0, h)) for _ in range(c.whole(3, 5))], 255)
        elif shape == 1:
            d.rectangle([0, 0, w, h], 255)
        elif shape == 2:
            d.ellipse([0, 0, w, h], 255)
        else:
            font = c.font(h * 0.6)
            d.text((w / 2, h / 2), c.word(font), font=font, fill=255, anchor='mm')
        c.image.paste(piece, (int(x - w / 2), int(y - h / 2)), mask)
    if c.chance(0.3):
        fence(c, 0, c.h * c.between(0, 0.5), c.w, c.h * c.between(0.3, 1), c.colour())


SCENES = {lettering: 3, page: 3, chart: 2, desktop: 3, game: 2, drawing: 2, map_sheet: 2, lines: 2, shapes: 2, cartoon: 2,
          street: 6, building: 5, wall_signs: 4, vehicles: 3, shelf: 2, room: 2, screen: 3, mosaic: 3}
CAMERA = (street, building, wall_signs, vehicles, shelf, room, screen, mosaic)


# ---- from the drawing to the picture

def camera(c, image, w, h):
    """What optics, sensor and the camera's own processing do to the drawing; -> picture of w × h"""
    if c.chance(0.6):
        quad = np.array([(0, 0), (c.w, 0), (c.w, c.h), (0, c.h)], float)
        inside = quad + (np.array([c.w, c.h]) / 2 - quad) * c.rng.uniform(0.02, 0.25, (4, 2))
        image = image.transform(image.size, Image.PERSPECTIVE, homography(inside, quad), Image.BICUBIC)
    image = image.filter(ImageFilter.GaussianBlur(c.size(0.4, 2.2)))
    image = image.resize((w, h), c.pick([Image.BOX, Image.BICUBIC, Image.LANCZOS]))
    rgb = np.asarray(image).astype(np.float32)
    light = 1 + c.rng.normal(0, 0.08, 3)
    if c.chance(0.5):
        light = light * (1 + c.between(0.02, 0.1) * c.source.clouds[:h, :w, None])
    lift = c.pick([0, 0, 20])
    rgb = lift + rgb * light * (235 - lift) / 255
    noise = c.pick([0.5, 1, 2, 4]) * c.rng.standard_normal((h, w, 1), np.float32) + c.pick([0, 1, 2]) * c.rng.standard_normal((h, w, 3), np.float32)
    image = Image.fromarray(byte(rgb + noise * (0.5 + rgb / 255)))
    if c.chance(0.4):
        image = image.filter(ImageFilter.GaussianBlur(c.between(0.3, 0.6)))
    if c.chance(0.5):
        image = image.filter(ImageFilter.UnsharpMask(c.between(0.7, 2), c.whole(30, 120), 0))
    return image


def picture(rng, source):
    """-> one picture (PIL, RGB, sides from 512 to 768), the name of its kind"""
    w, h = 16 * int(rng.integers(32, 49)), 16 * int(rng.integers(32, 49))
    weights = np.array(list(SCENES.values()), float)
    scene = list(SCENES)[rng.choice(len(weights), p=weights / weights.sum())]
    c = Canvas(rng, source, 2 * w, 2 * h)
    if scene in CAMERA and c.chance(0.7):
        c.palette = c.natural_palette()
    scene(c)
    if c.chance(0.8 if scene in CAMERA else 0.25):
        return camera(c, c.image, w, h), scene.__name__
    return c.image.resize((w, h), c.pick([Image.BOX, Image.BICUBIC, Image.LANCZOS, Image.NEAREST])), scene.__name__


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', help='folder for the PNG files')
    parser.add_argument('--count', type=int, default=400)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--photos', help='folder of .jpg and .png pictures for backgrounds, screens and posters')
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    source = Source(args.seed, args.photos)
    for i in range(args.count):
        image, kind = picture(np.random.default_rng([args.seed, i]), source)
        image.save(f'{args.out}/{i:04d}-{kind}.png', compress_level=3)


if __name__ == '__main__':
    main()
