/* SPDX-License-Identifier: BSD-3-Clause */
/* That all goes on. For programs whose functions have "add", "i64, i64 -> i64". */
#ifndef WELL_H
#define WELL_H

#include <rref.h>
#include "check.h"

/* Each rank serves this one. */
static inline void well(rref_context *ctx, int ranks)
{
    for (int to = 0; to < ranks; to++) {
        int64_t sum = 0;
        CHECK_OK(rref_sync(rref_root(ctx, to), "add", 40, 2, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, 42);
    }
}

#endif
