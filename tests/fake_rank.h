/* SPDX-License-Identifier: BSD-3-Clause */
/* A rank on a fake link: everything up to the calls, driven by the one thread there is. */
#ifndef FAKE_RANK_H
#define FAKE_RANK_H

#include "call.h"
#include "fake_link.h"

typedef struct fake_rank {
    rri_flow *flow;
    rri_timers timers;
    rri_progress *progress;
    rri_calls calls;
} fake_rank;

/* Put a rank together on its link. up is the higher floor; errors that nobody waits for go to up->unanswered, too. */
int fake_rank_open(fake_rank *rank, rri_link *link, const rri_flow_config *flow, size_t eager, const rri_calls_up *up);

/* Have all ranks poll until nothing happens any more. */
void fake_pump(fake_rank *const ranks[], int count);

/* After the links were closed (fake_close), and what stands on the rank. */
void fake_rank_close(fake_rank *rank);

#endif
