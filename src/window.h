/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The window: a rank's catalog of classes in memory that other ranks read one-sidedly, so that neither the rank's handlers nor
 * its driver notice. An optimisation, found by trying, on all ranks alike; without it classes are asked by message.
 */
#ifndef RRI_WINDOW_H
#define RRI_WINDOW_H

#include "link.h"

typedef struct rri_window rri_window;

typedef enum rri_window_wish { RRI_WINDOW_OFF, RRI_WINDOW_ON, RRI_WINDOW_AUTO } rri_window_wish;

/* Sizes: none is smaller, so that much can be read without knowing more; and none is larger. */
enum { RRI_WINDOW_LEAST = 4096, RRI_WINDOW_MOST = 16 << 20 };

/* A read in the making. The reader keeps it until done() was called, by whoever drives; count is 0 if it failed. */
typedef struct rri_window_read {
    rri_moving moving;                      /* done is the reader's */
    rri_window *window;
    int peer;
    void *to;
    size_t bytes;
    bool failed;
} rri_window_read;

/* Open a window of `size` bytes and try it, before anything runs. Collective; there is none (NULL) where a rank does not wish
 * it, or it was tried and found wanting. */
rri_window *rri_window_open(MPI_Comm comm, rri_link *link, rri_window_wish wish, size_t size);
/* Collective; abandon: left to MPI_Finalize. */
void rri_window_close(rri_window *window, bool abandon);

/* Publish a class; false: no room. Any thread. */
bool rri_window_add(rri_window *window, uint64_t id, const void *bytes, size_t count);
/* Start to read the first `bytes` of a rank's window; the driver does the rest. Any thread. */
void rri_window_get(rri_window *window, rri_window_read *read);

/* "by window, 64 KiB" or "by message: why"; a constant string. Without a window, too. */
const char *rri_window_text(const rri_window *window);
bool rri_window_works(const rri_window *window);
uint64_t rri_window_reads(const rri_window *window);

#endif
