/* SPDX-License-Identifier: BSD-3-Clause */
/* Each request for memory fails once, from init to finalize: calls, references, answers. */
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "life.h"

enum { FEW = 8, LONG = 5000, UNTOUCHED = -7 };

static rref thing;
static int64_t numbers[LONG];
static atomic_int made, destroyed;

/* ---- a class */

static int create(rref_call *c, void **self)
{
    size_t n;
    const int64_t *x = rref_arg_i64s(c, 1, &n);
    int64_t *sum = calloc(1, sizeof *sum);
    if (!sum) return RREF_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++) *sum += x[i];
    *self = sum;
    atomic_fetch_add(&made, 1);
    return RREF_OK;
}

static void destroy(void *self)
{
    free(self);
    atomic_fetch_add(&destroyed, 1);
}

static int total(rref_call *c, void *self) { return rref_return_i64(c, *(int64_t *)self); }

static int echo(rref_call *c, void *self)
{
    size_t n;
    (void)self;
    const int64_t *x = rref_arg_i64s(c, 1, &n);
    return rref_return(c, rref_arg_str(c, 0), rref_array(x, n));
}

static int pass(rref_call *c, void *self)
{
    size_t n;
    (void)self;
    const rref *all = rref_arg_refs(c, 1, &n);
    return rref_return(c, n ? all[0] : rref_arg_ref(c, 0), rref_arg_ref(c, 0));
}

static int take_along(rref_call *c, void *self)
{
    size_t n;
    (void)self;
    const int64_t *x = rref_arg_i64s(c, 1, &n);
    return rref_return(c, rref_arg_ref(c, 0), rref_array(x, n));
}

static int late(rref_call *c, void *self)
{
    (void)self;
    int64_t x = rref_arg_i64(c, 0);
    rref_deferred d = rref_defer(c);
    if (!d.bits) return RREF_ERR_NO_MEMORY;
    int rc = rref_complete(d, x);
    if (rc) CU_ASSERT_EQUAL(rref_complete_error(d, rc, "no memory to complete"), RREF_OK);
    return RREF_PENDING;
}

static int fail(rref_call *c, void *self)
{
    (void)self;
    return rref_fail(c, RREF_ERR_USER, "as it should");
}

static const rref_method methods[] = {
    RREF_METHOD("total", "-> i64", total, 0), RREF_METHOD("echo", "str, i64[] -> str, i64[]", echo, 0),
    RREF_METHOD("pass", "ref, ref[] -> ref, ref", pass, 0), RREF_METHOD("carry", "ref, i64[] -> ref, i64[]", take_along, 0),
    RREF_METHOD("late", "i64 -> i64", late, 0),
    RREF_METHOD("fail", "", fail, RREF_WORKER), RREF_METHODS_END
};
static const rref_class thing_class = RREF_CLASS("thing", "str, i64[]", create, destroy, methods);
static const rref_class later_class = RREF_CLASS("later", "str, i64[]", create, destroy, methods);

/* ---- steps */

static int make_class(void) { return life_seen(rref_register(life_ctx, &later_class)); }

static int make_thing(void)
{
    thing = rref_create(life_ctx, (life_rank + 1) % life_size, "thing", "text", rref_array(numbers, LONG));
    int64_t sum = UNTOUCHED;
    int rc = life_seen(rref_sync(thing, "total", rref_out(&sum)));
    CU_ASSERT(rc ? sum == UNTOUCHED : sum == (int64_t)LONG * (LONG - 1) / 2);
    if (rc && thing.bits) rref_release(thing);
    return rc;
}

static int echo_sync(size_t n)
{
    static int64_t back[LONG];
    char text[FEW] = "before";
    size_t count = 7;
    back[0] = UNTOUCHED;
    back[n - 1] = UNTOUCHED;
    int rc = life_seen(rref_sync(life_root, "echo", "text", rref_array(numbers, n), rref_out_str(text, FEW),
                            rref_out_array(back, LONG, &count)));
    if (rc) CU_ASSERT(!strcmp(text, "before") && count == 7);
    if (rc == RREF_OK) CU_ASSERT(!strcmp(text, "text") && count == n && !memcmp(back, numbers, n * sizeof *back));
    return rc;
}

static int echo_few(void) { return echo_sync(FEW); }
static int echo_long(void) { return echo_sync(LONG); }

static int echo_async(size_t n)
{
    int64_t *copy = malloc(n * sizeof *copy);
    static int64_t back[LONG];
    char text[FEW] = "before";
    size_t count = 7;
    memcpy(copy, numbers, n * sizeof *copy);
    rref_future f = rref_async(life_root, "echo", "text", rref_array(copy, n));
    memset(copy, 0, n * sizeof *copy);
    free(copy);
    int rc = life_seen(rref_wait(f, RREF_FOREVER));
    if (rc == RREF_OK) rc = life_seen(rref_get(f, rref_out_str(text, FEW), rref_out_array(back, LONG, &count)));
    if (rc) CU_ASSERT(!strcmp(text, "before") && count == 7);
    if (rc == RREF_OK) CU_ASSERT(!strcmp(text, "text") && count == n && !memcmp(back, numbers, n * sizeof *back));
    if (f.bits) rref_future_release(f);
    return rc;
}

