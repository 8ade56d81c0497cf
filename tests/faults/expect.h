/* SPDX-License-Identifier: BSD-3-Clause */
/* What the ranks of a fault's test have in common: who they are, what they find wrong, and a clock. */
#ifndef EXPECT_H
#define EXPECT_H

#include <rref.h>

extern rref_context *ctx;
extern int rank, wrong;                 /* this one; what was found so far */

void expect(const char *what, long long wanted, long long found);
double seconds(void);

#endif
