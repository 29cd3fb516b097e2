#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the structured test set: pictures of streets, buildings, vehicles, signs, screens, drawings as .y4m files.

    python3 make.py OUT [--clips FOLDER]...

Eight pictures are drawn, in kinds of scene and in fonts that training/structured.py does not use. The others are single
frames of the clips in CLIPS, as far as the folders hold them; large ones are halved, which hides what their own coding
did to them. Nothing of this set may be trained on.
"""
import argparse
import math
import os
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../training'))
from structured import Canvas, Source, camera, load_font  # noqa: E402

SEED, SIZE = 20011, (704, 512)
FONTS = {'Lato': ['truetype/lato/Lato-Regular.ttf', 'truetype/lato/Lato-Bold.ttf'],
         'C059': ['opentype/urw-base35/C059-Roman.otf', 'opentype/urw-base35/C059-Bold.otf'],
         'Hack': ['truetype/hack/Hack-Regular.ttf'], 'Carlito': ['truetype/crosextra/Carlito-Regular.ttf']}
CLIPS = [('street-camera', 'street_cam.mp4', 10, 1), ('building-walk', 'walk_handheld.mp4', 40, 1), ('fence-pitch', 'soccer_pan.mp4', 5, 1),
         ('building-passage', 'dog_play_720p.mp4', 40, 2), ('lettering-ball', 'soccer_night_1080p.mp4', 40, 2),
         ('animation-meadow', 'bunny_anim.mp4', 5, 1), ('room-webcam', 'signing_webcam.mp4', 40, 1)]
TO_I420 = 'scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int+bicubic'


def font(family, size, weight=0):
    files = FONTS[family]
    return load_font('/usr/share/fonts/' + files[min(weight, len(files) - 1)], int(size))


def departures(c):
    """A board of departures: rows of yellow letters, cells of split flaps."""
    c.box(0, 0, c.w, c.h, (70, 72, 78), 0.06, 0.3)
    c.box(60, 60, c.w - 120, c.h - 120, (14, 14, 16), 0, 0.2)
    for row in range(11):
        y, letters = 90 + row * (c.h - 200) / 11, '%02d:%02d %-17s %2d' % (6 + row, c.whole(0, 59), c.words(2).upper()[:17], c.whole(1, 24))
        for k, letter in enumerate(letters):
            x = 84 + k * (c.w - 170) / 26
            c.box(x, y, (c.w - 170) / 26 - 5, 70, (34, 34, 36), 0, 0.3)
            c.text(x + 22, y + 35, letter, font('Hack', 50), (245, 215, 60) if k < 23 else (240, 240, 240), anchor='mm')
            c.draw.line([(x, y + 35), (x + 48, y + 35)], fill=(8, 8, 8), width=2)


def score(c):
    """Sheet music: staves, notes, bars, slurs, words below."""
    c.box(0, 0, c.w, c.h, (252, 250, 244))
    ink = (12, 12, 14)
    c.text(c.w / 2, 70, c.words(3).title(), font('C059', 68, 1), ink, anchor='mm')
    for staff in range(6):
        top, gap, x = 200 + staff * (c.h - 220) / 6, 12, 110
        for k in range(5):
            c.draw.line([(60, top + k * gap), (c.w - 60, top + k * gap)], fill=ink, width=2)
        while x < c.w - 110:
            high = [c.whole(-1, 9) for _ in range(c.pick([1, 2, 4]))]
            stems = [(x + 60 * k, top + h * gap / 2) for k, h in enumerate(high)]
            beam = top - 40
            for px, py in stems:
                c.draw.ellipse([px - 10, py - 7, px + 10, py + 7], ink if c.chance(0.8) else None, ink, 3)
                c.draw.line([(px + 9, py), (px + 9, beam)], fill=ink, width=3)
            if len(high) > 1:
                c.draw.line([(stems[0][0] + 9, beam + 4), (stems[-1][0] + 9, beam + 4)], fill=ink, width=9)
            c.text(x, top + 5 * gap + 14, c.word().lower(), font('C059', 26), ink)
            if c.chance(0.3):
                c.draw.arc([x - 10, top - 62, x + 150, top - 10], 180, 360, ink, 3)
            x += 60 * len(high) + 40
            if c.chance(0.35):
                c.draw.line([(x - 30, top), (x - 30, top + 4 * gap)], fill=ink, width=3)


def slide(c):
    """A slide: title, bullets, a plan of work, a net diagram."""
    c.box(0, 0, c.w, c.h, (250, 250, 252))
    c.box(0, 0, c.w, 130, (28, 62, 110))
    c.text(50, 65, c.words(4).title(), font('Lato', 66, 1), (255, 255, 255), anchor='lm')
    for k in range(6):
        c.draw.ellipse([54, 190 + k * 70, 68, 204 + k * 70], (210, 90, 30))
        c.text(90, 197 + k * 70, c.words(4)[:26], font('Lato', 38), (40, 40, 46), anchor='lm')
    mid, r, n = (c.w - 330, 400), 220, 7
    spoke = lambda k, q: (mid[0] + q * math.sin(k * 2 * math.pi / n), mid[1] - q * math.cos(k * 2 * math.pi / n))
    for q in (55, 110, 165, 220):
        c.draw.line([spoke(k, q) for k in range(n + 1)], fill=(170, 170, 176), width=2)
    for colour in ((28, 62, 110), (210, 90, 30), (40, 140, 90)):
        q = c.rng.uniform(60, 210, n)
        c.draw.line([spoke(k % n, q[k % n]) for k in range(n + 1)], fill=colour, width=5, joint='curve')
    for k in range(n):
        c.draw.line([mid, spoke(k, r)], fill=(170, 170, 176), width=1)
        c.text(*spoke(k, r + 34), c.word()[:8], font('Carlito', 28), (60, 60, 66), anchor='mm')
    for row in range(8):
        y, a, b = 690 + row * 40, c.between(330, c.w * 0.6), c.between(80, 420)
        c.draw.line([(330, y + 36), (c.w - 50, y + 36)], fill=(215, 215, 220), width=1)
        c.text(320, y + 16, c.word()[:14], font('Carlito', 28), (40, 40, 46), anchor='rm')
        c.draw.rounded_rectangle([a, y + 4, min(a + b, c.w - 50), y + 30], 6, c.pick([(28, 62, 110), (210, 90, 30), (40, 140, 90)]))


def newspaper(c):
    """Justified columns in small letters, headlines, a crossword."""
    c.box(0, 0, c.w, c.h, (232, 226, 212), 0.02, 0.06)
    ink, face = (30, 28, 28), font('C059', 21)
    c.text(c.w / 2, 70, c.words(2).title(), font('C059', 110, 1), ink, anchor='mm')
    c.draw.line([(40, 140), (c.w - 40, 140)], fill=ink, width=4)
    wide = (c.w - 120) / 4
    for column in range(4):
        x, y = 48 + column * (wide + 10), 160
        if column % 2 == 0:
            c.text(x, y, c.words(2)[:15], font('C059', 46, 1), ink)
            y += 64
        while y < (c.h - 30 if column < 2 else c.h - 2 * wide - 60):
            words, room = [], wide - 10
            while room > 0:
                words.append(c.word())
                room -= face.getlength(words[-1]) + 7
            words.pop()
            free = (wide - 10 - sum(face.getlength(w) for w in words)) / max(1, len(words) - 1)
            at = x
            for word in words:
                c.text(at, y, word, face, ink)
                at += face.getlength(word) + free
            y += 26
    left, top, cell = 48 + 2 * (wide + 10), c.h - 2 * wide - 30, 2 * wide / 17
    for i in range(17 * 17):
        x, y = left + i % 17 * cell, top + i // 17 * cell
        c.draw.rectangle([x, y, x + cell, y + cell], ink if (i % 17 * 5 + i // 17 * 7) % 11 < 3 else (240, 236, 226), ink, 2)
        if c.chance(0.2):
            c.text(x + 4, y + 2, str(i), font('Carlito', 15), ink)


def tram(c):
    """A tram on a bridge of trusses, wires above, water below."""
    t = np.linspace(0, 1, c.h)[:, None, None]
    c.image.paste(Image.fromarray((np.array([120, 160, 205]) * (1 - t) + np.array([225, 225, 220]) * t + np.zeros((1, c.w, 1))).astype(np.uint8)))
    c.box(0, c.h * 0.82, c.w, c.h * 0.18, (70, 95, 105), 0.12, 0.2)
    for k in range(14):
        c.box(k * c.w / 14, c.h * (0.62 - 0.02 * (k * 7 % 5)), c.w / 14 + 1, c.h * 0.22, c.near((140, 125, 110), 40), 0.08, 0.1)
        for i in range(24):
            c.box(k * c.w / 14 + 12 + i % 4 * 24, c.h * 0.66 + i // 4 * 26, 12, 16, (50, 55, 65), 0, 0.5)
    deck, span = c.h * 0.74, c.w / 9
    steel = (62, 84, 74)
    for k in range(10):
        x = k * span
        for a, b, wide in (((x, deck - 20), (x, deck + 110), 9), ((x, deck + 110), (x + span, deck), 7), ((x, deck), (x + span, deck + 110), 7)):
            c.draw.line([a, b], fill=steel, width=wide)
        c.draw.line([(x + 20, deck - 20), (x + 20, c.h * 0.2)], fill=(60, 60, 64), width=8)
        c.draw.line([(x + 20, c.h * 0.22), (x + 110, c.h * 0.26)], fill=(60, 60, 64), width=4)
    for y, wide in ((deck, 16), (deck + 110, 16), (c.h * 0.26, 3), (c.h * 0.235, 2)):
        c.draw.line([(0, y), (c.w, y)], fill=steel if wide > 3 else (30, 30, 32), width=wide)
    for car in range(2):
        x, wide, top = 90 + car * c.w * 0.44, c.w * 0.42, deck - 330
        c.box(x, top, wide, 290, (196, 40, 36), 0.01, 0.15)
        c.box(x, top, wide, 30, (225, 222, 214), 0.01, 0.2)
        c.box(x, top + 196, wide, 10, (245, 240, 225))
        for k in range(7):
            c.box(x + 18 + k * (wide - 20) / 7, top + 50, (wide - 20) / 7 - 16, 120, (48, 60, 70), 0.2, 0.6)
        for k in (1, 4):
            c.draw.rectangle([x + 18 + k * (wide - 20) / 7, top + 44, x + 2 + (k + 1) * (wide - 20) / 7, top + 280], None, (90, 15, 15), 4)
        c.text(x + wide / 2, top + 240, c.words(3), font('Lato', 48, 1), (250, 246, 230), anchor='mm')
        for k in (0.15, 0.25, 0.75, 0.85):
            c.draw.ellipse([x + k * wide - 34, deck - 74, x + k * wide + 34, deck - 6], (28, 28, 30), (110, 110, 112), 6)
        c.draw.line([(x + wide / 2, top), (x + wide / 2 - 70, top - 50), (x + wide / 2, c.h * 0.26)], fill=(30, 30, 32), width=5)


def blocks(c):
    """A town of blocks from above, in parallel projection."""
    c.box(0, 0, c.w, c.h, (126, 130, 128), 0.08, 0.1)
    side, half = 150, 75
    for i in range(24):
        for j in range(11):
            x, y, high = (j + i % 2 / 2) * side, i * half * 0.95, c.size(30, 330)
            wall, roof = c.colour(), c.colour()
            east, south, north = (x + side * 0.45, y), (x, y + half * 0.9), (x, y - half * 0.9)
            west = (x - side * 0.45, y)
            up = lambda p, h=high: (p[0], p[1] - h)
            c.paint([west, south, up(south), up(west)], c.near(wall, 10), 0.05, 0.1)
            c.paint([south, east, up(east), up(south)], tuple(int(v * 0.7) for v in wall), 0.05, 0.1)
            c.paint([up(west), up(south), up(east), up(north)], roof, 0.06, 0.1)
            for face, (a, b) in enumerate(((west, south), (south, east))):
                for k in range(4):
                    for floor in range(int(high / 34)):
                        mix = lambda t, h: (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t - h)
                        low = floor * 34 + 8
                        c.paint([mix(0.1 + k * 0.22, low), mix(0.25 + k * 0.22, low), mix(0.25 + k * 0.22, low + 20), mix(0.1 + k * 0.22, low + 20)],
                                (40, 48, 60) if (k + floor + face) % 5 else (240, 225, 150))


def shop(c):
    """A shop: striped awning, window with goods and prices, board with lettering, clock."""
    c.box(0, 0, c.w, c.h, (168, 150, 128), 0.1, 0.15)
    for row in range(int(c.h / 44) + 1):
        for k in range(12):
            x = (k - row % 2 / 2) * c.w / 11
            c.draw.rectangle([x, row * 44, x + c.w / 11 - 4, row * 44 + 40], None, (132, 116, 98), 3)
    c.box(60, 130, c.w - 120, 170, (24, 58, 44), 0.02, 0.25)
    c.draw.rectangle([76, 146, c.w - 76, 284], None, (214, 180, 96), 5)
    c.text(c.w / 2, 215, c.words(3).title()[:24], font('C059', 96, 1), (226, 196, 112), anchor='mm')
    for k in range(18):
        a, b = 60 + k * (c.w - 120) / 18, 60 + (k + 1) * (c.w - 120) / 18
        c.paint([(a, 310), (b, 310), (b + (b - c.w / 2) * 0.05, 450), (a + (a - c.w / 2) * 0.05, 450)], (190, 44, 40) if k % 2 else (240, 234, 220), 0.03, 0.2)
    c.box(110, 470, c.w * 0.6, c.h - 560, (44, 40, 38), 0.05, 0.4)
    for shelf in range(3):
        floor = 470 + (shelf + 1) * (c.h - 560) / 3
        x = 124
        while x < 110 + c.w * 0.6 - 90:
            wide, high = c.size(34, 84), c.between(0.35, 0.75) * (c.h - 560) / 3
            c.box(x, floor - high, wide, high, c.colour(), 0.03, 0.3)
            c.box(x + 4, floor - high * 0.6, wide - 8, 30, (245, 244, 240))
            c.text(x + wide / 2, floor - high * 0.6 + 15, '%d.%d' % (c.whole(1, 9), c.whole(0, 99)), font('Carlito', 20), (160, 10, 10), anchor='mm')
            x += wide + c.between(4, 20)
        c.box(110, floor - 4, c.w * 0.6, 10, (150, 120, 80))
    c.draw.rectangle([110, 470, 110 + c.w * 0.6, c.h - 90], None, (24, 58, 44), 14)
    x = 150 + c.w * 0.62
    c.box(x, 480, c.w * 0.24, c.h - 480, (30, 70, 54), 0.03, 0.2)
    c.box(x + 40, 530, c.w * 0.24 - 80, 330, (70, 84, 92), 0.15, 0.6)
    c.text(x + c.w * 0.12, 700, 'OPEN', font('Lato', 58, 1), (245, 245, 235), anchor='mm')
    cx, cy = c.w - 150, 80
    c.draw.ellipse([cx - 72, cy - 72, cx + 72, cy + 72], (246, 244, 236), (30, 30, 30), 8)
    for k in range(12):
        a = k * math.pi / 6
        c.draw.line([(cx + 52 * math.cos(a), cy + 52 * math.sin(a)), (cx + 62 * math.cos(a), cy + 62 * math.sin(a))], fill=(20, 20, 20), width=4)
    c.draw.line([(cx + 10, cy - 48), (cx, cy), (cx + 34, cy + 12)], fill=(20, 20, 20), width=5)


def calendar(c):
    """A month's appointments and a calculator on a desktop."""
    c.box(0, 0, c.w, c.h, (44, 88, 130), 0, 0.4)
    left, top, wide, high = 70, 60, c.w - 280, c.h - 170
    c.draw.rounded_rectangle([left, top, left + wide, top + high], 18, (255, 255, 255))
    c.text(left + 30, top + 44, '%s 2031' % c.word().title(), font('Lato', 46, 1), (50, 50, 54), anchor='lm')
    for i in range(35):
        x, y, w, h = left + i % 7 * wide / 7, top + 90 + i // 7 * (high - 90) / 5, wide / 7, (high - 90) / 5
        c.draw.rectangle([x, y, x + w, y + h], (250, 250, 250) if i % 7 < 5 else (238, 240, 244), (205, 205, 210), 1)
        c.text(x + 10, y + 8, str(i + 1), font('Lato', 26), (90, 90, 96))
        for k in range(c.whole(0, 3)):
            colour = c.pick([(66, 133, 244), (219, 68, 55), (15, 157, 88), (244, 180, 0)])
            c.draw.rounded_rectangle([x + 6, y + 44 + k * 36, x + w - 6, y + 76 + k * 36], 6, colour)
            c.text(x + 12, y + 60 + k * 36, c.word()[:10], font('Carlito', 25), (255, 255, 255), anchor='lm')
    x, y = c.w - 470, c.h - 640
    c.box(x + 10, y + 14, 400, 560, (20, 30, 40))
    c.box(x, y, 400, 560, (38, 40, 44))
    c.text(x + 380, y + 60, '31415.9265', font('Hack', 54), (240, 240, 240), anchor='rm')
    for k, key in enumerate('C()/789x456-123+0.%='):
        px, py = x + 14 + k % 4 * 94, y + 120 + k // 4 * 86
        c.draw.rounded_rectangle([px, py, px + 84, py + 76], 10, (230, 140, 40) if k % 4 == 3 else (72, 74, 80))
        c.text(px + 42, py + 38, key, font('Lato', 38), (250, 250, 250), anchor='mm')


