/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rref-perf: speed next to raw MPI, measured in the same run in turns, since the machine's mood changes between runs.
 *
 *   mpirun -n 2 rref-perf [--json] [--runs N] [TEST...]        tests: latency bandwidth idle
 */
#include <rref.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { TAG = 7, CALLS = 2000, RUNS_MAX = 99, BIG = 64 << 20 };

static rref_context *context;
static MPI_Comm raw_comm;
static bool json;
static int runs = 5, rank;
static char *buffer, *result;

static int echo_u64(rref_call *call, void *self)
{
    (void)self;
    return rref_return_u64(call, rref_arg_u64(call, 0));
}

static int echo_bytes(rref_call *call, void *self)
{
    size_t n;
    const void *data = rref_arg_bytes(call, 0, &n);
    (void)self;
    return rref_return_borrowed(call, data, n);
}

static const rref_method functions[] = {
    RREF_METHOD("inline", "u64 -> u64", echo_u64, RREF_INLINE),
    RREF_METHOD("default", "u64 -> u64", echo_u64, 0),
    RREF_METHOD("echo", "bytes -> bytes", echo_bytes, 0),
    RREF_METHODS_END
};

static void check(int status, const char *what)
{
    if (status == RREF_OK) return;
    rref_perror(context, what);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* ---- raw MPI: rank 1 echoes until an empty message comes */

static double raw_echo(size_t bytes, int n)
{
    double start = MPI_Wtime();
    for (int i = 0; i < n; i++) {
        MPI_Send(buffer, (int)bytes, MPI_BYTE, 1, TAG, raw_comm);
        MPI_Recv(result, (int)bytes, MPI_BYTE, 1, TAG, raw_comm, MPI_STATUS_IGNORE);
    }
    double seconds = (MPI_Wtime() - start) / n;
    MPI_Send(buffer, 0, MPI_BYTE, 1, TAG, raw_comm);
    return seconds;
}

static void raw_serve(void)
{
    for (int n = 1; n > 0;) {
        MPI_Status status;
        MPI_Recv(buffer, BIG, MPI_BYTE, 0, TAG, raw_comm, &status);
        MPI_Get_count(&status, MPI_BYTE, &n);
        if (n > 0) MPI_Send(buffer, n, MPI_BYTE, 0, TAG, raw_comm);
    }
}

/* While rank 0 calls, rank 1's application is asleep: it looks for the word to go on a thousand times a second. */
static void sleep_through(void)
{
    MPI_Request request;
    int done = 0;
    MPI_Ibarrier(raw_comm, &request);
    while (!done) {
        MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        if (!done) nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
}

static double call_small(rref_method_ref method, const char *name)
{
    rref root = rref_root(context, 1);
    uint64_t out = 0;
    double start = MPI_Wtime();
    for (uint64_t i = 0; i < CALLS; i++)
        check(name ? rref_sync(root, name, i, rref_out(&out)) : rref_sync(method, i, rref_out(&out)), "call");
    return (MPI_Wtime() - start) / CALLS;
}

static double call_big(size_t bytes, int n)
{
    rref root = rref_root(context, 1);
    size_t count;
    double start = MPI_Wtime();
    for (int i = 0; i < n; i++)
        check(rref_sync(root, "echo", rref_bytes(buffer, bytes), rref_out_bytes(result, bytes, &count)), "echo");
    return (MPI_Wtime() - start) / n;
}

/* ---- rows */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x)
{
    qsort(x, (size_t)runs, sizeof *x, ascending);
    return x[runs / 2];
}

static void row(const char *test, const char *name, size_t bytes, const char *unit, double ours, double raw)
{
    if (json)
        printf("{\"test\":\"%s\",\"case\":\"%s\",\"bytes\":%zu,\"n\":%d,\"unit\":\"%s\",\"rref\":%.6g,\"raw\":%.6g,"
               "\"ratio\":%.4g}\n", test, name, bytes, runs, unit, ours, raw, ours / raw);
    else
        printf("%-10s %-13s %9zu B  %10.4g %-5s raw %10.4g  ratio %6.2f\n", test, name, bytes, ours, unit, raw, ours / raw);
}

static void latency_case(const char *name, bool bound, const char *label)
{
    double ours[RUNS_MAX], raw[RUNS_MAX];
    for (int i = 0; i < runs; i++) {
        if (rank == 0) {
            raw[i] = raw_echo(8, CALLS);
            ours[i] = call_small(rref_bind(rref_root(context, 1), name), bound ? NULL : name);
        } else if (rank == 1) {
            raw_serve();
        }
        sleep_through();
    }
    if (rank == 0) row("latency", label, 8, "us", median(ours) * 1e6, median(raw) * 1e6);
}

static void latency(void)
{
    latency_case("inline", true, "inline-bound");
    latency_case("inline", false, "inline");
    latency_case("default", false, "default");
}

static void bandwidth(void)
{
    const size_t sizes[] = { 65536, 1 << 20, BIG };
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        int n = sizes[s] == BIG ? 4 : 50;
        double ours[RUNS_MAX], raw[RUNS_MAX], bytes = 2.0 * (double)sizes[s];
        for (int i = 0; i < runs; i++) {
            if (rank == 0) {
                raw[i] = bytes / raw_echo(sizes[s], n) * 1e-9;
                ours[i] = bytes / call_big(sizes[s], n) * 1e-9;
            } else if (rank == 1) {
                raw_serve();
            }
            sleep_through();
        }
        if (rank == 0) row("bandwidth", "echo-sync", sizes[s], "GB/s", median(ours), median(raw));
    }
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* What the whole process uses while its main thread sleeps, the worst of all ranks; raw is one core. */
static void idle(void)
{
    double share[RUNS_MAX], worst = 0;
    for (int i = 0; i < runs; i++) {
        double before = cpu_seconds();
        nanosleep(&(struct timespec){ 1, 0 }, NULL);
        share[i] = cpu_seconds() - before;
        MPI_Barrier(raw_comm);
    }
    double mine = median(share);
    MPI_Reduce(&mine, &worst, 1, MPI_DOUBLE, MPI_MAX, 0, raw_comm);
    if (rank == 0) row("idle", "sleep", 0, "s/s", worst, 1);
}

static const struct test { const char *name; void (*run)(void); } tests[] = {
    { "latency", latency }, { "bandwidth", bandwidth }, { "idle", idle },
};
enum { TESTS = sizeof tests / sizeof tests[0] };

static int usage(void)
{
    if (rank == 0) fprintf(stderr, "usage: mpirun -n 2 rref-perf [--json] [--runs N] [latency] [bandwidth] [idle]\n");
    return 2;
}

/* Which tests are wanted; 0, or 2 after saying what is wrong. */
static int parse(int argc, char **argv, bool wanted[TESTS])
{
    bool any = false;
    for (int i = 1; i < argc; i++) {
        size_t t = 0;
        while (t < TESTS && strcmp(argv[i], tests[t].name)) t++;
        if (t < TESTS) wanted[t] = any = true;
        else if (!strcmp(argv[i], "--json")) json = true;
        else if (!strcmp(argv[i], "--runs") && i + 1 < argc) runs = atoi(argv[++i]);
        else return usage();
    }
    for (size_t t = 0; t < TESTS && !any; t++) wanted[t] = true;
    return runs >= 1 && runs <= RUNS_MAX ? 0 : usage();
}

static int measure(const bool wanted[TESTS])
{
    buffer = calloc(1, BIG);
    result = calloc(1, BIG);
    check(rref_init(MPI_COMM_WORLD, &(rref_options){ .functions = functions }, &context), "rref_init");
    for (size_t t = 0; buffer && result && t < TESTS; t++)
        if (wanted[t]) tests[t].run();
    check(rref_finalize(&context), "rref_finalize");
    free(buffer);
    free(result);
    return 0;
}

int main(int argc, char **argv)
{
    bool wanted[TESTS] = { false };
    int level, size;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_dup(MPI_COMM_WORLD, &raw_comm);
    MPI_Comm_rank(raw_comm, &rank);
    MPI_Comm_size(raw_comm, &size);
    int status = parse(argc, argv, wanted);
    if (!status && size < 2) status = usage();
    if (!status) status = measure(wanted);
    MPI_Comm_free(&raw_comm);
    MPI_Finalize();
    return status;
}
