/* SPDX-License-Identifier: BSD-3-Clause */
/* Large arguments and results, one call at a time, all buffers warm. */
#include "clock.h"
#include "objects.h"
#include "raw.h"
#include "row.h"
#include "tests.h"

#include <stdlib.h>
#include <string.h>

typedef struct bandwidth bandwidth;
typedef int transfer(const bandwidth *w);

typedef int arrival(const bandwidth *w, bool *good);

typedef struct way {
    const char *name;
    transfer *move;
    bool there, back;
    arrival *look;              /* where nothing comes back: whether the owner gets what is sent */
} way;

struct bandwidth {
    const way *way;
    rref echo;
    raw_bytes bytes;
    size_t n;
};

static rref_value room(const bandwidth *w) { return rref_out_bytes(w->bytes.result, w->bytes.back, NULL); }

static int echo_sync(const bandwidth *w)
{
    return rref_sync(w->echo, "default_bytes", rref_bytes(w->bytes.data, w->bytes.there), room(w));
}

static int echo_async(const bandwidth *w)
{
    const rref_value data = rref_borrow_bytes(w->bytes.data, w->bytes.there);
    const rref_future future = rref_async(w->echo, "default_bytes", data, room(w));
    const int status = rref_wait(future, RREF_FOREVER);
    rref_future_release(future);
    return status;
}

static int in(const bandwidth *w) { return rref_sync(w->echo, "take", rref_bytes(w->bytes.data, w->bytes.there)); }

static int out(const bandwidth *w) { return rref_sync(w->echo, "give", room(w)); }

static int strided(const bandwidth *w) { return rref_sync(w->echo, "take_f64", rref_strided(w->bytes.data, 1, w->bytes.type)); }

static int in_arrives(const bandwidth *w, bool *good)
{
    return rref_sync(w->echo, "filled", rref_bytes(w->bytes.data, w->bytes.there), rref_out(good));
}

static int column_arrives(const bandwidth *w, bool *good)
{
    return rref_sync(w->echo, "counted", rref_strided(w->bytes.data, 1, w->bytes.type), rref_out(good));
}

static double gigabytes(const bandwidth *w, double seconds)
{
    return (double)(w->bytes.there + w->bytes.back) / seconds * 1e-9;
}

static double raw(bench *b, const void *arg, sample *singles)
{
    const bandwidth *w = arg;
    (void)singles;
    return gigabytes(w, raw_exchange(b, &w->bytes, w->n, NULL));
}

static double move_all(const bench *b, const bandwidth *w, size_t n)
{
    const double start = clock_now();
    for (size_t i = 0; i < n; i++) bench_must(b, w->way->move(w), w->way->name);
    return (clock_now() - start) / (double)n;
}

/* What has come back, or gone there, while no clock runs. Both ends are spoilt afterwards, for the next calls to mend. */
static void look(const bench *b, const bandwidth *w)
{
    bool good = false;
    if (w->way->back) {
        good = objects_filled(w->bytes.result, w->bytes.back);
        w->bytes.result[0] ^= 1;
        w->bytes.result[w->bytes.back - 1] ^= 1;
    } else {
        bench_must(b, w->way->look(w, &good), w->way->name);
    }
    bench_expect(b, good, "the bytes of a large argument or result");
}

static double ours(bench *b, const void *arg, sample *singles)
{
    bandwidth w = *(const bandwidth *)arg;
    (void)singles;
    w.echo = objects_echo(b, b->context, 1, w.bytes.there ? 0 : w.bytes.back);
    memset(w.bytes.result, 0, w.bytes.back);
    move_all(b, &w, w.n / 10 + 1);
    look(b, &w);
    const double seconds = move_all(b, &w, w.n);
    look(b, &w);
    bench_must(b, rref_release(w.echo), "release");
    return gigabytes(&w, seconds);
}

static const way ways[] = {
    { "echo-sync", echo_sync, true, true, NULL },
    { "echo-async", echo_async, true, true, NULL },
    { "in", in, true, false, in_arrives },
    { "out", out, false, true, NULL },
};
enum { WAYS = sizeof ways / sizeof *ways, BIGGEST = 64 << 20, TOTAL = 256 << 20, CALLS_MAX = 500 };

static void measure(bench *b, bandwidth *w, size_t bytes)
{
    const size_t most = TOTAL / bytes;
    w->bytes.there = w->way->there ? bytes : 0;
    w->bytes.back = w->way->back ? bytes : 0;
    w->n = bench_calls(b, most < CALLS_MAX ? most : CALLS_MAX);
    row_measure(b, &(row){ "bandwidth", w->way->name, bytes, w->n, "GB/s", ROW_OURS }, raw, ours, w);
}

/* A column of a square matrix. */
static void measure_column(bench *b)
{
    enum { SIDE = 4096 };
    static const way column = { "strided", strided, true, false, column_arrives };
    double *matrix = bench_memory(b, SIDE * SIDE * sizeof *matrix);
    for (size_t i = 0; i < SIDE; i++) matrix[i * SIDE] = (double)i;
    bandwidth w = { .way = &column, .bytes = { .data = (char *)matrix, .strided = true } };
    w.bytes.result = bench_memory(b, SIDE * sizeof(double));
    MPI_Type_vector(SIDE, 1, SIDE, MPI_DOUBLE, &w.bytes.type);
    MPI_Type_commit(&w.bytes.type);
    measure(b, &w, SIDE * sizeof(double));
    MPI_Type_free(&w.bytes.type);
    free(matrix);
    free(w.bytes.result);
}

void bandwidth_test(bench *b)
{
    static const size_t sizes[] = { 65536, 1 << 20, BIGGEST, 0 };
    bandwidth w = { .bytes = { .data = bench_memory(b, BIGGEST), .result = bench_memory(b, BIGGEST) } };
    objects_fill(w.bytes.data, BIGGEST);
    for (w.way = ways; w.way < ways + WAYS; w.way++)
        for (const size_t *bytes = sizes; *bytes; bytes++) measure(b, &w, *bytes);
    free(w.bytes.data);
    free(w.bytes.result);
    measure_column(b);
}
