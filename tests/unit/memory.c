/* SPDX-License-Identifier: BSD-3-Clause */
/* The hook that makes requests for memory fail: the n-th, once, and none when it is off. */
#include "memory.h"

#include "check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *by_malloc(void) { return rri_malloc(100); }
static void *by_calloc(void) { return rri_calloc(10, 10); }
static void *by_realloc(void) { return rri_realloc(NULL, 100); }
static void *by_aligned_alloc(void) { return rri_aligned_alloc(64, 128); }
static void *by_strdup(void) { return rri_strdup("at least 100 bytes: 4567890123456789012345678901234567890"
                                                 "123456789012345678901234567890123456789012345678901234567890"); }
static void *(*const ways[])(void) = { by_malloc, by_calloc, by_realloc, by_aligned_alloc, by_strdup };
enum { WAYS = sizeof ways / sizeof *ways };

static void gives(void *(*way)(void), bool something)
{
    void *memory = way();
    CU_ASSERT_EQUAL(memory != NULL, something);
    if (memory) memset(memory, 1, 100);
    free(memory);
}

static void off(void)
{
    CU_ASSERT(!rri_memory_armed());
    for (int i = 0; i < WAYS; i++) gives(ways[i], true);
}

static void each_way_fails_once(void)
{
    for (int i = 0; i < WAYS; i++) {
        rri_memory_fail(1);
        CU_ASSERT(rri_memory_armed());
        gives(ways[i], false);
        CU_ASSERT(!rri_memory_armed());
        gives(ways[i], true);
    }
}

static void counts_all_ways(void)
{
    for (unsigned n = 1; n <= WAYS; n++) {
        rri_memory_fail(n);
        for (unsigned i = 1; i <= WAYS; i++) gives(ways[i - 1], i != n);
    }
    rri_memory_fail(2);
    rri_memory_fail(0);
    off();
}

static void keeps_what_there_was(void)
{
    char *text = rri_malloc(4);
    strcpy(text, "abc");
    rri_memory_fail(1);
    CU_ASSERT_PTR_NULL(rri_realloc(text, 1000));
    CU_ASSERT_STRING_EQUAL(text, "abc");
    free(text);
    void *aligned = rri_aligned_alloc(64, 64), *zero = rri_calloc(1, 8);
    CU_ASSERT_EQUAL((uintptr_t)aligned % 64, 0);
    CU_ASSERT(!memcmp(zero, "\0\0\0\0\0\0\0", 8));
    free(aligned);
    free(zero);
}

static const check_case cases[] = {
    { "off", off }, { "each way fails once", each_way_fails_once }, { "counts all ways", counts_all_ways },
    { "keeps what there was", keeps_what_there_was }, CHECK_END
};
int main(int argc, char **argv) { return check_main(argc, argv, "memory", cases); }
