/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The byte-stream form: golden vectors of the reference, round trips, and units that must be found among rubbish, however the bytes come
 * in. */
#include "vectors.h"

#include <m2t/m2t-stream.h>
#include <string.h>

static Vectors vectors;
static GRand *rng;

/* Bytes that are rich in what the escape and the sync word are made of. */
static GByteArray *
random_packet(guint size)
{
    static const guint8 likely[] = {0, 0, 0, 0, 1, 2, 3, 4, 0x4D, 0xFF};
    GByteArray *packet = g_byte_array_sized_new(size);
    gboolean plain = g_rand_boolean(rng);

    g_byte_array_set_size(packet, size);
    for (guint i = 0; i < size; i++)
        packet->data[i] = plain ? (guint8) g_rand_int(rng) : likely[g_rand_int_range(rng, 0, G_N_ELEMENTS(likely))];
    return packet;
}

static void
assert_bytes(const GByteArray *bytes, gconstpointer expected, gsize size)
{
    g_assert_cmpmem(bytes->data, bytes->len, expected, size);
}

static void
test_magic(void)
{
    g_assert_cmpmem(m2t_stream_magic(), M2T_STREAM_MAGIC_SIZE, "M2TV\x01\r\n\x1a", 8);
}

static void
test_golden_escapes(void)
{
    for (int i = 0;; i++) {
        g_autofree char *name = g_strdup_printf("escape-%d", i);
        g_autoptr(GByteArray) unit = g_byte_array_new(), packet = g_byte_array_new();
        gsize plain_size, unit_size;
        gconstpointer plain = vectors_find(&vectors, name, "plain", &plain_size);
        gconstpointer expected = vectors_find(&vectors, name, "unit", &unit_size);

        if (!expected) {
            g_assert_cmpint(i, >=, 10);
            return;
        }
        m2t_stream_append(unit, plain, plain_size);
        assert_bytes(unit, expected, unit_size);
        m2t_stream_unescape(packet, expected, unit_size);
        assert_bytes(packet, plain, plain_size);
    }
}

/* Takes all units out of @data as a reader would that gets @step more bytes at a time; each packet is appended to @packets. */
static void
take_units(const guint8 *data, gsize size, gsize step, GPtrArray *packets)
{
    gsize at = 0, have = MIN(step, size), skip, unit_size;

    for (;;) {
        M2tStreamResult result = m2t_stream_find(data + at, have - at, &skip, &unit_size);

        g_assert_cmpuint(skip, <=, have - at);
        g_assert_cmpuint(unit_size, >=, M2T_STREAM_UNIT_HEADER_SIZE);
        g_assert_cmpuint(unit_size, <=, M2T_STREAM_UNIT_HEADER_SIZE + M2T_STREAM_UNIT_MAX);
        at += skip;
        if (result == M2T_STREAM_UNIT) {
            GByteArray *packet = g_byte_array_new();

            g_assert_cmpuint(unit_size, <=, have - at);
            m2t_stream_unescape(packet, data + at, unit_size);
            g_ptr_array_add(packets, packet);
            at += unit_size;
        } else {
            g_assert_cmpuint(unit_size, >, have - at);
            if (have == size)
                return;
            have = MIN(have + step, size);
        }
    }
}

static void
check_units(const guint8 *data, gsize size, gsize step, GPtrArray *expected)
{
    g_autoptr(GPtrArray) packets = g_ptr_array_new_with_free_func((GDestroyNotify) g_byte_array_unref);

    take_units(data, size, step, packets);
    g_assert_cmpuint(packets->len, ==, expected->len);
    for (guint i = 0; i < packets->len; i++) {
        const GByteArray *packet = expected->pdata[i];

        assert_bytes(packets->pdata[i], packet->data, packet->len);
    }
}

/* @cut: has units that were cut inside the next sync word, which shows only when the bytes behind are there. */
static void
check_golden_stream(const char *name, gboolean cut)
{
    g_autofree char *group = g_strconcat("stream-", name, NULL);
    gsize count, size;
    g_autofree int *units = g_key_file_get_integer_list(vectors.index, group, "units", &count, NULL);
    const guint8 *data = vectors_find(&vectors, group, "data", &size);
    g_autoptr(GPtrArray) expected = g_ptr_array_new_with_free_func((GDestroyNotify) g_byte_array_unref);

    for (gsize i = 0; i < count; i++) {
        g_autofree char *escape = g_strdup_printf("escape-%d", units[i]);
        GByteArray *packet = g_byte_array_new();
        gsize plain_size;
        gconstpointer plain = vectors_find(&vectors, escape, "plain", &plain_size);

        g_byte_array_append(packet, plain, plain_size);
        g_ptr_array_add(expected, packet);
    }
    check_units(data, size, size, expected);
    for (gsize step = 1; !cut && step < size; step += 1 + step / 3)
        check_units(data, size, step, expected);
}

