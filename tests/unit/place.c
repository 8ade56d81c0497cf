/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a thread may run: against the kernel's own tables, bound and unbound. */
#include "place.h"

#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static int bits(const unsigned long long *words)
{
    int count = 0;
    for (int i = 0; i < RRI_PLACE_WORDS; i++)
        count += __builtin_popcountll(words[i]);
    return count;
}

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
    unsigned long long words[RRI_PLACE_WORDS];
    int first;
    const int count = allowed(&first);
    memset(words, 0xFF, sizeof words);
    rri_place_mask(words);
    CU_ASSERT_EQUAL(bits(words), count);
    CU_ASSERT((words[first / 64] >> (first % 64) & 1) == 1);
}

/* The functions speak of the calling thread, not of the process. */
static void *bind_self(void *arg)
{
    unsigned long long words[RRI_PLACE_WORDS];
    char text[192];
    int first;
    cpu_set_t one;
    bool *good = arg;
    (void)allowed(&first);
    CPU_ZERO(&one);
    CPU_SET((size_t)first, &one);
    if (pthread_setaffinity_np(pthread_self(), sizeof one, &one) != 0)
        return NULL;
    rri_place_mask(words);
    rri_place_format(text, sizeof text);
    *good = rri_place_width() == 1 && bits(words) == 1 && words[first / 64] == 1ULL << (first % 64) &&
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
        { "version", version },
        CHECK_END
    };
    return check_main(argc, argv, "place", cases);
}
