/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three numbers and a word for rref_options, then an environment: lines up to a 0 each. It is refused with a reason, and the
 * settings stay as they were; or it is taken, and what rref-info prints of it, given back as an environment, means the same.
 */
#include "fuzz.h"

#include "error.h"
#include "log.h"
#include "options.h"

#include <unistd.h>

enum { LINES = 32 };

/* But for the texts, of which none may come back as the word for it. */
static bool same(const rri_settings *a, const rri_settings *b)
{
    return !memcmp(a, b, offsetof(rri_settings, chaos));
}

/* ---- an environment of this test's own */

static char *lines[LINES + 1];
static unsigned count;

static void add(char *line)
{
    lines[count++] = line;
    lines[count] = NULL;
}

static void clear(void)
{
    while (count) free(lines[--count]);
    lines[0] = NULL;
}

static void print(void *arg, const char *name, const char *value, const char *standard, const char *allowed, const char *help)
{
    char *line = malloc(strlen(name) + strlen(value) + 2);
    (void)arg;
    MUST(line && *standard && *allowed && *help);
    sprintf(line, "%s=%s", name, value);
    add(line);
}

/* Seconds are printed to the microsecond: what is finer may come back as no limit. */
static bool fine(const rri_settings *s)
{
    const double all[] = { s->timeout, s->finalize_timeout, s->stall_limit };
    for (int i = 0; i < 3; i++) {
        int64_t micro = all[i] < 1e9 ? (int64_t)(all[i] * 1e6 + 0.5) : 1;
        if (micro == 0 || (all[i] < 1e9 && (double)micro / 1e6 != all[i])) return false;
    }
    return true;
}

static void print_and_load(const rri_settings *settings)
{
    rri_settings again;
    clear();
    rri_settings_visit(settings, print, NULL);
    MUST(rri_settings_load(&again, NULL) == RREF_OK);
    MUST(!fine(settings) || same(settings, &again));
}

static void in_range(const rri_settings *s)
{
    MUST(s->progress == RRI_PROGRESS_ADAPTIVE || s->progress == RRI_PROGRESS_APPLICATION);
    MUST(s->timeout > 0 && s->finalize_timeout > 0 && s->stall_limit > 0);
    MUST(s->eager >= 0 && s->eager <= 16 << 20 && s->spin >= -1 && s->ring >= 4 && s->ring <= 1024);
    MUST(s->credits >= 2 && s->queue_limit >= 4096 && s->park_limit >= 4096);
    MUST(s->workers >= 0 && s->workers <= 1024 && s->max_blocked >= 0 && s->stack >= 64);
    MUST(memchr(s->log, 0, sizeof s->log));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = { data, size };
    rref_options options = { 0 };
    rri_settings settings, before;
    static bool quiet;
    char **was = environ;
    if (!quiet) quiet = rri_log_open("warn:/dev/null", 0) == RREF_OK;
    fuzz_take(&in, &options.timeout, sizeof options.timeout);
    fuzz_take(&in, &options.finalize_timeout, sizeof options.finalize_timeout);
    fuzz_take(&in, &options.reserved[0], sizeof options.reserved[0]);
    char *progress = fuzz_string(&in);
    options.progress = *progress ? progress : NULL;
    while (in.left && count < LINES) add(fuzz_string(&in));
    environ = lines;
    memset(&settings, 0x5a, sizeof settings);
    memcpy(&before, &settings, sizeof settings);
    rri_settings_warn();
    if (rri_settings_load(&settings, &options) != RREF_OK) {
        MUST(rri_error_last()->code == RREF_ERR_OPTION && rri_error_last()->text[0]);
        MUST(!memcmp(&settings, &before, sizeof settings));
    } else {
        in_range(&settings);
        print_and_load(&settings);
    }
    clear();
    environ = was;
    free(progress);
    return 0;
}
