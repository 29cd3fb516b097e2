/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slices and inter frames: the heads of slices, the plan of the prior, and whole streams: those of the reference, with any number of
 * threads and of frames in flight; what a loss does, how far it reaches, how it is noticed, and when it has healed. */
#include "base/limits.h"
#include "bitstream/frame.h"
#include "clips.h"
#include "codec/codec.h"
#include "inter/kept.h"
#include "planes.h"
#include "refine/refine.h"
#include "vectors.h"

#include <m2t/m2t.h>
#include <string.h>

static M2tModel *tiny, *mt;
static Vectors headers, refused;
static GRand *rng;

/* ---- heads ---- */

static void
check_head(const guint8 *data, gsize size, const guint8 *kept, int tokens, guint16 reference)
{
    g_autofree guint8 *back = g_malloc0(tokens);
    const guint8 *at = data;
    M2tKeptHead head;

    g_assert_true(m2t_kept_read(&at, data + size, back, tokens, &head));
    g_assert_true(at == data + size);
    g_assert_cmpmem(back, tokens, kept, tokens);
    g_assert_true(head.leans == m2t_tokens_any(kept, tokens, M2T_TOKEN_KEPT));
    if (head.leans)
        g_assert_cmphex(head.reference, ==, reference);
    for (gsize less = 0; less < size; less++) {
        at = data;
        g_assert_false(m2t_kept_read(&at, data + less, back, tokens, &head));
    }
}

static void
test_golden_heads(void)
{
    for (int i = 0; i < 12; i++) {
        g_autofree char *name = g_strdup_printf("head-%d", i);
        g_autoptr(GByteArray) out = g_byte_array_new();
        guint16 reference = (guint16) vectors_int(&headers, name, "reference");
        gsize tokens, size;
        const guint8 *kept = vectors_find(&headers, name, "kept", &tokens), *data = vectors_find(&headers, name, "data", &size);

        m2t_kept_write(out, kept, (int) tokens, reference);
        g_assert_cmpmem(out->data, out->len, data, size);
        check_head(data, size, kept, (int) tokens, reference);
    }
}

/* Runs of any length, from none kept to all. */
static void
test_heads(void)
{
    guint8 kept[600];

    for (int turn = 0; turn < 3000; turn++) {
        int tokens = g_rand_int_range(rng, 1, sizeof kept + 1), all = 0;
        double change = g_rand_double(rng) * g_rand_double(rng);
        guint8 now = (guint8) g_rand_boolean(rng);
        g_autoptr(GByteArray) out = g_byte_array_new();

        for (int i = 0; i < tokens; i++) {
            now ^= g_rand_double(rng) < change;
            kept[i] = now;
            all += now;
        }
        g_assert_true(m2t_tokens_any(kept, tokens, M2T_TOKEN_KEPT) == (all > 0) && m2t_tokens_all(kept, tokens, M2T_TOKEN_KEPT) == (all == tokens));
        m2t_kept_write(out, kept, tokens, (guint16) turn);
        check_head(out->data, out->len, kept, tokens, (guint16) turn);
    }
}

/* Anything at all: it is refused, or it is the map of so many tokens that are kept or not. */
static void
test_hostile_heads(void)
{
    guint8 kept[40 + 1], data[24];
    int taken = 0;

    for (int turn = 0; turn < 50000; turn++) {
        int tokens = g_rand_int_range(rng, 1, 41), size = g_rand_int_range(rng, 0, sizeof data + 1);
        const guint8 *at = data;
        M2tKeptHead head;

        for (int i = 0; i < size; i++)
            data[i] = (guint8) (g_rand_int_range(rng, 0, 9) ? g_rand_int_range(rng, 0, 8) : g_rand_int_range(rng, 0, 256));
        memset(kept, 0xee, sizeof kept);
        if (m2t_kept_read(&at, data + size, kept, tokens, &head)) {
            taken++;
            g_assert_true(at > data && at <= data + size);
            for (int i = 0; i < tokens; i++)
                g_assert_cmpuint(kept[i], <=, 1);
        }
        g_assert_cmphex(kept[tokens], ==, 0xee);
    }
    g_assert_cmpint(taken, >, 250);
}

static void
test_refused_heads(void)
{
    static const struct {
        const char *data;
        gsize size;
    } bad[] = { /* of six tokens */
        {"", 0}, {"\x80", 1}, {"\x80\x00", 2}, {"\x01", 1}, {"\x01\x34", 2},
        {"\x03\x34\x12\x00", 4}, {"\x02\x34\x12\x06", 4}, {"\x02\x34\x12\x07", 4}, {"\x03\x34\x12\x01\x00", 5},
        {"\x04\x34\x12\x00\x01\x00", 6}, {"\x03\x34\x12\x05\x01", 5}, {"\x02\x34\x12\xff\xff\xff\xff\x0f", 8},
        {"\xff\xff\xff\xff\x0f\x34\x12\x00\x01\x01\x01\x01\x01\x01", 14}, {"\x07\x34\x12\x01\x01\x01\x01\x01\x01", 9},
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree guint8 *copy = g_memdup2(bad[i].data, MAX(bad[i].size, 1));
        const guint8 *at = copy;
        guint8 kept[6];
        M2tKeptHead head;

        g_assert_false(m2t_kept_read(&at, copy + bad[i].size, kept, sizeof kept, &head));
    }
}

/* ---- plan ---- */

static void
no_layout(M2tCodec *codec, gpointer stage)
{
}

static void
open_codec(M2tCodec *codec, M2tModel *model, int width, int height, int slices)
{
    GError *error = NULL;

    m2t_codec_init(codec, model, m2t_gemm_find(NULL), 1, width, height, slices, no_layout, NULL, &error);
    g_assert_no_error(error);
}