DRAWN = {'screen-departures': (departures, True), 'drawing-score': (score, False), 'chart-slide': (slide, False),
         'text-newspaper': (newspaper, True), 'vehicle-tram': (tram, True), 'building-blocks': (blocks, True),
         'sign-shop': (shop, True), 'screen-calendar': (calendar, False)}


def draw(name):
    """-> one of the pictures of DRAWN (PIL, RGB)"""
    scene, seen = DRAWN[name]
    rng = np.random.default_rng([SEED, list(DRAWN).index(name)])
    fonts = [['/usr/share/fonts/' + f for f in files] for files in FONTS.values()]
    c = Canvas(rng, Source(SEED, fonts=(fonts, [])), 2 * SIZE[0], 2 * SIZE[1])
    c.palette = c.natural_palette()
    scene(c)
    return camera(c, c.image, *SIZE) if seen else c.image.resize(SIZE, Image.BOX)


def to_y4m(arguments, out):
    subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-y', *arguments, '-frames:v', '1', '-pix_fmt', 'yuv420p', '-strict', '-1', out], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', help='folder for the .y4m files')
    parser.add_argument('--clips', action='append', default=[], help='folder to look for the clips in, besides pipelines/media')
    args = parser.parse_args()
    missing = [f for files in FONTS.values() for f in files if not os.path.exists('/usr/share/fonts/' + f)]
    if missing:
        raise SystemExit(f'missing fonts: {", ".join(missing)}; Debian: fonts-lato fonts-hack fonts-crosextra-carlito fonts-urw-base35')
    os.makedirs(args.out, exist_ok=True)
    for name in DRAWN:
        with tempfile.NamedTemporaryFile(suffix='.png') as png:
            draw(name).save(png.name)
            to_y4m(['-i', png.name, '-vf', TO_I420], f'{args.out}/{name}.y4m')
    folders = [os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../pipelines/media'), *args.clips]
    for name, clip, frame, shrink in CLIPS:
        found = [p for p in (os.path.join(folder, clip) for folder in folders) if os.path.exists(p)]
        if found:
            to_y4m(['-i', found[0], '-vf', f'select=eq(n\\,{frame}),scale=iw/{shrink}:ih/{shrink}:flags=lanczos+accurate_rnd'], f'{args.out}/{name}.y4m')
        else:
            print(f'{name}: no {clip}, left out', file=sys.stderr)


if __name__ == '__main__':
    main()
