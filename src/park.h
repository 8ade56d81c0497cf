/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests for objects that are to come: they may overtake the creation, which is another rank's. */
#ifndef RRI_PARK_H
#define RRI_PARK_H

#include "object.h"

/* There is no such object: RRI_PARK, if it is to come, or why not; NO_MEMORY beyond RREF_PARK_LIMIT. buffer NULL: weight that
 * comes back, of which the record is all. */
int rri_park_missing(rri_objects *all, const rri_record *record, rri_buffer *buffer);
/* There is, but earlier requests for it still wait: then this one waits behind them. RREF_OK: none do. */
int rri_park_behind(rri_objects *all, const rri_record *record, rri_buffer *buffer);
/* Whether any do. */
bool rri_parked_any(rri_objects *all, uint64_t address);
/* The creation has arrived: serve what waited for it, in order. */
void rri_parked_serve(rri_objects *all, uint64_t address);
/* A rank is lost: what waits for its creations is answered. */
void rri_parked_lose(rri_objects *all, int creator);
void rri_parked_drop(rri_objects *all);

#endif
