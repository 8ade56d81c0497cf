/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Described arguments: those of a creation whose creator does not have the class. They travel with a signature made of the
 * values themselves; the owner fits them to the constructor's.
 */
#ifndef RRI_DESCRIBED_H
#define RRI_DESCRIBED_H

#include "call.h"

enum { RRI_DESCRIBED_MAX = 2048 };      /* bytes of a name and a signature made of values, with their 0 */

/* Write "name", 0, and the signature of the values; returns the bytes without the last 0, or an error through rri_fail. */
int rri_described_write(const char *name, const rref_value *values, size_t count, char text[RRI_DESCRIBED_MAX]);

/* The owner's side: take the signature that came, and, when the data is there, make the arguments fit. */
int rri_described_read(rref_call *call, const char *signature);
int rri_described_fit(rref_call *call, const rri_types *types);
void rri_described_free(rref_call *call);

#endif
