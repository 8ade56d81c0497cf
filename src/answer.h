/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes back for a call. */
#ifndef RRI_ANSWER_H
#define RRI_ANSWER_H

#include "call.h"

void rri_answer_result(rri_calls *calls, const rri_record *record, rri_buffer *buffer);
void rri_answer_failure(rri_calls *calls, const rri_record *record, rri_buffer *buffer);

#endif
