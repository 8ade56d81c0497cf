/* SPDX-License-Identifier: BSD-3-Clause */
/* A service: rank 0 calls rank 1 at a steady rate, and rank 1 works a little for each call, by one means or another. */
#ifndef PERF_SERVICE_H
#define PERF_SERVICE_H

#include "bare.h"
#include "bench.h"
#include "sample.h"

typedef enum service_means { SERVICE_NONE, SERVICE_BARE, SERVICE_LIBRARY } service_means;

typedef struct service {
    bench *bench;
    service_means means;
    double rate;                /* calls a second */
    uint64_t units;             /* of work for each */
    bare *bare;
    rref_context *context;
    rref echo;
    rref_method_ref method;
} service;

/* Collective over the two. The library is started for it, and ended with it: no other means has it beside. */
void service_open(service *s, bench *b, service_means means, double rate, uint64_t units);
void service_close(service *s);

/* Rank 0: call until a moment of clock.h, or until *over (unless NULL). Late calls are made up for. The us of each are
 * added to times. Gives the number of calls. */
size_t service_call(const service *s, double end, atomic_bool *over, sample *times);

#endif
