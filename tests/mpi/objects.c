/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects and references: made, shared, passed on, dropped; destructors run exactly once, on the owner. */
#include <mpi.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

enum { FAILURE = RREF_ERR_USER - 5, KEPT = 16 };
#define OK CHECK_OK
#define GIVES CHECK_GIVES

static rref_context *ctx;
static int rank, size, next;
static rref there;

/* How many cells this rank has made and destroyed; destroyed too often shows in `twice`. */
static atomic_int made, destroyed, twice, gate;

typedef struct cell { _Atomic int64_t value; atomic_int alive; } cell;    /* peek looks at it while others run */

static int cell_create(rref_call *c, void **self)
{
    cell *new = calloc(1, sizeof *new);
    if (!new) return RREF_ERR_NO_MEMORY;
    new->value = rref_arg_i64(c, 0);
    atomic_store(&new->alive, 1);
    *self = new;
    atomic_fetch_add(&made, 1);
    return RREF_OK;
}

static void cell_destroy(void *self)
{
    cell *old = self;
    if (atomic_exchange(&old->alive, 0) != 1) atomic_fetch_add(&twice, 1);
    atomic_fetch_add(&destroyed, 1);
    free(old);
}

static int cell_get(rref_call *c, void *self) { return rref_return_i64(c, ((cell *)self)->value); }

static int cell_add(rref_call *c, void *self)
{
    cell *own = self;
    own->value += rref_arg_i64(c, 0);
    return rref_return_i64(c, own->value);
}

/* Without an object it would be a method that ran before its construction was over. */
static int cell_peek(rref_call *c, void *self) { return rref_return_i64(c, self ? ((cell *)self)->value : -1); }

static const rref_method cell_methods[] = {
    RREF_METHOD("peek", "-> i64", cell_peek, RREF_CONCURRENT),
    RREF_METHOD("get", "-> i64", cell_get, 0),
    RREF_METHOD("add", "i64 -> i64", cell_add, 0),
    RREF_METHODS_END
};
static const rref_class cell_class = RREF_CLASS("cell", "i64", cell_create, cell_destroy, cell_methods);

static int broken_create(rref_call *c, void **self)
{
    (void)self;
    return rref_fail(c, FAILURE, "Expected error");
}

static void broken_destroy(void *self) { (void)self, atomic_fetch_add(&twice, 1); }

static const rref_class broken_class = RREF_CLASS("broken", "", broken_create, broken_destroy, cell_methods);

/* Makes a cell, and a mistake. */
static int mistaken_create(rref_call *c, void **self)
{
    int rc = cell_create(c, self);
    (void)rref_arg_f64(c, 0);
    return rc;
}

static const rref_class mistaken_class = RREF_CLASS("mistaken", "i64", mistaken_create, cell_destroy, cell_methods);

static bool is_open(void *arg) { return atomic_load((atomic_int *)arg) > 0; }

static int slow_create(rref_call *c, void **self)
{
    if (!check_until(is_open, &gate, 20)) return RREF_ERR_STALLED;
    return cell_create(c, self);
}

static const rref_class slow_class = RREF_CLASS("slow", "i64", slow_create, cell_destroy, cell_methods);
static const rref_class wrapped_class = RREF_CLASS("wrapped", "", NULL, cell_destroy, cell_methods);
static const rref_class *const classes[] = { &cell_class, &broken_class, &mistaken_class, &slow_class, &wrapped_class, NULL };

/* ---- free functions: references handed around; kept ones wait in a list of this rank */

static rref kept[KEPT];
static atomic_int kept_count;

static int keep(rref_call *c, void *self)
{
    (void)self;
    rref r = rref_arg_ref(c, 0);
    int at = atomic_fetch_add(&kept_count, 1);
    if (at >= KEPT) return RREF_ERR_SHAPE;
    kept[at] = r;
    return rref_retain(r);
}

static int drop_kept(rref_call *c, void *self)
{
    (void)c, (void)self;
    int rc = RREF_OK, n = atomic_exchange(&kept_count, 0);
    for (int i = 0; i < n; i++) rc = rc ? rc : rref_release(kept[i]);
    return rc;
}

static int value_of(rref_call *c, void *self)
{
    int64_t n = 0;
    (void)self;
    int rc = rref_sync(rref_arg_ref(c, 0), "get", rref_out(&n));
    return rc ? rc : rref_return_i64(c, n);
}

static int sum_of(rref_call *c, void *self)
{
    size_t n;
    int64_t x = 0, sum = 0;
    (void)self;
    const rref *all = rref_arg_refs(c, 0, &n);
    for (size_t i = 0; i < n; i++) {
        int rc = rref_sync(all[i], "get", rref_out(&x));
        if (rc) return rc;
        sum += x;
    }
    return rref_return(c, sum, rref_array(all, n));
}

