/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A message that is cut off: `cut WHAT`, on 3 ranks or more, where MPI moves large messages in steps for which the sender is
 * needed (Open MPI: btl_vader_single_copy_mechanism none). The last rank ends itself by SIGKILL when it has begun to send: who
 * has met its message gets no more of it.
 *
 *   lane        to all others calls that ride in messages
 *   arguments   to rank 0 a call with large arguments
 *   result      to rank 0 the large result of its call, into its array
 *   stopped     the same, but it only stops, its answer comes after the data, and the call has a time limit: the array is rank
 *               0's again when the victim has gone on
 *
 * The others go on calling each other, see the loss, if it is one, fence and end. Each says "as expected" if that is so.
 */
#include <mpi.h>
#include <rref.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "expect.h"

enum { SMALL = 8192, RIDING = 15000, LARGE = 1 << 20, AFTER = 300 };
#define PATIENCE 60.0
#define LIMIT 0.3

static int ranks, victim;
static bool by_lane, by_arguments, stops;
static double *large;
static int64_t victims_pid;

static int next(rref_call *c, void *self)
{
    (void)self;
    return rref_return_u64(c, rref_arg_u64(c, 0) + 1);
}

static int take(rref_call *c, void *self)
{
    size_t n;
    (void)self;
    rref_arg_f64s(c, 0, &n);
    return RREF_OK;
}

static atomic_bool gives;

static int give(rref_call *c, void *self)
{
    (void)self;
    atomic_store(&gives, true);
    return rref_return_owned(c, calloc(LARGE, sizeof(double)), LARGE, free);
}

static atomic_int here;

static int come(rref_call *c, void *self) { return (void)c, (void)self, atomic_fetch_add(&here, 1), RREF_OK; }

static int pid(rref_call *c, void *self) { return (void)self, rref_return_i64(c, getpid()); }

static const rref_method functions[] = {
    RREF_METHOD("pid", "-> i64", pid, 0),
    RREF_METHOD("come", "", come, 0),
    RREF_METHOD("next", "u64 -> u64", next, 0), RREF_METHOD("take", "f64[]", take, 0), RREF_METHOD("give", "-> f64[]", give, 0),
    RREF_METHODS_END
};

/* ---- MPI, as the victim has it: from its first large message on it completes nothing, and after the last it ends, or stops */

static atomic_int to_send, begun;
static struct { void *data; int bytes, to, tag; MPI_Comm comm; } answer;

/* MPI itself keeps no order between the answer and its data: they have a communicator each. */
static bool hold_back(const void *data, int bytes, int to, int tag, MPI_Comm comm)
{
    bool is_next = stops && atomic_exchange(&gives, false) && atomic_load(&to_send);
    if (!is_next || !(answer.data = malloc((size_t)bytes))) return false;
    memcpy(answer.data, data, (size_t)bytes);
    answer.bytes = bytes;
    answer.to = to;
    answer.tag = tag;
    answer.comm = comm;
    return true;
}

static void stop(void)
{
    raise(SIGSTOP);
    atomic_store(&to_send, 0);
    atomic_store(&begun, 0);
    if (answer.data) MPI_Send(answer.data, answer.bytes, MPI_BYTE, answer.to, answer.tag, answer.comm);
    free(answer.data);
}

int MPI_Isend(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request *request)
{
    *request = MPI_REQUEST_NULL;
    if (count <= SMALL && hold_back(data, count, to, tag, comm)) return MPI_SUCCESS;
    int rc = PMPI_Isend(data, count, type, to, tag, comm, request);
    if (atomic_load(&to_send) && count > SMALL && atomic_fetch_add(&begun, 1) + 1 == atomic_load(&to_send)) {
        if (!stops) raise(SIGKILL);
        stop();
    }
    return rc;
}

int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
    *flag = 0;
    return atomic_load(&begun) ? MPI_SUCCESS : PMPI_Test(request, flag, status);
}

/* All mains are out of rref_init, whose last collective would wait for a rank that ends too soon. The victim, which ends when it
 * or rank 0 has met all, is called first, and rank 0 last. */
static void meet(void)
{
    double start = seconds();
    for (int i = victim; i >= 0; i--) expect("a call at the start", RREF_OK, rref_sync(rref_root(ctx, i), "come"));
    while (atomic_load(&here) < ranks && seconds() < start + PATIENCE) sched_yield();
    expect("ranks at the start", ranks, atomic_load(&here));
}