static int
slice_of_row(const M2tPlan *plan, int slices, int row)
{
    int slice = 0;

    while (slice + 1 < slices && plan->slice_row[slice + 1] <= row)
        slice++;
    return slice;
}

/* In each group the slots of one slice stand together, slice after slice; and each token has a slot of its own, in the slice where it belongs. */
static void
check_slots(const M2tCodec *codec)
{
    const M2tPlan *plan = &codec->prior.plan;
    const M2tGeometry *g = &codec->geometry;
    int tokens = m2t_geometry_tokens(g), n = 0;
    g_autofree guint8 *seen = g_malloc0(tokens);

    for (int group = 0; group < codec->model->prior.groups; group++)
        for (int slice = 0; slice < g->slices; slice++) {
            int end = m2t_plan_slot(plan, group, slice + 1);

            g_assert_cmpint(m2t_plan_slot(plan, group, slice), ==, n);
            for (; n < end; n++) {
                const M2tSlot *slot = &plan->slot[n];

                g_assert_cmpint(codec->model->prior.group[slot->cell], ==, group);
                g_assert_cmpint(slice_of_row(plan, g->slices, slot->row), ==, slice);
                g_assert_cmpint(plan->slot_at[slot->row * plan->columns + slot->column], ==, n);
                if (slot->token < 0)
                    continue;
                g_assert_true(slot->token >= m2t_geometry_slice_token(g, slice) && slot->token < m2t_geometry_slice_token(g, slice + 1));
                g_assert_cmpint(seen[slot->token]++, ==, 0);
            }
        }
    g_assert_cmpint(n, ==, plan->slots);
    g_assert_null(memchr(seen, 0, tokens));
}

/* What enters a slot belongs to its slice, too. */
static void
check_sources(const M2tCodec *codec)
{
    const M2tPlan *plan = &codec->prior.plan;
    const M2tGeometry *g = &codec->geometry;

    for (int i = 0; i < plan->slots; i++) {
        int slice = slice_of_row(plan, g->slices, plan->slot[i].row), source = plan->slot[i].source;

        g_assert_true(source < 0 || (source >= m2t_geometry_slice_token(g, slice) && source < m2t_geometry_slice_token(g, slice + 1)));
    }
}

/* Every slot is in one window of each kind, with slots of its own slice only. */
static void
check_windows(const M2tCodec *codec, M2tLayerKind kind)
{
    const M2tPlan *plan = &codec->prior.plan;
    g_autofree guint8 *seen = g_malloc0(plan->slots);

    for (int window = 0; window < plan->windows[kind]; window++) {
        int slice = -1;

        for (int i = 0; i < M2T_CELLS; i++) {
            int slot = plan->window[kind][window * M2T_CELLS + i];

            if (slot < 0)
                continue;
            if (slice < 0)
                slice = slice_of_row(plan, codec->geometry.slices, plan->slot[slot].row);
            g_assert_cmpint(slice_of_row(plan, codec->geometry.slices, plan->slot[slot].row), ==, slice);
            g_assert_cmpint(seen[slot]++, ==, 0);
        }
    }
    g_assert_null(memchr(seen, 0, plan->slots));
}

static void
test_plan(void)
{
    static const int sizes[][3] = {{16, 16, 1}, {100, 60, 1}, {100, 60, 4}, {300, 200, 5}, {130, 131, 2}, {40, 1030, 64}, {40, 1030, 7}};

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        M2tCodec codec = {0};

        open_codec(&codec, i % 2 ? mt : tiny, sizes[i][0], sizes[i][1], sizes[i][2]);
        check_slots(&codec);
        check_sources(&codec);
        for (int kind = 0; kind < 2; kind++)
            check_windows(&codec, (M2tLayerKind) kind);
        m2t_codec_clear(&codec);
    }
}

/* ---- clips and codecs ---- */

enum { CLIP = 14, WIDTH = 75, HEIGHT = 147, SLICES = 3 }; /* ten rows of tokens, three of them in a slice or four */

/* A scene that stands still but for a square of another one, which moves about in the upper two slices. */
static void
draw_clip(Planes *clip)
{
    Planes other;

    planes_init(&other, WIDTH, HEIGHT);
    planes_draw(&other, 2);
    for (int i = 0; i < CLIP; i++) {
        planes_init(&clip[i], WIDTH, HEIGHT);
        planes_draw(&clip[i], 1);
        for (int y = 10 + 5 * i; y < 42 + 5 * i; y++)
            memcpy(clip[i].picture.data[0] + y * WIDTH + 3 * i, other.picture.data[0] + y * WIDTH + 3 * i, 30);
    }
    planes_clear(&other);
}

static M2tEncoder *
open_encoder(const M2tEncoderSettings *settings)
{
    return clips_open_encoder(tiny, WIDTH, HEIGHT, settings);
}

static GPtrArray *
encode_clip(const Planes *clip, const M2tEncoderSettings *settings)
{
    g_autoptr(M2tEncoder) encoder = open_encoder(settings);

    return clips_encode(encoder, clip, CLIP);
}

static M2tEncoderSettings
settings_of(guint key_interval, gboolean intra_refresh)
{
    M2tEncoderSettings settings;

    m2t_encoder_settings_init(&settings);
    settings.quantizer = 16;
    settings.threads = 1;
    settings.slices = SLICES;
    settings.key_interval = key_interval;
    settings.intra_refresh = intra_refresh;
    return settings;
}

static GPtrArray *
encode_moving(guint key_interval, gboolean intra_refresh)
{
    M2tEncoderSettings settings = settings_of(key_interval, intra_refresh);
    Planes clip[CLIP];
    GPtrArray *packets;

    draw_clip(clip);
    packets = encode_clip(clip, &settings);
    clips_clear(clip, CLIP);
    return packets;
}

