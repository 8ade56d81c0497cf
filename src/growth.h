/* SPDX-License-Identifier: BSD-3-Clause */
/* The last record of a message that is being filled: a run or results, to which more items of its kind may be added. */
#ifndef RRI_GROWTH_H
#define RRI_GROWTH_H

#include "wire.h"

typedef struct rri_growth {
    rri_record *record;         /* NULL: there is none */
    char *end;                  /* of its last item */
    const char *limit;          /* which that may not pass */
    size_t item;                /* bytes of each */
} rri_growth;

/* The record is the message's last one, which may have so many bytes. Records are multiples of 16 bytes, items of 8. */
static inline void rri_growth_begin(rri_growth *g, rri_record *r, const void *message, size_t most)
{
    size_t item = rri_run_item(r);
    *g = (rri_growth){ r, (char *)(r + 1) + rri_run_count(r) * item, (const char *)message + most / 16 * 16, item };
}

/* The place of one more item, or NULL if there is no room for it. The message grows as its record does. */
static inline void *rri_growth_add(rri_growth *g, uint32_t *message_bytes)
{
    rri_record *r = g->record;
    char *at = g->end, *end = at + g->item;
    if (end > g->limit || rri_run_count(r) == RRI_RUN_MAX) return NULL;
    uint32_t bytes = (uint32_t)rri_round16((size_t)(end - (char *)r));
    *message_bytes += bytes - r->bytes;
    r->bytes = bytes;
    r->extra++;
    g->end = end;
    return at;
}

#endif
