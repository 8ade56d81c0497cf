/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cycles of methods that wait for each other's calls: found by probes that follow who waits for what from rank to rank, and
 * broken by failing the youngest call with RREF_ERR_DEADLOCK.
 */
#ifndef RRI_CYCLE_H
#define RRI_CYCLE_H

#include "reference.h"

/* rri_calls_up.stuck: a method here waits for the call of that handle, and has done so for long. */
void rri_cycle_start(rri_references *all, uint64_t handle);

/* Methods of the service object. */
int rri_cycle_probe(rref_call *call, void *service);
int rri_cycle_break(rref_call *call, void *service);

#endif
