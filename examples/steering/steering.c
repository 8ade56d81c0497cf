/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A solver that another rank looks into and steers while it runs. All ranks but the last relax the temperature of a square
 * plate by Jacobi's method, each a slab of rows, with plain MPI between them. The last rank is the driver: it sets the
 * temperature of the hot corner, waits for residuals, probes temperatures, changes its mind, and stops the solver.
 *
 *     mpirun --bind-to none -n 4 steering
 *
 * Methods run on library threads beside the solver. A sweep reads one field and writes the other, so methods may read the
 * first one, too: they see the field of a whole sweep. The lock is for the moment in which the fields change places. What
 * is asked of one slab takes effect on all in the same sweep: the slabs tell each other when they reduce the residual.
 */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <mpi.h>
#include <rref.h>

/* The temperature at (x, y) is field[N y][N x]: 0 along two edges, rising to the hot corner (1, 1) along the others. */
enum { N = 64, SWEEPS = 10 };
typedef double line[N + 1];

typedef struct slab {
    MPI_Comm solvers;
    int up, down;                       /* neighbours */
    int first, rows;                    /* a row of a neighbour, or of the edge, stands before and after them */
    line *next;                         /* the solver's alone */
    pthread_mutex_t lock;               /* for all below; field and sweeps change by the solver only */
    line *field;
    uint64_t sweeps;
    double corner;                      /* the temperature somebody has set and the solver not yet seen; NAN: none */
    double limit;                       /* somebody waits for a residual of at most this */
    rref_deferred waiting;
    bool stop;
} slab;

/* ---- the methods ------------------------------------------------------------------------------------------------ */

/* Each step-th temperature of a row. */
static int probe(rref_call *call, void *self)
{
    slab *s = self;
    line picked;
    size_t n = 0;
    int row = rref_arg_i32(call, 0), step = rref_arg_i32(call, 1), local = row - s->first + 1;
    if (row < 0 || local < 0 || local > s->rows + 1 || step < 1 || step > N)
        return rref_fail(call, RREF_ERR_ARGUMENT, "no row %d in steps of %d in the slab at row %d", row, step, s->first);
    pthread_mutex_lock(&s->lock);
    for (int x = 0; x <= N; x += step) picked[n++] = s->field[local][x];
    pthread_mutex_unlock(&s->lock);
    return rref_return(call, rref_array(picked, n));
}

