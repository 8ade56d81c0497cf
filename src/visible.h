/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Included before every source of the library by the makefile (-include): what the compiler is told of functions. The library is
 * compiled with -fvisibility=hidden, so that its parts call each other directly; what rref.h declares is the exception. Saying
 * it here keeps the header, which is for users, free of it.
 */
#ifndef RRI_VISIBLE_H
#define RRI_VISIBLE_H

#pragma GCC visibility push(default)
#include <rref.h>
#pragma GCC visibility pop

/* Not on the way of most calls, which is shorter if this is not part of it. */
#define RRI_ASIDE __attribute__((noinline))
/* On the way of most calls, and short where some arguments are constants. */
#define RRI_IN_LINE static inline __attribute__((always_inline))
/* The same for a function that other files call: link-time optimisation makes it part of its callers. clang would not have it. */
#ifdef __clang__
#define RRI_IN_CALLERS
#else
#define RRI_IN_CALLERS inline
#endif

#endif
