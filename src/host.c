/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to the MPI library. MPI_Finalize deletes the attributes of MPI_COMM_SELF before anything else: that is its bell. */
#include "host.h"
#include "error.h"

#include <stdio.h>

int rri_host_usable(MPI_Comm comm, int *level)
{
    int is_on = 0, is_over = 0, is_inter = 0;
    MPI_Initialized(&is_on);
    MPI_Finalized(&is_over);
    if (!is_on) return rri_fail(RREF_ERR_STATE, "rref_init before MPI_Init_thread");
    if (is_over) return rri_fail(RREF_ERR_STATE, "rref_init after MPI_Finalize");
    if (comm == MPI_COMM_NULL) return rri_fail(RREF_ERR_ARGUMENT, "MPI_COMM_NULL");
    MPI_Comm_test_inter(comm, &is_inter);
    if (is_inter) return rri_fail(RREF_ERR_ARGUMENT, "an inter-communicator; an intra-communicator is wanted");
    MPI_Query_thread(level);
    return RREF_OK;
}

static void (*at_finalize)(void);

static int bell(MPI_Comm comm, int key, void *value, void *extra)
{
    (void)comm, (void)key, (void)value, (void)extra;
    at_finalize();
    return MPI_SUCCESS;
}

int rri_host_at_finalize(void (*function)(void))
{
    int key;
    if (at_finalize) return RREF_OK;
    if (MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, bell, &key, NULL) != MPI_SUCCESS ||
        MPI_Comm_set_attr(MPI_COMM_SELF, key, NULL) != MPI_SUCCESS)
        return rri_fail(RREF_ERR_MPI, "no attribute on MPI_COMM_SELF");
    at_finalize = function;
    MPI_Comm_free_keyval(&key);         /* the attribute keeps it */
    return RREF_OK;
}

const char *rri_host_library(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    MPI_Get_library_version(text, &length);
    return text;
}

const char *rri_host_standard(void)
{
    static char text[32];
    int version, subversion;
    MPI_Get_version(&version, &subversion);
    snprintf(text, sizeof text, "%d.%d", version, subversion);
    return text;
}

const char *rri_host_level_name(int level)
{
    return level == MPI_THREAD_MULTIPLE ? "MPI_THREAD_MULTIPLE" : level == MPI_THREAD_SERIALIZED ? "MPI_THREAD_SERIALIZED"
           : level == MPI_THREAD_FUNNELED ? "MPI_THREAD_FUNNELED" : "MPI_THREAD_SINGLE";
}
