/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers that share a loop. The caller works too, so one thread means no other thread at all. */
#ifndef M2T_BASE_THREADS_H
#define M2T_BASE_THREADS_H

#include <glib.h>

typedef struct _M2tThreads M2tThreads;

/* Handles items begin...end-1; @worker (0...count-1) names the scratch memory that is the task's own. */
typedef void (*M2tTask)(void *data, int begin, int end, int worker);

M2tThreads *m2t_threads_new(int count);
void m2t_threads_free(M2tThreads *threads);
int m2t_threads_count(const M2tThreads *threads);

/* Calls @task for pieces of at most @grain items until all @items are done, and returns then. Which worker takes which piece is left to
 * chance, so results must not depend on it. */
void m2t_threads_run(M2tThreads *threads, int items, int grain, M2tTask task, void *data);

/* For one who looks at something again and again until another worker has done it; @times: how often that was. */
void m2t_threads_pause(int times);

#endif
