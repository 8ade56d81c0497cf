/* SPDX-License-Identifier: BSD-3-Clause */
/* What a handler does with its call: the readers and results of rref.h. */
#ifndef RRI_HANDLER_H
#define RRI_HANDLER_H

#include "call.h"

/* The handler has returned: give back references nobody read. */
void rri_handler_done(rref_call *call);

#endif
