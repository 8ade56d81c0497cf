/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects fetched by to_here, entered, and asked whether they exist; what classes with flags and hooks do. */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { FAILURE = RREF_ERR_USER - 4, BAD = -1, BAD_TO_UNPACK = -2, SLOW_TO_UNPACK = -3 };

static int rank, ranks, next;
static rref_context *ctx;
static rref there;
static atomic_int made, destroyed, overlaps, gate, peeks;

static bool is_open(void *arg) { return atomic_load((atomic_int *)arg) > 0; }

/* ---- tracks: objects of a class with hooks, that see to it that nothing else runs on them */

typedef struct track { uint64_t n; double *at; char name[16]; int64_t calls; atomic_int inside; } track;

static void enter(track *t) { if (atomic_fetch_add(&t->inside, 1) > 0) atomic_fetch_add(&overlaps, 1); }
static void leave(track *t) { atomic_fetch_sub(&t->inside, 1); }

static track *track_new(uint64_t n, const char *name)
{
    track *t = calloc(1, sizeof *t);
    t->n = n;
    t->at = calloc(n ? n : 1, sizeof *t->at);
    strncpy(t->name, name, sizeof t->name - 1);
    atomic_fetch_add(&made, 1);
    return t;
}

static int track_create(rref_call *c, void **self)
{
    *self = track_new(rref_arg_u64(c, 0), rref_arg_str(c, 1));
    return RREF_OK;
}

static void track_destroy(void *self)
{
    track *t = self;
    free(t->at);
    free(t);
    atomic_fetch_add(&destroyed, 1);
}

static int track_set(rref_call *c, void *self)
{
    track *t = self;
    size_t n;
    const double *x = rref_arg_f64s(c, 0, &n);
    enter(t);
    memcpy(t->at, x, (n < t->n ? n : t->n) * sizeof *x);
    t->calls++;
    leave(t);
    return RREF_OK;
}

static int track_sum(rref_call *c, void *self)
{
    const track *t = self;
    double sum = 0;
    for (size_t i = 0; i < t->n; i++) sum += t->at[i];
    return rref_return(c, sum, t->name, t->calls);
}

static int track_pack(rref_call *c, void *self)
{
    track *t = self;
    enter(t);
    int rc = rref_return(c, t->name, t->calls);
    if (rc == RREF_OK) rc = rref_return_borrowed(c, t->at, t->n);
    leave(t);
    return t->calls == BAD ? rref_fail(c, FAILURE, "cannot be packed") : rc;
}

static int track_unpack(rref_call *c, void **self)
{
    size_t n;
    const double *x = rref_arg_f64s(c, 2, &n);
    if (rref_arg_i64(c, 1) == BAD_TO_UNPACK) return rref_fail(c, FAILURE - 1, "cannot be unpacked");
    if (rref_arg_i64(c, 1) == SLOW_TO_UNPACK) {
        if (rref_time_left(c) == RREF_FOREVER) return rref_fail(c, FAILURE - 3, "has no limit");
        if (!check_until(is_open, &gate, 20)) return RREF_ERR_STALLED;
    }
    track *t = track_new(n, rref_arg_str(c, 0));
    memcpy(t->at, x, n * sizeof *x);
    t->calls = rref_arg_i64(c, 1);
    *self = t;
    return RREF_OK;
}

static int track_mark(rref_call *c, void *self) { return ((track *)self)->calls = rref_arg_i64(c, 0), RREF_OK; }

static const rref_method track_methods[] = {
    RREF_METHOD("set", "f64[]", track_set, 0),
    RREF_METHOD("sum", "-> f64, str, i64", track_sum, 0),
    RREF_METHOD("mark", "i64", track_mark, 0),
    RREF_METHODS_END
};
static const rref_hooks track_hooks = { .signature = "str, i64, f64[]", .pack = track_pack, .unpack = track_unpack };
static const rref_class track_class =
    RREF_CLASS_EX("track", "u64, str", track_create, track_destroy, track_methods, RREF_REENTRANT, &track_hooks);

/* ---- plain: no hooks; its constructor waits for a gate, or fails */

static int plain_create(rref_call *c, void **self)
{
    int64_t kind = rref_arg_i64(c, 0);
    if (kind < 0) return rref_fail(c, FAILURE, "Expected error");
    if (kind > 0 && !check_until(is_open, &gate, 30)) return RREF_ERR_STALLED;
    *self = malloc(sizeof(int64_t));
    *(int64_t *)*self = 11;
    atomic_fetch_add(&made, 1);
    return RREF_OK;
}

