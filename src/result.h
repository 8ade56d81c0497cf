/* SPDX-License-Identifier: BSD-3-Clause */
/* Results that stay where their method ran (remote mode): each is an object of one built-in class. */
#ifndef RRI_RESULT_H
#define RRI_RESULT_H

#include "class.h"

extern const rref_class rri_result_class;

/* rref_call.keep: the call's results become the object that was begun for them, or its failure does. */
int rri_result_keep(rref_call *call, int outcome);
/* A handler: gives a kept result to whoever fetches it. */
int rri_result_give(rref_call *call, void *self);

/* Look at what is kept: its references are there. */
void rri_result_payload(const void *self, void (*visit)(void *arg, const rri_types *types, const void *payload), void *arg);

#endif
