/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of rref-info. Takes plain facts, so that it needs to know nothing of the context. */
#ifndef RRI_INFO_H
#define RRI_INFO_H

#include "options.h"

/* What one rank tells rank 0 about itself; sent as bytes. */
typedef struct rri_info_rank {
    int rank;
    int node;                   /* number of its node, from 0 */
    char name[64];              /* worker name */
    char host[64];
    char place[192];            /* rri_place_format */
    char threads[192];          /* where the library's threads run, and why: rri_placer_format */
    char note[192];             /* "" or a warning ("one core for main and progress") */
} rri_info_rank;

typedef struct rri_info_facts {
    int size, nodes;
    const char *mpi_library;    /* of MPI_Get_library_version; the first line is shown */
    const char *mpi_standard;   /* "3.1" */
    const char *thread_level;   /* "MPI_THREAD_MULTIPLE" */
    const char *progress;       /* e.g. "library thread" or "application" */
    const char *doorbell;       /* e.g. "shared memory" or "none" */
    const char *types;          /* how classes of others are read: rri_window_text */
    int64_t eager, spin;        /* the values in force where the setting is auto */
    int64_t workers;
    const rri_settings *settings;   /* as loaded: with "auto" where it was not said otherwise */
    const rri_info_rank *ranks; /* size of them */
} rri_info_facts;

/* Text into memory the caller frees. Without facts: the versions of the library and of hwloc, and the options as this
 * process would take them from its environment. NULL: no memory. */
char *rri_info_format(const rri_info_facts *facts);

#endif
