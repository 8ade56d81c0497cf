/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Results that are dropped. Who does not take its answers would have them pile up at their owners. So beyond RREF_QUEUE_LIMIT a
 * result is not sent; a record without a body says so, which is no larger than the least of results, and always leaves.
 */
#ifndef RRI_DROPPED_H
#define RRI_DROPPED_H

#include "call.h"

/* The owner: whether a result is to be dropped that takes so many bytes of a message, and what is packed beside it. */
bool rri_dropped_is(const rref_call *call, const rri_packing *packing, size_t bytes);
/* Answer that one of so many bytes was. */
int rri_dropped_answer(rref_call *call, size_t bytes);

/* The caller: what such a record says of a call. */
bool rri_dropped_record(const rri_record *record);
void rri_dropped_error(const rri_calls *calls, const rri_record *record, const rri_future *future, int peer, rref_error *error);

#endif
