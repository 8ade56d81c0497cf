/* SPDX-License-Identifier: BSD-3-Clause */
/* The crew's standby: an idle thread that is called by whoever changes its word, or by the crew itself. */
#include "crew.h"

#include "check.h"

#include <string.h>

static rri_crew crew;
static atomic_uint standby;
static atomic_uint looks;               /* times that the thread has come back from its sleep */

static void *member(void *unused)
{
    rri_crew_join(&crew);
    while (!atomic_load(&crew.stop)) {
        rri_crew_idle(&crew);
        atomic_fetch_add(&looks, 1);
    }
    return unused;
}

static bool stands_by(void *unused) { return (void)unused, rri_crew_stands_by(&crew); }
static bool looked(void *times) { return atomic_load(&looks) >= *(const unsigned *)times; }

/* Somebody watches, so that idle threads have no reason to. */
static void open_crew(void)
{
    rri_crew_config config = { .workers = 1, .max_blocked = 1, .stack = 65536 };
    memset(&crew, 0, sizeof crew);
    atomic_store(&looks, 0);
    CU_ASSERT_FATAL(rri_crew_open(&crew, &config, &standby, member, NULL) == 0);
    CU_ASSERT(!rri_crew_stands_by(&crew));
    atomic_store(&crew.watching, 1);
    CU_ASSERT_FATAL(rri_crew_start(&crew) == 0);
    CU_ASSERT_FATAL(check_until(stands_by, NULL, 10));
}

static void close_crew(void)
{
    CU_ASSERT_EQUAL(rri_crew_threads(&crew), 1);
    atomic_store(&crew.stop, 1);
    rri_crew_stop(&crew, false);
    rri_crew_close(&crew);
}

static void expect_looks(unsigned times)
{
    CU_ASSERT(check_until(looked, &times, 10));
    CU_ASSERT(check_until(stands_by, NULL, 10));
    CU_ASSERT_EQUAL(atomic_load(&looks), times);
}

static void is_called_by_its_word(void)
{
    open_crew();
    for (unsigned i = 1; i <= 2; i++) {
        atomic_fetch_add(&standby, 1);
        rri_futex_wake(&standby, 1);
        expect_looks(i);
    }
    close_crew();
}

static void is_called_by_the_crew(void)
{
    open_crew();
    for (unsigned i = 1; i <= 2; i++) {
        rri_crew_call(&crew);
        expect_looks(i);
    }
    close_crew();
}

/* One that has been called comes, and no further thread is started for the same. */
static void comes_once(void)
{
    open_crew();
    rri_take(&crew.lock, &rri_crew_lock);
    atomic_store(&crew.standby, RRI_STANDBY_CALLED);
    rri_give(&crew.lock, &rri_crew_lock);
    for (int i = 0; i < 3; i++) rri_crew_call(&crew);
    CU_ASSERT_EQUAL(rri_crew_threads(&crew), 1);
    atomic_fetch_add(&standby, 1);
    rri_futex_wake(&standby, 1);
    expect_looks(1);
    close_crew();
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "is called by its word", is_called_by_its_word }, { "is called by the crew", is_called_by_the_crew },
        { "comes once", comes_once }, CHECK_END
    };
    return check_main(argc, argv, "crew", cases);
}
