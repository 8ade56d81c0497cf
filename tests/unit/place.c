/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a thread may run: against the kernel's own tables, bound and unbound. */
#include "place.h"

#include "check.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* "Cpus_allowed_list:\t0-1,4" of the calling thread: how many, and the first one. */
static int allowed(int *first)
{
    char line[4096];
    int count = 0;
    FILE *file = fopen("/proc/thread-self/status", "r");
    *first = -1;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "Cpus_allowed_list:", 18) != 0)
            continue;
        for (char *range = strtok(line + 18, " \t,\n"); range != NULL; range = strtok(NULL, ",\n")) {
            int from, to;
            if (sscanf(range, "%d-%d", &from, &to) < 2)
                to = from;
            if (*first < 0)
                *first = from;
            count += to - from + 1;
        }
    }
    if (file != NULL)
        fclose(file);
    return count;
}

static void width(void)
{
    int first;
    CU_ASSERT_EQUAL(rri_place_width(), allowed(&first));
}

static void mask(void)
{
    int first;
    const int count = allowed(&first);
    const rri_units units = rri_place_mask();
    CU_ASSERT_EQUAL(rri_units_count(&units), count);
    CU_ASSERT(rri_units_next(&units, 0) == first);
    CU_ASSERT(rri_units_has(&units, rri_place_now()));
}

/* The functions speak of the calling thread, not of the process. */
static void *bind_self(void *arg)
{
    char text[192];
    int first;
    rri_units one = { { 0 } };
    bool *good = arg;
    (void)allowed(&first);
    rri_units_add(&one, first);
    if (rri_place_bind(pthread_self(), &one) != 0)
        return NULL;
    const rri_units units = rri_place_mask();
    rri_place_format(text, sizeof text);
    *good = rri_place_width() == 1 && rri_units_count(&units) == 1 && rri_units_has(&units, first) &&
            (strstr(text, "(1 PU") != NULL || strncmp(text, "1 PU", 4) == 0) && strstr(text, "1 PUs") == NULL;
    return NULL;
}

static void bound_thread(void)
{
    pthread_t thread;
    bool good = false;
    int first;
    const int before = allowed(&first);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, bind_self, &good), 0);
    pthread_join(thread, NULL);
    CU_ASSERT(good);
    CU_ASSERT_EQUAL(rri_place_width(), before);
}

static void format(void)
{
    char text[192], pus[32];
    int first;
    const int count = allowed(&first);
    rri_place_format(text, sizeof text);
    snprintf(pus, sizeof pus, "%d PU%s", count, count == 1 ? "" : "s");
    CU_ASSERT_PTR_NOT_NULL(strstr(text, pus));
    CU_ASSERT_PTR_NULL(strchr(text, '\n'));
    printf("    %s\n", text);
}

/* Any size is respected, and what is there is the beginning. */
static void format_cut(void)
{
    char whole[192], text[192];
    rri_place_format(whole, sizeof whole);
    for (size_t size = 1; size <= strlen(whole) + 1; size += 7) {
        memset(text, '#', sizeof text);
        rri_place_format(text, size);
        CU_ASSERT_EQUAL(strlen(text), size - 1);
        CU_ASSERT_EQUAL(strncmp(text, whole, size - 1), 0);
        CU_ASSERT_EQUAL(text[size], '#');
    }
    text[0] = '#';
    rri_place_format(text, 0);
    CU_ASSERT_EQUAL(text[0], '#');
}

/* Reading the machine moves nobody, and finds every unit that this thread may use. */
static void map(void)
{
    static rri_map read;
    const rri_units before = rri_place_mask();
    rri_place_read_map(&read);
    const rri_units after = rri_place_mask();
    CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof before), 0);
    CU_ASSERT_FATAL(read.known);
    for (int u = rri_units_next(&before, 0); u >= 0; u = rri_units_next(&before, u + 1))
        CU_ASSERT(read.at[u][RRI_LEVEL_CORE] >= 0 && read.at[u][RRI_LEVEL_CORE] < read.cores);
    CU_ASSERT_EQUAL(memcmp(rri_place_map(), &read, sizeof read), 0);
}

/* A unit that is not there is refused, one that is not; the thread that asks stays where it is. */
static void refused(void)
{
    const rri_units before = rri_place_mask();
    rri_units wish = before, out;
    CU_ASSERT_EQUAL_FATAL(rri_place_refused(&wish, &out), 0);
    CU_ASSERT_EQUAL(rri_units_count(&out), 0);
    rri_units_add(&wish, RRI_UNITS - 1);
    CU_ASSERT_EQUAL_FATAL(rri_place_refused(&wish, &out), 0);
    CU_ASSERT(rri_units_count(&out) == 1 && rri_units_has(&out, RRI_UNITS - 1));
    wish = rri_units_without(&wish, &before);
    CU_ASSERT_EQUAL_FATAL(rri_place_refused(&wish, &out), 0);
    CU_ASSERT_EQUAL(rri_units_count(&out), 1);
    const rri_units after = rri_place_mask();
    CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof before), 0);
}

static void version(void)
{
    int major = 0;
    CU_ASSERT_EQUAL(sscanf(rri_place_version(), "%d.", &major), 1);
    CU_ASSERT(major >= 2);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "width", width },
        { "mask", mask },
        { "bound thread", bound_thread },
        { "format", format },
        { "format cut", format_cut },
        { "map", map },
        { "refused", refused },
        { "version", version },
        CHECK_END
    };
    return check_main(argc, argv, "place", cases);
}
