/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns how the handles of a message are found: the first lies in place, all further ones in an open table, by their objects. */
#include "once.h"
#include "memory.h"
#include "reference.h"

#include <stdlib.h>

enum { ROOM_MIN = 16 };

/* Where the handle of that object is, or is to be; the table has room. */
static rref *find(const rri_once *once, rref wanted)
{
    size_t i = (size_t)rref_hash(wanted) & (once->room - 1);
    while (once->further[i].bits && !rref_same_object(once->further[i], wanted)) i = (i + 1) & (once->room - 1);
    return &once->further[i];
}

/* Half of the table is free at least. */
static bool make_room(rri_once *once)
{
    if (2 * once->count < once->room) return true;
    const rri_once old = *once;
    size_t room = old.room ? 2 * old.room : ROOM_MIN;
    rref *table = rri_calloc(room, sizeof *table);
    if (!table) return false;
    once->further = table;
    once->room = room;
    for (size_t i = 0; i < old.room; i++)
        if (old.further[i].bits) *find(once, old.further[i]) = old.further[i];
    free(old.further);
    return true;
}

static rref *place_of(rri_once *once, rref taken)
{
    if (!once->first.bits || rref_same_object(once->first, taken)) return &once->first;
    return make_room(once) ? find(once, taken) : NULL;
}

rref rri_once_known(rri_once *once, rref taken)
{
    rref *at = once ? place_of(once, taken) : NULL;
    if (!at) return taken;
    if (!at->bits) {
        once->count += at != &once->first;
        return *at = taken;
    }
    const rref known = rri_reference_keep(rri_reference_of(*at));
    if (!known.bits) return taken;
    rri_reference_drop(taken);
    return known;
}
