/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "objects.h"

enum { QUICKER = 50 };
static const double SETTLE_SECONDS = 0.3;       /* a context has put its threads in their places by then */

static void give_up(const bench *b)
{
    MPI_Abort(b->world, EXIT_FAILURE);
    exit(EXIT_FAILURE);
}

void bench_must(const bench *b, int status, const char *what)
{
    char prefix[128];
    if (status == RREF_OK) return;
    snprintf(prefix, sizeof prefix, "rref-perf: %s", what);
    rref_perror(NULL, prefix);
    give_up(b);
}

void bench_expect(const bench *b, bool right, const char *what)
{
    if (right) return;
    fprintf(stderr, "rref-perf: rank %d: wrong: %s\n", b->rank, what);
    give_up(b);
}

void *bench_memory(const bench *b, size_t bytes)
{
    void *memory = malloc(bytes);
    bench_expect(b, memory != NULL, "no memory");
    return memset(memory, 1, bytes);
}

size_t bench_calls(const bench *b, size_t calls)
{
    if (!b->quick) return calls;
    return calls > QUICKER ? calls / QUICKER : 1;
}

double bench_seconds(const bench *b, double seconds) { return b->quick ? seconds / QUICKER : seconds; }

uint64_t bench_resident(void)
{
    unsigned long long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    if (fscanf(file, "%llu %llu", &all, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

bool bench_one_node(const bench *b)
{
    MPI_Comm node;
    int size;
    MPI_Comm_split_type(b->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_size(node, &size);
    MPI_Comm_free(&node);
    return size == 2;
}

/* ---- functions of each rank, with the bench as their self --------------------------------------------------------- */

static int wake(rref_call *call, void *self)
{
    bench *b = self;
    (void)call;
    sem_post(&b->woken);
    return RREF_OK;
}

static int hold(rref_call *call, void *self)
{
    bench *b = self;
    atomic_store(&b->held, rref_defer(call).bits);
    return RREF_PENDING;
}

static int cpu(rref_call *call, void *self)
{
    (void)self;
    return rref_return_f64(call, clock_cpu());
}

static int beads(rref_call *call, void *self)
{
    const bead_count count = objects_beads();
    (void)self;
    return rref_return(call, count.made, count.alive);
}

static int resident(rref_call *call, void *self)
{
    (void)self;
    return rref_return_u64(call, bench_resident());
}

static const rref_method functions[] = {
    RREF_METHOD("wake", "", wake, RREF_INLINE),
    RREF_METHOD("hold", "", hold, RREF_INLINE),
    RREF_METHOD("cpu", "-> f64", cpu, RREF_INLINE),
    RREF_METHOD("resident", "-> u64", resident, RREF_INLINE),
    RREF_METHOD("beads", "-> u64, u64", beads, RREF_INLINE),
    RREF_METHODS_END
};

/* Where the application drives there are no threads. */
static bool settles(const bench *b, const char *progress)
{
    return !b->fresh && !b->quick && !b->single && !(progress && !strcmp(progress, "application"));
}

rref_context *bench_open(bench *b, MPI_Comm comm, const char *progress)
{
    rref_context *context;
    const rref_class *classes[] = { &echo_class, &bead_class, NULL };
    const rref_options options = { .classes = classes, .functions = functions, .functions_self = b,
                                   .progress = progress };
    bench_must(b, rref_init(comm, &options, &context), "rref_init");
    if (settles(b, progress)) clock_sleep(SETTLE_SECONDS);
    return context;
}

void bench_close(const bench *b, rref_context **context) { bench_must(b, rref_finalize(context), "rref_finalize"); }

void bench_sleep(bench *b)
{
    while (sem_wait(&b->woken) != 0 && errno == EINTR) continue;
}

void bench_wake(bench *b) { bench_must(b, rref_sync(rref_root(b->context, 1 - b->rank), "wake"), "wake"); }

void bench_meet(bench *b)
{
    bench_wake(b);
    bench_sleep(b);
}

void bench_hold(bench *b, rref_context *context) { bench_must(b, rref_sync(rref_root(context, 0), "hold"), "hold"); }

void bench_held(bench *b, rref_context *context)
{
    while (!atomic_load(&b->held)) {
        bench_must(b, rref_progress(context), "rref_progress");
        clock_sleep(20e-6);
    }
}

void bench_let_go(bench *b)
{
    bench_must(b, rref_complete((rref_deferred){ atomic_exchange(&b->held, 0) }), "the answer to hold");
}
