/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns nothing: looks through the futures. */
#include "pending.h"

#include <stdio.h>

typedef struct search {
    rri_pending *oldest;
    unsigned room, kept, count;
} search;

static void look_at(void *item, void *arg)
{
    rri_future *f = item;
    search *s = arg;
    const char *method = atomic_load_explicit(&f->method_name, memory_order_acquire);
    if (!method || rri_event_done(&f->event)) return;
    rri_pending p = { f->class_name, method, f->site, f->peer, f->made };
    unsigned at = s->kept < s->room ? s->kept++ : s->room;
    s->count++;
    for (; at > 0 && s->oldest[at - 1].made > p.made; at--)
        if (at < s->room) s->oldest[at] = s->oldest[at - 1];
    if (at < s->room) s->oldest[at] = p;
}

unsigned rri_pending_find(rri_futures *futures, rri_pending *oldest, unsigned room)
{
    search s = { oldest, room, 0, 0 };
    rri_table_look(&futures->table, look_at, &s);
    return s.count;
}

void rri_pending_format(const rri_pending *p, char *text, size_t size)
{
    snprintf(text, size, "%.60s.%.60s on rank %d%s%.100s, %.1f s ago", p->class_name, p->method_name, p->peer,
             p->site ? ", called at " : "", p->site ? p->site : "", (double)(rri_now_coarse() - p->made) * 1e-9);
}
