/* SPDX-License-Identifier: BSD-3-Clause */
/* Bulk data on its way, as the link knows it; what others do with it is in link.h. */
#ifndef RRI_BULK_H
#define RRI_BULK_H

#include "link.h"

RRI_ROLE(rri_bulk_list);        /* the lock of a bulk */

typedef struct rri_bulk {
    MPI_Comm comm;                          /* i */
    const atomic_bool *forsaken;            /* i: the link's, by rank */
    atomic_uint *busy;                      /* i: the link's; data on its way counts there, too */
    atomic_uint movers;                     /* a: data on its way */
    rri_lock lock;
    rri_moving *moving RRI_OWNED(rri_bulk_list);    /* newly started; the driver moves them to `moved` */
    rri_moving *moved RRI_OWNED(rri_driver);
} rri_bulk;

rri_bulk *rri_link_bulk(rri_link *link);
/* End what is over, and say how many were. */
unsigned rri_bulk_advance(rri_bulk *bulk) RRI_NEEDS(rri_driver);

/* MPI has refused something: its text, through rri_fail. */
int rri_link_failed(int rc, const char *what);
/* Take a receive back. False: it has met its message, and has not ended for now; if its sender is lost it never will. */
bool rri_link_take_back(MPI_Request *request);

#endif
