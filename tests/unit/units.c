/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of units: lists good and bad, both ways, and what is done with sets. */
#include "units.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

static void same_both_ways(const char *text)
{
    rri_units set;
    char back[256];
    CU_ASSERT_FATAL(rri_units_parse(&set, text));
    rri_units_format(&set, back, sizeof back);
    CU_ASSERT_STRING_EQUAL(back, text);
}

static void lists(void)
{
    same_both_ways("0");
    same_both_ways("0-3");
    same_both_ways("2-3,7");
    same_both_ways("0,2,4,62-65,127-128,1023");
    same_both_ways("0-1023");
}

static void other_spellings(void)
{
    static const char *const as[][2] = { { "3,2", "2-3" }, { "1,1,1", "1" }, { "0-2,1-4", "0-4" }, { "007", "7" },
                                         { "5-5", "5" } };
    for (size_t i = 0; i < sizeof as / sizeof as[0]; i++) {
        rri_units set;
        char back[64];
        CU_ASSERT_FATAL(rri_units_parse(&set, as[i][0]));
        rri_units_format(&set, back, sizeof back);
        CU_ASSERT_STRING_EQUAL(back, as[i][1]);
    }
}

static void bad_lists(void)
{
    static const char *const bad[] = { "", ",", "1,", ",1", "1,,2", "-", "1-", "-1", "3-2", "1-2-3", "1024", "0-1024", "a", "1a",
                                       " 1", "1 ", "1, 2", "0x1", "+1", "1.5", "99999999999999999999", "0-99999999999" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rri_units set, before;
        memset(&set, 0xEE, sizeof set);
        before = set;
        CU_ASSERT_FALSE(rri_units_parse(&set, bad[i]));
        CU_ASSERT_EQUAL(memcmp(&set, &before, sizeof set), 0);
    }
}

static void cut(void)
{
    rri_units set;
    char whole[64], text[64];
    CU_ASSERT_FATAL(rri_units_parse(&set, "0,2,4,10-12,1000"));
    rri_units_format(&set, whole, sizeof whole);
    for (size_t size = 1; size <= strlen(whole) + 1; size++) {
        memset(text, '#', sizeof text);
        rri_units_format(&set, text, size);
        CU_ASSERT_EQUAL(strlen(text), size - 1);
        CU_ASSERT_EQUAL(strncmp(text, whole, size - 1), 0);
        CU_ASSERT_EQUAL(text[size], '#');
    }
    rri_units_format(&set, text, 0);
    CU_ASSERT_EQUAL(text[0], '0');
}

static void sets(void)
{
    rri_units a, b, none = { { 0 } };
    CU_ASSERT_FATAL(rri_units_parse(&a, "0-3,64,1023") && rri_units_parse(&b, "2-5,64"));
    CU_ASSERT_EQUAL(rri_units_count(&a), 6);
    CU_ASSERT(rri_units_has(&a, 1023) && !rri_units_has(&a, 4) && !rri_units_has(&a, -1) && !rri_units_has(&a, 1024));
    CU_ASSERT(rri_units_meet(&a, &b) && !rri_units_meet(&a, &none));
    const rri_units left = rri_units_without(&a, &b);
    char text[64];
    rri_units_format(&left, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "0-1,1023");
    CU_ASSERT_EQUAL(rri_units_next(&left, 0), 0);
    CU_ASSERT_EQUAL(rri_units_next(&left, 2), 1023);
    CU_ASSERT_EQUAL(rri_units_next(&left, 1024), -1);
    rri_units_add(&none, -1);
    rri_units_add(&none, 1024);
    CU_ASSERT_EQUAL(rri_units_next(&none, 0), -1);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "lists", lists }, { "other spellings", other_spellings }, { "bad lists", bad_lists }, { "cut", cut }, { "sets", sets },
        CHECK_END
    };
    return check_main(argc, argv, "units", cases);
}
