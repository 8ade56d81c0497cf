/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns nothing: looks through the futures. */
#include "pending.h"
#include "log.h"

#include <stdio.h>

/* The method of a call that is not answered; NULL: it is none. */
static const char *waits_for(const rri_future *f)
{
    const char *method = atomic_load_explicit(&f->method_name, memory_order_acquire);
    return rri_event_done(&f->event) ? NULL : method;
}

typedef struct search {
    int64_t from, to;
    rri_pending *oldest;
    unsigned room, kept, count;
} search;

static void look_at(void *item, void *arg)
{
    rri_future *f = item;
    search *s = arg;
    const char *method = waits_for(f);
    int64_t made = atomic_load_explicit(&f->made, memory_order_relaxed);
    if (!method || made <= s->from || made > s->to) return;
    rri_pending p = { f->class_name, method, f->site, f->peer, made };
    unsigned at = s->kept < s->room ? s->kept++ : s->room;
    s->count++;
    for (; at > 0 && s->oldest[at - 1].made > p.made; at--)
        if (at < s->room) s->oldest[at] = s->oldest[at - 1];
    if (at < s->room) s->oldest[at] = p;
}

unsigned rri_pending_find(rri_futures *futures, int64_t from, int64_t to, rri_pending *oldest, unsigned room)
{
    search s = { from, to, oldest, room, 0, 0 };
    rri_table_look(&futures->table, look_at, &s);
    return s.count;
}

typedef struct tally { uint64_t calls, creations; } tally;

static void count(void *item, void *arg)
{
    const rri_future *f = item;
    tally *t = arg;
    t->calls += waits_for(f) != NULL;
    t->creations += atomic_load_explicit(&f->creates, memory_order_relaxed) && !rri_event_done(&f->event);
}

void rri_pending_count(rri_futures *futures, uint64_t *calls, uint64_t *creations)
{
    tally t = { 0, 0 };
    rri_table_look(&futures->table, count, &t);
    *calls = t.calls;
    *creations = t.creations;
}

void rri_pending_format(const rri_pending *p, char *text, size_t size)
{
    snprintf(text, size, "%.60s.%.60s on rank %d%s%.100s, %.1f s ago", p->class_name, p->method_name, p->peer,
             p->site ? ", called at " : "", p->site ? p->site : "", (double)(rri_now_coarse() - p->made) * 1e-9);
}

void rri_pending_tell(rri_futures *futures)
{
    enum { LINES = 10 };
    rri_pending oldest[LINES];
    char text[512];
    int64_t told = atomic_load(&futures->told), now = rri_now_coarse() - futures->report_after;
    if (now <= told || !atomic_compare_exchange_strong(&futures->told, &told, now)) return;
    unsigned count = rri_pending_find(futures, told, now, oldest, LINES);
    for (unsigned i = 0; i < count && i < LINES; i++) {
        rri_pending_format(&oldest[i], text, sizeof text);
        rri_log(RRI_LOG_WARN, "not answered yet: %s", text);
    }
    if (count > LINES) rri_log(RRI_LOG_WARN, "and %u more calls not answered yet", count - LINES);
}
