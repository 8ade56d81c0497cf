/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns nothing: a probe is all in its message. It starts from a method that is stuck and follows, on the rank that owes the
 * answer, what the call waited for waits for in turn (after K. M. Chandy, J. Misra and L. Haas, 1983). A probe that meets the
 * wait it came from has been in a cycle; to prove it the probe goes round once more: if it finds the same waits, all of them
 * held at the moment when the first round ended, since none that is over comes back. Of the waits in a cycle only the first
 * one's probe gets round: where others meet a wait before their own, that one's probe goes on. So one call of a cycle fails,
 * and not several.
 */
#include "cycle.h"
#include "error.h"
#include "log.h"
#include "service.h"
#include "stuck.h"

#include <stdio.h>
#include <string.h>

enum { HOPS_MAX = 10000 };          /* a probe from outside of a cycle ends here, if at all */

typedef struct probe {
    uint64_t origin, handle;        /* the wait it came from: rank, and call waited for */
    uint64_t round;
    uint64_t seen, wanted;          /* hash of the waits of this round, and of the first */
    uint64_t hops;
    uint64_t caller, id;            /* the call whose wait is looked for */
    uint64_t victim, youngest, age; /* rank and handle of the youngest call so far, and its age */
} probe;

enum { FIELDS = sizeof(probe) / sizeof(uint64_t) };

static void see(probe *p, int rank, const rri_wait *w)
{
    p->seen = (p->seen ^ w->handle ^ (uint64_t)rank << 32) * UINT64_C(0x9e3779b97f4a7c15);
    p->seen ^= p->seen >> 29;
    p->hops++;
    if ((uint64_t)w->age <= p->age) {
        p->victim = (uint64_t)rank;
        p->youngest = w->handle;
        p->age = (uint64_t)w->age;
    }
}

/* One more wait, and on to the rank that owes its answer. */
static int go_on(rri_references *all, probe p, const char *so_far, const rri_wait *w)
{
    char text[RREF_TEXT_MAX];
    int rank = all->calls->rank;
    see(&p, rank, w);
    p.caller = (uint64_t)rank;
    p.id = w->handle;
    snprintf(text, sizeof text, "%.500s%s%s", so_far, *so_far ? "; " : "", w->text);
    return rref_post_v(rri_service_of(all, w->peer), RREF_LIST_("probe", rref_array((const uint64_t *)(const void *)&p,
                       (size_t)FIELDS), (const char *)text), NULL);
}

static int go_round(rri_references *all, uint64_t handle, uint64_t round, uint64_t wanted)
{
    rri_wait w;
    const probe p = { .origin = (uint64_t)all->calls->rank, .handle = handle, .round = round, .wanted = wanted,
                      .age = UINT64_MAX };
    return rri_stuck_look(all->calls, handle, &w) ? go_on(all, p, "", &w) : RREF_OK;
}

void rri_cycle_start(rri_references *all, uint64_t handle) { go_round(all, handle, 1, 0); }

/* The probe has come back to the wait it came from. */
static int come_round(rri_references *all, const probe *p, const char *text)
{
    if (p->round == 1) return go_round(all, p->handle, 2, p->seen);
    if (p->seen != p->wanted || !rri_stuck_proven(all->calls, p->handle, p->seen)) return RREF_OK;
    return rref_post_v(rri_service_of(all, (int)p->victim), RREF_LIST_("break", p->youngest, text), NULL);
}

static bool is_good(const rri_references *all, const probe *p)
{
    uint64_t ranks = (uint64_t)rri_link_size(all->calls->link);
    return p->origin < ranks && p->caller < ranks && p->victim < ranks && p->hops < HOPS_MAX;
}

int rri_cycle_probe(rref_call *c, void *service)
{
    size_t n;
    probe p;
    rri_wait w;
    rri_references *all = ((rri_service *)service)->references;
    const uint64_t *x = rref_arg_u64s(c, 0, &n);
    const uint64_t rank = (uint64_t)all->calls->rank;
    if (n != FIELDS) return rref_fail(c, RREF_ERR_PROTOCOL, "a probe of %zu numbers", n);
    memcpy(&p, x, sizeof p);
    if (!is_good(all, &p) || !rri_stuck_find(all->calls, (int)p.caller, p.id, &w)) return RREF_OK;
    if (p.origin == rank && p.handle == w.handle) return come_round(all, &p, rref_arg_str(c, 1));
    bool first = rank < p.origin || (rank == p.origin && w.handle < p.handle);
    if (!first) return go_on(all, p, rref_arg_str(c, 1), &w);
    return p.round == 1 ? go_round(all, w.handle, 1, 0) : RREF_OK;
}

int rri_cycle_break(rref_call *c, void *service)
{
    rref_error e;
    const char *text = rref_arg_str(c, 1);
    rri_error_fill(&e, RREF_ERR_DEADLOCK, "the youngest call of a cycle of waiting methods: %s", text);
    if (rri_stuck_break(((rri_service *)service)->references->calls, rref_arg_u64(c, 0), &e))
        rri_log(RRI_LOG_WARN, "a cycle of waiting methods is broken by failing its youngest call: %s", text);
    return RREF_OK;
}
