/* SPDX-License-Identifier: BSD-3-Clause */
/* Round trips of sync calls that give their argument back. */
#include "clock.h"
#include "objects.h"
#include "raw.h"
#include "row.h"
#include "tests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the owner's main does meanwhile. */
typedef enum owner { SLEEPS, WAITS, FINALIZES, CALLS } owner;

typedef struct kind {
    const char *name, *method;
    bool bound;
    owner owner;
    const char *progress;       /* of a context of its own, or NULL */
    bool sizes;                 /* also for more than 8 bytes */
    bool handed_over;           /* the raw side, too, answers from another thread */
} kind;

typedef struct latency {
    const kind *kind;
    char method[32];
    raw_bytes bytes;
    size_t n;
} latency;

/* ---- calls ------------------------------------------------------------------------------------------------------- */

typedef struct target {
    const latency *of;
    rref object;
    rref_method_ref method;
} target;

static int call_number(const target *t, uint64_t number, uint64_t *answer)
{
    if (t->of->kind->bound) return rref_sync(t->method, number, rref_out(answer));
    return rref_sync(t->object, t->of->method, number, rref_out(answer));
}

static void call(const bench *b, const target *t, uint64_t number)
{
    const raw_bytes *bytes = &t->of->bytes;
    uint64_t answer = ~number;
    size_t count = 0;
    int status;
    if (bytes->there == sizeof number) {
        status = call_number(t, number, &answer);
        bench_expect(b, status != RREF_OK || answer == number, "the answer of an echo");
    } else {
        rref_value data = rref_bytes(bytes->data, bytes->there), back = rref_out_bytes(bytes->result, bytes->back, &count);
        status = t->of->kind->bound ? rref_sync(t->method, data, back) : rref_sync(t->object, t->of->method, data, back);
        bench_expect(b, status != RREF_OK || count == bytes->there, "the bytes of an echo");
    }
    bench_must(b, status, t->of->method);
}

/* The figure comes from a loop without other clock reads, the single ones from a shorter one behind it. */
static double call_all(const bench *b, const target *t, sample *singles)
{
    const size_t n = t->of->n;
    for (size_t i = 0; i < n / 10 + 1; i++) call(b, t, i);
    const double start = clock_now();
    for (size_t i = 0; i < n; i++) call(b, t, i);
    const double end = clock_now();
    for (size_t i = 0; i < n / 4 + 1; i++) {
        const double each = clock_now();
        call(b, t, i);
        sample_add(singles, 1e6 * (clock_now() - each));
    }
    return 1e6 * (end - start) / (double)n;
}

static double call_object(const bench *b, rref_context *context, const latency *l, sample *singles)
{
    target t = { .of = l, .object = objects_echo(b, context, 1 - b->rank, 0) };
    t.method = rref_bind(t.object, l->method);
    memset(l->bytes.result, 0, l->bytes.back);
    const double figure = call_all(b, &t, singles);
    bench_expect(b, l->bytes.there == sizeof(uint64_t) || !memcmp(l->bytes.data, l->bytes.result, l->bytes.there),
                 "what an echo brought back");
    bench_must(b, rref_release(t.object), "release");
    return figure;
}

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

static double round_caller(bench *b, rref_context *context, const latency *l, sample *singles)
{
    if (l->kind->owner == WAITS) bench_held(b, context);
    const double figure = call_object(b, context, l, singles);
    switch (l->kind->owner) {
        case SLEEPS: bench_wake(b); break;
        case WAITS: bench_let_go(b); break;
        case CALLS: bench_meet(b); break;
        case FINALIZES: break;
    }
    return figure;
}

/* Its context's end, too, is for its owner to wait in. */
static void round_owner(bench *b, rref_context *context, const latency *l)
{
    sample none = { 0 };
    switch (l->kind->owner) {
        case SLEEPS: bench_sleep(b); break;
        case WAITS: bench_hold(b, context); break;
        case CALLS: call_object(b, context, l, &none); bench_meet(b); break;
        case FINALIZES: break;
    }
    sample_free(&none);
}

static double ours(bench *b, const void *arg, sample *singles)
{
    const latency *l = arg;
    const bool own = l->kind->progress != NULL;
    rref_context *context = own ? bench_open(b, b->comm, l->kind->progress) : b->context;
    double figure = 0;
    if (b->rank == 0) figure = round_caller(b, context, l, singles);
    else round_owner(b, context, l);
    if (own) bench_close(b, &context);
    return figure;
}

static double raw(bench *b, const void *arg, sample *singles)
{
    const latency *l = arg;
    return 1e6 * raw_exchange(b, &l->bytes, l->n, singles);
}

/* ---- the test ---------------------------------------------------------------------------------------------------- */

static const kind kinds[] = {
    { "inline-bound", "inline", true, SLEEPS, NULL, true, false },
    { "inline", "inline", false, SLEEPS, NULL, true, false },
    { "default", "default", false, SLEEPS, NULL, true, false },
    { "worker", "worker", false, SLEEPS, NULL, true, true },
    { "application", "default", false, WAITS, "application", true, false },
    { "inline-owner-waits", "inline", false, WAITS, NULL, false, false },
    { "default-owner-waits", "default", false, WAITS, NULL, false, false },
    { "inline-owner-finalize", "inline", false, FINALIZES, "adaptive", false, false },
    { "default-owner-finalize", "default", false, FINALIZES, "adaptive", false, false },
    { "default-mutual", "default", false, CALLS, NULL, false, false },
};
enum { KINDS = sizeof kinds / sizeof *kinds, BIGGEST = 1 << 20, TOTAL = 64 << 20, CALLS_MAX = 20000 };

static void measure(bench *b, latency *l, size_t bytes)
{
    const size_t most = TOTAL / bytes;
    l->bytes.there = l->bytes.back = bytes;
    l->bytes.handed_over = l->kind->handed_over;
    l->n = bench_calls(b, most < CALLS_MAX ? most : CALLS_MAX);
    snprintf(l->method, sizeof l->method, "%s%s", l->kind->method, bytes == 8 ? "" : "_bytes");
    row_measure(b, &(row){ "latency", l->kind->name, bytes, l->n, "us", 0 }, raw, ours, l);
}

void latency_test(bench *b)
{
    static const size_t sizes[] = { 8, 64, 1024, 4096, 65536, BIGGEST, 0 };
    latency l = { .bytes = { .data = bench_memory(b, BIGGEST), .result = bench_memory(b, BIGGEST) } };
    objects_fill(l.bytes.data, BIGGEST);
    for (l.kind = kinds; l.kind < kinds + KINDS; l.kind++)
        for (const size_t *bytes = sizes; *bytes && (l.kind->sizes || bytes == sizes); bytes++) measure(b, &l, *bytes);
    free(l.bytes.data);
    free(l.bytes.result);
}
