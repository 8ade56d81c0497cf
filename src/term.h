/* SPDX-License-Identifier: BSD-3-Clause */
/* SIGTERM, where the library is asked to heed it (RREF_ON_TERM): then a thread of its own waits for it. */
#ifndef RRI_TERM_H
#define RRI_TERM_H

#include "options.h"

/* Heed SIGTERM from now on, in this process: OK or SYSTEM. A wish for more than before counts. */
int rri_term_watch(rri_on_term wish);

#endif
