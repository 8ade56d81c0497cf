/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random operations on references by several threads of each rank: create, share in every way, call, time out, fail, drop,
 * publish, look up, withdraw, call groups, which come and go. Each object knows its value, and so does who holds a reference: a
 * call of an object that has ended, or of another one, shows. When all is dropped no object may be left, and each has ended once.
 *
 * RREF_TEST_SEED repeats a run as far as threads allow; RREF_TEST_FULL makes it long; RREF_TEST_OPERATIONS says how long.
 */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "check.h"

enum { THREADS = 3, HELD = 12, SHELF = 16, SPOTS = 8, GROUPS = 3, GROUP_CALLS = 5,
       SHORT = 40000, LONG = 1000000, FAILURE = RREF_ERR_USER - 9 };

static rref_context *ctx;
static int rank, size;
static atomic_int alive, wrong;
static _Atomic uint64_t made;
static uint64_t seed, operations;       /* operations: of each thread */

/* ---- random numbers (splitmix64, S. Vigna 2015) */

static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static unsigned below(uint64_t *state, unsigned n) { return (unsigned)(draw(state) % n); }

static void expect(bool good, const char *what, int rc)
{
    if (!good && atomic_fetch_add(&wrong, 1) < 10) fprintf(stderr, "soak: rank %d: %s gave %d\n", rank, what, rc);
}

/* ---- objects */

typedef struct cell { int64_t value; atomic_int lives; rref other; } cell;

static int create(rref_call *c, void **self)
{
    cell *new = calloc(1, sizeof *new);
    if (!new) return RREF_ERR_NO_MEMORY;
    size_t n;
    new->value = rref_arg_i64(c, 0);
    const rref *others = rref_arg_refs(c, 1, &n);
    if (n && rref_retain(others[0]) == RREF_OK) new->other = others[0];
    atomic_store(&new->lives, 1);
    atomic_fetch_add(&alive, 1);
    atomic_fetch_add(&made, 1);
    *self = new;
    return RREF_OK;
}

static void destroy(void *self)
{
    cell *old = self;
    expect(atomic_exchange(&old->lives, 0) == 1, "a second destructor", 0);
    if (old->other.bits) expect(rref_release(old->other) == RREF_OK, "a release in a destructor", 0);
    atomic_fetch_sub(&alive, 1);
    free(old);
}

static int get(rref_call *c, void *self)
{
    cell *own = self;
    expect(atomic_load(&own->lives) == 1, "a call after the destructor", 0);
    return rref_return_i64(c, own->value);
}

/* Call another object, which must have this value. */
static int compare(rref_call *c, void *self)
{
    int64_t value = 0;
    (void)self;
    int rc = rref_sync(rref_arg_ref(c, 0), "look", rref_out(&value));
    expect(rc == RREF_OK && value == rref_arg_i64(c, 1), "a call by a member of a group", rc);
    return rc;
}

static int refuse(rref_call *c, void **self) { return (void)self, rref_fail(c, FAILURE, "Expected error"); }

static const rref_method methods[] = {
    RREF_METHOD("get", "-> i64", get, 0),
    RREF_METHOD("look", "-> i64", get, RREF_CONCURRENT),
    RREF_METHOD("compare", "ref, i64", compare, RREF_CONCURRENT),
    RREF_METHODS_END
};
static const rref_class cell_class = RREF_CLASS("cell", "i64, ref[]", create, destroy, methods);
static const rref_class broken_class = RREF_CLASS("broken", "i64, ref[]", refuse, destroy, methods);
static const rref_class *const classes[] = { &cell_class, &broken_class, NULL };

/* ---- a rank's shelf: what others left there */

typedef struct held { rref r; int64_t value; } held;

static held shelf[SHELF];
static pthread_mutex_t shelf_lock = PTHREAD_MUTEX_INITIALIZER;

static held swap_on_shelf(unsigned at, held new)
{
    pthread_mutex_lock(&shelf_lock);
    held old = shelf[at % SHELF];
    shelf[at % SHELF] = new;
    pthread_mutex_unlock(&shelf_lock);
    return old;
}

/* Leave a reference on the shelf; take what lay there, or the same again. */
static int swap(rref_call *c, void *self)
{
    held new = { rref_arg_ref(c, 0), rref_arg_i64(c, 1) };
    (void)self;
    int rc = rref_retain(new.r);
    if (rc) return rc;
    held old = swap_on_shelf(rref_arg_u32(c, 2), new);
    if (!old.r.bits) return rref_return(c, new.r, new.value);
    rc = rref_return(c, old.r, old.value);
    rref_release(old.r);
    return rc;
}

