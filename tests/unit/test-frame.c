/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Headers of frames: golden vectors of the reference, round trips, everything that must be refused and by what name, and damage. */
#include "bitstream/frame.h"
#include "base/varint.h"
#include "bitstream/video-info.h"
#include "vectors.h"

#include <m2t/m2t-decoder.h>

#include <string.h>

static Vectors headers, refused;
static GRand *rng;

static void
test_golden_crc(void)
{
    for (int i = 0; i < 6; i++) {
        g_autofree char *name = g_strdup_printf("crc-%d", i);
        gsize size;
        const guint8 *data = vectors_find(&headers, name, "data", &size);

        g_assert_cmphex(m2t_crc32c(data, size), ==, g_key_file_get_uint64(headers.index, name, "crc", NULL));
    }
}

static void
test_golden_varints(void)
{
    static const guint32 values[] = {0, 1, 127, 128, 16383, 16384, 2097152, 0x7FFFFFFF, 0xFFFFFFFF};

    for (guint i = 0; i < G_N_ELEMENTS(values); i++) {
        g_autofree char *name = g_strdup_printf("varint-%u", values[i]);
        g_autoptr(GByteArray) out = g_byte_array_new();
        gsize size;
        const guint8 *data = vectors_find(&headers, name, "data", &size), *at = data;
        guint32 value = 0;

        m2t_varint_write(out, values[i]);
        g_assert_cmpmem(out->data, out->len, data, size);
        g_assert_true(m2t_varint_read(&at, data + size, &value));
        g_assert_cmpuint(value, ==, values[i]);
        g_assert_true(at == data + size);
        at = data;
        g_assert_false(m2t_varint_read(&at, data + size - 1, &value));
    }
}

static void
test_bad_varints(void)
{
    static const char *const bad[] = {"\x80\x00", "\xff\x80\x00", "\x80\x80\x80\x80\x10", "\xff\xff\xff\xff\x7f",
                                      "\x80\x80\x80\x80\x80\x01"};

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        const guint8 *at = (const guint8 *) bad[i];
        guint32 value;

        g_assert_false(m2t_varint_read(&at, at + 6, &value));
    }
    for (int i = 0; i < 100000; i++) {
        gint32 value = (gint32) g_rand_int(rng) >> g_rand_int_range(rng, 0, 31);

        g_assert_cmpint(m2t_unzigzag(m2t_zigzag(value)), ==, value);
    }
    g_assert_cmpuint(m2t_zigzag(-1), ==, 1);
    g_assert_cmpuint(m2t_zigzag(G_MININT32), ==, G_MAXUINT32);
}

/* ---- sequence headers ---- */

/* Numbers of a list in the index, FALSE if it is not there. */
static gboolean
get_numbers(const char *name, const char *key, guint *numbers, gsize expected)
{
    gsize count = 0;
    g_auto(GStrv) list = g_key_file_get_string_list(headers.index, name, key, &count, NULL);

    for (gsize i = 0; i < count; i++)
        numbers[i] = (guint) g_ascii_strtoull(list[i], NULL, 10);
    g_assert_true(count == 0 || count == expected);
    return count > 0;
}

static void
get_mastering(const guint *numbers, M2tMastering *mastering)
{
    for (int i = 0; i < 8; i++)
        mastering->primaries[i / 2][i % 2] = numbers[i];
    mastering->max_luminance = numbers[8];
    mastering->min_luminance = numbers[9];
}

static M2tVideoInfo
golden_video(const char *name)
{
    M2tVideoInfo video;
    guint n[10], rate[2] = {0}, aspect[2] = {0};

    m2t_video_info_init(&video, vectors_int(&headers, name, "width"), vectors_int(&headers, name, "height"));
    video.has_rate = get_numbers(name, "rate", rate, 2);
    video.rate_n = rate[0];
    video.rate_d = rate[1];
    video.has_aspect = get_numbers(name, "aspect", aspect, 2);
    video.aspect_n = aspect[0];
    video.aspect_d = aspect[1];
    if ((video.has_colour = get_numbers(name, "colour", n, 4)))
        video.colour = (M2tColour) {n[0], n[1], n[2], n[3]};
    if ((video.has_mastering = get_numbers(name, "mastering", n, 10)))
        get_mastering(n, &video.mastering);
    if ((video.has_content_light = get_numbers(name, "light", n, 2)))
        video.content_light = (M2tContentLight) {n[0], n[1]};
    if ((video.has_chroma_site = g_key_file_has_key(headers.index, name, "site", NULL)))
        video.chroma_site = vectors_int(&headers, name, "site");
    return video;
}

