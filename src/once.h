/* SPDX-License-Identifier: BSD-3-Clause */
/* An object that is several times in one message is one handle there, with a count for each time. */
#ifndef RRI_ONCE_H
#define RRI_ONCE_H

#include "output.h"

/* The handle that this message has of the same object already, with a count more, in place of one just taken, which is dropped;
 * or that one, from now on known. `once` may be NULL; without memory each handle stands for itself. */
rref rri_once_known(rri_once *once, rref taken);

#endif
