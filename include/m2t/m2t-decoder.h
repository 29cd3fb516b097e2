/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Framed packets in, pictures out, one for one. By default one at a time; or several at the same time, with m2t_decoder_start() and
 * m2t_decoder_finish() in place of m2t_decoder_decode(). */
#ifndef M2T_DECODER_H
#define M2T_DECODER_H

#include <m2t/m2t-error.h>
#include <m2t/m2t-model.h>
#include <m2t/m2t-picture.h>

G_BEGIN_DECLS

typedef struct _M2tDecoder M2tDecoder;

typedef struct {
    guint threads, frames; /* as in M2tEncoderSettings; here more than one frame pays for all streams */
    const char *backend;
    guint64 max_samples;  /* refuse what takes more memory: luma samples of the slices, width and height of each rounded up to multiples of
                           * 128; 0 (default): nothing is refused. 1920x1080 has 2211840 in one slice, 15728640 in 64. */
} M2tDecoderSettings;

/* What the headers of a frame say. */
typedef struct {
    gboolean key;                                  /* carries a sequence header */
    gboolean inter;                                /* leans on the frame before */
    guint8 number;                                 /* frame counter modulo 256 */
    guint slices;                                  /* bands that can be decoded without the others */
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

/* @model: the only one to decode with, of which the decoder takes its own reference; NULL: the installed model that the stream names. @settings are
 * copied; NULL: defaults.
 * Returns: a decoder, free with m2t_decoder_free(); or NULL with M2T_ERROR_SETTINGS or _UNSUPPORTED. */
M2T_API M2tDecoder *m2t_decoder_new(M2tModel *model, const M2tDecoderSettings *settings, GError **error);

/* Checks the next packet: headers, checksums, model. Where the size or the model is new, frames that are pending are waited for
 * (they still have to be finished), and all memory for it is taken: for each of the frames in flight 16 to 20 bytes for each luma sample of
 * the picture, and 18 to 40, which goes with the model, for each of those that max_samples counts. @data must stay as it is until the frame
 * is decoded, or finished, or another one opened in its place.
 * Slices that are missing or damaged do not matter as long as one is good, see m2t_decoder_damaged().
 * Returns: TRUE with @info filled in (it may be NULL). FALSE, with @error set, leaves the decoder usable: M2T_ERROR_STREAM,
 * _NO_HEADER, _UNSUPPORTED (also of what takes more than max_samples), _WRONG_MODEL (names both identities), _MEMORY. If it was a key
 * frame with another sequence header than the last one, those that follow without one are not decoded either: _NO_HEADER, up to the next
 * key frame. */
M2T_API gboolean m2t_decoder_open_frame(M2tDecoder *decoder, const void *data, gsize size, M2tFrameInfo *info, GError **error);

/* Decodes the packet just opened into @picture, which has the size that @info said, or may be NULL as below: start and finish in one, while no other
 * frame is pending.
 * Returns: FALSE with M2T_ERROR_STREAM if the payload is damaged; @picture is then not written. */
M2T_API gboolean m2t_decoder_decode(M2tDecoder *decoder, M2tPicture *picture, GError **error);

/* Begins to decode the packet just opened, in a thread of the decoder; with one frame in flight it is done on return. @picture is copied;
 * the planes it points to, and the packet, must stay until the frame is finished. NULL: the frame is not to be shown, and only what later
 * ones may lean on is decoded, in about half the time. A caller's mistake: as many frames as there can be are pending.
 * Returns: TRUE, and the frame is pending; FALSE, and it is not, with M2T_ERROR_STREAM if no frame is open or what a slice says of its
 * tokens is damaged, with M2T_ERROR_SETTINGS if @picture lacks a plane. */
M2T_API gboolean m2t_decoder_start(M2tDecoder *decoder, const M2tPicture *picture, GError **error);

/* Waits for the frame that was started first. A caller's mistake: none is pending.
 * Returns: FALSE with M2T_ERROR_STREAM if its payload is damaged; its picture is then not written. */
M2T_API gboolean m2t_decoder_finish(M2tDecoder *decoder, GError **error);

/* How many slices of the frame finished last are not what the encoder meant: missing, or leaning on something that is. They show what was there
 * before, where that is known. Its other slices are good. */
M2T_API guint m2t_decoder_damaged(const M2tDecoder *decoder);

M2T_API guint m2t_decoder_pending(const M2tDecoder *decoder);    /* frames started and not yet finished */
M2T_API gboolean m2t_decoder_ready(const M2tDecoder *decoder);   /* one is pending, and m2t_decoder_finish() would not wait for it */

/* Forgets the sequence header: the next frame must be a key frame. Frames that are pending are waited for and thrown away. */
M2T_API void m2t_decoder_reset(M2tDecoder *decoder);

M2T_API const char *m2t_decoder_backend(const M2tDecoder *decoder); /* the one in use */
M2T_API guint m2t_decoder_threads(const M2tDecoder *decoder);       /* over all frames in flight */
M2T_API guint m2t_decoder_frames(const M2tDecoder *decoder);        /* that can be in flight */

M2T_API void m2t_decoder_free(M2tDecoder *decoder); /* waits for pending frames; NULL is allowed */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(M2tDecoder, m2t_decoder_free)

G_END_DECLS

#endif
