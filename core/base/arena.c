/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One block, handed out from front to back. */
#include "base/arena.h"

#include <stdlib.h>

#define ALIGNMENT 64
#define TOO_MUCH (G_MAXSIZE - G_MAXSIZE % ALIGNMENT) /* more than can be addressed; it stays at that */

gpointer
m2t_arena_take(M2tArena *arena, gsize count, gsize size)
{
    gsize at = arena->used, bytes;

    if (!g_size_checked_mul(&bytes, count, size) || bytes > TOO_MUCH - at)
        arena->used = TOO_MUCH;
    else
        arena->used += (bytes + ALIGNMENT - 1) & ~(gsize) (ALIGNMENT - 1);
    return arena->base ? arena->base + at : NULL;
}

gboolean
m2t_arena_allocate(M2tArena *arena)
{
    arena->base = arena->used < TOO_MUCH ? aligned_alloc(ALIGNMENT, MAX(arena->used, ALIGNMENT)) : NULL;
    arena->used = 0;
    return arena->base != NULL;
}

void
m2t_arena_free(M2tArena *arena)
{
    free(arena->base);
    arena->base = NULL;
}
