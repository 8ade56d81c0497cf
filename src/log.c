/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the process's log: where lines go, how many, and who opened it.
 *
 * A line is put together in memory and leaves in one write, so that lines of threads and of ranks that share a file do
 * not mix. The lock keeps the descriptor alive during the write and is held by nobody else for longer than an open.
 */
#include "log.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_SIZE = 2048, STANDARD = RRI_LOG_WARN };

static const char *const level_names[] = { [RRI_LOG_ERROR] = "error", [RRI_LOG_WARN] = "warn", [RRI_LOG_INFO] = "info",
                                           [RRI_LOG_DEBUG] = "debug" };
enum { LEVELS = sizeof level_names / sizeof level_names[0] };

atomic_int rri_log_level = STANDARD;

/* All under the lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int opened;                          /* opens without their close */
static int target = STDERR_FILENO;
static int log_rank = -1;                   /* -1: not known */

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* Splits "level[:file]"; *file is "" without one. */
static int parse_spec(const char *spec, int *level, const char **file)
{
    const size_t length = strcspn(spec, ":");
    for (int i = 0; i < LEVELS; i++)
        if (strlen(level_names[i]) == length && strncmp(level_names[i], spec, length) == 0) {
            if (strcmp(spec + length, ":") == 0)
                break;
            *level = i;
            *file = spec[length] == ':' ? spec + length + 1 : "";
            return RREF_OK;
        }
    return rri_fail(RREF_ERR_OPTION, "RREF_LOG=%.200s: error, warn, info or debug is wanted, or one of them and :FILE",
                    spec);
}

/* The pattern with the rank for each "%r". False if it does not fit. */
static bool expand(char *name, size_t size, const char *pattern, int rank)
{
    size_t used = 0;
    for (; *pattern != '\0' && used < size; pattern++) {
        if (strncmp(pattern, "%r", 2) == 0) {
            used += (size_t)snprintf(name + used, size - used, "%d", rank);
            pattern++;
        } else {
            name[used++] = *pattern;
        }
    }
    if (used >= size)
        return false;
    name[used] = '\0';
    return true;
}

static int open_file(const char *pattern, int rank, int *descriptor)
{
    char name[PATH_MAX];
    if (!expand(name, sizeof name, pattern, rank))
        return rri_fail(RREF_ERR_OPTION, "RREF_LOG: the file's name is longer than %d characters", PATH_MAX - 1);
    *descriptor = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (*descriptor < 0)
        return rri_fail(RREF_ERR_SYSTEM, "RREF_LOG: cannot open %.200s: %s", name, strerror(errno));
    return RREF_OK;
}

/* The first open, under the lock. */
static int open_log(const char *spec, int rank)
{
    int level = STANDARD, descriptor = STDERR_FILENO;
    const char *file = "";
    int status = parse_spec(spec, &level, &file);
    if (status == RREF_OK && *file != '\0')
        status = open_file(file, rank, &descriptor);
    if (status != RREF_OK)
        return status;
    target = descriptor;
    log_rank = rank;
    atomic_store_explicit(&rri_log_level, level, memory_order_relaxed);
    return RREF_OK;
}

int rri_log_open(const char *spec, int rank)
{
    int status = RREF_OK;
    if (spec == NULL || *spec == '\0')
        spec = level_names[STANDARD];
    pthread_mutex_lock(&lock);
    if (opened == 0)
        status = open_log(spec, rank);
    if (status == RREF_OK)
        opened++;
    pthread_mutex_unlock(&lock);
    return status;
}

void rri_log_close(void)
{
    pthread_mutex_lock(&lock);
    if (opened > 0 && --opened == 0) {
        if (target != STDERR_FILENO)
            close(target);
        target = STDERR_FILENO;
        log_rank = -1;
        atomic_store_explicit(&rri_log_level, STANDARD, memory_order_relaxed);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

/* Makes one line of `length` wanted characters, of which the buffer has what fits; returns what there is to write. */
static size_t finish_line(char *line, size_t length)
{
    static const char cut[] = "...";
    if (length > LINE_SIZE - 1) {
        length = LINE_SIZE - 1;
        memcpy(line + length - (sizeof cut - 1), cut, sizeof cut - 1);
    }
    while (length > 0 && line[length - 1] == '\n')
        length--;
    for (size_t i = 0; i < length; i++)
        if (line[i] == '\n' || line[i] == '\r')
            line[i] = ' ';
    line[length] = '\n';
    return length + 1;
}

/* Nobody can be told that a log cannot be written. */
static void write_line(const char *line, size_t length)
{
    while (write(target, line, length) < 0 && errno == EINTR)
        continue;
}

static size_t print_prefix(char *line, rri_level level)
{
    int length = log_rank < 0 ? snprintf(line, LINE_SIZE, "rref %s: ", level_names[level])
                              : snprintf(line, LINE_SIZE, "rref[%d] %s: ", log_rank, level_names[level]);
    return (size_t)length;
}

void rri_log_print(rri_level level, const char *format, ...)
{
    char line[LINE_SIZE];
    const int saved = errno;
    va_list list;
    pthread_mutex_lock(&lock);
    size_t prefix = print_prefix(line, level);
    errno = saved;
    va_start(list, format);
    const int length = vsnprintf(line + prefix, sizeof line - prefix, format, list);
    va_end(list);
    write_line(line, finish_line(line, prefix + (length > 0 ? (size_t)length : 0)));
    pthread_mutex_unlock(&lock);
    errno = saved;
}
