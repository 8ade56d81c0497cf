/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Instant calls: those of inline methods whose arguments lie in the message and whose results are numbers. Such a call is over
 * before the driver looks at the next record, so it takes no memory, waits in no queue and is counted nowhere but as served.
 */
#ifndef RRI_INSTANT_H
#define RRI_INSTANT_H

#include "call.h"

/* Run the record's call, if it is one that can be run so and its object is free. Driver only. */
bool rri_instant_serve(rri_calls *calls, const rri_record *record, const rri_buffer *buffer);

/* The same for the items of a run, in order; how many of them. */
size_t rri_instant_run(rri_calls *calls, const rri_record *run, const rri_buffer *buffer);

/* Let go of the object of the last one, which was kept for the next record. Driver only. */
void rri_instant_over(rri_calls *calls);

#endif
