/* SPDX-License-Identifier: BSD-3-Clause */
/* A bell: a word that counts, to sleep on until it does. In memory of one process or of several. */
#ifndef PERF_BELL_H
#define PERF_BELL_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint32_t bell;

void bell_ring(bell *word);

/* Sleep until the word is past `heard`; gives what it is then. */
uint32_t bell_await(bell *word, uint32_t heard);

#endif
