/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the free buffers. Invariant: a buffer on the free list has no count. */
#include "pool.h"
#include "memory.h"

#include <stdlib.h>

void rri_pool_init(rri_pool *pool, size_t room, unsigned keep)
{
    *pool = (rri_pool){ .room = room, .keep = keep };
}

void rri_pool_free(rri_pool *pool)
{
    for (rri_buffer *b; (b = pool->free);) {
        pool->free = b->next;
        free(b);
    }
    pool->kept = 0;
}

static rri_buffer *make(rri_pool *pool)
{
    size_t bytes = (sizeof(rri_buffer) + pool->room + 63) & ~(size_t)63;
    rri_buffer *b = rri_aligned_alloc(64, bytes);
    if (b) b->pool = pool;
    return b;
}

static void push(rri_pool *pool, rri_buffer *b)
{
    b->next = pool->free;
    pool->free = b;
    pool->kept++;
}

/* A free buffer, if there are more than `but` of them. */
static rri_buffer *pop(rri_pool *pool, unsigned but)
{
    rri_lock_take(&pool->lock);
    rri_buffer *b = pool->kept > but ? pool->free : NULL;
    if (b) {
        pool->free = b->next;
        pool->kept--;
    }
    rri_lock_give(&pool->lock);
    return b;
}

int rri_pool_reserve(rri_pool *pool, unsigned buffers)
{
    for (pool->reserve = 0; pool->reserve < buffers; pool->reserve++) {
        rri_buffer *b = make(pool);
        if (!b) return -1;
        push(pool, b);
    }
    return 0;
}

static rri_buffer *begin(rri_pool *pool, rri_buffer *b)
{
    if (!b) return NULL;
    atomic_fetch_add_explicit(&pool->live, 1, memory_order_relaxed);
    b->next = NULL;
    b->bytes = 0;
    b->peer = -1;
    b->owes = false;
    atomic_store_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

rri_buffer *rri_buffer_new(rri_pool *pool)
{
    rri_buffer *b = pop(pool, pool->reserve);
    return begin(pool, b ? b : make(pool));
}

rri_buffer *rri_buffer_reserved(rri_pool *pool)
{
    rri_buffer *b = rri_buffer_new(pool);
    return b ? b : begin(pool, pop(pool, 0));
}

void rri_buffer_keep(rri_buffer *buffer)
{
    atomic_fetch_add_explicit(&buffer->refs, 1, memory_order_relaxed);
}

/* The only count needs no locked instruction to see that it is the last. */
static bool was_last(rri_buffer *buffer)
{
    if (atomic_load_explicit(&buffer->refs, memory_order_acquire) == 1) return true;
    return atomic_fetch_sub_explicit(&buffer->refs, 1, memory_order_acq_rel) == 1;
}

void rri_buffer_drop(rri_buffer *buffer)
{
    if (!was_last(buffer)) return;
    rri_pool *pool = buffer->pool;
    if (buffer->owes) pool->last(pool->up, buffer);
    atomic_fetch_sub_explicit(&pool->live, 1, memory_order_relaxed);
    rri_lock_take(&pool->lock);
    bool keep = pool->kept < pool->keep;
    if (keep) push(pool, buffer);
    rri_lock_give(&pool->lock);
    if (!keep) free(buffer);
}
