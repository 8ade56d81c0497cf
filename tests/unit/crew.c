/* SPDX-License-Identifier: BSD-3-Clause */
/* The crew's alarm: a thread that is idle is called, at once or in time, and one that is not needed after all sleeps on. */
#include "crew.h"

#include "check.h"

#include <string.h>

static const int64_t soon = 1000000, late = INT64_C(1000000000000);

static rri_crew crew;
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

static bool listens(void *unused)
{
    (void)unused;
    rri_take(&crew.lock, &rri_crew_lock);
    bool heard = crew.listener == RRI_ALARM_HEARD;
    rri_give(&crew.lock, &rri_crew_lock);
    return heard;
}

static bool looked(void *times) { return atomic_load(&looks) >= *(const unsigned *)times; }

/* Somebody watches, so that idle threads have no reason to. */
static void open_crew(void)
{
    rri_crew_config config = { .workers = 1, .max_blocked = 1, .stack = 65536 };
    memset(&crew, 0, sizeof crew);
    atomic_store(&looks, 0);
    CU_ASSERT_FATAL(rri_crew_open(&crew, &config, member, NULL) == 0);
    atomic_store(&crew.watching, 1);
    CU_ASSERT_FATAL(rri_crew_start(&crew) == 0);
    CU_ASSERT_FATAL(check_until(listens, NULL, 10));
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
    CU_ASSERT(check_until(listens, NULL, 10));
    CU_ASSERT_EQUAL(atomic_load(&looks), times);
}

static void is_called_in_time(void)
{
    open_crew();
    rri_crew_call_in(&crew, soon);
    expect_looks(1);
    rri_crew_call_in(&crew, soon);
    expect_looks(2);
    close_crew();
}

/* A call that is hushed does not keep the next one from coming, as one that is to come does. */
static void is_hushed(void)
{
    open_crew();
    rri_crew_call_in(&crew, late);
    rri_crew_hush(&crew);
    rri_crew_call_in(&crew, soon);
    expect_looks(1);
    close_crew();
}

static void is_called_at_once(void)
{
    open_crew();
    rri_crew_call_in(&crew, late);
    rri_crew_call(&crew);
    expect_looks(1);
    close_crew();
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "is called in time", is_called_in_time }, { "is hushed", is_hushed }, { "is called at once", is_called_at_once },
        CHECK_END
    };
    return check_main(argc, argv, "crew", cases);
}
