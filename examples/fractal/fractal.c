/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A work queue that balances an irregular loop: some rows of this piece of the Mandelbrot set cost fifty times what others cost.
 * Rank 0 has a queue of blocks of rows, and the picture. Every rank, rank 0 too, takes a block, computes it, posts its rows
 * to the picture, and takes the next one until none is left. No rank waits for another one's block.
 *
 *     mpirun --bind-to none -n 4 fractal [--size=N] [--iterations=N] [--block=ROWS] [--static] [PICTURE]
 *
 * writes PICTURE (fractal.ppm) and prints what each rank has done. --static gives all ranks equal shares of rows instead.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpi.h>
#include <rref.h>

enum { LARGEST = 10000 };
static int size = 800, iterations = 3000, block = 4;
static bool equal;
static const char *file = "fractal.ppm";

/* Both live on rank 0. One call at a time runs on an object, so they need no locks. */
typedef struct queue { int next; } queue;
typedef struct share { int rows; double iterations, seconds; } share;
typedef struct picture { int missing; unsigned char *rgb; share *of; } picture;

/* The next rows: the first one, and how many; 0 when all are taken. */
static int take(rref_call *call, void *self)
{
    queue *q = self;
    int first = q->next, rows = size - first < block ? size - first : block;
    q->next += rows;
    return rref_return(call, first, rows);
}

/* A row, and what it cost. */
static int put(rref_call *call, void *self)
{
    picture *p = self;
    size_t bytes, expected = 3 * (size_t)size;
    int row = rref_arg_i32(call, 0);
    const unsigned char *rgb = rref_arg_u8s(call, 1, &bytes);
    if (row < 0 || row >= size || bytes != expected)
        return rref_fail(call, RREF_ERR_SHAPE, "%zu bytes for row %d of a picture of %d", bytes, row, size);
    memcpy(p->rgb + (size_t)row * expected, rgb, bytes);
    p->missing--;
    share *s = p->of + rref_call_rank(call);
    *s = (share){ s->rows + 1, s->iterations + rref_arg_f64(call, 2), s->seconds + rref_arg_f64(call, 3) };
    return RREF_OK;
}

static const rref_method of_queue[] = { RREF_METHOD("take", "-> i32, i32", take, RREF_INLINE), RREF_METHODS_END };
static const rref_method of_picture[] = { RREF_METHOD("put", "i32, u8[], f64, f64", put, 0), RREF_METHODS_END };
static const rref_class queue_class = RREF_CLASS("queue", "", NULL, NULL, of_queue);
static const rref_class picture_class = RREF_CLASS("picture", "", NULL, NULL, of_picture);
static const rref_class *const classes[] = { &queue_class, &picture_class, NULL };

/* One pixel; gives the iterations it took. The set itself is black. */
static int paint(int row, int column, unsigned char rgb[3])
{
    double step = 0.012 / size, x = -0.7515 + row * step, y = 0.1025 + column * step, re = 0, im = 0, square = 0;
    int n = 0;
    for (; n < iterations && square < 256; n++) {
        double product = re * im;
        re = re * re - im * im + x;
        im = 2 * product + y;
        square = re * re + im * im;
    }
    double tone = square < 256 ? 0 : 0.3 * sqrt(n + 1 - log2(log2(square) / 2));
    for (int c = 0; c < 3; c++) rgb[c] = square < 256 ? 0 : (unsigned char)(127.5 - 127.5 * cos(tone + 0.6 * c));
    return n;
}

static int compute(rref target, int first, int rows)
{
    static unsigned char rgb[3 * LARGEST];
    int rc = RREF_OK;
    for (int row = first; row < first + rows && rc == RREF_OK; row++) {
        double start = MPI_Wtime(), sum = 0;
        for (int column = 0; column < size; column++) sum += paint(row, column, rgb + 3 * column);
        rc = rref_post(target, "put", row, rref_array(rgb, 3 * (size_t)size), sum, MPI_Wtime() - start);
    }
    return rc;
}

static int work(rref source, rref target, int rank, int ranks)
{
    int first = size * rank / ranks, rows, rc;
    if (equal) return compute(target, first, size * (rank + 1) / ranks - first);
    do {
        rc = rref_sync(source, "take", rref_out(&first), rref_out(&rows));
        if (rc == RREF_OK) rc = compute(target, first, rows);
    } while (rc == RREF_OK && rows > 0);
    return rc;
}

/* The name keeps the object until the end. */
static int publish(rref object, const char *name)
{
    int rc = rref_publish(object, name);
    rref_release(object);
    return rc;
}

