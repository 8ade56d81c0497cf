/* SPDX-License-Identifier: BSD-3-Clause */
/* Options: defaults, every kind of value good and bad, who beats whom, unknown variables, the listing. */
#include "options.h"

#include "check.h"
#include "error.h"
#include "log.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

/* The tests must not depend on what the caller's environment says. */
static void clear_environment(void)
{
    char name[64];
    for (size_t i = 0; environ[i] != NULL;) {
        const char *entry = environ[i];
        const size_t length = strcspn(entry, "=");
        if (strncmp(entry, "RREF_", 5) == 0 && strncmp(entry, "RREF_TEST_", 10) != 0 && length < sizeof name) {
            snprintf(name, sizeof name, "%.*s", (int)length, entry);
            unsetenv(name);
            i = 0;
        } else {
            i++;
        }
    }
}

static int load_with(rri_settings *settings, const char *name, const char *value)
{
    setenv(name, value, 1);
    const int status = rri_settings_load(settings, NULL);
    unsetenv(name);
    return status;
}

static rri_settings taken(const char *name, const char *value)
{
    rri_settings settings;
    memset(&settings, 0xEE, sizeof settings);
    CU_ASSERT_EQUAL(load_with(&settings, name, value), RREF_OK);
    return settings;
}

/* Refused with exactly this text, and the settings untouched. */
static void refused(const char *name, const char *value, const char *text)
{
    rri_settings settings, before;
    memset(&settings, 0xEE, sizeof settings);
    before = settings;
    CU_ASSERT_EQUAL(load_with(&settings, name, value), RREF_ERR_OPTION);
    CU_ASSERT_EQUAL(memcmp(&settings, &before, sizeof settings), 0);
    CU_ASSERT_EQUAL(rri_error_last()->code, RREF_ERR_OPTION);
    if (text != NULL) {
        CU_ASSERT_STRING_EQUAL(rri_error_last()->text, text);
        if (strcmp(rri_error_last()->text, text) != 0)
            fprintf(stderr, "got:    %s\nwanted: %s\n", rri_error_last()->text, text);
    }
}

static void refuse_all(const char *name, const char *const *values)
{
    for (size_t i = 0; values[i] != NULL; i++)
        refused(name, values[i], NULL);
}