static int give_back(rref_call *c, void *self) { (void)self; return rref_return_ref(c, rref_arg_ref(c, 0)); }

static int is_mine(rref_call *c, void *self)
{
    void *own = NULL;
    (void)self;
    int rc = rref_local_value(rref_arg_ref(c, 0), &own);
    return rref_return(c, rref_is_owner(rref_arg_ref(c, 0)), rc, (uint64_t)(uintptr_t)own, rref_hash(rref_arg_ref(c, 0)));
}

static int make_one(rref_call *c, void *self)
{
    (void)self;
    rref_context *own = rref_call_context(c);
    rref new = rref_create(own, (rref_rank(own) + 1) % rref_size(own), "cell", rref_arg_i64(c, 0));
    int rc = rref_return_ref(c, new);
    rref_release(new);
    return rc;
}

static int counts(rref_call *c, void *self)
{
    (void)self;
    return rref_return(c, atomic_load(&made), atomic_load(&destroyed));
}

static int open_gate(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_store(&gate, 1);
    return RREF_OK;
}

static const rref_method functions[] = {
    RREF_METHOD("keep", "ref", keep, 0),
    RREF_METHOD("drop_kept", "", drop_kept, 0),
    RREF_METHOD("value_of", "ref -> i64", value_of, 0),
    RREF_METHOD("sum_of", "ref[] -> i64, ref[]", sum_of, 0),
    RREF_METHOD("give_back", "ref -> ref", give_back, 0),
    RREF_METHOD("is_mine", "ref -> bool, i32, u64, u64", is_mine, 0),
    RREF_METHOD("make_one", "i64 -> ref", make_one, 0),
    RREF_METHOD("counts", "-> i32, i32", counts, 0),
    RREF_METHOD("open", "", open_gate, RREF_INLINE),
    RREF_METHODS_END
};

static bool begin(void)
{
    rref_options options = { .classes = classes, .functions = functions };
    atomic_int *const counters[] = { &made, &destroyed, &twice, &gate, &kept_count };
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

static void end(void)
{
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&made), atomic_load(&destroyed));
    CU_ASSERT_EQUAL(atomic_load(&twice), 0);
}

/* Whether `*arg` cells have been destroyed on the next rank; each rank's cells here are made by one other rank only. */
static bool are_destroyed_there(void *arg)
{
    int32_t new = 0, old = 0;
    return rref_sync(there, "counts", rref_out(&new), rref_out(&old)) == RREF_OK && old >= *(int *)arg;
}

static int destroyed_there(void)
{
    int32_t new = 0, old = -1;
    OK(rref_sync(there, "counts", rref_out(&new), rref_out(&old)));
    return old;
}

/* ---- cases */

