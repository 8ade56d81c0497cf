/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns nothing: the counters are kept where they count, or summed up here. */
#include "context.h"
#include "error.h"
#include "fork.h"
#include "lone.h"
#include "memory.h"
#include "pending.h"

/* Counted all the time. */
static void read_counters(rref_context *context, rref_statistics *s)
{
    rri_calls *c = &context->calls;
    *s = (rref_statistics){ .objects = rri_objects_alive(&context->objects),
                            .references = atomic_load(&context->references.table.live),
                            .futures = rri_lone_others(&c->futures), .calls_out = rri_flow_calls(context->flow),
                            .calls_in = atomic_load(&c->in) + atomic_load(&c->instants), .calls_direct = atomic_load(&c->direct),
                            .refused = atomic_load(&c->refused) + rri_flow_refused(context->flow),
                            .oneway_failures = atomic_load(&c->oneway_failures),
                            .refills = atomic_load(&context->objects.refills),
                            .window_reads = rri_window_reads(context->window),
                            .type_queries = atomic_load(&context->resolver.asked),
                            .parked = atomic_load(&context->objects.waiting), .results_dropped = atomic_load(&c->dropped),
                            .allocations = rri_memory_requests() };
    rri_link_counts(context->link, &s->messages_out, &s->messages_in);
    rri_transfers_counts(c->transfers, &s->bulk_out, &s->bulk_in);
    rri_progress_counts(context->progress, &s->wakeups, &s->threads);
}

/* What calls would pay for if it were: by looking at all there is. */
static void sum_up(rref_context *context, rref_statistics *s)
{
    s->queued = rri_flow_backlog(context->flow);
    s->weight_out = rri_objects_weight(&context->objects);
    rri_pending_count(&context->calls.futures, &s->calls_pending, &s->creations_pending);
}

int rref_stats(rref_context *context, rref_statistics *s)
{
    if (rri_forked()) return RREF_ERR_FORKED;
    if (!context || !s) return rri_fail(RREF_ERR_ARGUMENT, context ? "NULL statistics" : "NULL context");
    read_counters(context, s);
    sum_up(context, s);
    return RREF_OK;
}
