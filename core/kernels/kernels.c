/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which build of the kernels runs: decided here, once, and nowhere else. */
#include "kernels/kernels.h"

#include <string.h>

extern const M2tKernels m2t_kernels_c;
#if M2T_ARCH_X86
extern const M2tKernels m2t_kernels_avx2, m2t_kernels_avx512, m2t_kernels_avx512icl;
#endif

typedef struct {
    const M2tKernels *table[5];
} KernelList;

static gpointer
find_kernels(gpointer unused)
{
    static KernelList list;
    int n = 0;

#if M2T_ARCH_X86
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi"))
            list.table[n++] = &m2t_kernels_avx512icl;
        list.table[n++] = &m2t_kernels_avx512;
    }
    if (__builtin_cpu_supports("avx2"))
        list.table[n++] = &m2t_kernels_avx2;
#endif
    list.table[n] = &m2t_kernels_c;
    return &list;
}

const M2tKernels *const *
m2t_kernels_all(void)
{
    static GOnce once = G_ONCE_INIT;

    return ((KernelList *) g_once(&once, find_kernels, NULL))->table;
}

const M2tKernels *
m2t_kernels_get(void)
{
    const M2tKernels *const *all = m2t_kernels_all();
    const char *wanted = g_getenv("M2T_CPU");

    for (int i = 0; wanted && all[i]; i++)
        if (!strcmp(all[i]->name, wanted))
            return all[i];
    if (wanted)
        g_warning("M2T_CPU=%s: no such kernels here, but %s", wanted, all[0]->name);
    return all[0];
}
