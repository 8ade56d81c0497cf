/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service object: what the library itself answers on every rank. Its methods are inline, so that they are served by
 * whoever drives, whatever the application does; they are reached by ordinary calls through uncounted references.
 */
#ifndef RRI_SERVICE_H
#define RRI_SERVICE_H

#include "fence.h"
#include "group.h"
#include "name.h"
#include "reference.h"

typedef struct rri_service {
    rri_references *references;
    rri_classes classes;            /* its own class, apart from the application's */
    const rri_class *klass;
    _Atomic uint64_t *there;        /* a: reference to each rank's, 0 until asked for */
    rri_names names;
    rri_groups groups;
    rri_fence *fence;               /* i */
} rri_service;

int rri_service_open(rri_service *service, rri_references *references, rri_fence *fence, unsigned context);
void rri_service_close(rri_service *service);

/* The service object of a rank that is there. */
rref rri_service_of(rri_references *references, int rank);

#endif
