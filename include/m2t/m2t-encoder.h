/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures in, framed packets out, one for one. By default one at a time; or several at the same time, which makes better use of the
 * processors and costs delay: then m2t_encoder_start() hands over a picture and m2t_encoder_finish() fetches the packet of the oldest. */
#ifndef M2T_ENCODER_H
#define M2T_ENCODER_H

#include <m2t/m2t-error.h>
#include <m2t/m2t-model.h>
#include <m2t/m2t-picture.h>

G_BEGIN_DECLS

#define M2T_QUANTIZER_MAX 63.0
#define M2T_QUANTIZER_DEFAULT 32.0
#define M2T_THREADS_MAX 64
#define M2T_FRAMES_MAX 8
#define M2T_VBV_DEFAULT 500

typedef struct _M2tEncoder M2tEncoder;

typedef enum {
    M2T_SPEED_PRESET_FAST,   /* chooses among the nearest values of latents */
    M2T_SPEED_PRESET_MEDIUM, /* and among those next to them that take fewer bits */
    M2T_SPEED_PRESET_SLOW,   /* decodes and analyses what it is about to send four times, and chooses anew by what that shows */
} M2tSpeedPreset;

/* With a bitrate, a frame for which the buffer (VBV) has no room even at the coarsest quantizer is dropped: its packet says to show the
 * frame before again, and a key frame that was due comes later. What nobody may drop is sent all the same, and alone may exceed the
 * buffer: the first frame, forced key frames, those larger than the whole buffer, and all frames if key_interval is 1. */
typedef enum {
    M2T_RATE_CONTROL_CQP,    /* constant quantizer */
    M2T_RATE_CONTROL_VBR,    /* variable bitrate: the mean over some seconds is bitrate, the buffer drains at max_bitrate */
    M2T_RATE_CONTROL_CBR,    /* constant bitrate: the buffer drains at bitrate. Nothing is padded: where the finest quantizer takes less, less is sent. */
} M2tRateControl;

typedef struct {
    double quantizer;     /* 0 (finest) ... M2T_QUANTIZER_MAX, in steps of 1/4; default M2T_QUANTIZER_DEFAULT */
    guint key_interval;   /* frames from one key frame to the next, at most. 1: every frame is one, nothing is taken over from the frame before.
                           * 0 (default): two seconds, and every frame of which no part is taken over is one as well. */
    gboolean intra_refresh; /* after the first, only forced key frames stand alone as a whole. Otherwise one slice after the other does, all of
                           * them within key_interval frames; frames in which one does carry the sequence header (M2tPacket.key). */
    guint slices;         /* bands that can be decoded without the others: 1 ... M2T_SLICES_MAX, at most one for each 16 rows; 0 (default): 1, with
                           * intra_refresh one for each 128 rows */
    M2tRateControl rate_control; /* default M2T_RATE_CONTROL_CQP; the others choose the quantizer themselves */
    guint bitrate;        /* kbit/s; 0 (default): 0.15 bits for each luma sample, at 30 frames/s if the rate is unknown */
    guint max_bitrate;    /* kbit/s, for variable bitrate, of which bitrate never is more; 0 (default): twice bitrate */
    guint vbv_buf_capacity; /* milliseconds that the buffer holds at the bitrate it drains with, at least 1; default M2T_VBV_DEFAULT */
    guint threads;        /* 1 ... M2T_THREADS_MAX; 0 (default): the processors at hand */
    guint frames;         /* in flight, coded at the same time: 1 (default) ... M2T_FRAMES_MAX; 0: one for each thread, as far as
                           * that goes. Threads are shared out among them, each has at least one. Frames that depend on the one before wait
                           * for it, so that more than 1 only pays with a key_interval of 1 and a constant quantizer. */
    M2tSpeedPreset speed_preset; /* default M2T_SPEED_PRESET_MEDIUM */
    const char *backend;  /* of the matrix products: "c", "openblas", "avx2", "dotprod", "onednn", "vnni"; NULL (default): the
                           * fastest that works here. The bits do not depend on it. While frames are coded with "openblas", OpenBLAS has one thread
                           * in the whole process; then what it had before. */
} M2tEncoderSettings;

/* A coded frame. @data belongs to the encoder and is valid until the next m2t_encoder_start(), _encode() or _reset(). */
typedef struct {
    const guint8 *data;
    gsize size;
    gboolean key;         /* decoding can start here; with intra_refresh the picture may be whole only later */
    double quantizer;     /* it was coded with */
    guint8 number;        /* frame counter modulo 256 */
} M2tPacket;

