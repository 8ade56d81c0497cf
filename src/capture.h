/* SPDX-License-Identifier: BSD-3-Clause */
/* Arguments captured when a call is made, for a call that is sent later: the signature they must fit is not known yet. */
#ifndef RRI_CAPTURE_H
#define RRI_CAPTURE_H

#include <rref.h>

/* Copies of the values and of what they point to; borrowed arrays and outputs stay where they are, references are retained. */
typedef struct rri_capture {
    rref_value *values;
    size_t count;
    bool borrows;
} rri_capture;

/* Errors through rri_fail: HANDLE, NO_MEMORY, ARGUMENT. */
int rri_capture_make(const rref_value *values, size_t count, rri_capture *capture);
void rri_capture_free(rri_capture *capture);

#endif
