/* SPDX-License-Identifier: BSD-3-Clause */
#include "service.h"

#include <sys/prctl.h>

#include "clock.h"
#include "objects.h"

void service_open(service *s, bench *b, service_means means, double rate, uint64_t units)
{
    *s = (service){ .bench = b, .means = means, .rate = rate, .units = units };
    if (means == SERVICE_BARE) s->bare = bare_open(b);
    if (means != SERVICE_LIBRARY) return;
    s->context = bench_open(b, b->comm, NULL);
    if (b->rank != 0) return;
    s->echo = objects_echo(b, s->context, 1, 0);
    s->method = rref_bind(s->echo, "compute");
}

void service_close(service *s)
{
    if (s->means == SERVICE_BARE) bare_close(s->bare);
    if (s->means != SERVICE_LIBRARY) return;
    if (s->bench->rank == 0) bench_must(s->bench, rref_release(s->echo), "release");
    bench_close(s->bench, &s->context);
}

static void call(const service *s)
{
    if (s->means == SERVICE_BARE) bare_call(s->bare, s->units);
    else bench_must(s->bench, rref_sync(s->method, s->units), "compute");
}

size_t service_call(const service *s, double end, atomic_bool *over, sample *times)
{
    size_t calls = 0;
    if (s->means == SERVICE_NONE) return 0;
    prctl(PR_SET_TIMERSLACK, 1);
    for (double next = clock_now(); next < end && !(over && atomic_load(over)); next += 1 / s->rate, calls++) {
        clock_sleep_until(next);
        const double start = clock_now();
        call(s);
        sample_add(times, 1e6 * (clock_now() - start));
    }
    prctl(PR_SET_TIMERSLACK, 0);
    return calls;
}
