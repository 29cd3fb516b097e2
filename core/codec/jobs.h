/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames in flight: a ring of jobs, each with a thread of its own, started and finished in the same order. A ring of one has no thread: its job
 * runs when it is started, in the caller's. */
#ifndef M2T_CODEC_JOBS_H
#define M2T_CODEC_JOBS_H

#include <glib.h>

typedef struct _M2tJobs M2tJobs;

typedef void (*M2tJobTask)(gpointer data);

/* Job i calls @task with @data + i * @size. All calls from one thread at a time. */
M2tJobs *m2t_jobs_new(guint count, M2tJobTask task, gpointer data, gsize size);
void m2t_jobs_free(M2tJobs *jobs); /* waits for all; NULL is allowed */

guint m2t_jobs_pending(const M2tJobs *jobs); /* started and not yet finished */

/* The job that the next start is for. Only while there are fewer pending than jobs. */
guint m2t_jobs_next(const M2tJobs *jobs);
void m2t_jobs_start(M2tJobs *jobs);

/* Whether m2t_jobs_finish() would return at once. Only while one is pending. */
gboolean m2t_jobs_ready(const M2tJobs *jobs);

/* Waits for the one started first of those that are pending, and returns its number. */
guint m2t_jobs_finish(M2tJobs *jobs);

/* Waits for all; they stay pending. */
void m2t_jobs_settle(M2tJobs *jobs);

/* For tasks, which take turns in the order of their starts: waits until the one before has ended its turn. Either all of them have one, or
 * none has. */
void m2t_jobs_await_turn(M2tJobs *jobs, guint job);
void m2t_jobs_end_turn(M2tJobs *jobs, guint job);

#endif
