/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each request for memory fails once, from the first use of a context on: of futures, results that stay, copies, classes of
 * other ranks, names, groups, large data, objects to come, and what tells people about all this. See life.h.
 */
#include <mpi.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "context.h"
#include "life.h"
#include "memory.h"

enum { UNTOUCHED = -7, LONG = 3000, FEW = 5 };

static int64_t numbers[LONG], back[2 * LONG];
static rref kept;                       /* what one step leaves to those after it */
static rref_group group;
static atomic_int called;

/* ---- classes: of all ranks, and one of each rank's own */

static int create(rref_call *c, void **self)
{
    int64_t *value = malloc(sizeof *value);
    if (!value) return RREF_ERR_NO_MEMORY;
    *value = rref_arg_i64(c, 0);
    if (*value < 0) {
        free(value);
        return rref_fail(c, RREF_ERR_USER, "nothing below 0");
    }
    *self = value;
    return RREF_OK;
}

static int create_own(rref_call *c, void **self)
{
    size_t n, m;
    rref_arg_refs(c, 1, &n);
    rref_arg_i64s(c, 2, &m);
    return n == 2 && m == FEW ? create(c, self) : rref_fail(c, RREF_ERR_USER, "not the arguments given");
}

static void destroy(void *self) { free(self); }
static int value(rref_call *c, void *self) { return rref_return_i64(c, *(int64_t *)self); }
static int pack(rref_call *c, void *self) { return rref_return_i64(c, *(int64_t *)self); }

static int values(rref_call *c, void *self)
{
    int64_t x[FEW];
    for (int i = 0; i < FEW; i++) x[i] = *(int64_t *)self;
    return rref_return(c, rref_array(x, (size_t)FEW));
}

/* Fails if the references are not of one object. */
static int same(rref_call *c, void *self)
{
    (void)self;
    return rref_same_object(rref_arg_ref(c, 0), rref_arg_ref(c, 1)) ? RREF_OK : rref_fail(c, RREF_ERR_USER, "not the same");
}

static const rref_hooks hooks = { "i64", pack, create, NULL, NULL };
static const rref_method methods[] = {
    RREF_METHOD("value", "-> i64", value, 0), RREF_METHOD("values", "-> i64[]", values, 0),
    RREF_METHOD("same", "ref, ref", same, 0), RREF_METHODS_END
};
static const rref_class thing = RREF_CLASS_EX("thing", "i64", create, destroy, methods, 0u, &hooks);
static const rref_class own[] = {
    RREF_CLASS("own0", "i64, ref[], i64[]", create_own, destroy, methods),
    RREF_CLASS("own1", "i64, ref[], i64[]", create_own, destroy, methods)
};

/* ---- functions of each rank */

static int twice(rref_call *c, void *self) { return (void)self, rref_return_i64(c, 2 * rref_arg_i64(c, 0)); }

static int all_kinds(rref_call *c, void *self)
{
    size_t n;
    (void)self;
    const rref *r = rref_arg_refs(c, 0, &n);
    return n ? rref_return(c, r[0], rref_array(r, n), rref_arg_str(c, 1)) : RREF_ERR_NO_MEMORY;
}

static int through(rref_call *c, void *self) { return (void)self, rref_return_ref(c, rref_arg_ref(c, 0)); }

/* A result that is a result of this rank's. */
static int lead(rref_call *c, void *self)
{
    rref on = rref_remote(rref_root(rref_call_context(c), life_rank), "through", rref_arg_ref(c, 0));
    (void)self;
    int rc = rref_return_ref(c, on);
    if (on.bits) rref_release(on);
    return rc;
}

static int large(rref_call *c, void *self)
{
    size_t n;
    (void)self;
    const int64_t *x = rref_arg_i64s(c, 0, &n);
    int64_t *y = malloc(n * sizeof *y + 1);
    if (!y) return RREF_ERR_NO_MEMORY;
    memcpy(y, x, n * sizeof *y);
    return rref_return_owned(c, y, n, free);
}

static int in_place(rref_call *c, void *self)
{
    size_t n;
    (void)self;
    const int64_t *x = rref_arg_i64s(c, 0, &n);
    return rref_return_borrowed(c, x, n);
}