static void plain_destroy(void *self) { free(self), atomic_fetch_add(&destroyed, 1); }
static int plain_get(rref_call *c, void *self) { return rref_return(c, *(int64_t *)self); }

static int plain_peek(rref_call *c, void *self)
{
    atomic_fetch_add(&peeks, 1);
    return self ? rref_return(c, *(int64_t *)self) : rref_fail(c, FAILURE - 2, "nothing there yet");
}

static const rref_method plain_methods[] = {
    RREF_METHOD("get", "-> i64", plain_get, 0), RREF_METHOD("peek", "-> i64", plain_peek, RREF_CONCURRENT), RREF_METHODS_END
};
static const rref_class plain_class = RREF_CLASS("plain", "i64", plain_create, plain_destroy, plain_methods);

/* ---- sealed: promises not to defer, and breaks it */

static int sealed_create(rref_call *c, void **self) { return (void)c, *self = &made, RREF_OK; }

static int sealed_later(rref_call *c, void *self)
{
    (void)self;
    rref_deferred d = rref_defer(c);
    return d.bits ? RREF_PENDING : RREF_OK;
}

static int sealed_now(rref_call *c, void *self) { return (void)self, rref_return(c, 5); }

static const rref_method sealed_methods[] = {
    RREF_METHOD("later", "", sealed_later, 0), RREF_METHOD("now", "-> i64", sealed_now, 0), RREF_METHODS_END
};
static const rref_class sealed_class = RREF_CLASS_EX("sealed", "", sealed_create, NULL, sealed_methods, RREF_SEALED, NULL);

static const rref_class *const classes[] = { &track_class, &plain_class, &sealed_class, NULL };

/* ---- free functions */

static int open_gate(rref_call *c, void *self) { return (void)c, (void)self, atomic_store(&gate, 1), RREF_OK; }
static int peeked(rref_call *c, void *self) { return (void)self, rref_return(c, atomic_load(&peeks)); }

/* What a rank learns that was given the reference: whether it exists, after asking. */
static int ask(rref_call *c, void *self)
{
    (void)self;
    rref r = rref_arg_ref(c, 0);
    rref_future f = rref_creation(r);
    int before = rref_confirmed(r), rc = rref_wait(f, RREF_FOREVER), after = rref_confirmed(r);
    rref_future_release(f);
    return rref_return(c, before, rc, after);
}

static const rref_method functions[] = {
    RREF_METHOD("open_gate", "", open_gate, RREF_INLINE),
    RREF_METHOD("peeked", "-> i64", peeked, RREF_INLINE),
    RREF_METHOD("ask", "ref -> i32, i32, i32", ask, 0),
    RREF_METHODS_END
};

static bool begin_with(const char *progress, const rref_class *const *own)
{
    const rref_options o = { .functions = functions, .classes = own, .progress = progress };
    ctx = NULL;
    atomic_store(&made, 0), atomic_store(&destroyed, 0), atomic_store(&gate, 0), atomic_store(&peeks, 0);
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_init(MPI_COMM_WORLD, &o, &ctx));
    if (!ctx) return false;
    rank = rref_rank(ctx);
    ranks = rref_size(ctx);
    next = (rank + 1) % ranks;
    there = rref_root(ctx, next);
    return true;
}

static bool begin_driven(const char *progress) { return begin_with(progress, classes); }

static bool begin(void) { return begin_driven(NULL); }

static bool none_left(void *arg)
{
    rref_statistics s;
    (void)arg;
    rref_progress(ctx);
    return rref_stats(ctx, &s) == RREF_OK && s.objects == 0 && s.futures == 0;
}

/* What was made here is gone before the end sees to it. */
static void end(void)
{
    CU_ASSERT_TRUE(check_until(none_left, NULL, 20));
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&made), atomic_load(&destroyed));
    CU_ASSERT_EQUAL(atomic_load(&overlaps), 0);
}

/* ---- cases */

static void expect_track(rref r, double wanted, const char *name)
{
    double sum = -1;
    int64_t calls = 0;
    char text[16] = "";
    OK(rref_sync(r, "sum", rref_out(&sum), rref_out_str(text, sizeof text), rref_out(&calls)));
    CU_ASSERT_EQUAL(sum, wanted);
    CU_ASSERT_EQUAL(calls, 1);
    CU_ASSERT_STRING_EQUAL(text, name);
}

