/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what each thread works for. */
#include "colour.h"

RRI_THREAD_LOCAL rri_paint rri_painted;

/* A fence that changes the colour meanwhile either sees the work or has this thread take the new colour. */
unsigned rri_begin(rri_colours *colours)
{
    for (;;) {
        unsigned colour = rri_colour(colours);
        rri_busy(colours, colour);
        if (colour == rri_colour(colours)) return colour;
        rri_idle(colours, colour);
    }
}
