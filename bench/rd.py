#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rate-distortion comparison on real files: one protocol for every codec.

  rd.py run OUT.json --codec x264|x265|aom|webp|jpeg|jpegenc  PICTURE.y4m...
  rd.py run OUT.json --enc 'm2t encode {in} {out} -q {q}' --dec 'm2t decode {in} {out}' --q 8,16,24,...  PICTURE.y4m...
  rd.py bd ANCHOR.json TEST.json [...]        BD-rate of each TEST against ANCHOR
  rd.py table A.json [...]                    mean bit/px and PSNR per quality

Protocol. Input is I420, 8 bit, one or more frames, as .y4m. Rate: size of the coded file in bit per luma sample.
Distortion: per frame PSNR of Y, U, V from the 8-bit decoded planes; 'yuv' is (6 Y + U + V) / 8 in dB, frames averaged
in dB. A curve per picture; BD-rate per picture (piecewise cubic interpolation of log rate over dB, on the common
range below 1.6 bit/px), then the mean over pictures. MS-SSIM is of Y. Decoding is done by the codec's own decoder from the file alone.
"""
import argparse, json, math, os, subprocess, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
import numpy as np

def read_y4m(path):
    b = open(path, 'rb').read(); nl = b.index(b'\n'); head = b[:nl].decode().split()
    w = next(int(t[1:]) for t in head if t[0] == 'W'); h = next(int(t[1:]) for t in head if t[0] == 'H')
    c = next((t[1:] for t in head[1:] if t[0] == 'C'), '420')
    if not c.startswith('420') or 'p1' in c: sys.exit(f'{path}: not 8-bit 4:2:0 ({c})')
    cw, ch = (w + 1) // 2, (h + 1) // 2; n = w * h + 2 * cw * ch; frames = []; p = nl + 1
    while p < len(b):
        p = b.index(b'\n', p) + 1; f = np.frombuffer(b, np.uint8, n, p); p += n
        frames.append((f[:w * h].reshape(h, w), f[w * h:w * h + cw * ch].reshape(ch, cw), f[w * h + cw * ch:].reshape(ch, cw)))
    return w, h, frames

def psnr(a, b):
    mse = np.mean((a.astype(np.float64) - b) ** 2)
    return min(99.0, 10 * math.log10(255 ** 2 / mse)) if mse > 0 else 99.0

def ms_ssim(a, b):
    from scipy.ndimage import gaussian_filter
    a, b = a.astype(np.float64), b.astype(np.float64); out = 1.0
    for k, wt in enumerate((.0448, .2856, .3001, .2363, .1333)):
        if min(a.shape) < 11: break
        g = lambda x: gaussian_filter(x, 1.5, truncate=3.5)[5:-5, 5:-5]
        ma, mb = g(a), g(b); va, vb, c = g(a * a) - ma * ma, g(b * b) - mb * mb, g(a * b) - ma * mb
        cs = (2 * c + 58.5225) / (va + vb + 58.5225); l = (2 * ma * mb + 6.5025) / (ma * ma + mb * mb + 6.5025)
        out *= max(1e-6, np.mean(cs * l if k == 4 else cs)) ** wt
        h, w = a.shape[0] & ~1, a.shape[1] & ~1; pool = lambda x: (x[0:h:2, 0:w:2] + x[1:h:2, 0:w:2] + x[0:h:2, 1:w:2] + x[1:h:2, 1:w:2]) / 4
        a, b = pool(a), pool(b)
    return float(out)

SH = lambda c: subprocess.run(c, shell=True, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
FF = 'ffmpeg -nostdin -v error -y '  # x264: its text SEI is cut, so that only picture data counts
GST = 'gst-launch-1.0 -q '
CODECS = {  # encode, decode, qualities
    'x264': ('x264 --preset medium --tune psnr --threads 1 -I 1 --crf {q} -o {out}.264 {in} && ' + FF + '-f h264 -i {out}.264 -c copy -bsf:v filter_units=remove_types=6 -f h264 {out} && rm {out}.264', FF + '-f h264 -i {in} -f yuv4mpegpipe -strict -1 {out}', [16, 19, 22, 25, 28, 31, 34, 37, 40, 43]),
    'x265': ('x265 --preset medium --tune psnr --pools 1 --frame-threads 1 -I 1 --no-info --crf {q} -o {out}.265 {in} && mv {out}.265 {out}', FF + '-f hevc -i {in} -f yuv4mpegpipe -strict -1 {out}', [15, 18, 21, 24, 27, 30, 33, 36, 39, 42]),
    'aom': ('aomenc --obu --cpu-used=4 --kf-max-dist=0 --lag-in-frames=0 --passes=1 --end-usage=q --cq-level={q} --threads=1 --tune=psnr -o {out}.obu {in} && mv {out}.obu {out}', FF + '-f obu -i {in} -f yuv4mpegpipe -strict -1 {out}', [8, 14, 20, 26, 32, 38, 44, 50, 56, 61]),
    'webp': (FF + '-i {in} -f rawvideo {out}.yuv && cwebp -quiet -m 6 -s {w} {h} -q {q} {out}.yuv -o {out} && rm {out}.yuv', 'dwebp -quiet -yuv {in} -o {out}.yuv && ' + FF + '-f rawvideo -pix_fmt yuv420p -s {w}x{h} -i {out}.yuv -f yuv4mpegpipe -strict -1 {out} && rm {out}.yuv', [5, 15, 30, 45, 60, 72, 82, 89, 94, 97]),
    'jpeg': (FF + '-i {in} -pix_fmt yuvj420p -strict -1 -c:v mjpeg -huffman optimal -qscale:v {q} -f mjpeg {out}', FF + '-f mjpeg -i {in} -pix_fmt yuv420p -f yuv4mpegpipe -strict -1 {out}', [1, 2, 3, 4, 6, 8, 12, 18, 26]),
    # GStreamer's jpegenc: libjpeg with the default Huffman tables, the samples as they are
    'jpegenc': (FF + '-i {in} -f rawvideo {out}.yuv && ' + GST + 'filesrc location={out}.yuv ! rawvideoparse width={w} height={h} format=i420 ! jpegenc quality={q} ! filesink location={out} && rm {out}.yuv', GST + 'filesrc location={in} ! jpegparse ! jpegdec ! filesink location={out}.yuv && ' + FF + '-f rawvideo -pix_fmt yuv420p -s {w}x{h} -i {out}.yuv -f yuv4mpegpipe -strict -1 {out} && rm {out}.yuv', [10, 25, 40, 55, 70, 80, 88, 93, 97]),
}

def one(args):
    enc, dec, q, src, want_ssim = args; w, h, ref = read_y4m(src)
    with tempfile.TemporaryDirectory() as d:
        v = dict(w=w, h=h, q=q); bs, rec = d + '/bs', d + '/rec.y4m'
        try:
            SH(enc.format(**v, **{'in': src, 'out': bs})); SH(dec.format(**v, **{'in': bs, 'out': rec}))
        except subprocess.CalledProcessError as e: sys.exit(f'{e.cmd}\n{e.stderr.decode()[-800:]}')
        w2, h2, out = read_y4m(rec)
        if (w, h, len(ref)) != (w2, h2, len(out)): sys.exit(f'{src}: got {w2}x{h2}, {len(out)} frames')
        p = np.mean([[psnr(a, b) for a, b in zip(f, g)] for f, g in zip(ref, out)], 0)
        r = dict(q=q, bpp=os.path.getsize(bs) * 8 / (w * h * len(ref)), y=p[0], u=p[1], v=p[2], yuv=(6 * p[0] + p[1] + p[2]) / 8)
        if want_ssim: r['msssim'] = float(np.mean([ms_ssim(f[0], g[0]) for f, g in zip(ref, out)]))
        return os.path.basename(src), r

def bd_rate(a, t, key='yuv', max_bpp=1.6):
    """percent more bits that t needs than a at equal quality"""
    from scipy.interpolate import PchipInterpolator as P
    c = lambda rs: sorted({round(r[key], 6): math.log(r['bpp']) for r in rs if r['bpp'] <= max_bpp}.items())
    a, t = c(a), c(t); lo, hi = max(a[0][0], t[0][0]), min(a[-1][0], t[-1][0])
    if hi - lo < .5: return float('nan')
    x = np.linspace(lo, hi, 200); f = lambda s: P(*zip(*s))(x)
    return (math.exp(np.mean(f(t) - f(a))) - 1) * 100

def in_range(rs, lo, hi): return [r for r in rs if lo <= r['bpp'] <= hi]

def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter); sp = ap.add_subparsers(dest='cmd', required=True)
    r = sp.add_parser('run'); r.add_argument('out'); r.add_argument('pictures', nargs='+'); r.add_argument('--codec'); r.add_argument('--enc'); r.add_argument('--dec'); r.add_argument('--q'); r.add_argument('--name'); r.add_argument('--jobs', type=int, default=2); r.add_argument('--msssim', action='store_true')
    b = sp.add_parser('bd'); b.add_argument('anchor'); b.add_argument('tests', nargs='+'); b.add_argument('--key', default='yuv'); b.add_argument('--each', action='store_true')
    t = sp.add_parser('table'); t.add_argument('files', nargs='+')
    a = ap.parse_args()
    if a.cmd == 'run':
        enc, dec, qs = CODECS[a.codec] if a.codec else (a.enc, a.dec, [])
        if a.q: qs = [float(q) if '.' in q else int(q) for q in a.q.split(',')]
        jobs = [(enc, dec, q, p, a.msssim) for p in a.pictures for q in qs]; res = {}
        with ThreadPoolExecutor(a.jobs) as ex:
            for name, row in ex.map(one, jobs): res.setdefault(name, []).append(row)
        json.dump(dict(name=a.name or a.codec or 'test', pictures=res), open(a.out, 'w'))
    elif a.cmd == 'bd':
        A = json.load(open(a.anchor))
        for f in a.tests:
            T = json.load(open(f)); common = sorted(set(A['pictures']) & set(T['pictures']))
            v = {p: bd_rate(A['pictures'][p], T['pictures'][p], a.key) for p in common}
            print(f"{T['name']} against {A['name']}: {np.nanmean(list(v.values())):+.2f} % bits over {len(v)} pictures ({a.key}), worst {np.nanmax(list(v.values())):+.1f}, best {np.nanmin(list(v.values())):+.1f}")
            if a.each: [print(f'  {p:20s} {x:+.1f}') for p, x in v.items()]
    else:
        for f in a.files:
            T = json.load(open(f)); print(T['name']); n = len(next(iter(T['pictures'].values())))
            for i in range(n):
                rows = [p[i] for p in T['pictures'].values()]
                print('  q %5s  %.4f bit/px  yuv %.2f  y %.2f  u %.2f  v %.2f' % (rows[0]['q'], *(np.mean([x[k] for x in rows]) for k in ('bpp', 'yuv', 'y', 'u', 'v'))) + ('  msssim %.4f' % np.mean([x['msssim'] for x in rows]) if 'msssim' in rows[0] else ''))
if __name__ == '__main__': main()
