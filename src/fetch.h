/* SPDX-License-Identifier: BSD-3-Clause */
/* What every object can be asked for, whatever its class: whether it exists, and what it is worth elsewhere. */
#ifndef RRI_FETCH_H
#define RRI_FETCH_H

#include "object.h"

/* At the owner: aim a call at a method that every object has. */
int rri_fetch_aim(rref_call *call, const rri_object *object, uint16_t method);

#endif
