/* SPDX-License-Identifier: BSD-3-Clause */
/* What a rank has and waits for, as text and as numbers, for others to ask. */
#ifndef RRI_DUMP_H
#define RRI_DUMP_H

#include <rref.h>

/* Methods of the service object. */
int rri_dump_text(rref_call *call, void *service);
int rri_dump_stats(rref_call *call, void *service);

#endif
