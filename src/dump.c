/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns nothing: looks at the tables of the rank, each under its lock, and writes after that. */
#include "dump.h"
#include "error.h"
#include "memory.h"
#include "pending.h"
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 10, CLASSES = 16, COUNTERS = sizeof(rref_statistics) / sizeof(uint64_t) };

typedef struct census {
    const char *name[CLASSES];
    unsigned of[CLASSES], classes, others;
} census;

static void count_object(const rri_object *o, void *arg)
{
    census *c = arg;
    const char *name = o->klass ? o->klass->name : "(failed)";
    unsigned i = 0;
    while (i < c->classes && strcmp(c->name[i], name)) i++;
    if (i == CLASSES) {
        c->others++;
        return;
    }
    if (i == c->classes) c->name[c->classes++] = name;
    c->of[i]++;
}

static void write_objects(rri_objects *objects, FILE *to)
{
    census c = { .classes = 0 };
    rri_objects_each(objects, count_object, &c);
    fprintf(to, "objects: %u\n", rri_objects_alive(objects));
    for (unsigned i = 0; i < c.classes; i++) fprintf(to, "  %s: %u\n", c.name[i], c.of[i]);
    if (c.others) fprintf(to, "  of other classes: %u\n", c.others);
    fprintf(to, "requests parked for objects to come: %u\n", atomic_load(&objects->waiting));
}

/* References that are counted; the first ones of the table. */
typedef struct held {
    rref reference[LINES];
    const char *site[LINES];
    int64_t age[LINES];
    unsigned count;
} held;

static void look_at(void *item, void *arg)
{
    rri_reference *r = item;
    held *h = arg;
    if (!atomic_load_explicit(&r->held, memory_order_acquire) || r->owner < 0 || !rri_reference_number(r)) return;
    unsigned i = h->count++;
    if (i >= LINES) return;
    h->reference[i] = (rref){ rri_table_handle(&rri_references_of(r)->table, r) };
    h->site[i] = rri_reference_origin(r).site;
    h->age[i] = rri_reference_age(r);
}

static void write_references(rri_references *all, FILE *to)
{
    char name[128];
    held h = { .count = 0 };
    rri_table_look(&all->table, look_at, &h);
    fprintf(to, "references held: %u\n", h.count);
    for (unsigned i = 0; i < h.count && i < LINES; i++) {
        if (rref_format(h.reference[i], name, sizeof name) < 0) continue;       /* released meanwhile */
        fprintf(to, "  %s%s%s, for %.1f s\n", name, h.site[i] ? ", created at " : "", h.site[i] ? h.site[i] : "",
                (double)h.age[i] * 1e-9);
    }
    if (h.count > LINES) fprintf(to, "  and %u more\n", h.count - LINES);
}

static void write_calls(rri_calls *calls, FILE *to)
{
    char text[512];
    rri_pending oldest[LINES];
    unsigned count = rri_pending_find(&calls->futures, 0, RRI_NEVER, oldest, LINES);
    fprintf(to, "calls running here: %u\ncalls not answered: %u\n", rri_calls_running(calls), count);
    for (unsigned i = 0; i < count && i < LINES; i++) {
        rri_pending_format(&oldest[i], text, sizeof text);
        fprintf(to, "  %s\n", text);
    }
    if (count > LINES) fprintf(to, "  and %u more\n", count - LINES);
}

