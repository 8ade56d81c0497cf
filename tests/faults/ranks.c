/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranks that call each other while something happens to one of them: `ranks SCENARIO [VICTIM]`, on 3 ranks or more.
 *
 *   kill      the victim ends itself by SIGKILL; the others see it, and go on
 *   stop      the victim stops for a time and goes on: all calls are answered, each has run once
 *   suspect   the same, long enough for the others to suspect it
 *   return    the same, and rank 0 declares it lost: the victim is told when it goes on
 *   cut       something from outside, which passes: as stop
 *   term      all are told to end, with RREF_ON_TERM=finalize: each destroys its object first
 *   leave     the same, while a method runs, and the application goes on to rref_finalize
 *   caught    the same, in a fence; the application has a handler, and ends as it always does
 *   early     the same, and the application of rank 0 is in rref_finalize when the signal comes
 *   crash     something from outside, which does not: rank 0 declares those lost that it suspects; no MPI_Finalize
 *
 * Each rank says what it saw, and "as expected" if that is so. What is waited for has a deadline of a minute.
 */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RANKS = 16, LARGE = 20000, BEFORE = 300, AFTER = 200 };
#define PATIENCE 60.0

typedef struct scenario {
    const char *name;
    bool kills, stops, declares, loses, suspects, outside, finalizes;
    void (*term)(void);         /* what it does in place of traffic, told to end */
    double seconds;             /* that the traffic lasts, at least, or the stop */
} scenario;

static void end_by_term(void), leave_by_term(void), catch_term(void), end_before_term(void);

static const scenario scenarios[] = {
    { "kill", .kills = true, .loses = true, .finalizes = true },
    { "stop", .stops = true, .seconds = 1, .finalizes = true },
    { "suspect", .stops = true, .suspects = true, .seconds = 3, .finalizes = true },
    { "return", .stops = true, .declares = true, .loses = true, .suspects = true, .seconds = 3, .finalizes = true },
    { "cut", .outside = true, .seconds = 8, .finalizes = true },
    { "term", .term = end_by_term },
    { "leave", .term = leave_by_term },
    { "caught", .term = catch_term },
    { "early", .term = end_before_term },
    { "crash", .outside = true, .declares = true, .loses = true, .suspects = true },
};

static const scenario *now;
static rref_context *ctx;
static int rank, ranks, victim;
static bool struck[RANKS];                      /* to whom it happens */
static char host[RANKS][64];
static _Atomic uint64_t executed[RANKS];        /* calls run here, by caller */
static _Atomic double struck_at;
static atomic_int wrong;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void say(const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    printf("rank %d on %s: %s\n", rank, host[rank], text);
    fflush(stdout);
}

static void fault(const char *what, int rc)
{
    rref_error e = { .text = "" };
    if (rc) rref_last_error(ctx, &e);
    say("WRONG: %s %s %s", what, rc ? rref_error_name(rc) : "", e.text);
    atomic_fetch_add(&wrong, 1);
}

static void must(const char *what, int rc)
{
    if (rc) fault(what, rc);
}

/* ---- what ranks do for each other */

static int add(rref_call *c, void *self)
{
    (void)self;
    atomic_fetch_add(&executed[rref_call_rank(c)], 1);
    return rref_return_u64(c, rref_arg_u64(c, 0) + 1);
}

static int sum(rref_call *c, void *self)
{
    size_t n;
    const double *x = rref_arg_f64s(c, 0, &n);
    (void)self;
    atomic_fetch_add(&executed[rref_call_rank(c)], 1);
    return rref_return_f64(c, x[0] + x[n - 1]);
}

static int count(rref_call *c, void *self)
{
    (void)self;
    return rref_return_u64(c, atomic_load(&executed[rref_call_rank(c)]));
}

static int strikes_now(rref_call *c, void *self)
{
    (void)self;
    atomic_store(&struck_at, rref_arg_f64(c, 0));
    return RREF_OK;
}

static atomic_bool may_go, unmade, in_fence;
static volatile sig_atomic_t caught;

static void catch(int signal) { caught = signal; }

static int hold(rref_call *c, void *self)
{
    (void)c, (void)self;
    for (double start = seconds(); !atomic_load(&may_go) && seconds() < start + PATIENCE;) sched_yield();
    return RREF_OK;
}