/* All of them, as they should be. */
static void
decode_clip(GPtrArray *packets, Planes *out)
{
    g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, 1, 1);

    for (guint i = 0; i < packets->len; i++) {
        planes_init(&out[i], WIDTH, HEIGHT);
        g_assert_cmpuint(clips_decode(decoder, packets->pdata[i], &out[i]), ==, 0);
    }
}

static gboolean
leans(GBytes *packet, guint slice)
{
    M2tSliceBytes slices[M2T_SLICES_MAX];
    M2tFrameHeader header;
    const guint8 *data = clips_find_slice(packet, slice, &header, slices);

    return header.inter && data[0] != 0;
}

/* With a bit of slice @slice turned over. */
static GBytes *
with_damage(GBytes *packet, guint slice)
{
    M2tSliceBytes slices[M2T_SLICES_MAX];
    M2tFrameHeader header;
    gsize at = (gsize) (clips_find_slice(packet, slice, &header, slices) - (const guint8 *) g_bytes_get_data(packet, NULL));
    guint8 *copy = g_memdup2(g_bytes_get_data(packet, NULL), g_bytes_get_size(packet));

    copy[at + slices[slice].size / 2] ^= 4;
    return g_bytes_new_take(copy, g_bytes_get_size(packet));
}

/* With symbols of slice @slice that are none, although its checksum holds. */
static GBytes *
broken_inside(GBytes *packet, guint slice)
{
    M2tSliceBytes slices[M2T_SLICES_MAX];
    M2tFrameHeader header;
    const guint8 *data = clips_find_slice(packet, slice, &header, slices);
    g_autofree guint8 *copy = g_memdup2(data, slices[slice].size);
    GByteArray *out = g_byte_array_new();

    copy[slices[slice].size - 1] ^= 0x55;
    slices[slice] = (M2tSliceBytes) {copy, slices[slice].size, m2t_crc32c(copy, slices[slice].size)};
    m2t_frame_write(out, &header, slices);
    return g_byte_array_free_to_bytes(out);
}

/* ---- whole streams ---- */

/* Packets do not depend on threads. Some of the slices lean on the frame before, the lowest one always; some do not. */
static void
test_encoder_threads(void)
{
    Planes clip[CLIP];

    draw_clip(clip);
    for (int refresh = 0; refresh < 2; refresh++) {
        M2tEncoderSettings settings = settings_of(5, refresh);
        g_autoptr(GPtrArray) expected = encode_clip(clip, &settings);

        g_assert_true(leans(expected->pdata[1], 2));
        g_assert_true(leans(expected->pdata[5], 2) == refresh);
        for (settings.threads = 2; settings.threads <= 4; settings.threads++) {
            g_autoptr(GPtrArray) got = encode_clip(clip, &settings);

            clips_expect_same(got, expected);
        }
    }
    clips_clear(clip, CLIP);
}

/* The preset that looks at its own pictures does not depend on which frame in flight a frame is coded by, nor on threads: what is kept
 * goes with it. With a bitrate, frames are coded twice, and some not at all. */
static void
test_refined(void)
{
    Planes clip[CLIP];

    draw_clip(clip);
    for (int mode = M2T_RATE_CONTROL_CQP; mode <= M2T_RATE_CONTROL_CBR; mode++) {
        M2tEncoderSettings settings = settings_of(0, FALSE);
        g_autoptr(GPtrArray) expected = NULL, medium = NULL;

        settings.rate_control = (M2tRateControl) mode;
        settings.bitrate = 50;
        settings.vbv_buf_capacity = 100;
        medium = encode_clip(clip, &settings);
        settings.speed_preset = M2T_SPEED_PRESET_SLOW;
        expected = encode_clip(clip, &settings);
        g_assert_true(leans(expected->pdata[1], 2));
        g_assert_false(g_bytes_equal(expected->pdata[0], medium->pdata[0]));
        for (settings.frames = 1; settings.frames <= 3; settings.frames++) {
            g_autoptr(GPtrArray) got = NULL;

            settings.threads = settings.frames;
            got = encode_clip(clip, &settings);
            clips_expect_same(got, expected);
        }
    }
    clips_clear(clip, CLIP);
}

static void
take_packet(M2tEncoder *encoder, GPtrArray *packets)
{
    M2tPacket packet;

    g_assert_true(m2t_encoder_finish(encoder, &packet, NULL));
    g_ptr_array_add(packets, g_bytes_new(packet.data, packet.size));
}

/* Two pictures by turns, with so many frames in flight; some frames lean on the one before, some do not. */
static GPtrArray *
encode_by_turns(Planes *clip, guint frames)
{
    static const guint key_interval[] = {60, 1, 60, 60, 1, 1, 60};
    GPtrArray *packets = g_ptr_array_new_with_free_func((GDestroyNotify) g_bytes_unref);
    M2tEncoderSettings settings = settings_of(60, FALSE);
    g_autoptr(M2tEncoder) encoder = NULL;

    settings.threads = settings.frames = frames;
    encoder = open_encoder(&settings);
    for (guint i = 0; i < G_N_ELEMENTS(key_interval); i++) {
        m2t_encoder_set_key_interval(encoder, key_interval[i]);
        g_assert_true(m2t_encoder_start(encoder, &clip[i % 2 ? CLIP - 1 : 0].picture, FALSE, NULL));
        if (m2t_encoder_pending(encoder) == frames)
            take_packet(encoder, packets);
    }
    while (m2t_encoder_pending(encoder) > 0)
        take_packet(encoder, packets);
    return packets;
}