static void copy_of(size_t n)
{
    rref here = { 0 }, also = { 0 };
    void *self = NULL;
    double *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (double)i;
    rref r = rref_create(ctx, next, "track", (uint64_t)n, "main");
    OK(rref_post(r, "set", rref_array(x, n)));
    OK(rref_to_here(r, rref_out(&here)));
    CU_ASSERT_EQUAL(rref_owner(here), rank);
    CU_ASSERT_EQUAL(rref_same_object(r, here), ranks == 1);        /* on its owner it is the object itself */
    expect_track(here, (double)n * (double)(n - 1) / 2, "main");
    OK(rref_local_value(here, &self));
    CU_ASSERT_EQUAL(((track *)self)->n, n);
    memset(x, 0, n * sizeof *x);
    OK(rref_sync(here, "set", rref_array(x, n)));
    rref_future f = rref_to_here_async(rref_rpc_async(r, 60));
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_get(f, rref_out(&also)));
    if (ranks > 1) expect_track(also, (double)n * (double)(n - 1) / 2, "main");
    OK(rref_release(also));
    OK(rref_get(f, rref_out(&also)));
    OK(rref_future_release(f));
    OK(rref_release(r));
    if (ranks > 1) expect_track(also, (double)n * (double)(n - 1) / 2, "main");
    OK(rref_release(also));
    OK(rref_release(here));
    free(x);
}

static void copied(void)
{
    const char *const driven[] = { NULL, "application" };
    for (int i = 0; i < 2; i++) {
        if (!begin_driven(driven[i])) return;
        copy_of(10);
        copy_of(100000);
        end();
    }
}

/* On its owner it is the object itself, with or without hooks, when it exists. */
static void own(void)
{
    int64_t n = 0;
    void *a = NULL, *b = NULL;
    if (!begin()) return;
    rref r = rref_create(ctx, rank, "plain", 1), same = { 0 };
    GIVES(rref_to_here(rref_rpc_sync(r, 0.02), rref_out(&same)), RREF_ERR_TIMEOUT);
    rref_future f = rref_to_here_async(r);
    atomic_store(&gate, 1);
    OK(rref_to_here(r, rref_out(&same)));
    CU_ASSERT_TRUE(rref_same_object(r, same));
    OK(rref_local_value(r, &a));
    OK(rref_release(r));
    OK(rref_local_value(same, &b));
    CU_ASSERT_PTR_EQUAL(a, b);
    OK(rref_release(same));
    OK(rref_wait(f, RREF_FOREVER));             /* the future keeps it, too */
    OK(rref_get(f, rref_out(&same)));
    OK(rref_future_release(f));
    OK(rref_sync(same, "get", rref_out(&n)));
    CU_ASSERT_EQUAL(n, 11);
    OK(rref_release(same));
    r = rref_create(ctx, rank, "plain", -1);
    GIVES(rref_to_here(r, rref_out(&same)), FAILURE);
    OK(rref_release(r));
    int64_t *local = malloc(sizeof *local);
    *local = 4;
    atomic_fetch_add(&made, 1);
    r = rref_wrap(ctx, "plain", local);
    OK(rref_to_here(r, rref_out(&same)));
    OK(rref_local_value(same, &b));
    CU_ASSERT_PTR_EQUAL(b, local);
    OK(rref_release(same));
    OK(rref_release(r));
    end();
}

