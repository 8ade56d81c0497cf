/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of a context always comes: in the middle of traffic, with threads that wait for what never comes, with destructors
 * that call, and with one that stays. After it each object that was made is destroyed, once, and no thread or file is left.
 *
 * RREF_TEST_SEED repeats a run as far as threads allow; RREF_TEST_FULL makes it long.
 */
#include <mpi.h>
#include <dirent.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "check.h"

enum { SHORT = 8, LONG = 1000, STEPS = 40, LARGE = 20000, KEPT = 64 };
#define OK CHECK_OK
#define GIVES CHECK_GIVES

static rref_context *ctx;
static int rank, size;
static atomic_int made, destroyed, gate;
static uint64_t seed;

/* ---- things: one may hold another, and ask it something when it ends */

typedef struct thing { rref other; bool asks; } thing;

static atomic_int outcomes[4];              /* of the calls of destructors: sync, async, one-way, creation */

static int create(rref_call *c, void **self)
{
    size_t n;
    thing *t = *self = calloc(1, sizeof *t);
    if (!t) return RREF_ERR_NO_MEMORY;
    const rref *others = rref_arg_refs(c, 0, &n);
    if (n && rref_retain(others[0]) == RREF_OK) t->other = others[0];
    t->asks = rref_arg_bool(c, 1);
    atomic_fetch_add(&made, 1);
    return RREF_OK;
}

static void ask(rref other)
{
    rref_future f = rref_async(other, "nothing");
    atomic_store(&outcomes[0], rref_sync(other, "nothing"));
    atomic_store(&outcomes[1], rref_wait(f, RREF_FOREVER));
    rref_future_release(f);
    atomic_store(&outcomes[2], rref_post(other, "nothing"));
    rref new = rref_create(ctx, rank, "thing", rref_array(&other, 0), false);
    atomic_store(&outcomes[3], rref_sync(new, "nothing"));
    rref_release(new);
}

static void destroy(void *self)
{
    thing *t = self;
    if (t->other.bits && t->asks) ask(t->other);
    if (t->other.bits) rref_release(t->other);
    free(t);
    atomic_fetch_add(&destroyed, 1);
}

static int nothing(rref_call *c, void *self) { return (void)c, (void)self, RREF_OK; }

static const rref_method thing_methods[] = { RREF_METHOD("nothing", "", nothing, 0), RREF_METHODS_END };
static const rref_class thing_class = RREF_CLASS("thing", "ref[], bool", create, destroy, thing_methods);

static int create_stayer(rref_call *c, void **self) { return (void)c, *self = &gate, RREF_OK; }
static bool is_open(void *arg) { return atomic_load((atomic_int *)arg) > 0; }

static void stay(void *self)
{
    check_until(is_open, self, 60);
    atomic_fetch_add(&destroyed, 1);
}

static const rref_class stayer_class = RREF_CLASS("stayer", "", create_stayer, stay, thing_methods);
static const rref_class *const classes[] = { &thing_class, &stayer_class, NULL };

/* ---- functions of a rank */

/* Keep a reference, never to release it. */
static int keep(rref_call *c, void *self) { return (void)self, rref_retain(rref_arg_ref(c, 0)); }

static int sum(rref_call *c, void *self)
{
    size_t n;
    double all = 0;
    (void)self;
    const double *x = rref_arg_f64s(c, 0, &n);
    for (size_t i = 0; i < n; i++) all += x[i];
    return rref_return_f64(c, all);
}

/* Have the next rank do so, and so on. */
static int pass_on(rref_call *c, void *self)
{
    uint32_t hops = rref_arg_u32(c, 0);
    rref_context *own = rref_call_context(c);
    (void)self;
    if (!hops) return RREF_OK;
    return rref_post(rref_root(own, (rref_rank(own) + 1) % rref_size(own)), "pass_on", hops - 1);
}

/* By the application's variable, which is there until the end. */
static int call_root(rref_call *c, void *self)
{
    (void)c, (void)self;
    return rref_sync(rref_root(ctx, 0), "pass_on", (uint32_t)0);
}

static const rref_method functions[] = {
    RREF_METHOD("call_root", "", call_root, 0),
    RREF_METHOD("keep", "ref", keep, 0), RREF_METHOD("sum", "f64[] -> f64", sum, 0),
    RREF_METHOD("pass_on", "u32", pass_on, 0), RREF_METHODS_END
};

static bool begin(double limit)
{
    rref_options options = { .classes = classes, .functions = functions, .finalize_timeout = limit };
    for (int i = 0; i < 4; i++) atomic_store(&outcomes[i], 1);
    atomic_store(&made, 0);
    atomic_store(&destroyed, 0);
    setenv("RREF_LOG", "error", 1);          /* what is written off is meant to be */
    int rc = rref_init(MPI_COMM_WORLD, &options, &ctx);
    unsetenv("RREF_LOG");
    OK(rc);
    if (rc) return false;
    rank = rref_rank(ctx);
    size = rref_size(ctx);
    return true;
}

