/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables: handles found and refused, late reuse, generations that end, growth, and adding from many threads. */
#include "table.h"

#include "check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct thing {
    rri_slot slot;
    uint64_t value;
} thing;

static rri_table table;

static thing *add(uint64_t *handle, uint64_t value)
{
    thing *t = rri_table_add(&table, handle);
    if (t) t->value = value;
    return t;
}

static uint32_t slots_used(void)
{
    rri_has(&rri_table_lock);           /* no other thread is there */
    return table.used;
}

static void open_table(void) { rri_table_init(&table, RRI_KIND_FUTURE, 7, sizeof(thing)); }

/* ---- handles */

static void found(void)
{
    uint64_t a, b;
    open_table();
    thing *x = add(&a, 1), *y = add(&b, 2);
    CU_ASSERT_FATAL(x && y);
    CU_ASSERT_NOT_EQUAL(a, b);
    CU_ASSERT_PTR_EQUAL(rri_table_find(&table, a), x);
    CU_ASSERT_PTR_EQUAL(rri_table_find(&table, b), y);
    CU_ASSERT_EQUAL(rri_table_handle(&table, x), a);
    CU_ASSERT_EQUAL(rri_handle_kind_of(a), RRI_KIND_FUTURE);
    CU_ASSERT_EQUAL(rri_handle_context(a), 7);
    CU_ASSERT_EQUAL(atomic_load(&table.live), 2);
    rri_table_free(&table);
}

static void refused(void)
{
    uint64_t a;
    open_table();
    CU_ASSERT_PTR_NULL(rri_table_find(&table, 0));
    CU_ASSERT_PTR_NULL(rri_table_find(&table, table.tag | 1));
    CU_ASSERT_PTR_NOT_NULL_FATAL(add(&a, 1));
    CU_ASSERT_PTR_NULL(rri_table_find(&table, 0));
    CU_ASSERT_PTR_NULL(rri_table_find(&table, UINT64_MAX));
    CU_ASSERT_PTR_NULL(rri_table_find(&table, a ^ UINT64_C(1) << 60));        /* another kind */
    CU_ASSERT_PTR_NULL(rri_table_find(&table, a ^ UINT64_C(1) << 52));        /* another context */
    CU_ASSERT_PTR_NULL(rri_table_find(&table, a + 1));                        /* another generation */
    CU_ASSERT_PTR_NULL(rri_table_find(&table, a + (UINT64_C(1) << 24)));      /* a slot never used */
    CU_ASSERT_PTR_NULL(rri_table_find(&table, a | UINT64_C(0xfffffff) << 24));    /* the last index there can be */
    rri_table_free(&table);
}

static void stale(void)
{
    uint64_t a, b;
    open_table();
    thing *x = add(&a, 5);
    rri_table_remove(&table, x);
    CU_ASSERT_PTR_NULL(rri_table_find(&table, a));
    thing *y = rri_table_add(&table, &b);
    CU_ASSERT_PTR_EQUAL(y, x);              /* the only free slot */
    CU_ASSERT_EQUAL(y->value, 0);           /* its memory is blank again */
    CU_ASSERT_NOT_EQUAL(a, b);
    CU_ASSERT_PTR_NULL(rri_table_find(&table, a));
    CU_ASSERT_PTR_EQUAL(rri_table_find(&table, b), y);
    rri_table_free(&table);
}

/* First in, first out: what was freed last is reused last. */
static void late_reuse(void)
{
    enum { N = 100 };
    thing *t[N];
    open_table();
    for (int i = 0; i < N; i++) t[i] = add(NULL, 0);
    for (int i = 0; i < N; i++) rri_table_remove(&table, t[(i * 37) % N]);
    CU_ASSERT_EQUAL(atomic_load(&table.live), 0);
    for (int i = 0; i < N; i++) CU_ASSERT_PTR_EQUAL(rri_table_add(&table, NULL), t[(i * 37) % N]);
    CU_ASSERT_EQUAL(slots_used(), N);
    rri_table_free(&table);
}

/* A slot whose generations are used up is never given out again. */
static void retired(void)
{
    uint64_t a, b;
    open_table();
    thing *x = add(&a, 1);
    atomic_store(&x->slot.word, 0x80000000u | 0xffffffu);
    a = rri_table_handle(&table, x);
    CU_ASSERT_PTR_EQUAL(rri_table_find(&table, a), x);
    rri_table_remove(&table, x);
    CU_ASSERT_PTR_NULL(rri_table_find(&table, a));
    thing *y = add(&b, 2);
    CU_ASSERT_PTR_NOT_EQUAL(y, x);
    CU_ASSERT_PTR_NULL(rri_table_find(&table, a & ~UINT64_C(0xffffff)));
    rri_table_remove(&table, y);
    CU_ASSERT_PTR_EQUAL(rri_table_add(&table, &b), y);
    CU_ASSERT_EQUAL(slots_used(), 2);
    rri_table_free(&table);
}

static void count_item(void *item, void *arg) { *(uint64_t *)arg += ((thing *)item)->value; }

