/* SPDX-License-Identifier: BSD-3-Clause */
/* A link without MPI: the ranks are structs of one process, and what one sends is in the queue of the other. */
#ifndef FAKE_LINK_H
#define FAKE_LINK_H

#include "link.h"

#include <rref.h>

/* Links for `size` ranks (one thread drives them all), and their end. */
void fake_open(rri_link *link[], int size);
void fake_close(rri_link *link[], int size);

/* End all data on its way as if it had moved. */
void fake_give_up(rri_link *link[], int size);

/* Put bytes into a rank's queue as a message of `from`. */
void fake_put(rri_link *to, int from, const void *data, size_t bytes);

/* From now on messages with requests arrive at this rank only one at a time: the oldest of `from` when the test says so; false
 * if there is none. */
void fake_keep(rri_link *link);
bool fake_deliver(rri_link *to, int from);

/* Messages that wait to be received. */
unsigned fake_queued(const rri_link *link);

#endif
