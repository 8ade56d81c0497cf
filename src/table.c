/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the chunks of items, and where generations begin. Invariant: a slot's generation only grows; LIVE is set from add to
 * remove. */
#include "table.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

enum { KINDS = RRI_KIND_GROUP + 1, CONTEXTS = 256 };

/* By kind and number of the context: generations below are used up. Of whoever has the number. */
static uint32_t used_up[KINDS][CONTEXTS];

/* Nobody else knows it yet. */
RRI_UNCHECKED
void rri_table_init(rri_table *table, rri_handle_kind kind, unsigned context, size_t item)
{
    memset(table, 0, sizeof *table);
    table->item = (uint32_t)((item + 7) & ~(size_t)7);
    table->tag = (uint64_t)kind << 60 | (uint64_t)(context & 0xff) << 52;
    table->oldest = table->newest = NONE;
    table->begin = used_up[kind][context & 0xff] ? used_up[kind][context & 0xff] : 1;
}

/* The highest generation that a slot has, or would have when it was used again. A retired one has used up all. */
RRI_UNCHECKED
static uint32_t highest(const rri_table *table)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < table->used; i++) {
        uint32_t generation = atomic_load_explicit(&rri_slot_at(table, i)->word, memory_order_relaxed) & RRI_GENERATIONS;
        if (!generation) return RRI_GENERATIONS;
        if (generation > most) most = generation;
    }
    return most;
}

void rri_table_free(rri_table *table)
{
    uint32_t most = highest(table);
    if (most) used_up[rri_handle_kind_of(table->tag)][rri_handle_context(table->tag)] = most < RRI_GENERATIONS / 2 ? most + 1 : 1;
    for (unsigned k = 0; k < RRI_TABLE_CHUNKS; k++) free(atomic_load(&table->chunk[k]));
}

RRI_NEEDS(rri_table_lock)
static rri_slot *extend(rri_table *table)
{
    uint32_t index = table->used;
    unsigned k = 31u - (unsigned)__builtin_clz(index / RRI_TABLE_FIRST + 1);
    if (index >= RRI_INDEXES || k >= RRI_TABLE_CHUNKS) return NULL;
    if (!atomic_load(&table->chunk[k])) {
        char *chunk = rri_calloc((size_t)RRI_TABLE_FIRST << k, table->item);
        if (!chunk) return NULL;
        atomic_store(&table->chunk[k], chunk);
    }
    rri_slot *slot = rri_slot_at(table, index);
    slot->index = index;
    atomic_store(&slot->word, table->begin);
    table->used++;
    return slot;
}

RRI_NEEDS(rri_table_lock)
static rri_slot *reuse(rri_table *table)
{
    if (table->oldest == NONE) return NULL;
    uint32_t index = table->oldest;
    rri_slot *slot = rri_slot_at(table, index);
    table->oldest = slot->index;
    slot->index = index;
    if (table->oldest == NONE) table->newest = NONE;
    memset((char *)slot + sizeof *slot, 0, table->item - sizeof *slot);
    return slot;
}

/* Under the lock, so that there is one writer. */
RRI_NEEDS(rri_table_lock)
static void count_live(rri_table *table, int change)
{
    unsigned live = atomic_load_explicit(&table->live, memory_order_relaxed);
    atomic_store_explicit(&table->live, live + (unsigned)change, memory_order_relaxed);
}

void *rri_table_add(rri_table *table, uint64_t *handle)
{
    rri_take(&table->lock, &rri_table_lock);
    rri_slot *slot = reuse(table);
    if (!slot) slot = extend(table);
    if (slot) {
        uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed) | RRI_LIVE;
        atomic_store_explicit(&slot->word, word, memory_order_release);
        count_live(table, 1);
        if (handle) *handle = rri_table_handle(table, slot);
    }
    rri_give(&table->lock, &rri_table_lock);
    return slot;
}

void rri_table_remove(rri_table *table, void *item)
{
    rri_slot *slot = item;
    rri_take(&table->lock, &rri_table_lock);
    uint32_t generation = (atomic_load_explicit(&slot->word, memory_order_relaxed) & RRI_GENERATIONS) + 1;
    atomic_store_explicit(&slot->word, generation & RRI_GENERATIONS, memory_order_release);
    count_live(table, -1);
    if (generation <= RRI_GENERATIONS) {        /* else it is retired */
        uint32_t index = slot->index;
        slot->index = NONE;
        if (table->newest == NONE) table->oldest = index;
        else rri_slot_at(table, table->newest)->index = index;
        table->newest = index;
    }
    rri_give(&table->lock, &rri_table_lock);
}

/* Who calls it has seen to it that the table stays as it is. */
RRI_UNCHECKED
void rri_table_each(rri_table *table, void (*visit)(void *item, void *arg), void *arg)
{
    for (uint32_t i = 0; i < table->used; i++) {
        rri_slot *slot = rri_slot_at(table, i);
        if (atomic_load(&slot->word) & RRI_LIVE) visit(slot, arg);
    }
}

void rri_table_look(rri_table *table, void (*visit)(void *item, void *arg), void *arg)
{
    rri_take(&table->lock, &rri_table_lock);
    rri_table_each(table, visit, arg);
    rri_give(&table->lock, &rri_table_lock);
}
