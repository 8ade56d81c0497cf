/* SPDX-License-Identifier: BSD-3-Clause */
/* Where references come from: each place of the program is kept once, and known by a number. */
#ifndef RRI_ORIGIN_H
#define RRI_ORIGIN_H

#include <stdatomic.h>

typedef struct rri_origin {
    const char *site;               /* where it was created, or NULL */
    const char *by_class, *by_method;   /* of the object whose method made or received it, or NULL */
} rri_origin;

enum { RRI_ORIGINS = 1 << 12 };

typedef struct rri_origins {
    _Atomic(rri_origin *) place[RRI_ORIGINS];   /* a: by their hash; the first is never used */
} rri_origins;

/* 0: none, or no room for it. What has a number keeps it. */
unsigned rri_origin_number(rri_origins *all, rri_origin origin);
void rri_origins_free(rri_origins *all);

#endif