/* Behind the fence, to which all ranks come, the rows of all are in the picture. */
static int run(rref_context *context, queue *q, picture *p)
{
    rref source = { 0 }, target = { 0 };
    int rc = p->rgb ? publish(rref_wrap(context, "queue", q), "queue") : RREF_OK;
    if (rc == RREF_OK && p->rgb) rc = publish(rref_wrap(context, "picture", p), "picture");
    if (rc == RREF_OK) rc = rref_lookup(context, "queue", 60, &source);
    if (rc == RREF_OK) rc = rref_lookup(context, "picture", 60, &target);
    if (rc == RREF_OK) rc = work(source, target, rref_rank(context), rref_size(context));
    int end = rref_fence(context, RREF_FOREVER);
    if (rc || end) rref_perror(context, "fractal");
    rref_release(source);
    rref_release(target);
    return rc || end;
}

static int conclude(const picture *p, int ranks, double elapsed)
{
    double computed = 0;
    if (p->missing) return fprintf(stderr, "fractal: %d rows are missing\n", p->missing), EXIT_FAILURE;
    printf("rank  rows    iterations  computed\n");
    for (int r = 0; r < ranks; r++) {
        printf("%4d %5d %13.0f %7.3f s\n", r, p->of[r].rows, p->of[r].iterations, p->of[r].seconds);
        computed += p->of[r].seconds / ranks;
    }
    printf("%.3f s, of which a rank computed %.0f %% on average\n", elapsed, 100 * computed / elapsed);
    FILE *out = fopen(file, "wb");
    size_t bytes = 3 * (size_t)size * (size_t)size;
    bool good = out && fprintf(out, "P6\n%d %d\n255\n", size, size) > 0 && fwrite(p->rgb, 1, bytes, out) == bytes;
    if (out && fclose(out)) good = false;
    if (!good) fprintf(stderr, "fractal: %s: %s\n", file, strerror(errno));
    if (fflush(stdout) == 0 && !ferror(stdout)) return !good;
    perror("fractal: standard output");
    return EXIT_FAILURE;
}

static bool parse(const char *option)
{
    char rest;
    if (option[0] != '-') file = option;
    else if (strcmp(option, "--static") == 0) equal = true;
    else return (sscanf(option, "--size=%9d%c", &size, &rest) == 1 && size > 0 && size <= LARGEST)
             || (sscanf(option, "--iterations=%9d%c", &iterations, &rest) == 1 && iterations > 0)
             || (sscanf(option, "--block=%9d%c", &block, &rest) == 1 && block > 0);
    return true;
}

static bool parse_all(int argc, char **argv, bool speak)
{
    for (int i = 1; i < argc; i++)
        if (!parse(argv[i])) {
            if (speak) fprintf(stderr, "fractal: '%s' is none of --size=N (1 to %d), --iterations=N, --block=ROWS, --static\n",
                               argv[i], LARGEST);
            return false;
        }
    return true;
}

/* Rank 0 finds out before the work what could not be done after it. */
static bool prepare(picture *p, int ranks, int level)
{
    if (level < MPI_THREAD_MULTIPLE) return fputs("fractal: this MPI has no MPI_THREAD_MULTIPLE\n", stderr), false;
    *p = (picture){ size, calloc((size_t)size * (size_t)size, 3), calloc((size_t)ranks, sizeof *p->of) };
    FILE *out = p->rgb && p->of ? fopen(file, "ab") : NULL;
    if (!out) fprintf(stderr, "fractal: %s: %s\n", file, strerror(errno));
    return out && fclose(out) == 0;
}

static int fractal(picture *p)
{
    queue q = { 0 };
    rref_context *context;
    if (rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes }, &context) != RREF_OK) {
        rref_perror(NULL, "fractal");
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
    double start = MPI_Wtime();
    int failed = run(context, &q, p);
    if (p->rgb && !failed) failed = conclude(p, rref_size(context), MPI_Wtime() - start);
    if (rref_finalize(&context) == RREF_OK) return failed;
    rref_perror(NULL, "fractal");
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    int level, rank, ranks, failed = EXIT_FAILURE;
    picture p = { 0 };                                  /* on rank 0 it has pixels */
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    bool good = parse_all(argc, argv, rank == 0) && (rank > 0 || prepare(&p, ranks, level));
    MPI_Bcast(&good, 1, MPI_C_BOOL, 0, MPI_COMM_WORLD);
    if (good) failed = fractal(&p);
    free(p.rgb);
    free(p.of);
    MPI_Finalize();
    return failed;
}
