/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns requests parked for objects that do not exist yet: lists by object, in order of arrival, under the lock of all objects. */
#include "park.h"
#include "error.h"
#include "memory.h"

#include <stdlib.h>

static size_t park_of(uint64_t address) { return (address * UINT64_C(0x9e3779b97f4a7c15)) >> 58; }

static size_t parked_bytes(const rri_record *record) { return sizeof(rri_parked) + record->bytes; }

/* Calls alone: weight that comes back, or is asked for, is no more than there are references. The lock is held. */
static bool too_many_parked(const rri_objects *all, const rri_record *record)
{
    return record->kind == RRI_CALL && all->parked_bytes + parked_bytes(record) > all->park_limit;
}

/* The lock is held. */
static int park(rri_objects *all, const rri_record *record, rri_buffer *buffer)
{
    if (too_many_parked(all, record))
        return rri_fail(RREF_ERR_NO_MEMORY, "requests for objects to come take more than RREF_PARK_LIMIT there, %zu bytes",
                        all->park_limit);
    rri_parked *p = rri_malloc(sizeof *p);
    if (!p) return rri_fail(RREF_ERR_NO_MEMORY, "no memory to keep a request for an object to come");
    *p = (rri_parked){ .buffer = buffer, .record = record };
    if (buffer) {
        rri_buffer_keep(buffer);
    } else {
        p->back = *record;
        p->record = &p->back;
    }
    rri_busy(all->calls->futures.colours, rri_record_colour(record));
    size_t at = park_of(record->object);
    if (all->parked[at].first) all->parked[at].last->next = p;
    else all->parked[at].first = p;
    all->parked[at].last = p;
    all->parked_bytes += parked_bytes(p->record);
    atomic_fetch_add(&all->waiting, 1);
    return RRI_PARK;
}

/* The lock is held. */
static rri_parked *first_parked(const rri_objects *all, uint64_t address)
{
    rri_parked *p = all->parked[park_of(address)].first;
    while (p && p->record->object != address) p = p->next;
    return p;
}

static void remove_parked(rri_objects *all, rri_parked *p)
{
    unsigned colour = rri_record_colour(p->record);
    size_t where = park_of(p->record->object);
    rri_lock_take(&all->lock);
    rri_parked **at = &all->parked[where].first, *before = NULL;
    for (; *at != p; at = &(*at)->next) before = *at;
    *at = p->next;
    if (all->parked[where].last == p) all->parked[where].last = before;
    all->parked_bytes -= parked_bytes(p->record);
    atomic_fetch_sub(&all->waiting, 1);
    rri_lock_give(&all->lock);
    if (p->buffer) rri_buffer_drop(p->buffer);
    free(p);
    rri_idle(all->calls->futures.colours, colour);
}

static void serve_parked(rri_objects *all, const rri_parked *p)
{
    rri_paint before = rri_paint_on(all->calls->futures.colours, rri_record_colour(p->record));
    if (p->record->kind == RRI_REFILL) rri_object_refill(all, p->record, p->buffer);
    else if (p->buffer) rri_call_serve_parked(all->calls, p->record, p->buffer);
    else rri_object_give_back(all, all->calls->rank, p->record->object, p->record->extra);
    rri_paint_back(before);
}

/* Each stays in the list until it is served, so that what comes meanwhile goes behind it. */
void rri_parked_serve(rri_objects *all, uint64_t address)
{
    for (;;) {
        rri_lock_take(&all->lock);
        rri_parked *p = first_parked(all, address);
        rri_lock_give(&all->lock);
        if (!p) return;
        serve_parked(all, p);
        remove_parked(all, p);
    }
}

int rri_park_behind(rri_objects *all, const rri_record *record, rri_buffer *buffer)
{
    if (!(record->object & RRI_NAMED) || !atomic_load_explicit(&all->waiting, memory_order_acquire)) return RREF_OK;
    rri_lock_take(&all->lock);
    const rri_parked *p = first_parked(all, record->object);
    int rc = p && p->record != record ? park(all, record, buffer) : RREF_OK;
    rri_lock_give(&all->lock);
    return rc;
}

bool rri_parked_any(rri_objects *all, uint64_t address)
{
    if (!(address & RRI_NAMED) || !atomic_load_explicit(&all->waiting, memory_order_acquire)) return false;
    rri_lock_take(&all->lock);
    bool found = first_parked(all, address);
    rri_lock_give(&all->lock);
    return found;
}

int rri_park_missing(rri_objects *all, const rri_record *record, rri_buffer *buffer)
{
    uint64_t address = record->object;
    if (!(address & RRI_NAMED)) return rri_fail(RREF_ERR_NO_OBJECT, "the object is gone");
    int creator = rri_address_creator(address);
    uint64_t number = rri_address_number(address);
    if (creator >= rri_link_size(all->calls->link)) return rri_fail(RREF_ERR_PROTOCOL, "an object made by rank %d", creator);
    rri_lock_take(&all->lock);
    bool to_come = number < RRI_GROUP_NUMBERS && number > all->seen[creator];
    bool lost = to_come && rri_lane_is_shut(all->calls->flow, creator);
    int rc = lost ? RREF_ERR_PEER_LOST : to_come ? park(all, record, buffer) : rri_fail(RREF_ERR_NO_OBJECT, "the object is gone");
    rri_lock_give(&all->lock);
    return lost ? rri_peer_blame(all->calls->peers, creator, NULL, "; it had not made the object") : rc;
}

/* Of an object that there is, its constructor serves what waits. The lock is held. */
static bool is_orphan(const rri_objects *all, uint64_t address, int creator)
{
    return rri_address_creator(address) == creator && !rri_object_identified(all, address);
}

/* An address for which something waits, of an object that a rank should have made; 0: none. */
static uint64_t waits_for(rri_objects *all, int creator)
{
    uint64_t address = 0;
    rri_lock_take(&all->lock);
    for (size_t i = 0; i < RRI_PARKS && !address; i++) {
        const rri_parked *p = all->parked[i].first;
        while (p && !is_orphan(all, p->record->object, creator)) p = p->next;
        if (p) address = p->record->object;
    }
    rri_lock_give(&all->lock);
    return address;
}

void rri_parked_lose(rri_objects *all, int creator)
{
    for (uint64_t address; (address = waits_for(all, creator));) rri_parked_serve(all, address);
}

void rri_parked_drop(rri_objects *all)
{
    for (size_t i = 0; i < RRI_PARKS; i++)
        for (rri_parked *p; (p = all->parked[i].first); free(p)) {
            all->parked[i].first = p->next;
            if (p->buffer) rri_buffer_drop(p->buffer);
        }
}
