/* SPDX-License-Identifier: BSD-3-Clause */
#include "application.h"

#include <mpi.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 64, ROW = SIDE + 2, STEPS = 48, WORDS = 256, THREADS = 2, ROUNDS = 12, LONGEST = 40000 };

/* FNV-1a over the bits. */
static void add(uint64_t *sum, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    if (!*sum) *sum = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < bytes; i++) *sum = (*sum ^ at[i]) * UINT64_C(1099511628211);
}

/* ---- the heat equation on a torus, SIDE x SIDE cells a rank */

typedef struct heat {
    MPI_Comm grid;
    MPI_Datatype column;
    int north, south, west, east;
    double u[ROW][ROW], v[ROW][ROW];
} heat;

static heat *heat_begin(void)
{
    int size, rank, sizes[2] = { 0, 0 }, rings[2] = { 1, 1 };
    heat *h = calloc(1, sizeof *h);
    if (!h) abort();
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Dims_create(size, 2, sizes);
    MPI_Cart_create(MPI_COMM_WORLD, 2, sizes, rings, 0, &h->grid);
    MPI_Cart_shift(h->grid, 0, 1, &h->north, &h->south);
    MPI_Cart_shift(h->grid, 1, 1, &h->west, &h->east);
    MPI_Type_vector(SIDE, 1, ROW, MPI_DOUBLE, &h->column);
    MPI_Type_commit(&h->column);
    for (int i = 1; i <= SIDE; i++)
        for (int j = 1; j <= SIDE; j++) h->u[i][j] = 1.0 / (1 + i * j + 7 * rank);
    return h;
}

/* Rows are whole, columns a type of their own; the tag is the direction in which data goes. */
static void heat_exchange(heat *h)
{
    MPI_Request r[8];
    MPI_Irecv(&h->u[0][1], SIDE, MPI_DOUBLE, h->north, 0, h->grid, &r[0]);
    MPI_Irecv(&h->u[SIDE + 1][1], SIDE, MPI_DOUBLE, h->south, 1, h->grid, &r[1]);
    MPI_Irecv(&h->u[1][0], 1, h->column, h->west, 2, h->grid, &r[2]);
    MPI_Irecv(&h->u[1][SIDE + 1], 1, h->column, h->east, 3, h->grid, &r[3]);
    MPI_Isend(&h->u[SIDE][1], SIDE, MPI_DOUBLE, h->south, 0, h->grid, &r[4]);
    MPI_Isend(&h->u[1][1], SIDE, MPI_DOUBLE, h->north, 1, h->grid, &r[5]);
    MPI_Isend(&h->u[1][SIDE], 1, h->column, h->east, 2, h->grid, &r[6]);
    MPI_Isend(&h->u[1][1], 1, h->column, h->west, 3, h->grid, &r[7]);
    MPI_Waitall(8, r, MPI_STATUSES_IGNORE);
}

/* Each row is one thread's, so the numbers do not depend on how rows are dealt out. */
static void heat_step(heat *h)
{
#ifdef _OPENMP
#pragma omp parallel for num_threads(2) schedule(static)
#endif
    for (int i = 1; i <= SIDE; i++)
        for (int j = 1; j <= SIDE; j++)
            h->v[i][j] = 0.2 * (h->u[i][j] + h->u[i - 1][j] + h->u[i + 1][j] + h->u[i][j - 1] + h->u[i][j + 1]);
}

static double heat_change(const heat *h)
{
    double change = 0;
    for (int i = 1; i <= SIDE; i++)
        for (int j = 1; j <= SIDE; j++) change += (h->v[i][j] - h->u[i][j]) * (h->v[i][j] - h->u[i][j]);
    return change;
}

static uint64_t heat_run(void)
{
    heat *h = heat_begin();
    uint64_t sum = 0;
    for (int step = 0; step < STEPS; step++) {
        heat_exchange(h);
        heat_step(h);
        double own = heat_change(h), all;
        MPI_Request request;
        MPI_Iallreduce(&own, &all, 1, MPI_DOUBLE, MPI_SUM, h->grid, &request);
        memcpy(h->u, h->v, sizeof h->u);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
        add(&sum, &all, sizeof all);
    }
    add(&sum, h->u, sizeof h->u);
    MPI_Type_free(&h->column);
    MPI_Comm_free(&h->grid);
    free(h);
    return sum;
}

/* ---- collectives */

/* Not commutative: first a, then b, where x -> a * x + b. */
static void follow(void *in, void *inout, int *n, MPI_Datatype *type)
{
    const double *first = in;
    double *then = inout;
    (void)type;
    for (int i = 0; i + 1 < *n; i += 2) {
        then[i + 1] += then[i] * first[i + 1];
        then[i] *= first[i];
    }
}

static void scan(MPI_Comm comm, int rank, uint64_t *sum)
{
    MPI_Op op;
    double own[WORDS], all[WORDS];
    for (int i = 0; i < WORDS; i++) own[i] = 1.0 / (3 + i + rank);
    MPI_Op_create(follow, 0, &op);
    MPI_Scan(own, all, WORDS, MPI_DOUBLE, op, comm);
    add(sum, all, sizeof all);
    MPI_Allreduce(own, all, WORDS, MPI_DOUBLE, op, comm);
    add(sum, all, sizeof all);
    MPI_Op_free(&op);
}

