/* SPDX-License-Identifier: BSD-3-Clause */
/* Each rank creates an account on the next rank and calls it: one-way, asynchronously, synchronously. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <mpi.h>
#include <rref.h>

/* An ordinary C object ... */
typedef struct account { int64_t balance; } account;

static int create(rref_call *call, void **self)
{
    account *a = malloc(sizeof *a);
    if (!a) return rref_fail(call, RREF_ERR_NO_MEMORY, "no memory for an account");
    a->balance = rref_arg_i64(call, 0);
    *self = a;
    return RREF_OK;
}

static int deposit(rref_call *call, void *self)
{
    account *a = self;
    int64_t amount = rref_arg_i64(call, 0);
    if (amount <= 0) return rref_fail(call, RREF_ERR_ARGUMENT, "cannot deposit %" PRId64, amount);
    a->balance += amount;
    return rref_return_i64(call, a->balance);
}

static int greet(rref_call *call, void *self)
{
    const account *a = self;
    char text[100];
    snprintf(text, sizeof text, "hello %s, you have %" PRId64, rref_arg_str(call, 0), a->balance);
    return rref_return_str(call, text);
}

/* ... and its class. */
static const rref_method methods[] = {
    RREF_METHOD("deposit", "i64 -> i64", deposit, 0),
    RREF_METHOD("greet",   "str -> str", greet,   0),
    RREF_METHODS_END
};
static const rref_class account_class = RREF_CLASS("account", "i64", create, free, methods);

/* Returns the number of things that went wrong. */
static int hello(rref_context *context)
{
    int rank = rref_rank(context), next = (rank + 1) % rref_size(context), wrong = 0;
    int64_t balance = 0;
    char name[20], text[100] = "";
    snprintf(name, sizeof name, "rank %d", rank);

    rref a = rref_create(context, next, "account", 100 * rank);         /* lives on the next rank; usable at once */
    wrong += rref_post(a, "deposit", 1) != RREF_OK;                     /* one-way: nothing comes back */
    rref_future f = rref_async(a, "deposit", 2, rref_out(&balance));    /* the result comes later */
    wrong += rref_sync(a, "greet", name, rref_out_str(text, sizeof text)) != RREF_OK;
    wrong += rref_wait(f, RREF_FOREVER) != RREF_OK;
    wrong += balance != 100 * rank + 3;                                 /* calls run in the order they were made */
    if (wrong) rref_perror(context, "hello");
    printf("%s, from rank %d: %s\n", name, next, text);

    wrong += rref_sync(a, "deposit", -5) != RREF_ERR_ARGUMENT;          /* an error comes back to who called */
    rref_future_release(f);
    rref_release(a);
    return wrong;
}

int main(int argc, char **argv)
{
    int level;
    const rref_class *classes[] = { &account_class, NULL };
    rref_context *context;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    if (rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes }, &context)) {
        rref_perror(NULL, "hello");
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
    int wrong = hello(context);
    if (rref_finalize(&context) != RREF_OK) {
        rref_perror(NULL, "hello");
        wrong++;
    }
    MPI_Finalize();
    return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
