/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns nothing: what a dropped result has goes back with its call. */
#include "dropped.h"
#include "error.h"

#include <stdio.h>

enum { SMALL = 64 };                /* bytes: results of a number or two, which take no more than to say that they were dropped */

/* What the caller has said that it is ready to take, by a receive of so many bytes, goes there. */
bool rri_dropped_is(const rref_call *c, const rri_packing *p, size_t bytes)
{
    bool ready = c->room.tag && p->segments == 1 && p->bulk <= c->room.bytes;
    return bytes + (ready ? 0 : p->bulk) > sizeof(rri_record) + SMALL && rri_lane_laden(c->calls->flow, c->peer);
}

/* In company, and not with the credit of its request: that goes when there is room again. */
int rri_dropped_answer(rref_call *c, size_t bytes)
{
    rri_calls *calls = c->calls;
    rri_record *r = rri_lane_begin(calls->flow, c->peer, RRI_ANSWERS, sizeof *r);
    if (!r) return rri_error_last()->code;
    *r = (rri_record){ .bytes = sizeof *r, .kind = RRI_FAILURE, .method = RRI_DROPPED, .call = c->id, .extra = bytes };
    rri_lane_end(calls->flow, c->peer, RRI_ANSWERS, RRI_COMPANY);
    atomic_fetch_add_explicit(&calls->dropped, 1, memory_order_relaxed);
    rri_progress_nudge(calls->progress);
    return RREF_OK;
}

bool rri_dropped_record(const rri_record *r) { return r->kind == RRI_FAILURE && r->method == RRI_DROPPED; }

void rri_dropped_error(const rri_calls *calls, const rri_record *r, const rri_future *f, int peer, rref_error *error)
{
    const char *class_name = f->class_name, *method_name = f->method_name;
    rri_error_fill(error, RREF_ERR_RESULT_DROPPED,
                   "the method has run on rank %d, and its result of %" PRIu64 " bytes was dropped: there was more for this rank "
                   "to take than RREF_QUEUE_LIMIT", peer, r->extra);
    error->rank = peer;
    rri_error_copy(error->host, sizeof error->host, rri_peer_host(calls->peers, peer));
    snprintf(error->where, sizeof error->where, "%.60s.%.60s", class_name ? class_name : "?", method_name ? method_name : "?");
}
