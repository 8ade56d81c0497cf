/* SPDX-License-Identifier: BSD-3-Clause */
/* Where this process may run. The only place that knows hwloc. */
#ifndef RRI_PLACE_H
#define RRI_PLACE_H

#include <stddef.h>

/* Processing units the calling thread may use, from its affinity mask alone (fast); at least 1. */
int rri_place_width(void);

/* The same for people, by hwloc: "cores 0-1 of 2 (2 PUs, 1 package, 1 NUMA node)", cut to size. Takes some ms. */
void rri_place_format(char *buffer, size_t size);

/* The hwloc release built against, "2.9.0". */
const char *rri_place_version(void);

/* Processing units of the mask as 64-bit words for comparing ranks of one node: bit i of word i/64. Unused words are 0,
 * and units past the last word are left out. All words are 0 if the mask cannot be read. */
enum { RRI_PLACE_WORDS = 16 };
void rri_place_mask(unsigned long long words[RRI_PLACE_WORDS]);

#endif
