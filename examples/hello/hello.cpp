// SPDX-License-Identifier: BSD-3-Clause
// hello.c in C++: each rank creates an account on the next rank and calls it.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#include <rref.h>         // brings mpi.h, without MPI's retired C++ bindings

// An ordinary class ...
class account {
public:
    explicit account(std::int64_t balance) : balance_(balance) {}
    std::int64_t deposit(std::int64_t amount) { return balance_ += amount; }
    std::string greet(const std::string &name) const
    {
        return "hello " + name + ", you have " + std::to_string(balance_);
    }

private:
    std::int64_t balance_;
};

// ... its handlers, which no exception may leave ...
static int create(rref_call *call, void **self)
{
    *self = new (std::nothrow) account(rref_arg_i64(call, 0));
    return *self ? RREF_OK : rref_fail(call, RREF_ERR_NO_MEMORY, "no memory for an account");
}

static void destroy(void *self) { delete static_cast<account *>(self); }

static int deposit(rref_call *call, void *self)
{
    std::int64_t amount = rref_arg_i64(call, 0);
    if (amount <= 0) return rref_fail(call, RREF_ERR_ARGUMENT, "cannot deposit %" PRId64, amount);
    return rref_return_i64(call, static_cast<account *>(self)->deposit(amount));
}

static int greet(rref_call *call, void *self)
try {
    return rref_return_str(call, static_cast<account *>(self)->greet(rref_arg_str(call, 0)).c_str());
} catch (const std::bad_alloc &) {
    return rref_fail(call, RREF_ERR_NO_MEMORY, "no memory for a greeting");
}

// ... and its class for RRef.
static const rref_method methods[] = {
    RREF_METHOD("deposit", "i64 -> i64", deposit, 0),
    RREF_METHOD("greet",   "str -> str", greet,   0),
    RREF_METHODS_END
};
static const rref_class account_class = RREF_CLASS("account", "i64", create, destroy, methods);

// Returns the number of things that went wrong.
static int hello(rref_context *context)
{
    const int rank = rref_rank(context), next = (rank + 1) % rref_size(context);
    const std::string name = "rank " + std::to_string(rank);
    std::int64_t balance = 0;
    char text[100] = "";
    int wrong = 0;

    rref a = rref_create(context, next, "account", 100 * rank);         // lives on the next rank; usable at once
    wrong += rref_post(a, "deposit", 1) != RREF_OK;                     // one-way: nothing comes back
    rref_future f = rref_async(a, "deposit", 2, rref_out(&balance));    // the result comes later
    wrong += rref_sync(a, "greet", name.c_str(), rref_out_str(text, sizeof text)) != RREF_OK;
    wrong += rref_wait(f, RREF_FOREVER) != RREF_OK;
    wrong += balance != 100 * rank + 3;                                 // calls run in the order they were made
    if (wrong) rref_perror(context, "hello");
    std::printf("%s, from rank %d: %s\n", name.c_str(), next, text);

    wrong += rref_sync(a, "deposit", -5) != RREF_ERR_ARGUMENT;          // an error comes back to who called
    rref_future_release(f);
    rref_release(a);
    return wrong;
}

int main(int argc, char **argv)
{
    int level;
    const rref_class *classes[] = { &account_class, nullptr };
    rref_options options = {};
    rref_context *context;
    options.classes = classes;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    if (rref_init(MPI_COMM_WORLD, &options, &context)) {
        rref_perror(nullptr, "hello");
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
    int wrong = hello(context);
    if (rref_finalize(&context) != RREF_OK) {
        rref_perror(nullptr, "hello");
        wrong++;
    }
    MPI_Finalize();
    return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
