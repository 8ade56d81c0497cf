/* SPDX-License-Identifier: BSD-3-Clause */
/* Resident bytes. Memory that was used once is used again, so each is measured one time, whatever the rounds. */
#include "clock.h"
#include "objects.h"
#include "row.h"
#include "tests.h"

#include <stdlib.h>

static void print(const bench *b, const char *name, size_t n, double bytes)
{
    bench once = { .rank = b->rank, .json = b->json, .rounds = 1 };
    sample figure = { 0 }, none = { 0 };
    sample_add(&figure, bytes);
    row_print(&once, &(row){ "memory", name, 0, n, "bytes", 0 }, &figure, &none, &none);
    sample_free(&figure);
}

/* ---- objects of rank 1, to each of which rank 0 holds a reference ------------------------------------------------- */

static double resident_there(const bench *b)
{
    uint64_t bytes = 0;
    bench_must(b, rref_sync(rref_root(b->context, 1), "resident", rref_out(&bytes)), "resident");
    return (double)bytes;
}

static void make(const bench *b, rref *bead, size_t n)
{
    for (size_t i = 0; i < n; i++) bead[i] = rref_create(b->context, 1, "bead");
    while (objects_beads_there(b, b->context).alive < n) continue;
    for (size_t i = 0; i < n; i++) {
        while (rref_confirmed(bead[i]) == RREF_ERR_PENDING) clock_sleep(1e-3);
        bench_must(b, rref_confirmed(bead[i]), "bead");
    }
}

static void drop(const bench *b, const rref *bead, size_t n)
{
    for (size_t i = 0; i < n; i++) bench_must(b, rref_release(bead[i]), "release");
}

/* Some first, so that what a context allocates once is there. */
static void measure_objects(bench *b, size_t n)
{
    rref *bead = bench_memory(b, n * sizeof *bead);
    const size_t some = n / 100 + 1;
    make(b, bead, some);
    drop(b, bead, some);
    while (objects_beads_there(b, b->context).alive > 0) continue;
    const double there = resident_there(b), here = (double)bench_resident();
    make(b, bead, n);
    print(b, "object", n, (resident_there(b) - there) / (double)n);
    print(b, "reference", n, ((double)bench_resident() - here) / (double)n);
    drop(b, bead, n);
    free(bead);
}

static void objects(bench *b)
{
    b->context = bench_open(b, b->comm, NULL);
    if (b->rank == 0) {
        measure_objects(b, bench_calls(b, 1000000));
        bench_wake(b);
    } else {
        bench_sleep(b);
    }
    bench_close(b, &b->context);
}

/* ---- contexts over all ranks, beside as many of one rank ----------------------------------------------------------- */

enum { CONTEXTS = 8 };

/* Bytes of a context; they stay open, or the next would be made of what they leave. */
static double grow(bench *b, MPI_Comm comm, rref_context *context[CONTEXTS])
{
    const double before = (double)bench_resident();
    for (int i = 0; i < CONTEXTS; i++) context[i] = bench_open(b, comm, NULL);
    return ((double)bench_resident() - before) / CONTEXTS;
}

static void peers(bench *b)
{
    rref_context *first, *alone[CONTEXTS], *together[CONTEXTS];
    int size;
    MPI_Comm_size(b->world, &size);
    first = bench_open(b, b->world, NULL);
    const double one = grow(b, MPI_COMM_SELF, alone), all = grow(b, b->world, together);
    for (int i = 0; i < CONTEXTS; i++) bench_close(b, &alone[i]);
    for (int i = 0; i < CONTEXTS; i++) bench_close(b, &together[i]);
    bench_close(b, &first);
    print(b, "peer", CONTEXTS, (all - one) / (size - 1));
}

void memory_test(bench *b)
{
    if (b->comm != MPI_COMM_NULL) objects(b);
    peers(b);
}