static void not_copied(void)
{
    rref here = { 0 };
    rref_error e;
    int64_t n;
    if (!begin()) return;
    if (ranks > 1) {
        rref r = rref_create(ctx, next, "plain", 0);
        GIVES(rref_to_here(r, rref_out(&here)), RREF_ERR_NO_METHOD);
        OK(rref_last_error(ctx, &e));
        CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "class plain has no pack"));
        OK(rref_release(r));
        GIVES(rref_to_here(there, rref_out(&here)), RREF_ERR_NO_METHOD);
        r = rref_create(ctx, next, "track", UINT64_C(3), "x");
        GIVES(rref_to_here(r, rref_out(&n)), RREF_ERR_SIGNATURE);
        OK(rref_to_here(r));                    /* a copy that nobody takes */
        OK(rref_post(r, "mark", BAD));
        GIVES(rref_to_here(r, rref_out(&here)), FAILURE);
        OK(rref_last_error(ctx, &e));
        CU_ASSERT_STRING_EQUAL(e.text, "cannot be packed");
        CU_ASSERT_EQUAL(e.rank, next);
        OK(rref_post(r, "mark", BAD_TO_UNPACK));
        GIVES(rref_to_here(r, rref_out(&here)), FAILURE - 1);
        OK(rref_last_error(ctx, &e));
        CU_ASSERT_STRING_EQUAL(e.text, "cannot be unpacked");
        CU_ASSERT_STRING_EQUAL(e.where, "track.unpack");
        CU_ASSERT_EQUAL(e.rank, rank);
        CU_ASSERT_EQUAL(here.bits, 0);
        OK(rref_release(r));
    }
    for (int at = 0; at < ranks; at++) {
        rref r = rref_create(ctx, at, "plain", -1);
        GIVES(rref_to_here(r, rref_out(&here)), FAILURE);
        OK(rref_last_error(ctx, &e));
        CU_ASSERT_STRING_EQUAL(e.text, "Expected error");
        OK(rref_release(r));
    }
    OK(rref_to_here(rref_root(ctx, rank), rref_out(&here)));
    CU_ASSERT_TRUE(rref_same_object(here, rref_root(ctx, rank)));
    end();
}

/* Packing waits for its turn: it never runs beside a method. */
static void exclusive(void)
{
    enum { MANY = 60 };
    rref_future f[MANY];
    const double x[] = { 1, 2, 3, 4 };
    if (!begin()) return;
    rref r = rref_create(ctx, next, "track", UINT64_C(4), "busy");
    for (int i = 0; i < MANY; i++) f[i] = i % 3 ? rref_async(r, "set", rref_array(x, 4)) : rref_to_here_async(r);
    OK(rref_wait_all(f, MANY, RREF_FOREVER));
    for (int i = 0; i < MANY; i++) OK(rref_future_release(f[i]));
    OK(rref_release(r));
    end();
}

/* An object that is still being made, against short times; then the same handle works. */
static void slow(void)
{
    int64_t n = 0;
    int before = 0, rc = -1, after = 0;
    rref_future f[8];
    if (!begin()) return;
    rref r = rref_create(ctx, next, "plain", 1), cell = { 0 };
    GIVES(rref_sync(rref_root(ctx, next), "peeked", rref_out(&n)), RREF_OK);
    for (int i = 0; i < 8; i++) f[i] = rref_async(r, "peek");       /* concurrent, and yet not beside the constructor */
    GIVES(rref_invoke(rref_rpc_sync(r, 0.02), "get", rref_out(&n)), RREF_ERR_TIMEOUT);
    GIVES(rref_to_here(rref_rpc_sync(r, 0.02), rref_out(&cell)), RREF_ERR_TIMEOUT);
    rref_future made_there = rref_creation(r);
    GIVES(rref_wait(made_there, 0.02), RREF_ERR_PENDING);
    rref_future asked = rref_async(rref_root(ctx, (rank + 2) % ranks), "ask", r);
    OK(rref_sync(there, "open_gate"));
    OK(rref_wait(made_there, RREF_FOREVER));
    for (int i = 0; i < 8; i++) {
        OK(rref_wait(f[i], RREF_FOREVER));
        OK(rref_get(f[i], rref_out(&n)));
        CU_ASSERT_EQUAL(n, 11);
        OK(rref_future_release(f[i]));
    }
    OK(rref_wait(asked, RREF_FOREVER));
    OK(rref_get(asked, rref_out(&before), rref_out(&rc), rref_out(&after)));
    CU_ASSERT_TRUE(before == RREF_OK || before == RREF_ERR_PENDING);
    CU_ASSERT_EQUAL(rc, RREF_OK);
    CU_ASSERT_EQUAL(after, RREF_OK);
    OK(rref_sync(r, "get", rref_out(&n)));
    OK(rref_future_release(asked));
    OK(rref_future_release(made_there));
    OK(rref_release(r));
    for (int at = 0; at < ranks; at++) {
        rref bad = rref_create(ctx, at, "plain", -1);
        asked = rref_async(there, "ask", bad);
        int sent = rref_wait(asked, RREF_FOREVER);
        if (sent == RREF_OK) {
            OK(rref_get(asked, rref_out(&before), rref_out(&rc), rref_out(&after)));
            CU_ASSERT_EQUAL(rc, FAILURE);
        } else {
            CU_ASSERT_EQUAL(sent, FAILURE);                         /* it was known before it could be sent */
        }
        OK(rref_future_release(asked));
        OK(rref_release(bad));
    }
    end();
}