/* A frame on its own between others that lean on the one before does not disturb them, however many are in flight. */
static void
test_key_interval_changes(void)
{
    g_autoptr(GPtrArray) expected = NULL, got = NULL;
    Planes clip[CLIP];

    draw_clip(clip);
    expected = encode_by_turns(clip, 1);
    got = encode_by_turns(clip, 2);
    clips_expect_same(got, expected);
    clips_clear(clip, CLIP);
}

/* Nothing changes: nothing is coded, and all pictures are the first one. */
static void
test_still(void)
{
    M2tEncoderSettings settings = settings_of(CLIP, FALSE);
    g_autoptr(GPtrArray) packets = NULL;
    Planes clip[CLIP];

    draw_clip(clip);
    for (int i = 1; i < CLIP; i++)
        memcpy(clip[i].memory, clip[0].memory, clip[0].size);
    packets = encode_clip(clip, &settings);
    clips_clear(clip, CLIP);
    decode_clip(packets, clip);
    for (int i = 1; i < CLIP; i++) {
        g_assert_cmpuint(g_bytes_get_size(packets->pdata[i]), <, 40);
        g_assert_true(planes_same(&clip[i], &clip[0]));
    }
    clips_clear(clip, CLIP);
}

/* What is taken over saves bits and does not cost quality that one could see. */
static void
test_moving(void)
{
    g_autoptr(GPtrArray) inter = encode_moving(CLIP, FALSE), alone = encode_moving(1, FALSE);
    Planes in[CLIP], a[CLIP], b[CLIP];
    gsize bytes[2] = {0, 0};

    draw_clip(in);
    decode_clip(inter, a);
    decode_clip(alone, b);
    for (int i = 0; i < CLIP; i++) {
        bytes[0] += g_bytes_get_size(inter->pdata[i]);
        bytes[1] += g_bytes_get_size(alone->pdata[i]);
        g_assert_cmpfloat(planes_psnr(&in[i], &a[i]), >, planes_psnr(&in[i], &b[i]) - 1);
    }
    g_assert_cmpuint(2 * bytes[0], <, bytes[1]);
    clips_clear(in, CLIP);
    clips_clear(a, CLIP);
    clips_clear(b, CLIP);
}

/* MD5 that the list of the conformance streams has for @name. Free with g_free(). */
static char *
listed_md5(const char *name)
{
    g_autofree char *path = vectors_path("conformance/conformance.md5"), *text = NULL;
    const char *at;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    at = strstr(text, name);
    g_assert_nonnull(at);
    return g_strndup(at - 2 - 32, 32);
}

static GPtrArray *
read_packets(const char *name)
{
    g_autofree char *file = g_strconcat("conformance/", name, NULL), *path = vectors_path(file), *data = NULL;
    GPtrArray *packets = g_ptr_array_new_with_free_func((GDestroyNotify) g_bytes_unref);
    gsize size, skip, unit;

    g_assert_true(g_file_get_contents(path, &data, &size, NULL));
    for (gsize at = 0; m2t_stream_find(data + at, size - at, &skip, &unit) == M2T_STREAM_UNIT; at += skip + unit) {
        GByteArray *packet = g_byte_array_new();

        m2t_stream_unescape(packet, data + at + skip, unit);
        g_ptr_array_add(packets, g_byte_array_free_to_bytes(packet));
    }
    return packets;
}

/* Of all pictures, decoded with as many in flight as can be. */
static char *
decoded_md5(M2tDecoder *decoder, GPtrArray *packets)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_MD5);
    g_autofree Planes *out = g_new0(Planes, packets->len);

    for (guint i = 0, finished = 0; finished < packets->len;) {
        M2tFrameInfo info;

        if (i < packets->len && m2t_decoder_pending(decoder) < m2t_decoder_frames(decoder)) {
            g_assert_true(m2t_decoder_open_frame(decoder, g_bytes_get_data(packets->pdata[i], NULL), g_bytes_get_size(packets->pdata[i]), &info, NULL));
            planes_init(&out[i], (int) info.video.width, (int) info.video.height);
            g_assert_true(m2t_decoder_start(decoder, &out[i++].picture, NULL));
        } else {
            g_assert_true(m2t_decoder_finish(decoder, NULL));
            g_checksum_update(sum, out[finished].memory, (gssize) out[finished].size);
            planes_clear(&out[finished++]);
        }
    }
    return g_strdup(g_checksum_get_string(sum));
}

static void
draw_noise(Planes *picture, int rows)
{
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < WIDTH; i++)
            picture->picture.data[0][row * picture->picture.stride[0] + i] = (guint8) g_rand_int_range(rng, 0, 256);
}

/* Where a frame that keeps some tokens is larger than the whole one before, the next fifty keep most of them or none. */
static void
test_kept_in_vain(void)
{
    enum { FRAMES = 54, LITTLE_CHANGES = 3 };
    M2tEncoderSettings settings = settings_of(1000, FALSE);
    g_autoptr(GPtrArray) packets = NULL;
    g_autoptr(M2tEncoder) encoder = open_encoder(&settings);
    Planes clip[FRAMES];

    for (int i = 0; i < FRAMES; i++) {
        planes_init(&clip[i], WIDTH, HEIGHT);
        memset(clip[i].memory, 128, clip[i].size);
        if (i == LITTLE_CHANGES)
            memcpy(clip[i].memory, clip[i - 1].memory, clip[i].size);
        draw_noise(&clip[i], i == 0 ? 0 : i == LITTLE_CHANGES ? 16 : HEIGHT / 2);
    }
    packets = clips_encode(encoder, clip, FRAMES);
    for (guint i = 0; i < FRAMES; i++) {
        M2tSliceBytes slices[M2T_SLICES_MAX];
        M2tFrameHeader header;

        clips_find_slice(packets->pdata[i], 0, &header, slices);
        g_assert_cmpint(header.inter, ==, i == 1 || i == LITTLE_CHANGES || i > 51);
    }
    clips_clear(clip, FRAMES);
}

