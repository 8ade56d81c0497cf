/* SPDX-License-Identifier: BSD-3-Clause */
/* Contexts: rref_init, rref_finalize, and questions to a context. */
#ifndef RRI_INIT_H
#define RRI_INIT_H

#include <rref.h>

#endif
