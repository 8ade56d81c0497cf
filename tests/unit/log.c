/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: specifications good and bad, the form of a line, files, and whole lines from many threads. */
#include "log.h"

#include "check.h"
#include "context.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM = 1 << 20 };

static char directory[PATH_MAX - 64];
static char text[ROOM];

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

static const char *path(const char *name)
{
    static char full[PATH_MAX];
    snprintf(full, sizeof full, "%s/%s", directory, name);
    return full;
}

static int open_at(const char *level, const char *name, int rank)
{
    char spec[PATH_MAX + 16];
    snprintf(spec, sizeof spec, "%s:%s", level, path(name));
    return rri_log_open(spec, rank);
}

/* The file's text, which goes with it. */
static const char *take(const char *name)
{
    FILE *file = fopen(path(name), "r");
    text[0] = '\0';
    if (file != NULL) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
        unlink(path(name));
    }
    return text;
}

/* What `print` leaves on stderr. */
static const char *on_stderr(void (*print)(void))
{
    const int saved = dup(STDERR_FILENO);
    const int file = open(path("stderr"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    CU_ASSERT_FATAL(saved >= 0 && file >= 0);
    fflush(stderr);
    dup2(file, STDERR_FILENO);
    print();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(file);
    return take("stderr");
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void print_unopened(void)
{
    rri_log(RRI_LOG_ERROR, "one");
    rri_log(RRI_LOG_WARN, "two");
    rri_log(RRI_LOG_INFO, "three");
}

static void before_opening(void)
{
    CU_ASSERT_STRING_EQUAL(on_stderr(print_unopened), "rref error: one\nrref warn: two\n");
}

static void print_standard(void)
{
    CU_ASSERT_EQUAL(rri_log_open(NULL, 12), RREF_OK);
    print_unopened();
    rri_log_close();
}

static void standard(void)
{
    CU_ASSERT_STRING_EQUAL(on_stderr(print_standard), "rref[12] error: one\nrref[12] warn: two\n");
}

static void count_levels(const char *spec, int level)
{
    CU_ASSERT_EQUAL(rri_log_open(spec, 0), RREF_OK);
    CU_ASSERT_EQUAL(rri_log_level, level);
    rri_log_close();
    CU_ASSERT_EQUAL(rri_log_level, RRI_LOG_WARN);
}

static void levels(void)
{
    count_levels("error", RRI_LOG_ERROR);
    count_levels("warn", RRI_LOG_WARN);
    count_levels("info", RRI_LOG_INFO);
    count_levels("debug", RRI_LOG_DEBUG);
    count_levels("", RRI_LOG_WARN);
    count_levels(NULL, RRI_LOG_WARN);
}

static void bad_specs(void)
{
    static const char *const specs[] = { "loud", "warning", "war", "Warn", "warn:", ":x", ":", " warn", "warn ", "2",
                                         NULL };
    for (size_t i = 0; specs[i] != NULL; i++) {
        CU_ASSERT_EQUAL(rri_log_open(specs[i], 0), RREF_ERR_OPTION);
        CU_ASSERT_EQUAL(rri_log_level, RRI_LOG_WARN);
    }
    CU_ASSERT_EQUAL(rri_log_open("loud", 0), RREF_ERR_OPTION);
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text,
                           "RREF_LOG=loud: error, warn, info or debug is wanted, or one of them and :FILE");
}

static void bad_files(void)
{
    char expected[PATH_MAX + 64];
    CU_ASSERT_EQUAL(open_at("debug", "missing/x", 0), RREF_ERR_SYSTEM);
    snprintf(expected, sizeof expected, "RREF_LOG: cannot open %.200s: No such file or directory", path("missing/x"));
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text, expected);
    CU_ASSERT_EQUAL(rri_log_level, RRI_LOG_WARN);
    CU_ASSERT_EQUAL(open_at("debug", "", 0), RREF_ERR_SYSTEM);
}

static void long_files(void)
{
    char spec[PATH_MAX + 16];
    memset(spec, 'x', sizeof spec);
    memcpy(spec, "warn:", 5);
    spec[sizeof spec - 1] = '\0';
    CU_ASSERT_EQUAL(rri_log_open(spec, 0), RREF_ERR_OPTION);
    spec[5 + PATH_MAX] = '\0';
    CU_ASSERT_EQUAL(rri_log_open(spec, 0), RREF_ERR_OPTION);
    memcpy(spec + 3 + PATH_MAX, "%r", 3);
    CU_ASSERT_EQUAL(rri_log_open(spec, 123456789), RREF_ERR_OPTION);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static void file_of_a_rank(void)
{
    CU_ASSERT_EQUAL_FATAL(open_at("info", "log.%r.%r%", 42), RREF_OK);
    rri_log(RRI_LOG_INFO, "%d %s", 5, "five");
    rri_log(RRI_LOG_DEBUG, "not this");
    rri_log_close();
    CU_ASSERT_STRING_EQUAL(take("log.42.42%"), "rref[42] info: 5 five\n");
}

static void files_are_appended_to(void)
{
    for (int rank = 0; rank < 2; rank++) {
        CU_ASSERT_EQUAL_FATAL(open_at("debug", "both", rank), RREF_OK);
        rri_log(RRI_LOG_DEBUG, "here");
        rri_log_close();
    }
    CU_ASSERT_STRING_EQUAL(take("both"), "rref[0] debug: here\nrref[1] debug: here\n");
}

static void opens_are_counted(void)
{
    CU_ASSERT_EQUAL_FATAL(open_at("info", "first", 1), RREF_OK);
    CU_ASSERT_EQUAL(open_at("debug", "second", 2), RREF_OK);
    rri_log_close();
    rri_log(RRI_LOG_INFO, "still");
    rri_log_close();
    rri_log_close();
    CU_ASSERT_EQUAL(rri_log_level, RRI_LOG_WARN);
    CU_ASSERT_EQUAL(access(path("second"), F_OK), -1);
    CU_ASSERT_STRING_EQUAL(take("first"), "rref[1] info: still\n");
}

static void one_line_each(void)
{
    CU_ASSERT_EQUAL_FATAL(open_at("info", "lines", 0), RREF_OK);
    rri_log(RRI_LOG_INFO, "first\nsecond\r\nthird\n\n");
    rri_log(RRI_LOG_INFO, "%s", "");
    rri_log_close();
    CU_ASSERT_STRING_EQUAL(take("lines"), "rref[0] info: first second  third\nrref[0] info: \n");
}

static void long_lines(void)
{
    char longest[5000];
    memset(longest, 'y', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CU_ASSERT_EQUAL_FATAL(open_at("info", "long", 0), RREF_OK);
    rri_log(RRI_LOG_INFO, "%s", longest);
    rri_log_close();
    take("long");
    const size_t length = strlen(text);
    CU_ASSERT_FATAL(length > 2000 && length < 2049);
    CU_ASSERT_STRING_EQUAL(text + length - 6, "yy...\n");
}

/* Around the longest that fits, nothing is lost but what the dots stand for. */
static void lines_at_the_limit(void)
{
    char exact[2100];
    for (size_t wanted = 2000; wanted < 2060; wanted++) {
        memset(exact, 'z', wanted);
        exact[wanted] = '\0';
        CU_ASSERT_EQUAL_FATAL(open_at("info", "limit", 0), RREF_OK);
        rri_log(RRI_LOG_INFO, "%s", exact);
        rri_log_close();
        take("limit");
        const size_t length = strlen(text), prefix = strlen("rref[0] info: ");
        const bool cut = strcmp(text + length - 4, "...\n") == 0;
        CU_ASSERT_EQUAL(text[length - 1], '\n');
        CU_ASSERT(cut || length == prefix + wanted + 1);
        CU_ASSERT(!cut || length <= prefix + wanted + 1);
    }
}

static void errno_is_kept(void)
{
    CU_ASSERT_EQUAL_FATAL(open_at("info", "errno", 0), RREF_OK);
    errno = ENOENT;
    rri_log(RRI_LOG_INFO, "%s", strerror(errno));
    CU_ASSERT_EQUAL(errno, ENOENT);
    rri_log_close();
    CU_ASSERT_STRING_EQUAL(take("errno"), "rref[0] info: No such file or directory\n");
}

/* Nobody is told that the log is lost, least of all by errno. */
static void full_disk(void)
{
    CU_ASSERT_EQUAL_FATAL(rri_log_open("info:/dev/full", 0), RREF_OK);
    errno = EDOM;
    rri_log(RRI_LOG_INFO, "lost");
    CU_ASSERT_EQUAL(errno, EDOM);
    rri_log_close();
}

/* ---- failures that nobody waits for ---------------------------------------------------------------------------------- */

static int lines_of(const char *name)
{
    int lines = 0;
    take(name);
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) lines++;
    return lines;
}

static void fail_unread(rref_context *ctx, int code)
{
    rref_error e;
    rri_error_fill(&e, code, "not read");
    rri_context_unread(ctx, &e);
}

/* Each once, and ten a second; how many seconds it has taken is measured. */
static void ten_lines_a_second(void)
{
    rref_context *ctx = calloc(1, sizeof *ctx);
    CU_ASSERT_FATAL(ctx != NULL);
    CU_ASSERT_EQUAL_FATAL(open_at("error", "unread", 0), RREF_OK);
    for (int i = 0; i < 20; i++) fail_unread(ctx, RREF_ERR_USER);
    CU_ASSERT_EQUAL(lines_of("unread"), 1);
    rri_log_close();
    CU_ASSERT_EQUAL_FATAL(open_at("error", "unread", 0), RREF_OK);
    double began = check_clock();
    for (int i = 1; i < 60; i++) fail_unread(ctx, RREF_ERR_USER - i);
    int seconds = (int)(check_clock() - began) + 1, lines = lines_of("unread");
    CU_ASSERT(lines >= 9 && lines <= 10 * seconds);
    rri_log_close();
    free(ctx);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { THREADS = 8, LINES = 500 };

static void *print_many(void *arg)
{
    static const char dots[] = "................................................................";
    const int thread = *(const int *)arg;
    for (int i = 0; i < LINES; i++)
        rri_log(RRI_LOG_INFO, "thread %d line %d %.*s", thread, i, 8 * thread, dots);
    return NULL;
}

static int whole_lines(void)
{
    int count = 0, next[THREADS] = { 0 };
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        int thread, number, dots = -1;
        if (sscanf(line, "rref[0] info: thread %d line %d %n", &thread, &number, &dots) != 2 || dots < 0)
            return -1;
        if (thread < 0 || thread >= THREADS || number != next[thread]++)
            return -1;
        if (strspn(line + dots, ".") != (size_t)(8 * thread) || strlen(line + dots) != (size_t)(8 * thread))
            return -1;
        count++;
    }
    return count;
}

static void many_threads(void)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    CU_ASSERT_EQUAL_FATAL(open_at("info", "many", 0), RREF_OK);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, print_many, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    rri_log_close();
    take("many");
    CU_ASSERT_EQUAL(whole_lines(), THREADS * LINES);
}

static void *open_and_close(void *arg)
{
    for (int i = 0; i < 200; i++)
        if (rri_log_open(arg, 0) == RREF_OK) {
            rri_log(RRI_LOG_INFO, "opened");
            rri_log_close();
        }
    return NULL;
}

static void *print_few(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        rri_log(RRI_LOG_INFO, "beside");
    return NULL;
}

/* Contexts come and go while threads of others print. */
static void opening_beside_printing(void)
{
    char spec[PATH_MAX + 16];
    pthread_t opener, printer;
    snprintf(spec, sizeof spec, "info:%s", path("beside"));
    CU_ASSERT_EQUAL_FATAL(open_at("info", "beside", 0), RREF_OK);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&opener, NULL, open_and_close, spec), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&printer, NULL, print_few, NULL), 0);
    pthread_join(opener, NULL);
    pthread_join(printer, NULL);
    rri_log_close();
    take("beside");
    int lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    CU_ASSERT_EQUAL(lines, 400);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "before opening", before_opening },
        { "standard", standard },
        { "levels", levels },
        { "bad specs", bad_specs },
        { "bad files", bad_files },
        { "long files", long_files },
        { "file of a rank", file_of_a_rank },
        { "files are appended to", files_are_appended_to },
        { "opens are counted", opens_are_counted },
        { "one line each", one_line_each },
        { "long lines", long_lines },
        { "lines at the limit", lines_at_the_limit },
        { "errno is kept", errno_is_kept },
        { "full disk", full_disk },
        { "ten lines a second", ten_lines_a_second },
        { "many threads", many_threads },
        { "opening beside printing", opening_beside_printing },
        CHECK_END
    };
    const char *parent = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/rref-log-XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        return 1;
    }
    const int status = check_main(argc, argv, "log", cases);
    rmdir(directory);
    return status;
}
