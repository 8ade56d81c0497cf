/* SPDX-License-Identifier: BSD-3-Clause */
#include "pipeline.h"

#include <stdlib.h>

#include "clock.h"

typedef struct pipeline {
    rref_future *future;        /* [out]: call i is in place i % out */
    uint64_t *room;
} pipeline;

static void finish(const bench *b, const pipeline *p, size_t place, uint64_t i)
{
    bench_must(b, rref_wait(p->future[place], RREF_FOREVER), "a call under way");
    bench_expect(b, p->room[place] == i, "the answer to one of many calls");
    bench_must(b, rref_future_release(p->future[place]), "release");
}

static double run(const bench *b, const pipeline *p, rref_method_ref method, size_t out, size_t n, pipeline_start *start)
{
    const double begin = clock_now();
    for (size_t i = 0; i < n + out; i++) {
        const size_t place = i % out;
        if (i >= out) finish(b, p, place, i - out);
        if (i < n) p->future[place] = start(method, i, &p->room[place]);
    }
    return (double)n / (clock_now() - begin);
}

double pipeline_run(const bench *b, rref_method_ref method, size_t out, size_t n, pipeline_start *start)
{
    pipeline p = { bench_memory(b, out * sizeof *p.future), bench_memory(b, out * sizeof *p.room) };
    run(b, &p, method, out, n / 10 + 1, start);
    const double rate = run(b, &p, method, out, n, start);
    free(p.future);
    free(p.room);
    return rate;
}

static rref_future start_echo(rref_method_ref method, uint64_t i, uint64_t *room)
{
    return rref_async(method, i, rref_out(room));
}

double pipeline_rate(const bench *b, rref echo, size_t out, size_t n)
{
    return pipeline_run(b, rref_bind(echo, "inline"), out, n, start_echo);
}
