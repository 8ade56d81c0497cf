/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rref_init and rref_finalize, beside what they are made of: communicators and shared memory. The topology of the machine is no
 * part of it: a thread of the library reads it later, and no context here lives that long.
 */
#include "clock.h"
#include "row.h"
#include "tests.h"

static double raw(bench *b, const void *arg, sample *singles)
{
    enum { WINDOW = 4096 };
    MPI_Comm all, node;
    MPI_Win window;
    void *base;
    const double start = clock_now();
    (void)arg;
    (void)singles;
    MPI_Comm_dup(b->comm, &all);
    MPI_Comm_split_type(all, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Win_allocate_shared(WINDOW, 1, MPI_INFO_NULL, node, &base, &window);
    MPI_Win_free(&window);
    MPI_Comm_free(&node);
    MPI_Comm_free(&all);
    return 1e3 * (clock_now() - start);
}

static double ours(bench *b, const void *arg, sample *singles)
{
    const double start = clock_now();
    (void)arg;
    (void)singles;
    rref_context *context = bench_open(b, b->comm, NULL);
    bench_close(b, &context);
    return 1e3 * (clock_now() - start);
}

void startup_test(bench *b) { row_measure(b, &(row){ "startup", "startup", 0, 1, "ms", 0 }, raw, ours, NULL); }