/* A key frame for @video. The length of its sequence header is at 3, the header from 4 on. */
static GByteArray *
write_key_frame(const M2tVideoInfo *video)
{
    M2tFrameHeader header = {.has_sequence = TRUE, .video = *video, .number = 77, .q = 252, .lanes = 1, .slices = 1};
    M2tSliceBytes slice = {(const guint8 *) "payload", 7, m2t_crc32c((const guint8 *) "payload", 7)};
    GByteArray *frame = g_byte_array_new();

    for (int i = 0; i < M2T_MODEL_IDENTITY_SIZE; i++)
        header.model[i] = 0xA0 + i;
    m2t_frame_write(frame, &header, &slice);
    return frame;
}

static void
test_golden_sequences(void)
{
    static const char *const names[] = {"plain", "full", "rate", "large", "colour", "site", "light"};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *name = g_strconcat("sequence-", names[i], NULL);
        M2tVideoInfo video = golden_video(name);
        g_autoptr(GByteArray) frame = write_key_frame(&video);
        M2tFrameInfo info;
        GError *error = NULL;
        gsize size;
        gconstpointer data = vectors_find(&headers, name, "data", &size);

        g_assert_cmpuint(frame->data[3], ==, size);
        g_assert_cmpmem(frame->data + 4, size, data, size);
        m2t_frame_info_read(frame->data, frame->len, &info, &error);
        g_assert_no_error(error);
        g_assert_true(info.key && info.has_sequence);
        g_assert_cmpuint(info.number, ==, 77);
        g_assert_cmpfloat(info.quantizer, ==, 63.0);
        g_assert_cmpmem(info.identity, 16, vectors_find(&headers, name, "model", NULL), 16);
        g_assert_true(m2t_video_info_equal(&info.video, &video));
    }
}

/* The slices of a frame of the reference; those of no bytes are missing. */
static guint
golden_slices(const char *name, M2tSliceBytes *slice)
{
    gsize count = 0, bytes;
    g_auto(GStrv) sizes = g_key_file_get_string_list(headers.index, name, "sizes", &count, NULL);
    const guint8 *data = vectors_find(&headers, name, "slice", &bytes), *end = data + bytes;

    for (gsize i = 0; i < count; data += slice[i++].size) {
        gsize size = (gsize) g_ascii_strtoull(sizes[i], NULL, 10);

        slice[i] = size ? (M2tSliceBytes) {data, size, m2t_crc32c(data, size)} : (M2tSliceBytes) {0};
    }
    g_assert_true(data == end);
    return (guint) count;
}

static void
check_slices(const M2tSliceBytes *got, guint got_count, const M2tSliceBytes *expected, guint count)
{
    g_assert_cmpuint(got_count, ==, count);
    for (guint i = 0; i < count; i++) {
        g_assert_true((got[i].data == NULL) == (expected[i].data == NULL));
        g_assert_cmpmem(got[i].data, got[i].size, expected[i].data, expected[i].size);
        g_assert_cmphex(got[i].crc, ==, expected[i].crc);
    }
}

/* The bytes of each slice, checksum in front, as they lie in @frame; NULL where one is missing. */
static void
cut_up(const GByteArray *frame, const M2tFrameLayout *layout, const guint8 **part)
{
    const guint8 *at = frame->data + layout->header_size;

    for (guint i = 0; i < layout->slices; at += layout->slice_size[i++])
        part[i] = layout->slice_size[i] ? at : NULL;
    g_assert_true(at == frame->data + frame->len);
}

