/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker pool of one encoder or decoder. A frame has some hundred short loops, so workers look for the next one for a moment before they
 * sleep. A loop is a piece of shared state: what to call and the next item to take. Nobody waits for a worker that has not entered the loop: on a
 * machine that is busy with other work it may not get a core before the others have done it all. */
#include "base/threads.h"
#include "base/rounding.h"

#define SPINS 2000 /* some 20 to 100 microseconds: longer than the gaps inside a frame, shorter than those between frames */
#define OPEN (1 << 30)

struct _M2tThreads {
    int count;
    GThread **worker;             /* [count - 1] */
    GMutex lock;                  /* guards the sleepers and stop */
    GCond wake, left;
    gint loop;                    /* atomic: number of the current loop */
    gint inside;                  /* atomic: workers that are in the loop; plus OPEN while others may still enter */
    gint next;                    /* atomic: first piece nobody took */
    gint stop;
    int items, unit, pieces;      /* pieces are of whole units of items, but for the last one */
    M2tTask task;
    void *data;
};

typedef struct {
    M2tThreads *threads;
    int index;
} WorkerStart;

static inline void
pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static void
take_pieces(M2tThreads *t, int worker)
{
    int units = (t->items + t->unit - 1) / t->unit, piece;

    while ((piece = g_atomic_int_add(&t->next, 1)) < t->pieces) {
        int begin = (int) ((gint64) units * piece / t->pieces), end = (int) ((gint64) units * (piece + 1) / t->pieces);

        t->task(t->data, begin * t->unit, MIN(end * t->unit, t->items), worker);
    }
}

/* Returns the number of the loop when it is no longer @seen. */
static int
wait_for_loop(M2tThreads *t, int seen)
{
    int loop;

    for (int i = 0; i < SPINS; i++) {
        if ((loop = g_atomic_int_get(&t->loop)) != seen)
            return loop;
        pause_cpu();
    }
    g_mutex_lock(&t->lock);
    while ((loop = g_atomic_int_get(&t->loop)) == seen)
        g_cond_wait(&t->wake, &t->lock);
    g_mutex_unlock(&t->lock);
    return loop;
}

static gboolean
enter_loop(M2tThreads *t)
{
    int inside;

    do {
        inside = g_atomic_int_get(&t->inside);
        if (!(inside & OPEN))
            return FALSE;
    } while (!g_atomic_int_compare_and_exchange(&t->inside, inside, inside + 1));
    return TRUE;
}

static void
leave_loop(M2tThreads *t)
{
    if (g_atomic_int_add(&t->inside, -1) != 1)
        return;
    g_mutex_lock(&t->lock); /* closed, and this was the last one */
    g_cond_signal(&t->left);
    g_mutex_unlock(&t->lock);
}

static gpointer
work(gpointer data)
{
    WorkerStart start = *(WorkerStart *) data;
    M2tThreads *t = start.threads;
    int seen = 0;

    g_free(data);
    m2t_rounding_begin(); /* a thread starts with that of whoever made it */
    for (;;) {
        seen = wait_for_loop(t, seen);
        if (g_atomic_int_get(&t->stop))
            return NULL;
        if (!enter_loop(t))
            continue;
        take_pieces(t, start.index);
        leave_loop(t);
    }
}

static void
start_loop(M2tThreads *t)
{
    g_atomic_int_set(&t->inside, OPEN);
    g_mutex_lock(&t->lock);
    g_atomic_int_inc(&t->loop);
    g_cond_broadcast(&t->wake);
    g_mutex_unlock(&t->lock);
}

static void
close_loop(M2tThreads *t)
{
    g_atomic_int_and((guint *) &t->inside, ~(guint) OPEN);
    for (int i = 0; i < SPINS; i++) {
        if (g_atomic_int_get(&t->inside) == 0)
            return;
        pause_cpu();
    }
    g_mutex_lock(&t->lock);
    while (g_atomic_int_get(&t->inside) > 0)
        g_cond_wait(&t->left, &t->lock);
    g_mutex_unlock(&t->lock);
}

M2tThreads *
m2t_threads_new(int count)
{
    M2tThreads *t = g_new0(M2tThreads, 1);

    g_mutex_init(&t->lock);
    g_cond_init(&t->wake);
    g_cond_init(&t->left);
    t->count = 1;
    t->worker = g_new0(GThread *, count);
    for (int i = 1; i < count; i++) {
        WorkerStart *start = g_new(WorkerStart, 1);

        *start = (WorkerStart) {t, i};
        t->worker[i - 1] = g_thread_try_new("m2t-worker", work, start, NULL);
        if (!t->worker[i - 1]) { /* a system that is out of threads still decodes */
            g_free(start);
            break;
        }
        t->count++;
    }
    return t;
}

void
m2t_threads_free(M2tThreads *t)
{
    if (!t)
        return;
    g_atomic_int_set(&t->stop, 1);
    start_loop(t);
    for (int i = 1; i < t->count; i++)
        g_thread_join(t->worker[i - 1]);
    g_free(t->worker);
    g_cond_clear(&t->wake);
    g_cond_clear(&t->left);
    g_mutex_clear(&t->lock);
    g_free(t);
}

int
m2t_threads_count(const M2tThreads *t)
{
    return t->count;
}

void
m2t_threads_pause(int times)
{
    if (times < SPINS)
        pause_cpu();
    else /* the other may be waiting for this very core */
        g_thread_yield();
}

#define TILE 16 /* rows of a matrix product that are best not torn apart */

/* As few pieces as give every worker equally many, where there are enough units for that. */
static int
even_pieces(int items, int unit, int grain, int workers)
{
    return MIN((items + workers * grain - 1) / (workers * grain) * workers, (items + unit - 1) / unit);
}

void
m2t_threads_run(M2tThreads *t, int items, int grain, M2tTask task, void *data)
{
    if (t->count == 1 || items <= MIN(grain, TILE)) {
        for (int begin = 0; begin < items; begin += grain)
            task(data, begin, MIN(begin + grain, items), 0);
        return;
    }
    t->items = items;
    t->unit = grain % TILE ? 1 : TILE;
    t->pieces = even_pieces(items, t->unit, grain, t->count);
    t->task = task;
    t->data = data;
    g_atomic_int_set(&t->next, 0);
    start_loop(t);
    take_pieces(t, 0);
    close_loop(t);
}