/* The main thread sleeps, which it does nowhere else once it is about to enter the fence. */
static bool main_sleeps(void)
{
    char path[64], state = ' ';
    if (!atomic_load(&in_fence)) return false;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)getpid());
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1) state = ' ';
    if (f) fclose(f);
    return state == 'S';
}

static int strike_main(rref_call *c, void *self)
{
    (void)c, (void)self;
    double start = seconds();
    while (!main_sleeps() && seconds() < start + PATIENCE) sched_yield();
    kill(getpid(), SIGTERM);
    while (!caught && seconds() < start + PATIENCE) sched_yield();
    return RREF_OK;
}

static const rref_method functions[] = {
    RREF_METHOD("hold", "", hold, 0),
    RREF_METHOD("strike_main", "", strike_main, 0),
    RREF_METHOD("add", "u64 -> u64", add, 0),
    RREF_METHOD("sum", "f64[] -> f64", sum, 0),
    RREF_METHOD("count", "-> u64", count, 0),
    RREF_METHOD("strikes_now", "f64", strikes_now, 0),
    RREF_METHODS_END
};

/* ---- what happens */

/* A child wakes the process up again. */
static void stop_for(double time)
{
    pid_t self = getpid(), child = fork();
    if (child == 0) {
        const struct timespec t = { (time_t)time, (long)((time - (double)(time_t)time) * 1e9) };
        kill(self, SIGSTOP);
        nanosleep(&t, NULL);
        kill(self, SIGCONT);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

/* Whether the others have given this rank up, which it hears when it has spoken to them. */
static bool is_disowned(void)
{
    const struct timespec moment = { 0, 10000000 };
    for (int tries = 0; tries < 100; tries++, nanosleep(&moment, NULL))
        for (int i = 0; i < ranks; i++)
            if (rref_peer_state(ctx, i) == RREF_PEER_LOST) return true;
    return false;
}

/* Who stops in the middle of MPI's own work on shared memory may stop another rank there, too, which then suspects nobody: so
 * who waits to be declared lost tries again. */
static void strike(void)
{
    for (int i = 0; i < ranks; i++)
        if (i != rank) must("strikes_now", rref_sync(rref_root(ctx, i), "strikes_now", seconds()));
    atomic_store(&struck_at, seconds());
    if (now->kills) raise(SIGKILL);
    int times = now->declares ? 5 : 1;
    do stop_for(now->seconds);
    while (--times > 0 && !is_disowned());
    say("goes on after %.1f s", seconds() - atomic_load(&struck_at));
}

static void *strike_when_busy(void *arg)
{
    const struct timespec moment = { 0, 1000000 };
    (void)arg;
    for (bool busy = false; !busy; nanosleep(&moment, NULL)) {
        busy = true;
        for (int i = 0; i < ranks; i++) busy = busy && (i == rank || atomic_load(&executed[i]) >= BEFORE);
    }
    strike();
    return NULL;
}

/* ---- the traffic */

typedef struct tally {
    uint64_t answered, failed;
    double noticed, longest;
    bool seen_suspected;
    rref_error error;
} tally;

static tally to[RANKS];

static void fail(int peer, rref_future f)
{
    tally *t = &to[peer];
    rref_error e = { .code = 0 };
    rref_future_error(f, &e);
    bool expected = now->loses && e.code == RREF_ERR_PEER_LOST && (struck[peer] || struck[rank]);
    if (!expected) {
        say("WRONG: a call to rank %d: %s %s", peer, rref_error_name(e.code), e.text);
        atomic_fetch_add(&wrong, 1);
    }
    if (expected && (e.rank != peer || strcmp(e.host, host[peer]))) fault("the error's rank or host", 0);
    if (!t->failed++) {
        t->error = e;
        t->noticed = seconds();
    }
}

static void declare_if_silent(int peer)
{
    int state = rref_peer_state(ctx, peer);
    if (state == RREF_PEER_SUSPECTED && !to[peer].seen_suspected) {
        to[peer].seen_suspected = true;
        say("suspects rank %d after %.1f s", peer, seconds() - atomic_load(&struck_at));
    }
    if (state == RREF_PEER_SUSPECTED && now->declares && rank == 0)
        must("rref_declare_lost", rref_declare_lost(ctx, peer));
}

static void settle(int peer, rref_future f, double started)
{
    int rc;
    tally *t = &to[peer];
    while ((rc = rref_wait(f, 0.05)) == RREF_ERR_PENDING && seconds() < started + PATIENCE)
        for (int i = 0; i < ranks; i++)
            if (i != rank) declare_if_silent(i);
    if (rc == RREF_ERR_PENDING) fault("a call that is not answered", rc);
    else if (rc) fail(peer, f);
    else t->answered++;
    double took = seconds() - started;
    if (took > t->longest) t->longest = took;
    rref_future_release(f);
}

static void round_of_calls(uint64_t number, const double *large)
{
    rref_future f[RANKS];
    double started = seconds();
    for (int i = 0; i < ranks; i++) {
        rref there = rref_root(ctx, i);
        bool bulk = number % 16 == 15;
        if (i != rank) f[i] = bulk ? rref_async(there, "sum", rref_array(large, LARGE)) : rref_async(there, "add", number);
    }
    for (int i = 0; i < ranks; i++)
        if (i != rank) settle(i, f[i], started);
}

/* Whether this rank has seen all there is to see. */
static bool has_seen(double begun)
{
    double struck_then = atomic_load(&struck_at);
    if (now->outside && !now->loses) return seconds() > begun + now->seconds;
    if (!now->outside && struck_then == 0) return false;
    if (now->stops && seconds() < struck_then + now->seconds + 0.2) return false;     /* it is back, and others are still here */
    if (!now->loses) return true;
    bool all = true;
    for (int i = 0; i < ranks; i++)
        if (i != rank && (struck[i] || struck[rank])) all = all && to[i].failed;
    return all;
}

static void traffic(void)
{
    double begun = seconds();
    double *large = calloc(LARGE, sizeof *large);
    for (uint64_t number = 0, after = 0; large && after < AFTER && seconds() < begun + PATIENCE; number++) {
        round_of_calls(number, large);
        if (has_seen(begun)) after++;
        if (number == BEFORE && now->outside && rank == 0) say("traffic");
    }
    if (seconds() >= begun + PATIENCE) fault("the traffic did not end", 0);
    free(large);
}

/* ---- the report */

static void check_counts(void)
{
    for (int i = 0; i < ranks; i++) {
        uint64_t there = 0;
        if (i == rank || (now->loses && (struck[i] || struck[rank]))) continue;
        must("count", rref_sync(rref_root(ctx, i), "count", rref_out(&there)));
        if (there != to[i].answered) fault("calls run twice, or not at all", 0);
    }
}

static void tell(void)
{
    for (int i = 0; i < ranks; i++) {
        const tally *t = &to[i];
        if (i == rank) continue;
        if (t->failed)
            say("%llu calls to rank %d answered, %llu failed, the first %.2f s after: %s", (unsigned long long)t->answered, i,
                (unsigned long long)t->failed, t->noticed - atomic_load(&struck_at), t->error.text);
        else
            say("%llu calls to rank %d answered, the longest %.2f s", (unsigned long long)t->answered, i, t->longest);
    }
}

static void end(void)
{
    double start = seconds();
    int rc = rref_fence(ctx, PATIENCE);
    if (rc && !(now->loses && rc == RREF_ERR_PEER_LOST)) fault("rref_fence", rc);
    double fenced = seconds();
    must("a second fence", rref_fence(ctx, PATIENCE));
    double again = seconds();
    must("rref_finalize", rref_finalize(&ctx));
    say("fences %.3f and %.3f s, finalize %.3f s", fenced - start, again - fenced, seconds() - again);
}

static int make(rref_call *c, void **self)
{
    (void)c;
    *self = host;
    return RREF_OK;
}

static void unmake(void *self)
{
    (void)self;
    atomic_store(&unmade, true);
    if (!atomic_load(&wrong)) say("as expected");
}

static const rref_class thing = RREF_CLASS("thing", "", make, unmake, NULL);

/* Calls go on while the signal comes, until they may not. */
static void call_until_term(void)
{
    int rc = RREF_OK;
    rref_create(ctx, (rank + 1) % ranks, "thing");
    must("rref_fence", rref_fence(ctx, PATIENCE));
    if (now->term == leave_by_term) must("rref_post", rref_post(rref_root(ctx, rank), "hold"));
    double start = seconds();
    kill(getpid(), SIGTERM);
    while (!rc && seconds() < start + PATIENCE) rc = rref_sync(rref_root(ctx, (rank + 1) % ranks), "add", UINT64_C(1));
    if (rc != RREF_ERR_FINALIZED) fault("a call after SIGTERM", rc);
    atomic_store(&may_go, true);
}

static void end_by_term(void)
{
    call_until_term();
    for (double start = seconds(); seconds() < start + PATIENCE;) pause();
}

static void leave_by_term(void)
{
    call_until_term();
    int rc = rref_finalize(&ctx);
    if (rc != RREF_ERR_FINALIZED) fault("rref_finalize", rc);
    if (!atomic_load(&unmade)) fault("rref_finalize came before the destructor", 0);
    for (double start = seconds(); seconds() < start + PATIENCE;) pause();
}

static void catch_term(void)
{
    must("rref_post", rref_post(rref_root(ctx, rank), "strike_main"));
    atomic_store(&in_fence, true);
    must("rref_fence", rref_fence(ctx, PATIENCE));
    atomic_store(&in_fence, false);
    if (!caught) fault("SIGTERM was not caught", 0);
    must("rref_finalize", rref_finalize(&ctx));
    MPI_Finalize();
    if (!atomic_load(&wrong)) say("as expected");
}

/* The others are told once the signal has come; if they are not, it comes to them all the same. */
static void *strike_when_asleep(void *arg)
{
    double start = seconds();
    (void)arg;
    while (!main_sleeps() && seconds() < start + PATIENCE) sched_yield();
    kill(getpid(), SIGTERM);
    for (int i = 1; i < ranks; i++) MPI_Send(NULL, 0, MPI_BYTE, i, 0, MPI_COMM_WORLD);
    return NULL;
}

static void end_before_term(void)
{
    pthread_t thread;
    int told = 0;
    rref_create(ctx, (rank + 1) % ranks, "thing");
    must("rref_fence", rref_fence(ctx, PATIENCE));
    if (rank == 0) {
        pthread_create(&thread, NULL, strike_when_asleep, NULL);
        atomic_store(&in_fence, true);
        rref_finalize(&ctx);
    }
    for (double start = seconds(); rank > 0 && !told && seconds() < start + 5;)
        MPI_Iprobe(0, 0, MPI_COMM_WORLD, &told, MPI_STATUS_IGNORE);
    if (rank > 0) kill(getpid(), SIGTERM);
    for (double start = seconds(); seconds() < start + PATIENCE;) pause();
}

static void choose(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        if (argc > 1 && !strcmp(argv[1], scenarios[i].name)) now = &scenarios[i];
    victim = argc > 2 ? atoi(argv[2]) : ranks - 1;
    if (!now || ranks < 3 || ranks > RANKS) {
        fprintf(stderr, "ranks SCENARIO [VICTIM], on 3 to %d ranks\n", RANKS);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
}

/* From outside it happens to a whole host. */
static void find_victims(void)
{
    char own[64] = "";
    gethostname(own, sizeof own - 1);
    MPI_Allgather(own, sizeof own, MPI_CHAR, host, sizeof own, MPI_CHAR, MPI_COMM_WORLD);
    for (int i = 0; i < ranks; i++) struck[i] = i == victim || (now->outside && now->loses && !strcmp(host[i], host[victim]));
}

int main(int argc, char **argv)
{
    int level;
    pthread_t thread;
    const rref_class *classes[] = { &thing, NULL };
    const rref_options options = { .functions = functions, .classes = classes };
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    choose(argc, argv);
    find_victims();
    if (now->term == catch_term) sigaction(SIGTERM, &(struct sigaction){ .sa_handler = catch, .sa_flags = SA_RESTART }, NULL);
    must("rref_init", rref_init(MPI_COMM_WORLD, &options, &ctx));
    if (now->term) {
        now->term();
        fflush(stdout);
        return atomic_load(&wrong) ? 1 : 0;
    }
    bool strikes = rank == victim && !now->outside;
    if (strikes) pthread_create(&thread, NULL, strike_when_busy, NULL);
    atomic_store(&struck_at, now->outside ? seconds() : 0);
    traffic();
    if (strikes) pthread_join(thread, NULL);
    check_counts();
    tell();
    end();
    if (now->finalizes) MPI_Finalize();
    if (!atomic_load(&wrong)) say("as expected");
    fflush(stdout);
    if (!now->finalizes) _exit(atomic_load(&wrong) ? 1 : 0);
    return atomic_load(&wrong) ? 1 : 0;
}
