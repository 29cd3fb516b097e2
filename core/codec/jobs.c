/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ring. A job is a mailbox of one place: busy from its start until its thread is done. */
#include "codec/jobs.h"

typedef struct {
    GThread *thread;     /* NULL: there is none, or the system had none left; then it runs at its start */
    GMutex lock;
    GCond changed;
    gint busy, stop;     /* atomic; they change under the lock */
    guint64 number;      /* of all that were ever started */
    M2tJobTask task;
    gpointer data;
} Job;

struct _M2tJobs {
    guint count, first, pending;
    guint64 started;
    GMutex lock;         /* guards turn */
    GCond next_turn;
    guint64 turn;        /* the number of the job that has it */
    Job job[];
};

static void
wait_while(Job *job, gint busy)
{
    g_mutex_lock(&job->lock);
    while (g_atomic_int_get(&job->busy) == busy && !g_atomic_int_get(&job->stop))
        g_cond_wait(&job->changed, &job->lock);
    g_mutex_unlock(&job->lock);
}

static void
set(Job *job, gint *what, gint value)
{
    g_mutex_lock(&job->lock);
    g_atomic_int_set(what, value);
    g_cond_broadcast(&job->changed);
    g_mutex_unlock(&job->lock);
}

static gpointer
run_jobs(gpointer data)
{
    Job *job = data;

    for (;;) {
        wait_while(job, FALSE);
        if (g_atomic_int_get(&job->stop))
            return NULL;
        job->task(job->data);
        set(job, &job->busy, FALSE);
    }
}

M2tJobs *
m2t_jobs_new(guint count, M2tJobTask task, gpointer data, gsize size)
{
    M2tJobs *jobs = g_malloc0(sizeof *jobs + count * sizeof *jobs->job);

    jobs->count = count;
    g_mutex_init(&jobs->lock);
    g_cond_init(&jobs->next_turn);
    for (guint i = 0; i < count; i++) {
        Job *job = &jobs->job[i];

        g_mutex_init(&job->lock);
        g_cond_init(&job->changed);
        job->task = task;
        job->data = (guint8 *) data + i * size;
        if (count > 1)
            job->thread = g_thread_try_new("m2t-frame", run_jobs, job, NULL);
    }
    return jobs;
}

void
m2t_jobs_free(M2tJobs *jobs)
{
    if (!jobs)
        return;
    m2t_jobs_settle(jobs);
    for (guint i = 0; i < jobs->count; i++) {
        Job *job = &jobs->job[i];

        set(job, &job->stop, TRUE);
        if (job->thread)
            g_thread_join(job->thread);
        g_cond_clear(&job->changed);
        g_mutex_clear(&job->lock);
    }
    g_cond_clear(&jobs->next_turn);
    g_mutex_clear(&jobs->lock);
    g_free(jobs);
}

guint
m2t_jobs_pending(const M2tJobs *jobs)
{
    return jobs->pending;
}

guint
m2t_jobs_next(const M2tJobs *jobs)
{
    return (jobs->first + jobs->pending) % jobs->count;
}

void
m2t_jobs_start(M2tJobs *jobs)
{
    Job *job = &jobs->job[m2t_jobs_next(jobs)];

    jobs->pending++;
    job->number = jobs->started++;
    if (job->thread)
        set(job, &job->busy, TRUE);
    else
        job->task(job->data);
}

gboolean
m2t_jobs_ready(const M2tJobs *jobs)
{
    return !g_atomic_int_get(&jobs->job[jobs->first].busy);
}

guint
m2t_jobs_finish(M2tJobs *jobs)
{
    guint oldest = jobs->first;

    wait_while(&jobs->job[oldest], TRUE);
    jobs->first = (oldest + 1) % jobs->count;
    jobs->pending--;
    return oldest;
}

void
m2t_jobs_settle(M2tJobs *jobs)
{
    for (guint i = 0; i < jobs->count; i++)
        wait_while(&jobs->job[i], TRUE);
}

void
m2t_jobs_await_turn(M2tJobs *jobs, guint job)
{
    g_mutex_lock(&jobs->lock);
    while (jobs->turn != jobs->job[job].number)
        g_cond_wait(&jobs->next_turn, &jobs->lock);
    g_mutex_unlock(&jobs->lock);
}

void
m2t_jobs_end_turn(M2tJobs *jobs, guint job)
{
    g_mutex_lock(&jobs->lock);
    jobs->turn = jobs->job[job].number + 1;
    g_cond_broadcast(&jobs->next_turn);
    g_mutex_unlock(&jobs->lock);
}
