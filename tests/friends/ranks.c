/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranks to which the rest of the system happens: `ranks SCENARIO`, on 2 ranks or more.
 *
 *   system    system() and fork() in the midst of calls; in the child the library refuses
 *   signals   a signal each half millisecond, with and without SA_RESTART, from before the start until after the end
 *   forgotten MPI_Finalize without rref_finalize
 *   returns   rank 1 returns from main without either
 *   exits     a handler of rank 1 calls exit
 *   leaves    rank 1's main thread ends by pthread_exit: the rank goes on serving, the others' end has its limit
 *   memory    rank 1 has little address space left: its calls fail with NO_MEMORY, and work again with smaller ones
 *   threads   rank 1 gets no further threads: methods that would have to wait fail, those that can go on do
 *   files     no descriptors at the start: all ranks are told, and start when there are some again
 *   start     the start alone; says how it went
 *
 * What was expected is said in one line of rank 0, "as expected"; what was not, by whoever saw it.
 */
#include <errno.h>
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LARGE = 1 << 20, ROUNDS = 300, WAITERS = 20 };

static rref_context *ctx;
static int rank, ranks, bad;
static atomic_int signals_seen;
static rref_future gate;

#define EXPECT(condition) ((condition) ? (void)0 : complain(#condition, __LINE__))

static void complain(const char *what, int line)
{
    rref_error e;
    bad++;
    fprintf(stderr, "rank %d, line %d: not so: %s", rank, line, what);
    if (!rref_last_error(ctx, &e)) fprintf(stderr, " (last error %d on rank %d: %s)", e.code, e.rank, e.text);
    fputc('\n', stderr);
}

/* ---- what is called */

static int add(rref_call *c, void *self) { return (void)self, rref_return_i64(c, rref_arg_i64(c, 0) + rref_arg_i64(c, 1)); }

static int take(rref_call *c, void *self)
{
    size_t n;
    (void)self;
    rref_arg_bytes(c, 0, &n);
    return rref_return_i64(c, (int64_t)n);
}

static int leave(rref_call *c, void *self) { (void)c, (void)self, exit(3); }
static int wait_gate(rref_call *c, void *self) { return (void)c, (void)self, rref_wait(gate, RREF_FOREVER); }
static int open_gate(rref_call *c, void *self) { return (void)c, (void)self, rref_set(gate); }

static const rref_method functions[] = {
    RREF_METHOD("add", "i64, i64 -> i64", add, 0), RREF_METHOD("take", "bytes -> i64", take, 0),
    RREF_METHOD("leave", "", leave, 0), RREF_METHOD("wait", "", wait_gate, RREF_WORKER),
    RREF_METHOD("open", "", open_gate, RREF_INLINE), RREF_METHODS_END
};

static int start(void) { return rref_init(MPI_COMM_WORLD, &(rref_options){ .functions = functions }, &ctx); }

static rref at(int to) { return rref_root(ctx, to % ranks); }

static bool adds(int to)
{
    int64_t sum = 0;
    return rref_sync(at(to), "add", 40, 2, rref_out(&sum)) == RREF_OK && sum == 42;
}

static int take_large(int to, size_t bytes)
{
    int64_t n = -1;
    char *data = calloc(1, bytes);
    int rc = data ? rref_sync(at(to), "take", rref_array(data, bytes), rref_out(&n)) : RREF_ERR_NO_MEMORY;
    free(data);
    return rc ? rc : n == (int64_t)bytes ? RREF_OK : RREF_ERR_USER;
}

static void some_traffic(int rounds)
{
    rref_future f[8];
    for (int i = 0; i < rounds; i++) {
        for (int k = 0; k < 8; k++) f[k] = rref_async(at(rank + k), "add", i, k);
        EXPECT(rref_wait_all(f, 8, 60) == RREF_OK);
        for (int k = 0; k < 8; k++) rref_future_release(f[k]);
        if (i % 50 == 0) EXPECT(take_large(rank + 1, LARGE) == RREF_OK);
        if (i % 50 == 0) EXPECT(rref_fence(ctx, 60) == RREF_OK);
    }
}

static void end(void) { EXPECT(rref_finalize(&ctx) == RREF_OK); }

/* ---- scenarios */

/* What the child sees: 0 if the library refuses everything. */
static int in_child(void)
{
    int64_t sum;
    if (rref_sync(at(0), "add", 1, 2, rref_out(&sum)) != RREF_ERR_HANDLE && rref_last_error(ctx, &(rref_error){ 0 })) return 1;
    return rref_finalize(&ctx) == RREF_ERR_FORKED && rref_fence(ctx, 1) == RREF_ERR_FORKED ? 0 : 2;
}

static void run_system(void)
{
    int status = -1;
    EXPECT(start() == RREF_OK);
    for (int i = 0; i < 5; i++) {
        rref_future f = rref_async(at(rank + 1), "add", 1, i);
        EXPECT(system("true") == 0);
        pid_t child = fork();
        if (child == 0) _exit(in_child());
        EXPECT(child > 0 && waitpid(child, &status, 0) == child && status == 0);
        some_traffic(10);
        EXPECT(rref_wait(f, 60) == RREF_OK);
        rref_future_release(f);
    }
    end();
}

static void note_signal(int number) { (void)number, atomic_fetch_add(&signals_seen, 1); }

static timer_t ring_all_the_time(int flags)
{
    timer_t timer;
    struct sigaction action = { .sa_handler = note_signal, .sa_flags = flags };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    const struct itimerspec often = { { 0, 500000 }, { 0, 500000 } };
    sigaction(SIGUSR1, &action, NULL);
    EXPECT(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &often, NULL) == 0);
    return timer;
}

