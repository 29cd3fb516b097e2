/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All memory of a frame in flight that grows with the picture is one block. The functions called ..._layout() run twice: with an empty
 * arena they only count, with memory they hand out pointers. One function does both, so that count and use cannot drift apart. */
#ifndef M2T_BASE_ARENA_H
#define M2T_BASE_ARENA_H

#include <glib.h>

typedef struct {
    guint8 *base;      /* NULL while counting */
    gsize used;
} M2tArena;

/* Memory for @count values of @size bytes, aligned to 64 bytes; NULL while counting. */
gpointer m2t_arena_take(M2tArena *arena, gsize count, gsize size);

/* After counting: gets the memory and starts again from its beginning. FALSE if the system has not got that much. */
gboolean m2t_arena_allocate(M2tArena *arena);

void m2t_arena_free(M2tArena *arena);

#endif