static int pass_on(rref_call *c, void *self)
{
    int64_t x;
    (void)self;
    return rref_sync(rref_root(rref_call_context(c), rref_call_rank(c)), "nested", rref_out(&x));
}

static int nested(rref_call *c, void *self) { return (void)self, rref_fail(c, RREF_ERR_USER, "from far away"); }

static int instead(rref_call *c, void *self)
{
    rref_future f = rref_async(rref_root(rref_call_context(c), rref_call_rank(c)), "twice", rref_arg_i64(c, 0));
    rref_deferred d = rref_defer(c);
    (void)self;
    int rc = d.bits && f.bits ? rref_complete_with(d, f) : RREF_ERR_NO_MEMORY;
    if (rc && d.bits) rref_complete_error(d, rc, "no memory to answer");
    if (f.bits) rref_future_release(f);
    return d.bits ? RREF_PENDING : rc;
}

static const rref_method functions[] = {
    RREF_METHOD("twice", "i64 -> i64", twice, 0), RREF_METHOD("all_kinds", "ref[], str -> ref, ref[], str", all_kinds, 0),
    RREF_METHOD("through", "ref -> ref", through, 0), RREF_METHOD("lead", "ref -> ref", lead, 0),
    RREF_METHOD("large", "i64[] -> i64[]", large, 0), RREF_METHOD("in_place", "i64[] -> i64[]", in_place, 0),
    RREF_METHOD("pass_on", "-> i64", pass_on, 0), RREF_METHOD("nested", "-> i64", nested, 0),
    RREF_METHOD("instead", "i64 -> i64", instead, 0), RREF_METHODS_END
};

static const rref_class *const common[] = { &thing, NULL };
static const rref_class *mine[] = { &thing, NULL, NULL };      /* and this rank's own */

static int next_rank(void) { return (life_rank + 1) % life_size; }

/* ---- around steps */

static int make(void)
{
    rref made = rref_create(life_ctx, next_rank(), "thing", 5);
    int rc = life_reference(made);
    if (rc && made.bits) rref_release(made);
    if (rc == RREF_OK) kept = made;
    return rc;
}

static int unmake(void) { return rref_release(kept); }

/* A future that must hold an i64, or the failure. */
static int gives(rref_future f, int64_t wanted)
{
    int64_t x = UNTOUCHED;
    if (!f.bits) return life_seen(RREF_ERR_NO_MEMORY);
    int rc = life_seen(rref_wait(f, check_patience(20)));
    if (rc == RREF_OK) rc = life_seen(rref_get(f, rref_out(&x)));
    CU_ASSERT_EQUAL(x, rc ? UNTOUCHED : wanted);
    rref_future_release(f);
    return rc;
}

/* ---- futures */

