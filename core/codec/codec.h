/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What encoder and decoder have in common: a model made ready, workers, and the memory of one picture size. */
#ifndef M2T_CODEC_H
#define M2T_CODEC_H

#include "base/arena.h"
#include "codec/profile.h"
#include "entropy/slice.h"
#include "exact/samples.h"
#include "frame/patch.h"
#include "nn/linear.h"
#include "prior/prior.h"
#include "quant/quant.h"
#include "synthesis/synthesis.h"

#include <m2t/m2t-error.h>

typedef struct {
    M2tModel *model;
    M2tNet *net;
    const M2tEntropyTables *tables;  /* of the net */
    M2tContext context;
    M2tArena arena;
    M2tGeometry geometry;
    M2tQuant quant;
    M2tPrior prior;
    gint16 *latents;      /* [token_rows][token_columns][latents] */
    gint8 *centroid;      /* the same shape, in 1/M2T_LATENT_ONE (entropy/slice.h): of those that are coded */
    guint8 *kind;         /* [token_rows][token_columns] of M2tTokenKind */
    M2tExact exact;
    M2tProfile profile;   /* of the last frame */
} M2tCodec;

/* The stage that only one side has takes its memory in the same walk. */
typedef void (*M2tLayout)(M2tCodec *codec, gpointer stage);

/* Takes its own reference on @model. @threads: at least one. FALSE with M2T_ERROR_MEMORY. */
gboolean m2t_codec_init(M2tCodec *codec, M2tModel *model, const M2tGemm *gemm, guint threads, int width, int height, int slices, M2tLayout layout,
                        gpointer stage, GError **error);
void m2t_codec_clear(M2tCodec *codec); /* of zeros is allowed */

/* Position of the first latent of a slot among all latents, or -1 if it is not coded: outside the token grid, kept or exact. */
gint64 m2t_codec_position(const M2tCodec *codec, int slot);

/* What the synthesis starts from, for tokens that are coded or exact; others stay as they are. */
void m2t_codec_dequantise(const M2tCodec *codec, M2tSynthesis *synthesis);

/* Latents of a slice, and the position of the first one. */
gsize m2t_codec_slice_latents(const M2tCodec *codec, int slice);
gsize m2t_codec_slice_position(const M2tCodec *codec, int slice);

/* FALSE with M2T_ERROR_SETTINGS: a plane is missing. */
gboolean m2t_codec_check_picture(const M2tPicture *picture, GError **error);

/* The settings that encoder and decoder share, made definite. */
typedef struct {
    const M2tGemm *gemm;
    guint threads, frames;
} M2tCodecSettings;

/* FALSE with M2T_ERROR_SETTINGS or _UNSUPPORTED. */
gboolean m2t_codec_settings(M2tCodecSettings *settings, const char *backend, guint threads, guint frames, GError **error);

/* Threads for the frame in place @i of those in flight: an equal share, but at least one. */
guint m2t_codec_share(const M2tCodecSettings *settings, guint i);

#endif