/* Seconds and sizes that must be the very number. */
static bool same(double a, double b)
{
    return !(a < b) && !(a > b);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void defaults(void)
{
    rri_settings s;
    CU_ASSERT_EQUAL_FATAL(rri_settings_load(&s, NULL), RREF_OK);
    CU_ASSERT_EQUAL(s.progress, RRI_PROGRESS_ADAPTIVE);
    CU_ASSERT(same(s.timeout, RREF_FOREVER));
    CU_ASSERT(same(s.finalize_timeout, RREF_FOREVER));
    CU_ASSERT(same(s.stall_limit, 300));
    CU_ASSERT_EQUAL(s.eager, 0);
    CU_ASSERT_EQUAL(s.batch, 0);
    CU_ASSERT_EQUAL(s.batch_calls, 32);
    CU_ASSERT_EQUAL(s.spin, -1);
    CU_ASSERT_EQUAL(s.ring, 16);
    CU_ASSERT_EQUAL(s.credits, 64);
    CU_ASSERT_EQUAL(s.queue_limit, 64 << 20);
    CU_ASSERT_EQUAL(s.park_limit, 64 << 20);
    CU_ASSERT_EQUAL(s.landing_limit, 256 << 20);
    CU_ASSERT_EQUAL(s.landing_kept, 256 << 20);
    CU_ASSERT_EQUAL(s.release_delay, 1000);
    CU_ASSERT_EQUAL(s.weight, 60);
    CU_ASSERT_EQUAL(s.workers, 0);
    CU_ASSERT_EQUAL(s.max_blocked, 1000);
    CU_ASSERT_EQUAL(s.stack, 256);
    CU_ASSERT_STRING_EQUAL(s.cores, "");
    CU_ASSERT_STRING_EQUAL(s.log, "");
}

static void zero_options_are_defaults(void)
{
    rri_settings with, without;
    const rref_options given = { 0 };
    CU_ASSERT_EQUAL(rri_settings_load(&with, &given), RREF_OK);
    CU_ASSERT_EQUAL(rri_settings_load(&without, NULL), RREF_OK);
    CU_ASSERT_EQUAL(memcmp(&with, &without, sizeof with), 0);
}

static void words(void)
{
    CU_ASSERT_EQUAL(taken("RREF_PROGRESS", "application").progress, RRI_PROGRESS_APPLICATION);
    CU_ASSERT_EQUAL(taken("RREF_PROGRESS", "adaptive").progress, RRI_PROGRESS_ADAPTIVE);
    CU_ASSERT_EQUAL(taken("RREF_PROGRESS", "spin").progress, RRI_PROGRESS_SPIN);
    refused("RREF_PROGRESS", "fast", "RREF_PROGRESS=fast: adaptive, spin or application is wanted");
    refuse_all("RREF_PROGRESS", (const char *const[]){ "Adaptive", "adaptiv", "adaptive ", " adaptive", "0", NULL });
}

static void numbers(void)
{
    CU_ASSERT_EQUAL(taken("RREF_RING", "4").ring, 4);
    CU_ASSERT_EQUAL(taken("RREF_RING", "1024").ring, 1024);
    CU_ASSERT_EQUAL(taken("RREF_RING", "0016").ring, 16);
    refused("RREF_RING", "abc", "RREF_RING=abc: a whole number from 4 to 1024 is wanted");
    refused("RREF_RING", "3", "RREF_RING=3: a whole number from 4 to 1024 is wanted");
    refused("RREF_STACK", "1", "RREF_STACK=1: a whole number from 64 to 65536 (KiB) is wanted");
    refuse_all("RREF_RING", (const char *const[]){ "1025", "-16", "+16", " 16", "16 ", "16.0", "0x10", "1e2", "16K",
                                                   "-", "auto", "9223372036854775807", "9223372036854775808",
                                                   "18446744073709551632", "99999999999999999999999999999", NULL });
}

static void numbers_of_their_own_accord(void)
{
    CU_ASSERT_EQUAL(taken("RREF_WORKERS", "auto").workers, 0);
    CU_ASSERT_EQUAL(taken("RREF_WORKERS", "0").workers, 0);
    CU_ASSERT_EQUAL(taken("RREF_WORKERS", "3").workers, 3);
    CU_ASSERT_EQUAL(taken("RREF_SPIN", "auto").spin, -1);
    CU_ASSERT_EQUAL(taken("RREF_SPIN", "-1").spin, -1);
    CU_ASSERT_EQUAL(taken("RREF_SPIN", "0").spin, 0);
    refused("RREF_WORKERS", "-1", "RREF_WORKERS=-1: auto, or a whole number from 1 to 1024 is wanted");
    refused("RREF_SPIN", "-2", "RREF_SPIN=-2: auto, or a whole number from 0 to 1000000 (us) is wanted");
}

static void sizes(void)
{
    CU_ASSERT_EQUAL(taken("RREF_QUEUE_LIMIT", "4096").queue_limit, 4096);
    CU_ASSERT_EQUAL(taken("RREF_QUEUE_LIMIT", "5K").queue_limit, 5120);
    CU_ASSERT_EQUAL(taken("RREF_QUEUE_LIMIT", "5k").queue_limit, 5120);
    CU_ASSERT_EQUAL(taken("RREF_PARK_LIMIT", "3M").park_limit, 3 << 20);
    CU_ASSERT_EQUAL(taken("RREF_PARK_LIMIT", "1024G").park_limit, INT64_C(1) << 40);
    CU_ASSERT_EQUAL(taken("RREF_EAGER", "auto").eager, 0);
    CU_ASSERT_EQUAL(taken("RREF_EAGER", "16M").eager, 16 << 20);
    refused("RREF_EAGER", "17M", "RREF_EAGER=17M: auto, or a size (like 4096, 64K, 1M) from 1 to 16M is wanted");
    refused("RREF_PARK_LIMIT", "4095", "RREF_PARK_LIMIT=4095: a size (like 4096, 64K, 1M) from 4K to 1024G is wanted");
    refuse_all("RREF_PARK_LIMIT", (const char *const[]){ "K", "4KB", "4KiB", "4 K", "4.5K", "-4K", "1025G", "4T",
                                                         "8589934592G", "17179869185G", NULL });
}

static void seconds(void)
{
    CU_ASSERT(same(taken("RREF_TIMEOUT", "forever").timeout, RREF_FOREVER));
    CU_ASSERT(same(taken("RREF_TIMEOUT", "0").timeout, RREF_FOREVER));
    CU_ASSERT(same(taken("RREF_TIMEOUT", "0.000").timeout, RREF_FOREVER));
    CU_ASSERT(same(taken("RREF_TIMEOUT", "5").timeout, 5));
    CU_ASSERT(same(taken("RREF_TIMEOUT", "2.5").timeout, 2.5));
    CU_ASSERT(same(taken("RREF_TIMEOUT", "1000000000").timeout, 1e9));
    CU_ASSERT_DOUBLE_EQUAL(taken("RREF_STALL_LIMIT", "0.001").stall_limit, 0.001, 1e-15);
    CU_ASSERT_DOUBLE_EQUAL(taken("RREF_FINALIZE_TIMEOUT", "0.123456789012345678901").finalize_timeout,
                           0.123456789, 1e-12);
    CU_ASSERT(same(taken("RREF_TIMEOUT", "0.0000000019").timeout, 1e-9));
    refused("RREF_TIMEOUT", "0.0000000009", NULL);
    refused("RREF_TIMEOUT", "soon", "RREF_TIMEOUT=soon: forever, or seconds (like 0.5) up to 1000000000 is wanted");
    refuse_all("RREF_TIMEOUT", (const char *const[]){ "-1", "+1", "1e3", "0x1p3", "inf", "nan", "1.", ".5", "1,5",
                                                      "1.5s", " 1", "1 ", "1.2.3", "1000000000.1", "1000000001",
                                                      "99999999999999999999", "Forever", NULL });
}

static void log_is_copied(void)
{
    char path[600];
    const rri_settings s = taken("RREF_LOG", "info:/tmp/x");
    CU_ASSERT_STRING_EQUAL(s.log, "info:/tmp/x");
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    refused("RREF_LOG", path, NULL);
    CU_ASSERT_PTR_NOT_NULL(strstr(rri_error_last()->text, "at most 511 characters"));
}

static void empty_is_unset(void)
{
    CU_ASSERT_EQUAL(taken("RREF_RING", "").ring, 16);
    CU_ASSERT_EQUAL(taken("RREF_PROGRESS", "").progress, RRI_PROGRESS_ADAPTIVE);
    CU_ASSERT_STRING_EQUAL(taken("RREF_LOG", "").log, "");
}

/* A value of any length gives a message, cut, and never more. */
static void long_values(void)
{
    char *value = malloc(100001);
    CU_ASSERT_PTR_NOT_NULL_FATAL(value);
    memset(value, '7', 100000);
    value[100000] = '\0';
    refused("RREF_RING", value, NULL);
    refused("RREF_TIMEOUT", value, NULL);
    refused("RREF_EAGER", value, NULL);
    refused("RREF_PROGRESS", value, NULL);
    CU_ASSERT(strlen(rri_error_last()->text) < 400);
    free(value);
}

/* ---- rref_options ------------------------------------------------------------------------------------------------ */

static void fields(void)
{
    rri_settings s;
    const rref_options given = { .progress = "application", .timeout = 1.5, .finalize_timeout = RREF_FOREVER };
    CU_ASSERT_EQUAL_FATAL(rri_settings_load(&s, &given), RREF_OK);
    CU_ASSERT_EQUAL(s.progress, RRI_PROGRESS_APPLICATION);
    CU_ASSERT(same(s.timeout, 1.5));
    CU_ASSERT(same(s.finalize_timeout, RREF_FOREVER));
}

static void small_and_large_fields(void)
{
    rri_settings s;
    const rref_options given = { .timeout = 1e-7, .finalize_timeout = 1e12 };
    CU_ASSERT_EQUAL_FATAL(rri_settings_load(&s, &given), RREF_OK);
    CU_ASSERT(same(s.timeout, 1e-7));
    CU_ASSERT(same(s.finalize_timeout, RREF_FOREVER));
}

static void variables_beat_fields(void)
{
    rri_settings s;
    const rref_options given = { .progress = "application", .timeout = 1.5 };
    setenv("RREF_TIMEOUT", "7", 1);
    setenv("RREF_PROGRESS", "adaptive", 1);
    CU_ASSERT_EQUAL(rri_settings_load(&s, &given), RREF_OK);
    unsetenv("RREF_TIMEOUT");
    unsetenv("RREF_PROGRESS");
    CU_ASSERT(same(s.timeout, 7));
    CU_ASSERT_EQUAL(s.progress, RRI_PROGRESS_ADAPTIVE);
}

static void refused_field(const rref_options *given, const char *text)
{
    rri_settings settings;
    memset(&settings, 0xEE, sizeof settings);
    const rri_settings before = settings;
    CU_ASSERT_EQUAL(rri_settings_load(&settings, given), RREF_ERR_OPTION);
    CU_ASSERT_EQUAL(memcmp(&settings, &before, sizeof settings), 0);
    CU_ASSERT_EQUAL(strncmp(rri_error_last()->text, text, strlen(text)), 0);
}

static void bad_fields(void)
{
    refused_field(&(rref_options){ .progress = "" }, "rref_options.progress=: adaptive, spin or application is wanted");
    refused_field(&(rref_options){ .progress = "eager" }, "rref_options.progress=eager: ");
    refused_field(&(rref_options){ .timeout = -3 }, "rref_options.timeout=-3: ");
    refused_field(&(rref_options){ .timeout = (double)NAN }, "rref_options.timeout=");
    refused_field(&(rref_options){ .finalize_timeout = RREF_DEFAULT_TIMEOUT }, "rref_options.finalize_timeout=-1: ");
    refused_field(&(rref_options){ .reserved = { [7] = 5 } }, "rref_options.reserved[7]=5: ");
}

/* ---- variables that are no option -------------------------------------------------------------------------------- */

static char log_name[PATH_MAX];

/* What rri_settings_warn says with one more variable set. */
static void warned(const char *name, char *text, size_t size)
{
    char spec[PATH_MAX + 8];
    snprintf(spec, sizeof spec, "warn:%s", log_name);
    CU_ASSERT_EQUAL_FATAL(rri_log_open(spec, 3), RREF_OK);
    setenv(name, "1", 1);
    rri_settings_warn();
    unsetenv(name);
    rri_log_close();
    FILE *file = fopen(log_name, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    unlink(log_name);
}

static void expect_warning(const char *name, const char *expected)
{
    char text[1024];
    warned(name, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, expected);
    if (strcmp(text, expected) != 0)
        fprintf(stderr, "got:    %swanted: %s", text, expected);
}

static void unknown_variables(void)
{
    const char *folder = getenv("TMPDIR");
    snprintf(log_name, sizeof log_name, "%s/rref-options-%d.log", folder != NULL ? folder : "/tmp", (int)getpid());
    expect_warning("RREF_RNIG", "rref[3] warn: RREF_RNIG is not an option, is RREF_RING meant?\n");
    expect_warning("RREF_LGO", "rref[3] warn: RREF_LGO is not an option, is RREF_LOG meant?\n");
    expect_warning("RREF_TIME_OUT", "rref[3] warn: RREF_TIME_OUT is not an option, is RREF_TIMEOUT meant?\n");
    expect_warning("RREF_PROGESS", "rref[3] warn: RREF_PROGESS is not an option, is RREF_PROGRESS meant?\n");
    expect_warning("RREF_WORKER", "rref[3] warn: RREF_WORKER is not an option, is RREF_WORKERS meant?\n");
    expect_warning("RREF_", "rref[3] warn: RREF_ is not an option (rref-info lists them)\n");
    expect_warning("RREF_FROBNICATE", "rref[3] warn: RREF_FROBNICATE is not an option (rref-info lists them)\n");
    expect_warning("RREF_RING", "");
    expect_warning("RREF_TEST_RNIG", "");
    expect_warning("RREF", "");
    expect_warning("MY_RREF_RNIG", "");
}

static void long_variables(void)
{
    char name[5000], text[1024];
    memset(name, 'R', sizeof name - 1);
    memcpy(name, "RREF_", 5);
    name[sizeof name - 1] = '\0';
    warned(name, text, sizeof text);
    CU_ASSERT_EQUAL(strncmp(text, "rref[3] warn: RREF_RRRR", 23), 0);
    for (size_t length = 60; length < 70; length++) {
        name[length] = '\0';
        warned(name, text, sizeof text);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "(rref-info lists them)"));
        name[length] = 'R';
    }
}

