/* SPDX-License-Identifier: BSD-3-Clause */
/* What a rank costs that has nothing to do, by what its main does; and how soon it answers after that. */
#include "bare.h"
#include "clock.h"
#include "objects.h"
#include "row.h"
#include "tests.h"

/* ---- CPU seconds a second: of both ranks the worse, by the clocks of their processes ------------------------------- */

typedef struct meter {
    double when, here, there;
} meter;

static meter read_meter(const bench *b)
{
    meter m = { .here = clock_cpu() };
    bench_must(b, rref_sync(rref_root(b->context, 1), "cpu", rref_out(&m.there)), "cpu");
    m.when = clock_now();
    return m;
}

static double sleep_and_read(const bench *b, double seconds)
{
    const meter before = read_meter(b);
    clock_sleep(seconds);
    const meter after = read_meter(b);
    const double here = after.here - before.here, there = after.there - before.there;
    return (here > there ? here : there) / (after.when - before.when);
}

static double sleeping(bench *b, const void *arg, sample *singles)
{
    (void)singles;
    return sleep_and_read(b, *(const double *)arg);
}

static double waiting(bench *b, const void *arg, sample *singles)
{
    double used = 0;
    (void)singles;
    if (b->rank == 0) {
        bench_held(b, b->context);
        used = sleep_and_read(b, *(const double *)arg);
        bench_let_go(b);
    } else {
        bench_hold(b, b->context);
    }
    return used;
}

static double finalizing(bench *b, const void *arg, sample *singles)
{
    double used = 0;
    (void)singles;
    rref_context *context = bench_open(b, b->comm, NULL);
    if (b->rank == 0) used = sleep_and_read(b, *(const double *)arg);
    bench_close(b, &context);
    return used;
}

/* A rank that waits for a message. */
static double receiving(bench *b, const void *arg, sample *singles)
{
    double used = 0;
    (void)singles;
    if (b->rank == 0) {
        clock_sleep(*(const double *)arg / 10);
        MPI_Send(NULL, 0, MPI_BYTE, 1, 0, b->comm);
        MPI_Recv(&used, 1, MPI_DOUBLE, 1, 0, b->comm, MPI_STATUS_IGNORE);
    } else {
        const double start = clock_now(), before = clock_cpu();
        MPI_Recv(NULL, 0, MPI_BYTE, 0, 0, b->comm, MPI_STATUS_IGNORE);
        used = (clock_cpu() - before) / (clock_now() - start);
        MPI_Send(&used, 1, MPI_DOUBLE, 0, 0, b->comm);
    }
    return used;
}

/* ---- the first call ------------------------------------------------------------------------------------------------ */

typedef struct first {
    double pause;
    bare *bare;
} first;

static double first_bare(bench *b, const void *arg, sample *singles)
{
    const first *f = arg;
    (void)singles;
    (void)b;
    clock_sleep(f->pause);
    const double start = clock_now();
    bare_call(f->bare, 0);
    return 1e6 * (clock_now() - start);
}

static double first_call(bench *b, const void *arg, sample *singles)
{
    const first *f = arg;
    uint64_t answer;
    const rref echo = objects_echo(b, b->context, 1, 0);
    const rref_method_ref method = rref_bind(echo, "default");
    (void)singles;
    clock_sleep(f->pause);
    const double start = clock_now();
    bench_must(b, rref_sync(method, 1, rref_out(&answer)), "the first call");
    const double us = 1e6 * (clock_now() - start);
    bench_must(b, rref_release(echo), "release");
    return us;
}

/* Between nodes no thread can be woken by shared memory, so there is nothing to compare with. */
static void first_calls(bench *b, double pause)
{
    const row r = { "idle", "first-call", 8, 1, "us", ROW_OURS | ROW_RAW };
    first f = { .pause = pause };
    if (bench_one_node(b)) {
        f.bare = bare_open(b);
        row_measure(b, &r, first_bare, first_call, &f);
        bare_close(f.bare);
    } else {
        row_measure(b, &r, NULL, first_call, &f);
    }
}

void idle_test(bench *b)
{
    const double pause = bench_seconds(b, 1);
    row_measure(b, &(row){ "idle", "sleep", 0, 1, "s/s", ROW_OURS }, receiving, sleeping, &pause);
    row_measure(b, &(row){ "idle", "future", 0, 1, "s/s", 0 }, receiving, waiting, &pause);
    row_measure(b, &(row){ "idle", "finalize", 0, 1, "s/s", 0 }, receiving, finalizing, &pause);
    first_calls(b, pause);
}
