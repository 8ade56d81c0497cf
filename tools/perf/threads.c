/* SPDX-License-Identifier: BSD-3-Clause */
/* Sync calls from several threads of rank 0 at once, all told; beside those of one thread. */
#include "clock.h"
#include "objects.h"
#include "row.h"
#include "tests.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS_MAX = 4 };

typedef struct team {
    bench *bench;
    int threads;
    size_t n;                   /* calls of all of them */
    rref echo;
} team;

static void *call(void *arg)
{
    const team *t = arg;
    const rref_method_ref method = rref_bind(t->echo, "inline");
    for (uint64_t i = 0, answer; i < t->n / (size_t)t->threads; i++) {
        bench_must(t->bench, rref_sync(method, i, rref_out(&answer)), "a call of a thread");
        bench_expect(t->bench, answer == i, "the answer to a call of a thread");
    }
    return NULL;
}

static double run(team *t)
{
    pthread_t thread[THREADS_MAX];
    const double start = clock_now();
    for (int i = 0; i < t->threads; i++)
        bench_expect(t->bench, pthread_create(&thread[i], NULL, call, t) == 0, "no thread to call from");
    for (int i = 0; i < t->threads; i++) pthread_join(thread[i], NULL);
    return (double)(t->n / (size_t)t->threads * (size_t)t->threads) / (clock_now() - start);
}

static double ours(bench *b, const void *arg, sample *singles)
{
    team t = *(const team *)arg;
    (void)singles;
    t.echo = objects_echo(b, b->context, 1, 0);
    const double rate = run(&t);
    bench_must(b, rref_release(t.echo), "release");
    return rate;
}

static double one(bench *b, const void *arg, sample *singles)
{
    team alone = *(const team *)arg;
    alone.threads = 1;
    return ours(b, &alone, singles);
}

void threads_test(bench *b)
{
    for (team t = { b, 1, bench_calls(b, 40000), { 0 } }; t.threads <= THREADS_MAX; t.threads *= 2) {
        char name[16];
        snprintf(name, sizeof name, "%d", t.threads);
        row_measure(b, &(row){ "threads", name, 8, t.n, "calls/s", ROW_OURS | ROW_RAW }, one, ours, &t);
    }
}
