/* SPDX-License-Identifier: BSD-3-Clause */
/* Catalogs: what is added is found in a copy, of any length and made at any moment; nothing is believed beyond its bounds. */
#include "catalog.h"

#include "check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 512, ENTRIES = 8 };

static _Alignas(8) char memory[SIZE];

static const void *bytes;
static size_t count;

/* Look through a copy that has no byte more than it says. */
static rri_catalog_find look(const void *from, size_t have, uint64_t id)
{
    char *copy = malloc(have ? have : 1), text[64];
    memcpy(copy, from, have);
    rri_catalog_find found = rri_catalog_look(copy, have, id, &bytes, &count);
    if (found == RRI_CATALOG_FOUND) {
        CU_ASSERT_TRUE_FATAL((const char *)bytes >= copy && (const char *)bytes + count <= copy + have);
        if (count <= sizeof text) memcpy(text, bytes, count);   /* a sanitizer sees to it that this may be read */
    }
    free(copy);
    return found;
}

static void fill(void)
{
    rri_catalog_make(memory, SIZE);
    for (uint64_t i = 1; i <= ENTRIES; i++) CU_ASSERT_TRUE(rri_catalog_add(memory, 100 * i, "abcdefghij", i));
}

static void found(void)
{
    fill();
    for (uint64_t i = 1; i <= ENTRIES; i++) {
        CU_ASSERT_EQUAL(rri_catalog_look(memory, SIZE, 100 * i, &bytes, &count), RRI_CATALOG_FOUND);
        CU_ASSERT_EQUAL(count, i);
        CU_ASSERT_EQUAL(memcmp(bytes, "abcdefghij", i), 0);
    }
    CU_ASSERT_EQUAL(look(memory, SIZE, 1), RRI_CATALOG_ABSENT);
    rri_catalog_make(memory, SIZE);
    CU_ASSERT_EQUAL(look(memory, RRI_CATALOG_MIN, 100), RRI_CATALOG_ABSENT);
}

/* A copy that is too short says how much would do, and that much does. */
static void short_copies(void)
{
    fill();
    for (size_t have = 0; have <= SIZE; have++)
        for (uint64_t i = 1; i <= ENTRIES + 1; i++) {
            rri_catalog_find f = look(memory, have, 100 * i);
            if (have < 16) CU_ASSERT_EQUAL(f, RRI_CATALOG_TORN);
            if (f != RRI_CATALOG_MORE) continue;
            CU_ASSERT_TRUE(count > have && count <= SIZE);
            CU_ASSERT_EQUAL(look(memory, count, 100 * i), i <= ENTRIES ? RRI_CATALOG_FOUND : RRI_CATALOG_ABSENT);
        }
}

static void full(void)
{
    static const char much[SIZE];
    rri_catalog_make(memory, SIZE);
    CU_ASSERT_FALSE(rri_catalog_add(memory, 1, much, SIZE));
    CU_ASSERT_FALSE(rri_catalog_add(memory, 1, much, SIZE - 16 - 16 + 1));
    CU_ASSERT_FALSE(rri_catalog_add(memory, 1, much, SIZE_MAX));
    CU_ASSERT_FALSE(rri_catalog_add(memory, 1, much, SIZE_MAX - 7));
    CU_ASSERT_TRUE(rri_catalog_add(memory, 1, much, SIZE - 16 - 16));
    CU_ASSERT_FALSE(rri_catalog_add(memory, 2, much, 0));
    CU_ASSERT_EQUAL(look(memory, SIZE, 1), RRI_CATALOG_FOUND);
    CU_ASSERT_EQUAL(look(memory, SIZE, 2), RRI_CATALOG_ABSENT);
}

/* What is added while it is copied: the copy is of the time before up to some byte, and of the time after behind it. */
static void torn(void)
{
    static _Alignas(8) char before[SIZE], mixed[SIZE];
    fill();
    memcpy(before, memory, SIZE);
    CU_ASSERT_TRUE(rri_catalog_add(memory, 5000, "fresh", 5));
    for (int newer_first = 0; newer_first < 2; newer_first++)
        for (size_t at = 0; at <= SIZE; at += 8) {
            memcpy(mixed, newer_first ? memory : before, at);
            memcpy(mixed + at, (newer_first ? before : memory) + at, SIZE - at);
            CU_ASSERT_EQUAL(look(mixed, SIZE, 800), RRI_CATALOG_FOUND);
            CU_ASSERT_NOT_EQUAL(look(mixed, SIZE, 5000), RRI_CATALOG_MORE);
        }
}

static uint64_t state = 88172645463325252u;
static unsigned next_random(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (unsigned)(state >> 32);
}

/* Nothing else is asked of garbage than that nobody reads past it. */
static void garbage(void)
{
    static _Alignas(8) char bad[SIZE];
    fill();
    for (int round = 0; round < 20000; round++) {
        memcpy(bad, memory, SIZE);
        for (unsigned k = 0; k < 1 + next_random() % 6; k++) {
            static const unsigned char special[] = { 0, 1, 8, 0x7f, 0x80, 0xff };
            bad[4 + next_random() % 200] = (char)special[next_random() % sizeof special];
        }
        look(bad, next_random() % (SIZE + 1), 100 * (1 + next_random() % ENTRIES));
    }
    memset(bad, 0xff, SIZE);
    CU_ASSERT_EQUAL(look(bad, SIZE, 100), RRI_CATALOG_TORN);
    memset(bad, 0, SIZE);
    CU_ASSERT_EQUAL(look(bad, SIZE, 100), RRI_CATALOG_TORN);
}

static const check_case cases[] = {
    { "found", found }, { "short_copies", short_copies }, { "full", full }, { "torn", torn }, { "garbage", garbage }, CHECK_END
};

int main(int argc, char **argv) { return check_main(argc, argv, "catalog", cases); }