/* Streams of the reference, some with slices lost, decode to its pictures. */
static void
test_reference_streams(void)
{
    static const char *const names[] = {"tiny-slices.m2tv", "tiny-slices-64.m2tv", "tiny-inter.m2tv", "tiny-inter-one.m2tv", "tiny-refresh.m2tv",
                                        "tiny-joined.m2tv", "tiny-missing.m2tv", "tiny-missing-refresh.m2tv", "tiny-exact.m2tv",
                                        "tiny-exact-missing.m2tv", "mt-inter.m2tv"};
    static const guint threads_frames[][2] = {{1, 1}, {3, 1}, {2, 2}, {5, 3}};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *expected = listed_md5(names[i]);
        g_autoptr(GPtrArray) packets = read_packets(names[i]);

        for (guint j = 0; j < G_N_ELEMENTS(threads_frames); j++) {
            g_autoptr(M2tDecoder) decoder = clips_open_decoder(*names[i] == 'm' ? mt : tiny, threads_frames[j][0], threads_frames[j][1]);
            g_autofree char *md5 = decoded_md5(decoder, packets);

            g_assert_cmpstr(md5, ==, expected);
        }
    }
}

/* ---- loss ---- */

/* How many luma rows synthesis and filter carry what is in one token beyond it; a block of the filter looks at the row beside it. */
static int
reach(void)
{
    return 16 * tiny->synthesis.blocks16 + 8 * tiny->synthesis.blocks8 + 4;
}

/* Luma rows [@begin, @end) may differ, with what the synthesis makes of it; no others, and these do. */
static void
expect_damage_between(const Planes *got, const Planes *expected, int begin, int end)
{
    gboolean differ = FALSE;

    for (int y = 0; y < HEIGHT; y++) {
        gboolean differs = memcmp(got->memory + y * WIDTH, expected->memory + y * WIDTH, WIDTH) != 0;

        differ = differ || (differs && y >= begin && y < end);
        g_assert_true(!differs || (y >= begin - reach() && y < end + reach()));
    }
    g_assert_true(differ);
}

/* A slice that is lost costs its own band, until it stands alone. */
static void
test_lost_slice(void)
{
    g_autoptr(GPtrArray) packets = encode_moving(6, FALSE);
    M2tGeometry geometry;
    Planes whole[CLIP], out;

    m2t_geometry_init(&geometry, WIDTH, HEIGHT, SLICES);
    decode_clip(packets, whole);
    planes_init(&out, WIDTH, HEIGHT);
    for (guint lost = 0; lost < 2; lost++) { /* in the lowest one nothing happens */
        int begin = 16 * m2t_geometry_slice_row(&geometry, (int) lost), end = 16 * m2t_geometry_slice_row(&geometry, (int) lost + 1);
        g_autoptr(GBytes) lossy = clips_without_slice(packets->pdata[2], lost);
        g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, 2, 1);
        gboolean damaged = TRUE;

        for (int i = 0; i < 2; i++)
            g_assert_cmpuint(clips_decode(decoder, packets->pdata[i], &out), ==, 0);
        g_assert_cmpuint(clips_decode(decoder, lossy, &out), ==, 1);
        expect_damage_between(&out, &whole[2], begin, end);
        for (int i = 3; i < 6; i++) {
            damaged = damaged && leans(packets->pdata[i], lost);
            g_assert_cmpuint(clips_decode(decoder, packets->pdata[i], &out), ==, damaged);
            g_assert_true(damaged || planes_same(&out, &whole[i]));
        }
        g_assert_cmpuint(clips_decode(decoder, packets->pdata[6], &out), ==, 0);
        g_assert_true(planes_same(&out, &whole[6]));
    }
    planes_clear(&out);
    clips_clear(whole, CLIP);
}

/* A slice that was damaged on the way is one that is missing. If all are, the frame is refused, and the next one leans on what was before. */
static void
test_damaged_slice(void)
{
    g_autoptr(GPtrArray) packets = encode_moving(6, FALSE);
    g_autoptr(GBytes) missing = clips_without_slice(packets->pdata[1], 0), bad = with_damage(packets->pdata[1], 0), worse = with_damage(bad, 1);
    g_autoptr(GBytes) worst = with_damage(worse, 2), two = clips_without_slice(missing, 1), none = clips_without_slice(two, 2);
    g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, 1, 1);
    GError *error = NULL;
    Planes a, b;

    planes_init(&a, WIDTH, HEIGHT);
    planes_init(&b, WIDTH, HEIGHT);
    clips_decode(decoder, packets->pdata[0], &a);
    g_assert_cmpuint(clips_decode(decoder, missing, &a), ==, 1);
    clips_decode(decoder, packets->pdata[0], &b);
    g_assert_cmpuint(clips_decode(decoder, bad, &b), ==, 1);
    g_assert_true(planes_same(&a, &b));
    clips_decode(decoder, packets->pdata[0], &b);
    g_assert_cmpuint(clips_decode(decoder, worse, &b), ==, 2);
    clips_decode(decoder, packets->pdata[0], &b);
    g_assert_false(m2t_decoder_open_frame(decoder, g_bytes_get_data(worst, NULL), g_bytes_get_size(worst), NULL, &error));
    g_assert_error(error, M2T_ERROR, M2T_ERROR_STREAM);
    g_assert_nonnull(strstr(error->message, "checksum"));
    g_clear_error(&error);
    g_assert_false(m2t_decoder_open_frame(decoder, g_bytes_get_data(none, NULL), g_bytes_get_size(none), NULL, &error));
    g_assert_error(error, M2T_ERROR, M2T_ERROR_STREAM);
    g_assert_nonnull(strstr(error->message, "missing"));
    g_clear_error(&error);
    g_assert_cmpuint(clips_decode(decoder, packets->pdata[1], &b), ==, 0);
    planes_clear(&a);
    planes_clear(&b);
}

