/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory. Every request of the library goes through here, so that a test can see what becomes of each one that fails.
 * What is returned is given back by free().
 */
#ifndef RRI_MEMORY_H
#define RRI_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *rri_malloc(size_t bytes);
void *rri_calloc(size_t count, size_t bytes);
void *rri_realloc(void *memory, size_t bytes);
char *rri_strdup(const char *text);
void *rri_aligned_alloc(size_t align, size_t bytes);

/* Memory that is never freed, since MPI may still use it. NULL is allowed. */
void rri_never_free(void *memory);

/* Requests so far, of all contexts. */
uint64_t rri_memory_requests(void);

/* For tests: the n-th request from now on fails, once, whichever thread makes it; 0: none does. */
void rri_memory_fail(unsigned n);
/* Whether a failure is still to come. */
bool rri_memory_armed(void);

#endif
