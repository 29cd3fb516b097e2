/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The transformer. Workers take chunks of slots; between two layers all of them wait, since attention reads the keys and values of others. */
#include "prior/prior.h"

#include <string.h>

#define PIECES 4 /* for each thread at least, where there are slots for that */

G_STATIC_ASSERT(M2T_CHUNK % M2T_PIECE_MIN == 0);

typedef struct {
    M2tPrior *prior;
    const M2tQuant *quant;
    const gint16 *latents;
    int group;            /* latents of those before it may enter */
    int first, last;      /* groups that run through the layers */
    int start;            /* first slot of theirs; for the end of the last layer: first coded slot of the group */
    int layer, part;
} PriorRun;

void
m2t_prior_layout(M2tPrior *p, M2tArena *arena, const M2tContext *context, const M2tGeometry *geometry)
{
    const M2tModel *model = context->net->model;
    gsize width = model->prior.width;

    p->context = context;
    p->latents = model->latents;
    m2t_plan_layout(&p->plan, arena, &model->prior, geometry);
    p->stream = m2t_arena_take(arena, p->plan.slots * width, sizeof *p->stream);
    p->state = m2t_arena_take(arena, p->plan.slots * width, sizeof *p->state);
    for (int i = 0; i < model->prior.layers; i++) {
        p->qkv[i] = m2t_arena_take(arena, p->plan.slots * 3 * width, sizeof *p->qkv[i]);
        p->cache[i] = m2t_arena_take(arena, p->plan.windows[model->prior.layer[i].kind] * M2T_CACHE(width), sizeof *p->cache[i]);
    }
    p->attended = m2t_arena_take(arena, p->plan.slots * width, sizeof *p->attended);
    p->mean = m2t_arena_take(arena, (gsize) p->plan.slots * p->latents, sizeof *p->mean);
    p->level = m2t_arena_take(arena, (gsize) p->plan.slots * p->latents, sizeof *p->level);
    m2t_turns_layout(&p->turns, arena, &p->plan, model->prior.parts);
}

static const gint16 zero[M2T_LATENTS_MAX];

/* Features of n channels of a token from @channel on; @token may be none, which has latents of zero. */
static void
token_features(const PriorRun *run, int token, int channel, int n, gint8 *out)
{
    const M2tPrior *p = run->prior;
    const gint16 *latent = token >= 0 ? run->latents + (gsize) token * p->latents + channel : zero;

    p->context->kernels->features(latent, run->quant->feature + channel, p->context->net->model->prior.log, out, out + n, n);
}

/* No latents enter: there are none to enter there, or it is not their turn yet. */
static gboolean
is_masked(const PriorRun *run, const M2tSlot *slot)
{
    const M2tPriorWeights *w = &run->prior->context->net->model->prior;

    return slot->source == M2T_SOURCE_MASKED || w->group[w->source[slot->cell]] >= run->group;
}

/* What enters a slot. Kept tokens are zero, many coded ones are. */
typedef enum { ENTERS_NOTHING, ENTERS_ZERO, ENTERS_VALUE } Entry;

static Entry
entry_of(const PriorRun *run, const M2tSlot *slot)
{
    const M2tPrior *p = run->prior;

    if (is_masked(run, slot))
        return ENTERS_NOTHING;
    return slot->source < 0 || !memcmp(run->latents + (gsize) slot->source * p->latents, zero, p->latents * sizeof *zero) ? ENTERS_ZERO : ENTERS_VALUE;
}

