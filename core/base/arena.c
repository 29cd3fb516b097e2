/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One block, handed out from front to back. */
#include "base/arena.h"

#include <stdlib.h>

#define ALIGNMENT 64

gpointer
m2t_arena_take(M2tArena *arena, gsize count, gsize size)
{
    gsize at = arena->used;

    arena->used += (count * size + ALIGNMENT - 1) & ~(gsize) (ALIGNMENT - 1);
    return arena->base ? arena->base + at : NULL;
}

gboolean
m2t_arena_allocate(M2tArena *arena)
{
    arena->base = aligned_alloc(ALIGNMENT, MAX(arena->used, ALIGNMENT));
    arena->used = 0;
    return arena->base != NULL;
}

void
m2t_arena_free(M2tArena *arena)
{
    free(arena->base);
    arena->base = NULL;
}
