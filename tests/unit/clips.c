/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clips through encoder and decoder. */
#include "clips.h"
#include "vectors.h"

M2tModel *
clips_open_model(const char *name)
{
    g_autofree char *path = vectors_path(name);
    GError *error = NULL;
    M2tModel *model = m2t_model_open(path, &error);

    g_assert_no_error(error);
    return model;
}

M2tEncoder *
clips_open_encoder(M2tModel *model, int width, int height, const M2tEncoderSettings *settings)
{
    M2tVideoInfo video;
    GError *error = NULL;
    M2tEncoder *encoder;

    m2t_video_info_init(&video, (guint) width, (guint) height);
    encoder = m2t_encoder_new(model, &video, settings, &error);
    g_assert_no_error(error);
    return encoder;
}

M2tDecoder *
clips_open_decoder(M2tModel *model, guint threads, guint frames)
{
    M2tDecoderSettings settings;
    GError *error = NULL;
    M2tDecoder *decoder;

    m2t_decoder_settings_init(&settings);
    settings.threads = threads;
    settings.frames = frames;
    decoder = m2t_decoder_new(model, &settings, &error);
    g_assert_no_error(error);
    return decoder;
}

void
clips_clear(Planes *clip, int pictures)
{
    for (int i = 0; i < pictures; i++)
        planes_clear(&clip[i]);
}

GPtrArray *
clips_encode(M2tEncoder *encoder, const Planes *clip, int pictures)
{
    GPtrArray *packets = g_ptr_array_new_with_free_func((GDestroyNotify) g_bytes_unref);
    GError *error = NULL;

    for (int started = 0; packets->len < (guint) pictures;)
        if (started < pictures && m2t_encoder_pending(encoder) < m2t_encoder_frames(encoder)) {
            m2t_encoder_start(encoder, &clip[started++].picture, FALSE, &error);
            g_assert_no_error(error);
        } else {
            M2tPacket packet;

            m2t_encoder_finish(encoder, &packet, &error);
            g_assert_no_error(error);
            g_ptr_array_add(packets, g_bytes_new(packet.data, packet.size));
        }
    return packets;
}

guint
clips_decode(M2tDecoder *decoder, GBytes *packet, Planes *out)
{
    GError *error = NULL;

    m2t_decoder_open_frame(decoder, g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), NULL, &error);
    g_assert_no_error(error);
    m2t_decoder_decode(decoder, &out->picture, &error);
    g_assert_no_error(error);
    return m2t_decoder_damaged(decoder);
}

void
clips_decode_all(M2tDecoder *decoder, GPtrArray *packets, Planes *out, int *damaged)
{
    for (guint started = 0, finished = 0; finished < packets->len;)
        if (started < packets->len && m2t_decoder_pending(decoder) < m2t_decoder_frames(decoder)) {
            GBytes *packet = packets->pdata[started];

            g_assert_true(m2t_decoder_open_frame(decoder, g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), NULL, NULL));
            g_assert_true(m2t_decoder_start(decoder, &out[started++].picture, NULL));
        } else {
            gboolean good = m2t_decoder_finish(decoder, NULL);

            damaged[finished++] = good ? (int) m2t_decoder_damaged(decoder) : -1;
        }
}

void
clips_expect_same(GPtrArray *a, GPtrArray *b)
{
    g_assert_cmpuint(a->len, ==, b->len);
    for (guint i = 0; i < a->len; i++)
        g_assert_true(g_bytes_equal(a->pdata[i], b->pdata[i]));
}

const guint8 *
clips_find_slice(GBytes *packet, guint slice, M2tFrameHeader *header, M2tSliceBytes *slices)
{
    g_assert_true(m2t_frame_read(g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), header, slices, NULL));
    return slices[slice].data;
}

GBytes *
clips_without_slice(GBytes *packet, guint lost)
{
    const guint8 *data = g_bytes_get_data(packet, NULL), *slice[M2T_SLICES_MAX];
    GByteArray *out = g_byte_array_new();
    M2tFrameLayout layout;

    g_assert_true(m2t_frame_layout_read(data, g_bytes_get_size(packet), &layout, NULL));
    for (gsize i = 0, at = layout.header_size; i < layout.slices; at += layout.slice_size[i++])
        slice[i] = i == lost ? NULL : data + at;
    m2t_frame_assemble(out, data, &layout, slice);
    return g_byte_array_free_to_bytes(out);
}
