/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * References that go from rank to rank: what a share, a drop and a refill cost, and that each object ends once, after its
 * last reference, whatever fails on the way. Objects are counted before the context ends, which would destroy the rest.
 */
#include <mpi.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "check.h"

enum { FAILURE = RREF_ERR_USER - 7, KEPT = 1024, HOPS = 40, LINKS = 6 };
#define OK CHECK_OK
#define GIVES CHECK_GIVES

static rref_context *ctx;
static int rank, size, next;
static rref there;
static atomic_int alive, wrong, inside, gate;    /* alive: cells of this rank; wrong: what a destructor found wrong */

/* ---- cells: an object that may hold another one */

typedef struct cell { int64_t value; atomic_int lives, inside; rref other; } cell;

static cell *new_cell(int64_t value)
{
    cell *new = calloc(1, sizeof *new);
    if (!new) return NULL;
    new->value = value;
    atomic_store(&new->lives, 1);
    atomic_fetch_add(&alive, 1);
    return new;
}

static int create(rref_call *c, void **self) { return (*self = new_cell(rref_arg_i64(c, 0))) ? RREF_OK : RREF_ERR_NO_MEMORY; }

static int create_link(rref_call *c, void **self)
{
    cell *new = *self = new_cell(0);
    if (!new) return RREF_ERR_NO_MEMORY;
    new->other = rref_arg_ref(c, 0);
    return rref_retain(new->other);
}

static void destroy(void *self)
{
    cell *old = self;
    if (atomic_exchange(&old->lives, 0) != 1 || atomic_load(&old->inside)) atomic_fetch_add(&wrong, 1);
    if (old->other.bits && rref_release(old->other) != RREF_OK) atomic_fetch_add(&wrong, 1);
    atomic_fetch_sub(&alive, 1);
    free(old);
}

static int get(rref_call *c, void *self) { return rref_return_i64(c, ((cell *)self)->value); }
static bool is_open(void *arg) { return atomic_load((atomic_int *)arg) > 0; }
static bool is_shut(void *arg) { return atomic_load((atomic_int *)arg) == 0; }

static int stay(rref_call *c, void *self)
{
    cell *own = self;
    (void)c;
    atomic_fetch_add(&own->inside, 1);
    atomic_fetch_add(&inside, 1);
    bool good = check_until(is_open, &gate, 20);
    atomic_fetch_sub(&own->inside, 1);
    return good ? RREF_OK : FAILURE;
}

static int ignore(rref_call *c, void *self) { return (void)c, (void)self, RREF_OK; }
static int refuse(rref_call *c, void **self) { return (void)self, rref_fail(c, FAILURE, "Expected error"); }

static const rref_method methods[] = {
    RREF_METHOD("get", "-> i64", get, 0),
    RREF_METHOD("stay", "", stay, RREF_CONCURRENT),
    RREF_METHOD("ignore", "ref, ref[]", ignore, 0),
    RREF_METHODS_END
};
static const rref_class cell_class = RREF_CLASS("cell", "i64", create, destroy, methods);
static const rref_class link_class = RREF_CLASS("link", "ref", create_link, destroy, methods);
static const rref_class broken_class = RREF_CLASS("broken", "ref", refuse, destroy, methods);
static const rref_class *const classes[] = { &cell_class, &link_class, &broken_class, NULL };

/* ---- functions of a rank */

static rref kept[KEPT];
static atomic_int kept_count;

static int keep(rref_call *c, void *self)
{
    size_t n;
    (void)self;
    const rref *all = rref_arg_refs(c, 0, &n);
    for (size_t i = 0; i < n; i++) {
        int at = atomic_fetch_add(&kept_count, 1), rc = at < KEPT ? rref_retain(all[i]) : RREF_ERR_SHAPE;
        if (rc) return rc;
        kept[at] = all[i];
    }
    return RREF_OK;
}