static void sealed(void)
{
    int64_t n = 0;
    rref_error e;
    if (!begin()) return;
    for (int i = 0; i < 2; i++) {
        rref r = rref_create(ctx, i ? rank : next, "sealed");
        for (int twice = 0; twice < 2; twice++) {
            GIVES(rref_sync(r, "later"), RREF_ERR_STATE);
            OK(rref_last_error(ctx, &e));
            CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "class sealed is sealed"));
        }
        rref result = rref_remote(r, "later");
        GIVES(rref_to_here(result), RREF_ERR_STATE);
        OK(rref_release(result));
        OK(rref_sync(r, "now", rref_out(&n)));
        CU_ASSERT_EQUAL(n, 5);
        OK(rref_release(r));
    }
    end();
}

/* ---- entering */

typedef struct visit { rref at; int entered, left, refused; } visit;

static void *visitor(void *arg)
{
    visit *v = arg;
    void *self;
    v->refused = rref_leave(v->at);
    for (int i = 0; i < 200; i++) {
        if (rref_enter(v->at, RREF_FOREVER, &self)) continue;
        enter(self);
        v->entered++;
        leave(self);
        if (rref_leave(v->at) == RREF_OK) v->left++;
    }
    return NULL;
}

static void occupied(void)
{
    enum { THREADS = 3 };
    const double x[] = { 1 };
    void *self = NULL, *again = NULL;
    visit v[THREADS];
    pthread_t t[THREADS];
    if (!begin()) return;
    rref r = rref_create(ctx, rank, "track", UINT64_C(1), "own"), far = rref_create(ctx, next, "track", UINT64_C(1), "far");
    GIVES(rref_leave(r), RREF_ERR_STATE);
    OK(rref_enter(r, RREF_FOREVER, &self));
    GIVES(rref_enter(r, 0.01, &again), RREF_ERR_STATE);
    rref_future f = rref_async(r, "set", rref_array(x, 1));
    GIVES(rref_wait(f, 0.02), RREF_ERR_PENDING);
    CU_ASSERT_EQUAL(((track *)self)->calls, 0);
    OK(rref_leave(r));
    GIVES(rref_leave(r), RREF_ERR_STATE);
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    if (ranks > 1) {
        GIVES(rref_enter(far, 1, &self), RREF_ERR_NOT_OWNER);
        GIVES(rref_leave(far), RREF_ERR_NOT_OWNER);
    }
    GIVES(rref_enter(r, -3, &self), RREF_ERR_ARGUMENT);
    GIVES(rref_enter(r, 1, NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_enter((rref){ 0 }, 1, &self), RREF_ERR_HANDLE);
    GIVES(rref_leave((rref){ 0 }), RREF_ERR_HANDLE);
    GIVES(rref_enter(rref_root(ctx, rank), 1, &self), RREF_ERR_STATE);
    for (int i = 0; i < THREADS; i++) {
        v[i] = (visit){ .at = r };
        pthread_create(&t[i], NULL, visitor, &v[i]);
    }
    for (int i = 0; i < 200; i++) OK(rref_sync(r, "set", rref_array(x, 1)));
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
        CU_ASSERT_TRUE(v[i].entered == 200 && v[i].left == 200);
        CU_ASSERT_EQUAL(v[i].refused, RREF_ERR_STATE);
    }
    OK(rref_release(r));
    OK(rref_release(far));
    end();
}

static void *late_visitor(void *arg)
{
    visit *v = arg;
    void *self;
    v->entered = rref_enter(v->at, 0.05, &self);
    return NULL;
}