/* ---- the listing ------------------------------------------------------------------------------------------------- */

typedef struct seen {
    const char *name;           /* looked for */
    char text[256];             /* value|default|allowed */
    int options;
} seen;

static void look(void *arg, const char *name, const char *value, const char *standard, const char *allowed,
                 const char *help)
{
    seen *s = arg;
    s->options++;
    CU_ASSERT(strlen(help) > 10);
    if (strcmp(name, s->name) == 0)
        snprintf(s->text, sizeof s->text, "%s|%s|%s", value, standard, allowed);
}

static void expect_listed(const rri_settings *settings, const char *name, const char *expected)
{
    seen s = { .name = name };
    rri_settings_visit(settings, look, &s);
    CU_ASSERT_EQUAL(s.options, 27);
    CU_ASSERT_STRING_EQUAL(s.text, expected);
    if (strcmp(s.text, expected) != 0)
        fprintf(stderr, "got:    %s\nwanted: %s\n", s.text, expected);
}

static void listing_of_defaults(void)
{
    expect_listed(NULL, "RREF_PROGRESS", "adaptive|adaptive|adaptive, spin or application");
    expect_listed(NULL, "RREF_TIMEOUT", "forever|forever|forever (0) or up to 1000000000 s");
    expect_listed(NULL, "RREF_STALL_LIMIT", "300|300|forever (0) or up to 1000000000 s");
    expect_listed(NULL, "RREF_PEER_TIMEOUT", "60|60|forever (0) or up to 1000000000 s");
    expect_listed(NULL, "RREF_ON_TERM", "off|off|off, report or finalize");
    expect_listed(NULL, "RREF_EAGER", "auto|auto|auto (0) or 1 to 16M bytes");
    expect_listed(NULL, "RREF_SPIN", "auto|auto|auto (-1) or 0 to 1000000 us");
    expect_listed(NULL, "RREF_RING", "16|16|4 to 1024");
    expect_listed(NULL, "RREF_QUEUE_LIMIT", "64M|64M|4K to 1024G bytes");
    expect_listed(NULL, "RREF_STACK", "256|256|64 to 65536 KiB");
    expect_listed(NULL, "RREF_CHAOS", "off|off|off or seed:NUMBER[,KIND]...");
    expect_listed(NULL, "RREF_CORES", "auto|auto|auto, any or a list of CPUs like 2-3,7");
    expect_listed(NULL, "RREF_LOG", "warn|warn|error|warn|info|debug[:file]");
}

