/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The estate: what lost ranks held. What an owner has given out of an object is what its references hold, wherever they are, and
 * what is on its way. So when nothing is on its way, each rank tells each owner what it holds; what is out beyond that is the
 * lost ranks', and is taken off, once it is certain that nothing moved meanwhile. The same with references that vouch for others.
 *
 *   each rank: take stock --> others' stock arrives, before or after its own --> settle
 */
#ifndef RRI_ESTATE_H
#define RRI_ESTATE_H

#include "reference.h"

/* An object's handle, and what is out of it beyond what was told; or a reference's, and how many it vouches for beyond that. */
typedef struct rri_account { uint64_t handle, left; } rri_account;

typedef struct rri_estate {
    rri_references *references;     /* i */
    rri_lock lock;
    uint64_t fence;                 /* under the lock: for which fence the accounts are */
    rri_account *account;           /* under the lock: by hash of the handle, 0 for none */
    size_t count, room;             /* under the lock */
    bool incomplete;                /* under the lock: there was no memory for all that is told, or was to be */
} rri_estate;

enum { RRI_NO_STOCK = 1 << 30 };    /* more records than anybody sends */

void rri_estate_close(rri_estate *estate);

/* Tell all owners what is held here, when all was still: how many records that took; NO_STOCK if something moved meanwhile. */
uint64_t rri_estate_take(rri_estate *estate, uint32_t fence);
/* Another rank tells what it holds: RRI_HELD. Driver only. */
void rri_estate_record(rri_estate *estate, const rri_record *record);
/* Whether there was memory for all that was told so far, here and by this rank. */
bool rri_estate_complete(rri_estate *estate);
/* All have told: write off what is left, or forget it if somebody could not be sure. */
void rri_estate_settle(rri_estate *estate, bool good);

#endif
