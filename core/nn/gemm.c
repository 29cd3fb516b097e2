/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of backends, and the check that each must pass before it is used. */
#include "nn/gemm.h"

#include <m2t/m2t-encoder.h>
#include <string.h>
#if M2T_ARCH_X86
#include <cpuid.h>
#endif

/* As long as the longest sums of a model, with a number of rows and columns that no vector divides. */
#define CHECK_M 13u
#define CHECK_N 37u
#define CHECK_K (4 * M2T_CHANNELS_MAX + 8) /* four patches of the widest transform */
#define CHECK_WIDE_K (M2T_LATENTS_MAX + 8)  /* the latents of a token */
#define CHECK_EXTREMES 1032u                /* sums are below 2^24, as in all models */

#ifdef M2T_HAVE_ONEDNN
static gboolean
has_amx(void)
{
#if M2T_ARCH_X86
    unsigned a, b, c, d;

    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & 1 << 25); /* AMX-INT8 */
#else
    return FALSE;
#endif
}

static gboolean
has_no_amx(void)
{
    return !has_amx();
}
#endif

typedef struct {
    const M2tGemm *gemm;
    gboolean (*belongs_here)(void); /* NULL: always */
    GOnce once;                     /* whether it works, found out when somebody asks */
} Entry;

/* By speed. AMX is faster than VNNI, and oneDNN alone uses it. */
static Entry built_in[] = {
#ifdef M2T_HAVE_ONEDNN
    {&m2t_gemm_onednn, has_amx, G_ONCE_INIT},
#endif
#if M2T_ARCH_X86
    {&m2t_gemm_vnni, NULL, G_ONCE_INIT},
#endif
#ifdef M2T_HAVE_DOTPROD
    {&m2t_gemm_dotprod, NULL, G_ONCE_INIT},
#endif
#ifdef M2T_HAVE_ONEDNN
    {&m2t_gemm_onednn, has_no_amx, G_ONCE_INIT},
#endif
#if M2T_ARCH_X86
    {&m2t_gemm_avx2, NULL, G_ONCE_INIT},
#endif
#ifdef M2T_HAVE_OPENBLAS
    {&m2t_gemm_openblas, NULL, G_ONCE_INIT},
#endif
    {&m2t_gemm_c, NULL, G_ONCE_INIT},
};

typedef struct {
    const M2tGemm *gemm[M2T_GEMM_MAX];
    const char *name[M2T_GEMM_MAX];
} BackendList;

/* Runs of the extremes, which make 16-bit and float accumulators overflow or round, then a pattern without structure. */
static gint8
check_value(guint row, guint column)
{
    if (row % 3 == 0)
        return 127;
    if (row % 3 == 1)
        return column & 1 ? 127 : -127;
    return (gint8) ((gint) ((row * 2654435761u + column * 40503u) >> 7 & 255) % 128 - (gint) (column & 1) * 127 / 2);
}

/* @wide: weights of 15 bits. */
static gboolean
check_product(const M2tGemm *gemm, guint k, gboolean wide)
{
    g_autofree gint8 *in = g_new(gint8, CHECK_M * k), *weight = g_new(gint8, CHECK_N * k), *low = g_new(gint8, CHECK_N * k);
    g_autofree gint32 *expected = g_new0(gint32, CHECK_M * CHECK_N), *sum = g_new(gint32, (CHECK_M + M2T_GEMM_ROWS) * CHECK_N);
    gpointer packed, scratch = gemm->scratch_new(CHECK_M, CHECK_N, (int) k);
    gboolean same;

    for (guint i = 0; i < CHECK_M * k; i++)
        in[i] = check_value(i / k, i % k);
    for (guint i = 0; i < CHECK_N * k; i++) {
        weight[i] = i % k < CHECK_EXTREMES ? check_value(i / k + 1, i % k) : (gint8) (i % 3) - 1;
        low[i] = weight[i] / 2;
    }
    for (guint i = 0; i < CHECK_M * CHECK_N; i++)
        for (guint j = 0; j < k; j++) {
            guint at = i % CHECK_N * k + j;

            expected[i] += in[i / CHECK_N * k + j] * (wide ? 128 * weight[at] + low[at] : weight[at]);
        }
    packed = wide ? gemm->pack_wide(weight, low, CHECK_N, (int) k) : gemm->pack(weight, CHECK_N, (int) k);
    m2t_gemm_begin(gemm);
    gemm->run(packed, in, CHECK_M, CHECK_N, (int) k, sum, scratch);
    m2t_gemm_end(gemm);
    same = !memcmp(sum, expected, CHECK_M * CHECK_N * sizeof *sum);
    gemm->scratch_free(scratch);
    gemm->free(packed);
    return same;
}

static gboolean
check(const M2tGemm *gemm)
{
    return check_product(gemm, CHECK_K, FALSE) && (!gemm->pack_wide || check_product(gemm, CHECK_WIDE_K, TRUE));
}

static gpointer
try_backend(gpointer data)
{
    const Entry *entry = data;

    return GINT_TO_POINTER((!entry->belongs_here || entry->belongs_here()) && entry->gemm->open() && check(entry->gemm));
}

static gboolean
works(Entry *entry)
{
    return GPOINTER_TO_INT(g_once(&entry->once, try_backend, entry));
}

static gpointer
find_backends(gpointer unused)
{
    static BackendList list;
    int n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(built_in); i++)
        if (works(&built_in[i])) {
            list.gemm[n] = built_in[i].gemm;
            list.name[n++] = built_in[i].gemm->name;
        }
    return &list;
}

static const BackendList *
backends(void)
{
    static GOnce once = G_ONCE_INIT;

    return g_once(&once, find_backends, NULL);
}

const M2tGemm *const *
m2t_gemm_list(void)
{
    return backends()->gemm;
}

/* Asks no slower one than it has to: opening oneDNN takes longer than a frame. */
const M2tGemm *
m2t_gemm_find(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(built_in); i++)
        if ((!name || !strcmp(built_in[i].gemm->name, name)) && works(&built_in[i]))
            return built_in[i].gemm;
    return NULL;
}

const char *const *
m2t_backends(void)
{
    return backends()->name;
}
