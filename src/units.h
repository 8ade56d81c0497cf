/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of processing units, or of cores, by number. What lies past the last one is left out. */
#ifndef RRI_UNITS_H
#define RRI_UNITS_H

#include <stdbool.h>
#include <stddef.h>

enum { RRI_UNITS = 1024, RRI_UNITS_WORDS = RRI_UNITS / 64 };

typedef struct rri_units { unsigned long long word[RRI_UNITS_WORDS]; } rri_units;

static inline bool rri_units_has(const rri_units *set, int unit)
{
    return unit >= 0 && unit < RRI_UNITS && (set->word[unit / 64] >> (unit % 64) & 1) != 0;
}

static inline void rri_units_add(rri_units *set, int unit)
{
    if (unit >= 0 && unit < RRI_UNITS) set->word[unit / 64] |= 1ULL << (unit % 64);
}

int rri_units_count(const rri_units *set);
/* The first one from `from` on, or -1. */
int rri_units_next(const rri_units *set, int from);
bool rri_units_meet(const rri_units *a, const rri_units *b);
/* Those of a that are not in b. */
rri_units rri_units_without(const rri_units *a, const rri_units *b);

/* "2-3,7": numbers and ranges that rise, below RRI_UNITS. False if it is not that; the set is untouched then. */
bool rri_units_parse(rri_units *set, const char *text);
/* The same way back, cut to size. */
void rri_units_format(const rri_units *set, char *buffer, size_t size);

#endif
