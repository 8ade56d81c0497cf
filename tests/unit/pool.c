/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool: counts of buffers, how many are kept, who is told of a debt, and use from many threads. */
#include "pool.h"

#include "check.h"
#include "memory.h"

#include <pthread.h>
#include <string.h>

static rri_pool pool;
static atomic_int told;
static int told_peer;

static void tell(void *up, rri_buffer *buffer)
{
    CU_ASSERT_PTR_EQUAL(up, &told);
    told_peer = buffer->peer;
    atomic_fetch_add(&told, 1);
}

static void open_pool(size_t room, unsigned keep)
{
    rri_pool_init(&pool, room, keep);
    pool.last = tell;
    pool.up = &told;
    atomic_store(&told, 0);
}

static void fresh(void)
{
    open_pool(1000, 4);
    rri_buffer *b = rri_buffer_new(&pool);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT_EQUAL((uintptr_t)b->data % 64, 0);
    CU_ASSERT_EQUAL(b->bytes, 0);
    CU_ASSERT_EQUAL(b->peer, -1);
    CU_ASSERT_EQUAL(atomic_load(&pool.live), 1);
    memset(b->data, 0xff, 1000);            /* all of the room is there: the sanitizer sees to it */
    b->peer = 3;
    b->bytes = 1000;
    rri_buffer_drop(b);
    CU_ASSERT_EQUAL(atomic_load(&pool.live), 0);
    rri_buffer *c = rri_buffer_new(&pool);
    CU_ASSERT_PTR_EQUAL(c, b);              /* kept, and as new */
    CU_ASSERT(c->bytes == 0 && c->peer == -1 && !c->owes && !c->next);
    rri_buffer_drop(c);
    CU_ASSERT_EQUAL(atomic_load(&told), 0);
    rri_pool_free(&pool);
}

static void counts(void)
{
    open_pool(64, 4);
    rri_buffer *b = rri_buffer_new(&pool);
    rri_buffer_keep(b);
    rri_buffer_keep(b);
    rri_buffer_drop(b);
    rri_buffer_drop(b);
    CU_ASSERT_EQUAL(atomic_load(&pool.live), 1);
    CU_ASSERT_EQUAL(pool.kept, 0);
    rri_buffer_drop(b);
    CU_ASSERT_EQUAL(atomic_load(&pool.live), 0);
    CU_ASSERT_EQUAL(pool.kept, 1);
    rri_pool_free(&pool);
}

static void keeps_so_many(void)
{
    rri_buffer *b[8];
    open_pool(64, 3);
    for (int i = 0; i < 8; i++) b[i] = rri_buffer_new(&pool);
    CU_ASSERT_EQUAL(atomic_load(&pool.live), 8);
    for (int i = 0; i < 8; i++) rri_buffer_drop(b[i]);
    CU_ASSERT_EQUAL(pool.kept, 3);
    for (int i = 0; i < 3; i++) b[i] = rri_buffer_new(&pool);
    CU_ASSERT_EQUAL(pool.kept, 0);
    for (int i = 0; i < 3; i++) rri_buffer_drop(b[i]);
    rri_pool_free(&pool);
    CU_ASSERT_EQUAL(pool.kept, 0);
}

/* A debt is told once, with the last count. */
static void owes(void)
{
    open_pool(64, 1);
    rri_buffer *b = rri_buffer_new(&pool);
    b->peer = 5;
    b->owes = true;
    rri_buffer_keep(b);
    rri_buffer_drop(b);
    CU_ASSERT_EQUAL(atomic_load(&told), 0);
    rri_buffer_drop(b);
    CU_ASSERT_EQUAL(atomic_load(&told), 1);
    CU_ASSERT_EQUAL(told_peer, 5);
    b = rri_buffer_new(&pool);              /* the debt does not come back with the buffer */
    rri_buffer_drop(b);
    CU_ASSERT_EQUAL(atomic_load(&told), 1);
    rri_pool_free(&pool);
}

/* ---- threads */

enum { THREADS = 4, ROUNDS = 20000 };
static rri_buffer *shared;

static void *use(void *arg)
{
    uintptr_t wrong = 0;
    for (int i = 0; i < ROUNDS; i++) {
        rri_buffer *b = rri_buffer_new(&pool);
        if (!b) return (void *)1;
        memcpy(b->data, &arg, sizeof arg);
        rri_buffer_keep(b);
        rri_buffer_keep(shared);
        rri_buffer_drop(shared);
        wrong += memcmp(b->data, &arg, sizeof arg) != 0;
        rri_buffer_drop(b);
        rri_buffer_drop(b);
    }
    return (void *)wrong;
}

static void many_threads(void)
{
    pthread_t thread[THREADS];
    open_pool(64, 2);
    shared = rri_buffer_new(&pool);
    shared->owes = true;
    for (uintptr_t i = 0; i < THREADS; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, use, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        CU_ASSERT_PTR_NULL(wrong);
    }
    CU_ASSERT_EQUAL(atomic_load(&pool.live), 1);
    CU_ASSERT_EQUAL(atomic_load(&told), 0);
    rri_buffer_drop(shared);
    CU_ASSERT_EQUAL(atomic_load(&told), 1);
    rri_pool_free(&pool);
}

/* The last of the free ones are for those who ask for them, and come back. */
static void reserve(void)
{
    open_pool(64, 4);
    CU_ASSERT_EQUAL(rri_pool_reserve(&pool, 2), 0);
    CU_ASSERT_EQUAL(pool.kept, 2);
    rri_buffer *b = rri_buffer_new(&pool);
    CU_ASSERT_EQUAL(pool.kept, 2);
    rri_memory_fail(1);
    CU_ASSERT_PTR_NULL(rri_buffer_new(&pool));
    for (unsigned left = 2; left-- > 0;) {
        rri_memory_fail(1);
        rri_buffer *r = rri_buffer_reserved(&pool);
        CU_ASSERT_PTR_NOT_NULL_FATAL(r);
        CU_ASSERT_EQUAL(pool.kept, left);
        r->next = b;
        b = r;
    }
    rri_memory_fail(1);
    CU_ASSERT_PTR_NULL(rri_buffer_reserved(&pool));
    CU_ASSERT(!rri_memory_armed());
    for (rri_buffer *next; b; b = next) {
        next = b->next;
        rri_buffer_drop(b);
    }
    CU_ASSERT_EQUAL(pool.kept, 3);
    rri_pool_free(&pool);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "fresh", fresh }, { "counts", counts }, { "keeps so many", keeps_so_many }, { "owes", owes },
        { "many threads", many_threads }, { "reserve", reserve }, CHECK_END
    };
    return check_main(argc, argv, "pool", cases);
}
