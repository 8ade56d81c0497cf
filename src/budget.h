/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long to poll without news before a sleep. To poll pays where news comes meanwhile; where it does not, the core is worth
 * more to others, who may be the ones to send the news.
 */
#ifndef RRI_BUDGET_H
#define RRI_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum { RRI_SPIN_MIN_NS = 2000 };

typedef struct rri_budget {
    int64_t most, ns;
    unsigned vain;                  /* times in a row that it was spent for nothing */
    bool probes;                    /* nothing else tells that it should be longer */
} rri_budget;

/* Polling is in vain, and the next sleep will tell if that changes. */
static inline bool rri_budget_is_least(const rri_budget *b) { return b->vain && b->ns <= RRI_SPIN_MIN_NS && !b->probes; }

/* It was spent in vain; or news came while it lasted; or a sleep behind it took so long until a ring ended it. */
void rri_budget_spent(rri_budget *budget);
void rri_budget_well_spent(rri_budget *budget);
void rri_budget_slept(rri_budget *budget, int64_t ns);

#endif
