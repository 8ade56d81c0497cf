/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns nothing: the memory is the object's. Invariant: what was given is given back once, with what has become of it. */
#include "berth.h"
#include "error.h"
#include "exec.h"

#include <string.h>

enum { ALIGN = 16 };

/* What came unasked for lies in a landing area of the library. */
static void move_in(rref_call *c, void *berth)
{
    memcpy(berth, c->landing, c->berth);
    atomic_fetch_sub(&c->calls->landed, c->landing_bytes);
    rri_landing_give(&c->calls->landings, c->landing, c->landing_bytes);
    c->landing = berth;
    c->landing_bytes = 0;
    c->moored = RREF_OK;
}

static void arrived(void *arg, rri_moved how)
{
    rref_call *c = arg;
    c->moored = how == RRI_MOVED ? RREF_OK : how == RRI_KEPT ? RREF_ERR_PEER_LOST : RREF_ERR_CANCELLED;
    rri_call_check_landed(c, how);
    rri_exec_landed(c);
}

/* When the receive is posted the call may run, and be over, in another thread. */
static int receive(rref_call *c, void *berth)
{
    rri_segment segments[RRI_TYPES_MAX];
    rri_progress *progress = c->calls->progress;
    c->landing = berth;
    c->moored = RREF_ERR_CANCELLED;
    unsigned n = rri_payload_segments(c->in, c->payload, berth, segments);
    int rc = rri_transfer_accept(c->calls->transfers, c->peer, c->offered->transfer, segments, n, arrived, c);
    rri_progress_nudge(progress);               /* whoever drives may sleep, and data does not ring */
    return rc;
}

/* The object's own code, which may not wait. */
static int ask(rref_call *c, void **berth, size_t bytes)
{
    bool was = rri_progress_inline(true);
    rri_progress_depth(1);
    int rc = c->land(c, berth, bytes);
    rri_progress_depth(-1);
    rri_progress_inline(was);
    if (rc) return rc;
    c->berth = bytes;
    c->moored = RREF_ERR_CANCELLED;
    c->holds_object = true;
    if (!((uintptr_t)*berth % ALIGN)) return RREF_OK;
    c->landed(c, *berth, bytes, RREF_ERR_CANCELLED);
    c->berth = 0;
    return rri_fail(RREF_ERR_ARGUMENT, "class %s gave memory for large arguments that is not aligned to %d bytes", c->class_name,
                    ALIGN);
}

bool rri_berth_take(rref_call *c)
{
    void *berth = NULL;
    c->lands = false;
    if (c->failed) return false;
    bool there = c->landing;
    int rc = ask(c, &berth, rri_payload_landing(c->in, c->payload));
    if (rc == RREF_OK && there) move_in(c, berth);
    else if (rc == RREF_OK) rc = receive(c, berth);
    if (rc == RREF_OK) return !there;
    if (!there) rri_transfer_refuse(c->calls->transfers, c->peer, c->offered->transfer);
    rri_call_fail_early(c, rc, rri_error_last()->text);
    return false;
}

void rri_berth_over(rref_call *c, bool kept)
{
    size_t bytes = c->berth;
    if (!bytes) return;
    c->berth = 0;
    bool was = rri_progress_inline(true);
    rri_progress_depth(1);
    c->landed(c, c->landing, bytes, kept ? RREF_ERR_PEER_LOST : c->moored);
    rri_progress_depth(-1);
    rri_progress_inline(was);
    c->landing = NULL;
}