/* ---- cases */

/* A destructor that runs because the context ends has nobody to call any more, on no rank. */
static void destructors_that_call(void)
{
    for (int far = 0; far < 2; far++) {
        if (!begin(0)) return;
        rref there = rref_create(ctx, (rank + far) % size, "thing", rref_array((rref *)NULL, 0), false);
        rref asking = rref_create(ctx, rank, "thing", rref_array(&there, 1), true);
        OK(rref_sync(asking, "nothing"));
        OK(rref_finalize(&ctx));
        CU_ASSERT_EQUAL(atomic_load(&destroyed), 2);
        for (int i = 0; i < 4; i++) CU_ASSERT_EQUAL(atomic_load(&outcomes[i]), RREF_ERR_FINALIZED);
    }
}

/* The last reference goes before the end: then the destructor's calls are work like any other. */
static void destructors_that_still_call(void)
{
    if (!begin(0)) return;
    rref there = rref_create(ctx, (rank + 1) % size, "thing", rref_array((rref *)NULL, 0), false);
    rref asking = rref_create(ctx, rank, "thing", rref_array(&there, 1), true);
    OK(rref_release(there));
    OK(rref_sync(asking, "nothing"));
    OK(rref_release(asking));
    OK(rref_fence(ctx, RREF_FOREVER));
    for (int i = 0; i < 4; i++) CU_ASSERT_EQUAL(atomic_load(&outcomes[i]), RREF_OK);
    CU_ASSERT_EQUAL(atomic_load(&made), 3);
    CU_ASSERT_EQUAL(atomic_load(&destroyed), 3);
    OK(rref_finalize(&ctx));
}

/* A rank that is at its end serves the others as before. */
static void served_from_the_end(void)
{
    if (!begin(0)) return;
    MPI_Barrier(MPI_COMM_WORLD);                /* and so are the variables */
    for (double start = check_clock(); rank == size - 1 && check_clock() < start + 0.1;)
        OK(rref_sync(rref_root(ctx, 0), "call_root"));
    OK(rref_finalize(&ctx));
}

/* ---- threads that wait for what never comes */

typedef struct waiter { pthread_t thread; rref_future future; atomic_int state; int outcome; } waiter;

static void *wait_for(void *arg)
{
    waiter *w = arg;
    atomic_store(&w->state, 1);
    w->outcome = rref_wait(w->future, RREF_FOREVER);
    return NULL;
}

static bool start_waiting(waiter *w)
{
    memset(w, 0, sizeof *w);
    w->future = rref_promise(ctx, "u64");
    if (!w->future.bits || pthread_create(&w->thread, NULL, wait_for, w)) return false;
    return check_until(is_open, &w->state, 10);
}

static void waiting_threads_leave(void)
{
    enum { WAITERS = 3 };
    waiter w[WAITERS];
    if (!begin(0)) return;
    for (int i = 0; i < WAITERS; i++) CU_ASSERT_TRUE_FATAL(start_waiting(&w[i]));
    OK(rref_fence(ctx, RREF_FOREVER));
    OK(rref_finalize(&ctx));
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(w[i].thread, NULL);
        CU_ASSERT_TRUE(w[i].outcome == RREF_ERR_FINALIZED || w[i].outcome == RREF_ERR_HANDLE);
    }
}

/* A destructor that does not return is told of when the limit is over; the other ranks do not wait for it. */
static void a_destructor_that_stays(void)
{
    rref_error e = { 0 };
    if (!begin(0.2)) return;
    atomic_store(&gate, rank == 0 ? 0 : 1);
    rref stayer = rref_create(ctx, rank, "stayer");
    OK(rref_sync(stayer, "nothing"));
    int rc = rref_finalize(&ctx);
    if (rank == 0) {
        CU_ASSERT_EQUAL(rc, RREF_ERR_STALLED);
        OK(rref_last_error(NULL, &e));
        CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "destructor"));
    } else {
        CU_ASSERT_TRUE(rc == RREF_OK || rc == RREF_ERR_STALLED);
    }
    CU_ASSERT_PTR_NULL(ctx);
    atomic_store(&gate, 1);
    CU_ASSERT_TRUE(check_until(is_open, &destroyed, 10));
    MPI_Barrier(MPI_COMM_WORLD);
}

/* ---- one life after another, ended anywhere */

static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static unsigned below(uint64_t *state, unsigned n) { return (unsigned)(draw(state) % n); }

typedef struct player {
    pthread_t thread;
    uint64_t state;
    rref kept[KEPT];
    unsigned keeps, names;
    int number;
} player;

static rref somebody(player *p) { return rref_root(ctx, (int)below(&p->state, (unsigned)size)); }
static rref something(player *p) { return p->kept[below(&p->state, p->keeps)]; }