/* Call it here, or have the next rank do so. */
static int pass_on(rref_call *c, void *self)
{
    int64_t value = 0;
    rref_context *own = rref_call_context(c);
    uint32_t hops = rref_arg_u32(c, 1);
    (void)self;
    rref r = rref_arg_ref(c, 0), to = rref_root(own, (rref_rank(own) + 1) % rref_size(own));
    int rc = hops ? rref_sync(to, "pass_on", r, hops - 1, rref_out(&value)) : rref_sync(r, "look", rref_out(&value));
    return rc ? rc : rref_return_i64(c, value);
}

static int many(rref_call *c, void *self)
{
    size_t n;
    (void)self;
    const rref *all = rref_arg_refs(c, 0, &n);
    return rref_return(c, rref_array(all, n));
}

static const rref_method functions[] = {
    RREF_METHOD("swap", "ref, i64, u32 -> ref, i64", swap, 0),
    RREF_METHOD("pass_on", "ref, u32 -> i64", pass_on, 0),
    RREF_METHOD("many", "ref[] -> ref[]", many, 0),
    RREF_METHODS_END
};

/* ---- what a thread does */

typedef struct player {
    pthread_t thread;
    uint64_t state;
    held hand[HELD];
} player;

static rref somebody(player *p) { return rref_root(ctx, (int)below(&p->state, (unsigned)size)); }

static void let_go(held *h)
{
    if (h->r.bits) expect(rref_release(h->r) == RREF_OK, "rref_release", 0);
    *h = (held){ { 0 }, 0 };
}

static void replace(held *h, rref r, int64_t value)
{
    let_go(h);
    *h = (held){ r, value };
}

static void make(player *p, held *h)
{
    int64_t value = (int64_t)(draw(&p->state) >> 1);
    int where = (int)below(&p->state, (unsigned)size);
    rref other = h->r;
    rref new = rref_create(ctx, where, "cell", value, rref_array(&other, other.bits && below(&p->state, 4) == 0 ? 1 : 0));
    replace(h, new, value);
}

static void fail_to_make(player *p, held *h)
{
    rref new = rref_create(ctx, (int)below(&p->state, (unsigned)size), "broken", 1, rref_array(&h->r, 1));
    if (below(&p->state, 2)) {
        int rc = rref_sync(new, "get");
        expect(rc == FAILURE, "a call of what was not made", rc);
    }
    expect(rref_release(new) == RREF_OK, "rref_release", 0);
}

static void call(player *p, held *h)
{
    int64_t value = 0;
    int rc = rref_sync(h->r, below(&p->state, 2) ? "get" : "look", rref_out(&value));
    expect(rc == RREF_OK && value == h->value, "a call", rc);
}

static void exchange(player *p, held *h)
{
    held got = { { 0 }, 0 };
    int rc = rref_sync(somebody(p), "swap", h->r, h->value, below(&p->state, SHELF), rref_out(&got.r), rref_out(&got.value));
    expect(rc == RREF_OK, "swap", rc);
    if (!rc) replace(h, got.r, got.value);
}

static void leave(player *p, held *h)
{
    int rc = rref_post(somebody(p), "swap", h->r, h->value, below(&p->state, SHELF));
    expect(rc == RREF_OK, "a one-way swap", rc);
    let_go(h);
}

static void hand_round(player *p, held *h)
{
    int64_t value = 0;
    int rc = rref_sync(somebody(p), "pass_on", h->r, below(&p->state, 4), rref_out(&value));
    expect(rc == RREF_OK && value == h->value, "pass_on", rc);
}

/* The time is over at once, soon, or too late to matter. */
static void be_impatient(player *p, held *h)
{
    static const double times[] = { 0, 2e-5, 2e-4, 60 };
    held got = { { 0 }, 0 };
    rref_sync_proxy to = rref_rpc_sync(somebody(p), times[below(&p->state, 4)]);
    int rc = rref_invoke(to, "swap", h->r, h->value, below(&p->state, SHELF), rref_out(&got.r), rref_out(&got.value));
    expect(rc == RREF_OK || rc == RREF_ERR_TIMEOUT, "a call with little time", rc);
    if (!rc) replace(h, got.r, got.value);
}

/* A future that is read several times, or given up, or never read. */
static void ask_later(player *p, held *h)
{
    held got;
    rref_future f = rref_async(somebody(p), "swap", h->r, h->value, below(&p->state, SHELF));
    unsigned reads = below(&p->state, 4);
    if (reads == 3) rref_cancel(f);
    int rc = rref_wait(f, RREF_FOREVER);
    expect(rc == RREF_OK || rc == RREF_ERR_CANCELLED, "an async swap", rc);
    for (unsigned i = 0; rc == RREF_OK && i < reads; i++) {
        rc = rref_get(f, rref_out(&got.r), rref_out(&got.value));
        expect(rc == RREF_OK, "rref_get", rc);
        replace(h, got.r, got.value);
    }
    expect(rref_future_release(f) == RREF_OK, "rref_future_release", 0);
}