static void
test_golden_streams(void)
{
    check_golden_stream("file", FALSE);
    check_golden_stream("joined-late", FALSE);
    check_golden_stream("rubbish", FALSE);
    check_golden_stream("bad-length", FALSE);
    check_golden_stream("cut-short", TRUE);
}

/* The reverse of each other, and nothing in a body that could be taken for a sync word. */
static void
test_round_trips(void)
{
    for (int turn = 0; turn < 2000; turn++) {
        g_autoptr(GByteArray) packet = random_packet(g_rand_int_range(rng, 0, 300));
        g_autoptr(GByteArray) unit = g_byte_array_new(), back = g_byte_array_new();
        gsize skip, unit_size;

        m2t_stream_append(unit, packet->data ? packet->data : (const guint8 *) "", packet->len);
        for (guint i = M2T_STREAM_UNIT_HEADER_SIZE; i + 2 < unit->len; i++)
            g_assert_false(unit->data[i] == 0 && unit->data[i + 1] == 0 && unit->data[i + 2] < 3);
        g_assert_cmpint(m2t_stream_find(unit->data, unit->len, &skip, &unit_size), ==, M2T_STREAM_UNIT);
        g_assert_cmpuint(skip, ==, 0);
        g_assert_cmpuint(unit_size, ==, unit->len);
        m2t_stream_unescape(back, unit->data, unit->len);
        assert_bytes(back, packet->data, packet->len);
    }
}

/* Rubbish without a sync word, with the bytes of one. */
static void
append_rubbish(GByteArray *stream)
{
    guint size = g_rand_int_range(rng, 0, 40);

    for (guint i = 0; i < size; i++) {
        guint8 byte = "\0\0\2M\x80xyz"[g_rand_int_range(rng, 0, 8)];

        if (byte == 0x4D && stream->len >= 1 && stream->data[stream->len - 1] == 2)
            byte = 0x33;
        g_byte_array_append(stream, &byte, 1);
    }
}

/* Whole units with rubbish, a header of impossible length or a unit that was cut short between them. */
static void
test_resynchronisation(void)
{
    for (int turn = 0; turn < 300; turn++) {
        g_autoptr(GByteArray) stream = g_byte_array_new();
        g_autoptr(GPtrArray) expected = g_ptr_array_new_with_free_func((GDestroyNotify) g_byte_array_unref);
        gboolean cut = FALSE;

        for (int i = 0; i < 6; i++) {
            GByteArray *packet = random_packet(g_rand_int_range(rng, 1, 100));

            switch (g_rand_int_range(rng, 0, 5)) {
            case 0:
                append_rubbish(stream);
                break;
            case 1:
                g_byte_array_append(stream, (const guint8 *) "\0\0\2M\xff\xff\xff\xff", 8); /* too long */
                break;
            case 2:
                g_byte_array_append(stream, (const guint8 *) "\0\0\2M\x80\x80\x01\x85", 8); /* no length */
                break;
            case 3: {
                guint start = stream->len, body;

                m2t_stream_append(stream, packet->data, packet->len);
                body = stream->len - start - M2T_STREAM_UNIT_HEADER_SIZE;
                g_byte_array_set_size(stream, stream->len - g_rand_int_range(rng, 1, body + 1));
                cut = TRUE;
                break;
            }
            default:
                break;
            }
            m2t_stream_append(stream, packet->data, packet->len);
            g_ptr_array_add(expected, packet);
        }
        check_units(stream->data, stream->len, stream->len, expected);
        if (!cut)
            check_units(stream->data, stream->len, g_rand_int_range(rng, 1, 200), expected);
    }
}

static void
test_nothing_to_find(void)
{
    gsize skip = 1, unit_size = 0;
    g_autofree guint8 *zeros = g_malloc0(1000);

    g_assert_cmpint(m2t_stream_find(NULL, 0, &skip, &unit_size), ==, M2T_STREAM_MORE);
    g_assert_cmpuint(skip, ==, 0);
    g_assert_cmpuint(unit_size, ==, M2T_STREAM_UNIT_HEADER_SIZE);
    g_assert_cmpint(m2t_stream_find(zeros, 1000, &skip, &unit_size), ==, M2T_STREAM_MORE);
    g_assert_cmpuint(skip, ==, 998); /* two zeros may begin a sync word */
    g_assert_cmpint(m2t_stream_find("abc\0\0\2", 6, &skip, &unit_size), ==, M2T_STREAM_MORE);
    g_assert_cmpuint(skip, ==, 3);
    g_assert_cmpint(m2t_stream_find("\0\0\2M\xa0\x80\x80\x80", 8, &skip, &unit_size), ==, M2T_STREAM_MORE);
    g_assert_cmpuint(skip, ==, 0);
    g_assert_cmpuint(unit_size, ==, M2T_STREAM_UNIT_HEADER_SIZE + M2T_STREAM_UNIT_MAX);
    g_assert_cmpint(m2t_stream_find("\0\0\2M\xa0\x80\x80\x81", 8, &skip, &unit_size), ==, M2T_STREAM_MORE);
    g_assert_cmpuint(skip, ==, 8);
}