/* Rank i sends j + 1 words to rank j. */
static void exchange(MPI_Comm comm, int rank, int size, uint64_t *sum)
{
    int *counts = calloc(4 * (size_t)size, sizeof *counts);
    double *data = calloc((size_t)size * ((size_t)size + 1) * 2, sizeof *data);
    if (!counts || !data) abort();
    int *n = counts, *begin = counts + size, *m = begin + size, *at = m + size;
    double *into = data + (size_t)size * ((size_t)size + 1);
    for (int i = 0, offset = 0; i < size; offset += ++i) {
        n[i] = i + 1, begin[i] = offset, m[i] = rank + 1, at[i] = i * (rank + 1);
        for (int k = 0; k <= i; k++) data[offset + k] = rank + 0.1 * k;
    }
    MPI_Alltoallv(data, n, begin, MPI_DOUBLE, into, m, at, MPI_DOUBLE, comm);
    add(sum, into, (size_t)size * ((size_t)rank + 1) * sizeof *into);
    free(data);
    free(counts);
}

static uint64_t collectives_run(void)
{
    MPI_Comm comm, half;
    int rank, size;
    uint64_t sum = 0, word, part;
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    MPI_Comm_split(comm, rank % 2, -rank, &half);
    for (int round = 0; round < ROUNDS; round++) {
        scan(comm, rank, &sum);
        exchange(comm, rank, size, &sum);
        word = sum;
        MPI_Bcast(&word, 1, MPI_UINT64_T, round % size, comm);
        MPI_Reduce(&word, &part, 1, MPI_UINT64_T, MPI_BXOR, 0, half);
        MPI_Bcast(&part, 1, MPI_UINT64_T, 0, half);
        add(&sum, &part, sizeof part);
        MPI_Barrier(half);
    }
    MPI_Comm_free(&half);
    MPI_Comm_free(&comm);
    return sum;
}

/* ---- one-sided */

static void window_use(MPI_Win win, int64_t *memory, int rank, int size, uint64_t *sum)
{
    int64_t own[WORDS], got[WORDS], one = 1, before;
    int next = (rank + 1) % size;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < WORDS; i++) own[i] = 1000 * rank + 10 * round + i % 7;
        MPI_Win_fence(0, win);
        MPI_Put(own, WORDS, MPI_INT64_T, next, 1, WORDS, MPI_INT64_T, win);
        MPI_Win_fence(0, win);
        add(sum, memory + 1, WORDS * sizeof *memory);
        MPI_Win_fence(0, win);
        MPI_Win_lock(MPI_LOCK_SHARED, next, 0, win);
        MPI_Get(got, WORDS, MPI_INT64_T, next, 1, WORDS, MPI_INT64_T, win);
        MPI_Win_unlock(next, win);
        add(sum, got, sizeof got);
        MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, win);
        MPI_Fetch_and_op(&one, &before, MPI_INT64_T, 0, 0, MPI_SUM, win);
        MPI_Win_unlock(0, win);
    }
    MPI_Win_fence(0, win);
    MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, win);
    MPI_Get(got, 1, MPI_INT64_T, 0, 0, 1, MPI_INT64_T, win);
    MPI_Win_unlock(0, win);
    add(sum, got, sizeof *got);
}

/* Some MPIs have no windows between nodes: all ranks learn that alike. */
static uint64_t window_run(void)
{
    MPI_Comm comm;
    MPI_Win win;
    int rank, size;
    int64_t *memory;
    uint64_t sum = 0;
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    if (MPI_Win_allocate((WORDS + 1) * sizeof *memory, sizeof *memory, MPI_INFO_NULL, comm, &memory, &win) == MPI_SUCCESS) {
        memset(memory, 0, (WORDS + 1) * sizeof *memory);
        window_use(win, memory, rank, size, &sum);
        MPI_Win_free(&win);
    }
    MPI_Comm_free(&comm);
    return sum;
}

/* ---- threads, each with a communicator and a neighbour of its own */

typedef struct sender {
    pthread_t thread;
    MPI_Comm comm;
    int number;
    uint64_t sum;
} sender;

static void *send_round(void *arg)
{
    sender *s = arg;
    int rank, size;
    double *out = calloc(2 * LONGEST, sizeof *out), *in = out + LONGEST;
    if (!out) abort();
    MPI_Comm_rank(s->comm, &rank);
    MPI_Comm_size(s->comm, &size);
    int to = (rank + 1 + s->number) % size, from = (rank + 2 * size - 1 - s->number) % size;
    for (int round = 0, n = 1; round < ROUNDS; round++, n = 3 * n % LONGEST) {
        for (int i = 0; i < n; i++) out[i] = 1.0 / (1 + i + rank + round + s->number);
        MPI_Sendrecv(out, n, MPI_DOUBLE, to, round, in, n, MPI_DOUBLE, from, round, s->comm, MPI_STATUS_IGNORE);
        add(&s->sum, in, (size_t)n * sizeof *in);
    }
    free(out);
    return NULL;
}

static void threads_begin(sender *s)
{
    for (int i = 0; i < THREADS; i++) {
        s[i] = (sender){ .number = i };
        MPI_Comm_dup(MPI_COMM_WORLD, &s[i].comm);
    }
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&s[i].thread, NULL, send_round, &s[i])) abort();
}

static uint64_t threads_end(sender *s)
{
    uint64_t sum = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(s[i].thread, NULL);
        add(&sum, &s[i].sum, sizeof s[i].sum);
    }
    for (int i = 0; i < THREADS; i++) MPI_Comm_free(&s[i].comm);
    return sum;
}

application_result application_run(int threaded)
{
    sender senders[THREADS];
    application_result result = { 0 };
    if (threaded) threads_begin(senders);
    result.heat = heat_run();
    result.collectives = collectives_run();
    result.window = window_run();
    if (threaded) result.threads = threads_end(senders);
    return result;
}
