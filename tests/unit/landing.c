/* SPDX-License-Identifier: BSD-3-Clause */
/* Landing areas: which are used again, and how many are kept. */
#include "landing.h"

#include <stdint.h>
#include <stdlib.h>
#include "check.h"

#define LIMIT ((size_t)256 << 20)

static void used_again(void)
{
    rri_landings all = { .limit = LIMIT };
    size_t bytes = 1000;
    void *a = rri_landing_take(&all, &bytes);
    CU_ASSERT_PTR_NOT_NULL(a);
    CU_ASSERT_EQUAL((uintptr_t)a % 64, 16);
    CU_ASSERT_EQUAL(bytes, 1024);
    rri_landing_give(&all, a, bytes);
    bytes = 300;
    CU_ASSERT_PTR_EQUAL(rri_landing_take(&all, &bytes), a);
    CU_ASSERT_EQUAL(bytes, 1024);
    CU_ASSERT_EQUAL(all.count, 0);
    CU_ASSERT_EQUAL(all.kept, 0);
    rri_landing_give(&all, a, bytes);
    rri_landings_close(&all);
}

/* Neither too small nor much too large. */
static void only_if_it_fits(void)
{
    rri_landings all = { .limit = LIMIT };
    size_t big = 64000, small = 100, bigger = 64001;
    void *a = rri_landing_take(&all, &big);
    rri_landing_give(&all, a, big);
    void *b = rri_landing_take(&all, &small), *c = rri_landing_take(&all, &bigger);
    CU_ASSERT_EQUAL(all.count, 1);
    rri_landing_give(&all, b, small);
    rri_landing_give(&all, c, bigger);
    CU_ASSERT_EQUAL(all.count, 3);
    rri_landings_close(&all);
    CU_ASSERT_EQUAL(all.kept, 0);
}

static void oldest_goes(void)
{
    rri_landings all = { .limit = LIMIT };
    void *a[RRI_LANDINGS + 1];
    size_t bytes = 64;
    for (int i = 0; i <= RRI_LANDINGS; i++) a[i] = rri_landing_take(&all, &bytes);
    for (int i = 0; i <= RRI_LANDINGS; i++) rri_landing_give(&all, a[i], bytes);
    CU_ASSERT_EQUAL(all.count, RRI_LANDINGS);
    for (int i = RRI_LANDINGS; i > 0; i--) CU_ASSERT_PTR_EQUAL(rri_landing_take(&all, &bytes), a[i]);
    CU_ASSERT_EQUAL(all.count, 0);
    for (int i = 1; i <= RRI_LANDINGS; i++) rri_landing_give(&all, a[i], bytes);
    rri_landings_close(&all);
}

/* 256 MiB at most; the pages are never touched. */
static void bounded(void)
{
    rri_landings all = { .limit = LIMIT };
    size_t huge = (size_t)300 << 20, large = (size_t)100 << 20;
    void *h = rri_landing_take(&all, &huge), *a[3];
    rri_landing_give(&all, h, huge);
    CU_ASSERT_EQUAL(all.count, 0);
    for (int i = 0; i < 3; i++) a[i] = rri_landing_take(&all, &large);
    for (int i = 0; i < 3; i++) rri_landing_give(&all, a[i], large);
    CU_ASSERT_EQUAL(all.count, 2);
    CU_ASSERT_EQUAL(all.kept, (size_t)200 << 20);
    rri_landing_give(&all, NULL, 0);
    CU_ASSERT_EQUAL(all.count, 2);
    rri_landings_close(&all);
}

static const check_case cases[] = {
    { "used_again", used_again }, { "only_if_it_fits", only_if_it_fits }, { "oldest_goes", oldest_goes },
    { "bounded", bounded }, CHECK_END
};

int main(int argc, char **argv) { return check_main(argc, argv, "landing", cases); }
