/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the time of a frame goes: the wall clock, read when a stage ends. Some sixty readings a frame cost nothing worth an option. */
#ifndef M2T_CODEC_PROFILE_H
#define M2T_CODEC_PROFILE_H

#include <glib.h>

typedef enum { M2T_STAGE_ANALYSIS, M2T_STAGE_PRIOR, M2T_STAGE_CHOICE, M2T_STAGE_ENTROPY, M2T_STAGE_SYNTHESIS, M2T_STAGES } M2tStageName;

typedef struct {
    gint64 time[M2T_STAGES]; /* microseconds */
    gint64 last;
} M2tProfile;

/* A frame begins. */
static inline void
m2t_profile_begin(M2tProfile *profile)
{
    *profile = (M2tProfile) {.last = g_get_monotonic_time()};
}

/* What came since the last call was @stage. */
static inline void
m2t_profile_end(M2tProfile *profile, M2tStageName stage)
{
    gint64 now = g_get_monotonic_time();

    profile->time[stage] += now - profile->last;
    profile->last = now;
}

/* @time of what counted as @from was @to. */
static inline void
m2t_profile_move(M2tProfile *profile, M2tStageName from, M2tStageName to, gint64 time)
{
    profile->time[from] -= time;
    profile->time[to] += time;
}

/* @sum: over frames, whichever thread coded them. */
static inline void
m2t_profile_add(M2tProfile *sum, const M2tProfile *frame)
{
    for (int i = 0; i < M2T_STAGES; i++)
        sum->time[i] += frame->time[i];
}

struct _M2tEncoder;
struct _M2tDecoder;

/* For the benchmark; of all frames finished so far. */
const M2tProfile *m2t_encoder_profile(const struct _M2tEncoder *encoder);
const M2tProfile *m2t_decoder_profile(const struct _M2tDecoder *decoder);

#endif