static void listing_of_values(void)
{
    rri_settings s;
    CU_ASSERT_EQUAL_FATAL(rri_settings_load(&s, NULL), RREF_OK);
    s.progress = RRI_PROGRESS_APPLICATION;
    s.timeout = 0.25;
    s.stall_limit = 1e9;
    s.eager = 4097;
    s.park_limit = 1536 * 1024;
    strcpy(s.log, "debug:log.%r");
    expect_listed(&s, "RREF_PROGRESS", "application|adaptive|adaptive, spin or application");
    expect_listed(&s, "RREF_TIMEOUT", "0.25|forever|forever (0) or up to 1000000000 s");
    s.timeout = 1e-9;
    expect_listed(&s, "RREF_TIMEOUT", "0.000000001|forever|forever (0) or up to 1000000000 s");
    s.timeout = 1e-12;
    expect_listed(&s, "RREF_TIMEOUT", "0.000000001|forever|forever (0) or up to 1000000000 s");
    s.timeout = 123456789.25;
    expect_listed(&s, "RREF_TIMEOUT", "123456789.25|forever|forever (0) or up to 1000000000 s");
    expect_listed(&s, "RREF_STALL_LIMIT", "1000000000|300|forever (0) or up to 1000000000 s");
    expect_listed(&s, "RREF_EAGER", "4097|auto|auto (0) or 1 to 16M bytes");
    expect_listed(&s, "RREF_PARK_LIMIT", "1536K|64M|4K to 1024G bytes");
    expect_listed(&s, "RREF_LANDING_LIMIT", "256M|256M|0 to 1024G bytes");
    expect_listed(&s, "RREF_LANDING_KEPT", "256M|256M|0 to 1024G bytes");
    expect_listed(&s, "RREF_LOG", "debug:log.%r|warn|error|warn|info|debug[:file]");
}