/* Twenty megabytes of sync words and of zeros, and a long unit fed in small pieces: quadratic time would not end here. */
static void
test_linear_time(void)
{
    const gsize size = 20 << 20;
    g_autofree guint8 *data = g_malloc0(size);
    g_autoptr(GByteArray) unit = g_byte_array_new();
    g_autoptr(GPtrArray) packets = g_ptr_array_new_with_free_func((GDestroyNotify) g_byte_array_unref);
    gsize skip, unit_size;

    g_test_timer_start();
    m2t_stream_find(data, size, &skip, &unit_size);
    for (gsize i = 0; i + 8 <= size; i += 8)
        memcpy(data + i, "\0\0\2M\x80\x80\x80\x8C", 8);
    take_units(data, size, size, packets);
    g_ptr_array_set_size(packets, 0);
    memset(data, 0x55, 1 << 20);
    m2t_stream_append(unit, data, 1 << 20);
    take_units(unit->data, unit->len, 64, packets);
    g_assert_cmpuint(packets->len, ==, 1);
    g_assert_cmpfloat(g_test_timer_elapsed(), <, 20.0);
}

/* Zeros, which grow most, up to the length that always fits; a little more does not, and leaves nothing behind. Other bytes may be more. */
static void
test_long_packets(void)
{
    g_autofree guint8 *data = g_malloc0(M2T_STREAM_UNIT_MAX + 1);
    g_autoptr(GByteArray) unit = g_byte_array_new();
    gsize skip, unit_size;

    g_assert_true(m2t_stream_append(unit, data, M2T_STREAM_PACKET_MAX));
    g_assert_cmpint(m2t_stream_find(unit->data, unit->len, &skip, &unit_size), ==, M2T_STREAM_UNIT);
    g_assert_cmpuint(unit_size, ==, unit->len);
    g_byte_array_set_size(unit, 3);
    g_assert_false(m2t_stream_append(unit, data, M2T_STREAM_PACKET_MAX + 4));
    g_assert_cmpuint(unit->len, ==, 3);
    memset(data, 0x55, M2T_STREAM_UNIT_MAX + 1);
    g_assert_false(m2t_stream_append(unit, data, M2T_STREAM_UNIT_MAX + 1));
    g_assert_cmpuint(unit->len, ==, 3);
    g_assert_true(m2t_stream_append(unit, data, M2T_STREAM_UNIT_MAX));
    g_assert_cmpuint(unit->len, ==, 3 + M2T_STREAM_UNIT_HEADER_SIZE + M2T_STREAM_UNIT_MAX);
}

/* Whatever the bytes are, the answers stay within what they are about. */
static void
test_random_bytes(void)
{
    for (int turn = 0; turn < 3000; turn++) {
        g_autoptr(GByteArray) stream = g_byte_array_new();
        g_autoptr(GPtrArray) packets = g_ptr_array_new_with_free_func((GDestroyNotify) g_byte_array_unref);

        for (int i = 0; i < 3; i++) {
            g_autoptr(GByteArray) packet = random_packet(g_rand_int_range(rng, 1, 60));

            m2t_stream_append(stream, packet->data, packet->len);
        }
        for (int i = 0; i < 4; i++)
            stream->data[g_rand_int_range(rng, 0, stream->len)] = g_rand_int(rng);
        take_units(stream->data, g_rand_int_range(rng, 0, stream->len + 1), 1 + g_rand_int_range(rng, 0, 50), packets);
    }
}

int
main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    vectors = vectors_open("headers");
    rng = g_rand_new_with_seed(1);
    g_test_add_func("/stream/magic", test_magic);
    g_test_add_func("/stream/golden-escapes", test_golden_escapes);
    g_test_add_func("/stream/golden-streams", test_golden_streams);
    g_test_add_func("/stream/round-trips", test_round_trips);
    g_test_add_func("/stream/resynchronisation", test_resynchronisation);
    g_test_add_func("/stream/nothing-to-find", test_nothing_to_find);
    g_test_add_func("/stream/linear-time", test_linear_time);
    g_test_add_func("/stream/long-packets", test_long_packets);
    g_test_add_func("/stream/random-bytes", test_random_bytes);
    status = g_test_run();
    g_rand_free(rng);
    vectors_close(&vectors);
    return status;
}