static void send_all(player *p, held *h)
{
    rref all[HELD], back[HELD];
    held *mine[HELD];
    size_t n = 0, got = 0;
    (void)h;
    for (int i = 0; i < HELD; i++)
        if (p->hand[i].r.bits) mine[n] = &p->hand[i], all[n++] = p->hand[i].r;
    int rc = rref_sync(somebody(p), "many", rref_array(all, n), rref_out_array(back, HELD, &got));
    expect(rc == RREF_OK && got == n, "many", rc);
    for (size_t i = 0; !rc && i < got; i++) {
        expect(rref_same_object(mine[i]->r, back[i]), "many gave another object", 0);
        replace(mine[i], back[i], mine[i]->value);
    }
}

static void misuse(player *p, held *h)
{
    rref none = { 0 }, some[] = { h->r, none };
    int rc = rref_sync(somebody(p), "many", rref_array(some, 2));
    expect(rc == RREF_ERR_HANDLE, "a zero reference among others", rc);
}

static void drop(player *p, held *h) { (void)p, let_go(h); }

/* ---- names: all ranks contend for a few */

static const char *spot(unsigned at, char name[16])
{
    snprintf(name, 16, "spot %u", at);
    return name;
}

static void announce(player *p, held *h)
{
    char name[16];
    int rc = rref_publish(h->r, spot(below(&p->state, SPOTS), name));
    expect(rc == RREF_OK || rc == RREF_ERR_NAME_TAKEN, "rref_publish", rc);
}

static void look_up(player *p, held *h)
{
    char name[16];
    held found = { { 0 }, 0 };
    double patience = below(&p->state, 2) ? 0 : 1e-4;
    int rc = rref_lookup(ctx, spot(below(&p->state, SPOTS), name), patience, &found.r);
    expect(rc == RREF_OK || rc == (patience > 0 ? RREF_ERR_TIMEOUT : RREF_ERR_NO_NAME), "rref_lookup", rc);
    if (rc) return;
    rc = rref_sync(found.r, "look", rref_out(&found.value));
    expect(rc == RREF_OK, "a call of what was published", rc);
    replace(h, found.r, found.value);
}

static void take_down(player *p, held *h)
{
    char name[16];
    (void)h;
    int rc = rref_withdraw(ctx, spot(below(&p->state, SPOTS), name));
    expect(rc == RREF_OK || rc == RREF_ERR_NO_NAME, "rref_withdraw", rc);
}

/* ---- groups: the main thread makes them, and takes them away when nobody here calls */

static pthread_rwlock_t group_lock = PTHREAD_RWLOCK_INITIALIZER;
static rref_group group;                /* under the lock */
static atomic_int group_calls, playing;

static int64_t sum_of_members(void) { return (int64_t)size * (size + 1) / 2; }

static void call_member(player *p)
{
    int64_t value = 0;
    int which = (int)below(&p->state, (unsigned)size);
    int rc = rref_sync(rref_group_member(group, which), "look", rref_out(&value));
    expect(rc == RREF_OK && value == which + 1, "a call of a member", rc);
}

static void ask_members(void)
{
    int64_t sum = 0;
    int rc = rref_group_reduce(group, MPI_SUM, "look", rref_out(&sum));
    expect(rc == RREF_OK && sum == sum_of_members(), "rref_group_reduce", rc);
}

/* A reference goes to all of them, and each calls its object. */
static void have_all_call(player *p, held *h)
{
    bool wait = below(&p->state, 2);
    rref_future f = { 0 };
    if (wait) f = rref_group_async(group, "compare", h->r, h->value);
    int rc = wait ? rref_wait(f, RREF_FOREVER) : rref_group_post(group, "compare", h->r, h->value);
    expect(rc == RREF_OK, "a call of all members", rc);
    if (wait) rref_future_release(f);
}

static void call_group(player *p, held *h)
{
    pthread_rwlock_rdlock(&group_lock);
    unsigned what = below(&p->state, 4);
    if (group.bits) {
        if (what == 0) ask_members();
        else if (what == 1) have_all_call(p, h);
        else call_member(p);
        atomic_fetch_add(&group_calls, 1);
    }
    pthread_rwlock_unlock(&group_lock);
}

static bool has_been_called(void *arg)
{
    return (void)arg, atomic_load(&group_calls) >= GROUP_CALLS || !atomic_load(&playing);
}

static void swap_group(rref_group *own)
{
    pthread_rwlock_wrlock(&group_lock);
    rref_group other = group;
    group = *own;
    *own = other;
    pthread_rwlock_unlock(&group_lock);
}

