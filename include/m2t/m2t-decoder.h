/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Framed packets in, pictures out, one for one. */
#ifndef M2T_DECODER_H
#define M2T_DECODER_H

#include <m2t/m2t-error.h>
#include <m2t/m2t-model.h>
#include <m2t/m2t-picture.h>

G_BEGIN_DECLS

typedef struct _M2tDecoder M2tDecoder;

typedef struct {
    guint threads;        /* as in M2tEncoderSettings */
    const char *backend;
    guint64 max_samples;  /* refuse larger pictures (luma samples); 0 (default): M2T_SIZE_MAX squared */
} M2tDecoderSettings;

/* What the headers of a frame say. */
typedef struct {
    gboolean key;                                  /* carries a sequence header */
    guint8 number;                                 /* frame counter modulo 256 */
    double quantizer;
    guint8 identity[M2T_MODEL_IDENTITY_SIZE];      /* of the model; valid if has_sequence */
    gboolean has_sequence;                         /* @video and @identity are valid: they were in this frame,
                                                    * or, from m2t_decoder_open_frame(), in an earlier one */
    M2tVideoInfo video;
} M2tFrameInfo;

/* Reads and checks the headers of a framed packet without decoding anything and without any state.
 * Returns: TRUE with @info filled in, or FALSE with M2T_ERROR_STREAM or _UNSUPPORTED. Any thread. */
M2T_API gboolean m2t_frame_info_read(const void *data, gsize size, M2tFrameInfo *info, GError **error);

/* Fills in the defaults. Any thread. */
M2T_API void m2t_decoder_settings_init(M2tDecoderSettings *settings);

/* @model: the only one to decode with; NULL: the installed model that the stream names.
 * Returns: a decoder, free with m2t_decoder_free(); or NULL with M2T_ERROR_SETTINGS or _UNSUPPORTED. */
M2T_API M2tDecoder *m2t_decoder_new(M2tModel *model, const M2tDecoderSettings *settings, GError **error);

/* Checks the next packet: headers, checksums, model. Where the size or the model is new, all memory for it is taken here, about 45
 * bytes for each luma sample of the padded picture. @data must stay as it is until m2t_decoder_decode() or the next
 * m2t_decoder_open_frame().
 * Returns: TRUE with @info filled in (it may be NULL). FALSE, with @error set, leaves the decoder usable: M2T_ERROR_STREAM,
 * _NO_HEADER, _UNSUPPORTED, _WRONG_MODEL (names both identities), _MODEL, _MEMORY. */
M2T_API gboolean m2t_decoder_open_frame(M2tDecoder *decoder, const void *data, gsize size, M2tFrameInfo *info, GError **error);

/* Decodes the packet just opened into @picture, which has the size that @info said.
 * Returns: FALSE with M2T_ERROR_STREAM if the payload is damaged; @picture is then not written. */
M2T_API gboolean m2t_decoder_decode(M2tDecoder *decoder, M2tPicture *picture, GError **error);

/* Forgets the sequence header: the next frame must be a key frame. */
M2T_API void m2t_decoder_reset(M2tDecoder *decoder);

M2T_API const char *m2t_decoder_backend(const M2tDecoder *decoder); /* the one in use */
M2T_API guint m2t_decoder_threads(const M2tDecoder *decoder);

M2T_API void m2t_decoder_free(M2tDecoder *decoder); /* NULL is allowed */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(M2tDecoder, m2t_decoder_free)

G_END_DECLS

#endif