static int drop_kept(rref_call *c, void *self)
{
    (void)self;
    int rc = RREF_OK, all = atomic_load(&kept_count), n = rref_arg_i32(c, 0) < all ? rref_arg_i32(c, 0) : all;
    for (int i = 0; i < n && !rc; i++) rc = rref_release(kept[atomic_fetch_sub(&kept_count, 1) - 1]);
    return rc;
}

/* Hand the reference on to the next rank until no hop is left; who is last calls. */
static int pass_on(rref_call *c, void *self)
{
    rref_context *own = rref_call_context(c);
    int32_t hops = rref_arg_i32(c, 1);
    int64_t value = 0;
    (void)self;
    rref r = rref_arg_ref(c, 0);
    int rc = hops ? rref_sync(rref_root(own, (rref_rank(own) + 1) % rref_size(own)), "pass_on", r, hops - 1, rref_out(&value))
                  : rref_sync(r, "get", rref_out(&value));
    return rc ? rc : rref_return_i64(c, value);
}

static int give_late(rref_call *c, void *self)
{
    (void)self;
    atomic_fetch_add(&inside, 1);
    return check_until(is_open, &gate, 20) ? rref_return_ref(c, rref_arg_ref(c, 0)) : FAILURE;
}

/* How many different handles there are among its references; and each of them, once more. */
static int give_all(rref_call *c, void *self)
{
    size_t n, different = 0;
    (void)self;
    const rref one = rref_arg_ref(c, 0), *all = rref_arg_refs(c, 1, &n);
    for (size_t i = 0, k; i < n; i++) {
        for (k = 0; k < i && all[k].bits != all[i].bits; k++) {}
        different += k == i && all[i].bits != one.bits;
    }
    return rref_return(c, (int64_t)different, one, rref_array(all, n), one);
}

static int how_many(rref_call *c, void *self) { return (void)self, rref_return_i64(c, atomic_load(&alive)); }
static int open_gate(rref_call *c, void *self) { return (void)c, (void)self, atomic_store(&gate, 1), RREF_OK; }
static int nothing(rref_call *c, void *self) { return (void)self, rref_return_i64(c, 0); }
static int same(rref_call *c, void *self) { return (void)self, rref_return_ref(c, rref_arg_ref(c, 0)); }

static const rref_method functions[] = {
    RREF_METHOD("keep", "ref[]", keep, 0),
    RREF_METHOD("drop_kept", "i32", drop_kept, 0),
    RREF_METHOD("pass_on", "ref, i32 -> i64", pass_on, 0),
    RREF_METHOD("give_late", "ref -> ref", give_late, 0),
    RREF_METHOD("ignore", "ref, ref[]", ignore, 0),
    RREF_METHOD("same", "ref -> ref", same, 0),
    RREF_METHOD("give_all", "ref, ref[] -> i64, ref, ref[], ref", give_all, 0),
    RREF_METHOD("get", "-> i64", nothing, 0),
    RREF_METHOD("how_many", "-> i64", how_many, RREF_INLINE),
    RREF_METHOD("open", "", open_gate, RREF_INLINE),
    RREF_METHODS_END
};

/* ---- begin and end */

static bool begin(void)
{
    rref_options options = { .classes = classes, .functions = functions };
    atomic_int *const counters[] = { &alive, &wrong, &inside, &gate, &kept_count };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) atomic_store(counters[i], 0);
    if (rref_init(MPI_COMM_WORLD, &options, &ctx) != RREF_OK) {
        CU_FAIL("rref_init");
        return false;
    }
    rank = rref_rank(ctx);
    size = rref_size(ctx);
    next = (rank + 1) % size;
    there = rref_root(ctx, next);
    return true;
}

/* Begin with objects of weight 2^log. */
static bool begin_light(const char *log)
{
    setenv("RREF_WEIGHT", log, 1);
    bool good = begin();
    unsetenv("RREF_WEIGHT");
    return good;
}

/* Every object is gone before the end, and ended as it should. */
static void end(void)
{
    CU_ASSERT_TRUE(check_until(is_shut, &alive, 10));
    MPI_Barrier(MPI_COMM_WORLD);            /* or the end elsewhere would destroy what is missed here */
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&wrong), 0);
}

