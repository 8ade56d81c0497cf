/* SPDX-License-Identifier: BSD-3-Clause */
/* What all ways to call through a reference share. Errors through rri_fail. */
#ifndef RRI_PROXY_H
#define RRI_PROXY_H

#include "reference.h"

/* ARGUMENT if there are none, though they are counted. */
int rri_proxy_values(const rref_value *values, size_t count);
/* The method that values[0] names, to be looked up when the class is known. */
int rri_proxy_method(const rref_value *values, size_t count, uint64_t *method);
/* The target of a call of a method, by name or found before. The class must be known. RRI_LEADS: the object is a result, to be
 * called through what it leads to. */
enum { RRI_LEADS = 1 };
int rri_proxy_aim(rri_reference *reference, uint64_t method, rri_target *target);
/* A failure found before sending: whose it is, in the thread's last error. Gives the code back. */
int rri_proxy_blame(rri_references *all, const rri_target *target, const char *site, int rc);

#endif
