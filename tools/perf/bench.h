/* SPDX-License-Identifier: BSD-3-Clause */
/* The bench: two ranks, of which rank 0 calls, counts and prints, and rank 1 answers; and how their mains meet. */
#ifndef PERF_BENCH_H
#define PERF_BENCH_H

#include <rref.h>
#include <semaphore.h>
#include <stdatomic.h>

typedef struct bench {
    MPI_Comm world;             /* every rank */
    MPI_Comm comm;              /* the two; the library and raw MPI run on it. MPI_COMM_NULL on the others */
    rref_context *context;      /* over comm, while a test with TEST_CONTEXT runs; else NULL */
    int rank;                   /* in world */
    int rounds;
    bool json, quick, single;   /* as the options say */
    bool fresh;                 /* contexts are used at once, before their threads are in their places */
    sem_t woken;                /* what bench_sleep waits for */
    _Atomic uint64_t held;      /* the other's call of "hold", or 0 */
} bench;

/* End the job, with the library's error, unless status is RREF_OK; or if a result is not what it should be. */
void bench_must(const bench *b, int status, const char *what);
void bench_expect(const bench *b, bool right, const char *what);

/* Memory that is there, and was touched. */
void *bench_memory(const bench *b, size_t bytes);

/* Bytes of this process that are in memory. */
uint64_t bench_resident(void);

/* Calls or seconds of a round: fewer with --quick. */
size_t bench_calls(const bench *b, size_t calls);
double bench_seconds(const bench *b, double seconds);

/* Whether the two are on one node. Collective over comm. */
bool bench_one_node(const bench *b);

/* A context with the classes of objects.h and the functions below, its threads in their places unless it is to be fresh.
 * Collective. progress as in rref_options. */
rref_context *bench_open(bench *b, MPI_Comm comm, const char *progress);
void bench_close(const bench *b, rref_context **context);

/* A main asleep outside of the library and MPI, until the other one wakes it by a call; meet: both do both. */
void bench_sleep(bench *b);
void bench_wake(bench *b);
void bench_meet(bench *b);

/* Rank 1's main held in a future wait (hold), from when rank 0 knows it (held) until it is let go. */
void bench_hold(bench *b, rref_context *context);
void bench_held(bench *b, rref_context *context);
void bench_let_go(bench *b);

#endif
