/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_rank.h"

#include <string.h>

static const rri_progress_config driven = {
    .application = true, .crew = { .workers = 1, .max_blocked = 1, .absent = true }, .bell_reaches_all = true
};

static int open_calls(fake_rank *r, rri_link *link, size_t eager, const rri_calls_up *up)
{
    rri_calls *c = &r->calls;
    c->link = link;
    c->flow = r->flow;
    c->progress = r->progress;
    c->eager = eager;
    c->rank = rri_link_rank(link);
    c->up = *up;
    c->futures.progress = r->progress;
    c->futures.timers = &r->timers;
    c->futures.colours = rri_flow_colours(r->flow);
    c->futures.unread = up->unanswered;
    c->futures.up = up->up;
    c->futures.rank = c->rank;
    int rc = rri_weights_open(link, r->flow, r->progress, &r->timers, 0, &c->weights);
    if (rc == RREF_OK) rc = rri_calls_open(c);
    return rc ? rc : rri_futures_open(&c->futures, (unsigned)c->rank + 1);
}

int fake_rank_open(fake_rank *r, rri_link *link, const rri_flow_config *flow, size_t eager, const rri_calls_up *up)
{
    memset(r, 0, sizeof *r);
    rri_timers_init(&r->timers);
    int rc = rri_flow_open(link, flow, &r->flow);
    if (rc == RREF_OK) rc = rri_link_start(link, rri_flow_pool(r->flow), 1);
    if (rc == RREF_OK) rc = rri_transfers_open(link, r->flow, (unsigned)rri_link_rank(link) + 1, NULL, &r->calls.transfers);
    if (rc == RREF_OK)
        rc = rri_progress_open(link, r->flow, &r->timers, &driven, rri_call_dispatch, &r->calls, &r->progress);
    return rc ? rc : open_calls(r, link, eager, up);
}

void fake_pump(fake_rank *const ranks[], int count)
{
    for (int round = 0, quiet = 0; round < 10000 && quiet < 3; round++) {
        int news = 0;
        for (int i = 0; i < count; i++) news += rri_progress_poll(ranks[i]->progress, NULL);
        quiet = news ? 0 : quiet + 1;
    }
}

void fake_rank_close(fake_rank *r)
{
    rri_link *link = r->calls.link;
    rri_futures_close(&r->calls.futures);
    rri_calls_close(&r->calls);
    rri_progress_close(r->progress);
    rri_weights_close(r->calls.weights);
    rri_transfers_close(r->calls.transfers);
    rri_timers_free(&r->timers);
    rri_link_close(link, false);
    rri_flow_close(r->flow);
}