/* As an encoder writes it, and then as a transport passes it on that has lost the slices without data. */
static void
write_frame(GByteArray *out, const M2tFrameHeader *header, const M2tSliceBytes *slice)
{
    static const guint8 lost[] = "lost";
    g_autoptr(GByteArray) whole = g_byte_array_new();
    M2tSliceBytes full[M2T_SLICES_MAX];
    const guint8 *part[M2T_SLICES_MAX];
    M2tFrameLayout layout;

    for (guint i = 0; i < header->slices; i++)
        full[i] = slice[i].data ? slice[i] : (M2tSliceBytes) {lost, sizeof lost, 0};
    m2t_frame_write(whole, header, full);
    g_assert_true(m2t_frame_layout_read(whole->data, whole->len, &layout, NULL));
    cut_up(whole, &layout, part);
    for (guint i = 0; i < header->slices; i++)
        part[i] = slice[i].data ? part[i] : NULL;
    m2t_frame_assemble(out, whole->data, &layout, part);
}

static void
check_golden_frame(const char *name, const char *sequence)
{
    M2tFrameHeader header = {.inter = vectors_int(&headers, name, "inter"), .exact = vectors_int(&headers, name, "exact"),
                             .number = vectors_int(&headers, name, "number"), .q = vectors_int(&headers, name, "q4")}, read;
    g_autoptr(GByteArray) frame = g_byte_array_new();
    int lanes = vectors_int(&headers, name, "lanes");
    gsize data_size;
    const guint8 *data = vectors_find(&headers, name, "data", &data_size);
    M2tSliceBytes slice[M2T_SLICES_MAX], back[M2T_SLICES_MAX];
    GError *error = NULL;

    header.slices = golden_slices(name, slice);
    header.lanes = lanes == 1 ? 0 : lanes == 4 ? 1 : 2;
    if (sequence) {
        header.has_sequence = TRUE;
        header.video = golden_video(sequence);
        memcpy(header.model, vectors_find(&headers, sequence, "model", NULL), sizeof header.model);
    }
    write_frame(frame, &header, slice);
    g_assert_cmpmem(frame->data, frame->len, data, data_size);

    m2t_frame_read(data, data_size, &read, back, &error);
    g_assert_no_error(error);
    g_assert_true(read.has_sequence == header.has_sequence && read.number == header.number && read.q == header.q);
    g_assert_true(read.inter == header.inter && read.exact == header.exact);
    g_assert_cmpint(read.lanes, ==, header.lanes);
    check_slices(back, read.slices, slice, header.slices);
}

static void
test_golden_frames(void)
{
    check_golden_frame("frame-small", NULL);
    check_golden_frame("frame-key", "sequence-plain");
    check_golden_frame("frame-full", "sequence-full");
    check_golden_frame("frame-slices", "sequence-full");
    check_golden_frame("frame-inter", NULL);
    check_golden_frame("frame-missing", "sequence-rate");
    check_golden_frame("frame-most", NULL);
    check_golden_frame("frame-exact", "sequence-plain");
    check_golden_frame("frame-exact-inter", NULL);
}

/* ---- round trips ---- */

static M2tVideoInfo
random_video(void)
{
    M2tVideoInfo video;
    guint fields = g_rand_int(rng);

    m2t_video_info_init(&video, g_rand_int_range(rng, 16, 8193), g_rand_int_range(rng, 16, 8193));
    if ((video.has_rate = fields & 1)) {
        video.rate_n = g_rand_int(rng) >> g_rand_int_range(rng, 1, 32);
        video.rate_d = 1 + (g_rand_int(rng) >> g_rand_int_range(rng, 2, 32));
    }
    if ((video.has_aspect = fields >> 1 & 1)) {
        video.aspect_n = 1 + (g_rand_int(rng) >> g_rand_int_range(rng, 2, 32));
        video.aspect_d = 1 + (g_rand_int(rng) >> g_rand_int_range(rng, 2, 32));
    }
    if ((video.has_colour = fields >> 2 & 1))
        video.colour = (M2tColour) {g_rand_int_range(rng, 0, 3), fields >> 8, fields >> 16, fields >> 24};
    if ((video.has_chroma_site = fields >> 3 & 1))
        video.chroma_site = g_rand_int_range(rng, 0, 16);
    if ((video.has_mastering = fields >> 4 & 1)) {
        for (int i = 0; i < 8; i++)
            video.mastering.primaries[i / 2][i % 2] = g_rand_int(rng);
        video.mastering.max_luminance = g_rand_int(rng);
        video.mastering.min_luminance = g_rand_int(rng);
    }
    if ((video.has_content_light = fields >> 5 & 1))
        video.content_light = (M2tContentLight) {g_rand_int(rng), g_rand_int(rng)};
    return video;
}