/* The solver answers, from its own thread. */
static int wait_for(rref_call *call, slab *s, double limit, double corner)
{
    int rc = RREF_PENDING;
    pthread_mutex_lock(&s->lock);
    if (s->stop) rc = rref_fail(call, RREF_ERR_STATE, "the solver was stopped");
    else if (s->waiting.bits) rc = rref_fail(call, RREF_ERR_STATE, "another call waits for this slab");
    else if (s->waiting = rref_defer(call), !s->waiting.bits) rc = RREF_ERR_NO_MEMORY;
    else s->limit = limit, s->corner = corner;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Both answer with a sweep, and the residual after it: of at most this ... */
static int below(rref_call *call, void *self) { return wait_for(call, self, rref_arg_f64(call, 0), NAN); }

/* ... and the first with this temperature of the hot corner. */
static int set(rref_call *call, void *self)
{
    double corner = rref_arg_f64(call, 0);
    if (!isfinite(corner)) return rref_fail(call, RREF_ERR_ARGUMENT, "a temperature of %g", corner);
    return wait_for(call, self, INFINITY, corner);
}

static int stop(rref_call *call, void *self)
{
    slab *s = self;
    (void)call;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_mutex_unlock(&s->lock);
    return RREF_OK;
}

static const rref_method methods[] = { RREF_METHOD("probe", "i32, i32 -> f64[]", probe, 0),
                                       RREF_METHOD("below", "f64 -> u64, f64", below, 0),
                                       RREF_METHOD("set", "f64 -> u64, f64", set, 0),
                                       RREF_METHOD("stop", "", stop, 0), RREF_METHODS_END };
static const rref_class slab_class = RREF_CLASS("slab", "", NULL, NULL, methods);
static const rref_class *const classes[] = { &slab_class, NULL };

/* ---- the solver ------------------------------------------------------------------------------------------------- */

static int first_row(int rank, int solvers) { return 1 + (N - 1) * rank / solvers; }

static void heat(slab *s, line *field, double corner)
{
    for (int row = 0; row <= s->rows + 1; row++) {
        int y = s->first - 1 + row;
        for (int x = y == N ? 0 : N; x <= N; x++) field[row][x] = corner * x / N * y / N;
    }
}

static void exchange(const slab *s)
{
    line *u = s->next;
    MPI_Sendrecv(u[1], N + 1, MPI_DOUBLE, s->up, 0, u[s->rows + 1], N + 1, MPI_DOUBLE, s->down, 0, s->solvers,
                 MPI_STATUS_IGNORE);
    MPI_Sendrecv(u[s->rows], N + 1, MPI_DOUBLE, s->down, 0, u[0], N + 1, MPI_DOUBLE, s->up, 0, s->solvers, MPI_STATUS_IGNORE);
}

/* Returns the largest change of a temperature. */
static double sweep(slab *s)
{
    double change = 0;
    const line *u = (const line *)s->field;
    for (int y = 1; y <= s->rows; y++)
        for (int x = 1; x < N; x++) {
            s->next[y][x] = 0.25 * (u[y - 1][x] + u[y + 1][x] + u[y][x - 1] + u[y][x + 1]);
            change = fmax(change, fabs(s->next[y][x] - u[y][x]));
        }
    exchange(s);
    pthread_mutex_lock(&s->lock);
    line *old = s->field;
    s->field = s->next;
    s->next = old;
    s->sweeps++;
    pthread_mutex_unlock(&s->lock);
    return change;
}

/* All slabs learn the residual and what was asked of any of them. Returns whether to go on. */
static bool agree(slab *s, double residual)
{
    pthread_mutex_lock(&s->lock);
    double seen = s->corner, all[] = { residual, isnan(seen) ? -INFINITY : seen, s->stop };
    pthread_mutex_unlock(&s->lock);
    MPI_Allreduce(MPI_IN_PLACE, all, 3, MPI_DOUBLE, MPI_MAX, s->solvers);

    rref_deferred answer = { 0 };
    pthread_mutex_lock(&s->lock);
    bool over = all[2] > 0;
    if (over) s->stop = true;
    if (over || (isnan(s->corner) && all[0] <= s->limit)) answer = s->waiting, s->waiting.bits = 0;
    if (isfinite(all[1])) heat(s, s->field, all[1]), heat(s, s->next, all[1]);
    if (!isnan(seen)) s->corner = NAN;
    pthread_mutex_unlock(&s->lock);
    if (answer.bits && over) rref_complete_error(answer, RREF_ERR_STATE, "the solver was stopped");
    else if (answer.bits) rref_complete(answer, s->sweeps, all[0]);
    return !over;
}

static void solve(slab *s)
{
    double change;
    do for (int i = 0; i < SWEEPS; i++) change = sweep(s);
    while (agree(s, change));
}

/* ---- the driver ------------------------------------------------------------------------------------------------- */

static int owner(int row, int solvers)
{
    int rank = solvers - 1;
    while (rank > 0 && row < first_row(rank, solvers)) rank--;
    return rank;
}

static const struct { const char *method; double number; } plan[] = {
    { "set", 1 }, { "below", 1e-3 }, { "below", 1e-4 },
    { "set", 2 }, { "below", 1e-3 }, { "below", 1e-4 }, { "below", 1e-5 }, { "below", 1e-6 }, { "below", 1e-7 }
};

static int follow(const rref *slabs, int solvers)
{
    rref middle = slabs[owner(N / 2, solvers)];
    int rc = RREF_OK;
    printf("   sweep  residual    middle\n");
    for (size_t i = 0; i < sizeof plan / sizeof *plan && rc == RREF_OK; i++) {
        uint64_t sweeps;
        double residual, row[3];
        size_t n;
        rc = rref_sync(slabs[0], plan[i].method, plan[i].number, rref_out(&sweeps), rref_out(&residual));
        if (rc == RREF_OK) rc = rref_sync(middle, "probe", N / 2, N / 2, rref_out_array(row, 3, &n));
        if (rc == RREF_OK)
            printf("%8" PRIu64 "  %.3e  %.5f  %s %g\n", sweeps, residual, row[1], plan[i].method, plan[i].number);
    }
    return rc;
}

/* The whole plate, coarsely. Once the corner has been at 2 long enough the temperature is 2 x y. */
static int look(const rref *slabs, int solvers)
{
    enum { POINTS = 5, STEP = N / (POINTS - 1) };
    rref_future rows[POINTS];
    double t[POINTS][POINTS], off = 0;
    size_t n[POINTS];
    for (int y = 0; y < POINTS; y++)
        rows[y] = rref_async(slabs[owner(y * STEP, solvers)], "probe", y * STEP, STEP, rref_out_array(t[y], POINTS, n + y));
    int rc = rref_wait_all(rows, POINTS, RREF_FOREVER);
    for (int y = 0; y < POINTS; y++) {
        for (int x = 0; x < POINTS && rc == RREF_OK; x++) {
            off = fmax(off, fabs(t[y][x] - 2.0 * x * y / (POINTS - 1) / (POINTS - 1)));
            printf("%7.3f%s", t[y][x], x == POINTS - 1 ? "\n" : "");
        }
        rref_future_release(rows[y]);
    }
    if (rc == RREF_OK) printf("at most %.1e from the steady state\n", off);
    return rc;
}

typedef struct name { char text[20]; } name;

static name name_of(int rank)
{
    name n;
    snprintf(n.text, sizeof n.text, "slab %d", rank);
    return n;
}

static int drive(rref_context *context, int solvers)
{
    rref slabs[N] = { { 0 } };
    int rc = RREF_OK;
    for (int r = 0; r < solvers && rc == RREF_OK; r++) rc = rref_lookup(context, name_of(r).text, 60, slabs + r);
    if (rc == RREF_OK) rc = follow(slabs, solvers);
    if (rc == RREF_OK) rc = rref_sync(slabs[solvers - 1], "stop");
    if (rc == RREF_OK) rc = look(slabs, solvers);
    for (int r = 0; r < solvers; r++) rref_release(slabs[r]);
    return rc;
}

/* ---- the program ------------------------------------------------------------------------------------------------ */

/* A cold slab. */
static void prepare(slab *s, MPI_Comm solvers)
{
    int rank, size;
    MPI_Comm_rank(solvers, &rank);
    MPI_Comm_size(solvers, &size);
    int first = first_row(rank, size), rows = first_row(rank + 1, size) - first;
    *s = (slab){ .solvers = solvers, .first = first, .rows = rows, .corner = NAN, .lock = PTHREAD_MUTEX_INITIALIZER,
                 .up = rank > 0 ? rank - 1 : MPI_PROC_NULL, .down = rank + 1 < size ? rank + 1 : MPI_PROC_NULL,
                 .field = calloc((size_t)rows + 2, sizeof(line)), .next = calloc((size_t)rows + 2, sizeof(line)) };
    if (!s->field || !s->next) MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
}

/* The name keeps the slab until the end. */
static int serve(rref_context *context, slab *s, int rank)
{
    rref object = rref_wrap(context, "slab", s);
    int rc = rref_publish(object, name_of(rank).text);
    rref_release(object);
    if (rc == RREF_OK) solve(s);
    return rc;
}

/* Returns the outcome; a rank that fails ends the job, for the others would wait for it. */
static int run(int rank, int last)
{
    static slab s;
    int rc;
    MPI_Comm solvers;
    rref_context *context;
    MPI_Comm_split(MPI_COMM_WORLD, rank == last, rank, &solvers);
    if (rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes }, &context) != RREF_OK) {
        rref_perror(NULL, "steering");
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
    if (rank < last) prepare(&s, solvers);
    rc = rank < last ? serve(context, &s, rank) : drive(context, last);
    if (rc) {
        rref_perror(context, "steering");
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
    rc = rref_finalize(&context);
    if (rc) rref_perror(NULL, "steering");
    MPI_Comm_free(&solvers);
    free(s.field);
    free(s.next);
    return rc;
}

int main(int argc, char **argv)
{
    int level, rank, ranks, status = EXIT_FAILURE;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (ranks >= 2 && ranks <= N && level == MPI_THREAD_MULTIPLE) status = run(rank, ranks - 1) != RREF_OK;
    else if (rank == 0)
        fprintf(stderr, "steering: needs 2 to %d ranks, the last one drives the others%s\n", N,
                level == MPI_THREAD_MULTIPLE ? "" : "; and an MPI with MPI_THREAD_MULTIPLE");
    MPI_Finalize();
    return status;
}
