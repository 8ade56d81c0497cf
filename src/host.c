/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions to the MPI library; whatever is so in one MPI only is asked here. MPI_Finalize deletes the attributes of
 * MPI_COMM_SELF before anything else: that is its bell.
 */
#include "host.h"
#include "error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int rri_host_usable(MPI_Comm comm, int *level)
{
    int is_on = 0, is_over = 0, is_inter = 0, is_main = 1;
    MPI_Initialized(&is_on);
    MPI_Finalized(&is_over);
    if (!is_on) return rri_fail(RREF_ERR_STATE, "rref_init before MPI_Init_thread");
    if (is_over) return rri_fail(RREF_ERR_STATE, "rref_init after MPI_Finalize");
    if (comm == MPI_COMM_NULL) return rri_fail(RREF_ERR_ARGUMENT, "MPI_COMM_NULL");
    MPI_Comm_test_inter(comm, &is_inter);
    if (is_inter) return rri_fail(RREF_ERR_ARGUMENT, "an inter-communicator; an intra-communicator is wanted");
    MPI_Query_thread(level);
    if (*level < MPI_THREAD_SERIALIZED) MPI_Is_thread_main(&is_main);
    return is_main ? RREF_OK : rri_fail(RREF_ERR_THREAD, "only the thread that called MPI_Init may call rref_init");
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

/* MPICH's locks are off by then, which its source says and failed assertions of its UCX show. */
bool rri_host_threaded_at_finalize(void)
{
#ifdef MPICH_NUMVERSION
    return false;
#else
    return true;
#endif
}

/* Open MPI's option of mpirun, and MPIs that have functions for it. */
bool rri_host_survives(void)
{
#ifdef MPIX_ERR_PROC_FAILED
    return true;
#else
    const char *recovery = getenv("OMPI_MCA_orte_enable_recovery");
    return recovery && strcmp(recovery, "0") && strcmp(recovery, "false");
#endif
}

/* ---- operations */

static MPI_Datatype type_of(rref_type element)
{
    switch (element) {
    case RREF_BOOL: return MPI_C_BOOL;
    case RREF_I8: return MPI_INT8_T;
    case RREF_I16: return MPI_INT16_T;
    case RREF_I32: return MPI_INT32_T;
    case RREF_I64: return MPI_INT64_T;
    case RREF_U8: return MPI_UINT8_T;
    case RREF_U16: return MPI_UINT16_T;
    case RREF_U32: return MPI_UINT32_T;
    case RREF_U64: return MPI_UINT64_T;
    case RREF_F32: return MPI_FLOAT;
    case RREF_F64: return MPI_DOUBLE;
    case RREF_C64: return MPI_C_FLOAT_COMPLEX;
    default: return MPI_C_DOUBLE_COMPLEX;
    }
}

/* MPI ends the program where the standard has no such operation, so it is refused before. */
int rri_host_reducible(rri_op op, rref_type element)
{
    bool is_bool = element == RREF_BOOL, is_integer = element >= RREF_I8 && element <= RREF_U64;
    bool is_real = is_integer || element == RREF_F32 || element == RREF_F64;
    bool is_number = element > RREF_BOOL && element <= RREF_C128;
    bool good = element > RREF_NONE && element <= RREF_C128;
    if (op == MPI_OP_NULL || op == MPI_MAXLOC || op == MPI_MINLOC || op == MPI_REPLACE || op == MPI_NO_OP) good = false;
    else if (op == MPI_SUM || op == MPI_PROD) good = is_number;
    else if (op == MPI_MAX || op == MPI_MIN) good = is_real;
    else if (op == MPI_LAND || op == MPI_LOR || op == MPI_LXOR) good = is_bool || is_integer;
    else if (op == MPI_BAND || op == MPI_BOR || op == MPI_BXOR) good = is_integer;
    return good ? RREF_OK : rri_fail(RREF_ERR_SIGNATURE, "MPI has no such operation on the method's result");
}

int rri_host_reduce(rri_op op, rref_type element, const void *in, void *inout, size_t count)
{
    enum { PIECE = 1 << 30 };
    int size, rc = MPI_SUCCESS;
    MPI_Type_size(type_of(element), &size);
    for (size_t at = 0; at < count && rc == MPI_SUCCESS; at += PIECE) {
        int n = count - at < PIECE ? (int)(count - at) : PIECE;
        rc = MPI_Reduce_local((const char *)in + at * (size_t)size, (char *)inout + at * (size_t)size, n, type_of(element), op);
    }
    return rc == MPI_SUCCESS ? RREF_OK : rri_fail(RREF_ERR_MPI, "MPI_Reduce_local failed");
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