static void
test_round_trips(void)
{
    for (int turn = 0; turn < 20000; turn++) {
        M2tVideoInfo video = random_video(), other = random_video();
        g_autoptr(GByteArray) frame = write_key_frame(&video);
        M2tSliceBytes slice[M2T_SLICES_MAX];
        M2tFrameHeader header;

        g_assert_null(m2t_video_info_problem(&video));
        g_assert_true(m2t_frame_read(frame->data, frame->len, &header, slice, NULL));
        g_assert_true(m2t_video_info_equal(&header.video, &video));
        g_assert_false(m2t_video_info_equal(&header.video, &other));
        g_assert_cmpmem(slice->data, slice->size, "payload", 7);
    }
}

/* Slices of random bytes, as many as fit into @memory; one in four is missing, but not all are. */
static guint
random_slices(M2tSliceBytes *slice, const guint8 *memory, gsize size)
{
    guint count = g_rand_int_range(rng, 1, M2T_SLICES_MAX + 1), good = g_rand_int_range(rng, 0, (gint32) count);

    for (guint i = 0; i < count; i++) {
        gsize length = g_rand_int_range(rng, 1, g_rand_boolean(rng) ? 5 : (gint32) size);

        slice[i] = i == good || g_rand_int_range(rng, 0, 4) ? (M2tSliceBytes) {memory, length, m2t_crc32c(memory, length)} : (M2tSliceBytes) {0};
    }
    return count;
}

static void
test_slices(void)
{
    guint8 memory[300];

    for (gsize i = 0; i < sizeof memory; i++)
        memory[i] = g_rand_int(rng);
    for (int turn = 0; turn < 2000; turn++) {
        M2tFrameHeader header = {.inter = g_rand_boolean(rng), .exact = g_rand_boolean(rng), .number = g_rand_int(rng), .q = g_rand_int_range(rng, 0, 253),
                                 .lanes = g_rand_int_range(rng, 0, 3), .has_sequence = g_rand_boolean(rng), .video = random_video()}, read;
        M2tSliceBytes slice[M2T_SLICES_MAX], back[M2T_SLICES_MAX];
        g_autoptr(GByteArray) frame = g_byte_array_new();

        header.slices = random_slices(slice, memory, sizeof memory);
        write_frame(frame, &header, slice);
        g_assert_true(m2t_frame_read(frame->data, frame->len, &read, back, NULL));
        g_assert_true(read.inter == header.inter && read.number == header.number && read.q == header.q && read.lanes == header.lanes);
        g_assert_true(read.exact == header.exact && read.has_sequence == header.has_sequence);
        check_slices(back, read.slices, slice, header.slices);
    }
}

/* ---- slices on their own ---- */

