/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the chunks of items. Invariant: a slot's generation only grows; LIVE is set from add to
 * remove. */
#include "table.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define LIVE 0x80000000u
#define GENERATIONS 0xffffffu
#define NONE UINT32_MAX
#define INDEXES (UINT32_C(1) << 28)

/* Nobody else knows it yet. */
RRI_UNCHECKED
void rri_table_init(rri_table *table, rri_handle_kind kind, unsigned context, size_t item)
{
    memset(table, 0, sizeof *table);
    table->item = (uint32_t)((item + 15) & ~(size_t)15);
    table->tag = (uint64_t)kind << 60 | (uint64_t)(context & 0xff) << 52;
    table->oldest = table->newest = NONE;
}

void rri_table_free(rri_table *table)
{
    for (unsigned k = 0; k < RRI_TABLE_CHUNKS; k++) free(atomic_load(&table->chunk[k]));
}

/* Chunk k covers indexes FIRST * (2^k - 1) .. FIRST * (2^(k+1) - 1) - 1. */
static rri_slot *slot_at(const rri_table *table, uint32_t index)
{
    uint32_t q = index / RRI_TABLE_FIRST + 1;
    unsigned k = 31u - (unsigned)__builtin_clz(q);
    if (k >= RRI_TABLE_CHUNKS) return NULL;
    char *chunk = atomic_load_explicit(&table->chunk[k], memory_order_acquire);
    if (!chunk) return NULL;
    uint32_t first = RRI_TABLE_FIRST * ((UINT32_C(1) << k) - 1);
    return (rri_slot *)(void *)(chunk + (size_t)(index - first) * table->item);
}

RRI_NEEDS(rri_table_lock)
static rri_slot *extend(rri_table *table)
{
    uint32_t index = table->used;
    unsigned k = 31u - (unsigned)__builtin_clz(index / RRI_TABLE_FIRST + 1);
    if (index >= INDEXES || k >= RRI_TABLE_CHUNKS) return NULL;
    if (!atomic_load(&table->chunk[k])) {
        char *chunk = rri_calloc((size_t)RRI_TABLE_FIRST << k, table->item);
        if (!chunk) return NULL;
        atomic_store(&table->chunk[k], chunk);
    }
    rri_slot *slot = slot_at(table, index);
    slot->index = index;
    atomic_store(&slot->word, 1);
    table->used++;
    return slot;
}

RRI_NEEDS(rri_table_lock)
static rri_slot *reuse(rri_table *table)
{
    if (table->oldest == NONE) return NULL;
    rri_slot *slot = slot_at(table, table->oldest);
    table->oldest = slot->next;
    if (table->oldest == NONE) table->newest = NONE;
    memset((char *)slot + sizeof *slot, 0, table->item - sizeof *slot);
    return slot;
}

void *rri_table_add(rri_table *table, uint64_t *handle)
{
    rri_take(&table->lock, &rri_table_lock);
    rri_slot *slot = reuse(table);
    if (!slot) slot = extend(table);
    if (slot) {
        uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed) | LIVE;
        atomic_store_explicit(&slot->word, word, memory_order_release);
        atomic_fetch_add_explicit(&table->live, 1, memory_order_relaxed);
        if (handle) *handle = rri_table_handle(table, slot);
    }
    rri_give(&table->lock, &rri_table_lock);
    return slot;
}

void rri_table_remove(rri_table *table, void *item)
{
    rri_slot *slot = item;
    rri_take(&table->lock, &rri_table_lock);
    uint32_t generation = (atomic_load(&slot->word) & GENERATIONS) + 1;
    atomic_store(&slot->word, generation & GENERATIONS);
    atomic_fetch_sub_explicit(&table->live, 1, memory_order_relaxed);
    if (generation <= GENERATIONS) {        /* else it is retired */
        slot->next = NONE;
        if (table->newest == NONE) table->oldest = slot->index;
        else slot_at(table, table->newest)->next = slot->index;
        table->newest = slot->index;
    }
    rri_give(&table->lock, &rri_table_lock);
}

void *rri_table_find(const rri_table *table, uint64_t handle)
{
    if ((handle ^ table->tag) >> 52) return NULL;
    rri_slot *slot = slot_at(table, (uint32_t)(handle >> 24) & (INDEXES - 1));
    if (!slot) return NULL;
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
    return word == ((uint32_t)(handle & GENERATIONS) | LIVE) ? slot : NULL;
}

uint64_t rri_table_handle(const rri_table *table, const void *item)
{
    const rri_slot *slot = item;
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    return table->tag | (uint64_t)slot->index << 24 | (word & GENERATIONS);
}

/* Who calls it has seen to it that the table stays as it is. */
RRI_UNCHECKED
void rri_table_each(rri_table *table, void (*visit)(void *item, void *arg), void *arg)
{
    for (uint32_t i = 0; i < table->used; i++) {
        rri_slot *slot = slot_at(table, i);
        if (atomic_load(&slot->word) & LIVE) visit(slot, arg);
    }
}

void rri_table_look(rri_table *table, void (*visit)(void *item, void *arg), void *arg)
{
    rri_take(&table->lock, &rri_table_lock);
    rri_table_each(table, visit, arg);
    rri_give(&table->lock, &rri_table_lock);
}
