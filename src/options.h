/* SPDX-License-Identifier: BSD-3-Clause */
/* Options: one table of name, default, range and help; values from rref_options, beaten by RREF_* variables. */
#ifndef RRI_OPTIONS_H
#define RRI_OPTIONS_H

#include "window.h"

#include <rref.h>

typedef enum rri_progress_mode { RRI_PROGRESS_ADAPTIVE, RRI_PROGRESS_SPIN, RRI_PROGRESS_APPLICATION } rri_progress_mode;

typedef enum rri_on_term { RRI_ON_TERM_OFF, RRI_ON_TERM_REPORT, RRI_ON_TERM_FINALIZE } rri_on_term;

typedef struct rri_settings {
    int64_t progress;           /* RREF_PROGRESS: rri_progress_mode */
    double timeout;             /* RREF_TIMEOUT: default deadline of calls, s (default: forever) */
    double finalize_timeout;    /* RREF_FINALIZE_TIMEOUT, s (default: forever) */
    double report_after;       /* RREF_REPORT_AFTER, s that a call is waited for in silence (60) */
    double stall_limit;         /* RREF_STALL_LIMIT, s without a sign of life that fence and finalize bear (300) */
    double peer_timeout;        /* RREF_PEER_TIMEOUT, s of silence that make a rank a suspect (60) */
    int64_t eager;              /* RREF_EAGER, bytes of data that ride in a message; 0: 4096 on one node, 65536 else */
    int64_t batch;              /* RREF_BATCH, bytes of records that share a message; 0: by RREF_EAGER, 4032 to 16384 */
    int64_t batch_calls;        /* RREF_BATCH_CALLS, calls of a run that are worth a message of their own (32) */
    int64_t spin;               /* RREF_SPIN, us a driver polls after an arrival; -1: 20, or 0 where cores are short */
    int64_t ring;               /* RREF_RING, receives posted in advance (16) */
    int64_t credits;            /* RREF_CREDITS, request messages in flight to a peer (64) */
    int64_t queue_limit;        /* RREF_QUEUE_LIMIT, bytes queued to a peer by those who may not wait (64 MiB) */
    int64_t park_limit;         /* RREF_PARK_LIMIT, bytes of requests parked at the owner (64 MiB) */
    int64_t landing_limit;      /* RREF_LANDING_LIMIT, bytes of large arguments received ahead of their calls (256 MiB) */
    int64_t landing_kept;       /* RREF_LANDING_KEPT, bytes kept between large arguments (256 MiB) */
    int64_t release_delay;      /* RREF_RELEASE_DELAY, us that releases wait for company (1000) */
    int64_t weight;             /* RREF_WEIGHT, log2 of a new object's weight (60) */
    int64_t workers;            /* RREF_WORKERS, handlers that compute at a time; 0: cores of the rank, at least 2 */
    int64_t max_blocked;        /* RREF_MAX_BLOCKED, handlers that may be blocked in the library (1000) */
    int64_t stack;              /* RREF_STACK, KiB of stack of a library thread (256) */
    int64_t window;             /* RREF_WINDOW: rri_window_wish (auto) */
    int64_t window_size;        /* RREF_WINDOW_SIZE, bytes of a rank's window (64 KiB) */
    char chaos[128];            /* RREF_CHAOS: seed:NUMBER[,KIND]..., or "" */
    char cores[256];            /* RREF_CORES: auto, any or a list of CPUs, or "" */
    int64_t on_term;            /* RREF_ON_TERM: rri_on_term (off) */
    char log[512];              /* RREF_LOG: error|warn|info|debug[:file], or "" */
} rri_settings;

/* Fill settings. given may be NULL. Errors through rri_fail: RREF_ERR_OPTION, naming the variable or field, the value
 * and what is wanted: "RREF_RING=abc: a whole number from 4 to 1024 is wanted". An empty variable counts as unset.
 * Texts are taken as they are: rri_log_open and
 * rri_chaos_read read them. */
int rri_settings_load(rri_settings *settings, const rref_options *given);

/* Warn in the log of RREF_* variables that are no option, with the option probably meant. Not part of loading, since
 * the log is opened with what was loaded; one rank is enough. Those that begin with RREF_TEST_ belong to the tests. */
void rri_settings_warn(void);

/* Visit every option: its variable, its value now and by default as text, what is allowed, and one line of help. All
 * strings are the visitor's for the time of its call. NULL settings: the defaults. */
typedef void (*rri_settings_visitor)(void *arg, const char *name, const char *value, const char *standard,
                                     const char *allowed, const char *help);
void rri_settings_visit(const rri_settings *settings, rri_settings_visitor visit, void *arg);

#endif