/* The values that enter; slots share a row where nothing or zero does. -> how many rows; @row: of each slot */
static int
gather_features(const PriorRun *run, M2tScratch *scratch, int first, int m, guint8 *row)
{
    const M2tPrior *p = run->prior;
    int k = p->context->net->embed.weights->k, n = 0, shared[] = {[ENTERS_NOTHING] = -1, [ENTERS_ZERO] = -1};

    for (int i = 0; i < m; i++) {
        const M2tSlot *slot = &p->plan.slot[first + i];
        Entry entry = entry_of(run, slot);

        if (entry != ENTERS_VALUE && shared[entry] >= 0) {
            row[i] = (guint8) shared[entry];
            continue;
        }
        if (entry != ENTERS_VALUE)
            shared[entry] = n;
        if (entry == ENTERS_NOTHING)
            memset(scratch->a + (gsize) n * k, 0, k);
        else
            token_features(run, slot->source, 0, p->latents, scratch->a + (gsize) n * k);
        row[i] = (guint8) n++;
    }
    return n;
}

/* Slot input: the value that enters, the cell, the quantizer. */
static void
embed(const PriorRun *run, M2tScratch *scratch, int first, int m)
{
    const M2tPrior *p = run->prior;
    const M2tKernels *kernels = p->context->kernels;
    const M2tLinear *embed = &p->context->net->embed;
    const M2tPriorWeights *w = &p->context->net->model->prior;
    gint16 *rows = (gint16 *) scratch->value;
    guint8 row[M2T_CHUNK];
    int n = gather_features(run, scratch, first, m, row);

    m2t_linear_run(p->context, scratch, embed, embed->weights->bias, scratch->a, n, M2T_STORE_TO16, rows);
    for (int i = 0; i < m; i++)
        memcpy(p->stream + (gsize) (first + i) * w->width, rows + (gsize) row[i] * w->width, w->width * sizeof *rows);
    for (int i = 0; i < m; i++) {
        const M2tSlot *slot = &p->plan.slot[first + i];
        gint16 *stream = p->stream + (gsize) (first + i) * w->width;

        if (w->mask && is_masked(run, slot))
            memcpy(stream, w->mask, w->width * sizeof *stream);
        kernels->add_rows(w->slot + (gsize) slot->cell * w->width, run->quant->prior, stream, w->width);
    }
}

/* Keys, values and queries of a layer. */
static void
project_qkv(const PriorRun *run, M2tScratch *scratch, int layer, int first, int m)
{
    const M2tPrior *p = run->prior;
    const M2tLayerWeights *w = &p->context->net->model->prior.layer[layer];
    const M2tLinear *qkv = &p->context->net->layer[layer].qkv;
    int width = w->out.n;

    p->context->kernels->norm8(p->stream + (gsize) first * width, w->norm1, scratch->a, m, width);
    m2t_linear_run(p->context, scratch, qkv, w->qkv.bias, scratch->a, m, M2T_STORE_TO8, p->qkv[layer] + (gsize) first * 3 * width);
}

/* Windows are independent; each of them reads keys and values of all groups so far. */
static void
attend(void *data, int begin, int end, int worker)
{
    const PriorRun *run = data;
    const M2tPrior *p = run->prior;
    const M2tPriorWeights *prior = &p->context->net->model->prior;
    M2tLayerKind kind = prior->layer[run->layer].kind;
    int first = prior->group_start[run->first], last = prior->group_start[run->last] + prior->group_size[run->last];

    for (int i = begin; i < end; i++)
        p->context->kernels->attention(&p->context->net->layer[run->layer].attention, p->qkv[run->layer],
                                       p->plan.window[kind] + (gsize) i * M2T_CELLS,
                                       p->cache[run->layer] + i * M2T_CACHE(prior->width), first, last, p->attended);
}

static void
run_mlp(const PriorRun *run, M2tScratch *scratch, gint16 *stream, int m)
{
    const M2tPrior *p = run->prior;
    const M2tLayerWeights *w = &p->context->net->model->prior.layer[run->layer];
    const M2tLayer *layer = &p->context->net->layer[run->layer];

    p->context->kernels->norm8(stream, w->norm2, scratch->a, m, w->out.n);
    m2t_linear_run(p->context, scratch, &layer->fc1, w->fc1.bias, scratch->a, m, M2T_STORE_RELU8, scratch->b);
    m2t_linear_run(p->context, scratch, &layer->fc2, w->fc2.bias, scratch->b, m, M2T_STORE_ADD16, stream);
}

