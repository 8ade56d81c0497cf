/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread's last error. Whoever decides an error calls rri_fail once; callers pass the code up and the entry floor
 * adds who, where and for whom. */
#ifndef RRI_ERROR_H
#define RRI_ERROR_H

#include <rref.h>

/* Make (code, text) the thread's error, all else blank; returns code. */
int rri_fail(int code, const char *format, ...) RREF_PRINTF_(2, 3);
int rri_fail_list(int code, const char *format, va_list list);

/* Make an error given the thread's, or what its code says by itself when there is none (NULL). Returns the code. */
int rri_fail_as(int code, const rref_error *error);

/* The thread's error, to be completed or copied. */
rref_error *rri_error_last(void);

/* Fill an error object without touching the thread's. */
void rri_error_fill(rref_error *error, int code, const char *format, ...) RREF_PRINTF_(3, 4);

/* Copy a string into a field of the error, cut to size. */
void rri_error_copy(char *field, size_t size, const char *text);

#endif
