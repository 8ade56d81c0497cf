/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the end of contexts: of their own accord, or when MPI_Finalize comes before. */
#include "finalize.h"
#include "error.h"
#include "fork.h"
#include "host.h"
#include "log.h"

static rri_lock live_lock;
static rref_context *live;              /* contexts not finalized, oldest first: the same order on all their ranks */

static bool wait_for(rref_context *ctx, rri_event *event, int64_t deadline, char *why, size_t size)
{
    int64_t stall = rri_context_ns(ctx->settings.stall_limit), quiet = rri_now();
    uint64_t last = 0;
    while (rri_progress_wait(ctx->progress, event, rri_now() + 100000000) != RREF_OK) {
        uint64_t seen = atomic_load(&ctx->calls.served);
        int64_t now = rri_now();
        if (seen != last) quiet = now;
        last = seen;
        if (now < deadline && (stall == RRI_NEVER || now - quiet < stall)) continue;
        rri_fence_describe(&ctx->fence, why, size);
        return false;
    }
    return true;
}

/* Destructors run on library threads; here is only the wait for them. */
static void destroy_objects(rref_context *ctx)
{
    rri_event never = { 0 };
    rri_objects_destroy_all(&ctx->objects);
    while (rri_objects_alive(&ctx->objects) > 0) rri_progress_wait(ctx->progress, &never, rri_now() + 1000000);
}

/* Credits may still wait to be sent, and what was sent last may still sit in MPI. */
static void last_messages(rref_context *ctx)
{
    rri_flow_flush(ctx->flow, true);
    rri_flow_drain(ctx->flow);
    if (rri_link_drain(ctx->link)) rri_log(RRI_LOG_ERROR, "the last messages: %s", rri_error_last()->text);
}

static int end(rref_context *ctx)
{
    char why[256];
    double limit = ctx->settings.finalize_timeout;
    int64_t deadline = limit > 0 ? rri_after(rri_now(), rri_context_ns(limit)) : RRI_NEVER;
    rri_fence_enter(&ctx->fence);
    if (!wait_for(ctx, &ctx->fence.left, deadline, why, sizeof why)) {
        rri_progress_stop(ctx->progress, true);
        rri_log(RRI_LOG_ERROR, "the context did not end: %s", why);
        return rri_fail(RREF_ERR_STALLED, "the context did not end: %s", why);
    }
    atomic_store(&ctx->references.closing, true);
    rri_names_end(&ctx->service.names);
    unsigned held = rri_references_report(&ctx->references);
    if (held) rri_log(RRI_LOG_INFO, "%u references were written off", held);
    destroy_objects(ctx);
    rri_progress_stop(ctx->progress, false);
    last_messages(ctx);
    int rc = ctx->failed_oneway ? RREF_ERR_ONEWAY : RREF_OK;
    if (rc) {
        *rri_error_last() = ctx->first_oneway;
        rri_error_last()->code = rc;
    }
    rref_error error = *rri_error_last();
    rri_context_close(ctx, false);
    if (rc) *rri_error_last() = error;
    return rc;
}

/* ---- contexts that are forgotten */

void rri_context_enlist(rref_context *ctx)
{
    rri_lock_take(&live_lock);
    rref_context **at = &live;
    while (*at) at = &(*at)->next;
    *at = ctx;
    rri_lock_give(&live_lock);
}

static void strike(rref_context *ctx)
{
    rri_lock_take(&live_lock);
    rref_context **at = &live;
    while (*at && *at != ctx) at = &(*at)->next;
    if (*at) *at = ctx->next;
    rri_lock_give(&live_lock);
}

static void end_forgotten(void)
{
    for (rref_context *ctx; (ctx = live);) {
        rri_log(RRI_LOG_WARN, "MPI_Finalize before rref_finalize: the context is ended now");
        strike(ctx);
        if (end(ctx)) rri_log(RRI_LOG_ERROR, "the end of a forgotten context: %s", rri_error_last()->text);
    }
}

int rri_finalize_watch(void) { return rri_host_at_finalize(end_forgotten); }

/* ---- the API */

int rref_finalize(rref_context **context)
{
    if (rri_forked()) return RREF_ERR_FORKED;
    if (!context || !*context) return rri_fail(RREF_ERR_STATE, "no context, or finalized already");
    rref_context *ctx = *context;
    if (rri_progress_is_library() || rri_progress_depth(0) > 0)
        return rri_fail(RREF_ERR_STATE, "rref_finalize from a handler or callback");
    strike(ctx);
    int rc = end(ctx);
    *context = NULL;
    return rc;
}
