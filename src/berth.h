/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Berths: memory of an object where the large arguments of its methods land. It is asked for when the call's turn has come, so
 * the object is occupied from then on until the call is over, and nothing else runs on it while its memory is written.
 */
#ifndef RRI_BERTH_H
#define RRI_BERTH_H

#include "call.h"

/* Have the call's large arguments land at its object. False: they are there, or the call has failed, and it runs; else it goes
 * on when they are. */
bool rri_berth_take(rref_call *call);
/* The call is over, or MPI keeps what it returned from there. */
void rri_berth_over(rref_call *call, bool kept);

#endif
