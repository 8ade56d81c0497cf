/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the mark of a child. */
#include "fork.h"
#include "error.h"

#include <pthread.h>

bool rri_in_child;

static void mark(void) { rri_in_child = true; }

int rri_fork_watch(void)
{
    static bool watching;       /* rref_init calls follow each other */
    if (watching) return RREF_OK;
    if (pthread_atfork(NULL, NULL, mark)) return rri_fail(RREF_ERR_SYSTEM, "no memory to watch for forks");
    watching = true;
    return RREF_OK;
}

bool rri_fork_refused(void)
{
    rri_fail(RREF_ERR_FORKED, "in a forked child; its parent is the rank");
    return true;
}
