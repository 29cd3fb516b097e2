/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames through a decoder with the small model. The first byte chooses: a frame as it is, with the model's identity and all checksums put
 * right; or slices in frames with right headers, see decode_clip(). Accepted: all frames are decoded. */
#include "fuzz.h"

#include "bitstream/frame.h"
#include "base/varint.h"

#include <m2t/m2t.h>

#include <string.h>

#define SIDE_MAX 80
#define SAMPLES_MAX (SIDE_MAX / 16 * 128 * 128) /* with as many slices as there can be */

gboolean fuzz_accepted;
static M2tModel *model;

/* One for all inputs, for speed. What was opened before is forgotten; only what missing slices show may still come from there. */
static M2tDecoder *
get_decoder(void)
{
    static M2tDecoder *decoder;

    if (!decoder) {
        M2tDecoderSettings settings;

        m2t_decoder_settings_init(&settings);
        settings.threads = 1;
        settings.backend = "c";
        settings.max_samples = SAMPLES_MAX;
        model = m2t_model_open_memory(g_bytes_get_data(fuzz_tiny_model(), NULL), g_bytes_get_size(fuzz_tiny_model()), "tiny", NULL);
        decoder = m2t_decoder_new(model, &settings, NULL);
        g_assert(decoder);
    }
    m2t_decoder_reset(decoder);
    return decoder;
}

static gboolean
decode(M2tDecoder *decoder, const guint8 *data, gsize size)
{
    M2tFrameInfo info;
    M2tPicture picture;
    gsize luma, chroma;
    gboolean decoded;
    int half;

    if (!m2t_decoder_open_frame(decoder, data, size, &info, NULL))
        return FALSE;
    half = (info.video.width + 1) / 2;
    luma = (gsize) info.video.width * info.video.height;
    chroma = (gsize) half * ((info.video.height + 1) / 2);
    picture = (M2tPicture) {{g_malloc(luma), g_malloc(chroma), g_malloc(chroma)}, {info.video.width, half, half}};
    decoded = m2t_decoder_decode(decoder, &picture, NULL);
    for (int i = 0; i < 3; i++)
        g_free(picture.data[i]);
    return decoded;
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
put_bytes(guint8 *at, guint32 value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = value >> 8 * i & 255;
}

/* The check, and the checksums of the slices behind it. */
static void
put_checksums(guint8 *frame, const guint8 *at, const guint8 *end, const guint32 *length, guint32 slices)
{
    put_bytes(frame + (at - frame), m2t_crc32c(frame, at - frame), 2);
    at += 2;
    for (guint32 i = 0; i < slices && end - at >= 4; i++) {
        gsize there;

        if (length[i] == 0)
            continue;
        there = MIN(length[i], (gsize) (end - at - 4));
        put_bytes(frame + (at - frame), m2t_crc32c(at + 4, there), 4);
        at += 4 + there;
    }
}

static void
put_right(guint8 *frame, gsize size)
{
    const guint8 *at = frame + MIN(size, 3), *end = frame + size;
    guint32 slices, length[M2T_SLICES_MAX];

    if (size > 3 && frame[0] & 4) {
        guint8 *sequence = skip_field(&at, frame, end);

        if (end - sequence > 1 + M2T_MODEL_IDENTITY_SIZE)
            memcpy(sequence + 1, m2t_model_identity(model), M2T_MODEL_IDENTITY_SIZE);
    }
    if (!m2t_varint_read(&at, end, &slices) || slices > M2T_SLICES_MAX)
        return;
    for (guint32 i = 0; i < slices; i++)
        if (!m2t_varint_read(&at, end, &length[i]))
            return;
    if (end - at >= 2)
        put_checksums(frame, at, end, length, slices);
}

static void
decode_frame(M2tDecoder *decoder, const guint8 *data, gsize size)
{
    g_autofree guint8 *copy = g_memdup2(data, size);

    if (copy)
        put_right(copy, size);
    fuzz_accepted = decode(decoder, copy, size);
}

/* Slices for a frame: two bytes of length each, 0 for one that is missing, then its bytes. What is not there is missing as well. */
static void
take_slices(const guint8 **data, gsize *size, M2tSliceBytes *slice, guint slices)
{
    for (guint i = 0; i < slices; i++) {
        gsize length = *size >= 2 ? (*data)[0] | (*data)[1] << 8 : 0;

        length = MIN(length, *size - MIN(*size, 2));
        *data += MIN(*size, 2);
        *size -= MIN(*size, 2);
        slice[i] = (M2tSliceBytes) {length ? *data : NULL, length, m2t_crc32c(*data, length)};
        *data += length;
        *size -= length;
    }
}

/* As an encoder writes it, and then without what is missing, as a transport does. */
static gboolean
decode_slices(M2tDecoder *decoder, const M2tFrameHeader *header, const M2tSliceBytes *slice)
{
    g_autoptr(GByteArray) whole = g_byte_array_new(), frame = g_byte_array_new();
    const guint8 *part[M2T_SLICES_MAX], *at;
    M2tSliceBytes full[M2T_SLICES_MAX];
    M2tFrameLayout layout;

    for (guint i = 0; i < header->slices; i++)
        full[i] = slice[i].data ? slice[i] : (M2tSliceBytes) {(const guint8 *) "", 1, 0};
    m2t_frame_write(whole, header, full);
    g_assert(m2t_frame_layout_read(whole->data, whole->len, &layout, NULL));
    at = whole->data + layout.header_size;
    for (guint i = 0; i < header->slices; at += layout.slice_size[i++])
        part[i] = slice[i].data ? at : NULL;
    g_assert(at == whole->data + whole->len);
    m2t_frame_assemble(frame, whole->data, &layout, part);
    return decode(decoder, frame->data, frame->len);
}

/* Size, quantizer, lanes and number of slices in a byte each; then frames: a byte with bits for "inter", "sequence header" and "exact
 * tokens", and the slices. */
static void
decode_clip(M2tDecoder *decoder, const guint8 *data, gsize size)
{
    M2tFrameHeader header = {.has_sequence = TRUE};
    M2tSliceBytes slice[M2T_SLICES_MAX];

    if (size < 5)
        return;
    memcpy(header.model, m2t_model_identity(model), sizeof header.model);
    m2t_video_info_init(&header.video, M2T_SIZE_MIN + data[0] % (SIDE_MAX - M2T_SIZE_MIN), M2T_SIZE_MIN + data[1] % (SIDE_MAX - M2T_SIZE_MIN));
    header.q = data[2] % 253;
    header.lanes = data[3] % 3;
    header.slices = 1 + data[4] % ((header.video.height + 15) / 16);
    data += 5;
    size -= 5;
    fuzz_accepted = size > 0;
    while (size > 0) {
        header.inter = *data & 1;
        header.exact = *data >> 2 & 1;
        header.has_sequence = header.has_sequence || *data & 2;
        data++;
        size--;
        take_slices(&data, &size, slice, header.slices);
        fuzz_accepted &= decode_slices(decoder, &header, slice);
        header.has_sequence = FALSE;
        header.number++;
    }
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    M2tDecoder *decoder = get_decoder();

    fuzz_accepted = FALSE;
    if (size < 1)
        return 0;
    if (data[0] & 1)
        decode_clip(decoder, data + 1, size - 1);
    else
        decode_frame(decoder, data + 1, size - 1);
    return 0;
}
