/* SPDX-License-Identifier: BSD-3-Clause */
/* The time to poll: halved in vain, fourfold where it pays, full after a sleep that was over at once; never out of bounds. */
#include "budget.h"

#include "check.h"

enum { MOST = 20000 };

static rri_budget full(bool probes) { return (rri_budget){ .most = MOST, .ns = MOST, .probes = probes }; }

static void in_vain(void)
{
    rri_budget b = full(false);
    CU_ASSERT(!rri_budget_is_least(&b));
    for (int64_t ns = MOST / 2; ns > RRI_SPIN_MIN_NS; ns /= 2) {
        rri_budget_spent(&b);
        CU_ASSERT_EQUAL(b.ns, ns);
    }
    for (int i = 0; i < 100; i++) {
        rri_budget_spent(&b);
        CU_ASSERT_EQUAL(b.ns, RRI_SPIN_MIN_NS);
        CU_ASSERT(rri_budget_is_least(&b));
    }
}

/* Where no ring ends the sleeps, all of it is tried each sixteenth time, and it is never the least for good. */
static void probes(void)
{
    rri_budget b = full(true);
    for (unsigned i = 1; i <= 64; i++) {
        rri_budget_spent(&b);
        CU_ASSERT_EQUAL(b.ns == MOST, i % 16 == 0);
        CU_ASSERT(!rri_budget_is_least(&b));
    }
}

static void well_spent(void)
{
    rri_budget b = full(false);
    for (int i = 0; i < 10; i++) rri_budget_spent(&b);
    rri_budget_well_spent(&b);
    CU_ASSERT_EQUAL(b.ns, 4 * RRI_SPIN_MIN_NS);
    CU_ASSERT_EQUAL(b.vain, 0);
    rri_budget_well_spent(&b);
    rri_budget_well_spent(&b);
    CU_ASSERT_EQUAL(b.ns, MOST);
}

static void sleeps(void)
{
    rri_budget b = full(false);
    for (int i = 0; i < 10; i++) rri_budget_spent(&b);
    rri_budget_slept(&b, 2 * MOST);
    CU_ASSERT_EQUAL(b.ns, RRI_SPIN_MIN_NS);
    rri_budget_slept(&b, 2 * MOST - 1);
    CU_ASSERT_EQUAL(b.ns, MOST);
    CU_ASSERT_EQUAL(b.vain, 0);
}

/* Where the user wants less than the least, or nothing at all. */
static void small(void)
{
    for (int64_t most = 0; most < 3 * RRI_SPIN_MIN_NS; most += 500) {
        rri_budget b = { .most = most, .ns = most };
        for (int i = 0; i < 40; i++) {
            if (i % 3 == 2) rri_budget_well_spent(&b);
            else rri_budget_spent(&b);
            CU_ASSERT(b.ns >= 0 && b.ns <= most);
        }
    }
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "in vain", in_vain }, { "probes", probes }, { "well spent", well_spent }, { "sleeps", sleeps }, { "small", small },
        CHECK_END
    };
    return check_main(argc, argv, "budget", cases);
}