static void wrapped_object(void)
{
    int64_t n = 0;
    void *self = NULL;
    rref_statistics before, after;
    cell *own = calloc(1, sizeof *own);
    if (!own || !begin()) return;
    own->value = 10 + rank;
    atomic_store(&own->alive, 1);
    atomic_fetch_add(&made, 1);
    OK(rref_stats(ctx, &before));
    rref r = rref_wrap(ctx, "wrapped", own);
    OK(rref_stats(ctx, &after));
    CU_ASSERT_EQUAL(after.objects, before.objects + 1);
    MPI_Barrier(MPI_COMM_WORLD);            /* others create one here below */
    OK(rref_local_value(r, &self));
    CU_ASSERT_PTR_EQUAL(self, own);
    CU_ASSERT_TRUE(rref_is_owner(r));
    CU_ASSERT_EQUAL(rref_owner(r), rank);
    OK(rref_confirmed(r));
    OK(rref_sync(r, "get", rref_out(&n)));
    CU_ASSERT_EQUAL(n, 10 + rank);
    OK(rref_sync(there, "value_of", r, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 10 + rank);
    OK(rref_release(r));
    int one = 1;
    CU_ASSERT_TRUE(check_until(is_open, &destroyed, 5));
    CU_ASSERT_EQUAL(atomic_load(&destroyed), one);
    rref bad = rref_wrap(ctx, "no such class", &n);
    GIVES(rref_sync(bad, "get"), RREF_ERR_NO_CLASS);
    OK(rref_release(bad));
    rref none = rref_create(ctx, next, "wrapped");      /* has no constructor */
    CU_ASSERT_TRUE(rref_sync(none, "get") < 0);
    OK(rref_release(none));
    end();
}

static bool is_confirmed(void *arg) { return rref_confirmed(*(rref *)arg) != RREF_ERR_PENDING; }

static void created_object(void)
{
    int64_t n = 0;
    char text[64];
    void *self = NULL;
    int one = 1;
    if (!begin()) return;
    rref r = rref_create(ctx, next, "cell", 5);
    OK(rref_sync(r, "add", 2, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 7);
    CU_ASSERT_TRUE(check_until(is_confirmed, &r, 5));
    OK(rref_confirmed(r));
    CU_ASSERT_EQUAL(rref_owner(r), next);
    CU_ASSERT_EQUAL(rref_is_owner(r), next == rank);
    GIVES(rref_local_value(r, &self), next == rank ? RREF_OK : RREF_ERR_NOT_OWNER);
    int length = rref_format(r, text, sizeof text);
    CU_ASSERT_TRUE(length > 0 && (size_t)length == strlen(text));
    char start[32];
    snprintf(start, sizeof start, "cell@%d (%d.", next, rank);
    CU_ASSERT_EQUAL(strncmp(text, start, strlen(start)), 0);
    char few[4];
    CU_ASSERT_EQUAL(rref_format(r, few, sizeof few), length);
    CU_ASSERT_EQUAL(few[3], 0);
    rref_error e;
    GIVES(rref_error_of(r, &e), RREF_ERR_STATE);
    OK(rref_release(r));
    CU_ASSERT_TRUE(check_until(are_destroyed_there, &one, 5));
    end();
    CU_ASSERT_EQUAL(atomic_load(&destroyed), 1);
}

static void state_adds_up(void)
{
    int64_t n = 0;
    if (!begin()) return;
    rref r = rref_create(ctx, next, "cell", 0);
    for (int i = 1; i <= 100; i++) {
        if (i % 3 == 0) {
            rref_future f = rref_async(r, "add", i);
            OK(rref_wait(f, RREF_FOREVER));
            OK(rref_future_release(f));
        } else if (i % 3 == 1) {
            OK(rref_post(r, "add", i));
        } else {
            OK(rref_sync(r, "add", i, rref_out(&n)));
        }
    }
    OK(rref_sync(r, "get", rref_out(&n)));
    CU_ASSERT_EQUAL(n, 5050);
    GIVES(rref_sync(r, "no such method"), RREF_ERR_NO_METHOD);
    OK(rref_release(r));
    end();
}

static void failing_construction(void)
{
    rref_error e;
    void *self;
    if (!begin()) return;
    const int where[] = { next, rank };
    for (int i = 0; i < 2; i++) {
        rref r = rref_create(ctx, where[i], "broken");
        GIVES(rref_sync(r, "get"), FAILURE);
        CU_ASSERT_TRUE(check_until(is_confirmed, &r, 5));
        GIVES(rref_confirmed(r), FAILURE);
        OK(rref_error_of(r, &e));
        CU_ASSERT_EQUAL(e.code, FAILURE);
        CU_ASSERT_STRING_EQUAL(e.text, "Expected error");
        CU_ASSERT_EQUAL(e.rank, where[i]);
        rref_future f = rref_async(r, "get");
        GIVES(rref_wait(f, RREF_FOREVER), FAILURE);
        OK(rref_future_release(f));
        GIVES(rref_sync(there, "value_of", r), FAILURE);
        CU_ASSERT_TRUE(rref_local_value(r, &self) < 0);
        OK(rref_release(r));
    }
    rref r = rref_create(ctx, next, "cell", "text");
    GIVES(rref_sync(r, "get"), RREF_ERR_SIGNATURE);
    OK(rref_release(r));
    end();
}

/* What a constructor has made by the time that its call fails is destroyed, once. */
static void mistaken_construction(void)
{
    if (!begin()) return;
    rref r = rref_create(ctx, next, "mistaken", INT64_C(7));
    GIVES(rref_sync(r, "get"), RREF_ERR_SIGNATURE);
    OK(rref_release(r));
    end();
}

static void passed_to_its_owner(void)
{
    bool mine = false;
    int32_t rc = -1;
    uint64_t address = 0, hash = 0;
    if (!begin()) return;
    rref r = rref_create(ctx, next, "cell", 1);
    OK(rref_sync(r, "get"));
    OK(rref_sync(there, "is_mine", r, rref_out(&mine), rref_out(&rc), rref_out(&address), rref_out(&hash)));
    CU_ASSERT_TRUE(mine);
    CU_ASSERT_EQUAL(rc, RREF_OK);
    CU_ASSERT_NOT_EQUAL(address, 0);
    CU_ASSERT_EQUAL(hash, rref_hash(r));
    OK(rref_sync(rref_root(ctx, (rank + 2) % size), "is_mine", r, rref_out(&mine), rref_out(&rc), rref_out(&address),
                 rref_out(&hash)));
    CU_ASSERT_EQUAL(mine, (rank + 2) % size == next);
    CU_ASSERT_EQUAL(hash, rref_hash(r));
    OK(rref_release(r));
    end();
}

static void passed_around(void)
{
    int64_t n = 0;
    rref back = { 0 };
    if (!begin()) return;
    for (int owner = 0; owner < size; owner++) {
        rref r = rref_create(ctx, owner, "cell", 7), other = rref_create(ctx, owner, "cell", 7);
        for (int user = 0; user < size; user++) {
            rref root = rref_root(ctx, user);
            OK(rref_sync(root, "value_of", r, rref_out(&n)));
            CU_ASSERT_EQUAL(n, 7);
            OK(rref_sync(root, "give_back", r, rref_out(&back)));
            CU_ASSERT_TRUE(rref_same_object(r, back));
            CU_ASSERT_FALSE(rref_same_object(other, back));
            CU_ASSERT_EQUAL(rref_hash(r), rref_hash(back));
            OK(rref_sync(back, "get", rref_out(&n)));
            CU_ASSERT_EQUAL(n, 7);
            OK(rref_release(back));
        }
        OK(rref_release(r));
        OK(rref_sync(other, "get", rref_out(&n)));
        CU_ASSERT_EQUAL(n, 7);
        OK(rref_release(other));
    }
    OK(rref_sync(there, "make_one", 31, rref_out(&back)));
    OK(rref_sync(back, "get", rref_out(&n)));
    CU_ASSERT_EQUAL(n, 31);
    CU_ASSERT_EQUAL(rref_owner(back), (rank + 2) % size);
    OK(rref_release(back));
    rref_future f = rref_async(there, "give_back", there);
    OK(rref_wait(f, RREF_FOREVER));
    for (int i = 0; i < 3; i++) {
        OK(rref_get(f, rref_out(&back)));
        CU_ASSERT_TRUE(rref_same_object(back, there));
        OK(rref_release(back));
    }
    OK(rref_future_release(f));
    end();
}

static void arrays_of_references(void)
{
    rref r[6], back[6];
    int64_t sum = 0;
    size_t n = 0;
    if (!begin()) return;
    for (int i = 0; i < 5; i++) r[i] = rref_create(ctx, (rank + i) % size, "cell", 1 << i);
    r[5] = r[0];                                        /* the same twice in one message */
    OK(rref_sync(there, "sum_of", rref_array(r, 6), rref_out(&sum), rref_out_array(back, 6, &n)));
    CU_ASSERT_EQUAL(sum, 32);
    CU_ASSERT_EQUAL(n, 6);
    for (size_t i = 0; i < n; i++) {
        CU_ASSERT_TRUE(rref_same_object(r[i], back[i]));
        OK(rref_release(back[i]));
    }
    rref_future f = rref_async(there, "sum_of", rref_array(r, 6));
    OK(rref_wait(f, RREF_FOREVER));
    for (int k = 0; k < 2; k++) {                       /* further handles each time */
        OK(rref_get(f, rref_out(&sum), rref_out_array(back, 6, &n)));
        for (size_t i = 0; i < n; i++) OK(rref_release(back[i]));
    }
    OK(rref_future_release(f));
    OK(rref_future_release(rref_async(there, "sum_of", rref_array(r, 6))));     /* nobody takes the result */
    for (int i = 0; i < 5; i++) OK(rref_release(r[i]));
    end();
}

/* Created, shared, dropped by the creator, dropped by the one it was shared with. */
static void destructor_after_the_last(void)
{
    int64_t n = 0;
    int one = 1;
    if (!begin()) return;
    rref user = rref_root(ctx, (rank + 2) % size);
    rref r = rref_create(ctx, next, "cell", 3);
    OK(rref_retain(r));
    OK(rref_release(r));
    OK(rref_sync(r, "get", rref_out(&n)));
    CU_ASSERT_EQUAL(n, 3);
    OK(rref_sync(user, "keep", r));
    OK(rref_release(r));
    CU_ASSERT_EQUAL(destroyed_there(), 0);
    MPI_Barrier(MPI_COMM_WORLD);
    CU_ASSERT_EQUAL(destroyed_there(), 0);
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_sync(user, "drop_kept"));
    CU_ASSERT_TRUE(check_until(are_destroyed_there, &one, 5));
    MPI_Barrier(MPI_COMM_WORLD);
    CU_ASSERT_EQUAL(atomic_load(&destroyed), 1);
    end();
    CU_ASSERT_EQUAL(atomic_load(&destroyed), 1);
}

static void dropped_before_confirmed(void)
{
    enum { MANY = 50 };
    int all = MANY + 1;
    if (!begin()) return;
    for (int i = 0; i < MANY; i++) {
        rref r = rref_create(ctx, next, "cell", i);
        if (i % 2) OK(rref_post(r, "add", 1));
        if (i % 5 == 0) OK(rref_post(rref_root(ctx, (rank + 2) % size), "value_of", r));
        OK(rref_release(r));
    }
    rref slow = rref_create(ctx, next, "slow", 1);
    OK(rref_release(slow));
    OK(rref_sync(there, "open"));
    CU_ASSERT_TRUE(check_until(are_destroyed_there, &all, 5));
    end();
    CU_ASSERT_EQUAL(atomic_load(&destroyed), all);
}

static void slow_construction(void)
{
    int64_t n = 0;
    void *self;
    if (!begin()) return;
    rref r = rref_create(ctx, next, "slow", 9);
    GIVES(rref_confirmed(r), RREF_ERR_PENDING);
    CU_ASSERT_TRUE(rref_local_value(r, &self) < 0);
    int64_t peeked = 0;
    rref_future early = rref_async(r, "peek", rref_out(&peeked));
    OK(rref_set_timeout(ctx, 0.03));
    GIVES(rref_sync(r, "get", rref_out(&n)), RREF_ERR_TIMEOUT);
    OK(rref_set_timeout(ctx, RREF_FOREVER));
    rref_future f = rref_async(r, "add", 1);
    OK(rref_sync(there, "open"));
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_wait(early, RREF_FOREVER));
    CU_ASSERT_TRUE(peeked == 9 || peeked == 10);    /* beside add */
    OK(rref_future_release(f));
    OK(rref_future_release(early));
    OK(rref_sync(r, "get", rref_out(&n)));
    CU_ASSERT_EQUAL(n, 10);
    OK(rref_release(r));
    end();
}