/* Fills in the defaults. Any thread. */
M2T_API void m2t_encoder_settings_init(M2tEncoderSettings *settings);

/* Takes its own reference on @model, copies @info and @settings (NULL: defaults). All memory is taken here, and goes with the model: for
 * each of the frames in flight 24 to 30 bytes for each luma sample of the picture, with M2T_SPEED_PRESET_SLOW 55 to 76, and 26 to 51 for
 * each sample of its slices, width and height of each rounded up to multiples of 128. In one slice that is 50 to 126 for each sample, in
 * many low ones several times as much. And once the weights as the backend wants them.
 * Returns: an encoder, free with m2t_encoder_free(); or NULL with M2T_ERROR_SETTINGS, _UNSUPPORTED or _MEMORY. */
M2T_API M2tEncoder *m2t_encoder_new(M2tModel *model, const M2tVideoInfo *info, const M2tEncoderSettings *settings, GError **error);

/* From the next frame that is started on; values are clamped to the range and rounded to 1/4. */
M2T_API void m2t_encoder_set_quantizer(M2tEncoder *encoder, double quantizer);
M2T_API void m2t_encoder_set_key_interval(M2tEncoder *encoder, guint frames);

/* From the next frame that is started on; as in M2tEncoderSettings, a buffer of 0 ms counts as 1. Without effect at a constant
 * quantizer. */
M2T_API void m2t_encoder_set_bitrate(M2tEncoder *encoder, guint bitrate, guint max_bitrate, guint vbv_buf_capacity);

/* How long frames last that are started from now on, in nanoseconds; 0: as the frame rate says, or 1/30 s. For rate control where frames
 * come unevenly. */
M2T_API void m2t_encoder_set_duration(M2tEncoder *encoder, guint64 duration);

/* Codes one picture of the size given to m2t_encoder_new(), while no other is pending: m2t_encoder_start() and m2t_encoder_finish() in one.
 * Returns: TRUE with @packet filled in. FALSE with the errors of these two. */
M2T_API gboolean m2t_encoder_encode(M2tEncoder *encoder, const M2tPicture *picture, gboolean force_key, M2tPacket *packet, GError **error);

/* Begins to code one picture in a thread of the encoder; with one frame in flight it is done on return. @force_key: make it a key frame
 * whatever the interval says. The first frame always is one. Packets do not depend on the number of frames in flight. @picture is copied;
 * the planes it points to are only read, and must stay as they are until the frame is finished. A caller's mistake: as many frames as
 * there can be are pending.
 * Returns: TRUE, and the frame is pending. FALSE with M2T_ERROR_SETTINGS, if @picture lacks a plane, leaves the encoder as it was. */
M2T_API gboolean m2t_encoder_start(M2tEncoder *encoder, const M2tPicture *picture, gboolean force_key, GError **error);

/* Waits for the frame that was started first. A caller's mistake: none is pending.
 * Returns: TRUE with @packet filled in. FALSE with M2T_ERROR_SETTINGS if the frame is larger than M2T_STREAM_PACKET_MAX; then it is lost, and the one
 * after it, or the next to be started, is a key frame. */
M2T_API gboolean m2t_encoder_finish(M2tEncoder *encoder, M2tPacket *packet, GError **error);

M2T_API guint m2t_encoder_pending(const M2tEncoder *encoder);    /* frames started and not yet finished */
M2T_API gboolean m2t_encoder_ready(const M2tEncoder *encoder);   /* one is pending, and m2t_encoder_finish() would not wait for it */

/* The next frame is a key frame that nothing before it matters for. Frames that are pending are waited for and thrown away. The frame
 * counter goes on, and so does the rate control: what is in its buffer is still on its way. */
M2T_API void m2t_encoder_reset(M2tEncoder *encoder);

M2T_API const char *m2t_encoder_backend(const M2tEncoder *encoder); /* the one in use */
M2T_API guint m2t_encoder_threads(const M2tEncoder *encoder);       /* over all frames in flight */
M2T_API guint m2t_encoder_frames(const M2tEncoder *encoder);        /* that can be in flight */

M2T_API void m2t_encoder_free(M2tEncoder *encoder); /* waits for pending frames; NULL is allowed */

/* The names of the backends that were built in and work on this CPU, fastest first, NULL-terminated. Static. Any thread. */
M2T_API const char *const *m2t_backends(void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(M2tEncoder, m2t_encoder_free)

G_END_DECLS

#endif