static void run_signals(void)
{
    for (int restart = 0; restart < 2; restart++) {
        timer_t timer = ring_all_the_time(restart ? SA_RESTART : 0);
        int64_t sum = -1;
        EXPECT(start() == RREF_OK);
        some_traffic(ROUNDS);
        EXPECT(rref_invoke(rref_rpc_sync(at(rank + 1), 30.0), "add", 1, 2, rref_out(&sum)) == RREF_OK && sum == 3);
        end();
        EXPECT(atomic_load(&signals_seen) > 10 * (restart + 1));
        timer_delete(timer);
    }
}

static void run_forgotten(void)
{
    EXPECT(start() == RREF_OK);
    some_traffic(10);
}

static void run_returns(void)
{
    EXPECT(start() == RREF_OK);
    some_traffic(10);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 1) exit(0);
    rref_wait(rref_async(at(1), "wait"), 60);
}

static void run_exits(void)
{
    EXPECT(start() == RREF_OK);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) rref_sync(at(1), "leave");
    rref_wait(rref_promise(ctx, ""), 60);
}

static void run_leaves(void)
{
    setenv("RREF_FINALIZE_TIMEOUT", "0.5", 1);
    EXPECT(start() == RREF_OK);
    some_traffic(10);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 1) pthread_exit(NULL);
    EXPECT(adds(1) && adds(1));
    EXPECT(rref_finalize(&ctx) == RREF_ERR_STALLED);
    if (rank > 0) return;
    puts(bad ? "not as expected" : "as expected");
    fflush(stdout);
    MPI_Abort(MPI_COMM_WORLD, bad > 0);      /* rank 1 will never come to MPI_Finalize */
}

static size_t address_space(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%zu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * 4096;
}

static void limit(int which, rlim_t value)
{
    struct rlimit r;
    getrlimit((__rlimit_resource_t)which, &r);
    r.rlim_cur = value < r.rlim_max ? value : r.rlim_max;
    EXPECT(setrlimit((__rlimit_resource_t)which, &r) == 0);
}

static void run_memory(void)
{
    EXPECT(start() == RREF_OK);
    some_traffic(10);
    EXPECT(rref_fence(ctx, 60) == RREF_OK);
    if (rank == 1) limit(RLIMIT_AS, address_space() + (64 << 20));
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < 3 && rank == 0; i++) {
        rref_error e = { .rank = -1 };
        int rc = take_large(1, (size_t)256 << 20);
        EXPECT(rc == RREF_ERR_NO_MEMORY && !rref_last_error(ctx, &e) && e.rank == 1 && e.code == rc);
        EXPECT(adds(1) && take_large(1, LARGE) == RREF_OK);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 1) limit(RLIMIT_AS, RLIM_INFINITY);
    if (rank == 0) EXPECT(take_large(1, (size_t)256 << 20) == RREF_OK);
    end();
}

/* The limit binds nobody who is root. */
static void run_threads(void)
{
    EXPECT(start() == RREF_OK);
    gate = rref_promise(ctx, "");
    if (rank == 1 && geteuid() == 0) EXPECT(setresuid(65534, 65534, 65534) == 0);
    if (rank == 1) limit(RLIMIT_NPROC, 1);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) {
        rref_future f[WAITERS];
        int waited = 0, refused = 0;
        for (int i = 0; i < WAITERS; i++) f[i] = rref_async(at(1), "wait");
        EXPECT(adds(1) || true);            /* queued behind those who wait, or not: it is not lost */
        EXPECT(rref_sync(at(1), "open") == RREF_OK);
        for (int i = 0; i < WAITERS; i++) {
            int rc = rref_wait(f[i], 60);
            waited += rc == RREF_OK;
            refused += rc == RREF_ERR_TOO_DEEP;
            rref_future_release(f[i]);
        }
        EXPECT(waited + refused == WAITERS);
        EXPECT(adds(1));
    }
    MPI_Barrier(MPI_COMM_WORLD);
    rref_set(gate);
    rref_future_release(gate);
    end();
}

static void run_files(void)
{
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    limit(RLIMIT_NOFILE, 4);
    int rc = start();
    EXPECT(rc == RREF_ERR_SYSTEM || rc == RREF_ERR_MPI || rc == RREF_OK);
    limit(RLIMIT_NOFILE, r.rlim_cur);
    int same = rc;
    MPI_Bcast(&same, 1, MPI_INT, 0, MPI_COMM_WORLD);
    EXPECT((rc == RREF_OK) == (same == RREF_OK));
    if (rc) EXPECT(start() == RREF_OK);
    some_traffic(10);
    end();
}

static void run_start(void)
{
    rref_error e = { .text = "" };
    int rc = start();
    if (rc) rref_last_error(NULL, &e);
    if (rank == 0) printf("start: %s %s\n", rref_error_name(rc), e.text);
    if (rc == RREF_OK) end();
}

static const struct { const char *name; void (*run)(void); bool finalizes; } scenarios[] = {
    { "system", run_system, true }, { "signals", run_signals, true }, { "forgotten", run_forgotten, true },
    { "returns", run_returns, false }, { "exits", run_exits, false }, { "leaves", run_leaves, false },
    { "memory", run_memory, true }, { "threads", run_threads, true }, { "files", run_files, true }, { "start", run_start, true },
};

int main(int argc, char **argv)
{
    int level;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    for (size_t i = 0; argc > 1 && i < sizeof scenarios / sizeof *scenarios; i++) {
        if (strcmp(argv[1], scenarios[i].name)) continue;
        scenarios[i].run();
        MPI_Allreduce(MPI_IN_PLACE, &bad, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
        if (rank == 0) puts(bad ? "not as expected" : "as expected");
        fflush(stdout);
        MPI_Finalize();
        return bad > 0;
    }
    fprintf(stderr, "ranks: no such scenario\n");
    return 2;
}