static void make(player *p)
{
    rref other = p->keeps && below(&p->state, 2) ? something(p) : (rref){ 0 };
    rref r = rref_create(ctx, (int)below(&p->state, (unsigned)size), "thing", rref_array(&other, other.bits ? 1 : 0), false);
    if (p->keeps < KEPT && below(&p->state, 3)) p->kept[p->keeps++] = r;
    else rref_release(r);
}

static void drop(player *p)
{
    if (!p->keeps) return;
    rref_release(p->kept[--p->keeps]);
}

static void share(player *p)
{
    if (p->keeps) rref_post(somebody(p), "keep", something(p));
}

static void call(player *p)
{
    if (p->keeps) rref_sync(something(p), "nothing");
}

/* A future that is never released, or at once. */
static void leave_open(player *p)
{
    if (!p->keeps) return;
    rref_future f = rref_async(something(p), "nothing");
    if (below(&p->state, 2)) rref_future_release(f);
}

static void send_much(player *p)
{
    static const double x[LARGE];
    rref_future f = rref_async(somebody(p), "sum", rref_array(x, LARGE));
    if (below(&p->state, 2)) rref_future_release(f);
}

static void chain(player *p) { rref_post(somebody(p), "pass_on", below(&p->state, 6)); }

static void give_up(player *p)
{
    if (p->keeps) rref_invoke(rref_rpc_sync(somebody(p), 1e-5), "keep", something(p));
}

static void publish(player *p)
{
    char name[64];
    snprintf(name, sizeof name, "%d.%d.%u", rank, p->number, p->names++);
    if (p->keeps) rref_publish(something(p), name);
}

static void (*const play[])(player *p) = { make, make, drop, share, call, leave_open, send_much, chain, give_up, publish };

static void *run(void *arg)
{
    player *p = arg;
    for (unsigned i = below(&p->state, STEPS); i > 0; i--) play[below(&p->state, sizeof play / sizeof *play)](p);
    return NULL;
}

static void live(int number)
{
    waiter w;
    player p[2];
    memset(p, 0, sizeof p);
    if (!begin(0)) return;
    for (int i = 0; i < 2; i++) {
        p[i].state = seed ^ (uint64_t)(number * 1024 + 2 * rank + i) << 24;
        p[i].number = i;
    }
    bool waits = below(&p[0].state, 4) == 0 && start_waiting(&w);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&p[1].thread, NULL, run, &p[1]), 0);
    run(&p[0]);
    pthread_join(p[1].thread, NULL);
    int rc = rref_finalize(&ctx);
    CU_ASSERT_TRUE(rc == RREF_OK || rc == RREF_ERR_ONEWAY);     /* a call whose time was over, that nobody read */
    if (waits) pthread_join(w.thread, NULL);
    CU_ASSERT_EQUAL(atomic_load(&made), atomic_load(&destroyed));
}

static unsigned entries(const char *folder)
{
    unsigned n = 0;
    DIR *d = opendir(folder);
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n;
}

/* MPI connects ranks of other hosts when they first have something to say: a file each. */
static void meet_all(void)
{
    for (int i = 1; i < size; i++)
        MPI_Sendrecv(NULL, 0, MPI_BYTE, (rank + i) % size, 0, NULL, 0, MPI_BYTE, (rank + size - i) % size, 0, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
}

/* The second half has a bad machine, too: once it has, it has. */
static void many_lives(void)
{
    char chaos[64];
    int all = !getenv("RREF_TEST_FULL") ? SHORT : size > 2 ? LONG * 2 / size : LONG;
    int lives = (int)((double)all / check_patience(1)) / 2;
    live(0);
    meet_all();
    unsigned threads = entries("/proc/self/task"), files = entries("/proc/self/fd");
    for (int i = 1; i < lives; i++) live(i);
    snprintf(chaos, sizeof chaos, "seed:%" PRIu64 ",delay,reorder,slow,spurious", seed % 100000);
    setenv("RREF_CHAOS", chaos, 1);
    for (int i = lives; i < 2 * lives; i++) live(i);
    unsetenv("RREF_CHAOS");
    CU_ASSERT_EQUAL(entries("/proc/self/task"), threads);
    CU_ASSERT_EQUAL(entries("/proc/self/fd"), files);
}

static void prepare(void)
{
    const char *given = getenv("RREF_TEST_SEED");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003;
    MPI_Bcast(&seed, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    if (rank == 0) printf("ends: RREF_TEST_SEED=%#" PRIx64 "\n", seed);
}

static const check_case cases[] = {
    { "prepare", prepare },
    { "destructors_that_call", destructors_that_call },
    { "destructors_that_still_call", destructors_that_still_call },
    { "served_from_the_end", served_from_the_end },
    { "waiting_threads_leave", waiting_threads_leave },
    { "many_lives", many_lives },
    { "a_destructor_that_stays", a_destructor_that_stays },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "ends", cases); }
