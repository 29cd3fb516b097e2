#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the m2t program: tool_test.py M2T VECTORS. Prints TAP."""
import hashlib
import math
import os
import random
import shlex
import subprocess
import sys
import tempfile

M2T = os.path.abspath(sys.argv[1])
VECTORS = os.path.abspath(sys.argv[2])
MODEL = os.path.join(VECTORS, 'tiny.m2tw')
MAGIC = b'M2TV\x01\r\n\x1a'
SYNC = b'\0\0\x02M'
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Mismatch(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Mismatch(text)


def run(*arguments, stdin=b'', status=0, message=None):
    """Runs m2t, checks its exit status and that stderr contains @message; returns (stdout, stderr)."""
    done = subprocess.run([M2T, *map(str, arguments)], input=stdin, capture_output=True, timeout=120, check=False)
    error = done.stderr.decode(errors='replace')
    expect(done.returncode == status, f'{arguments}: exit status {done.returncode} instead of {status}: {error}')
    if message is None:
        expect(status != 0 or not error, f'{arguments}: unexpected words on stderr: {error}')
    else:
        expect(message in error, f'{arguments}: no "{message}" in "{error}"')
    return done.stdout, error


def encode(source, stream, *options, **more):
    return run('encode', '--model', MODEL, *options, source, stream, **more)


def write(path, data):
    with open(path, 'wb') as file:
        file.write(data)


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def plane_sizes(width, height):
    chroma = ((width + 1) // 2) * ((height + 1) // 2)
    return width * height, chroma, chroma


def planes(width, height, number):
    """A smooth moving pattern with some noise."""
    noise = random.Random(number)
    luma = bytes(min(255, max(0, int(128 + 80 * math.sin((x + 3 * number) / 9) * math.cos(y / 7)) + noise.randrange(-2, 3)))
                 for y in range(height) for x in range(width))
    chroma = plane_sizes(width, height)[1]
    return luma + bytes(100 + number % 8 for _ in range(chroma)) + bytes(140 for _ in range(chroma))


def y4m(width, height, frames, fields='F25:1 Ip C420jpeg'):
    head = f'YUV4MPEG2 W{width} H{height} {fields}\n'.encode()
    return head + b''.join(b'FRAME\n' + planes(width, height, i) for i in range(frames))


def parse(data):
    """(header fields, list of frames)"""
    head, rest = data.split(b'\n', 1)
    fields = head.decode().split()
    width = int(next(f[1:] for f in fields if f[0] == 'W'))
    height = int(next(f[1:] for f in fields if f[0] == 'H'))
    size = sum(plane_sizes(width, height))
    expect(len(rest) % (6 + size) == 0, 'the Y4M file has a part of a frame')
    frames = []
    for at in range(0, len(rest), 6 + size):
        expect(rest[at:at + 6] == b'FRAME\n', 'a frame of the Y4M file has no FRAME line')
        frames.append(rest[at + 6:at + 6 + size])
    return fields[1:], frames


def units(stream):
    """The units of a byte stream, without its magic."""
    expect(stream.startswith(MAGIC), 'the stream has no magic')
    return [SYNC + part for part in stream[len(MAGIC):].split(SYNC)[1:]]


def psnr(a, b):
    error = sum((x - y) ** 2 for x, y in zip(a, b)) / len(a)
    return 99 if error == 0 else 10 * math.log10(255 * 255 / error)


def clip(frames=3, width=48, height=32, *options):
    """A stream of so many frames, as bytes."""
    write('clip.y4m', y4m(width, height, frames))
    encode('clip.y4m', 'clip.m2tv', *options)
    return read('clip.m2tv')


@test
def help_and_version():
    expect(b'encode' in run('--help')[0], 'no help')
    expect(run('--version')[0].startswith(b'm2t '), 'no version')
    for command in ('encode', 'decode', 'info', 'models', 'md5', 'verify'):
        expect(b'Usage' in run(command, '--help')[0], f'no help for {command}')


@test
def usage_errors_have_status_2():
    run(status=2, message='Usage')
    run('recode', status=2, message="no command 'recode'")
    run('encode', 'only-one.y4m', status=2, message='usage: m2t encode')
    run('decode', 'a', 'b', 'c', status=2, message='usage: m2t decode')
    run('encode', '--frobnicate', 'a', 'b', status=2, message='frobnicate')
    run('encode', '--threads', '-1', 'a', 'b', status=2, message='--threads')
    run('encode', '--threads', '65', 'a', 'b', status=2, message='--threads')
    run('encode', '--frames', '-2', 'a', 'b', status=2, message='--frames')
    run('encode', '--key-interval', '-2', 'a', 'b', status=2, message='--key-interval')
    run('encode', '--slices', '-1', 'a', 'b', status=2, message='--slices')
    run('encode', '--slices', '65', 'a', 'b', status=2, message='--slices')
    run('encode', '--backend', 'abacus', 'a', 'b', status=2, message="no backend 'abacus'")
    for quantizer in ('-1', '63.25', 'nan', '1e9', 'coarse'):
        run('encode', '-q', quantizer, 'a', 'b', status=2, message='m2t: ')


@test
def sizes_come_back():
    for width, height in ((16, 16), (17, 17), (35, 19), (16, 130), (161, 33)):
        write('in.y4m', y4m(width, height, 2))
        encode('in.y4m', 'out.m2tv', '-q', 8)
        run('decode', 'out.m2tv', 'out.y4m')
        original, decoded = parse(read('in.y4m')), parse(read('out.y4m'))
        expect(len(decoded[1]) == 2, f'{width}x{height}: {len(decoded[1])} frames')
        for a, b in zip(original[1], decoded[1]):
            expect(psnr(a, b) > 20, f'{width}x{height}: PSNR is {psnr(a, b):.1f} dB')


@test
def a_large_frame():
    write('in.y4m', b'YUV4MPEG2 W1920 H1080 F50:1\nFRAME\n' + bytes(range(240)) * (1920 * 1080 * 3 // 2 // 240))
    encode('in.y4m', 'out.m2tv', '-q', 50)
    run('decode', 'out.m2tv', 'out.y4m')
    expect(len(read('out.y4m')) - len(read('out.y4m').split(b'FRAME')[0]) == 6 + 1920 * 1080 * 3 // 2, 'wrong size')


@test
def quantizers_trade_bytes_for_quality():
    source = os.path.join(VECTORS, 'photo-96x80.y4m')
    sizes, qualities = [], []
    for quantizer in (0, 10, 20, 30, 45, 63):
        encode(source, 'out.m2tv', '-q', quantizer)
        run('decode', 'out.m2tv', 'out.y4m')
        sizes.append(os.path.getsize('out.m2tv'))
        qualities.append(psnr(parse(read(source))[1][0], parse(read('out.y4m'))[1][0]))
    expect(sizes == sorted(sizes, reverse=True), f'sizes are {sizes}')
    expect(min(qualities[:3]) > qualities[-1], f'PSNRs are {qualities}')    # the model is too small for more


@test
def quantizers_have_quarter_steps():
    clip()
    made = {}
    for quantizer in ('20', '20.25', '20.3', '20.5'):
        encode('clip.y4m', 'out.m2tv', '-q', quantizer)
        made[quantizer] = read('out.m2tv')
    expect(len(set(made.values())) == 3 and made['20.25'] == made['20.3'], 'steps of 1/4 are wrong')
    encode('clip.y4m', 'out.m2tv', '--quantizer=20.75')
    expect(b'quantizer  20.75\n' in run('info', 'out.m2tv')[0], 'info does not tell the quantizer')


@test
def header_fields_come_back():
    for fields in ('F30000:1001 Ip A4:3 C420mpeg2 XCOLORRANGE=LIMITED', 'F25:1 Ip A1:1 C420jpeg XCOLORRANGE=FULL', 'F50:1 Ip C420paldv'):
        write('in.y4m', y4m(32, 16, 1, fields))
        encode('in.y4m', 'out.m2tv')
        run('decode', 'out.m2tv', 'out.y4m')
        expect(parse(read('out.y4m'))[0] == ['W32', 'H16'] + fields.split(), f'{fields} became {parse(read("out.y4m"))[0]}')


@test
def absent_header_fields_stay_unknown():
    for fields in ('', 'F0:0 A0:0 C420 I?', 'XYSCSS=420JPEG XSOMETHING'):
        write('in.y4m', y4m(32, 16, 1, fields))
        encode('in.y4m', 'out.m2tv')
        run('decode', 'out.m2tv', 'out.y4m')
        expect(parse(read('out.y4m'))[0] == ['W32', 'H16', 'F0:0', 'Ip', 'C420'], f'{fields} became {parse(read("out.y4m"))[0]}')


@test
def frame_lines_may_have_parameters():
    write('in.y4m', y4m(32, 16, 2).replace(b'FRAME\n', b'FRAME XNOTE=1\n'))
    encode('in.y4m', 'out.m2tv')
    expect(len(units(read('out.m2tv'))) == 2, 'frames got lost')


@test
def pipes_do_as_files_do():
    stream = clip()
    expect(encode('-', '-', stdin=read('clip.y4m'))[0] == stream, 'encoding through pipes differs')
    run('decode', 'clip.m2tv', 'out.y4m')
    expect(run('decode', '-', '-', stdin=stream)[0] == read('out.y4m'), 'decoding through pipes differs')
    expect(run('info', '-', stdin=stream)[0].split(b'\n', 1)[1] == run('info', 'clip.m2tv')[0].split(b'\n', 1)[1], 'info differs')


@test
def frames_leave_one_by_one():
    write('in.y4m', y4m(32, 16, 2))
    data = read('in.y4m')
    half = len(data) - len(planes(32, 16, 1)) - 6
    with subprocess.Popen([M2T, 'encode', '--model', MODEL, '-', '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as encoder:
        encoder.stdin.write(data[:half])
        encoder.stdin.flush()
        first = os.read(encoder.stdout.fileno(), 1 << 20)    # waits for ever if the encoder waits for the second frame
        expect(first.startswith(MAGIC + SYNC), 'the first unit did not come')
        encoder.stdin.write(data[half:])
        encoder.stdin.close()
        expect(encoder.stdout.read().startswith(SYNC), 'the second unit did not come')


@test
def frame_limit():
    clip(5)
    encode('clip.y4m', 'two.m2tv', '--frames', 2)
    expect(len(units(read('two.m2tv'))) == 2, 'encode does not stop')
    run('decode', '-n', 3, 'clip.m2tv', 'out.y4m')
    expect(len(parse(read('out.y4m'))[1]) == 3, 'decode does not stop')


@test
def key_interval():
    clip(5, 48, 32, '--key-interval', 3)
    expect(b'frames     5, key frames 2\n' in run('info', 'clip.m2tv')[0], 'not every third frame is a key frame')
    clip(5, 48, 32, '-k', 1)
    expect(b'frames     5, key frames 5\n' in run('info', 'clip.m2tv')[0], 'not every frame is a key frame')


@test
def still_pictures_cost_little():
    frame = b'FRAME\n' + planes(48, 32, 1)
    write('still.y4m', b'YUV4MPEG2 W48 H32 F25:1 Ip C420jpeg\n' + 6 * frame)
    encode('still.y4m', 'out.m2tv')
    expect(b'frames     6, key frames 1, inter frames 5\n' in run('info', 'out.m2tv')[0], 'the frames are coded as if they were new')
    expect(max(map(len, units(read('out.m2tv'))[1:])) < 32, 'frames without change are large')
    expect(b'key, inter' not in run('info', '-v', 'out.m2tv')[0], 'a key frame leans on another')
    encode('still.y4m', 'alone.m2tv', '-k', 1)
    run('decode', 'out.m2tv', 'out.y4m')
    run('decode', 'alone.m2tv', 'alone.y4m')
    expect(read('out.y4m') == read('alone.y4m'), 'they decode to something else')


@test
def slices():
    clip(3, 48, 50, '--slices', 3, '-k', 1)
    expect(b'slices     3\n' in run('info', 'clip.m2tv')[0], 'there are not three')
    run('decode', 'clip.m2tv', 'out.y4m')
    encode('clip.y4m', 'out.m2tv', '-s', 5, status=1, message='at most 4')
    frame = b'FRAME\n' + planes(48, 50, 1)
    write('still.y4m', b'YUV4MPEG2 W48 H50 F25:1 Ip C420jpeg\n' + 8 * frame)
    encode('still.y4m', 'out.m2tv', '-s', 3, '-k', 4, '--intra-refresh')
    expect(b'frames     8, key frames 7, inter frames 7\n' in run('info', 'out.m2tv')[0], 'decoding cannot start where a slice is refreshed')
    write('late.m2tv', b''.join(units(read('out.m2tv'))[5:]))
    run('decode', 'out.m2tv', 'out.y4m')
    run('decode', 'late.m2tv', 'late.y4m', status=1, message='late.m2tv: frame 1: 2 of 3 slices are missing')
    expect(parse(read('late.y4m'))[1][2] == parse(read('out.y4m'))[1][7], 'the picture is not whole after the key interval')


@test
def presets():
    medium = clip(2, 401, 283)
    encode('clip.y4m', 'out.m2tv', '--preset', 'medium')
    expect(read('out.m2tv') == medium, 'medium is not the default')
    encode('clip.y4m', 'out.m2tv', '-p', 'fast')
    expect(read('out.m2tv') != medium, 'fast makes no difference')
    run('decode', 'out.m2tv', 'out.y4m')
    encode('clip.y4m', 'out.m2tv', '-p', 'slow')
    expect(read('out.m2tv') != medium, 'slow makes no difference')
    run('decode', 'out.m2tv', 'out.y4m')
    encode('clip.y4m', 'out.m2tv', '--preset', 'hasty', status=2, message="there is no preset 'hasty'; there are: fast, medium, slow")


@test
def threads_and_backends_make_the_same_bytes():
    stream = clip(2, 161, 83)
    names = run('md5', '--backend', '?', '-', status=2, message='there are: ')[1].split('there are: ')[1].strip().split(', ')
    sums = set()
    for backend in names:
        for threads in (1, 2, 3, 64):
            encode('clip.y4m', 'out.m2tv', '--backend', backend, '--threads', threads)
            expect(read('out.m2tv') == stream, f'backend {backend}, {threads} threads: the stream differs')
            sums.add(run('md5', '--backend', backend, '--threads', threads, 'clip.m2tv')[0])
    expect(len(sums) == 1, 'the decoded planes differ')


@test
def verbose_summary():
    clip()
    error = encode('clip.y4m', 'out.m2tv', '-v', message='m2t: encoded 3 frames, 48x32, ')[1]
    expect('kbit/s' in error and 'bit/px' in error and 'frames/s' in error, error)
    run('decode', '-v', 'clip.m2tv', 'out.y4m', message='m2t: decoded 3 frames, 48x32, ')


@test
def input_that_cannot_be_read():
    run('encode', 'missing.y4m', 'out.m2tv', status=1, message='m2t: missing.y4m: No such file or directory')
    run('decode', 'missing.m2tv', 'out.y4m', status=1, message='m2t: missing.m2tv: No such file or directory')
    run('encode', '.', 'out.m2tv', status=1, message='m2t: .: Is a directory')
    run('info', 'missing.m2tv', status=1, message='m2t: missing.m2tv: No such')
    expect(not os.path.exists('out.m2tv') and not os.path.exists('out.y4m'), 'an output file was made')


@test
def y4m_headers_that_are_refused():
    for header, message in (
            (b'', 'not a Y4M file'),
            (b'RIFF....', 'not a Y4M file'),
            (b'YUV4MPEG2 W32 H16', 'truncated'),
            (b'YUV4MPEG2 W32 H16 X' + b'x' * 5000 + b'\n', 'longer than 1023 bytes'),
            (b'YUV4MPEG2 W32\0 H16\n', 'zero byte'),
            (b'YUV4MPEG2\n', 'size is 0x0'),
            (b'YUV4MPEG2 W32\n', 'size is 32x0'),
            (b'YUV4MPEG2 W15 H16\n', 'size is 15x16'),
            (b'YUV4MPEG2 W8193 H16\n', 'size is 8193x16'),
            (b'YUV4MPEG2 W99999999999 H16\n', "bad value 'W99999999999'"),
            (b'YUV4MPEG2 W-32 H16\n', "bad value 'W-32'"),
            (b'YUV4MPEG2 W32 H16 W32\n', 'W twice'),
            (b'YUV4MPEG2 W32 H16 F25\n', "bad value 'F25'"),
            (b'YUV4MPEG2 W32 H16 F25:0\n', "bad value 'F25:0'"),
            (b'YUV4MPEG2 W32 H16 A1:2:3\n', "bad value 'A1:2:3'"),
            (b'YUV4MPEG2 W32 H16 It\n', 'interlaced video (It)'),
            (b'YUV4MPEG2 W32 H16 Im\n', 'interlaced video (Im)'),
            (b'YUV4MPEG2 W32 H16 Iq\n', "bad value 'Iq'"),
            (b'YUV4MPEG2 W32 H16 C420p10\n', 'C420p10 is not supported'),
            (b'YUV4MPEG2 W32 H16 C444\n', 'C444 is not supported'),
            (b'YUV4MPEG2 W32 H16 Z1\n', "unknown field 'Z1'")):
        write('in.y4m', header)
        encode('in.y4m', 'out.m2tv', status=1, message=message)
        expect(not os.path.exists('out.m2tv'), f'{header}: an output file was made')


@test
def y4m_frames_that_are_damaged():
    whole = y4m(32, 16, 3)
    for data, message, frames in (
            (whole[:-1], 'm2t: in.y4m: frame 3 is truncated', 2),
            (whole + b'FRA', 'm2t: in.y4m: frame 4 is truncated', 3),
            (whole + b'FRAME\n', 'm2t: in.y4m: frame 4 is truncated', 3),
            (whole + b'GRAME\n', 'm2t: in.y4m: frame 4 does not start with a FRAME line', 3),
            (whole + b'FRAME X' + b'x' * 1000 + b'\n', 'm2t: in.y4m: frame 4 has a FRAME line longer than 255 bytes', 3)):
        write('in.y4m', data)
        error = encode('in.y4m', 'out.m2tv', status=1, message=message)[1]
        expect(f'm2t: out.m2tv: incomplete, {frames} whole frames' in error, error)
        expect(len(units(read('out.m2tv'))) == frames, 'whole frames got lost')
    os.remove('out.m2tv')
    for data, message in ((y4m(32, 16, 0), 'there is no frame in it'), (y4m(32, 16, 1)[:-1], 'frame 1 is truncated')):
        write('in.y4m', data)
        encode('in.y4m', 'out.m2tv', status=1, message=message)
        expect(not os.path.exists('out.m2tv'), 'an output file without frames was left')


@test
def output_that_cannot_be_written():
    clip()
    encode('clip.y4m', 'nowhere/out.m2tv', status=1, message='m2t: nowhere/out.m2tv: No such file or directory')
    encode('clip.y4m', 'clip.y4m', status=1, message='m2t: clip.y4m: is the input as well')
    run('decode', 'clip.m2tv', './clip.m2tv', status=1, message='is the input as well')
    expect(len(read('clip.y4m')) > 0 and len(read('clip.m2tv')) > 0, 'the input was overwritten')
    if os.path.exists('/dev/full'):
        encode('clip.y4m', '/dev/full', status=1, message='m2t: /dev/full: No space left on device')
        run('decode', 'clip.m2tv', '/dev/full', status=1, message='m2t: /dev/full: No space left on device')
        with open('/dev/full', 'wb') as full:
            for command in (('info', 'clip.m2tv'), ('md5', 'clip.m2tv'), ('decode', 'clip.m2tv', '-'), ('--version',), ('--help',)):
                done = subprocess.run([M2T, *command], stdout=full, stderr=subprocess.PIPE, check=False)
                expect(done.returncode == 1 and b'standard output: No space left' in done.stderr, f'{command}: {done}')


@test
def standard_files_that_are_closed():
    clip()
    shell = lambda words: subprocess.run(['sh', '-c', f'"$0" {words}', M2T], capture_output=True, timeout=120, check=False)
    done = shell(f'encode -v --model {shlex.quote(MODEL)} - out.m2tv <clip.y4m 2>&-')
    expect(done.returncode == 0, f'without stderr: {done}')
    encode('clip.y4m', 'clip.m2tv')
    expect(read('out.m2tv') == read('clip.m2tv'), 'messages stand in the output')
    done = shell('decode clip.m2tv - >&-')
    expect(done.returncode == 1 and b'standard output: Bad file descriptor' in done.stderr, f'without stdout: {done}')


@test
def a_reader_that_goes_away():
    clip(8, 161, 83)
    with subprocess.Popen([M2T, 'decode', 'clip.m2tv', '-'], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as decoder:
        decoder.stdout.read(10)
        decoder.stdout.close()
        expect(decoder.wait(timeout=60) != 0, 'the broken pipe was not noticed')


@test
def models_that_are_not_there():
    clip()
    run('encode', '--model', 'imaginary', 'clip.y4m', 'out.m2tv', status=1, message='imaginary')
    run('encode', '--model', './clip.y4m', 'clip.y4m', 'out.m2tv', status=1, message='m2t: ')
    run('decode', '--model', 'nowhere/tiny.m2tw', 'clip.m2tv', 'out.y4m', status=1, message='nowhere/tiny.m2tw')
    expect(not os.path.exists('out.m2tv') and not os.path.exists('out.y4m'), 'an output file was made')
    os.mkdir('empty')
    environment = {**os.environ, 'M2T_MODEL_PATH': 'empty'}
    done = subprocess.run([M2T, 'decode', 'clip.m2tv', 'out.y4m'], env=environment, capture_output=True, check=False)
    expect(done.returncode == 1 and not os.path.exists('out.y4m'), f'decoded without the model: {done}')


@test
def models_and_info():
    listed = run('models')[0].decode()
    expect(MODEL in listed and 'name       tiny' in listed, listed)
    text = run('info', MODEL)[0].decode()
    expect('identity   ' in text and f'bytes      {os.path.getsize(MODEL)}' in text, text)
    identity = text.split('identity   ')[1].split('\n')[0]
    write('in.y4m', y4m(48, 32, 2, 'F30000:1001 A4:3 C420mpeg2 XCOLORRANGE=LIMITED'))
    encode('in.y4m', 'out.m2tv', '-q', '10.5')
    text = run('info', 'out.m2tv')[0].decode()
    for part in ('size       48x32, pixel aspect 4:3', 'rate       30000/1001 frames/s', 'range limited', 'cosited horizontally',
                 identity, 'frames     2, key frames 2', 'quantizer  10.5\n', 'kbit/s'):
        expect(part in text, f'no "{part}" in {text}')
    expect(run('info', '-v', 'out.m2tv')[0].count(b'  frame ') == 2, 'not one line for each frame')


def damage(stream, number, offset=-1):
    """Flips a bit in unit @number (from 0)."""
    parts = units(stream)
    unit = bytearray(parts[number])
    unit[offset] ^= 0x10
    parts[number] = bytes(unit)
    return MAGIC + b''.join(parts)


@test
def damaged_frames_are_left_out():
    stream = clip(4)
    run('decode', 'clip.m2tv', 'whole.y4m')
    whole = parse(read('whole.y4m'))[1]
    for number in range(4):
        for offset in (-1, 10, -20):
            write('bad.m2tv', damage(stream, number, offset))
            run('decode', 'bad.m2tv', 'out.y4m', status=1, message=f'm2t: bad.m2tv: frame {number + 1}: ')
            expect(parse(read('out.y4m'))[1] == whole[:number] + whole[number + 1:], f'frame {number + 1}: the others changed')
    run('info', 'bad.m2tv')
    run('md5', 'bad.m2tv', status=1, message='frame 4')


@test
def frames_and_slices_that_are_missing():
    """As after loss in a network: it is said, and what lacks something is written as it is."""
    pictures = [planes(48, 96, 0)[:48 * 80] + planes(48, 96, i)[48 * 80:] for i in range(6)]    # what changes are the last rows of luma, and chroma
    write('clip.y4m', b'YUV4MPEG2 W48 H96 F25:1 Ip C420jpeg\n' + b''.join(b'FRAME\n' + picture for picture in pictures))
    encode('clip.y4m', 'clip.m2tv', '--slices', '2')
    parts = units(read('clip.m2tv'))
    write('bad.m2tv', MAGIC + b''.join(parts[:2] + parts[4:]))
    error = run('decode', 'bad.m2tv', 'out.y4m', status=1, message='m2t: bad.m2tv: 2 frames are missing before frame 3')[1]
    expect('frame 3: 2 of 2 slices are missing or lean on what is missing' in error and 'frame 4' not in error, error)
    expect(len(parse(read('out.y4m'))[1]) == 4, 'frames were left out')
    run('info', 'bad.m2tv', status=1, message='2 frames are missing')
    listed, error = run('md5', 'bad.m2tv', message='2 frames are missing')
    write('list.md5', listed)
    run('verify', 'list.md5', message='2 frames are missing')
    write('two.m2tv', read('clip.m2tv') + read('clip.m2tv')[len(MAGIC):])
    run('decode', 'two.m2tv', 'out.y4m')


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def unit_of(frame_type, slice_bytes):
    """A frame of one slice whose checksums are right. Nothing in it needs an escape."""
    head = bytes((frame_type, 9, 80, 1, len(slice_bytes)))
    body = head + crc32c(head).to_bytes(4, 'little')[:2] + crc32c(slice_bytes).to_bytes(4, 'little') + slice_bytes
    expect(b'\0\0' not in body, 'escapes are wanted')
    return SYNC + bytes((0x80, 0x80, 0x80, 0x80 | len(body))) + body


ALL_KEPT_AND_MORE = unit_of(1, b'\x01\x11\x22\x05')
NO_SYMBOLS = unit_of(0, b'\x55' * 20)


@test
def slices_whose_heads_are_wrong():
    stream = clip(8, 48, 32, '--key-interval', 1)
    run('decode', 'clip.m2tv', 'whole.y4m')
    parts = units(stream)
    for threads in (1, 2, 3):
        for at in (1, 2, 5):
            write('bad.m2tv', MAGIC + b''.join(parts[:at]) + ALL_KEPT_AND_MORE + b''.join(parts[at:]))
            run('decode', '--threads', threads, 'bad.m2tv', 'out.y4m', status=1, message=f'frame {at + 1}: slice 0: 1 bytes too many')
            expect(read('out.y4m') == read('whole.y4m'), f'{threads} threads: the other frames changed')


@test
def frame_limit_counts_pictures():
    stream = clip(6, 48, 32, '--key-interval', 1)
    run('decode', '-n', 3, 'clip.m2tv', 'whole.y4m')
    parts = units(stream)
    for threads in (1, 2, 4):
        for at in (1, 2, 3):
            write('bad.m2tv', MAGIC + b''.join(parts[:at]) + NO_SYMBOLS + b''.join(parts[at:]))
            bad = {'status': 1, 'message': f'frame {at + 1}: entropy coded data'} if at < 3 else {}
            run('decode', '-n', 3, '--threads', threads, 'bad.m2tv', 'out.y4m', **bad)
            expect(read('out.y4m') == read('whole.y4m'), f'{threads} threads: not the first three pictures')


@test
def frames_without_their_key_frame():
    stream = clip(6, 48, 32, '--key-interval', 3)
    write('bad.m2tv', damage(stream, 0))
    run('decode', 'bad.m2tv', 'out.y4m', status=1, message='frame 1: ')
    write('late.m2tv', b''.join(units(stream)[1:]))
    error = run('decode', 'late.m2tv', 'out.y4m', status=1, message='m2t: late.m2tv: frame 1: ')[1]
    expect('frame 2' not in error, f'said more than once: {error}')
    expect(len(parse(read('out.y4m'))[1]) == 3, 'the frames after the next key frame are not there')


@test
def garbage_between_frames():
    stream = clip(3)
    run('decode', 'clip.m2tv', 'whole.y4m')
    parts = units(stream)
    write('bad.m2tv', MAGIC + parts[0] + b'garbage' + b''.join(parts[1:]))
    run('decode', 'bad.m2tv', 'out.y4m', status=1, message='m2t: bad.m2tv: 7 bytes after frame 1 belong to no frame')
    expect(read('out.y4m') == read('whole.y4m'), 'frames got lost')
    write('bad.m2tv', stream + b'tail')
    run('decode', 'bad.m2tv', 'out.y4m', status=1, message='after frame 3 belong to no frame')
    expect(read('out.y4m') == read('whole.y4m'), 'frames got lost')


@test
def false_lengths():
    stream = clip(2)
    run('decode', 'clip.m2tv', 'whole.y4m')
    for length in (b'\x90\x80\x80\x80', b'\xff\xff\xff\xff'):
        write('bad.m2tv', MAGIC + SYNC + length + b''.join(units(stream)))
        run('decode', 'bad.m2tv', 'out.y4m', status=1, message='belong to no frame')
        expect(read('out.y4m') == read('whole.y4m'), 'frames got lost')


@test
def truncated_streams():
    stream = clip(3)
    last = len(units(stream)[-1])
    for missing in (1, last // 2, last - 9, last - 8, last - 4):
        write('bad.m2tv', stream[:-missing])
        run('decode', 'bad.m2tv', 'out.y4m', status=1, message='m2t: bad.m2tv: frame 3: truncated')
        expect(len(parse(read('out.y4m'))[1]) == 2, 'whole frames got lost')
    write('bad.m2tv', stream[:len(MAGIC) + 30])
    os.remove('out.y4m')
    run('decode', 'bad.m2tv', 'out.y4m', status=1, message='no frame could be decoded')
    expect(not os.path.exists('out.y4m'), 'an output file without frames was left')


@test
def a_frame_that_lost_its_end():
    stream = clip(3)
    parts = units(stream)
    write('bad.m2tv', MAGIC + parts[0] + parts[1][:-5] + parts[2])
    run('decode', 'bad.m2tv', 'out.y4m', status=1, message='after frame 1 belong to no frame')
    expect(len(parse(read('out.y4m'))[1]) == 2, 'the frame behind it got lost')


@test
def files_that_are_no_streams():
    clip()
    for data in (b'', b'x', b'RIFF' * 1000, read('clip.y4m'), bytes(5000)):
        write('bad.m2tv', data)
        run('decode', 'bad.m2tv', 'out.y4m', status=1, message='not an M2T stream')
        run('info', 'bad.m2tv', status=1, message='not an M2T stream')
        expect(not os.path.exists('out.y4m'), 'an output file was made')
    write('bad.m2tv', MAGIC)
    run('decode', 'bad.m2tv', 'out.y4m', status=1, message='no frame could be decoded')


@test
def streams_joined_late_or_one_after_the_other():
    stream = clip(3)
    write('late.m2tv', b''.join(units(stream)[1:]))
    run('decode', 'late.m2tv', 'out.y4m')
    expect(len(parse(read('out.y4m'))[1]) == 2, 'a stream without magic does not decode')
    write('both.m2tv', stream + stream)
    run('decode', 'both.m2tv', 'out.y4m')
    expect(len(parse(read('out.y4m'))[1]) == 6, 'two streams one after the other do not decode')
    write('both.m2tv', stream + clip(1, 64, 32))
    run('decode', 'both.m2tv', 'out.y4m', status=1, message='frame 4: the size changes from 48x32 to 64x32')
    expect(len(parse(read('out.y4m'))[1]) == 3, 'the frames before got lost')
    run('md5', 'both.m2tv')


@test
def md5_and_verify():
    clip(2, 35, 19)
    run('decode', 'clip.m2tv', 'out.y4m')
    md5 = hashlib.md5(b''.join(parse(read('out.y4m'))[1])).hexdigest()
    expect(run('md5', 'clip.m2tv')[0].decode() == f'{md5}  clip.m2tv\n', 'the MD5 is not that of the planes')
    os.mkdir('list')
    os.rename('clip.m2tv', 'list/clip.m2tv')
    write('list/good', f'# streams\n\n{md5}  clip.m2tv\n{md5.upper()}  {os.path.abspath("list/clip.m2tv")}\n'.encode())
    expect(run('verify', 'list/good')[0].count(b': OK\n') == 2, 'good streams fail')
    write('list/bad', f'{"0" * 32}  clip.m2tv\n{md5}  clip.m2tv\n{md5}  missing.m2tv\n'.encode())
    out = run('verify', 'list/bad', status=1, message='2 of 3 streams failed')[0].decode()
    expect('clip.m2tv: FAILED' in out and 'clip.m2tv: OK' in out and 'missing.m2tv: FAILED' in out, out)
    for text in (b'nonsense\n', md5.encode() + b'\n', md5[1:].encode() + b'  clip.m2tv\n', md5.encode() + b'   \n'):
        write('list/ugly', text)
        run('verify', 'list/ugly', status=1, message='line 1 is not of the form')
    write('list/empty', b'# nothing\n')
    run('verify', 'list/empty', status=1, message='there is no stream in it')
    run('verify', 'list/missing', status=1, message='list/missing')
    run('verify', 'list', status=1, message='Is a directory')
    os.rename('list/clip.m2tv', 'clip.m2tv')
    expect(run('verify', '-', stdin=run('md5', 'clip.m2tv')[0])[0] == b'clip.m2tv: OK\n', 'a list through a pipe fails')
    run('verify', '-', stdin=f'{"0" * 32}  clip.m2tv\n'.encode(), status=1, message='standard input: 1 of 1 streams failed')
    run('verify', '-', stdin=b'nonsense\n', status=1, message='standard input: line 1 is not of the form')
    run('verify', '-', status=1, message='standard input: there is no stream in it')


@test
def random_damage_never_crashes():
    stream = clip(3, 48, 32, '--key-interval', 2)
    rng = random.Random(1)
    for _ in range(60):
        data = bytearray(stream)
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(len(data))
            if rng.random() < 0.5:
                data[at] = rng.randrange(256)
            else:
                del data[at:at + rng.randrange(1, 40)]
        write('bad.m2tv', data)
        done = subprocess.run([M2T, 'decode', 'bad.m2tv', 'out.y4m'], capture_output=True, timeout=60, check=False)
        expect(done.returncode in (0, 1), f'exit status {done.returncode}: {done.stderr.decode(errors="replace")}')
        expect(done.returncode == 0 or done.stderr.startswith(b'm2t: bad.m2tv: '), f'no message: {done.stderr}')


def main():
    failed = 0
    os.environ['M2T_MODEL_PATH'] = VECTORS
    print(f'1..{len(TESTS)}')
    for number, function in enumerate(TESTS, 1):
        name = function.__name__.replace('_', ' ')
        with tempfile.TemporaryDirectory() as directory:
            os.chdir(directory)
            try:
                function()
                print(f'ok {number} - {name}', flush=True)
            except (Mismatch, subprocess.TimeoutExpired, OSError, ValueError) as error:
                failed += 1
                text = str(error).replace('\n', '\n# ')
                print(f'not ok {number} - {name}\n# {text}', flush=True)
            os.chdir('/')
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