static void bad_handles(void)
{
    char text[8];
    void *self;
    rref_error e;
    if (!begin()) return;
    rref released = rref_create(ctx, next, "cell", 1), zero = { 0 }, wild = { UINT64_MAX };
    OK(rref_sync(released, "get"));
    OK(rref_release(released));
    rref newer = rref_create(ctx, next, "cell", 2);
    rref_future f = rref_async(there, "counts");
    OK(rref_wait(f, RREF_FOREVER));
    const rref bad[] = { released, zero, wild, { f.bits } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        GIVES(rref_release(bad[i]), RREF_ERR_HANDLE);
        GIVES(rref_retain(bad[i]), RREF_ERR_HANDLE);
        GIVES(rref_owner(bad[i]), RREF_ERR_HANDLE);
        GIVES(rref_local_value(bad[i], &self), RREF_ERR_HANDLE);
        GIVES(rref_confirmed(bad[i]), RREF_ERR_HANDLE);
        GIVES(rref_error_of(bad[i], &e), RREF_ERR_HANDLE);
        GIVES(rref_format(bad[i], text, sizeof text), RREF_ERR_HANDLE);
        GIVES(rref_sync(bad[i], "get"), RREF_ERR_HANDLE);
        GIVES(rref_post(bad[i], "get"), RREF_ERR_HANDLE);
        GIVES(rref_sync(there, "value_of", bad[i]), RREF_ERR_HANDLE);
        GIVES(rref_sync(rref_bind(bad[i], "get")), RREF_ERR_HANDLE);
        CU_ASSERT_FALSE(rref_is_owner(bad[i]));
        CU_ASSERT_FALSE(rref_same_object(bad[i], bad[i]));
        CU_ASSERT_EQUAL(rref_hash(bad[i]), 0);
    }
    OK(rref_future_release(f));
    OK(rref_sync(newer, "get"));
    OK(rref_release(newer));
    GIVES(rref_release(newer), RREF_ERR_HANDLE);
    end();
}

static const check_case cases[] = {
    { "wrapped_object", wrapped_object },
    { "created_object", created_object },
    { "state_adds_up", state_adds_up },
    { "failing_construction", failing_construction },
    { "mistaken_construction", mistaken_construction },
    { "passed_to_its_owner", passed_to_its_owner },
    { "passed_around", passed_around },
    { "arrays_of_references", arrays_of_references },
    { "destructor_after_the_last", destructor_after_the_last },
    { "dropped_before_confirmed", dropped_before_confirmed },
    { "slow_construction", slow_construction },
    { "bad_handles", bad_handles },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "objects", cases); }