static void
enter(void *data, int begin, int end, int worker)
{
    const PriorRun *run = data;
    M2tScratch *scratch = &run->prior->context->scratch[worker];
    int first = run->start + begin, m = end - begin;

    embed(run, scratch, first, m);
    project_qkv(run, scratch, 0, first, m);
}

/* A layer from behind its attention on, for m rows. */
static void
end_layer(const PriorRun *run, M2tScratch *scratch, const gint8 *attended, gint16 *stream, int m)
{
    const M2tPrior *p = run->prior;
    const M2tLinear *out = &p->context->net->layer[run->layer].out;

    m2t_linear_run(p->context, scratch, out, out->weights->bias, attended, m, M2T_STORE_ADD16, stream);
    run_mlp(run, scratch, stream, m);
}

/* To the next one's keys. */
static void
end_layer_of_slots(void *data, int begin, int end, int worker)
{
    const PriorRun *run = data;
    const M2tPrior *p = run->prior;
    M2tScratch *scratch = &p->context->scratch[worker];
    gsize first = run->start + begin, width = p->context->net->model->prior.width;

    end_layer(run, scratch, p->attended + first * width, p->stream + first * width, end - begin);
    project_qkv(run, scratch, run->layer + 1, (int) first, end - begin);
}

/* The last layer, to the state of the heads. */
static void
end_layer_of_coded(void *data, int begin, int end, int worker)
{
    const PriorRun *run = data;
    const M2tPrior *p = run->prior;
    const M2tPriorWeights *prior = &p->context->net->model->prior;
    M2tScratch *scratch = &p->context->scratch[worker];
    gsize first = run->start + begin, width = prior->width;
    gint16 *stream = (gint16 *) scratch->value;

    for (int i = 0; i < end - begin; i++) {
        gsize from = p->plan.coded[first + i] * width;

        memcpy(scratch->b + i * width, p->attended + from, width);
        memcpy(stream + i * width, p->stream + from, width * sizeof *stream);
    }
    end_layer(run, scratch, scratch->b, stream, end - begin);
    p->context->kernels->norm16(stream, prior->norm, p->state + first * width, end - begin, (int) width);
}

/* The group through the layers; where only the input is masked all of them, for the state of this one. */
static void
run_layers(PriorRun *run)
{
    const M2tPrior *p = run->prior;
    const M2tContext *context = p->context;
    const M2tPriorWeights *prior = &context->net->model->prior;
    const M2tPlan *plan = &p->plan;
    gboolean all = prior->masking == M2T_MASKING_INPUT;
    int slots;

    run->first = all ? 0 : run->group;
    run->last = all ? prior->groups - 1 : run->group;
    run->start = plan->group_start[run->first];
    slots = plan->group_start[run->last + 1] - run->start;
    m2t_threads_run(context->threads, slots, M2T_CHUNK, enter, run);
    for (run->layer = 0; run->layer < prior->layers - 1; run->layer++) {
        m2t_threads_run(context->threads, plan->windows[prior->layer[run->layer].kind], 1, attend, run);
        m2t_threads_run(context->threads, slots, M2T_CHUNK, end_layer_of_slots, run);
    }
    m2t_threads_run(context->threads, plan->windows[prior->layer[run->layer].kind], 1, attend, run);
    run->start = plan->coded_start[run->group];
    m2t_threads_run(context->threads, plan->coded_start[run->group + 1] - run->start, M2T_CHUNK, end_layer_of_coded, run);
}