static rref cell_on(int where, int64_t value)
{
    rref r = rref_create(ctx, where, "cell", value);
    OK(rref_sync(r, "get"));
    return r;
}

static rref_statistics stats(void)
{
    rref_statistics s = { 0 };
    OK(rref_stats(ctx, &s));
    return s;
}

/* ---- cases */

static void passed_far(void)
{
    int64_t n = 0;
    rref r = cell_on(next, 5);
    OK(rref_sync(there, "pass_on", r, HOPS, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 5);
    OK(rref_release(r));
}

static void many_hops(void)
{
    if (!begin()) return;
    passed_far();
    end();
}

/* Without a refill 2^1 and 2^3 end after 1 and 3 hops, 2^0 before the first. */
static void many_hops_of_little_weight(void)
{
    static const char *const logs[] = { "0", "1", "3" };
    for (size_t i = 0; i < 3; i++) {
        if (!begin_light(logs[i])) return;
        passed_far();
        CU_ASSERT_TRUE(check_until(is_shut, &alive, 10));
        MPI_Barrier(MPI_COMM_WORLD);
        if (size > 1) CU_ASSERT_TRUE(stats().refills > 0);
        end();
    }
}

/* The owner's own handle may be shared any number of times, and one of them dropped. */
static void shared_by_its_owner(void)
{
    enum { MANY = 250 };                    /* of a sixteenth of 2^60 each, they would be more than 2^64 */
    int64_t n = 0;
    if (!begin()) return;
    rref r = rref_wrap(ctx, "cell", new_cell(3));
    for (int i = 0; i < MANY; i++) OK(rref_sync(there, "keep", rref_array(&r, 1)));     /* in one message it were one handle */
    OK(rref_release(r));
    OK(rref_sync(there, "drop_kept", 1));
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < 2; i++) {           /* what was dropped here boards the first call's message, if not before */
        OK(rref_sync(rref_root(ctx, (rank + size - 1) % size), "how_many", rref_out(&n)));
        CU_ASSERT_EQUAL(n, 1);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_sync(there, "drop_kept", MANY));
    end();
}

/* Several times in a message is one handle, which is counted as often. `to`: where that is seen. */
static void given_all(rref to, int different)
{
    enum { MANY = 80 };                     /* what a message has room for */
    rref cells[40], all[MANY], back[MANY], one, other;
    int64_t found = 0;
    size_t n = 0;
    for (int i = 0; i < different; i++) cells[i] = cell_on(i % size, i);
    for (int i = 0; i < MANY; i++) all[i] = cells[i % different];
    OK(rref_sync(to, "give_all", cells[0], rref_array(all, MANY), rref_out(&found), rref_out(&one),
                 rref_out_array(back, MANY, &n), rref_out(&other)));
    CU_ASSERT_EQUAL(found, different - 1);
    CU_ASSERT_EQUAL(n, MANY);
    CU_ASSERT_EQUAL(one.bits, other.bits);
    for (int i = 0; i < MANY; i++) {
        CU_ASSERT_TRUE(rref_same_object(back[i], all[i]));
        CU_ASSERT_EQUAL(back[i].bits, back[i % different].bits);
    }
    CU_ASSERT_EQUAL(one.bits, back[0].bits);
    for (int i = 0; i < MANY; i++) OK(rref_release(back[i]));
    OK(rref_release(one));
    OK(rref_sync(other, "get"));
    OK(rref_release(other));
    GIVES(rref_release(other), RREF_ERR_HANDLE);
    for (int i = 0; i < different; i++) OK(rref_release(cells[i]));
}

static void several_times_in_a_message(void)
{
    if (!begin()) return;
    for (int to = 0; to < size; to++)
        for (int different = 1; different <= 40; different += 13) given_all(rref_root(ctx, to), different);
    end();
}

