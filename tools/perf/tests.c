/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests.h"

const test tests[TESTS] = {
    { "latency", latency_test, TEST_CONTEXT, "round trip of a call, by kind of method and what the owner's main does" },
    { "rate", rate_test, TEST_CONTEXT, "calls with a reply, 1 to 1024 of them under way" },
    { "oneway", oneway_test, TEST_CONTEXT, "one-way calls that have run" },
    { "bandwidth", bandwidth_test, TEST_CONTEXT, "large arguments and results" },
    { "busy", busy_test, 0, "calls to a rank that computes, and what they cost it" },
    { "idle", idle_test, TEST_CONTEXT, "CPU time without calls; the first call after a pause" },
    { "resolve", resolve_test, TEST_DRIVEN | TEST_FRESH, "the first look at a type" },
    { "create", create_test, TEST_CONTEXT, "objects made and released" },
    { "share", share_test, TEST_CONTEXT, "references passed on and dropped" },
    { "startup", startup_test, TEST_DRIVEN | TEST_FRESH, "init and finalize" },
    { "memory", memory_test, TEST_EVERYBODY | TEST_FRESH, "resident bytes of objects, references and ranks" },
    { "interference", interference_test, TEST_SINGLE, "the application's own messages and computing beside the library" },
    { "threads", threads_test, TEST_CONTEXT, "calls from several threads" },
};
