/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables of things that are known by a handle: kind 4 bits, context 8, index 28, generation 24.
 * An item's address never changes while the table lives; a slot is reused as late as possible and retired when its
 * generation wraps, so a stale handle is found out and never means something newer. Numbers of contexts are used again, too: the
 * next table of a kind under a number begins beyond the generations of the one before, until half of the field is used up.
 */
#ifndef RRI_TABLE_H
#define RRI_TABLE_H

#include "sync.h"

typedef enum rri_handle_kind { RRI_KIND_REF = 1, RRI_KIND_FUTURE, RRI_KIND_OBJECT, RRI_KIND_TRANSFER,
                              RRI_KIND_GROUP } rri_handle_kind;

/* Stands first in every item. */
typedef struct rri_slot {
    atomic_uint word;           /* generation, and LIVE */
    uint32_t index;             /* of this slot while it is live; of the next one in the free list, under the table's lock */
} rri_slot;

enum { RRI_TABLE_CHUNKS = 21, RRI_TABLE_FIRST_BIT = 8, RRI_TABLE_FIRST = 1 << RRI_TABLE_FIRST_BIT };

/* Has the lock of a table. */
RRI_ROLE(rri_table_lock);

typedef struct rri_table {
    rri_lock lock;
    uint32_t item;                              /* bytes of an item */
    uint64_t tag;                               /* kind and context of its handles */
    uint32_t begin;                             /* generation of new slots */
    uint32_t used RRI_OWNED(rri_table_lock);    /* slots ever made */
    /* Free list, first in first out; UINT32_MAX is none. */
    uint32_t oldest RRI_OWNED(rri_table_lock), newest RRI_OWNED(rri_table_lock);
    atomic_uint live;
    _Atomic(char *) chunk[RRI_TABLE_CHUNKS];    /* chunk k has RRI_TABLE_FIRST << k items */
} rri_table;

/* Of one kind there is one table for a context's number at a time. */
void rri_table_init(rri_table *table, rri_handle_kind kind, unsigned context, size_t item);
void rri_table_free(rri_table *table);

/* A new item, its memory zero behind the slot; NULL without memory (or handles). */
void *rri_table_add(rri_table *table, uint64_t *handle);
void rri_table_remove(rri_table *table, void *item);

#define RRI_LIVE 0x80000000u
#define RRI_GENERATIONS 0xffffffu
#define RRI_INDEXES (UINT32_C(1) << 28)     /* as many as the chunks have */

/* Chunk k covers indexes FIRST * (2^k - 1) .. FIRST * (2^(k+1) - 1) - 1: behind FIRST, the highest bit of an index says which
 * chunk, and the others where in it. */
static inline rri_slot *rri_slot_at(const rri_table *table, uint32_t index)
{
    uint32_t at = index + RRI_TABLE_FIRST;
    unsigned bit = 31u - (unsigned)__builtin_clz(at);
    char *chunk = atomic_load_explicit(&table->chunk[bit - RRI_TABLE_FIRST_BIT], memory_order_acquire);
    return chunk ? (rri_slot *)(void *)(chunk + (size_t)(at ^ UINT32_C(1) << bit) * table->item) : NULL;
}

/* The item that a handle of this very table means, or NULL. */
static inline void *rri_table_item(const rri_table *table, uint64_t handle)
{
    rri_slot *slot = rri_slot_at(table, (uint32_t)(handle >> 24) & (RRI_INDEXES - 1));
    if (!slot) return NULL;
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
    return word == ((uint32_t)(handle & RRI_GENERATIONS) | RRI_LIVE) ? slot : NULL;
}

/* The item a handle means, or NULL. */
static inline void *rri_table_find(const rri_table *table, uint64_t handle)
{
    return (handle ^ table->tag) >> 52 ? NULL : rri_table_item(table, handle);
}

static inline uint64_t rri_table_handle(const rri_table *table, const void *item)
{
    const rri_slot *slot = item;
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    return table->tag | (uint64_t)slot->index << 24 | (word & RRI_GENERATIONS);
}

/* An item that nobody else knows gets a new handle, and the old one is stale. False when its generations are used up. */
static inline bool rri_table_renew(void *item)
{
    rri_slot *slot = item;
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    if ((word & RRI_GENERATIONS) == RRI_GENERATIONS) return false;
    atomic_store_explicit(&slot->word, word + 1, memory_order_release);
    return true;
}

/* An item that nobody else knows goes out of use, its handle is stale, and it stays its owner's until it resumes, or is removed.
 * False when its generations are used up. */
static inline bool rri_table_rest(void *item)
{
    rri_slot *slot = item;
    uint32_t generation = atomic_load_explicit(&slot->word, memory_order_relaxed) & RRI_GENERATIONS;
    if (generation == RRI_GENERATIONS) return false;
    atomic_store_explicit(&slot->word, generation + 1, memory_order_release);
    return true;
}

static inline void rri_table_resume(void *item)
{
    rri_slot *slot = item;
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    atomic_store_explicit(&slot->word, word | RRI_LIVE, memory_order_release);
}

/* Visit every live item. Nobody may add or remove meanwhile but visit itself, the item it is given. */
void rri_table_each(rri_table *table, void (*visit)(void *item, void *arg), void *arg);

/* The same while others may add and remove: they wait, so visit must be short. */
void rri_table_look(rri_table *table, void (*visit)(void *item, void *arg), void *arg);

static inline rri_handle_kind rri_handle_kind_of(uint64_t handle) { return (rri_handle_kind)(handle >> 60); }
static inline unsigned rri_handle_context(uint64_t handle) { return (unsigned)(handle >> 52 & 0xff); }

#endif
