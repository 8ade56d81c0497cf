/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole lives of a context in each of which one request for memory fails: the 1st, the 2nd, ... of each rank, until a life goes
 * by without a failure. A life is a list of steps. A step that meets the failure says NO_MEMORY and on which rank, has touched
 * no output, and works when it is tried again.
 */
#ifndef LIFE_H
#define LIFE_H

#include <rref.h>
#include <stdbool.h>
#include "check.h"

/* Gives a status, and leaves outputs alone when it fails. together: all ranks take it, and again when it failed on any. */
typedef struct life_step {
    const char *what;
    int (*run)(void);
    bool together;
} life_step;

typedef struct life {
    const rref_class *const *classes;
    const rref_method *functions;
    const life_step *steps;         /* up to one without a name */
    bool grown;                     /* requests are counted from the end of init on */
} life;

extern rref_context *life_ctx;
extern int life_rank, life_size;
extern rref life_root;              /* root object of the next rank */

/* The status; of a failure also what is read then as the thread's last error. */
int life_seen(int status);
/* The same of a future, which is waited for and let go of. NO_MEMORY for a zero one. */
int life_future(rref_future future);
/* The error of a reference, waited for through its creation; OK if it has none. */
int life_reference(rref reference);

void life_each_request_fails_once(const life *life);

#endif
