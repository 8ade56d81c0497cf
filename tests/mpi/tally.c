/* SPDX-License-Identifier: BSD-3-Clause */
#include "tally.h"

#include <mpi.h>
#include <stdatomic.h>

static atomic_uint_fast64_t calls[TALLY_KINDS];

#define NAME(name) "MPI_" #name,
const char *const tally_names[TALLY_KINDS] = { TALLY_COLLECTIVES(NAME) "messages" };

tally tally_now(void)
{
    tally t;
    for (int i = 0; i < TALLY_KINDS; i++) t.calls[i] = atomic_load(&calls[i]);
    return t;
}

/* MPI_NAME with these parameters counts for KIND, and is PMPI_NAME of these arguments. */
#define COUNTED(kind, name, parameters, arguments) \
    int MPI_##name parameters { atomic_fetch_add(&calls[TALLY_##kind], 1); return PMPI_##name arguments; }
#define COLLECTIVE(name, parameters, arguments) COUNTED(name, name, parameters, arguments)
#define MESSAGE(name, parameters, arguments) COUNTED(MESSAGES, name, parameters, arguments)

/* What most have in common: what is sent, and where what is received goes. */
#define DATA void *data, int n, MPI_Datatype type
#define FROM const void *from, int n, MPI_Datatype type
#define INTO void *into, int m, MPI_Datatype other
#define REDUCED const void *from, void *into, int n, MPI_Datatype type, MPI_Op op
#define COMM MPI_Comm comm

COLLECTIVE(Barrier, (COMM), (comm))
COLLECTIVE(Bcast, (DATA, int root, COMM), (data, n, type, root, comm))
COLLECTIVE(Gather, (FROM, INTO, int root, COMM), (from, n, type, into, m, other, root, comm))
COLLECTIVE(Gatherv, (FROM, void *into, const int *m, const int *at, MPI_Datatype other, int root, COMM),
           (from, n, type, into, m, at, other, root, comm))
COLLECTIVE(Scatter, (FROM, INTO, int root, COMM), (from, n, type, into, m, other, root, comm))
COLLECTIVE(Allgather, (FROM, INTO, COMM), (from, n, type, into, m, other, comm))
COLLECTIVE(Allgatherv, (FROM, void *into, const int *m, const int *at, MPI_Datatype other, COMM),
           (from, n, type, into, m, at, other, comm))
COLLECTIVE(Alltoall, (FROM, INTO, COMM), (from, n, type, into, m, other, comm))
COLLECTIVE(Alltoallv, (const void *from, const int *n, const int *begin, MPI_Datatype type, void *into, const int *m,
                       const int *at, MPI_Datatype other, COMM), (from, n, begin, type, into, m, at, other, comm))
COLLECTIVE(Reduce, (REDUCED, int root, COMM), (from, into, n, type, op, root, comm))
COLLECTIVE(Allreduce, (REDUCED, COMM), (from, into, n, type, op, comm))
COLLECTIVE(Reduce_scatter_block, (REDUCED, COMM), (from, into, n, type, op, comm))
COLLECTIVE(Scan, (REDUCED, COMM), (from, into, n, type, op, comm))
COLLECTIVE(Ibarrier, (COMM, MPI_Request *request), (comm, request))
COLLECTIVE(Ibcast, (DATA, int root, COMM, MPI_Request *request), (data, n, type, root, comm, request))
COLLECTIVE(Iallreduce, (REDUCED, COMM, MPI_Request *request), (from, into, n, type, op, comm, request))
COLLECTIVE(Iallgather, (FROM, INTO, COMM, MPI_Request *request), (from, n, type, into, m, other, comm, request))
COLLECTIVE(Ireduce_scatter_block, (REDUCED, COMM, MPI_Request *request), (from, into, n, type, op, comm, request))

COLLECTIVE(Comm_dup, (COMM, MPI_Comm *made), (comm, made))
COLLECTIVE(Comm_idup, (COMM, MPI_Comm *made, MPI_Request *request), (comm, made, request))
COLLECTIVE(Comm_split, (COMM, int colour, int key, MPI_Comm *made), (comm, colour, key, made))
COLLECTIVE(Comm_split_type, (COMM, int kind, int key, MPI_Info info, MPI_Comm *made), (comm, kind, key, info, made))
COLLECTIVE(Comm_create, (COMM, MPI_Group group, MPI_Comm *made), (comm, group, made))
COLLECTIVE(Comm_free, (MPI_Comm *comm), (comm))
COLLECTIVE(Cart_create, (COMM, int n, const int *sizes, const int *rings, int reorder, MPI_Comm *made),
           (comm, n, sizes, rings, reorder, made))

COLLECTIVE(Win_create, (void *base, MPI_Aint size, int unit, MPI_Info info, COMM, MPI_Win *win),
           (base, size, unit, info, comm, win))
COLLECTIVE(Win_allocate, (MPI_Aint size, int unit, MPI_Info info, COMM, void *base, MPI_Win *win),
           (size, unit, info, comm, base, win))
COLLECTIVE(Win_allocate_shared, (MPI_Aint size, int unit, MPI_Info info, COMM, void *base, MPI_Win *win),
           (size, unit, info, comm, base, win))
COLLECTIVE(Win_create_dynamic, (MPI_Info info, COMM, MPI_Win *win), (info, comm, win))
COLLECTIVE(Win_free, (MPI_Win *win), (win))
COLLECTIVE(Win_fence, (int asserted, MPI_Win win), (asserted, win))

MESSAGE(Isend, (FROM, int to, int tag, COMM, MPI_Request *request), (from, n, type, to, tag, comm, request))
MESSAGE(Irecv, (DATA, int from, int tag, COMM, MPI_Request *request), (data, n, type, from, tag, comm, request))