/* What the listing shows as a value can be given as one. */
static void give_back(void *arg, const char *name, const char *value, const char *standard, const char *allowed,
                      const char *help)
{
    rri_settings settings;
    (void)allowed, (void)help;
    *(int *)arg += load_with(&settings, name, value) != RREF_OK;
    *(int *)arg += load_with(&settings, name, standard) != RREF_OK;
}

static void listing_can_be_read(void)
{
    int failures = 0;
    rri_settings_visit(NULL, give_back, &failures);
    CU_ASSERT_EQUAL(failures, 0);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "defaults", defaults },
        { "zero options are defaults", zero_options_are_defaults },
        { "words", words },
        { "numbers", numbers },
        { "numbers with auto", numbers_of_their_own_accord },
        { "sizes", sizes },
        { "seconds", seconds },
        { "log is copied", log_is_copied },
        { "empty is unset", empty_is_unset },
        { "long values", long_values },
        { "fields", fields },
        { "small and large fields", small_and_large_fields },
        { "variables beat fields", variables_beat_fields },
        { "bad fields", bad_fields },
        { "unknown variables", unknown_variables },
        { "long variables", long_variables },
        { "listing of defaults", listing_of_defaults },
        { "listing of values", listing_of_values },
        { "listing can be read", listing_can_be_read },
        CHECK_END
    };
    clear_environment();
    return check_main(argc, argv, "options", cases);
}