/* A frame that was lost as a whole is noticed by those that lean on it; the frames after it stay known to be damaged up to the key frame. */
static void
test_lost_frame(void)
{
    g_autoptr(GPtrArray) packets = encode_moving(6, FALSE);
    g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, 1, 2);
    guint damaged = 0;
    Planes out;

    planes_init(&out, WIDTH, HEIGHT);
    clips_decode(decoder, packets->pdata[0], &out);
    for (guint i = 0; i < SLICES; i++)
        damaged += leans(packets->pdata[2], i);
    g_assert_cmpuint(damaged, >, 0);
    g_assert_cmpuint(clips_decode(decoder, packets->pdata[2], &out), ==, damaged);
    g_assert_cmpuint(clips_decode(decoder, packets->pdata[3], &out), >, 0);
    g_assert_cmpuint(clips_decode(decoder, packets->pdata[6], &out), ==, 0);
    g_assert_cmpuint(clips_decode(decoder, packets->pdata[7], &out), ==, 0);
    planes_clear(&out);
}

/* Of a frame that is broken inside nothing is used: the next ones lean on what was before it, and say so, however many are in flight. */
static void
test_broken_frame(void)
{
    g_autoptr(GPtrArray) packets = encode_moving(6, FALSE);
    g_autoptr(GBytes) broken = broken_inside(packets->pdata[2], 1);
    int damaged[4][CLIP];
    Planes whole[CLIP], out[4][CLIP];

    decode_clip(packets, whole);
    g_assert_true(leans(packets->pdata[3], 1));
    g_bytes_unref(packets->pdata[2]);
    packets->pdata[2] = g_steal_pointer(&broken);
    for (guint frames = 1; frames < 4; frames++) {
        g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, frames, frames);

        for (int i = 0; i < CLIP; i++)
            planes_init(&out[frames][i], WIDTH, HEIGHT);
        clips_decode_all(decoder, packets, out[frames], damaged[frames]);
        for (int i = 0; i < CLIP; i++) {
            g_assert_cmpint(damaged[frames][i], ==, damaged[1][i]);
            g_assert_true(i == 2 || planes_same(&out[frames][i], &out[1][i]));
            g_assert_true(damaged[frames][i] || planes_same(&out[frames][i], &whole[i]));
            g_assert_cmpint(damaged[frames][i] == -1, ==, i == 2);
            g_assert_true(damaged[frames][i] == 0 || (i > 1 && i < 6));
        }
        g_assert_cmpint(damaged[frames][3], >, 0);
    }
    for (guint frames = 1; frames < 4; frames++)
        clips_clear(out[frames], CLIP);
    clips_clear(whole, CLIP);
}

/* With intra refresh every loss has healed when each slice has stood alone. */
static void
test_refresh_heals(void)
{
    enum { INTERVAL = 5 };
    g_autoptr(GPtrArray) packets = encode_moving(INTERVAL, TRUE);
    Planes whole[CLIP], out;

    decode_clip(packets, whole);
    planes_init(&out, WIDTH, HEIGHT);
    for (guint at = 0; at + INTERVAL < CLIP; at += 2) {
        g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, 1, 1);
        g_autoptr(GBytes) lossy = clips_without_slice(packets->pdata[at], at % SLICES);

        for (guint i = 0; i <= at + INTERVAL; i++) {
            guint damaged = clips_decode(decoder, i == at ? lossy : packets->pdata[i], &out);

            g_assert_true(i == at ? damaged == 1 : damaged <= (i > at));
            g_assert_true(damaged || planes_same(&out, &whole[i]));
            g_assert_true(i < at + INTERVAL || !damaged);
        }
    }
    planes_clear(&out);
    clips_clear(whole, CLIP);
}

/* The only slice is renewed in frames that are whole, and say so: whoever waits for a key frame after a loss finds it. */
static void
test_refresh_of_one_slice(void)
{
    enum { INTERVAL = 5 };
    M2tEncoderSettings settings = settings_of(INTERVAL, TRUE);
    g_autoptr(GPtrArray) packets = NULL;
    Planes clip[CLIP];
    guint since = 0;

    settings.slices = 1;
    draw_clip(clip);
    packets = encode_clip(clip, &settings);
    clips_clear(clip, CLIP);
    for (guint i = 0; i < CLIP; i++) {
        gboolean alone = !leans(packets->pdata[i], 0);
        M2tFrameInfo info;

        g_assert_true(m2t_frame_info_read(g_bytes_get_data(packets->pdata[i], NULL), g_bytes_get_size(packets->pdata[i]), &info, NULL));
        g_assert_true(info.inter == !alone);
        g_assert_true(!alone || info.key);
        since = alone ? 0 : since + 1;
        g_assert_cmpuint(since, <, INTERVAL);
    }
}

/* The header comes where a slice is renewed, and nowhere else: a new turn that begins without one is no place to start decoding at. Every slice
 * is renewed once in a turn, however turns and slices divide. A frame whose slices all stand alone does, too. */