static void write_counters(rref_context *context, FILE *to)
{
    rref_statistics s;
    if (rref_stats(context, &s)) return;
    fprintf(to, "threads of the library: %" PRIu64 ", woken %" PRIu64 " times\n", s.threads, s.wakeups);
    fprintf(to, "weight of objects given out: %" PRIu64 ", creations not confirmed: %" PRIu64 "\n", s.weight_out,
            s.creations_pending);
    fprintf(to, "bytes that wait to leave: %" PRIu64 ", results dropped: %" PRIu64 "\n", s.queued, s.results_dropped);
    fprintf(to, "requests for memory: %" PRIu64 "\n", s.allocations);
    fprintf(to, "calls made: %" PRIu64 ", run: %" PRIu64 ", run in the caller: %" PRIu64 ", one-way failed: %" PRIu64 "\n",
            s.calls_out, s.calls_in, s.calls_direct, s.oneway_failures);
    fprintf(to, "messages sent: %" PRIu64 ", received: %" PRIu64 ", refused: %" PRIu64 "; bulk bytes sent: %" PRIu64
            ", received: %" PRIu64 "\n", s.messages_out, s.messages_in, s.refused, s.bulk_out, s.bulk_in);
}

/* malloc'ed; NULL through rri_fail. */
static char *describe(rri_references *all)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (to) {
        int rank = all->calls->rank;
        fprintf(to, "rank %d (%s)\n", rank, rref_name_of(all->context, rank));
        write_objects(all->objects, to);
        write_references(all, to);
        write_calls(all->calls, to);
        write_counters(all->context, to);
    }
    if (!to || fclose(to) || !text) rri_fail(RREF_ERR_NO_MEMORY, "no memory for the text");
    return text;
}

int rri_dump_text(rref_call *c, void *service)
{
    char *text = describe(((rri_service *)service)->references);
    if (!text) return rref_fail(c, RREF_ERR_NO_MEMORY, "no memory for the text");
    int rc = rref_return_str(c, text);
    free(text);
    return rc;
}

int rri_dump_stats(rref_call *c, void *service)
{
    rref_statistics s;
    (void)service;
    int rc = rref_stats(rref_call_context(c), &s);
    return rc ? rc : rref_return(c, rref_array((const uint64_t *)(const void *)&s, (size_t)COUNTERS));
}

/* ---- the API */

static int aim(rref_context *context, int rank, rref *to)
{
    rri_references *all = rri_context_references(context);
    if (!all) return rri_error_last()->code;
    int ranks = rri_link_size(all->calls->link);
    if (rank < 0 || rank >= ranks) return rri_fail(RREF_ERR_DESTINATION, "rank %d of %d", rank, ranks);
    *to = rri_service_of(all, rank);
    return to->bits ? RREF_OK : RREF_ERR_NO_MEMORY;
}

/* The string that a future is complete with. */
static int take_text(rref_future future, char **text)
{
    size_t length;
    int rc = rref_wait(future, RREF_FOREVER);
    rri_future *f = rri_future_of(future.bits);
    if (rc || !f) return rc;
    const char *at = rri_payload_data(f->types, 0, f->payload, f->landing, &length);
    char *copy = rri_strdup(at);
    if (!copy) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for the text");
    *text = copy;
    return RREF_OK;
}

int rref_dump(rref_context *context, int rank, char **text)
{
    rref to;
    if (!text) return rri_fail(RREF_ERR_ARGUMENT, "NULL text");
    int rc = aim(context, rank, &to);
    if (rc) return rc;
    if (rank == rref_rank(context)) {
        char *own = describe(rri_context_references(context));
        if (own) *text = own;
        return own ? RREF_OK : RREF_ERR_NO_MEMORY;
    }
    rref_future f = rref_async_v(to, RREF_LIST_("dump"), NULL);
    rc = f.bits ? take_text(f, text) : RREF_ERR_NO_MEMORY;
    if (f.bits) rref_future_release(f);
    return rc;
}

int rref_stats_of(rref_context *context, int rank, rref_statistics *statistics)
{
    rref to;
    uint64_t counters[COUNTERS];
    size_t count = 0;
    if (!statistics) return rri_fail(RREF_ERR_ARGUMENT, "NULL statistics");
    int rc = aim(context, rank, &to);
    if (!rc) rc = rref_sync_v(to, RREF_LIST_("stats", rref_out_array(counters, (size_t)COUNTERS, &count)), NULL);
    if (!rc) memcpy(statistics, counters, sizeof counters);
    return rc;
}
