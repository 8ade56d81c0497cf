/* SPDX-License-Identifier: BSD-3-Clause */
/* Chaos: what RREF_CHAOS may say, and that a seed says what happens. */
#include "chaos.h"
#include "error.h"

#include "check.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 1000 };

static rri_chaos_plan read_ok(const char *text)
{
    rri_chaos_plan plan = { 77, 77 };
    CHECK_OK(rri_chaos_read(text, &plan));
    return plan;
}

static void texts(void)
{
    static const char *const bad[] = { "on", "seed", "seed:", "seed:x", "seed:-1", "7", "seed:7,", "seed:7,delays", "seed:7;slow",
                                       "seed:7,slow,", "seed:7x", ",slow", "seed:7,,slow", "off,slow", "SEED:7" };
    CU_ASSERT_EQUAL(read_ok(NULL).kinds, 0);
    CU_ASSERT_EQUAL(read_ok("").kinds, 0);
    CU_ASSERT_EQUAL(read_ok("off").kinds, 0);
    CU_ASSERT_EQUAL(read_ok("seed:7").kinds, (1u << RRI_CHAOS_KINDS) - 1);
    CU_ASSERT_EQUAL(read_ok("seed:123456789012").seed, UINT64_C(123456789012));
    CU_ASSERT_EQUAL(read_ok("seed:7,slow,delay,slow").kinds, 1u << RRI_CHAOS_SLOW | 1u << RRI_CHAOS_DELAY);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rri_chaos_plan plan = { 77, 77 };
        CHECK_GIVES(rri_chaos_read(bad[i], &plan), RREF_ERR_OPTION);
        CU_ASSERT(plan.seed == 77 && plan.kinds == 77);
        CU_ASSERT_PTR_NOT_NULL(strstr(rri_error_last()->text, bad[i]));
    }
}

/* Stands first: chaos that has begun stays. */
static void off(void)
{
    const rri_chaos_plan none = { 1, 0 };
    rri_chaos_begin(&none, 0);
    CU_ASSERT(!rri_chaos_on());
    CU_ASSERT_EQUAL(rri_chaos_signature(), 0);
    for (unsigned k = 0; k < RRI_CHAOS_KINDS; k++) {
        CU_ASSERT(!rri_chaos((rri_chaos_kind)k));
        CU_ASSERT_EQUAL(rri_chaos_pick((rri_chaos_kind)k, 10), 0);
        CU_ASSERT_EQUAL(rri_chaos_agreed((rri_chaos_kind)k, 1, 10), 0);
    }
}

static void begin(uint64_t seed, unsigned kinds, int rank)
{
    const rri_chaos_plan plan = { seed, kinds };
    rri_chaos_begin(&plan, rank);
}

static const unsigned all = (1u << RRI_CHAOS_KINDS) - 1;

static void kinds(void)
{
    const rri_chaos_plan none = { 1, 0 };
    unsigned yes = 0;
    begin(3, 1u << RRI_CHAOS_DELAY, 0);
    for (int i = 0; i < MANY; i++) {
        yes += rri_chaos(RRI_CHAOS_DELAY);
        CU_ASSERT(!rri_chaos(RRI_CHAOS_SLOW));
    }
    CU_ASSERT(yes > MANY / 16 && yes < MANY / 4);
    rri_chaos_begin(&none, 0);
    CU_ASSERT(rri_chaos_has(RRI_CHAOS_DELAY));
}

/* Decisions are numbered since the start of the process: the same numbers are compared by way of what depends on none. */
static void seeds(void)
{
    unsigned other_rank = 0, other_seed = 0, bounds = 0;
    for (unsigned name = 0; name < MANY; name++) {
        begin(5, all, 0);
        const unsigned a = rri_chaos_agreed(RRI_CHAOS_BUFFER, name, 1000);
        begin(5, all, 3);
        other_rank += rri_chaos_agreed(RRI_CHAOS_BUFFER, name, 1000) != a;
        begin(6, all, 0);
        other_seed += rri_chaos_agreed(RRI_CHAOS_BUFFER, name, 1000) != a;
        bounds += a >= 1000 || rri_chaos_pick(RRI_CHAOS_DELAY, 7) >= 7;
    }
    CU_ASSERT_EQUAL(other_rank, 0);
    CU_ASSERT(other_seed > MANY - MANY / 100);
    CU_ASSERT_EQUAL(bounds, 0);
}

/* The first decisions of a process, made in a child so that they are the first. */
static void first_decisions(uint64_t seed, int rank, unsigned picks[MANY])
{
    int ends[2];
    memset(picks, 0, MANY * sizeof *picks);
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        begin(seed, all, rank);
        for (int i = 0; i < MANY; i++) picks[i] = rri_chaos_pick(RRI_CHAOS_REORDER, 1000);
        _exit(write(ends[1], picks, MANY * sizeof *picks) != (ssize_t)(MANY * sizeof *picks));
    }
    close(ends[1]);
    CU_ASSERT_EQUAL(read(ends[0], picks, MANY * sizeof *picks), (ssize_t)(MANY * sizeof *picks));
    close(ends[0]);
    waitpid(child, NULL, 0);
}

static void decisions_come_again(void)
{
    static unsigned a[MANY], b[MANY];
    first_decisions(5, 2, a);
    first_decisions(5, 2, b);
    CU_ASSERT(memcmp(a, b, sizeof a) == 0);
    first_decisions(5, 1, b);
    CU_ASSERT(memcmp(a, b, sizeof a) != 0);
    first_decisions(6, 2, b);
    CU_ASSERT(memcmp(a, b, sizeof a) != 0);
}

static void signatures(void)
{
    begin(5, all, 0);
    const uint64_t a = rri_chaos_signature();
    begin(5, all, 1);
    CU_ASSERT(a == rri_chaos_signature() && a != 0);
    begin(6, all, 0);
    CU_ASSERT(a != rri_chaos_signature());
    begin(5, 1, 0);
    CU_ASSERT(a != rri_chaos_signature());
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "texts", texts }, { "off", off }, { "decisions come again", decisions_come_again },
        { "kinds", kinds }, { "seeds", seeds }, { "signatures", signatures }, CHECK_END
    };
    return check_main(argc, argv, "chaos", cases);
}