/* Adds what the part before turned out to be to the state of the heads. */
static void
take_step(const PriorRun *run, M2tScratch *scratch, int first, int m)
{
    const M2tPrior *p = run->prior;
    const M2tKernels *kernels = p->context->kernels;
    const M2tPriorWeights *w = &p->context->net->model->prior;
    const M2tLinear *fc1 = &p->context->net->step_fc1[run->part], *fc2 = &p->context->net->step_fc2[run->part];
    int width = w->width, k = fc1->weights->k, before = run->part - 1;

    for (int i = 0; i < m; i++) {
        gint8 *in = scratch->a + (gsize) i * k;

        kernels->narrow(p->state + (gsize) (first + i) * width, w->shift, in, width);
        token_features(run, p->plan.slot[p->plan.coded[first + i]].token, w->part_start[before], w->part_size[before], in + width);
    }
    m2t_linear_run(p->context, scratch, fc1, fc1->weights->bias, scratch->a, m, M2T_STORE_RELU8, scratch->b);
    m2t_linear_run(p->context, scratch, fc2, fc2->weights->bias, scratch->b, m, M2T_STORE_ADD16, p->state + (gsize) first * width);
}

static void
predict(const PriorRun *run, M2tScratch *scratch, int first, int m)
{
    const M2tPrior *p = run->prior;
    const M2tModel *model = p->context->net->model;
    const M2tPriorWeights *w = &model->prior;
    const M2tLinear *head = &p->context->net->head[run->part];
    const M2tLevels levels = {w->limit, model->entropy.base, model->entropy.step, model->entropy.levels};
    int n = w->part_size[run->part], channel = w->part_start[run->part];

    p->context->kernels->narrow(p->state + (gsize) first * w->width, w->shift, scratch->a, (gsize) m * w->width);
    m2t_linear_sums(p->context, scratch, head, scratch->a, m);
    for (int i = 0; i < m; i++) {
        int slot = p->plan.coded[first + i];
        gsize at = m2t_prior_place(p, slot, channel, n);

        p->context->kernels->levels(&levels, scratch->sum + (gsize) i * 2 * n, head->weights->bias + run->group * 2 * n,
                                    run->quant->mean_scale + channel, head->weights->scale + n, run->quant->size + channel, p->mean + at,
                                    p->level + at, n);
    }
}

/* Small enough that the first can be taken while the last are predicted; one thread has nothing to gain from that. */
static int
rows_of_heads(const M2tPrior *p, int slots)
{
    int threads = m2t_threads_count(p->context->threads);

    return threads == 1 ? M2T_CHUNK : CLAMP(slots / (PIECES * threads) / M2T_PIECE_MIN * M2T_PIECE_MIN, M2T_PIECE_MIN, M2T_CHUNK);
}

/* Items are pieces, part after part: whoever has to wait for latents of a piece waits for pieces that others took before. */
static void
run_heads(void *data, int begin, int end, int worker)
{
    PriorRun run = *(const PriorRun *) data;
    M2tTurns *turns = &run.prior->turns;
    M2tScratch *scratch = &run.prior->context->scratch[worker];

    for (int item = begin; item < end; item++) {
        int from = turns->start + item % turns->pieces * turns->rows, to = MIN(from + turns->rows, turns->end);

        run.part = item / turns->pieces;
        if (run.part) {
            m2t_turns_await(turns, run.part - 1, from, to);
            take_step(&run, scratch, from, to - from);
        }
        predict(&run, scratch, from, to - from);
        m2t_turns_predicted(turns, run.part, from, to);
    }
}

void
m2t_prior_predict(M2tPrior *p, const M2tQuant *quant, const gint16 *latents, const M2tPriorFollower *follower, gpointer data)
{
    const M2tPlan *plan = &p->plan;

    for (int group = 0; group < plan->groups; group++) {
        PriorRun run = {p, quant, latents, group};

        run_layers(&run);
        m2t_turns_begin(&p->turns, plan, group, rows_of_heads(p, plan->coded_start[group + 1] - plan->coded_start[group]), follower, data);
        m2t_threads_run(p->context->threads, p->turns.parts * p->turns.pieces, 1, run_heads, &run);
    }
}