/* A frame put together again from its slices is the same, also where some are missing already; and all but the missing ones stay as they were. */
static void
test_assemble(void)
{
    const guint8 memory[200] = {1, 2, 3};

    for (int turn = 0; turn < 2000; turn++) {
        M2tFrameHeader header = {.inter = turn & 1, .number = turn & 255, .q = 7, .lanes = 1, .has_sequence = turn >> 1 & 1, .video = random_video()};
        g_autoptr(GByteArray) frame = g_byte_array_new(), again = g_byte_array_new(), less = g_byte_array_new();
        const guint8 *part[M2T_SLICES_MAX];
        M2tSliceBytes slice[M2T_SLICES_MAX], back[M2T_SLICES_MAX];
        M2tFrameLayout layout;

        header.slices = random_slices(slice, memory, sizeof memory);
        write_frame(frame, &header, slice);
        g_assert_true(m2t_frame_layout_read(frame->data, frame->len, &layout, NULL));
        g_assert_true(layout.key == header.has_sequence && layout.inter == header.inter && layout.number == header.number);
        cut_up(frame, &layout, part);
        m2t_frame_assemble(again, frame->data, &layout, part);
        g_assert_cmpmem(again->data, again->len, frame->data, frame->len);

        for (guint i = 0; i < layout.slices; i++)
            if (g_rand_int_range(rng, 0, 3) == 0) {
                part[i] = NULL;
                slice[i] = (M2tSliceBytes) {0};
            }
        m2t_frame_assemble(less, frame->data, &layout, part);
        g_assert_true(m2t_frame_read(less->data, less->len, &header, back, NULL));
        check_slices(back, header.slices, slice, layout.slices);
    }
}

/* The header is enough to read the layout; less is not. */
static void
test_layout_of_a_header(void)
{
    gsize size;
    const guint8 *data = vectors_find(&headers, "frame-slices", "data", &size);
    M2tFrameLayout layout, again;
    GError *error = NULL;

    g_assert_true(m2t_frame_layout_read(data, size, &layout, &error));
    g_assert_true(m2t_frame_layout_read(data, layout.header_size, &again, &error));
    g_assert_cmpmem(&again, sizeof again, &layout, sizeof layout);
    for (gsize less = 0; less < layout.header_size; less++) {
        g_assert_false(m2t_frame_layout_read(data, less, &again, &error));
        g_assert_error(error, M2T_ERROR, M2T_ERROR_STREAM);
        g_clear_error(&error);
    }
    data = vectors_find(&refused, "refused-slices-65", "packet", &size);
    g_assert_false(m2t_frame_layout_read(data, size, &again, &error));
    g_assert_error(error, M2T_ERROR, M2T_ERROR_UNSUPPORTED);
    g_clear_error(&error);
}

/* What is not there does not count, what is there does. */
static void
test_equal(void)
{
    M2tVideoInfo a, b;
    gboolean *has[] = {&a.has_rate, &a.has_aspect, &a.has_colour, &a.has_chroma_site};

    m2t_video_info_init(&a, 100, 100);
    b = a;
    b.rate_n = b.aspect_d = b.chroma_site = b.colour.matrix = b.mastering.min_luminance = b.content_light.max_average = 1;
    g_assert_true(m2t_video_info_equal(&a, &b));
    for (guint i = 0; i < G_N_ELEMENTS(has); i++) {
        *has[i] = TRUE;
        g_assert_false(m2t_video_info_equal(&a, &b));
        g_assert_false(m2t_video_info_equal(&b, &a));
        *has[i] = FALSE;
    }
    a.has_mastering = b.has_mastering = TRUE;
    g_assert_false(m2t_video_info_equal(&a, &b));
    a.mastering = b.mastering;
    g_assert_true(m2t_video_info_equal(&a, &b));
    a.has_content_light = TRUE;
    g_assert_false(m2t_video_info_equal(&a, &b));
}

/* ---- refusals ---- */