/* Out of use and in use again without the table: another handle each time, not visited meanwhile, and removed like others. */
static void resting(void)
{
    uint64_t a, sum = 0;
    open_table();
    thing *x = add(&a, 3);
    CU_ASSERT(rri_table_rest(x));
    CU_ASSERT_PTR_NULL(rri_table_find(&table, a));
    CU_ASSERT_PTR_NULL(rri_table_find(&table, a + 1));
    rri_table_each(&table, count_item, &sum);
    CU_ASSERT_EQUAL(sum, 0);
    rri_table_resume(x);
    CU_ASSERT_NOT_EQUAL(rri_table_handle(&table, x), a);
    CU_ASSERT_PTR_EQUAL(rri_table_find(&table, rri_table_handle(&table, x)), x);
    CU_ASSERT_PTR_NULL(rri_table_find(&table, a));
    CU_ASSERT_EQUAL(x->value, 3);
    CU_ASSERT(rri_table_rest(x));
    rri_table_remove(&table, x);
    CU_ASSERT_EQUAL(atomic_load(&table.live), 0);
    CU_ASSERT_PTR_EQUAL(add(&a, 4), x);
    atomic_store(&x->slot.word, RRI_LIVE | RRI_GENERATIONS);
    CU_ASSERT(!rri_table_rest(x));
    CU_ASSERT_PTR_EQUAL(rri_table_find(&table, rri_table_handle(&table, x)), x);
    rri_table_free(&table);
}

/* ---- many */

static void many(void)
{
    enum { N = 20000 };
    static uint64_t handle[N];
    static thing *item[N];
    uint64_t sum = 0, wanted = 0;
    open_table();
    for (unsigned i = 0; i < N; i++) item[i] = add(&handle[i], i);
    for (unsigned i = 0; i < N; i++) {      /* addresses stay while the table grows */
        CU_ASSERT_PTR_EQUAL(rri_table_find(&table, handle[i]), item[i]);
        CU_ASSERT_EQUAL(item[i]->value, i);
    }
    for (unsigned i = 0; i < N; i++)
        if (i % 3) rri_table_remove(&table, item[i]);
        else wanted += i;
    rri_table_each(&table, count_item, &sum);
    CU_ASSERT_EQUAL(sum, wanted);
    for (unsigned i = 0; i < N; i++)
        CU_ASSERT_PTR_EQUAL(rri_table_find(&table, handle[i]), i % 3 ? NULL : item[i]);
    rri_table_free(&table);
}

enum { THREADS = 4, ROUNDS = 20000, HELD = 16 };

static void *churn(void *arg)
{
    uint64_t handle[HELD] = { 0 }, me = (uintptr_t)arg, wrong = 0;
    thing *item[HELD] = { NULL };
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned k = i % HELD;
        if (item[k]) {
            wrong += rri_table_find(&table, handle[k]) != item[k] || item[k]->value != me;
            rri_table_remove(&table, item[k]);
            wrong += rri_table_find(&table, handle[k]) != NULL;
        }
        item[k] = rri_table_add(&table, &handle[k]);
        if (item[k]) item[k]->value = me;
        else wrong++;
    }
    return (void *)(uintptr_t)wrong;
}

/* The number of a context is used again: what was known by a handle in one table is not in the next ones. */
static void next_tables(void)
{
    uint64_t old[20], a;
    open_table();
    table.begin = 1;
    for (int i = 0; i < 20; i++) {
        thing *t = add(&old[i], 1);
        for (int k = 0; k < i % 5; k++) {
            rri_table_remove(&table, t);
            t = add(&old[i], 1);
        }
        for (int k = 0; k < i; k++) CU_ASSERT_PTR_NULL(rri_table_find(&table, old[k]));
        for (int k = 0; k < 5; k++) CU_ASSERT_PTR_NOT_NULL(add(&a, 2));
        rri_table_free(&table);
        open_table();
    }
    rri_table_free(&table);
    /* a table that is not used has used up nothing, and one that has used up much leaves room for the next */
    open_table();
    uint32_t begin = table.begin;
    rri_table_free(&table);
    open_table();
    CU_ASSERT_EQUAL(table.begin, begin);
    thing *t = add(NULL, 1);
    atomic_store(&t->slot.word, (RRI_GENERATIONS / 2 + 1) | RRI_LIVE);
    rri_table_free(&table);
    open_table();
    CU_ASSERT_EQUAL(table.begin, 1);
    rri_table_free(&table);
}

static void many_threads(void)
{
    pthread_t thread[THREADS];
    open_table();
    for (uintptr_t i = 0; i < THREADS; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        CU_ASSERT_PTR_NULL(wrong);
    }
    CU_ASSERT_EQUAL(atomic_load(&table.live), THREADS * HELD);
    rri_table_free(&table);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "found", found }, { "refused", refused }, { "stale", stale }, { "late reuse", late_reuse }, { "retired", retired },
        { "resting", resting }, { "next tables", next_tables },
        { "many", many }, { "many threads", many_threads }, CHECK_END
    };
    return check_main(argc, argv, "table", cases);
}
