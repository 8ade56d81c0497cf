/* SPDX-License-Identifier: BSD-3-Clause */
/* The owner's answers: results and errors. rri_exec_answer is the way to them for what has run. */
#ifndef RRI_REPLY_H
#define RRI_REPLY_H

#include "call.h"

/* A call fails, run or not. */
void rri_reply_error(rref_call *call, const rref_error *error);
/* A record that says an error, beginning like head; without memory the log says it. */
void rri_reply_failure(rri_calls *calls, int peer, rri_stream stream, rri_record head, const rref_error *error);

#endif
