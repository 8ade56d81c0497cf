/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loans: results that lie in their object's memory, and are offered to a caller that does not take them. After a millisecond they
 * are copied, and the object goes on.
 *
 *    begun --granted and sent--> over
 *      `--1 ms--> due --not granted--> copied, object let go --granted and sent--> over
 */
#ifndef RRI_LOAN_H
#define RRI_LOAN_H

#include "call.h"

typedef struct rri_loan rri_loan;

/* The results of a call are offered from its object's memory; its answer is about to leave. Without memory the object waits. */
void rri_loan_begin(rref_call *call, uint64_t offer);
/* They have left. The loan's memory goes with the call. */
void rri_loan_end(rref_call *call);

#endif