static int async_few(void) { return echo_async(FEW); }
static int async_long(void) { return echo_async(LONG); }

static int share(void)
{
    rref one = { 0 }, two = { 0 };
    const rref list[] = { thing, thing };
    int rc = life_seen(rref_sync(life_root, "pass", thing, rref_array(list, 2), rref_out(&one), rref_out(&two)));
    if (rc) CU_ASSERT(!one.bits && !two.bits);
    if (rc) return rc;
    CU_ASSERT(rref_same_object(one, thing) && rref_same_object(two, thing));
    CHECK_OK(rref_release(one));
    return rref_release(two);
}

/* A reference beside bulk data: none of its weight is lost with a failure. */
static int carry(void)
{
    static int64_t back[LONG];
    rref one = { 0 };
    size_t count = 7;
    int rc = life_seen(rref_sync(life_root, "carry", thing, rref_array(numbers, LONG), rref_out(&one),
                                 rref_out_array(back, LONG, &count)));
    if (rc) CU_ASSERT(!one.bits && count == 7);
    return rc ? rc : rref_release(one);
}

static int defer(void)
{
    int64_t x = UNTOUCHED;
    int rc = life_seen(rref_sync(life_root, "late", 5, rref_out(&x)));
    CU_ASSERT_EQUAL(x, rc ? UNTOUCHED : 5);
    return rc;
}

static int expect_failure(void)
{
    int rc = life_seen(rref_sync(life_root, "fail"));
    return rc == RREF_ERR_USER ? RREF_OK : rc;
}

static int limited(void)
{
    int64_t x = UNTOUCHED;
    rref_future f = rref_invoke(rref_rpc_async(life_root, 1000.0), "late", 5, rref_out(&x));
    int rc = life_seen(rref_wait(f, RREF_FOREVER));
    CU_ASSERT_EQUAL(x, rc ? UNTOUCHED : 5);
    if (f.bits) rref_future_release(f);
    return rc;
}

static int promise(void)
{
    int64_t x = UNTOUCHED;
    rref_future p = rref_promise(life_ctx, "i64");
    if (!p.bits) return life_seen(RREF_ERR_NO_MEMORY);
    rref_future all = rref_all(life_ctx, &p, 1);
    int rc = life_seen(all.bits ? rref_set(p, 3) : RREF_ERR_NO_MEMORY);
    if (rc) CHECK_OK(rref_set_error(p, rc, "no memory"));
    int waited = all.bits ? rref_wait(all, RREF_FOREVER) : rc;
    if (rc == RREF_OK) rc = life_seen(waited);
    if (rc == RREF_OK) rc = life_seen(rref_get(p, rref_out(&x)));
    CU_ASSERT_EQUAL(x, rc ? UNTOUCHED : 3);
    rref_wait(p, RREF_FOREVER);
    if (all.bits) rref_future_release(all);
    rref_future_release(p);
    return rc;
}

static int wrap(void)
{
    int64_t *own = calloc(1, sizeof *own), sum = UNTOUCHED;
    int gone = atomic_load(&destroyed);
    rref r = rref_wrap(life_ctx, "thing", own);
    int rc = life_seen(r.bits ? rref_sync(r, "total", rref_out(&sum)) : RREF_ERR_NO_MEMORY);
    if (r.bits && rref_owner(r) == life_rank) {
        atomic_fetch_add(&made, 1);
        CHECK_OK(rref_release(r));
        return rc;
    }
    CU_ASSERT_EQUAL(atomic_load(&destroyed), gone);
    if (r.bits) rref_release(r);
    free(own);
    return rc;
}

static int tell(void) { return life_seen(rref_post(life_root, "echo", "nobody", rref_array(numbers, FEW))); }

static int let_go(void) { return rref_release(thing); }

static const life_step steps[] = {
    { "registering a class", make_class, false }, { "creating", make_thing, false },
    { "a call", echo_few, false }, { "a call with bulk data", echo_long, false },
    { "an async call", async_few, false }, { "an async call with bulk data", async_long, false }, { "sharing", share, false },
    { "sharing beside bulk data", carry, false },
    { "a deferred answer", defer, false }, { "a call that fails", expect_failure, false },
    { "a call with a deadline", limited, false },
    { "a promise", promise, false }, { "wrapping", wrap, false }, { "a one-way call", tell, false },
    { "letting go", let_go, false }, { NULL, NULL, false }
};

static void each_request_fails_once(void)
{
    static const rref_class *const classes[] = { &thing_class, NULL };
    for (int i = 0; i < LONG; i++) numbers[i] = i;
    life_each_request_fails_once(&(life){ classes, methods, steps, false });
    CU_ASSERT_EQUAL(atomic_load(&made), atomic_load(&destroyed));
}

static const check_case cases[] = { { "each request fails once", each_request_fails_once }, CHECK_END };

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "memory", cases); }
