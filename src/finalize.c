/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the end of contexts: of their own accord, or when MPI_Finalize comes before. A fence is an end of what was made so far. */
#include "finalize.h"
#include "error.h"
#include "fork.h"
#include "host.h"
#include "log.h"
#include "pending.h"

enum { PART_NS = 1000000000 };          /* for the last messages, when not all are there to be waited for */
#define TERM_NS INT64_C(10000000000)    /* for the end at SIGTERM */

static rri_lock live_lock;
static rref_context *live;              /* contexts not finalized, oldest first: the same order on all their ranks */
static rref_context *abandoned;         /* did not end; what is stuck in them may still use them */
static atomic_uint being_ended;         /* a: contexts that their application ends, with objects left */

/* The wait for destructors: an object that is gone is a sign of life, too. */
typedef struct patience {
    unsigned left;                      /* objects, when last looked */
    int64_t last, deadline;
} patience;

static bool is_over(patience *p, rref_context *ctx)
{
    int64_t now = rri_now(), quiet = rri_fence_quiet(&ctx->fence), stall = ctx->fence.stall;
    unsigned left = rri_objects_alive(&ctx->objects);
    if (left != p->left) p->last = now;
    p->left = left;
    if (now - p->last < quiet) quiet = now - p->last;
    return now >= p->deadline || (stall != RRI_NEVER && quiet >= stall);
}

/* Destructors run on library threads; here is only the wait for them. */
static int destroy_objects(rref_context *ctx, int64_t limit)
{
    rri_event never = { 0 };
    int64_t now = rri_now();
    patience p = { .last = now, .deadline = rri_after(now, limit) };
    rri_objects_destroy_all(&ctx->objects);
    while (rri_objects_alive(&ctx->objects) > 0) {
        if (is_over(&p, ctx)) return rri_fail(RREF_ERR_STALLED, "the destructors of %u objects have not returned", p.left);
        rri_progress_wait(ctx->progress, &never, rri_now() + 1000000);
    }
    return RREF_OK;
}

/* Credits may still wait to be sent, and what was sent last may still sit in MPI. */
static int last_messages(rref_context *ctx, int64_t limit)
{
    rri_has(&rri_driver);               /* nobody else drives any more */
    rri_flow_empty(ctx->flow);
    int rc = rri_link_drain(ctx->link, limit);
    if (rc) rri_log(RRI_LOG_ERROR, "the last messages: %s", rri_error_last()->text);
    return rc == RREF_ERR_STALLED || rc == RREF_ERR_PEER_LOST ? rc : RREF_OK;
}

/* The lost would be missed by a collective, and in freeing communicators. */
static void end_without(rref_context *ctx)
{
    rri_has(&rri_driver);               /* nobody else drives any more */
    rri_flow_empty(ctx->flow);
    rri_link_part(ctx->link, PART_NS);
    if (rri_window_works(ctx->window))
        rri_log(RRI_LOG_ERROR, "an MPI window was open when a rank was lost: MPI_Finalize will not return. RREF_WINDOW=off, or "
                               "mpirun --enable-recovery, opens none");
}

/* It did not end: its memory and communicators stay, for what is stuck may still use them. */
static int abandon(rref_context *ctx)
{
    rref_error error = *rri_error_last();
    rri_lock_take(&live_lock);
    ctx->next = abandoned;
    abandoned = ctx;
    rri_lock_give(&live_lock);
    return rri_fail_as(error.code, &error);
}

/* From here on releases are for nothing, and calls give FINALIZED: nobody would answer them. */
static int clear_objects(rref_context *ctx, int64_t limit)
{
    rri_peers_rest(ctx->calls.peers);
    atomic_store(&ctx->references.closing, true);
    rri_names_end(&ctx->service.names);
    rri_flow_end(ctx->flow);
    unsigned held = rri_references_report(&ctx->references);
    if (held) rri_log(RRI_LOG_INFO, "%u references were written off", held);
    int rc = destroy_objects(ctx, limit);
    if (rc) rri_log(RRI_LOG_ERROR, "rref_finalize did not come to its end: %s", rri_error_last()->text);
    return rc;
}