static void
test_headers_of_refresh(void)
{
    Planes clip[CLIP];

    draw_clip(clip);
    for (guint slices = 1; slices <= 4; slices++)
        for (guint interval = 2; interval <= 6; interval++) {
            M2tEncoderSettings settings = settings_of(interval, TRUE);
            guint renewed[4] = {0}; /* after so many frames */
            g_autoptr(GPtrArray) packets = NULL;

            settings.slices = slices;
            packets = encode_clip(clip, &settings);
            for (guint i = 0; i < CLIP; i++) {
                M2tSliceBytes bytes[M2T_SLICES_MAX];
                M2tFrameHeader header;
                guint alone = 0;

                clips_find_slice(packets->pdata[i], 0, &header, bytes);
                for (guint slice = 0; slice < slices; slice++)
                    if (!leans(packets->pdata[i], slice)) {
                        alone++;
                        renewed[slice] = i;
                    } else {
                        g_assert_cmpuint(i - renewed[slice], <, interval);
                    }
                g_assert_true(alone || !header.has_sequence);
                g_assert_true(header.inter == (alone < slices));
            }
        }
    clips_clear(clip, CLIP);
}

/* All that stands still is in the slice that is renewed: the frame leans on nothing, and says so. */
static void
test_still_where_renewed(void)
{
    enum { FIRST_ROW = 80 }; /* of the second slice */
    M2tEncoderSettings settings = settings_of(2, TRUE);
    g_autoptr(M2tEncoder) encoder = NULL;
    g_autoptr(GPtrArray) packets = NULL;
    M2tFrameInfo info;
    Planes clip[2];

    settings.slices = 2;
    encoder = open_encoder(&settings);
    for (guint i = 0; i < 2; i++) {
        planes_init(&clip[i], WIDTH, HEIGHT);
        planes_draw(&clip[i], i);
    }
    for (int plane = 0; plane < 3; plane++) {
        gssize stride = clip[0].picture.stride[plane], first = stride * (plane ? FIRST_ROW / 2 : FIRST_ROW);

        memcpy(clip[1].picture.data[plane] + first, clip[0].picture.data[plane] + first, stride * (plane ? (HEIGHT + 1) / 2 : HEIGHT) - first);
    }
    packets = clips_encode(encoder, clip, 2);
    g_assert_true(m2t_frame_info_read(g_bytes_get_data(packets->pdata[1], NULL), g_bytes_get_size(packets->pdata[1]), &info, NULL));
    g_assert_true(info.key && !info.inter);
    clips_clear(clip, 2);
}

/* Who joins at a key frame that leans on others has the whole picture within the key interval, and knows when. */
static void
test_joins_late(void)
{
    enum { INTERVAL = 5 };
    g_autoptr(GPtrArray) packets = encode_moving(INTERVAL, TRUE);
    g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, 1, 1);
    Planes whole[CLIP], out;
    guint joined = 0;

    decode_clip(packets, whole);
    planes_init(&out, WIDTH, HEIGHT);
    for (guint at = 1; at + INTERVAL <= CLIP; at++) {
        M2tFrameInfo info;

        g_assert_true(m2t_frame_info_read(g_bytes_get_data(packets->pdata[at], NULL), g_bytes_get_size(packets->pdata[at]), &info, NULL));
        if (!info.key)
            continue;
        joined++;
        g_assert_true(info.inter && info.slices == SLICES);
        m2t_decoder_reset(decoder);
        for (guint i = at; i < at + INTERVAL; i++) {
            guint damaged = clips_decode(decoder, packets->pdata[i], &out);

            g_assert_true(i > at || damaged > 0);
            g_assert_true(damaged || planes_same(&out, &whole[i]));
            g_assert_true(i < at + INTERVAL - 1 || !damaged);
        }
    }
    g_assert_cmpuint(joined, >=, SLICES);
    planes_clear(&out);
    clips_clear(whole, CLIP);
}

static GPtrArray *
encode_at_bitrate(M2tEncoderSettings *settings, guint bitrate, guint vbv_buf_capacity)
{
    GPtrArray *packets;
    Planes clip[CLIP];

    settings->rate_control = M2T_RATE_CONTROL_CBR;
    settings->bitrate = bitrate;
    settings->vbv_buf_capacity = vbv_buf_capacity;
    draw_clip(clip);
    packets = encode_clip(clip, settings);
    clips_clear(clip, CLIP);
    return packets;
}

/* Where the buffer of the rate control has no room for a frame, nothing is coded. A slice whose turn it was has it a frame later: from one
 * key frame to the next all of them stand alone. Where one does, decoding can start. */
static void
test_refresh_at_low_rate(void)
{
    M2tEncoderSettings settings = settings_of(SLICES, TRUE);
    g_autoptr(GPtrArray) packets = NULL;
    guint put_off = 0, turns = 0;

    packets = encode_at_bitrate(&settings, 35, 100);
    for (guint i = 0; i < CLIP; i++) {
        M2tSliceBytes slices[M2T_SLICES_MAX];
        M2tFrameHeader header;
        guint now = 0;

        clips_find_slice(packets->pdata[i], 0, &header, slices);
        for (guint slice = 0; slice < SLICES; slice++)
            now |= !leans(packets->pdata[i], slice) << slice;
        g_assert_cmpint(header.has_sequence, ==, now != 0);
        if (i > 0 && now) {
            turns++;
            g_assert_cmphex(now, ==, 1 << turns % SLICES);
        }
        put_off += now == 0;
    }
    g_assert_cmpuint(put_off, >, 0);
    g_assert_cmpuint(turns, >, 1);
}