/* Who gives up does not get the object later; and an object to come is waited for. */
static void given_up(void)
{
    void *self = NULL;
    visit v;
    pthread_t t;
    int64_t n = 0;
    if (!begin()) return;
    rref r = rref_create(ctx, rank, "plain", 1);
    GIVES(rref_enter(r, 0.02, &self), RREF_ERR_TIMEOUT);
    atomic_store(&gate, 1);
    OK(rref_enter(r, RREF_FOREVER, &self));
    CU_ASSERT_EQUAL(*(int64_t *)self, 11);
    v = (visit){ .at = r };
    pthread_create(&t, NULL, late_visitor, &v);
    pthread_join(t, NULL);
    CU_ASSERT_EQUAL(v.entered, RREF_ERR_TIMEOUT);
    OK(rref_leave(r));
    OK(rref_sync(r, "get", rref_out(&n)));
    OK(rref_enter(r, 30, &self));
    OK(rref_leave(r));
    OK(rref_release(r));
    r = rref_create(ctx, rank, "plain", -1);
    GIVES(rref_enter(r, RREF_FOREVER, &self), FAILURE);
    OK(rref_release(r));
    end();
}

static bool are_destroyed(void *arg) { return atomic_load(&destroyed) == *(int *)arg; }

/* The last handle goes while a thread is in the object: that stays until the thread leaves, and then goes. */
static void released_inside(void)
{
    void *self = NULL, *again = NULL;
    if (!begin()) return;
    for (int way = 0; way < 2; way++) {
        int before = atomic_load(&destroyed), after = before + 1;
        rref r = rref_create(ctx, rank, "track", UINT64_C(1), "own");
        OK(rref_enter(r, RREF_FOREVER, &self));
        if (way) OK(rref_retain(r));
        for (int i = 0; i <= way; i++) OK(rref_release(r));
        GIVES(rref_release(r), RREF_ERR_HANDLE);
        GIVES(rref_enter(r, 0, &again), RREF_ERR_HANDLE);
        CU_ASSERT_EQUAL(((track *)self)->calls, 0);
        CU_ASSERT_EQUAL(atomic_load(&destroyed), before);
        OK(rref_leave(r));
        CU_ASSERT_TRUE(check_until(are_destroyed, &after, 10));
        GIVES(rref_leave(r), RREF_ERR_HANDLE);
    }
    end();
}

/* Who has read a class from afar has no hooks of it, until it is registered. */
static void class_of_another(void)
{
    double sum;
    int64_t calls;
    char text[16] = "";
    int own_rank, all;
    MPI_Comm_rank(MPI_COMM_WORLD, &own_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &all);
    if (!begin_with(NULL, own_rank == all - 1 ? classes : NULL)) return;
    if (rank == 0 && ranks > 1) {
        rref copy = { 0 }, r = rref_create(ctx, ranks - 1, "track", UINT64_C(2), "far");
        OK(rref_sync(r, "sum", rref_out(&sum), rref_out_str(text, sizeof text), rref_out(&calls)));
        GIVES(rref_to_here(r, rref_out(&copy)), RREF_ERR_NO_CLASS);
        OK(rref_register(ctx, &track_class));
        OK(rref_to_here(r, rref_out(&copy)));
        OK(rref_sync(copy, "sum", rref_out(&sum), rref_out_str(text, sizeof text), rref_out(&calls)));
        CU_ASSERT_STRING_EQUAL(text, "far");
        OK(rref_release(copy));
        OK(rref_release(r));
    }
    end();
}

/* Its time is over while unpack runs here; what comes late goes. */
static void slow_to_unpack(void)
{
    rref copy = { 0 };
    rref_error e;
    if (!begin()) return;
    rref r = rref_create(ctx, next, "track", UINT64_C(3), "slow");
    OK(rref_sync(r, "mark", (int64_t)SLOW_TO_UNPACK));
    if (ranks > 1) {
        GIVES(rref_to_here(rref_rpc_sync(r, 0.1), rref_out(&copy)), RREF_ERR_TIMEOUT);
        OK(rref_last_error(ctx, &e));
        CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "unpacked"));
        rref_future f = rref_to_here_async(rref_rpc_async(r, 0.1));
        GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_TIMEOUT);
        OK(rref_future_release(f));
    }
    atomic_store(&gate, 1);
    OK(rref_to_here(rref_rpc_sync(r, 20), rref_out(&copy)));
    OK(rref_release(copy));
    OK(rref_release(r));
    end();
}

static const check_case cases[] = {
    { "class_of_another", class_of_another }, { "slow_to_unpack", slow_to_unpack },
    { "copied", copied }, { "own", own }, { "not_copied", not_copied }, { "exclusive", exclusive }, { "slow", slow },
    { "sealed", sealed }, { "occupied", occupied }, { "given_up", given_up },
    { "released_inside", released_inside }, CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "copies", cases); }