/* What the ranks that are left should know of. */
static int outcome(rref_context *ctx)
{
    int rc = rri_context_oneway(ctx);
    return rc ? rc : rri_context_losses(ctx);
}

static int end(rref_context *ctx)
{
    const rri_settings *s = &ctx->settings;
    int64_t limit = s->finalize_timeout > 0 ? rri_context_ns(s->finalize_timeout) : RRI_NEVER;
    bool stuck = rri_fence_end(&ctx->fence, limit) || clear_objects(ctx, limit);
    atomic_fetch_sub(&being_ended, 1);
    if (stuck) {
        rri_context_stop(ctx, true);
        return abandon(ctx);
    }
    rri_context_stop(ctx, false);
    rri_futures_await_waiting(&ctx->calls.futures);
    bool lossy = rri_peers_lost(ctx->calls.peers);
    if (lossy) end_without(ctx);
    else if (last_messages(ctx, limit < ctx->fence.stall ? limit : ctx->fence.stall)) return abandon(ctx);
    int rc = outcome(ctx);
    rref_error error = *rri_error_last();
    rri_context_close(ctx, lossy);
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

/* Out of the list, to be ended by this thread: the context, or the oldest one; NULL if somebody else ends it. */
static rref_context *strike(const rref_context *ctx)
{
    rri_lock_take(&live_lock);
    rref_context **at = &live;
    while (ctx && *at && *at != ctx) at = &(*at)->next;
    rref_context *found = *at;
    if (found) {
        *at = found->next;
        found->next = NULL;
        atomic_fetch_add(&being_ended, 1);
    }
    rri_lock_give(&live_lock);
    return found;
}

static void end_late(rref_context *ctx)
{
    rri_log(RRI_LOG_WARN, "MPI_Finalize before rref_finalize: the context is ended now");
    if (end(ctx)) rri_log(RRI_LOG_ERROR, "the end of a forgotten context: %s", rri_error_last()->text);
}

/* The library's threads may not share MPI with this one any more: all they can do is to leave it alone. */
static void lose(rref_context *ctx)
{
    atomic_fetch_sub(&being_ended, 1);
    rri_context_stop(ctx, false);
    rri_log(RRI_LOG_ERROR, "MPI_Finalize before rref_finalize: in this MPI the context cannot be ended now, and is lost");
}

/* It has to be out of MPI before the application leaves that; it is not for long, see TERM_NS. */
static void await_term(rref_context *ctx)
{
    for (unsigned n; (n = atomic_load(&ctx->ending));) rri_futex_wait(&ctx->ending, n, 1000000);
}

static void await_terms(void)
{
    rri_lock_take(&live_lock);
    rref_context *ctx = abandoned;
    rri_lock_give(&live_lock);
    for (; ctx; ctx = ctx->next) await_term(ctx);
}

static void end_forgotten(void)
{
    for (rref_context *ctx; (ctx = strike(NULL));) {
        if (rri_host_threaded_at_finalize() || ctx->settings.progress == RRI_PROGRESS_APPLICATION) end_late(ctx);
        else lose(ctx);
    }
    await_terms();
}

/* ---- contexts that end before the application does */

static void report(rref_context *ctx)
{
    enum { LINES = 10 };
    char text[512];
    rri_pending oldest[LINES];
    unsigned count = rri_pending_find(&ctx->calls.futures, 0, RRI_NEVER, oldest, LINES);
    rri_log(RRI_LOG_WARN, "SIGTERM: %u calls not answered, %u running here, %u objects", count, rri_calls_running(&ctx->calls),
            rri_objects_alive(&ctx->objects));
    for (unsigned i = 0; i < count && i < LINES; i++) {
        rri_pending_format(&oldest[i], text, sizeof text);
        rri_log(RRI_LOG_WARN, "SIGTERM: not answered: %s", text);
    }
}

/* Application threads begin nothing more; what they began is waited for, and what waits for them is not. */
static void end_at_once(rref_context *ctx)
{
    int64_t limit = ctx->settings.finalize_timeout > 0 ? rri_context_ns(ctx->settings.finalize_timeout) : RRI_NEVER;
    rri_flow_close_gate(ctx->flow);
    if (limit > TERM_NS) limit = TERM_NS;
    int rc = rri_fence_end(&ctx->fence, limit);
    if (!rc) rc = clear_objects(ctx, limit);
    rri_context_stop(ctx, true);
    rri_log(RRI_LOG_WARN, "SIGTERM: the context %s", rc ? "did not come to its end" : "has ended");
    atomic_store(&ctx->ending, 0);
}

/* Not of those that only the application drives; and who is in a fence is left to wait there, and to end the context. */
static bool can_end_now(rref_context *ctx)
{
    return ctx->settings.progress != RRI_PROGRESS_APPLICATION && !atomic_exchange(&ctx->fence.inside, true);
}

/* One that can be ended, into the list of those that are left as they are. */
static rref_context *take_live(void)
{
    rri_lock_take(&live_lock);
    rref_context **at = &live, *ctx;
    while (*at && !can_end_now(*at)) at = &(*at)->next;
    ctx = *at;
    if (ctx) {
        atomic_store(&ctx->ending, 1);
        *at = ctx->next;
        ctx->next = abandoned;
        abandoned = ctx;
    }
    rri_lock_give(&live_lock);
    return ctx;
}

/* Who is in rref_finalize when the signal comes gets to the end of its objects, since the others come there now. */
static void await_ends(void)
{
    int64_t deadline = rri_after(rri_now(), TERM_NS);
    for (unsigned n; (n = atomic_load(&being_ended)) && rri_now() < deadline;) rri_futex_wait(&being_ended, n, 1000000);
}

/* Nobody ends a context while it is told of. */
void rri_contexts_term(bool end)
{
    rri_lock_take(&live_lock);
    for (rref_context *ctx = live; ctx; ctx = ctx->next) report(ctx);
    rri_lock_give(&live_lock);
    for (rref_context *ctx; end && (ctx = take_live());) end_at_once(ctx);
    if (end) await_ends();
}

int rri_finalize_watch(void) { return rri_host_at_finalize(end_forgotten); }

/* ---- the API */

int rref_fence(rref_context *context, double timeout)
{
    int64_t limit = RRI_NEVER;
    if (rri_forked()) return RREF_ERR_FORKED;
    if (!context) return rri_fail(RREF_ERR_ARGUMENT, "NULL context");
    if (timeout != RREF_DEFAULT_TIMEOUT && !rri_seconds(timeout, &limit))
        return rri_fail(RREF_ERR_ARGUMENT, "a timeout of %g seconds", timeout);
    int rc = rri_fence_pass(&context->fence, NULL, limit);
    return rc ? rc : outcome(context);
}

int rref_finalize(rref_context **context)
{
    if (rri_forked()) return RREF_ERR_FORKED;
    if (!context || !*context) return rri_fail(RREF_ERR_STATE, "no context, or finalized already");
    rref_context *ctx = *context;
    if (rri_progress_is_library() || rri_progress_depth(0) > 0)
        return rri_fail(RREF_ERR_STATE, "rref_finalize from a handler or callback");
    if (rri_progress_may_drive(ctx->progress)) return RREF_ERR_THREAD;
    bool ours = strike(ctx) != NULL;
    if (!ours) await_term(ctx);
    int rc = ours ? end(ctx) : rri_fail(RREF_ERR_FINALIZED, "the context has ended already, in MPI_Finalize or at SIGTERM");
    *context = NULL;                    /* handlers that run meanwhile may use the application's variable */
    return rc;
}
