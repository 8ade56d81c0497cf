/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the rules by which the time to poll grows and shrinks. */
#include "budget.h"

enum { PROBE = 16 };

/* Halved. Where no ring ends the sleep that follows, which tells how long it was, all of
 * it is tried now and then: who sleeps makes the other side wait, too. */
void rri_budget_spent(rri_budget *b)
{
    b->ns = ++b->vain % PROBE == 0 && b->probes ? b->most : b->ns / 2;
    if (b->ns < RRI_SPIN_MIN_NS) b->ns = b->most < RRI_SPIN_MIN_NS ? b->most : RRI_SPIN_MIN_NS;
}

void rri_budget_well_spent(rri_budget *b)
{
    if (b->ns == b->most && !b->vain) return;
    b->ns = 4 * b->ns < b->most ? 4 * b->ns : b->most;
    b->vain = 0;
}

/* A sleep that was over at once had better been polled through: it has cost who rang more than that, and made what rings next
 * later, so that a short budget would be spent in vain for good. */
void rri_budget_slept(rri_budget *b, int64_t ns)
{
    if (ns >= 2 * b->most) return;
    b->ns = b->most;
    b->vain = 0;
}
