/* SPDX-License-Identifier: BSD-3-Clause */
/* What every object can be asked for, whatever its class: whether it exists, and what it is worth elsewhere. */
#ifndef RRI_FETCH_H
#define RRI_FETCH_H

#include "reference.h"

/* At the owner: aim a call at a method that every object has. */
int rri_fetch_aim(rref_call *call, const rri_object *object, uint16_t method);

/* What a reference stands for, as rref_to_here_async gives it; without a deadline. NULL without memory. */
rri_future *rri_fetch(rri_reference *reference);

#endif
