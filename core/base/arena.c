/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One block, handed out from front to back. Megabytes at a time pass through it for every frame, so it lies in large pages where the
 * system has them. */
#define _DEFAULT_SOURCE /* madvise() */
#include "base/arena.h"

#include <stdlib.h>
#include <sys/mman.h>

#define ALIGNMENT 64
#define LARGE_PAGE (2u << 20)
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
    gsize alignment = arena->used > LARGE_PAGE ? LARGE_PAGE : ALIGNMENT, size = (MAX(arena->used, 1) + alignment - 1) & ~(alignment - 1);

    arena->base = arena->used < TOO_MUCH - LARGE_PAGE ? aligned_alloc(alignment, size) : NULL;
#ifdef MADV_HUGEPAGE
    if (arena->base && alignment == LARGE_PAGE)
        madvise(arena->base, size, MADV_HUGEPAGE);
#endif
    arena->used = 0;
    return arena->base != NULL;
}

void
m2t_arena_free(M2tArena *arena)
{
    free(arena->base);
    arena->base = NULL;
}
