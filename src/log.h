/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages for people, on stderr or in a file; one line each, whole. Never on stdout. */
#ifndef RRI_LOG_H
#define RRI_LOG_H

#include <rref.h>

#include <stdatomic.h>

typedef enum rri_level { RRI_LOG_ERROR, RRI_LOG_WARN, RRI_LOG_INFO, RRI_LOG_DEBUG } rri_level;

extern atomic_int rri_log_level;    /* what is printed; relaxed, written by rri_log_open and the last rri_log_close */

/* Take "error|warn|info|debug[:file]"; NULL or "": warn to stderr. The file is appended to; "%r" in its name becomes
 * the rank. The log belongs to the process: while it is open further opens are only counted, and the last close brings
 * back the state before the first (warnings, on stderr, without a rank).
 * Returns 0, or RREF_ERR_OPTION / RREF_ERR_SYSTEM through rri_fail; then there is nothing to close. */
int rri_log_open(const char *spec, int rank);
void rri_log_close(void);

/* "rref[3] warn: text". Line breaks in the text become spaces, what is too long ends in "...". Keeps errno. */
void rri_log_print(rri_level level, const char *format, ...) RREF_PRINTF_(2, 3);

#define rri_log(level, ...) \
    ((int)(level) <= atomic_load_explicit(&rri_log_level, memory_order_relaxed) \
     ? rri_log_print((level), __VA_ARGS__) : (void)0)

#endif
