/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables of things that are known by a handle: kind 4 bits, context 8, index 28, generation 24.
 * An item's address never changes while the table lives; a slot is reused as late as possible and retired when its
 * generation wraps, so a stale handle is found out and never means something newer.
 */
#ifndef RRI_TABLE_H
#define RRI_TABLE_H

#include "sync.h"

typedef enum rri_handle_kind { RRI_KIND_REF = 1, RRI_KIND_FUTURE, RRI_KIND_OBJECT, RRI_KIND_TRANSFER,
                              RRI_KIND_GROUP } rri_handle_kind;

/* Stands first in every item. */
typedef struct rri_slot {
    atomic_uint word;           /* generation, and LIVE */
    uint32_t index;             /* of this slot; constant */
    uint32_t next;              /* free list, under the table's lock */
} rri_slot;

enum { RRI_TABLE_CHUNKS = 21, RRI_TABLE_FIRST = 256 };

/* Has the lock of a table. */
RRI_ROLE(rri_table_lock);

typedef struct rri_table {
    rri_lock lock;
    uint32_t item;                              /* bytes of an item */
    uint64_t tag;                               /* kind and context of its handles */
    uint32_t used RRI_OWNED(rri_table_lock);    /* slots ever made */
    /* Free list, first in first out; UINT32_MAX is none. */
    uint32_t oldest RRI_OWNED(rri_table_lock), newest RRI_OWNED(rri_table_lock);
    atomic_uint live;
    _Atomic(char *) chunk[RRI_TABLE_CHUNKS];    /* chunk k has RRI_TABLE_FIRST << k items */
} rri_table;

void rri_table_init(rri_table *table, rri_handle_kind kind, unsigned context, size_t item);
void rri_table_free(rri_table *table);

/* A new item, its memory zero behind the slot; NULL without memory (or handles). */
void *rri_table_add(rri_table *table, uint64_t *handle);
void rri_table_remove(rri_table *table, void *item);

/* The item a handle means, or NULL. */
void *rri_table_find(const rri_table *table, uint64_t handle);
uint64_t rri_table_handle(const rri_table *table, const void *item);

/* Visit every live item. Nobody may add or remove meanwhile but visit itself, the item it is given. */
void rri_table_each(rri_table *table, void (*visit)(void *item, void *arg), void *arg);

/* The same while others may add and remove: they wait, so visit must be short. */
void rri_table_look(rri_table *table, void (*visit)(void *item, void *arg), void *arg);

static inline rri_handle_kind rri_handle_kind_of(uint64_t handle) { return (rri_handle_kind)(handle >> 60); }
static inline unsigned rri_handle_context(uint64_t handle) { return (unsigned)(handle >> 52 & 0xff); }

#endif
