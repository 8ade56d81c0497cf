/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first look at a type of another rank: that of rank 1's functions, which rank 0 does not have, in a context of its own each
 * time. Beside it one MPI_Get of the first part of a window, which is what the library reads, in a window of its own each time.
 */
#include "clock.h"
#include "row.h"
#include "tests.h"

#include <string.h>

enum { READ = 4096, TIMES = 20 };

static int nothing(rref_call *call, void *self)
{
    (void)call, (void)self;
    return RREF_OK;
}

static const rref_method there[] = { RREF_METHOD("first", "u64, f64[] -> f64", nothing, 0),
                                     RREF_METHOD("second", "str -> u64", nothing, RREF_INLINE), RREF_METHODS_END };

static double look(const bench *b, rref_context *context)
{
    const char *name = "";
    const double start = clock_now();
    bench_must(b, rref_class_of(rref_root(context, 1), &name, RREF_FOREVER), "the class of an object");
    const double end = clock_now();
    bench_expect(b, strcmp(name, "rank") == 0, "the name of a class");
    return 1e6 * (end - start);
}

static double ours(bench *b, const void *arg, sample *singles)
{
    double sum = 0;
    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        rref_context *context;
        bench_must(b, rref_init(b->comm, &(rref_options){ .functions = b->rank ? there : NULL }, &context), "rref_init");
        const double each = b->rank ? 0 : look(b, context);
        if (b->rank == 0) sample_add(singles, each);
        sum += each;
        bench_close(b, &context);
    }
    return sum / TIMES;
}

static double get(const bench *b, MPI_Win window)
{
    char read[READ];
    const double start = clock_now();
    if (b->rank == 0) MPI_Get(read, READ, MPI_BYTE, 1, 0, READ, MPI_BYTE, window);
    MPI_Win_flush_all(window);
    return 1e6 * (clock_now() - start);
}

static double raw(bench *b, const void *arg, sample *singles)
{
    double sum = 0;
    (void)arg, (void)singles;
    for (int i = 0; i < TIMES; i++) {
        void *base;
        MPI_Win window;
        MPI_Win_allocate(READ, 1, MPI_INFO_NULL, b->comm, &base, &window);
        memset(base, 1, READ);
        MPI_Win_lock_all(0, window);
        MPI_Barrier(b->comm);
        sum += get(b, window);
        MPI_Barrier(b->comm);
        MPI_Win_unlock_all(window);
        MPI_Win_free(&window);
    }
    return sum / TIMES;
}

/* Between nodes there may be no window. */
void resolve_test(bench *b)
{
    const row r = { "resolve", "resolve", READ, TIMES, "us", 0 };
    row_measure(b, &r, bench_one_node(b) ? raw : NULL, ours, NULL);
}