/* Key frames wait, too, until the buffer has room for them, but not for ever: one that fits no buffer is sent. The first frame always is. */
static void
test_key_frames_at_low_rate(void)
{
    static const guint capacities[] = {120, 10}; /* ms */
    enum { INTERVAL = 5, BITRATE = 25 };

    for (guint i = 0; i < G_N_ELEMENTS(capacities); i++) {
        M2tEncoderSettings settings = settings_of(INTERVAL, FALSE);
        double capacity = BITRATE * capacities[i], drained = BITRATE * 1e3 / 30, level = 0;
        g_autoptr(GPtrArray) packets = NULL;
        guint keys = 0, late = 0;

        packets = encode_at_bitrate(&settings, BITRATE, capacities[i]);
        for (guint at = 0; at < CLIP; at++) {
            M2tSliceBytes slices[M2T_SLICES_MAX];
            M2tFrameHeader header;
            double bits = 8.0 * g_bytes_get_size(packets->pdata[at]);

            clips_find_slice(packets->pdata[at], 0, &header, slices);
            keys += header.has_sequence;
            late += at % INTERVAL == 0 && !header.has_sequence;
            g_test_message("%u: %.0f bits, key %d", at, bits, header.has_sequence);
            level = MAX(level + bits - drained, 0);
            g_assert_true(at == 0 || level <= capacity || i == 1);
        }
        g_assert_cmpuint(keys, >=, 2);
        g_assert_true((late > 0) == (i == 0));
    }
}

/* ---- refusals ---- */

/* Frames that no decoder may accept, and that do not keep it from decoding others. */
static void
test_refused(void)
{
    g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, 1, 1);
    g_auto(GStrv) groups = g_key_file_get_groups(refused.index, NULL);
    gsize size;
    gconstpointer good = vectors_find(&refused, "accepted", "packet", &size);
    Planes out;

    planes_init(&out, 40, 24);
    for (char **group = groups; *group; group++)
        if (g_str_has_prefix(*group, "refused-") && !strchr(*group, '/')) {
            gsize bad_size;
            gconstpointer bad = vectors_find(&refused, *group, "packet", &bad_size);

            g_test_message("%s", *group);
            g_assert_true(m2t_decoder_open_frame(decoder, good, size, NULL, NULL) && m2t_decoder_decode(decoder, &out.picture, NULL));
            if (g_str_has_suffix(*group, "no-sequence-header"))
                m2t_decoder_reset(decoder);
            g_assert_false(m2t_decoder_open_frame(decoder, bad, bad_size, NULL, NULL) && m2t_decoder_decode(decoder, &out.picture, NULL));
        }
    planes_clear(&out);
}

/* The number of slices belongs to the sequence. */
static void
test_other_number_of_slices(void)
{
    g_autoptr(GPtrArray) packets = encode_moving(6, FALSE);
    g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, 1, 1);
    g_autoptr(GByteArray) frame = g_byte_array_new();
    M2tSliceBytes slices[M2T_SLICES_MAX];
    M2tFrameHeader header;
    GError *error = NULL;
    Planes out;

    planes_init(&out, WIDTH, HEIGHT);
    clips_find_slice(packets->pdata[1], 0, &header, slices);
    header.slices = 2;
    m2t_frame_write(frame, &header, slices);
    clips_decode(decoder, packets->pdata[0], &out);
    g_assert_false(m2t_decoder_open_frame(decoder, frame->data, frame->len, NULL, &error));
    g_assert_error(error, M2T_ERROR, M2T_ERROR_STREAM);
    g_clear_error(&error);
    g_assert_cmpuint(clips_decode(decoder, packets->pdata[1], &out), ==, 0);
    planes_clear(&out);
}

int
main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    headers = vectors_open("headers");
    refused = vectors_open("refused");
    tiny = clips_open_model("tiny.m2tw");
    mt = clips_open_model("mt.m2tw");
    rng = g_rand_new_with_seed(5);
    g_test_add_func("/inter/golden-heads", test_golden_heads);
    g_test_add_func("/inter/heads", test_heads);
    g_test_add_func("/inter/hostile-heads", test_hostile_heads);
    g_test_add_func("/inter/refused-heads", test_refused_heads);
    g_test_add_func("/inter/plan", test_plan);
    g_test_add_func("/inter/encoder-threads", test_encoder_threads);
    g_test_add_func("/inter/refined", test_refined);
    g_test_add_func("/inter/key-interval-changes", test_key_interval_changes);
    g_test_add_func("/inter/still", test_still);
    g_test_add_func("/inter/moving", test_moving);
    g_test_add_func("/inter/kept-in-vain", test_kept_in_vain);
    g_test_add_func("/inter/reference-streams", test_reference_streams);
    g_test_add_func("/inter/lost-slice", test_lost_slice);
    g_test_add_func("/inter/damaged-slice", test_damaged_slice);
    g_test_add_func("/inter/lost-frame", test_lost_frame);
    g_test_add_func("/inter/broken-frame", test_broken_frame);
    g_test_add_func("/inter/refresh-heals", test_refresh_heals);
    g_test_add_func("/inter/refresh-of-one-slice", test_refresh_of_one_slice);
    g_test_add_func("/inter/headers-of-refresh", test_headers_of_refresh);
    g_test_add_func("/inter/still-where-renewed", test_still_where_renewed);
    g_test_add_func("/inter/joins-late", test_joins_late);
    g_test_add_func("/inter/refresh-at-low-rate", test_refresh_at_low_rate);
    g_test_add_func("/inter/key-frames-at-low-rate", test_key_frames_at_low_rate);
    g_test_add_func("/inter/refused", test_refused);
    g_test_add_func("/inter/other-number-of-slices", test_other_number_of_slices);
    status = g_test_run();
    g_rand_free(rng);
    m2t_model_unref(tiny);
    m2t_model_unref(mt);
    vectors_close(&headers);
    vectors_close(&refused);
    return status;
}
