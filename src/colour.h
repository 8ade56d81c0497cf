/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Colours: which work a fence waits for. What the application begins has the present colour of its rank; what is done for it,
 * on whatever rank, inherits that. A fence changes the present colour and waits until nothing of the former is left anywhere.
 * Two are enough: no rank begins a fence before the one before it is over everywhere that matters.
 */
#ifndef RRI_COLOUR_H
#define RRI_COLOUR_H

#include "sync.h"

typedef struct rri_colours {
    atomic_uint now;            /* a: 0 or 1 */
    atomic_uint busy[2];        /* a: calls arrived and not ended, callbacks, results that are landing */
} rri_colours;

/* What a thread works for. */
typedef struct rri_paint {
    const rri_colours *of;      /* NULL: nothing, it is the application's or has nothing to do */
    unsigned colour;
} rri_paint;

extern RRI_THREAD_LOCAL rri_paint rri_painted;     /* what the calling thread works for */

/* Colour of what the calling thread begins. */
static inline unsigned rri_colour(const rri_colours *colours)
{
    return rri_painted.of == colours ? rri_painted.colour : atomic_load(&colours->now);
}

/* The calling thread works for something of a colour now; gives what it worked for before, to be given back. */
static inline rri_paint rri_paint_on(const rri_colours *colours, unsigned colour)
{
    rri_paint before = rri_painted;
    rri_painted = (rri_paint){ colours, colour };
    return before;
}
static inline void rri_paint_back(rri_paint before) { rri_painted = before; }

/* Work of the calling thread begins: its colour. */
unsigned rri_begin(rri_colours *colours);

/* Work of a colour begins, or ends. */
static inline void rri_busy(rri_colours *colours, unsigned colour) { atomic_fetch_add(&colours->busy[colour], 1); }
static inline void rri_idle(rri_colours *colours, unsigned colour) { atomic_fetch_sub(&colours->busy[colour], 1); }

#endif