/* One handle shared again and again, and each receiver's kept: weights of all sizes, in whatever order they come back. */
static void shared_often(void)
{
    enum { TIMES = 100 };
    static const char *const logs[] = { "0", "2", "60" };
    for (size_t k = 0; k < 3; k++) {
        if (!begin_light(logs[k])) return;
        rref r = cell_on(next, 1);
        for (int i = 0; i < TIMES; i++) OK(rref_sync(rref_root(ctx, (rank + 2 + i) % size), "keep", rref_array(&r, 1)));
        OK(rref_release(r));
        MPI_Barrier(MPI_COMM_WORLD);
        CU_ASSERT_EQUAL(atomic_load(&alive), 1);
        MPI_Barrier(MPI_COMM_WORLD);
        OK(rref_sync(there, "drop_kept", KEPT));
        end();
    }
}

/* Messages of all ranks for a call of rank 0 to rank 1 that carries a reference, and calls it: the least of some tries, since a
 * credit may travel alone. */
static uint64_t messages_of_a_call(rref argument)
{
    uint64_t least = UINT64_MAX, sum;
    for (int i = 0; i < 20; i++) {
        MPI_Barrier(MPI_COMM_WORLD);
        uint64_t before = stats().messages_out;
        MPI_Barrier(MPI_COMM_WORLD);
        if (rank == 0) OK(rref_sync(rref_root(ctx, 1), "pass_on", argument, 0));
        MPI_Barrier(MPI_COMM_WORLD);
        uint64_t mine = stats().messages_out - before;
        MPI_Allreduce(&mine, &sum, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
        if (sum < least) least = sum;
    }
    return least;
}

/* So many that 32 bits do not count their bytes; nothing of them is looked at. */
static void more_than_a_message(void)
{
    const size_t many = 89478485;
    rref_error e;
    if (!begin()) return;
    rref *list = calloc(many, sizeof *list);
    if (list) {
        rref_future f = rref_async(there, "keep", rref_array(list, many));
        GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_RANGE);
        OK(rref_last_error(ctx, &e));
        OK(rref_future_release(f));
        CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "more references than fit a message"));
        GIVES(rref_post(there, "keep", rref_array(list, many)), RREF_ERR_RANGE);
    }
    free(list);
    end();
}

/* To share an object takes as many messages, also for the first call by whom it was shared with, as to name a rank, which is
 * not counted. The drops afterwards wait for company longer than this takes. */
static void a_share_costs_nothing(void)
{
    if (check_chaos("little weight costs refills")) return;
    setenv("RREF_RELEASE_DELAY", "1000000", 1);
    bool good = begin();
    unsetenv("RREF_RELEASE_DELAY");
    if (!good) return;
    if (size >= 3) {
        rref r = rank == 0 ? cell_on(size - 1, 1) : there;
        uint64_t shared = messages_of_a_call(r);
        CU_ASSERT_EQUAL(shared, messages_of_a_call(rref_root(ctx, size - 1)));
        CU_ASSERT_TRUE(shared >= 4);
        if (rank == 0) OK(rref_release(r));
    }
    end();
}

static bool is_confirmed(void *arg) { return rref_confirmed(*(rref *)arg) != RREF_ERR_PENDING; }