static void count(rref_future f, void *arg)
{
    (void)f;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static bool has_been_called(void *arg) { return atomic_load((atomic_int *)arg) > 0; }

static int callback(unsigned flags)
{
    rref_future f = rref_async(life_root, "twice", 4);
    if (!f.bits) return life_seen(RREF_ERR_NO_MEMORY);
    atomic_store(&called, 0);
    int rc = life_seen(rref_on_complete(f, count, &called, flags)), outcome = gives(f, 8);
    if (rc == RREF_OK) CU_ASSERT_TRUE(check_until(has_been_called, &called, 20));
    return rc ? rc : outcome;
}

static int callback_later(void) { return callback(0); }
static int callback_inline(void) { return callback(RREF_INLINE); }

static int add_one(rref_call *c, rref_future parent, void *arg)
{
    int64_t x;
    (void)arg;
    int rc = rref_get(parent, rref_out(&x));
    return rc ? rc : rref_return_i64(c, x + 1);
}

static int child(void)
{
    rref_future f = rref_async(life_root, "twice", 4);
    rref_future next = f.bits ? rref_then(f, "i64", add_one, NULL) : f;
    int rc = gives(next, 9);
    if (f.bits) rref_future_release(f);
    return rc;
}

static rref_future go_on(rref_future parent, void *arg)
{
    (void)parent, (void)arg;
    return rref_async(life_root, "twice", 8);
}

static int chain(void)
{
    rref_future f = rref_async(life_root, "twice", 4);
    rref_future next = f.bits ? rref_chain(f, go_on, NULL) : f;
    int rc = gives(next, 16);
    if (f.bits) rref_future_release(f);
    return rc;
}

static int link(void)
{
    rref_future p = rref_promise(life_ctx, "i64"), f = rref_async(life_root, "twice", 4);
    int rc = p.bits && f.bits ? rref_link(f, p) : RREF_ERR_NO_MEMORY;
    life_seen(rc);
    if (rc && p.bits) CHECK_OK(rref_set_error(p, rc, "no memory"));
    int outcome = rc && p.bits ? (rref_wait(p, 0), rref_future_release(p), rc) : p.bits ? gives(p, 8) : rc;
    if (f.bits) {
        rref_wait(f, RREF_FOREVER);
        rref_future_release(f);
    }
    return rc ? rc : outcome;
}

/* Each is waited for, so that nobody is told of a failure that is known. */
static int party(bool any)
{
    rref_future part[3], whole = { 0 };
    bool there = true;
    for (int i = 0; i < 3; i++) there = (part[i] = rref_async(life_root, "twice", i)).bits && there;
    if (there) whole = any ? rref_any(life_ctx, part, 3) : rref_all(life_ctx, part, 3);
    int rc = life_future(whole);
    for (int i = 0; i < 3; i++)
        if (part[i].bits) {
            rref_wait(part[i], RREF_FOREVER);
            rref_future_release(part[i]);
        }
    return rc;
}

static int all_of(void) { return party(false); }
static int any_of(void) { return party(true); }

static int answer_instead(void)
{
    int64_t x = UNTOUCHED;
    int rc = life_seen(rref_sync(life_root, "instead", 4, rref_out(&x)));
    CU_ASSERT_EQUAL(x, rc ? UNTOUCHED : 8);
    return rc;
}

static int no_wait(void) { return gives(rref_try_async(life_root, "twice", 4), 8); }
static int no_wait_post(void) { return life_seen(rref_try_post(life_root, "twice", 4)); }

/* ---- results that stay, and copies */

static int stays(void)
{
    int64_t x = UNTOUCHED;
    rref r = rref_remote(life_root, "twice", 21);
    int rc = life_reference(r);
    if (rc == RREF_OK) rc = life_seen(rref_to_here(r, rref_out(&x)));
    CU_ASSERT_EQUAL(x, rc ? UNTOUCHED : 42);
    if (r.bits) rref_release(r);
    return rc;
}

static int stays_of_all_kinds(void)
{
    rref one = { 0 }, two[2] = { { 0 }, { 0 } };
    size_t n = 7;
    char text[8] = "before";
    const rref pair[] = { kept, kept };
    rref r = rref_remote(life_root, "all_kinds", rref_array(pair, 2), "text");
    int rc = life_reference(r);
    if (rc == RREF_OK)
        rc = life_seen(rref_to_here(r, rref_out(&one), rref_out_array(two, 2, &n), rref_out_str(text, sizeof text)));
    if (rc) CU_ASSERT(!one.bits && !two[0].bits && n == 7 && !strcmp(text, "before"));
    if (rc == RREF_OK) {
        CU_ASSERT(n == 2 && rref_same_object(one, kept) && rref_same_object(two[1], kept) && !strcmp(text, "text"));
        CU_ASSERT(!rref_release(one) && !rref_release(two[0]) && !rref_release(two[1]));
    }
    if (r.bits) rref_release(r);
    return rc;
}

static int fetched_later(void)
{
    rref r = rref_remote(life_root, "twice", 21);
    int rc = life_reference(r);
    if (rc == RREF_OK) rc = gives(rref_to_here_async(r), 42);
    if (r.bits) rref_release(r);
    return rc;
}

/* Over a chain of results, and by calls through it, held back and later. */
static int led(void)
{
    int64_t x = UNTOUCHED, y = UNTOUCHED;
    rref one = { 0 };
    rref r = rref_remote(life_root, "lead", kept);
    int rc = gives(r.bits ? rref_async(r, "value") : (rref_future){ 0 }, 5);
    if (rc == RREF_OK) rc = life_seen(rref_sync(r, "value", rref_out(&x)));
    if (rc == RREF_OK) rc = life_seen(rref_to_here(r, rref_out(&one)));
    if (rc == RREF_OK) rc = life_seen(rref_sync(one, "value", rref_out(&y)));
    CU_ASSERT(rc || (x == 5 && y == 5));
    if (one.bits) rref_release(one);
    if (r.bits) rref_release(r);
    return rc;
}

static int copy(void)
{
    int64_t x = UNTOUCHED;
    rref here = { 0 };
    int rc = life_seen(rref_to_here(kept, rref_out(&here)));
    if (rc) CU_ASSERT(!here.bits);
    if (rc) return rc;
    CU_ASSERT(rref_is_owner(here));
    rc = life_seen(rref_sync(here, "value", rref_out(&x)));
    CU_ASSERT_EQUAL(x, rc ? UNTOUCHED : 5);
    rref_release(here);
    return rc;
}

static int more(void)
{
    rref root = rref_root(life_ctx, next_rank());
    int rc = root.bits ? life_future(rref_creation(root)) : life_seen(RREF_ERR_NO_MEMORY);
    return rc ? rc : life_future(rref_creation(kept));
}

/* ---- classes of other ranks */

static int make_own(void)
{
    char name[8];
    const rref roots[] = { life_root, life_root };
    snprintf(name, sizeof name, "own%d", next_rank() % 2);
    rref made = rref_create(life_ctx, next_rank(), (const char *)name, 5, rref_array(roots, 2), rref_array(numbers, FEW));
    int rc = life_reference(made);
    if (rc && made.bits) rref_release(made);
    if (rc == RREF_OK) kept = made;
    return rc;
}

/* Of an object whose class this rank does not know: what is called is kept until it does. */
static int call_unknown(void)
{
    const rref two[] = { kept, kept };
    rref_future f = rref_async(kept, "value"), g = rref_async(kept, "same", two[0], two[1]);
    int rc = gives(f, 5), other = life_future(g);
    return rc ? rc : other;
}

static int call_bound(void)
{
    int64_t x = UNTOUCHED;
    rref_method_ref m = rref_bind(kept, "value");
    int rc = life_seen(rref_sync(m, rref_out(&x)));
    CU_ASSERT_EQUAL(x, rc ? UNTOUCHED : 5);
    return rc;
}

static int keep_unknown(void)
{
    rref r = rref_remote(kept, "value");
    int64_t x = UNTOUCHED;
    int rc = life_reference(r);
    if (rc == RREF_OK) rc = life_seen(rref_to_here(r, rref_out(&x)));
    CU_ASSERT_EQUAL(x, rc ? UNTOUCHED : 5);
    if (r.bits) rref_release(r);
    return rc;
}

static int ask_class(void)
{
    const char *name = NULL;
    int rc = life_seen(rref_class_of(kept, &name, RREF_FOREVER));
    CU_ASSERT(rc ? !name : !strncmp(name, "own", 3));
    return rc;
}

static int ask_class_later(void) { return life_future(rref_class_of_async(kept, RREF_FOREVER)); }

static int describe(void)
{
    char *text = NULL;
    int rc = life_seen(rref_describe(kept, &text, RREF_FOREVER));
    CU_ASSERT(rc ? !text : strstr(text, "value: -> i64") != NULL);
    free(text);
    return rc;
}

/* ---- names */

static const char *name_of(const char *what)
{
    static char name[32];
    snprintf(name, sizeof name, "%s %d", what, life_rank);
    return name;
}

/* If it was the answer that found no memory, it is done already. */
static int publish(void)
{
    int rc = life_seen(rref_publish(kept, name_of("thing")));
    return rc == RREF_ERR_NAME_TAKEN ? RREF_OK : rc;
}

static int withdraw(void)
{
    int rc = life_seen(rref_withdraw(life_ctx, name_of("thing")));
    return rc == RREF_ERR_NO_NAME ? RREF_OK : rc;
}

static int lookup(void)
{
    rref r = { 0 };
    int rc = life_seen(rref_lookup(life_ctx, name_of("thing"), 0, &r));
    if (rc) CU_ASSERT(!r.bits);
    if (rc) return rc;
    CU_ASSERT(rref_same_object(r, kept));
    return rref_release(r);
}

static int taken(void)
{
    int rc = life_seen(rref_publish(kept, name_of("thing")));
    return rc == RREF_ERR_NAME_TAKEN ? RREF_OK : rc;
}

/* The name may be there although to publish it has failed: for want of memory for the answer. */
static void withdraw_early(void)
{
    int rc = rref_withdraw(life_ctx, name_of("early"));
    if (rc) rc = rref_withdraw(life_ctx, name_of("early"));
    CU_ASSERT(rc == RREF_OK || rc == RREF_ERR_NO_NAME);
}

/* Waited for before it is there. */
static int lookup_early(void)
{
    rref r = { 0 };
    rref_future f = rref_lookup_async(life_ctx, name_of("early"), 1000);
    int rc = f.bits ? life_seen(rref_publish(kept, name_of("early"))) : life_seen(RREF_ERR_NO_MEMORY);
    if (rc == RREF_OK) {
        rc = life_seen(rref_wait(f, check_patience(20)));
        if (rc == RREF_OK) rc = life_seen(rref_get(f, rref_out(&r)));
    }
    withdraw_early();
    if (r.bits) CU_ASSERT(rref_same_object(r, kept) && !rref_release(r));
    if (f.bits) {
        rref_cancel(f);
        rref_wait(f, RREF_FOREVER);
        rref_future_release(f);
    }
    return rc;
}

/* Nobody publishes it: the question is given up at both ends. */
static int lookup_in_vain(void)
{
    rref r = { 0 };
    int rc = life_seen(rref_lookup(life_ctx, name_of("nothing"), 0.001, &r));
    CU_ASSERT(!r.bits);
    return rc == RREF_ERR_TIMEOUT ? RREF_OK : rc;
}

/* ---- groups */

/* It tells of one-way calls that found no memory; it is over all the same. */
static int fence(void)
{
    int rc = life_seen(rref_fence(life_ctx, RREF_FOREVER));
    return rc == RREF_ERR_ONEWAY ? RREF_OK : rc;
}

static int found(void) { return life_seen(rref_group_create(life_ctx, &group, "thing", 5 + life_rank)); }
static int disband(void) { return life_seen(rref_group_free(&group)); }
static int ask_all(void) { return life_future(rref_group_async(group, "same", life_root, life_root)); }

static int post_all(void)
{
    int rc = life_seen(rref_group_post(group, "value"));
    return rc;
}

static int gather(void)
{
    int64_t x[2] = { UNTOUCHED, UNTOUCHED };
    int rc = life_seen(rref_group_gather(group, "value", rref_out_array(x, (size_t)life_size, NULL)));
    CU_ASSERT(rc || (x[0] == 5 && x[life_size - 1] == 4 + life_size));
    return rc;
}

static int reduce(void)
{
    int64_t x[FEW] = { UNTOUCHED };
    int rc = life_seen(rref_group_reduce(group, MPI_SUM, "values", rref_out_array(x, (size_t)FEW, NULL)));
    CU_ASSERT_EQUAL(x[0], rc ? UNTOUCHED : life_size == 1 ? 5 : 11);
    return rc;
}

/* ---- large data: its elements may have come before memory failed, its count has not */

static int both_ways(const char *method, size_t n)
{
    size_t got = 7;
    rref_future f = rref_async(life_root, method, rref_borrow(numbers, n), rref_out_array(back, LONG, &got));
    int rc = life_future(f);
    CU_ASSERT(rc ? got == 7 : got == n && !memcmp(back, numbers, n * sizeof *numbers));
    return rc;
}

static int owned(void) { return both_ways("large", LONG); }
static int borrowed(void) { return both_ways("in_place", LONG); }
static int in_message(void) { return both_ways("large", LONG / 2); }

static int read_later(void)
{
    size_t got = 7;
    rref_future f = rref_async(life_root, "large", rref_array(numbers, LONG));
    if (!f.bits) return life_seen(RREF_ERR_NO_MEMORY);
    back[0] = UNTOUCHED;
    int rc = life_seen(rref_wait(f, check_patience(20)));
    if (rc == RREF_OK) rc = life_seen(rref_get(f, rref_out_array(back, LONG, &got)));
    CU_ASSERT(rc ? got == 7 && back[0] == UNTOUCHED : got == LONG && !memcmp(back, numbers, sizeof numbers));
    rref_future_release(f);
    return rc;
}

/* Every second element. The type is made of enough parts to want memory for its description. */
static int spread(bool wait, bool borrow)
{
    enum { PARTS = 60 };
    int lengths[PARTS], places[PARTS], rc;
    MPI_Datatype type;
    for (int i = 0; i < PARTS; i++) lengths[i] = LONG / PARTS / 2, places[i] = 2 * i * (LONG / PARTS / 2);
    MPI_Type_indexed(PARTS, lengths, places, MPI_INT64_T, &type);
    MPI_Type_commit(&type);
    memset(back, 0, sizeof back);
    rref_value out = rref_out_strided(back, 1, type), in = rref_strided(numbers, 1, type);
    if (borrow) in = rref_borrow_strided(numbers, 1, type);
    rc = wait ? life_seen(rref_sync(life_root, "large", in, out)) : life_future(rref_async(life_root, "large", in, out));
    MPI_Type_free(&type);
    if (rc == RREF_OK) CU_ASSERT_EQUAL(back[places[1]], numbers[places[1]]);
    CU_ASSERT_EQUAL(back[places[1] - 1], 0);
    return rc;
}

static int spread_now(void) { return spread(true, false); }
static int spread_copied(void) { return spread(false, false); }
static int spread_borrowed(void) { return spread(false, true); }

/* ---- objects to come, and such that never do */

/* Its calls wait for it, at its owner or on a third rank's way. */
static int use_early(void)
{
    rref made = rref_create(life_ctx, next_rank(), "thing", 5);
    if (!made.bits) return life_seen(RREF_ERR_NO_MEMORY);
    rref_future f = rref_async(made, "value"), g = rref_async(life_root, "all_kinds", rref_array(&made, 1), "text");
    rref_release(made);
    int rc = gives(f, 5), other = life_future(g);
    return rc ? rc : other;
}

static int use_failed(void)
{
    rref made = rref_create(life_ctx, next_rank(), "thing", -1);
    if (!made.bits) return life_seen(RREF_ERR_NO_MEMORY);
    rref_future f = rref_async(made, "value");
    int rc = life_future(f);
    rref_release(made);
    return rc == RREF_ERR_USER ? RREF_OK : rc;
}

static int failure_passed_on(void)
{
    int64_t x = UNTOUCHED;
    int rc = life_seen(rref_sync(life_root, "pass_on", rref_out(&x)));
    CU_ASSERT_EQUAL(x, UNTOUCHED);
    return rc == RREF_ERR_USER ? RREF_OK : rc;
}

/* An object of small weight is passed about until that is used up. */
static int pass_about(void)
{
    rref list[FEW];
    for (int i = 0; i < FEW; i++) list[i] = kept;
    rref one = { 0 }, many[FEW] = { { 0 } };
    size_t n = 0;
    char text[8];
    int rc = life_seen(rref_sync(life_root, "all_kinds", rref_array(list, FEW), "text", rref_out(&one),
                                 rref_out_array(many, FEW, &n), rref_out_str(text, sizeof text)));
    if (rc) CU_ASSERT(!one.bits && !many[0].bits);
    if (rc) return rc;
    for (size_t i = 0; i < n; i++) CU_ASSERT(rref_same_object(many[i], kept) && !rref_release(many[i]));
    return rref_release(one);
}

/* ---- telling */

static int dump(void)
{
    char *text = NULL;
    int rc = life_seen(rref_dump(life_ctx, next_rank(), &text));
    CU_ASSERT(rc ? !text : *text);
    free(text);
    return rc;
}

static int statistics(void)
{
    rref_statistics s = { .objects = 12345 };
    int rc = life_seen(rref_stats_of(life_ctx, next_rank(), &s));
    CU_ASSERT(rc ? s.objects == 12345 : s.objects < 100);
    return rc;
}

static int info(void)
{
    char *text = NULL, *own_text = NULL;
    int rc = life_seen(rref_info(life_ctx, &text));
    CU_ASSERT(rc ? !text : !life_rank == !!text);
    free(text);
    int plain = life_seen(rref_info(NULL, &own_text));
    CU_ASSERT(plain ? !own_text : *own_text);
    free(own_text);
    return rc ? rc : plain;
}

static int occupy(void)
{
    void *self = NULL;
    rref here = rref_create(life_ctx, life_rank, "thing", 5);
    int rc = life_reference(here);
    if (rc == RREF_OK) rc = life_seen(rref_enter(here, RREF_FOREVER, &self));
    CU_ASSERT(rc ? !self : *(int64_t *)self == 5);
    if (rc == RREF_OK) rc = rref_leave(here);
    if (here.bits) rref_release(here);
    return rc;
}

/* ---- lives */

static void lives(const life_step *steps)
{
    for (int i = 0; i < LONG; i++) numbers[i] = i;
    life_each_request_fails_once(&(life){ common, functions, steps, true });
}

static void with_setting(const char *name, const char *setting, const life_step *steps)
{
    setenv(name, setting, 1);
    lives(steps);
    unsetenv(name);
}

static void futures(void)
{
    static const life_step steps[] = {
        { "a callback", callback_later, false }, { "an inline callback", callback_inline, false },
        { "then", child, false }, { "chain", chain, false }, { "link", link, false }, { "all", all_of, false },
        { "any", any_of, false }, { "another call's answer", answer_instead, false }, { "try_async", no_wait, false },
        { "try_post", no_wait_post, false }, { NULL, NULL, false }
    };
    lives(steps);
}

static void results(void)
{
    static const life_step steps[] = {
        { "creating", make, false }, { "a result that stays", stays, false },
        { "results of all kinds", stays_of_all_kinds, false }, { "fetching as a future", fetched_later, false },
        { "a result that leads on", led, false }, { "a copy", copy, false }, { "creation", more, false },
        { "letting go", unmake, false }, { NULL, NULL, false }
    };
    lives(steps);
}

static void classes(void)
{
    static const life_step calls[] = {
        { "creating", make_own, false }, { "calls of an unknown class", call_unknown, false },
        { "a bound method", call_bound, false }, { "letting go", unmake, false }, { NULL, NULL, false }
    };
    static const life_step questions[] = {
        { "creating", make_own, false }, { "a result of an unknown class", keep_unknown, false },
        { "class_of", ask_class, false },
        { "class_of as a future", ask_class_later, false }, { "describe", describe, false }, { "letting go", unmake, false },
        { NULL, NULL, false }
    };
    MPI_Comm_rank(MPI_COMM_WORLD, &life_rank);
    mine[1] = &own[life_rank % 2];
    for (int i = 0; i < 2; i++) {
        setenv("RREF_WINDOW", i ? "off" : "auto", 1);
        life_each_request_fails_once(&(life){ mine, functions, calls, true });
        life_each_request_fails_once(&(life){ mine, functions, questions, true });
    }
    unsetenv("RREF_WINDOW");
}

static void names(void)
{
    static const life_step steps[] = {
        { "creating", make, false }, { "publish", publish, false }, { "lookup", lookup, false }, { "a name taken", taken, false },
        { "withdraw", withdraw, false }, { "an early lookup", lookup_early, false },
        { "a lookup in vain", lookup_in_vain, false }, { "letting go", unmake, false }, { NULL, NULL, false }
    };
    lives(steps);
}

static void groups(void)
{
    static const life_step steps[] = {
        { "making a group", found, true }, { "a call of all", ask_all, false }, { "a one-way call of all", post_all, false },
        { "gather", gather, false }, { "reduce", reduce, false }, { "a fence", fence, true },
        { "freeing a group", disband, true }, { NULL, NULL, false }
    };
    lives(steps);
}

static void data(void)
{
    static const life_step steps[] = {
        { "a borrowed array", owned, false }, { "an array sent back", borrowed, false },
        { "an array read later", read_later, false },
        { "elements here and there", spread_now, false }, { "the same, copied", spread_copied, false },
        { "the same, borrowed", spread_borrowed, false }, { NULL, NULL, false }
    };
    static const life_step messages[] = { { "a large message", in_message, false }, { NULL, NULL, false } };
    lives(steps);
    with_setting("RREF_EAGER", "65536", messages);
}

static void objects(void)
{
    static const life_step steps[] = {
        { "an object to come", use_early, false }, { "one that fails", use_failed, false },
        { "a failure passed on", failure_passed_on, false }, { "creating", make, false },
        { "references passed about", pass_about, false }, { "letting go", unmake, false }, { NULL, NULL, false }
    };
    with_setting("RREF_WEIGHT", "1", steps);
}

static void telling(void)
{
    static const life_step steps[] = {
        { "a dump", dump, false }, { "statistics", statistics, false }, { "information", info, true }, { "a fence", fence, true },
        { "occupying an object", occupy, false }, { NULL, NULL, false }
    };
    lives(steps);
}

/* ---- requests for which there is no call */

static rref own_thing;

static int ask(void) { return gives(rref_async(life_root, "twice", 5), 10); }

static int ask_with_references(void)
{
    return life_future(rref_async(life_root, "all_kinds", rref_array(&own_thing, 1), "text"));
}

/* Calls that were used are free for others. */
static void forget_free_calls(rri_calls *calls)
{
    rri_lock_take(&calls->lock);
    rref_call *all = calls->free;
    calls->free = NULL;
    rri_lock_give(&calls->lock);
    for (rref_call *c; (c = all); free(c)) all = c->next;
}

/* Take what is kept for the time without memory, as another call might; or give it back. */
static void exchange(rref_call **place, rref_call **held)
{
    rri_lock_take(&life_ctx->calls.lock);
    rref_call *there = *place;
    *place = *held;
    *held = there;
    rri_lock_give(&life_ctx->calls.lock);
}

/* One of the victim's requests for memory fails, each in turn. Returns how often another rank's step has felt it. */
static int felt(int victim, int (*step)(void))
{
    enum { REQUESTS = 6 };
    int failures = 0;
    for (unsigned n = 1; n <= REQUESTS; n++) {
        MPI_Barrier(MPI_COMM_WORLD);
        if (life_rank == victim) {
            forget_free_calls(&life_ctx->calls);
            rri_memory_fail(n);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        int rc = life_rank != victim || life_size == 1 ? step() : RREF_OK;
        CU_ASSERT(rc == RREF_OK || rc == RREF_ERR_NO_MEMORY);
        failures += rc == RREF_ERR_NO_MEMORY;
        MPI_Barrier(MPI_COMM_WORLD);
        if (life_rank == victim) rri_memory_fail(0);
    }
    return failures;
}

/* A call that lasts has the reserve; then another thread refuses a request, too. */
static int felt_without_reserve(int victim)
{
    rref_call *reserve = NULL, *refusal = NULL;
    if (life_rank == victim) exchange(&life_ctx->calls.reserve, &reserve);
    int failures = felt(victim, ask) + felt(victim, ask_with_references) + felt(victim, owned);
    if (life_rank == victim) exchange(&life_ctx->calls.refusal, &refusal);
    failures += felt(victim, ask) + felt(victim, owned);
    if (life_rank == victim) exchange(&life_ctx->calls.refusal, &refusal);
    if (life_rank == victim) exchange(&life_ctx->calls.reserve, &reserve);
    return failures;
}

/* Objects that are to be destroyed meanwhile may be left for the end. */
static int felt_by_creations(int victim)
{
    rref_call *reserve = NULL;
    if (life_rank == victim) exchange(&life_ctx->calls.reserve, &reserve);
    int failures = felt(victim, use_early);
    if (life_rank == victim) exchange(&life_ctx->calls.reserve, &reserve);
    return failures;
}

static bool no_objects(void *arg)
{
    rref_statistics s;
    (void)arg;
    return rref_stats(life_ctx, &s) == RREF_OK && s.objects == 0;
}

static void without_a_call(void)
{
    const rref_options options = { .classes = common, .functions = functions };
    MPI_Comm_rank(MPI_COMM_WORLD, &life_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &life_size);
    CHECK_OK(rref_init(MPI_COMM_WORLD, &options, &life_ctx));
    life_root = rref_root(life_ctx, next_rank());
    own_thing = rref_create(life_ctx, life_rank, "thing", 5);
    for (int victim = 0; victim < life_size; victim++) {
        int failures = felt_without_reserve(victim);
        CU_ASSERT(failures > 0 || (life_rank == victim && life_size > 1));
    }
    CHECK_OK(rref_release(own_thing));
    CU_ASSERT(check_until(no_objects, NULL, 3));
    MPI_Barrier(MPI_COMM_WORLD);
    for (int victim = 0; victim < life_size; victim++) {
        int failures = felt_by_creations(victim);
        CU_ASSERT(failures > 0 || (life_rank == victim && life_size > 1));
    }
    CHECK_OK(rref_finalize(&life_ctx));
}

static const check_case cases[] = {
    { "futures", futures }, { "results", results }, { "classes", classes }, { "names", names }, { "groups", groups },
    { "data", data }, { "objects", objects }, { "telling", telling },
    { "without_a_call", without_a_call }, CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "shortage", cases); }
