/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Interpolation between anchors. A frame whose q is that of the frame before costs nothing here. */
#include "quant/quant.h"
#include "base/limits.h"

#include <math.h>

void
m2t_quant_init(M2tQuant *quant, const M2tModel *model)
{
    int latents = model->latents;

    quant->model = model;
    quant->q = -1;
    quant->gain = g_new(float, latents);
    quant->igain = g_new(float, latents);
    quant->feature = g_new(float, latents);
    quant->mean_scale = g_new(float, latents);
    quant->size = g_new(gint32, latents);
    quant->analysis_bias = g_new(gint32, model->analysis.in.n);
    quant->synthesis_bias = g_new(gint32, model->synthesis.in.n);
    quant->prior = g_new(gint32, model->prior.width);
    for (int plane = 0; plane < 3; plane++)
        quant->filter[plane] = g_new0(gint16, M2T_FILTER_TAPS * M2T_FILTER_ROW);
}

void
m2t_quant_clear(M2tQuant *quant)
{
    g_free(quant->gain);
    g_free(quant->igain);
    g_free(quant->feature);
    g_free(quant->mean_scale);
    g_free(quant->size);
    g_free(quant->analysis_bias);
    g_free(quant->synthesis_bias);
    g_free(quant->prior);
    for (int plane = 0; plane < 3; plane++)
        g_free(quant->filter[plane]);
}

static gint64
floor_divide(gint64 a, gint64 b)
{
    return a / b - (a % b < 0);
}

/* Between two anchors: the first, and how far the quantizer is from it, in M2T_Q_MAX. */
typedef struct {
    int anchor, fraction;
} Place;

static Place
place(const M2tQuant *quant)
{
    int position = (quant->model->anchors - 1) * quant->q, anchor = MIN(position / M2T_Q_MAX, quant->model->anchors - 2);

    return (Place) {anchor, position - M2T_Q_MAX * anchor};
}

static gint32
between(gint32 low, gint32 high, int fraction)
{
    return (gint32) floor_divide((gint64) low * (M2T_Q_MAX - fraction) + (gint64) high * fraction + M2T_Q_MAX / 2, M2T_Q_MAX);
}

/* interp(table, c) for n channels. */
static void
interpolate(const M2tQuant *quant, const gint32 *table, gint32 *out, int n)
{
    Place at = place(quant);
    const gint32 *low = table + (gsize) at.anchor * n, *high = low + n;

    for (int c = 0; c < n; c++)
        out[c] = between(low[c], high[c], at.fraction);
}

static void
interpolate_filter(const M2tQuant *quant, const gint16 *table, gint16 *out)
{
    Place at = place(quant);
    const gint16 *low = table + (gsize) at.anchor * M2T_FILTER_TAPS * M2T_FILTER_CLASSES, *high = low + M2T_FILTER_TAPS * M2T_FILTER_CLASSES;

    for (int tap = 0; tap < M2T_FILTER_TAPS; tap++, low += M2T_FILTER_CLASSES, high += M2T_FILTER_CLASSES, out += M2T_FILTER_ROW)
        for (int class = 0; class < M2T_FILTER_CLASSES; class++)
            out[class] = (gint16) between(low[class], high[class], at.fraction);
}

static float
exp2_fixed(const M2tModel *model, gint32 v)
{
    return ldexpf((float) model->exp2[v & 1023], (v >> 10) - 23);
}

static void
interpolate_exp2(const M2tQuant *quant, const gint32 *table, float *out)
{
    const M2tModel *model = quant->model;

    interpolate(quant, table, quant->size, model->latents); /* as scratch memory: the sizes come last */
    for (int c = 0; c < model->latents; c++)
        out[c] = exp2_fixed(model, quant->size[c]);
}

static void
set_sizes(M2tQuant *quant)
{
    const M2tModel *model = quant->model;
    const M2tPriorWeights *prior = &model->prior;

    interpolate_exp2(quant, prior->size, quant->mean_scale);
    for (int c = 0; c < model->latents; c++)
        quant->feature[c] = exp2_fixed(model, 4 * 1024 - quant->size[c]);
    for (int part = 0; part < prior->parts; part++)
        for (int j = 0; j < prior->part_size[part]; j++)
            quant->mean_scale[prior->part_start[part] + j] *= prior->head[part].scale[j];
}

void
m2t_quant_set(M2tQuant *quant, int q)
{
    const M2tModel *model = quant->model;

    if (quant->q == q)
        return;
    quant->q = q;
    interpolate_exp2(quant, model->gain, quant->gain);
    interpolate_exp2(quant, model->igain, quant->igain);
    for (int c = 0; c < model->latents; c++)
        quant->igain[c] /= M2T_LATENT_ONE;
    set_sizes(quant);
    interpolate(quant, model->analysis.in.bias, quant->analysis_bias, model->analysis.in.n);
    interpolate(quant, model->synthesis.in.bias, quant->synthesis_bias, model->synthesis.in.n);
    interpolate(quant, model->prior.q, quant->prior, model->prior.width);
    for (int plane = 0; plane < 3 && model->filter.used; plane++)
        interpolate_filter(quant, model->filter.weight[plane], quant->filter[plane]);
}

void
m2t_quant_again(const M2tQuant *quant, const float *gain, gint16 *latent, gint8 *rest, int n)
{
    for (int i = 0; i < n; i++) {
        float value = (float) (M2T_LATENT_ONE * latent[i] + rest[i]) * (quant->gain[i] / gain[i]) * (1.0f / M2T_LATENT_ONE);
        float rounded = CLAMP(rintf(value), -M2T_LATENT_MAX, M2T_LATENT_MAX);

        latent[i] = (gint16) rounded;
        rest[i] = (gint8) CLAMP(rintf((value - rounded) * M2T_LATENT_ONE), -M2T_LATENT_ONE / 2, M2T_LATENT_ONE / 2);
    }
}