/* How many messages leave rank 0 until a thousand references are gone; they go by themselves. */
static uint64_t messages_of_drops(void)
{
    enum { MANY = 80 };                     /* what a message has room for */
    static rref all[MANY];
    uint64_t before = 0, after;
    if (rank == 0) {
        for (int i = 0; i < MANY; i++) all[i] = rref_create(ctx, size - 1, "cell", i);
        for (int i = 0; i < MANY; i++) CU_ASSERT_TRUE(check_until(is_confirmed, &all[i], 10));
        before = stats().messages_out;
        for (int i = 0; i < MANY; i++) OK(rref_release(all[i]));
    }
    MPI_Barrier(MPI_COMM_WORLD);
    CU_ASSERT_TRUE(check_until(is_shut, &alive, 10));
    MPI_Barrier(MPI_COMM_WORLD);
    after = stats().messages_out - before;
    MPI_Bcast(&after, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    return after;
}

/* More only if the thread that drops them is kept from its core for longer than they wait for company. */
static void a_thousand_drops(void)
{
    if (check_chaos("credits leave alone")) return;
    uint64_t least = UINT64_MAX;
    setenv("RREF_RELEASE_DELAY", "300000", 1);
    bool good = begin();
    unsetenv("RREF_RELEASE_DELAY");
    if (!good) return;
    for (int tries = 0; tries < 20 && least > 2; tries++) {
        uint64_t n = messages_of_drops();
        if (n < least) least = n;
    }
    CU_ASSERT_TRUE(least <= 2);
    end();
}

/* Created, shared, dropped by the creator, dropped by the sharer: 1, 2, 1, 0 references; one destructor, at the last step. */
static void create_share_drop_drop(void)
{
    int64_t n = -1;
    if (!begin()) return;
    rref user = rref_root(ctx, (rank + 2) % size), r = cell_on(next, 1);
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_sync(user, "keep", rref_array(&r, 1)));
    OK(rref_release(r));
    OK(rref_sync(there, "how_many", rref_out(&n)));
    CU_ASSERT_EQUAL(n, 1);
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_sync(user, "drop_kept", KEPT));
    end();
}

/* What was put on the wire goes back when a later argument cannot be. */
static void failed_calls(void)
{
    static const char *const logs[] = { "0", "4", "60" };
    for (size_t k = 0; k < 3; k++) {
        if (!begin_light(logs[k])) return;
        rref r = cell_on(next, 1), none = { 0 }, some[] = { r, r, none };
        GIVES(rref_sync(there, "ignore", r, rref_array(some, 3)), RREF_ERR_HANDLE);
        GIVES(rref_post(there, "ignore", r, rref_array(some, 3)), RREF_ERR_HANDLE);
        GIVES(rref_sync(there, "ignore", none, rref_array(some, 2)), RREF_ERR_HANDLE);
        rref_future f = rref_async(there, "ignore", r, rref_array(some, 3));
        GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_HANDLE);
        OK(rref_future_release(f));
        OK(rref_sync(there, "ignore", r, rref_array(some, 2)));     /* and what nobody reads */
        OK(rref_release(r));
        end();
    }
}

/* References given to a constructor that fails, and to methods of what it did not make. */
static void failed_constructions(void)
{
    static const char *const logs[] = { "0", "60" };
    for (size_t k = 0; k < 2; k++) {
        if (!begin_light(logs[k])) return;
        rref r = cell_on((rank + 2) % size, 1), broken = rref_create(ctx, next, "broken", r);
        for (int i = 0; i < 3; i++) GIVES(rref_sync(broken, "ignore", r, rref_array(&r, 1)), FAILURE);
        GIVES(rref_sync(there, "same", broken), FAILURE);
        OK(rref_release(broken));
        rref early = rref_create(ctx, next, "broken", r);
        rref_future f = rref_async(early, "ignore", r, rref_array(&r, 1));  /* sent before the failure is known */
        OK(rref_release(early));
        GIVES(rref_wait(f, RREF_FOREVER), FAILURE);
        OK(rref_future_release(f));
        OK(rref_release(r));
        end();
    }
}

/* The call is over before its answer comes, which carries a reference that nobody wants. */
static void timed_out_calls(void)
{
    static const char *const logs[] = { "0", "60" };
    for (size_t k = 0; k < 2; k++) {
        rref back = { 0 };
        if (!begin_light(logs[k])) return;
        rref r = cell_on((rank + 2) % size, 1);
        rref_future given_up = rref_async(there, "give_late", r), unread = rref_async(there, "give_late", r);
        GIVES(rref_invoke(rref_rpc_sync(there, 0.03), "give_late", r, rref_out(&back)), RREF_ERR_TIMEOUT);
        CU_ASSERT_EQUAL(back.bits, 0);
        OK(rref_cancel(given_up));
        GIVES(rref_test(given_up), RREF_ERR_CANCELLED);
        OK(rref_release(r));
        OK(rref_sync(there, "open"));
        OK(rref_wait(unread, RREF_FOREVER));
        OK(rref_future_release(given_up));
        OK(rref_future_release(unread));
        end();
    }
}

