/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes back for a call. */
#ifndef RRI_ANSWER_H
#define RRI_ANSWER_H

#include "call.h"

void rri_answer_numbers(rri_calls *calls, const rri_record *record, rri_buffer *buffer);
void rri_answer_result(rri_calls *calls, const rri_record *record, rri_buffer *buffer);
/* A rank is lost: its answers will not come. */
void rri_answer_lost(rri_calls *calls, int peer);
/* Mark the ranks that owe answers. */
void rri_answers_await(rri_calls *calls, bool *ranks);
void rri_answer_failure(rri_calls *calls, const rri_record *record, rri_buffer *buffer);
/* The error in a record; false if it cannot be read. */
bool rri_answer_error(const rri_record *record, rref_error *error);

#endif
