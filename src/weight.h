/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Weight on its way. What a rank has to tell another one about weight waits here for company, for a bounded time: it boards
 * the next message with requests to that rank, or leaves alone when its time is over. So it never overtakes a call.
 */
#ifndef RRI_WEIGHT_H
#define RRI_WEIGHT_H

#include "progress.h"

typedef struct rri_weights rri_weights;

/* A reference's wish for weight; lies in the reference, until its weight has come. */
typedef struct rri_wish {
    struct rri_wish *next;
    uint64_t address;               /* of the object, at its owner */
    uint64_t handle;                /* of the reference */
    rri_refill refill;
} rri_wish;

/* delay: ns that weight waits for company. */
int rri_weights_open(rri_link *link, rri_flow *flow, rri_progress *progress, rri_timers *timers, int64_t delay,
                     rri_weights **weights);
/* When nothing drives any more. */
void rri_weights_close(rri_weights *weights);

/* For that rank, one pair of a PARCELS record, or a REFILL. Any thread, under any lock; it is work of its thread's colour until
 * it is sent. */
void rri_weight_send(rri_weights *weights, int rank, uint64_t to, uint64_t weight);
void rri_weight_wish(rri_weights *weights, int rank, const rri_wish *wish, rri_wish *place);

/* Let everything go now. The caller holds no lane. */
void rri_weights_flush(rri_weights *weights);

#endif