static void read_again_and_again(void)
{
    enum { READS = 20 };
    static const char *const logs[] = { "0", "1", "5", "60" };
    rref back[READS];
    int64_t n = 0;
    for (size_t k = 0; k < 4; k++) {
        if (!begin_light(logs[k])) return;
        rref r = cell_on((rank + 2) % size, 8);
        rref_future f = rref_async(there, "same", r);
        OK(rref_release(r));
        OK(rref_wait(f, RREF_FOREVER));
        for (int i = 0; i < READS; i++) OK(rref_get(f, rref_out(&back[i])));
        for (int i = 0; i < READS / 2; i++) OK(rref_release(back[i]));
        OK(rref_get(f, rref_out(&r)));
        OK(rref_sync(r, "get", rref_out(&n)));
        CU_ASSERT_EQUAL(n, 8);
        OK(rref_future_release(f));
        for (int i = READS / 2; i < READS; i++) OK(rref_sync(back[i], "get"));
        for (int i = READS / 2; i < READS; i++) OK(rref_release(back[i]));
        OK(rref_release(r));
        end();
    }
}

/* The last reference goes while a concurrent method runs: the destructor comes after it. */
static void a_concurrent_method_is_a_reference(void)
{
    if (!begin()) return;
    rref r = cell_on(next, 1);
    rref_future f = rref_async(r, "stay");
    OK(rref_release(r));
    MPI_Barrier(MPI_COMM_WORLD);
    CU_ASSERT_TRUE(check_until(is_open, &inside, 10));
    for (int i = 0; i < 2; i++) OK(rref_sync(there, "how_many"));   /* the release was in a message before */
    MPI_Barrier(MPI_COMM_WORLD);
    CU_ASSERT_EQUAL(atomic_load(&alive), 1);
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_sync(there, "open"));
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    end();
}

static rref chain(void)
{
    rref head = rref_create(ctx, rank, "cell", 1);
    for (int i = 1; i < LINKS; i++) {
        rref link = rref_create(ctx, (rank + i) % size, "link", head);
        OK(rref_release(head));
        head = link;
    }
    return head;
}

static void drops_by_destructors(void)
{
    static const char *const logs[] = { "0", "60" };
    for (size_t k = 0; k < 2; k++) {
        if (!begin_light(logs[k])) return;
        rref head = chain();
        OK(rref_sync(head, "get"));
        OK(rref_release(head));
        end();
    }
}

/* At the end the whole chain is destroyed, each link once, though its destructor still releases the next. */
static void destroyed_by_the_end(void)
{
    setenv("RREF_LOG", "error", 1);
    bool good = begin();
    unsetenv("RREF_LOG");
    if (!good) return;
    rref head = chain();
    OK(rref_sync(head, "get"));
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&alive), 0);
    CU_ASSERT_EQUAL(atomic_load(&wrong), 0);
    GIVES(rref_release(head), RREF_ERR_HANDLE);
}

/* A handle that is released is dead at once, also while it stays for those it vouches for. */
static void released_handles(void)
{
    rref_context *other = NULL;
    rref_error e;
    if (!begin_light("0")) return;
    rref r = cell_on(next, 1), back = { 0 };
    for (int i = 0; i < 3; i++) OK(rref_sync(there, "keep", rref_array(&r, 1)));
    OK(rref_release(r));
    GIVES(rref_release(r), RREF_ERR_HANDLE);
    GIVES(rref_retain(r), RREF_ERR_HANDLE);
    GIVES(rref_sync(r, "get"), RREF_ERR_HANDLE);
    GIVES(rref_sync(there, "same", r, rref_out(&back)), RREF_ERR_HANDLE);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "released"));
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_sync(there, "drop_kept", KEPT));
    OK(rref_init(MPI_COMM_SELF, &(rref_options){ .functions = functions }, &other));
    GIVES(rref_sync(rref_root(other, 0), "same", there, rref_out(&back)), RREF_ERR_HANDLE);
    OK(rref_last_error(other, &e));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "another context"));
    OK(rref_finalize(&other));
    end();
}