/* Frames of the reference that are wrong in their headers: the code, and a word that the message must have. */
static const struct {
    const char *name;
    M2tError code;
    const char *word;
} wrong[] = {
    {"reserved-type-2", M2T_ERROR_UNSUPPORTED, "type"},
    {"reserved-type-3", M2T_ERROR_UNSUPPORTED, "type"},
    {"reserved-flag-7", M2T_ERROR_UNSUPPORTED, "reserved"},
    {"reserved-lanes", M2T_ERROR_UNSUPPORTED, "lanes"},
    {"extension", M2T_ERROR_UNSUPPORTED, "extension"},
    {"two-slices", M2T_ERROR_STREAM, "check"},
    {"no-slices", M2T_ERROR_STREAM, "check"},
    {"slices-65", M2T_ERROR_UNSUPPORTED, "slices: 65"},
    {"q-253", M2T_ERROR_STREAM, "q: 253"},
    {"empty", M2T_ERROR_STREAM, "flags"},
    {"one-byte", M2T_ERROR_STREAM, "number"},
    {"header-only", M2T_ERROR_STREAM, "slice"},
    {"last-byte-missing", M2T_ERROR_STREAM, "slice"},
    {"byte-too-many", M2T_ERROR_STREAM, "too many"},
    {"header-checksum", M2T_ERROR_STREAM, "check"},
    {"sequence-version-2", M2T_ERROR_UNSUPPORTED, "version 2"},
    {"width-15", M2T_ERROR_STREAM, "width"},
    {"width-8193", M2T_ERROR_STREAM, "width"},
    {"width-long-varint", M2T_ERROR_STREAM, "width"},
    {"width-six-bytes", M2T_ERROR_STREAM, "width"},
    {"format-1", M2T_ERROR_UNSUPPORTED, "format"},
    {"sequence-left-over", M2T_ERROR_STREAM, "too many"},
    {"sequence-short", M2T_ERROR_STREAM, "end too early"},
    {"rate-denominator-0", M2T_ERROR_STREAM, "frame rate"},
    {"aspect-0", M2T_ERROR_STREAM, "aspect"},
    {"rate-too-large", M2T_ERROR_STREAM, "frame rate"},
    {"aspect-too-large", M2T_ERROR_STREAM, "aspect"},
};

static void
check_refused(gconstpointer data, gsize size, M2tError code, const char *word)
{
    M2tFrameInfo info;
    GError *error = NULL;

    g_assert_false(m2t_frame_info_read(data, size, &info, &error));
    g_assert_error(error, M2T_ERROR, (int) code);
    if (!strstr(error->message, word))
        g_error("\"%s\" does not say \"%s\"", error->message, word);
    g_error_free(error);
}

static void
test_golden_refusals(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *name = g_strconcat("refused-", wrong[i].name, NULL);
        gsize size;
        gconstpointer data = vectors_find(&refused, name, "packet", &size);

        g_test_message("%s", name);
        check_refused(data, size, wrong[i].code, wrong[i].word);
    }
}

/* A frame of @flags with fields from @rest up to the check. */
static void
check_refused_header(guint8 flags, const char *rest, gsize size, M2tError code, const char *word)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    guint8 start[3] = {flags, 0, 0}, check[2];
    guint32 crc;

    g_byte_array_append(frame, start, 3);
    g_byte_array_append(frame, (const guint8 *) rest, size);
    crc = m2t_crc32c(frame->data, frame->len);
    check[0] = crc & 255;
    check[1] = crc >> 8 & 255;
    g_byte_array_append(frame, check, 2);
    g_byte_array_append(frame, (const guint8 *) "\0\0\0\0", 5);
    check_refused(frame->data, frame->len, code, word);
}

static void
test_refusals(void)
{
    const char many_slices[1 + M2T_SLICES_MAX + 1] = {M2T_SLICES_MAX + 1};

    check_refused(NULL, 0, M2T_ERROR_STREAM, "flags");
    check_refused_header(0, "\x00", 1, M2T_ERROR_STREAM, "slices");
    check_refused_header(0, many_slices, sizeof many_slices, M2T_ERROR_UNSUPPORTED, "slices");
    check_refused_header(0, "\xff\xff\xff\xff\x0f", 5, M2T_ERROR_STREAM, "length");
    check_refused_header(4, "\x00\x01\x01", 3, M2T_ERROR_STREAM, "sequence header: version");
    check_refused_header(4, "\x04\x01zzz\x01\x01", 7, M2T_ERROR_STREAM, "sequence header: model");
    check_refused_header(4, "\xff\xff\xff\xff\x0f", 5, M2T_ERROR_STREAM, "sequence");
    check_refused_header(8, "\x01x\x01\x01", 4, M2T_ERROR_UNSUPPORTED, "extension");
    check_refused_header(8, "\x7fx\x01\x01", 4, M2T_ERROR_STREAM, "extension");
}

