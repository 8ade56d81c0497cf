/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of tests. */
#ifndef PERF_TESTS_H
#define PERF_TESTS_H

#include "bench.h"

enum {
    TEST_CONTEXT = 1,           /* finds b->context open */
    TEST_EVERYBODY = 2,         /* runs on every rank, not only on the two */
    TEST_SINGLE = 4,            /* can run at MPI_THREAD_SINGLE */
    TEST_DRIVEN = 8,            /* no call needs a library thread: can run with RREF_PROGRESS=application */
    TEST_FRESH = 16             /* of contexts just opened */
};

typedef struct test {
    const char *name;
    void (*run)(bench *b);
    unsigned flags;
    const char *what;
} test;

enum { TESTS = 13 };
extern const test tests[TESTS];

void latency_test(bench *b);
void rate_test(bench *b);
void oneway_test(bench *b);
void bandwidth_test(bench *b);
void busy_test(bench *b);
void idle_test(bench *b);
void resolve_test(bench *b);
void create_test(bench *b);
void share_test(bench *b);
void startup_test(bench *b);
void memory_test(bench *b);
void interference_test(bench *b);
void threads_test(bench *b);

#endif
