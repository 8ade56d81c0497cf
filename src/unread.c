/* SPDX-License-Identifier: BSD-3-Clause */
/* Failures that nobody waits for: one-way calls, futures released unread. */
#include "context.h"
#include "clock.h"
#include "error.h"
#include "log.h"

enum { LINES = 10, SECOND_NS = 1000000000 };    /* so many lines a second, at most */

static uint64_t mark_of(const rref_error *e)
{
    uint64_t h = (uint64_t)(uint32_t)e->code;
    for (const char *p = e->where; *p; p++) h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    return h;
}

/* The lock is held. */
static bool has_room(rref_context *ctx)
{
    int64_t now = rri_now();
    if (now - ctx->told_since >= SECOND_NS) {
        ctx->told_since = now;
        ctx->told = 0;
    }
    return ctx->told < LINES;
}

/* Each (class.method, code) once; what comes when there is no room may be told the next time. */
static bool is_to_tell(rref_context *ctx, const rref_error *e)
{
    uint64_t mark = mark_of(e);
    rri_lock_take(&ctx->lock);
    bool fresh = ctx->reports < RRI_REPORTED;
    for (unsigned i = 0; i < ctx->reports; i++) fresh = fresh && ctx->reported[i] != mark;
    fresh = fresh && has_room(ctx);
    if (fresh) ctx->reported[ctx->reports++] = mark;
    ctx->told += fresh;
    rri_lock_give(&ctx->lock);
    return fresh;
}

/* Whoever drives is the one to tell, an application thread that waits, too: what it may not do in a method it may not do here. */
static void tell(const rref_context *ctx, const rref_error *e)
{
    bool was = rri_progress_inline(true);
    rri_progress_depth(1);
    ctx->on_error(e, ctx->on_error_arg);
    rri_progress_depth(-1);
    rri_progress_inline(was);
}

void rri_context_unread(void *up, const rref_error *e)
{
    char text[RREF_TEXT_MAX + 512];
    rref_context *ctx = up;
    if (ctx->on_error) {
        tell(ctx, e);
    } else if (is_to_tell(ctx, e)) {
        rref_error_format(e, text, sizeof text);
        rri_log(RRI_LOG_ERROR, "nobody waited for this failure: %s", text);
    }
    rri_lock_take(&ctx->lock);
    if (!ctx->failed_oneway) ctx->first_oneway = *e;
    ctx->failed_oneway = true;
    rri_lock_give(&ctx->lock);
}

int rri_context_losses(rref_context *ctx)
{
    unsigned lost = rri_peers_lost(ctx->calls.peers);
    bool news = lost > ctx->losses_told;
    ctx->losses_told = lost;
    return news ? rri_peer_blame(ctx->calls.peers, rri_peers_which(ctx->calls.peers, lost - 1), NULL, "") : RREF_OK;
}

int rri_context_oneway(rref_context *ctx)
{
    rri_lock_take(&ctx->lock);
    bool failed = ctx->failed_oneway;
    if (failed) *rri_error_last() = ctx->first_oneway;
    ctx->failed_oneway = false;
    rri_lock_give(&ctx->lock);
    return failed ? (rri_error_last()->code = RREF_ERR_ONEWAY) : RREF_OK;
}
