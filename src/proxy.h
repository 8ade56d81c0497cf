/* SPDX-License-Identifier: BSD-3-Clause */
/* What all ways to call through a reference share. Errors through rri_fail. */
#ifndef RRI_PROXY_H
#define RRI_PROXY_H

#include "reference.h"

/* Number of the method that values[0] names. */
int rri_proxy_method(const rri_reference *reference, const rref_value *values, size_t count, uint64_t *method);
/* The target of a call of a method found before. */
int rri_proxy_aim(rri_reference *reference, uint64_t method, rri_target *target);
/* When a call's time is over: its own limit, or the context's, but not after that of the call it is made for. */
int rri_proxy_deadline(const rri_calls *calls, double timeout, int64_t *deadline);
/* A failure found before sending: whose it is, in the thread's last error. Gives the code back. */
int rri_proxy_blame(rri_references *all, const rri_target *target, const char *site, int rc);

#endif