static void
test_problems(void)
{
    M2tVideoInfo video;

    m2t_video_info_init(&video, 15, 100);
    g_assert_nonnull(m2t_video_info_problem(&video));
    m2t_video_info_init(&video, 100, 8193);
    g_assert_nonnull(m2t_video_info_problem(&video));
    m2t_video_info_init(&video, 16, 8192);
    g_assert_null(m2t_video_info_problem(&video));
    video.has_colour = video.has_chroma_site = TRUE;
    video.colour.range = 3;
    g_assert_nonnull(m2t_video_info_problem(&video));
    video.colour.range = 2;
    video.chroma_site = 16;
    g_assert_nonnull(m2t_video_info_problem(&video));
}

/* ---- damage ---- */

/* No flipped bit of a header gets through, and none makes a frame look like one of a later version. */
static void
test_bit_flips(void)
{
    M2tVideoInfo video = golden_video("sequence-full");
    g_autoptr(GByteArray) frame = write_key_frame(&video);
    guint payload = frame->len - 7 - 4;

    for (guint bit = 0; bit < 8 * payload; bit++) {
        frame->data[bit / 8] ^= 1 << bit % 8;
        check_refused(frame->data, frame->len, M2T_ERROR_STREAM, "frame: ");
        frame->data[bit / 8] ^= 1 << bit % 8;
    }
}

/* A copy that ends where the memory does, for tools that watch accesses. */
static void
read_copy(const guint8 *data, gsize size)
{
    g_autofree guint8 *copy = g_memdup2(data, size);
    g_autoptr(GError) error = NULL;
    M2tFrameInfo info;

    if (!m2t_frame_info_read(copy, size, &info, &error))
        g_assert_nonnull(error);
}

static void
test_truncations(void)
{
    for (int turn = 0; turn < 2000; turn++) {
        M2tVideoInfo video = random_video();
        g_autoptr(GByteArray) frame = write_key_frame(&video);

        for (guint size = 0; size < frame->len; size += 1 + g_rand_int_range(rng, 0, 8))
            check_refused(size ? frame->data : NULL, size, M2T_ERROR_STREAM, "");
    }
}

static void
test_random_damage(void)
{
    for (int turn = 0; turn < 50000; turn++) {
        M2tVideoInfo video = random_video();
        g_autoptr(GByteArray) frame = write_key_frame(&video);
        guint checked = 4 + frame->data[3] + 2;
        guint32 crc;

        for (int i = g_rand_int_range(rng, 1, 4); i > 0; i--)
            frame->data[g_rand_int_range(rng, 0, checked)] = g_rand_int(rng);
        crc = m2t_crc32c(frame->data, checked); /* so that it gets past the check, if the length has not changed */
        frame->data[checked] = crc & 255;
        frame->data[checked + 1] = crc >> 8 & 255;
        read_copy(frame->data, frame->len);
    }
}

int
main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    headers = vectors_open("headers");
    refused = vectors_open("refused");
    rng = g_rand_new_with_seed(2);
    g_test_add_func("/frame/golden-crc", test_golden_crc);
    g_test_add_func("/frame/golden-varints", test_golden_varints);
    g_test_add_func("/frame/bad-varints", test_bad_varints);
    g_test_add_func("/frame/golden-sequences", test_golden_sequences);
    g_test_add_func("/frame/golden-frames", test_golden_frames);
    g_test_add_func("/frame/round-trips", test_round_trips);
    g_test_add_func("/frame/slices", test_slices);
    g_test_add_func("/frame/assemble", test_assemble);
    g_test_add_func("/frame/layout-of-a-header", test_layout_of_a_header);
    g_test_add_func("/frame/equal", test_equal);
    g_test_add_func("/frame/golden-refusals", test_golden_refusals);
    g_test_add_func("/frame/refusals", test_refusals);
    g_test_add_func("/frame/problems", test_problems);
    g_test_add_func("/frame/bit-flips", test_bit_flips);
    g_test_add_func("/frame/truncations", test_truncations);
    g_test_add_func("/frame/random-damage", test_random_damage);
    status = g_test_run();
    g_rand_free(rng);
    vectors_close(&headers);
    vectors_close(&refused);
    return status;
}