/* To all others by the lane, else to rank 0 alone, since a grant or a call comes before. */
static void begin_to_send(void)
{
    for (int i = 0; by_lane && i < victim; i++)
        rref_post(rref_root(ctx, i), "take", rref_array(large, RIDING / sizeof *large));
    rref_future f = { 0 };
    if (by_arguments) f = rref_async(rref_root(ctx, 0), "take", rref_borrow(large, LARGE));
    if (by_arguments) rref_wait(f, PATIENCE);
    rref_fence(ctx, PATIENCE);
    expect("the victim's end", 1, 0);
}

/* Until this rank knows of the loss, or the time of the call cut off is over, and for a while after: all that are left answer. */
static void call_each_other(void)
{
    double start = seconds();
    for (uint64_t n = 0, after = 0; after < AFTER && seconds() < start + PATIENCE; n++) {
        int to = (rank + 1 + (int)(n % (uint64_t)(victim - 1))) % victim;
        uint64_t x = 0;
        int rc = rref_invoke(rref_rpc_sync(rref_root(ctx, to), PATIENCE), "next", n, rref_out(&x));
        if (rc || x != n + 1) expect("a call among those that are left", RREF_OK, rc);
        after += stops ? seconds() > start + 2 * LIMIT : rref_peer_state(ctx, victim) == RREF_PEER_LOST;
        if (wrong) return;
    }
    if (!stops) expect("the state of the one that ended", RREF_PEER_LOST, rref_peer_state(ctx, victim));
}

/* Its time is over, but MPI has the array until the rest has come; then it serves again. */
static void go_on(rref_future f)
{
    size_t n = LARGE;
    expect("the call cut off is complete", 0, rref_done(f));
    if (kill((pid_t)victims_pid, SIGCONT)) expect("SIGCONT", 0, 1);
    expect("the call cut off", RREF_ERR_TIMEOUT, rref_wait(f, PATIENCE));
    expect("the same call again", RREF_OK, rref_sync(rref_root(ctx, victim), "give", rref_out_array(large, LARGE, &n)));
    expect("its elements", LARGE, (int)n);
}

static void survive(void)
{
    size_t n = LARGE;
    rref_error e = { .text = "" };
    bool by_result = !by_lane && !by_arguments && rank == 0;
    rref_future f = { 0 };
    if (by_result)
        f = rref_invoke(rref_rpc_async(rref_root(ctx, victim), stops ? LIMIT : PATIENCE), "give",
                       rref_out_array(large, LARGE, &n));
    if (rank != victim) call_each_other();
    if (by_result && stops) {
        go_on(f);
    } else if (by_result) {
        expect("the call cut off", RREF_ERR_PEER_LOST, rref_wait(f, PATIENCE));
        expect("its error", RREF_OK, rref_future_error(f, &e));
        expect("its text says what becomes of the outputs", 1, strstr(e.text, "MPI keeps the outputs") != NULL);
    }
    if (by_result) rref_future_release(f);
    int rc = rref_fence(ctx, PATIENCE);
    if (rc) expect("the fence", RREF_ERR_PEER_LOST, rc);
    expect("a second fence", RREF_OK, rref_fence(ctx, PATIENCE));
}

int main(int argc, char **argv)
{
    int level;
    const char *what = argc > 1 ? argv[1] : "";
    const rref_options options = { .functions = functions };
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    victim = ranks - 1;
    by_lane = !strcmp(what, "lane");
    by_arguments = !strcmp(what, "arguments");
    stops = !strcmp(what, "stopped");
    large = calloc(LARGE, sizeof *large);
    if (!large || ranks < 3 || (!by_lane && !by_arguments && !stops && strcmp(what, "result"))) {
        fprintf(stderr, "cut WHAT, on 3 ranks or more\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    setenv("RREF_EAGER", "16384", 1);
    if (rank == victim) atomic_store(&to_send, by_lane ? victim : 1);
    expect("rref_init", RREF_OK, rref_init(MPI_COMM_WORLD, &options, &ctx));
    meet();
    if (stops && rank == 0) expect("its process", RREF_OK, rref_sync(rref_root(ctx, victim), "pid", rref_out(&victims_pid)));
    if (rank == victim && !stops) begin_to_send();
    survive();
    double start = seconds();
    expect("rref_finalize", RREF_OK, rref_finalize(&ctx));
    double ended = seconds();
    MPI_Finalize();
    printf("rank %d: finalize took %.3f s\n", rank, ended - start);
    if (!wrong) printf("rank %d: as expected\n", rank);
    return wrong ? 1 : 0;
}
