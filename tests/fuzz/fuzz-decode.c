/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames through a decoder with the small model. The first byte chooses: a frame as it is, with the model's identity and both checksums put
 * right; or a slice, for which the next four bytes give size, quantizer and lanes of a right header. */
#include "fuzz.h"

#include "bitstream/frame.h"
#include "base/varint.h"

#include <m2t/m2t.h>

#include <string.h>

#define SIDE_MAX 80

static M2tModel *model;

static M2tDecoder *
get_decoder(void)
{
    static M2tDecoder *decoder;

    if (!decoder) {
        M2tDecoderSettings settings;

        m2t_decoder_settings_init(&settings);
        settings.threads = 1;
        settings.backend = "c";
        settings.max_samples = SIDE_MAX * SIDE_MAX;
        model = m2t_model_open_memory(g_bytes_get_data(fuzz_tiny_model(), NULL), g_bytes_get_size(fuzz_tiny_model()), "tiny", NULL);
        decoder = m2t_decoder_new(model, &settings, NULL);
        g_assert(decoder);
    }
    return decoder;
}

static void
decode(M2tDecoder *decoder, const guint8 *data, gsize size)
{
    M2tFrameInfo info;
    M2tPicture picture;
    gsize luma, chroma;
    int half;

    if (!m2t_decoder_open_frame(decoder, data, size, &info, NULL))
        return;
    half = (info.video.width + 1) / 2;
    luma = (gsize) info.video.width * info.video.height;
    chroma = (gsize) half * ((info.video.height + 1) / 2);
    picture = (M2tPicture) {{g_malloc(luma), g_malloc(chroma), g_malloc(chroma)}, {info.video.width, half, half}};
    m2t_decoder_decode(decoder, &picture, NULL);
    for (int i = 0; i < 3; i++)
        g_free(picture.data[i]);
}

/* Steps over a field that starts with its length; returns where it begins, or @end. */
static guint8 *
skip_field(const guint8 **at, guint8 *frame, const guint8 *end)
{
    guint32 length;
    guint8 *begin;

    if (!m2t_varint_read(at, end, &length) || length > (gsize) (end - *at)) {
        *at = end;
        return frame + (end - frame);
    }
    begin = frame + (*at - frame);
    *at += length;
    return begin;
}

static void
put_right(guint8 *frame, gsize size)
{
    const guint8 *at = frame + MIN(size, 3), *end = frame + size;
    guint32 slices, length, crc;
    guint8 *check;

    if (size > 3 && frame[0] & 4) {
        guint8 *sequence = skip_field(&at, frame, end);

        if (end - sequence > 1 + M2T_MODEL_IDENTITY_SIZE)
            memcpy(sequence + 1, m2t_model_identity(model), M2T_MODEL_IDENTITY_SIZE);
    }
    if (!m2t_varint_read(&at, end, &slices) || !m2t_varint_read(&at, end, &length) || end - at < 6)
        return;
    check = frame + (at - frame);
    crc = m2t_crc32c(frame, at - frame);
    check[0] = crc & 255;
    check[1] = crc >> 8 & 255;
    crc = m2t_crc32c(at + 6, end - at - 6);
    for (int i = 0; i < 4; i++)
        check[2 + i] = crc >> 8 * i & 255;
}

static void
decode_frame(M2tDecoder *decoder, const guint8 *data, gsize size)
{
    g_autofree guint8 *copy = g_memdup2(data, size);

    if (copy)
        put_right(copy, size);
    decode(decoder, copy, size);
}

static void
decode_slice(M2tDecoder *decoder, const guint8 *data, gsize size)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    M2tFrameHeader header = {.has_sequence = TRUE, .slices = 1};

    if (size < 5)
        return;
    memcpy(header.model, m2t_model_identity(model), sizeof header.model);
    m2t_video_info_init(&header.video, M2T_SIZE_MIN + data[0] % (SIDE_MAX - M2T_SIZE_MIN),
                        M2T_SIZE_MIN + data[1] % (SIDE_MAX - M2T_SIZE_MIN));
    header.q = data[2] % 253;
    header.lanes = data[3] % 3;
    m2t_frame_write(frame, &header, &(M2tSliceBytes) {data + 4, size - 4, m2t_crc32c(data + 4, size - 4)});
    decode(decoder, frame->data, frame->len);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    M2tDecoder *decoder = get_decoder();

    if (size < 1)
        return 0;
    if (data[0] & 1)
        decode_slice(decoder, data + 1, size - 1);
    else
        decode_frame(decoder, data + 1, size - 1);
    return 0;
}