static void keep_groups(void)
{
    for (int i = 0; i < GROUPS; i++) {
        rref_group own = { 0 };
        int rc = rref_group_create(ctx, &own, "cell", (int64_t)rank + 1, rref_array((rref *)NULL, 0));
        expect(rc == RREF_OK, "rref_group_create", rc);
        atomic_store(&group_calls, 0);
        swap_group(&own);
        CU_ASSERT_TRUE(check_until(has_been_called, NULL, 100));
        swap_group(&own);
        rc = rref_group_free(&own);
        expect(rc == RREF_OK, "rref_group_free", rc);
    }
}

static void (*const play[])(player *p, held *h) = {
    make, call, call, exchange, leave, hand_round, be_impatient, ask_later, send_all, misuse, fail_to_make, drop, announce,
    look_up, take_down, call_group
};

static void *run(void *arg)
{
    player *p = arg;
    for (uint64_t i = 0; i < operations; i++) {
        held *h = &p->hand[below(&p->state, HELD)];
        if (h->r.bits) play[below(&p->state, sizeof play / sizeof *play)](p, h);
        else make(p, h);
    }
    for (int i = 0; i < HELD; i++) let_go(&p->hand[i]);
    atomic_fetch_sub(&playing, 1);
    return NULL;
}

/* ---- a run */

static bool all_gone(void *arg) { return (void)arg, atomic_load(&alive) == 0; }

static void play_all(player *players)
{
    int started = 0;
    atomic_store(&playing, THREADS);
    for (; started < THREADS; started++) {
        players[started].state = seed ^ (uint64_t)(rank * THREADS + started + 1) << 32;
        if (pthread_create(&players[started].thread, NULL, run, &players[started])) break;
    }
    CU_ASSERT_EQUAL(started, THREADS);
    keep_groups();
    for (int i = 0; i < started; i++) pthread_join(players[i].thread, NULL);
}

/* One-way calls may still come while the shelf is cleared, so it is cleared until nothing is left anywhere. */
static bool clear_shelf(void *arg)
{
    int left = 0;
    char name[16];
    for (unsigned i = 0; i < SPOTS; i++) rref_withdraw(ctx, spot(i, name));
    for (unsigned i = 0; i < SHELF; i++) {
        held old = swap_on_shelf(i, (held){ { 0 }, 0 });
        let_go(&old);
    }
    left = atomic_load(&alive);
    MPI_Allreduce(MPI_IN_PLACE, &left, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    return (void)arg, left == 0;
}

static void soak(const char *weight)
{
    static player players[THREADS];
    rref_options options = { .classes = classes, .functions = functions };
    memset(players, 0, sizeof players);
    atomic_store(&alive, 0);
    atomic_store(&wrong, 0);
    atomic_store(&made, 0);
    setenv("RREF_WEIGHT", weight, 1);
    int rc = rref_init(MPI_COMM_WORLD, &options, &ctx);
    unsetenv("RREF_WEIGHT");
    CU_ASSERT_EQUAL_FATAL(rc, RREF_OK);
    rank = rref_rank(ctx);
    size = rref_size(ctx);
    play_all(players);
    bool gone = clear_shelf(NULL);
    double until = check_clock() + check_patience(20);      /* behind the first round: there all have come */
    for (int late = 0; !gone && !late;) {   /* all ranks go round as often */
        gone = clear_shelf(NULL);
        late = check_clock() > until;
        MPI_Allreduce(MPI_IN_PLACE, &late, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    }
    CU_ASSERT_TRUE(gone);
    CU_ASSERT_TRUE(all_gone(NULL));
    CU_ASSERT_TRUE(atomic_load(&made) > 0);
    CU_ASSERT_EQUAL(rref_finalize(&ctx), RREF_OK);
    CU_ASSERT_EQUAL(atomic_load(&wrong), 0);
}

static void full_weight(void) { soak("60"); }
static void little_weight(void) { soak("4"); }
static void least_weight(void) { soak("0"); }

static void prepare(void)
{
    const char *given = getenv("RREF_TEST_SEED"), *count = getenv("RREF_TEST_OPERATIONS");
    int ranks = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    uint64_t all = count ? strtoull(count, NULL, 0) : getenv("RREF_TEST_FULL") ? LONG : SHORT;
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)ranks;
    MPI_Bcast(&seed, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    operations = (uint64_t)((double)all / check_patience(1)) / 3 / THREADS / (uint64_t)ranks + 1;    /* of three runs */
    if (rank == 0) printf("soak: RREF_TEST_SEED=%#" PRIx64 ", %" PRIu64 " operations of each thread\n", seed, operations);
}

static const check_case cases[] = {
    { "prepare", prepare },
    { "full_weight", full_weight },
    { "little_weight", little_weight },
    { "least_weight", least_weight },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "soak", cases); }