/* What finalize says on stderr, of this rank. */
static size_t end_listening(char *text, size_t room)
{
    FILE *file = tmpfile();
    int own = dup(STDERR_FILENO);
    size_t n = 0;
    if (!file || own < 0 || dup2(fileno(file), STDERR_FILENO) < 0) {
        CU_FAIL("stderr cannot be read");
        return 0;
    }
    int rc = rref_finalize(&ctx);
    fflush(stderr);
    dup2(own, STDERR_FILENO);
    close(own);
    OK(rc);
    rewind(file);
    n = fread(text, 1, room - 1, file);
    text[n] = 0;
    fclose(file);
    return n;
}

static void reported_at_the_end(void)
{
    char text[4096], wanted[128];
    if (!begin()) return;
    rref r = cell_on(next, 1), gone = cell_on(next, 2), back = { 0 };
    OK(rref_sync(there, "same", r, rref_out(&back)));
    OK(rref_release(gone));
    end_listening(text, sizeof text);
    snprintf(wanted, sizeof wanted, "still held at the end: cell@%d (%d.1), by rank %d for ", next, rank, rank);
    const char *first = strstr(text, wanted), *second = first ? strstr(first + 1, wanted) : NULL;
    CU_ASSERT_PTR_NOT_NULL(second);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "sharing.c:"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "received"));
    snprintf(wanted, sizeof wanted, "(%d.2)", rank);
    CU_ASSERT_PTR_NULL(strstr(text, wanted));
    CU_ASSERT_EQUAL(atomic_load(&alive), 0);
}

/* What objects hold comes behind, and is marked: so a cycle can be seen for what it is. */
static void held_by_objects(void)
{
    char text[4096];
    if (!begin()) return;
    rref r = cell_on(next, 1), link = rref_create(ctx, rank, "link", r);
    OK(rref_sync(link, "get"));
    OK(rref_release(r));
    end_listening(text, sizeof text);
    const char *own = strstr(text, "still held at the end: link@"), *by = strstr(text, "received in an object's method, ");
    CU_ASSERT_PTR_NOT_NULL(own);
    CU_ASSERT_PTR_NOT_NULL_FATAL(by);
    CU_ASSERT_PTR_NOT_NULL(strstr(by, "link.constructor"));
    CU_ASSERT_TRUE(own < by);
    CU_ASSERT_EQUAL(atomic_load(&alive), 0);
}

static void nothing_to_report(void)
{
    char text[4096];
    if (!begin()) return;
    OK(rref_release(cell_on(next, 1)));
    CU_ASSERT_EQUAL(end_listening(text, sizeof text), 0);
}

static const check_case cases[] = {
    { "many_hops", many_hops },
    { "many_hops_of_little_weight", many_hops_of_little_weight },
    { "shared_by_its_owner", shared_by_its_owner },
    { "shared_often", shared_often },
    { "several_times_in_a_message", several_times_in_a_message },
    { "more_than_a_message", more_than_a_message },
    { "a_share_costs_nothing", a_share_costs_nothing },
    { "a_thousand_drops", a_thousand_drops },
    { "create_share_drop_drop", create_share_drop_drop },
    { "failed_calls", failed_calls },
    { "failed_constructions", failed_constructions },
    { "timed_out_calls", timed_out_calls },
    { "read_again_and_again", read_again_and_again },
    { "a_concurrent_method_is_a_reference", a_concurrent_method_is_a_reference },
    { "drops_by_destructors", drops_by_destructors },
    { "destroyed_by_the_end", destroyed_by_the_end },
    { "released_handles", released_handles },
    { "reported_at_the_end", reported_at_the_end },
    { "held_by_objects", held_by_objects },
    { "nothing_to_report", nothing_to_report },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "sharing", cases); }
