/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RRef for MPI: objects that live on ranks, counted references to them, and calls of their methods by name.
 *
 * An object is owned by one rank. A reference (rref) to it may be held by any rank. A call names a method; it is
 * checked against the method's signature before anything is sent, runs on the owner, and its results come back into
 * the caller's variables (rref_sync), into a future (rref_async), or not at all (rref_post).
 *
 * Conventions of this header
 *   result   int functions return RREF_OK (0) or a negative rref_status; outputs are written only on success (elements
 *            of a large array may have come before a failure was known; its count has not). The details of the last
 *            failure of the calling thread are read with rref_last_error.
 *   handles  rref and rref_future are 64-bit values checked on every use: a stale one is an error, never an alias.
 *   fork     in a forked child every call fails with RREF_ERR_FORKED (or a zero handle); the parent goes on.
 *   times    are seconds in a double: >= 0, RREF_FOREVER, or RREF_DEFAULT_TIMEOUT (the context's default, read when
 *            the call is made). Other negative values and NaN are refused with RREF_ERR_ARGUMENT.
 *   memory   is host memory.
 *
 * The clauses of each function's comment
 *   Errors:    each code with its condition (RREF_ERR_ARGUMENT for a NULL or malformed argument goes without saying)
 *   Thread:    who may call it        "any" = any thread when the context runs with MPI_THREAD_MULTIPLE; below that
 *                                     see rref_init.
 *   Blocks:    until what             Progress: whether it may run handlers or callbacks in the calling thread
 *   Owns:      who frees what         Since: the first release that has it
 */
#ifndef RREF_H
#define RREF_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#ifdef __cplusplus
#include <complex>
#include <type_traits>
#endif
/* MPI's retired C++ bindings are not used, and do not compile cleanly. */
#if defined(__cplusplus) && !defined(OMPI_SKIP_MPICXX)
#define OMPI_SKIP_MPICXX 1
#endif
#if defined(__cplusplus) && !defined(MPICH_SKIP_MPICXX)
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>
#include <rref_mpi.h>    /* stops when that is not the MPI of the library */

#define RREF_VERSION_MAJOR 0
#define RREF_VERSION_MINOR 1
#define RREF_VERSION_PATCH 0

#if defined(__GNUC__) || defined(__clang__)
#define RREF_PRINTF_(f, a) __attribute__((format(printf, f, a)))
#else
#define RREF_PRINTF_(f, a)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- outcomes ------------------------------------------------------------------------------------------------ */

/** Outcome of a function or a call. Handlers may also return any negative value of their own from RREF_ERR_USER down. */
typedef enum rref_status {
    RREF_OK = 0,
    RREF_PENDING = 1,               /**< of a handler: the answer comes later (rref_defer) */
    RREF_ERR_ARGUMENT = -1,         /**< an argument is NULL, out of range or malformed */
    RREF_ERR_HANDLE = -2,           /**< a handle that is invalid, stale or released */
    RREF_ERR_STATE = -3,            /**< not possible in the present state (MPI not initialised, second finalize, ...) */
    RREF_ERR_DESTINATION = -4,      /**< no such rank or worker name */
    RREF_ERR_NO_CLASS = -5,         /**< the owner knows no class of that name */
    RREF_ERR_NO_METHOD = -6,        /**< the class has no method of that name */
    RREF_ERR_SIGNATURE = -7,        /**< the arguments or results do not fit the method's signature */
    RREF_ERR_RANGE = -8,            /**< a number does not fit the type the signature asks for */
    RREF_ERR_SHAPE = -9,            /**< an array of the wrong size: for handlers; a result that does not fill a layout */
    RREF_ERR_CLASS_EXISTS = -10,    /**< the class is registered already, or another one has its name */
    RREF_ERR_CLASS_MISMATCH = -11,  /**< caller and owner mean different classes by one name */
    RREF_ERR_NO_OBJECT = -12,       /**< the object is gone, or was never made */
    RREF_ERR_NOT_OWNER = -13,       /**< only the owner of the object can do this */
    RREF_ERR_NO_MEMORY = -14,       /**< out of memory */
    RREF_ERR_TIMEOUT = -15,         /**< the call's deadline passed */
    RREF_ERR_PENDING = -16,         /**< the future is not complete (yet) */
    RREF_ERR_COMPLETED = -17,       /**< the future, or the answer, is complete already */
    RREF_ERR_NOT_PROMISE = -18,     /**< the future belongs to a call; only promises are completed by hand */
    RREF_ERR_CANCELLED = -19,       /**< the caller gave the call up */
    RREF_ERR_TRUNCATED = -20,       /**< an output array or string is too small for the result */
    RREF_ERR_WOULD_BLOCK = -21,     /**< would have to wait where waiting is not allowed; queue limit reached */
    RREF_ERR_THREAD = -22,          /**< called by a thread that may not, under the MPI thread level in force */
    RREF_ERR_FINALIZED = -23,       /**< the context is shut down, or is shutting down */
    RREF_ERR_FORKED = -24,          /**< called in a forked child: the rank is its parent */
    RREF_ERR_MPI = -25,             /**< an MPI function failed; the text says which and why */
    RREF_ERR_SYSTEM = -26,          /**< an operating system call failed; the text says which and why */
    RREF_ERR_PROTOCOL = -27,        /**< a message that cannot be decoded, or ranks that do not fit together */
    RREF_ERR_OPTION = -28,          /**< an option or RREF_* variable has a bad value */
    RREF_ERR_ONEWAY = -29,          /**< one-way calls failed; the text holds the first failure */
    RREF_ERR_STALLED = -30,         /**< nothing moved anywhere for the stall limit */
    RREF_ERR_TOO_DEEP = -31,        /**< too many blocked handlers */
    RREF_ERR_WEIGHT = -32,          /**< reserved: no reference is shared too often, its weight is refilled */
    RREF_ERR_BLOCKING = -33,        /**< blocking is not allowed here (inline methods and inline callbacks) */
    RREF_ERR_REENTRANT = -34,       /**< the object waits for the very call that this one is made for */
    RREF_ERR_NAME_TAKEN = -35,      /**< another object is published under the name */
    RREF_ERR_NO_NAME = -36,         /**< no object is published under the name */
    RREF_ERR_DEADLOCK = -37,        /**< the youngest call of a cycle of methods that wait for each other */
    RREF_ERR_PEER_LOST = -38,       /**< the rank has ended, or was declared lost; the error's rank and host are its own */
    RREF_ERR_RESULT_DROPPED = -39,  /**< the method has run, and its result was dropped: its caller did not take what was there */
    RREF_ERR_USER = -1000           /**< first code free for the application */
} rref_status;

enum { RREF_HOST_MAX = 64, RREF_WHERE_MAX = 128, RREF_SITE_MAX = 128, RREF_TEXT_MAX = 1024 };

/** Everything known about a failure; the same through every way of reading it. Strings end in 0 and are cut to size. */
typedef struct rref_error {
    int code;                       /**< rref_status or the handler's own code */
    int rank;                       /**< rank where it arose */
    int caller;                     /**< rank that made the call, or -1 */
    int hops;                       /**< further ranks the failure came through */
    uint64_t call_id;               /**< the call's number on its caller, or 0 */
    char host[RREF_HOST_MAX];       /**< host of `rank` */
    char where[RREF_WHERE_MAX];     /**< class.method, or the function */
    char site[RREF_SITE_MAX];       /**< file:line of the call, or "" */
    char text[RREF_TEXT_MAX];       /**< what happened, line breaks kept */
} rref_error;

/* ---- handles ------------------------------------------------------------------------------------------------- */

typedef struct rref_context rref_context;   /**< one communicator's worth of objects and calls */
typedef struct rref_call rref_call;         /**< what a handler sees of the call it serves */

/** A reference to an object on some rank. bits: kind 4, context 8, index 28, generation 24; 0 is never valid. */
typedef struct rref { uint64_t bits; } rref;
/** A result to come. Same layout. */
typedef struct rref_future { uint64_t bits; } rref_future;
/** An answer that a handler owes. Same layout. */
typedef struct rref_deferred { uint64_t bits; } rref_deferred;
/** One object per rank, made together. Same layout. */
typedef struct rref_group { uint64_t bits; } rref_group;
/** A method found once, for hot loops; borrows its reference and needs no release. */
typedef struct rref_method_ref { rref target; uint64_t method; } rref_method_ref;

#define RREF_FOREVER 1e300
#define RREF_DEFAULT_TIMEOUT (-1.0)

/* ---- values -------------------------------------------------------------------------------------------------- */

/** Element types of signatures and values. */
typedef enum rref_type {
    RREF_NONE = 0,
    RREF_BOOL, RREF_I8, RREF_I16, RREF_I32, RREF_I64, RREF_U8, RREF_U16, RREF_U32, RREF_U64,
    RREF_F32, RREF_F64, RREF_C64, RREF_C128,
    RREF_STR,                       /**< text that ends in 0 */
    RREF_BYTES,                     /**< any bytes */
    RREF_REF,                       /**< a reference */
    RREF_STRUCT                     /**< a named struct of stated size */
} rref_type;

/** What a value is. */
typedef enum rref_kind {
    RREF_VALUE_NONE = 0,
    RREF_VALUE_SCALAR,              /**< bits (and extra) hold it; for STR bits is a const char * */
    RREF_VALUE_ARRAY,               /**< bits points to count elements, copied when the call is made */
    RREF_VALUE_BORROW,              /**< the same, used in place until the call has sent it */
    RREF_VALUE_OUT,                 /**< bits points to the variable for a scalar result */
    RREF_VALUE_OUT_ARRAY,           /**< bits points to room for count elements, extra to a size_t for the count */
    RREF_VALUE_STRIDED,             /**< count elements from bits on, where an MPI datatype (extra) puts them; copied */
    RREF_VALUE_BORROW_STRIDED,      /**< the same, used in place until the call has sent it */
    RREF_VALUE_OUT_STRIDED          /**< room for just count elements, where an MPI datatype (extra) puts them */
} rref_kind;

/** One argument or output of a call; a plain layout without unions, for other languages to build. */
typedef struct rref_value {
    uint16_t kind;                  /**< rref_kind */
    uint16_t element;               /**< rref_type */
    uint32_t size;                  /**< bytes of one element */
    uint64_t count;                 /**< elements (a scalar has 1; a string its length, BYTES the bytes) */
    uint64_t bits;                  /**< the value, or the address */
    uint64_t extra;                 /**< imaginary part, address of the count, or address of the struct's name */
} rref_value;

/* ---- classes ------------------------------------------------------------------------------------------------- */

/** A method. Reads its arguments with rref_arg_*, gives results with rref_return_*, and returns the call's outcome. One that
 *  returns the code with which the last call it made has failed, and says nothing itself (rref_fail), passes that error on: its
 *  text, rank and method stay as they are, and hops counts the ranks it came through. No C++ exception, longjmp or pthread_exit
 *  may leave it, nor any other function that the library calls. */
typedef int (*rref_handler)(rref_call *call, void *self);
/** A constructor: stores the new object in *self. */
typedef int (*rref_constructor)(rref_call *call, void **self);
/** A destructor; runs once, on the owner, on a library thread, after every reference is gone. May be NULL. */
typedef void (*rref_destructor)(void *self);

/** Flags of a method. */
enum {
    RREF_INLINE = 1,                /**< short and never blocks: runs on whichever thread drives the messages */
    RREF_WORKER = 2,                /**< never on the thread that drives; not with RREF_INLINE */
    RREF_CONCURRENT = 4             /**< may run beside other methods of its object */
};

typedef struct rref_method {
    const char *name;
    const char *signature;          /**< "u64, f64[], str -> f64, ref[]"; see Signatures in rref(7) */
    rref_handler handler;
    unsigned flags;
} rref_method;

/** Flags of a class. */
enum {
    RREF_SEALED = 1,                /**< a promise that none of its methods defers its answer; deferring fails the call */
    RREF_REENTRANT = 2              /**< methods may run while one of their object waits for a call that led to them */
};

/** Gives memory of an object in which the large arguments of a call of its method land, so that they arrive where the object
 *  has them. Large are arrays that travel beside the message (RREF_EAGER): they lie in the memory in their order, each
 *  aligned to 64 bytes from its start; bytes is what they take together. What is small is in the message as ever: the method
 *  finds out by where its views (rref_arg_f64s and others) point. The object is occupied from this call on until the memory
 *  was taken back. Not asked for concurrent methods, constructors, calls of the own rank without a message, and calls of a
 *  reentrant class that run while another method waits. What comes unasked for (up to 4 MiB) is copied there.
 *
 *  @param self    the object
 *  @param method  name of the method that is to run
 *  @param bytes   at least 1
 *  @return memory aligned to 16 bytes; NULL: there is none, and the call fails with NO_MEMORY (not aligned: ARGUMENT)
 *
 *  Thread: any that runs methods of the object.  Blocks: must not; a wait in it fails with BLOCKING.  Progress: none.  Owns:
 *  the memory stays the object's, lent until `landed`.  Since: 0.1 */
typedef void *(*rref_landing)(void *self, const char *method, size_t bytes);

/** Takes the memory of a landing back, once for each. Runs as rref_landing does, after the method, and after results that lie
 *  in that memory have left.
 *
 *  @param self     the object
 *  @param memory   what rref_landing gave
 *  @param bytes    as there
 *  @param outcome  RREF_OK: the arguments have come; the method has run, or was too late to. RREF_ERR_CANCELLED: they have
 *                  not, or not whole; no method has run. RREF_ERR_PEER_LOST: the caller's rank was lost in the middle of the
 *                  transfer, and MPI may still write to the memory, or read from it: it may be neither used nor freed
 *
 *  Thread: any that runs methods of the object.  Blocks: must not; a wait in it fails with BLOCKING.  Progress: none.  Owns:
 *  the memory is the object's alone again.  Since: 0.1 */
typedef void (*rref_landed)(void *self, void *memory, size_t bytes, int outcome);

/** How objects of a class are copied to other ranks (rref_to_here), taken apart there and put together here; and where large
 *  arguments land. The first three are all given or none, and so is one of the two parts at least. */
typedef struct rref_hooks {
    const char *signature;          /**< what an object is packed into, e.g. "u64, f64[]"; no results */
    rref_handler pack;              /**< gives these values with rref_return_*; runs like a method of the object */
    rref_constructor unpack;        /**< a constructor that has these values as arguments */
    rref_landing landing;           /**< NULL: large arguments land in memory of the library */
    rref_landed landed;             /**< may be NULL */
} rref_hooks;

typedef struct rref_class {
    const char *name;               /**< 1 to 255 bytes; "rank" and "remote result" are the library's own */
    const char *signature;          /**< the constructor's arguments; no results */
    rref_constructor create;        /**< NULL: objects are made with rref_wrap only */
    rref_destructor destroy;        /**< may be NULL */
    const rref_method *methods;     /**< ends with RREF_METHODS_END */
    unsigned flags;                 /**< RREF_SEALED, RREF_REENTRANT */
    const rref_hooks *hooks;        /**< NULL: its objects cannot be copied */
} rref_class;

#ifdef __cplusplus
#define RREF_METHOD(name, signature, handler, flags) rref_method{ (name), (signature), (handler), (flags) }
#define RREF_METHODS_END rref_method{ nullptr, nullptr, nullptr, 0u }
#define RREF_CLASS_EX(name, signature, create, destroy, methods, flags, hooks) \
    rref_class{ (name), (signature), (create), (destroy), (methods), (flags), (hooks) }
#else
#define RREF_METHOD(name, signature, handler, flags) { (name), (signature), (handler), (flags) }
#define RREF_METHODS_END { NULL, NULL, NULL, 0u }
#define RREF_CLASS_EX(name, signature, create, destroy, methods, flags, hooks) \
    { (name), (signature), (create), (destroy), (methods), (flags), (hooks) }
#endif
#define RREF_CLASS(name, signature, create, destroy, methods) \
    RREF_CLASS_EX(name, signature, create, destroy, methods, 0u, NULL)

/* ---- contexts ------------------------------------------------------------------------------------------------ */

/** Called with each failure that nobody waits for. Runs on whichever thread learns of it: the library's, one that waits, or one
 *  that releases the failed future. It must not block, nor take a lock that is held around such a call. */
typedef void (*rref_error_handler)(const rref_error *error, void *arg);

/** Settings of a context; all zero is the default. An RREF_* variable beats the field of its name. */
typedef struct rref_options {
    const rref_class *const *classes;   /**< classes to register, up to a NULL; or NULL */
    const rref_method *functions;       /**< free functions: methods of this rank's root object; or NULL */
    void *functions_self;               /**< the self that free functions are given */
    const char *name;                   /**< worker name of this rank, 1-63 bytes, unique; NULL: "rank0", "rank1", ... */
    rref_error_handler on_error;        /**< NULL: print each (class.method, code) once on stderr */
    void *on_error_arg;
    const char *progress;               /**< RREF_PROGRESS: "adaptive", "spin" or "application"; NULL: adaptive */
    double timeout;                     /**< RREF_TIMEOUT: default for calls, seconds; 0: no limit */
    double finalize_timeout;            /**< RREF_FINALIZE_TIMEOUT: seconds; 0: RREF_STALL_LIMIT alone counts */
    uint64_t reserved[8];               /**< 0 */
} rref_options;

/** Start a context over an intra-communicator. Collective; duplicates the communicator and leaves the application's
 *  MPI otherwise alone. The classes given are known to every rank when it returns.
 *
 *  With MPI_THREAD_MULTIPLE a library thread drives the messages. Below it the library starts no thread: calls queue,
 *  and messages move and handlers run inside rref_progress, waits, fences and finalize (MPI_THREAD_SINGLE and
 *  MPI_THREAD_FUNNELED: in the thread that called MPI_Init; other threads' waits sleep until it comes by;
 *  MPI_THREAD_SERIALIZED: any thread, one at a time: who waits while another thread is in the library gets THREAD).
 *  @param comm     intra-communicator; its lifetime is the caller's.
 *  @param options  NULL for defaults; read before it returns.
 *  @param context  receives the context.
 *  Errors: STATE before MPI_Init_thread or after MPI_Finalize; THREAD (below MPI_THREAD_SERIALIZED, by another thread than
 *  MPI_Init); OPTION; CLASS_EXISTS; SIGNATURE (a class table that does
 *  not parse); PROTOCOL (ranks of different builds or limits; names the rank); MPI; SYSTEM; NO_MEMORY. All ranks fail
 *  alike; but a rank that has no communicator to say so in, or a thread that may not call MPI, fails alone, and the others wait.
 *  Thread: the one that may call MPI.  Blocks: until all ranks are there.  Progress: none.
 *  Owns: the context is ended by rref_finalize, or, if that is forgotten, by MPI_Finalize (not in MPICH with library
 *  threads, which has its locks off by then: there an error is printed and the context is lost).  Since: 0.1 */
int rref_init(MPI_Comm comm, const rref_options *options, rref_context **context);

/** rref_init for a Fortran communicator.
 *  Errors: as rref_init.  Thread, Blocks, Progress, Owns: as rref_init.  Since: 0.1 */
int rref_init_f(MPI_Fint comm, const rref_options *options, rref_context **context);

/** End a context. Collective. Serves the other ranks until all have entered and every call is answered, then destroys
 *  the remaining objects, reports references still held (on stderr), and frees everything. What the destructors of these
 *  objects release is released already, and their calls give FINALIZED; so do waits of other threads for what never came,
 *  and they have left when it returns.
 *  @param context  the context; set to NULL.
 *  Errors: STATE (NULL or a second time; from a handler or callback); THREAD (see rref_init); FINALIZED (the library has ended it
 *  at SIGTERM, see RREF_ON_TERM, which is waited for); ONEWAY (one-way calls, or calls whose futures were released unread, have
 *  failed; the context is ended all the same); PEER_LOST (ranks were lost since the last fence; the context is ended among the
 *  others all the same, and its communicators are left to MPI_Finalize); STALLED (nothing moved for RREF_STALL_LIMIT, or
 *  RREF_FINALIZE_TIMEOUT passed, also with a destructor that did not return: says what it waited for; communicators are left to
 *  MPI_Finalize).
 *  Thread: the one that called rref_init.  Blocks: until all ranks agree.  Progress: with library threads none, else
 *  runs handlers.  Owns: frees the context and all its handles.  Since: 0.1 */
int rref_finalize(rref_context **context);

/** Wait, together with all other ranks, until everything made before it is done: calls of every kind, what their methods and
 *  callbacks called in turn, releases, destructors, callbacks. Collective. Other threads may go on calling; what they begin
 *  once their rank has entered is left to the next fence. A lookup that waits for a name is not waited for.
 *  After a loss the ranks that are left also write off what the lost one held: objects that only it held are destroyed before
 *  the fence is over. That needs a moment in which nothing goes on anywhere; if other threads that go on calling leave none
 *  within a quarter of a second, the next fence tries again.
 *  @param timeout  seconds; RREF_FOREVER and RREF_DEFAULT_TIMEOUT: RREF_STALL_LIMIT alone counts. Signs of life are messages and
 *                  methods that compute; a rank that computes outside of the library gives none, so where some may come
 *                  five minutes after the others that limit should be longer (this holds for rref_finalize, too).
 *  Errors: ONEWAY (one-way calls of this rank, or calls whose futures were released unread, have failed since the last fence:
 *  says which first; the fence is over all the same); PEER_LOST (ranks were lost since the last fence, names one; the fence is
 *  over among the others all the same); TIMEOUT, STALLED (says what it waited for, also on stderr; the fence is still under
 *  way: calling again, or rref_finalize, goes on with it; a collective of a group ends it first); STATE (from a handler or
 *  callback; another thread of this rank is in a fence); THREAD (see rref_init).
 *  Thread: one at a time.  Blocks: until all ranks have entered and nothing is left.  Progress: as rref_finalize.
 *  Owns: nothing.  Since: 0.1 */
int rref_fence(rref_context *context, double timeout);

/** This process's rank in the context, or -1 for NULL.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
int rref_rank(const rref_context *context);

/** Number of ranks in the context, or -1 for NULL.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
int rref_size(const rref_context *context);

/** Rank of a worker name.
 *  Errors: DESTINATION for an unknown name (the result is then negative).
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
int rref_rank_of(rref_context *context, const char *name);

/** Worker name of a rank, or NULL for a rank that is not there.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: the context keeps the string.  Since: 0.1 */
const char *rref_name_of(rref_context *context, int rank);

/** Move messages and run what is due. Needed only where the library has no thread of its own.
 *  Errors: THREAD (a thread that may not call MPI); BLOCKING from an inline method or callback, and from any handler where the
 *  context has library threads.
 *  Thread: one that may call MPI.  Blocks: no.  Progress: runs handlers and callbacks when application-driven, else
 *  inline ones.  Owns: nothing.  Since: 0.1 */
int rref_progress(rref_context *context);

/** What this rank knows of another one. */
typedef enum rref_peer {
    RREF_PEER_UP = 0,
    RREF_PEER_SUSPECTED = 1,        /**< silent for RREF_PEER_TIMEOUT: calls to it wait, under their limits, until it speaks */
    RREF_PEER_LOST = 2              /**< for good: calls to it fail with RREF_ERR_PEER_LOST */
} rref_peer;

/** State of a rank: a rref_peer, or a negative status. The own rank is up. The process of a rank of the same node is looked for,
 *  by a system call; of others what the library has heard is told.
 *  Errors: DESTINATION.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
int rref_peer_state(rref_context *context, int rank);

/** Give a rank up: for one that is silent, and of which nobody can see whether it has ended. Final, and told to all ranks.
 *  Calls to it, pending and new ones, fail with RREF_ERR_PEER_LOST; fences and rref_finalize go on without it, and what it held
 *  is written off by the next of them. If it lives after all it is told so, and takes all others for lost.
 *  Errors: DESTINATION; ARGUMENT (the own rank); STATE where an MPI window is open, which a loss would make MPI_Finalize wait
 *  for: RREF_WINDOW=off, or a job that may outlive a rank, has none.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
int rref_declare_lost(rref_context *context, int rank);

/** Change the default timeout of calls made from now on.
 *  @param seconds  >= 0 (0 ends every call at once) or RREF_FOREVER.
 *  Errors: ARGUMENT.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
int rref_set_timeout(rref_context *context, double seconds);

/** Register a further class on this rank. Other ranks can call its objects without having it.
 *  Errors: CLASS_EXISTS (the same again, or another class of that name); SIGNATURE (what does not parse, and where).
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: the tables stay the caller's and must outlive the context.
 *  Since: 0.1 */
int rref_register(rref_context *context, const rref_class *klass);

/* ---- references ---------------------------------------------------------------------------------------------- */

/** The root object of a rank: the target of free functions. Uncounted; needs no release.
 *  Errors: found in the reference: DESTINATION for a rank that is not there.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: the context.  Since: 0.1 */
rref rref_root(rref_context *context, int rank);

/** The root object of a rank, by worker name.
 *  Errors: found in the reference: DESTINATION for an unknown name.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: the context.  Since: 0.1 */
rref rref_root_named(rref_context *context, const char *name);

/** The function under rref_create: values[0] is the class name, the others the constructor's arguments.
 *  Returns at once with a reference that may be used and shared before the object exists.
 *  Errors: found in the reference, and in every call through it: DESTINATION, NO_CLASS, CLASS_MISMATCH, SIGNATURE, the
 *  constructor's own. A zero reference only for a NULL context or no memory for the handle.
 *  Thread: any.  Blocks: for credit when the owner is flooded (application threads only).  Progress: inline methods.
 *  Owns: release the reference with rref_release.  Since: 0.1 */
rref rref_create_v(rref_context *context, int rank, const rref_value *values, size_t count, const char *site);

/** Make a local object, that exists already, callable by others.
 *  @param class_name  a class registered on this rank.
 *  @param self        the object; the class's destructor gets it when the last reference is gone.
 *  Errors: found in the reference: NO_CLASS.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: release the reference with rref_release.  Since: 0.1 */
rref rref_wrap(rref_context *context, const char *class_name, void *self);

/** One more owner of this handle on this rank.
 *  Errors: HANDLE.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: one more rref_release is due.  Since: 0.1 */
int rref_retain(rref reference);

/** Give a reference back. After the last one anywhere the object's destructor runs on its owner. A release never
 *  overtakes a call made before it. Objects that hold references to each other, in a circle, keep each other alive until
 *  the end of the context, whose report names what each of them holds.
 *  Errors: HANDLE (released already, or never valid).
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: the handle is gone after the last release.  Since: 0.1 */
int rref_release(rref reference);

/** Rank that owns the object, or a negative status.
 *  Errors: HANDLE.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
int rref_owner(rref reference);

/** Whether this rank owns the object; false for a bad handle.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
bool rref_is_owner(rref reference);

/** The object itself, on its owner. Says nothing about methods running on it.
 *  Errors: HANDLE; NOT_OWNER (names reference, this rank and the owner); PENDING before the object exists; STATE
 *  for a result that stays (rref_remote); the construction's own error.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: the object stays the library's.  Since: 0.1 */
int rref_local_value(rref reference, void **self);

/** Whether the owner has confirmed that the object exists: RREF_OK, RREF_ERR_PENDING, or the construction's own error.
 *  Asks nobody: a rank that did not create the object knows it if its owner does, if the reference came with word of it, or
 *  since rref_creation brought it.
 *  Errors: HANDLE; PENDING; as above.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
int rref_confirmed(rref reference);

/** A future without values, complete when the object exists, or failed with the construction's own error. A rank that did
 *  not create the object asks the owner, where the question waits without a thread.
 *  Errors: found in the future. A zero future for a bad reference or without memory.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: release the future.  Since: 0.1 */
rref_future rref_creation(rref reference);

/** Occupy a local object for the calling thread, as a method does: waits in turn among the calls for it; meanwhile others
 *  wait, concurrent methods excepted. Leave it before the context ends, and before waiting for calls to it.
 *  @param timeout  seconds to wait for the turn; RREF_DEFAULT_TIMEOUT and RREF_FOREVER: no limit.
 *  @param self     receives the object.
 *  Errors: HANDLE; NOT_OWNER; TIMEOUT; PENDING (its creation has not arrived here); STATE (entered by this thread already; a
 *  root object; a result that stays); in a method or callback, where it would have to wait, BLOCKING (it is inline) and TOO_DEEP;
 *  the construction's own.
 *  Thread: any.  Blocks: until its turn or the timeout.  Progress: as rref_wait.  Owns: rref_leave is due, by the same
 *  thread and through a handle of the object: this one does, even if it was released meanwhile, and the object stays until then.
 *  Since: 0.1 */
int rref_enter(rref reference, double timeout, void **self);

/** Leave an object that this thread has entered; calls that waited go on.
 *  Errors: HANDLE; NOT_OWNER; STATE (not entered by this thread).
 *  Thread: the one that entered.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
int rref_leave(rref reference);

/** Whether two references mean the same object (not: are the same handle).
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
bool rref_same_object(rref a, rref b);

/** Hash of the object meant; equal on every rank for the same object. 0 for a bad handle.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
uint64_t rref_hash(rref reference);

/** Printed form, "field@1 (0.7)": class, owner, creator and number. Like snprintf, gives the length needed.
 *  Errors: HANDLE.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: the buffer is the caller's.  Since: 0.1 */
int rref_format(rref reference, char *buffer, size_t size);

/** The error a reference carries (of its construction, or of its destination).
 *  Errors: HANDLE; STATE if it carries none.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: *error is the caller's.  Since: 0.1 */
int rref_error_of(rref reference, rref_error *error);

/** Name of the object's class. A class that this rank does not have is read from its owner, once for all references to
 *  its objects. An object that this rank is creating is waited for.
 *  @param name     receives a string that stays until the context ends.
 *  @param timeout  seconds: >= 0, RREF_FOREVER or RREF_DEFAULT_TIMEOUT.
 *  Errors: HANDLE; TIMEOUT; NO_CLASS; PROTOCOL (the owner's description cannot be read); the construction's own; BLOCKING
 *  from an inline method or callback. A failure is forgotten: the next question asks again.
 *  Thread: any.  Blocks: until the class is known.  Progress: inline methods.  Owns: the context keeps the string.
 *  Since: 0.1 */
int rref_class_of(rref reference, const char **name, double timeout);

/** Name of the object's class as a future of one str.
 *  Errors: found in the future, as rref_class_of. A zero future for a bad handle.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: release the future.  Since: 0.1 */
rref_future rref_class_of_async(rref reference, double timeout);

/** What can be done with an object, for programs that do not know: a line for its class with the constructor's signature,
 *  "counter: i64", and an indented one for each method, "  add: i64 -> i64", with its flags as "[inline]".
 *  @param text  receives a string.
 *  Errors: as rref_class_of; NO_MEMORY.
 *  Thread: any.  Blocks: until the class is known.  Progress: inline methods.  Owns: free(text) is the caller's.
 *  Since: 0.1 */
int rref_describe(rref reference, char **text, double timeout);

/** Find a method once. An unknown one gives a bound method whose calls fail with NO_METHOD, naming class and method. While the
 *  object's class is not known here the name is kept and looked up by each call.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: borrows the reference.  Since: 0.1 */
rref_method_ref rref_bind(rref reference, const char *method);

/* ---- names ----------------------------------------------------------------------------------------------------- */

/** Publish an object under a name that every rank can look up. The name keeps the object alive until it is withdrawn or
 *  the context ends; a member of a group, until the group is freed, which withdraws it.
 *  @param name  1 to 255 bytes; copied.
 *  Errors: HANDLE; NAME_TAKEN (says by which object); the reference's own; TIMEOUT.
 *  Thread: any.  Blocks: until the rank that keeps the name has answered.  Progress: as rref_sync_v.  Owns: the handle
 *  stays the caller's.  Since: 0.1 */
int rref_publish(rref reference, const char *name);

/** Find the object that is published under a name.
 *  @param timeout    seconds to wait for somebody to publish it, RREF_FOREVER or RREF_DEFAULT_TIMEOUT; 0: do not wait.
 *  @param reference  receives a further handle.
 *  Errors: NO_NAME (it was not to wait, and there is none); TIMEOUT (nobody published it in time); FINALIZED (the
 *  context ended first: who waits for a name does not hold up the end).
 *  Thread: any.  Blocks: until it is found or the timeout.  Progress: as rref_sync_v.  Owns: release the reference with
 *  rref_release.  Since: 0.1 */
int rref_lookup(rref_context *context, const char *name, double timeout, rref *reference);

/** rref_lookup as a future of one reference; read it with rref_get and rref_out.
 *  Errors: found in the future, as rref_lookup, a bad timeout too. A zero future for a name that is none.
 *  Thread: any.  Blocks: as rref_async_v.  Progress: inline methods.  Owns: release the future with
 *  rref_future_release, and each reference read from it.  Since: 0.1 */
rref_future rref_lookup_async(rref_context *context, const char *name, double timeout);

/** Take a name back; any rank may. References found through it stay good.
 *  Errors: NO_NAME; TIMEOUT.
 *  Thread: any.  Blocks: until the rank that keeps the name has answered.  Progress: as rref_sync_v.  Owns: the name's
 *  hold on the object is gone.  Since: 0.1 */
int rref_withdraw(rref_context *context, const char *name);

/* ---- calls: use the macros rref_create, rref_sync, rref_async, rref_post further down --------------------------- */

/** The function under rref_sync: values[0] is the method's name, then arguments and outputs in the signature's order.
 *  Arrays are used in place.
 *  @param values  count values; outputs are either all of the method's results, in order, or none.
 *  @param site    "file:line" for messages, or NULL; a string that stays.
 *  Errors: HANDLE, NO_METHOD, SIGNATURE, RANGE (also for more references than a message has room for, 48 bytes each) before
 *  anything is sent, as are, in a method or callback that would have to wait (not for a free object of the own rank), BLOCKING
 *  (it is inline) and TOO_DEEP (no further one may wait); TRUNCATED; TIMEOUT; the handler's own; the construction's.
 *  Thread: any.  Blocks: until the call is answered or its deadline has passed.  Progress: inline methods; a free
 *  object of the own rank is served by the caller.  Owns: outputs are the caller's; a reference among them needs a
 *  release.  Since: 0.1 */
int rref_sync_v(rref target, const rref_value *values, size_t count, const char *site);

/** rref_sync_v through a bound method: no name among the values.
 *  Errors, Thread, Blocks, Progress, Owns: as rref_sync_v.  Since: 0.1 */
int rref_sync_m(rref_method_ref method, const rref_value *values, size_t count, const char *site);

/** The function under rref_async. Arrays are copied unless borrowed (rref_borrow). Outputs given are written before the
 *  future is complete; without them read the results with rref_get.
 *  Errors: found in the future. A zero future only where the context is gone or has no memory for a future.
 *  Thread: any.  Blocks: for credit when the owner is flooded (application threads only).  Progress: inline methods.
 *  Owns: release the future with rref_future_release.  Since: 0.1 */
rref_future rref_async_v(rref target, const rref_value *values, size_t count, const char *site);

/** rref_async_v through a bound method.
 *  Errors, Thread, Blocks, Progress, Owns: as rref_async_v.  Since: 0.1 */
rref_future rref_async_m(rref_method_ref method, const rref_value *values, size_t count, const char *site);

/** A proxy: a reference with a way to call it and a time limit for each call. A value; borrows its reference. rref_invoke
 *  calls through it. The plain forms are proxies with the context's default timeout. */
typedef struct rref_sync_proxy { rref target; double timeout; } rref_sync_proxy;
/** The same for calls that give a future. */
typedef struct rref_async_proxy { rref target; double timeout; } rref_async_proxy;

/** A proxy whose calls wait for their answer.
 *  @param timeout  seconds for the whole call, nested calls included: >= 0, RREF_FOREVER or RREF_DEFAULT_TIMEOUT. A call whose
 *                  large result has begun to come into its outputs is over when MPI has let go of them.
 *  Errors: none here; a bad timeout or reference fails the calls.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing; needs no release.  Since: 0.1 */
rref_sync_proxy rref_rpc_sync(rref target, double timeout);

/** A proxy whose calls give a future.
 *  Errors, Thread, Blocks, Progress, Owns: as rref_rpc_sync.  Since: 0.1 */
rref_async_proxy rref_rpc_async(rref target, double timeout);

/** The same for calls whose result stays at the owner. */
typedef struct rref_remote_proxy { rref target; double timeout; } rref_remote_proxy;

/** A proxy whose calls give a reference to their result (rref_remote).
 *  @param timeout  of the method: its owner does not start it after that, and gives up a deferred answer.
 *  Errors, Thread, Blocks, Progress, Owns: as rref_rpc_sync.  Since: 0.1 */
rref_remote_proxy rref_rpc_remote(rref target, double timeout);

/** The function under rref_invoke of a sync proxy.
 *  Errors: as rref_sync_v; ARGUMENT for a bad timeout.
 *  Thread, Blocks, Progress, Owns: as rref_sync_v.  Since: 0.1 */
int rref_invoke_sync_v(rref_sync_proxy proxy, const rref_value *values, size_t count, const char *site);

/** The function under rref_invoke of an async proxy.
 *  Errors: as rref_async_v; ARGUMENT, in the future, for a bad timeout.
 *  Thread, Blocks, Progress, Owns: as rref_async_v.  Since: 0.1 */
rref_future rref_invoke_async_v(rref_async_proxy proxy, const rref_value *values, size_t count, const char *site);

/** The function under rref_remote: the method's result stays where it ran. Returns at once with a reference to the result,
 *  that may be fetched (rref_to_here), shared and released before there is one. The values go with the last reference.
 *  A result that is one reference to an object can be called like the object, by whoever has it, before there is one too: the
 *  calls wait for it, without a thread and in order. A remote-mode call through such a result waits in its caller until the
 *  result has been there once. Borrowed arrays and outputs are refused.
 *  Errors: found in the reference, and at once by whoever fetches it, on any rank: what is found before sending, as
 *  rref_sync_v; TIMEOUT (the method did not start, or its deferred answer did not come, in time); the handler's own. A zero
 *  reference for a bad target, or without memory for the handle.
 *  Thread: any.  Blocks: for credit when the owner is flooded (application threads only).  Progress: inline methods.
 *  Owns: release the reference with rref_release.  Since: 0.1 */
rref rref_remote_v(rref target, const rref_value *values, size_t count, const char *site);

/** rref_remote_v through a bound method.
 *  Errors, Thread, Blocks, Progress, Owns: as rref_remote_v.  Since: 0.1 */
rref rref_remote_m(rref_method_ref method, const rref_value *values, size_t count, const char *site);

/** The function under rref_invoke of a remote proxy.
 *  Errors: as rref_remote_v; ARGUMENT, in the reference, for a bad timeout.
 *  Thread, Blocks, Progress, Owns: as rref_remote_v.  Since: 0.1 */
rref rref_invoke_remote_v(rref_remote_proxy proxy, const rref_value *values, size_t count, const char *site);

/** The function under rref_to_here: fetch what a reference stands for.
 *  - Of a result that stayed (rref_remote): its values, into outputs. A result that is one reference to another such
 *    result is followed to the end of the chain; other references are values.
 *  - Of an object of a class with hooks: a copy, made here by unpack of what pack gave there; the output is a reference to
 *    it, owned by this rank.
 *  - Of an object that this rank owns: the object itself, when it exists; the output is one more reference to it.
 *  It waits for an object that does not exist yet. Pack and unpack run like methods, one at a time per object.
 *  Errors: HANDLE; NO_METHOD (a class without hooks, named); NO_CLASS (not registered on this rank); SIGNATURE; TRUNCATED;
 *  TIMEOUT; TOO_DEEP (results that refer to each other); the hooks' own; the construction's or remote call's own.
 *  Thread: any.  Blocks: until it is here, or the context's default timeout has passed.  Progress: as rref_sync_v.
 *  Owns: outputs are the caller's; a reference among them needs a release.  Since: 0.1 */
int rref_to_here_v(rref from, const rref_value *outputs, size_t count, const char *site);

/** rref_to_here_v with the time limit of a proxy.
 *  Errors, Thread, Blocks, Progress, Owns: as rref_to_here_v.  Since: 0.1 */
int rref_to_here_p(rref_sync_proxy from, const rref_value *outputs, size_t count, const char *site);

/** The function under rref_to_here_async: as rref_to_here_v, with a future, read with rref_get. Its types are known when
 *  it is complete.
 *  Errors: found in the future. A zero future for a bad reference or without memory.
 *  Thread: any.  Blocks: for credit when the owner is flooded (application threads only).  Progress: inline methods.
 *  Owns: release the future with rref_future_release.  Since: 0.1 */
rref_future rref_to_here_async_v(rref from, const char *site);

/** rref_to_here_async_v with the time limit of a proxy.
 *  Errors, Thread, Blocks, Progress, Owns: as rref_to_here_async_v.  Since: 0.1 */
rref_future rref_to_here_async_p(rref_async_proxy from, const char *site);

/** The function under rref_post: one-way; nothing comes back unless the call fails, which goes to the error handler and
 *  makes the next rref_fence or rref_finalize return RREF_ERR_ONEWAY.
 *  Errors: what is found before sending, as rref_sync_v; SIGNATURE also for outputs and borrowed arrays.
 *  Thread: any.  Blocks: for credit when the owner is flooded (application threads only).  Progress: inline methods.
 *  Owns: nothing.  Since: 0.1 */
int rref_post_v(rref target, const rref_value *values, size_t count, const char *site);

/** rref_post_v through a bound method.
 *  Errors, Thread, Blocks, Progress, Owns: as rref_post_v.  Since: 0.1 */
int rref_post_m(rref_method_ref method, const rref_value *values, size_t count, const char *site);

/** The function under rref_try_async: rref_async_v that does not wait for credit.
 *  Errors: found in the future: as rref_async_v; WOULD_BLOCK where rref_async_v would wait: nothing was sent, try again.
 *  Thread: any.  Blocks: no.  Progress: inline methods.  Owns: release the future with rref_future_release.  Since: 0.1 */
rref_future rref_try_async_v(rref target, const rref_value *values, size_t count, const char *site);

/** rref_try_async_v through a bound method.
 *  Errors, Thread, Blocks, Progress, Owns: as rref_try_async_v.  Since: 0.1 */
rref_future rref_try_async_m(rref_method_ref method, const rref_value *values, size_t count, const char *site);

/** The function under rref_try_post: rref_post_v that does not wait for credit.
 *  Errors: as rref_post_v; WOULD_BLOCK where rref_post_v would wait: nothing was sent, try again.
 *  Thread: any.  Blocks: no.  Progress: inline methods.  Owns: nothing.  Since: 0.1 */
int rref_try_post_v(rref target, const rref_value *values, size_t count, const char *site);

/** rref_try_post_v through a bound method.
 *  Errors, Thread, Blocks, Progress, Owns: as rref_try_post_v.  Since: 0.1 */
int rref_try_post_m(rref_method_ref method, const rref_value *values, size_t count, const char *site);

/* ---- groups: use the macros rref_group_create, _post, _async, _gather, _reduce further down --------------------------- */

/** The function under rref_group_create: make one object on each rank. Collective; each rank gives its own arguments, all
 *  the same class. values[0] is the class name, the others the constructor's arguments. Ends as a fence does.
 *  @param group  receives the group, the same one on all ranks.
 *  Errors: what rref_create finds or the constructor says, on any rank: all ranks get that of the lowest rank that failed,
 *  and it names the rank; CLASS_MISMATCH (ranks gave different classes); STATE, STALLED as rref_fence.
 *  Thread: one at a time.  Blocks: until all ranks are there.  Progress: as rref_fence.  Owns: free the group with
 *  rref_group_free.  Since: 0.1 */
int rref_group_create_v(rref_context *context, rref_group *group, const rref_value *values, size_t count, const char *site);

/** Free a group. Collective. Waits, as rref_fence does, for everything made before; then the members' destructors run.
 *  @param group  set to zero. References to its members are stale afterwards.
 *  Errors: HANDLE; STATE, STALLED as rref_fence.
 *  Thread: one at a time.  Blocks: until all ranks are there.  Progress: as rref_fence.  Owns: the group is gone.
 *  Since: 0.1 */
int rref_group_free(rref_group *group);

/** The reference to a member. Sends nothing. Uncounted; needs no release; good until the group is freed.
 *  Errors: a zero reference for a group that is none; found in the reference: DESTINATION.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: the group.  Since: 0.1 */
rref rref_group_member(rref_group group, int rank);

/** The function under rref_group_async: call a method of all members. Passed on along a tree of ranks. values[0] is the
 *  method's name, the others its arguments, without outputs. Calls of a group and calls of single members are not ordered.
 *  Errors: found in the future: the first error of any member; SIGNATURE also for outputs.
 *  Thread: any.  Blocks: as rref_async_v.  Progress: inline methods.  Owns: the future is complete, without values, when
 *  all calls are; release it.  Since: 0.1 */
rref_future rref_group_async_v(rref_group group, const rref_value *values, size_t count, const char *site);

/** The function under rref_group_post: the same, not waited for; a failure goes to the error handler and to the next fence.
 *  Errors: HANDLE, NO_METHOD, SIGNATURE, RANGE before anything is sent.
 *  Thread: any.  Blocks: as rref_async_v.  Progress: inline methods.  Owns: nothing.  Since: 0.1 */
int rref_group_post_v(rref_group group, const rref_value *values, size_t count, const char *site);

/** The function under rref_group_gather: call a method of all members and put their results together in order of rank. The
 *  method gives one number, or an array of as many numbers on each rank. The last value is the output, rref_out_array(x,
 *  ranks * n, &count): the member on rank r gives the n elements from x[r * n].
 *  Errors: as rref_sync_v, of the lowest rank that failed; SHAPE (a member gave fewer than n; names the rank); TRUNCATED
 *  (more). After an error the elements of x are undefined.
 *  Thread: any.  Blocks: until all members have answered.  Progress: as rref_wait.  Owns: outputs are the caller's.
 *  Since: 0.1 */
int rref_group_gather_v(rref_group group, const rref_value *values, size_t count, const char *site);

/** The function under rref_group_reduce: call a method of all members and combine their results, element by element and
 *  always in order of rank, so that the same results give the same bits. The last value is the output: rref_out(&x), or
 *  rref_out_array(x, n, NULL) where each member gives n numbers.
 *  @param op  MPI_SUM, MPI_MAX, ... or an operation of MPI_Op_create; applied on this rank with MPI_Reduce_local.
 *  Errors: as rref_group_gather_v; SIGNATURE (MPI has no such operation on the method's result); RANGE (an output of more
 *  elements than memory can have).
 *  Thread: one that may call MPI.  Blocks: until all members have answered.  Progress: as rref_wait.  Owns: outputs are
 *  the caller's.  Since: 0.1 */
int rref_group_reduce_v(rref_group group, MPI_Op op, const rref_value *values, size_t count, const char *site);

/* ---- futures ------------------------------------------------------------------------------------------------- */

/** Whether a future is complete, with a value or an error; false for a bad handle.
 *  Thread: any.  Blocks: no.  Progress: none; library threads take soon what they had left for a wait.  Owns: nothing.
 *  Since: 0.1 */
bool rref_done(rref_future future);

/** Outcome of a future without waiting: RREF_OK, RREF_ERR_PENDING, or its error.
 *  Errors: HANDLE; PENDING; the call's.
 *  Thread: any.  Blocks: no.  Progress: as rref_done.  Owns: nothing.  Since: 0.1 */
int rref_test(rref_future future);

/** Wait for a future and give its outcome. Waiting twice gives the same twice.
 *  @param timeout  of this wait; the call goes on when it passes.
 *  Errors: HANDLE; PENDING (this wait's time is over); the call's; FINALIZED; BLOCKING from an inline method or callback;
 *  TOO_DEEP from a method (no further one may wait).
 *  Thread: any.  Blocks: until complete or the timeout.  Progress: inline methods; handlers when application-driven.
 *  Owns: nothing.  Since: 0.1 */
int rref_wait(rref_future future, double timeout);

/** Wait for several futures; gives the first error in their order, when all are complete.
 *  @param timeout  of all together; RREF_DEFAULT_TIMEOUT is that of the first one's context.
 *  Errors, Thread, Blocks, Progress: as rref_wait.  Owns: nothing.  Since: 0.1 */
int rref_wait_all(const rref_future *futures, size_t count, double timeout);

/** Wait until the arrays a call has borrowed are the caller's again (complete, or all sent).
 *  Errors: HANDLE; PENDING; BLOCKING; TOO_DEEP.
 *  Thread: any.  Blocks: until sent or the timeout.  Progress: as rref_wait.  Owns: nothing.  Since: 0.1 */
int rref_wait_sent(rref_future future, double timeout);

/** The function under rref_get: read the results of a complete future into outputs; may be repeated. A reference read
 *  this way is a further handle each time.
 *  Errors: HANDLE; PENDING; SIGNATURE; TRUNCATED; SHAPE (rref_out_strided of another number of elements); STATE (the call was
 *  given outputs: the results are there); the call's.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: outputs are the caller's.  Since: 0.1 */
int rref_get_v(rref_future future, const rref_value *outputs, size_t count);

/** The error of a failed future.
 *  Errors: HANDLE; PENDING; STATE if it did not fail.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: *error is the caller's.  Since: 0.1 */
int rref_future_error(rref_future future, rref_error *error);

/** One more owner of a future.
 *  Errors: HANDLE.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: one more rref_future_release is due.  Since: 0.1 */
int rref_future_retain(rref_future future);

/** Give a future back. The call goes on, and writes its outputs when it is answered: memory of theirs has to stay until then (to
 *  know when, wait before the release). An error that nobody has read goes to the error handler, and makes the next
 *  fence or finalize ONEWAY. Waits for borrowed arrays to be sent.
 *  Errors: HANDLE; where arrays are still on their way and this thread may not wait BLOCKING (in an inline method or
 *  callback), THREAD (below MPI_THREAD_MULTIPLE) or TOO_DEEP (application-driven), with the handle and the arrays as they were.
 *  Thread: any.  Blocks: for borrowed arrays only.  Progress: none.  Owns: the handle is gone after the last release.
 *  Since: 0.1 */
int rref_future_release(rref_future future);

/** Stop waiting for a call: its future completes with RREF_ERR_CANCELLED; the method may still run, its answer is dropped.
 *  Outputs are the caller's again when the future is complete: what MPI has begun to write there comes first.
 *  Errors: HANDLE; COMPLETED.
 *  Thread: any.  Blocks: for such outputs only.  Progress: none.  Owns: the future still needs its release.  Since: 0.1 */
int rref_cancel(rref_future future);

/** Called when a future completes. */
typedef void (*rref_callback)(rref_future future, void *arg);
/** Called when a parent completes, failed or not; gives the child's values with rref_return_* and returns its outcome. Returning
 *  the code of an error that it was told by the library passes that error on. */
typedef int (*rref_continuation)(rref_call *call, rref_future parent, void *arg);
/** Called when a parent completes; the child becomes what the future returned becomes, and releases it. */
typedef rref_future (*rref_chain_function)(rref_future parent, void *arg);

/** Have a function called when a future completes. Callbacks of one future run in the order they were registered.
 *  @param flags  0: on a library thread, may block. RREF_INLINE: on whoever drives, must not block.
 *  Errors: HANDLE; NO_MEMORY.
 *  Thread: any.  Blocks: no.  Progress: an inline callback on a complete future runs at once.  Owns: the future given
 *  to the callback is borrowed: it is good until that returns, also when its holders have released it; who wants it for longer
 *  retains it.  Since: 0.1 */
int rref_on_complete(rref_future future, rref_callback callback, void *arg, unsigned flags);

/** A child future made from a parent's outcome.
 *  @param signature  types of the child's values, e.g. "f64" or "" for none.
 *  Errors: found in the child: SIGNATURE, the continuation's own. A zero future for a bad parent.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: release the child.  Since: 0.1 */
rref_future rref_then(rref_future parent, const char *signature, rref_continuation function, void *arg);

/** A child future that becomes another future, named by a function when the parent completes.
 *  Errors: found in the child. A zero future for a bad parent.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: release the child.  Since: 0.1 */
rref_future rref_chain(rref_future parent, rref_chain_function function, void *arg);

/** A future completed by hand.
 *  @param signature  types of its values, e.g. "f64, str".
 *  Errors: a zero future for a signature that does not parse (see rref_last_error).
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: release it.  Since: 0.1 */
rref_future rref_promise(rref_context *context, const char *signature);

/** The function under rref_set: complete a promise with values.
 *  Errors: HANDLE; COMPLETED (the first stays); NOT_PROMISE; SIGNATURE; RANGE.
 *  Thread: any.  Blocks: no.  Progress: inline callbacks.  Owns: values are copied.  Since: 0.1 */
int rref_set_v(rref_future promise, const rref_value *values, size_t count);

/** Complete a promise with an error.
 *  @param code  negative.
 *  Errors: HANDLE; COMPLETED; NOT_PROMISE.
 *  Thread: any.  Blocks: no.  Progress: inline callbacks.  Owns: the text is copied.  Since: 0.1 */
int rref_set_error(rref_future promise, int code, const char *format, ...) RREF_PRINTF_(3, 4);

/** Complete a promise with whatever another future completes with. The signatures must be equal.
 *  Errors: HANDLE; COMPLETED; NOT_PROMISE; SIGNATURE.
 *  Thread: any.  Blocks: no.  Progress: inline callbacks.  Owns: both handles stay the caller's.  Since: 0.1 */
int rref_link(rref_future from, rref_future promise);

/** A future without values, complete when all are; fails at once with the first error. Of none: complete.
 *  Errors: found in the future.  Thread: any.  Blocks: no.  Progress: none.  Owns: release it; the futures given stay
 *  the caller's.  Since: 0.1 */
rref_future rref_all(rref_context *context, const rref_future *futures, size_t count);

/** A future of one u64, the index of the first future to complete; fails if that one failed. Of none: an error.
 *  Errors: found in the future.  Thread: any.  Blocks: no.  Progress: none.  Owns: release it.  Since: 0.1 */
rref_future rref_any(rref_context *context, const rref_future *futures, size_t count);

/* ---- inside a handler ------------------------------------------------------------------------------------------ */

/*  Without a call (NULL) these give RREF_ERR_ARGUMENT, or 0 with that as the thread's last error. */

/** The context a call belongs to.
 *  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
rref_context *rref_call_context(const rref_call *call);

/** Rank that made the call.
 *  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
int rref_call_rank(const rref_call *call);

/** Seconds left until the call's deadline, RREF_FOREVER without one.
 *  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
double rref_time_left(const rref_call *call);

/** Set the error text of this call and give the code back, to be returned by the handler.
 *  @param code  negative.
 *  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: the text is copied.  Since: 0.1 */
int rref_fail(rref_call *call, int code, const char *format, ...) RREF_PRINTF_(3, 4);

/*  Readers of arguments, by position from 0. Reading one as another type than the signature's fails the call with
 *  RREF_ERR_SIGNATURE, whatever the handler returns; the reader then gives 0, or an empty array.
 *  Views are read-only, aligned to their element, and last until the handler returns.
 *  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: the message.  Since: 0.1 */
bool rref_arg_bool(rref_call *call, unsigned index);
int8_t rref_arg_i8(rref_call *call, unsigned index);
int16_t rref_arg_i16(rref_call *call, unsigned index);
int32_t rref_arg_i32(rref_call *call, unsigned index);
int64_t rref_arg_i64(rref_call *call, unsigned index);
uint8_t rref_arg_u8(rref_call *call, unsigned index);
uint16_t rref_arg_u16(rref_call *call, unsigned index);
uint32_t rref_arg_u32(rref_call *call, unsigned index);
uint64_t rref_arg_u64(rref_call *call, unsigned index);
float rref_arg_f32(rref_call *call, unsigned index);
double rref_arg_f64(rref_call *call, unsigned index);
const char *rref_arg_str(rref_call *call, unsigned index);
const void *rref_arg_bytes(rref_call *call, unsigned index, size_t *count);
const bool *rref_arg_bools(rref_call *call, unsigned index, size_t *count);
const int8_t *rref_arg_i8s(rref_call *call, unsigned index, size_t *count);
const int16_t *rref_arg_i16s(rref_call *call, unsigned index, size_t *count);
const int32_t *rref_arg_i32s(rref_call *call, unsigned index, size_t *count);
const int64_t *rref_arg_i64s(rref_call *call, unsigned index, size_t *count);
const uint8_t *rref_arg_u8s(rref_call *call, unsigned index, size_t *count);
const uint16_t *rref_arg_u16s(rref_call *call, unsigned index, size_t *count);
const uint32_t *rref_arg_u32s(rref_call *call, unsigned index, size_t *count);
const uint64_t *rref_arg_u64s(rref_call *call, unsigned index, size_t *count);
const float *rref_arg_f32s(rref_call *call, unsigned index, size_t *count);
const double *rref_arg_f64s(rref_call *call, unsigned index, size_t *count);

/** A complex argument: c64 and c128 both read as two doubles {re, im}; portable to C++.
 *  Errors: as the other readers.  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
int rref_arg_complex(rref_call *call, unsigned index, double parts[2]);

/** An array of complex: count pairs of float (c64) or double (c128), as element says.
 *  Errors: as the other readers.  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: the message.  Since: 0.1 */
const void *rref_arg_complexes(rref_call *call, unsigned index, rref_type element, size_t *count);

/** Structs: a view of *count structs of the name and size given. A signature without [] has one.
 *  Errors: as the other readers.  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: the message.  Since: 0.1 */
const void *rref_arg_structs(rref_call *call, unsigned index, const char *name, size_t size, size_t *count);

/** A reference, borrowed until the handler returns; keep it with rref_retain. An object that a message has several times, in
 *  whatever arguments, is one handle there; so it is among the results of an answer, to be released as often as it came.
 *  Errors: as the other readers.  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: the call.  Since: 0.1 */
rref rref_arg_ref(rref_call *call, unsigned index);

/** An array of references, borrowed until the handler returns.
 *  Errors: as the other readers.  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: the call.  Since: 0.1 */
const rref *rref_arg_refs(rref_call *call, unsigned index, size_t *count);

/** The function under rref_return: give results, in the signature's order; several calls add up. Copied; a reference
 *  returned stays the handler's too. Where the caller does not take its answers, those beyond RREF_QUEUE_LIMIT are dropped:
 *  the call fails with RREF_ERR_RESULT_DROPPED at its caller, though the method has run.
 *  Errors: SIGNATURE, RANGE (and then the call fails with it; RANGE also for more references than a message has room for);
 *  COMPLETED (the answer was deferred: rref_complete gives them).
 *  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: values are copied.  Since: 0.1 */
int rref_return_v(rref_call *call, const rref_value *values, size_t count);

/** Return a buffer and give it away: sent from where it is, then freed with `release`.
 *  @param count    elements of the result's type (bytes for "bytes").
 *  @param release  called once with buffer, on a library thread or one that waits or calls in the library, also when the call
 *                  fails.
 *  Errors: as rref_return_v.  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: the library.  Since: 0.1 */
int rref_return_owned(rref_call *call, void *buffer, size_t count, void (*release)(void *buffer));

/** Return an array without copying: an argument's view (its message is kept until the data has left), or memory of the
 *  object, which then stays occupied until the data has left (refused on concurrent methods). Where the caller does not take it
 *  within a millisecond it is copied after all, if there is memory, and the object is free.
 *  Errors: as rref_return_v; STATE on a concurrent method.
 *  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: the object.  Since: 0.1 */
int rref_return_borrowed(rref_call *call, const void *buffer, size_t count);

/* ---- answers that come later --------------------------------------------------------------------------------------- */

/** Let the answer come later: the handler then returns RREF_PENDING, its object is free for the next call, and its
 *  arguments are gone. Any thread completes the answer, once. A handler that fails after all fails the call. A call with
 *  a deadline is given up when that has passed; without one, finalize waits for the answer.
 *  Errors: a zero handle where nothing can be deferred: STATE (constructors, destructors, continuations), COMPLETED (a
 *  second time), NO_MEMORY.
 *  Thread: the handler's.  Blocks: no.  Progress: none.  Owns: the handle ends with its completion.  Since: 0.1 */
rref_deferred rref_defer(rref_call *call);

/** The function under rref_complete: answer with the method's results.
 *  Errors: COMPLETED (answered already, or given up); SIGNATURE, RANGE (and it can be answered again).
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: values are copied.  Since: 0.1 */
int rref_complete_v(rref_deferred deferred, const rref_value *values, size_t count);

/** Answer with an error: the call fails with it.
 *  @param code  negative.
 *  Errors: COMPLETED; ARGUMENT.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: the text is copied.  Since: 0.1 */
int rref_complete_error(rref_deferred deferred, int code, const char *format, ...) RREF_PRINTF_(3, 4);

/** Answer with what another future completes with, values or error; arrays of references cannot be passed on.
 *  Errors: COMPLETED; HANDLE; SIGNATURE (the future's values are not the method's results).
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: the future stays the caller's to release.  Since: 0.1 */
int rref_complete_with(rref_deferred deferred, rref_future future);

/* ---- errors and information ------------------------------------------------------------------------------------- */

/** The calling thread's last error. There is one for a thread: a later failure in another context replaces it.
 *  @param context  where it arose, or NULL; for the reader's sake.
 *  Errors: STATE if it has none.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: *error is the caller's.  Since: 0.1 */
int rref_last_error(const rref_context *context, rref_error *error);

/** Print the calling thread's last error on stderr: "prefix: rank 1 (node17) field.norm called from rank 0 at f.c:41: text".
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
void rref_perror(const rref_context *context, const char *prefix);

/** An error in the form rref_perror prints. Like snprintf, gives the length needed.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: the buffer is the caller's.  Since: 0.1 */
int rref_error_format(const rref_error *error, char *buffer, size_t size);

/** Name of a status, "RREF_ERR_TIMEOUT".
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: a constant string.  Since: 0.1 */
const char *rref_error_name(int status);

/** One line of English for a status.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: a constant string.  Since: 0.1 */
const char *rref_strerror(int status);

/** Version of the library, "0.1.0".
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: a constant string.  Since: 0.1 */
const char *rref_version(void);

/** Counters of a rank, since init unless said otherwise. */
typedef struct rref_statistics {
    uint64_t objects;               /**< objects owned now */
    uint64_t references;            /**< handles held now */
    uint64_t futures;               /**< futures held now, by the application or by calls in flight */
    uint64_t calls_out;             /**< calls sent to other ranks or queued to the own one */
    uint64_t calls_in;              /**< calls run */
    uint64_t calls_direct;          /**< sync calls to the own rank run in the calling thread */
    uint64_t messages_out;          /**< MPI messages of the lanes */
    uint64_t messages_in;
    uint64_t bulk_out;              /**< bytes of bulk data */
    uint64_t bulk_in;
    uint64_t wakeups;               /**< times a library thread was woken by a doorbell */
    uint64_t refused;               /**< messages or records that could not be decoded */
    uint64_t oneway_failures;       /**< one-way calls that failed, as caller */
    uint64_t threads;               /**< library threads alive now */
    uint64_t window_reads;          /**< reads of other ranks' classes in their windows */
    uint64_t type_queries;          /**< other ranks' classes asked for by message */
    uint64_t refills;               /**< references to objects of this rank that have asked for more weight */
    uint64_t weight_out;            /**< weight that references hold of this rank's objects now, wherever they are, and its
                                     * messages; 2^60 for a new object, and UINT64_MAX for more than fits */
    uint64_t calls_pending;         /**< calls of this rank, creations included, that are not answered now */
    uint64_t creations_pending;     /**< objects that this rank has asked for and that are not confirmed now, results that stay
                                     * where they are made included */
    uint64_t parked;                /**< requests kept now for objects that have not come here yet */
    uint64_t queued;                /**< bytes of memory of messages that wait to leave now, for credit or for MPI to take them */
    uint64_t results_dropped;       /**< calls run here whose results were dropped (RREF_ERR_RESULT_DROPPED) */
    uint64_t allocations;           /**< requests for memory by the library, of all contexts of the process, since its start */
} rref_statistics;

/** Read the counters of this rank. Those of weight and of what is pending are summed up when they are asked for, over all objects
 *  and futures of the rank.
 *  Errors: ARGUMENT.
 *  Thread: any.  Blocks: no.  Progress: none.  Owns: *statistics is the caller's.  Since: 0.1 */
int rref_stats(rref_context *context, rref_statistics *statistics);

/** The counters of any rank, answered there by the library, whatever the application does.
 *  Errors: DESTINATION; TIMEOUT.
 *  Thread: any.  Blocks: until that rank has answered.  Progress: as rref_sync_v.  Owns: *statistics is the caller's.
 *  Since: 0.1 */
int rref_stats_of(rref_context *context, int rank, rref_statistics *statistics);

/** What a rank has and waits for, as text for people: its objects by class, the references it holds with where and when they
 *  were made, its calls that are not answered (to whom, where and when they were made), requests parked, threads, counters.
 *  Answered there by the library, whatever the application does.
 *  @param text  receives a string.
 *  Errors: DESTINATION; TIMEOUT; NO_MEMORY.
 *  Thread: any.  Blocks: until that rank has answered.  Progress: as rref_sync_v.  Owns: free(*text) is the caller's.
 *  Since: 0.1 */
int rref_dump(rref_context *context, int rank, char **text);

/** Text that describes the library, and with a context (collective over it) MPI, nodes, ranks, options and where threads
 *  may run. What rref-info prints. Without a context the options are those of the environment; a value that rref_init would
 *  refuse is said in the text, and is the thread's last error.
 *  @param text  receives a string, on rank 0; elsewhere NULL.
 *  Errors: NO_MEMORY; MPI; PEER_LOST (after a loss it cannot be collective).
 *  Thread: as rref_init.  Blocks: until all ranks are there.  Progress: as rref_wait.  Owns: free(text) is the
 *  caller's.  Since: 0.1 */
int rref_info(rref_context *context, char **text);

/* ---- values for calls -------------------------------------------------------------------------------------------- */

static inline rref_value rref_value_make_(rref_kind kind, rref_type element, size_t size, size_t count, uint64_t bits,
                                          uint64_t extra)
{
    rref_value v;
    v.kind = (uint16_t)kind;
    v.element = (uint16_t)element;
    v.size = (uint32_t)size;
    v.count = count;
    v.bits = bits;
    v.extra = extra;
    return v;
}

static inline rref_value rref_of_bool(bool x)
{
    return rref_value_make_(RREF_VALUE_SCALAR, RREF_BOOL, 1, 1, x ? 1u : 0u, 0);
}
static inline rref_value rref_of_i64(int64_t x)
{
    return rref_value_make_(RREF_VALUE_SCALAR, RREF_I64, 8, 1, (uint64_t)x, 0);
}
static inline rref_value rref_of_u64(uint64_t x) { return rref_value_make_(RREF_VALUE_SCALAR, RREF_U64, 8, 1, x, 0); }
static inline rref_value rref_of_f64(double x)
{
    union { double d; uint64_t u; } pun;
    pun.d = x;
    return rref_value_make_(RREF_VALUE_SCALAR, RREF_F64, 8, 1, pun.u, 0);
}
static inline rref_value rref_of_f32(float x)
{
    union { float f; uint32_t u; } pun;
    pun.f = x;
    return rref_value_make_(RREF_VALUE_SCALAR, RREF_F32, 4, 1, pun.u, 0);
}
/** Complex numbers by their parts; also for C++. */
static inline rref_value rref_c128(double re, double im)
{
    rref_value r = rref_of_f64(re), i = rref_of_f64(im);
    return rref_value_make_(RREF_VALUE_SCALAR, RREF_C128, 16, 1, r.bits, i.bits);
}
static inline rref_value rref_c64(float re, float im)
{
    rref_value r = rref_of_f32(re), i = rref_of_f32(im);
    return rref_value_make_(RREF_VALUE_SCALAR, RREF_C64, 8, 1, r.bits, i.bits);
}
static inline rref_value rref_of_str(const char *x)
{
    return rref_value_make_(RREF_VALUE_SCALAR, RREF_STR, 1, 0, (uint64_t)(uintptr_t)x, 0);
}
static inline rref_value rref_of_ref(rref x) { return rref_value_make_(RREF_VALUE_SCALAR, RREF_REF, 8, 1, x.bits, 0); }
static inline rref_value rref_of_value(rref_value x) { return x; }
static inline rref_value rref_array_of_(rref_kind kind, rref_type element, size_t size, const void *p, size_t n)
{
    return rref_value_make_(kind, element, size, n, (uint64_t)(uintptr_t)p, 0);
}
/** n bytes at p, copied. */
static inline rref_value rref_bytes(const void *p, size_t n)
{
    return rref_array_of_(RREF_VALUE_ARRAY, RREF_BYTES, 1, p, n);
}
/** n bytes at p, borrowed. */
static inline rref_value rref_borrow_bytes(const void *p, size_t n)
{
    return rref_array_of_(RREF_VALUE_BORROW, RREF_BYTES, 1, p, n);
}
static inline rref_value rref_struct_of_(rref_kind kind, const char *name, size_t size, const void *p, size_t n)
{
    return rref_value_make_(kind, RREF_STRUCT, size, n, (uint64_t)(uintptr_t)p, (uint64_t)(uintptr_t)name);
}
/** n structs at p, of the name and size in bytes that the signature states ("struct particle[56][]"). */
#define rref_structs(name, p, n) rref_struct_of_(RREF_VALUE_ARRAY, (name), sizeof *(p), (p), (n))
#define rref_borrow_structs(name, p, n) rref_struct_of_(RREF_VALUE_BORROW, (name), sizeof *(p), (p), (n))
/** Room for one struct result. */
#define rref_out_struct(name, p) rref_struct_of_(RREF_VALUE_OUT, (name), sizeof *(p), (p), 1)
static inline rref_value rref_out_of_(rref_type element, size_t size, void *p)
{
    return rref_value_make_(RREF_VALUE_OUT, element, size, 1, (uint64_t)(uintptr_t)p, 0);
}
static inline rref_value rref_out_array_of_(rref_type element, size_t size, void *p, size_t capacity, size_t *count)
{
    return rref_value_make_(RREF_VALUE_OUT_ARRAY, element, size, capacity, (uint64_t)(uintptr_t)p,
                            (uint64_t)(uintptr_t)count);
}
/** Room for a string result of up to capacity - 1 characters and its 0. */
static inline rref_value rref_out_str(char *p, size_t capacity)
{
    return rref_out_array_of_(RREF_STR, 1, p, capacity, NULL);
}
/** Room for a bytes result; count may be NULL. */
static inline rref_value rref_out_bytes(void *p, size_t capacity, size_t *count)
{
    return rref_out_array_of_(RREF_BYTES, 1, p, capacity, count);
}
/** Room for up to capacity structs; the struct's name and size are checked by the method's signature (size only here). */
#define rref_out_structs(p, capacity, count) \
    rref_out_array_of_(RREF_STRUCT, sizeof *(p), (p), (capacity), (count))

/** The elements that an MPI datatype picks from a buffer, as an array argument: a column, a face, a halo, without packing it.
 *  The handler sees an array of the signature's element type, in the order in which MPI would send the elements. As
 *  rref_array, it is copied by calls that do not wait.
 *  @param buffer  where the first item is; as for MPI_Send, so MPI_BOTTOM for a datatype that has the addresses in itself.
 *  @param count   items of the datatype.
 *  @param type    a committed datatype that is made, however deeply, of one element type that signatures have. A borrowed
 *  or output one must stay until the call is complete.
 *  Errors: found by the call that it is given to: SIGNATURE when the datatype is null, mixes element types, or has one that
 *  is not the signature's; RANGE when one item of it has 2 GiB of elements or more, while there may be any number of items.
 *  Thread: one that may call MPI.  Blocks: no.  Progress: none.  Owns: nothing.  Since: 0.1 */
rref_value rref_strided(const void *buffer, size_t count, MPI_Datatype type);

/** rref_strided, used in place (as rref_borrow).
 *  Errors, Thread, Blocks, Progress, Owns: as rref_strided.  Since: 0.1 */
rref_value rref_borrow_strided(const void *buffer, size_t count, MPI_Datatype type);

/** Room for an array result, spread as an MPI datatype says. The result must have as many elements as the room, else the call
 *  fails with RREF_ERR_SHAPE.
 *  Errors, Thread, Blocks, Progress, Owns: as rref_strided.  Since: 0.1 */
rref_value rref_out_strided(void *buffer, size_t count, MPI_Datatype type);

#ifdef __cplusplus
}
#endif

#define RREF_STR1_(x) #x
#define RREF_STR2_(x) RREF_STR1_(x)
#define RREF_SITE_ __FILE__ ":" RREF_STR2_(__LINE__)

#ifndef __cplusplus
/*
 * rref_create(ctx, rank, "class", args...)    rref_sync(target, "method", args and outputs...)
 * rref_async(target, "method", ...)           rref_post(target, "method", ...)      rref_remote(target, "method", ...)
 * rref_try_async(target, "method", ...)       rref_try_post(target, "method", ...)
 *   target: a reference, or a bound method (then without the name). 0 to 12 arguments, each evaluated once: integers,
 *   bool, float, double, complex, strings, references, and the values made above and by
 * rref_array(p, n)      n elements, copied         rref_borrow(p, n)                n elements, used in place
 * rref_out(&x)          room for a scalar result   rref_out_array(p, room, &count)  room for an array result
 * rref_strided(p, n, datatype), rref_borrow_strided, rref_out_strided: the same for elements that do not lie together
 *
 * rref_to_here(from, outputs...)     rref_to_here_async(from)      from: a reference, or a sync (async) proxy
 */
#define RREF_VALUE_(x) _Generic((x), \
    _Bool: rref_of_bool, char: rref_of_i64, signed char: rref_of_i64, short: rref_of_i64, int: rref_of_i64, \
    long: rref_of_i64, long long: rref_of_i64, unsigned char: rref_of_u64, unsigned short: rref_of_u64, \
    unsigned: rref_of_u64, unsigned long: rref_of_u64, unsigned long long: rref_of_u64, \
    float: rref_of_f32, double: rref_of_f64, float _Complex: rref_of_c64_, double _Complex: rref_of_c128_, \
    char *: rref_of_str, const char *: rref_of_str, rref: rref_of_ref, rref_value: rref_of_value)(x)

static inline rref_value rref_of_c128_(double _Complex x)
{
    union { double _Complex c; double p[2]; } pun = { x };
    return rref_c128(pun.p[0], pun.p[1]);
}
static inline rref_value rref_of_c64_(float _Complex x)
{
    union { float _Complex c; float p[2]; } pun = { x };
    return rref_c64(pun.p[0], pun.p[1]);
}

#define RREF_INT_TYPE_(T) (sizeof(T) == 1 ? RREF_I8 : sizeof(T) == 2 ? RREF_I16 : sizeof(T) == 4 ? RREF_I32 : RREF_I64)
#define RREF_UINT_TYPE_(T) (sizeof(T) == 1 ? RREF_U8 : sizeof(T) == 2 ? RREF_U16 : sizeof(T) == 4 ? RREF_U32 : RREF_U64)
#define RREF_ELEMENT_(p) _Generic((p), \
    _Bool *: RREF_BOOL, const _Bool *: RREF_BOOL, \
    char *: RREF_BYTES, const char *: RREF_BYTES, \
    signed char *: RREF_I8, const signed char *: RREF_I8, short *: RREF_I16, const short *: RREF_I16, \
    int *: RREF_I32, const int *: RREF_I32, long *: RREF_INT_TYPE_(long), const long *: RREF_INT_TYPE_(long), \
    long long *: RREF_I64, const long long *: RREF_I64, \
    unsigned char *: RREF_U8, const unsigned char *: RREF_U8, unsigned short *: RREF_U16, \
    const unsigned short *: RREF_U16, unsigned *: RREF_U32, const unsigned *: RREF_U32, \
    unsigned long *: RREF_UINT_TYPE_(long), const unsigned long *: RREF_UINT_TYPE_(long), \
    unsigned long long *: RREF_U64, const unsigned long long *: RREF_U64, \
    float *: RREF_F32, const float *: RREF_F32, double *: RREF_F64, const double *: RREF_F64, \
    float _Complex *: RREF_C64, const float _Complex *: RREF_C64, \
    double _Complex *: RREF_C128, const double _Complex *: RREF_C128, \
    rref *: RREF_REF, const rref *: RREF_REF)

/* A compound literal splits at its commas; RREF_JOIN puts all but the last token list together again. */
#define RREF_ARRAY_OF_(kind, n, ...) \
    rref_array_of_((kind), RREF_ELEMENT_((__VA_ARGS__)), sizeof *(__VA_ARGS__), (__VA_ARGS__), (n))
#define RREF_CAT_(a, b) RREF_CAT2_(a, b)
#define RREF_CAT2_(a, b) a##b
#define RREF_COUNT_(...) RREF_COUNT2_(__VA_ARGS__, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, ~)
#define RREF_COUNT2_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, N, ...) N
#define RREF_ARRAY_(kind, ...) RREF_CAT_(RREF_ARRAY_, RREF_COUNT_(__VA_ARGS__))(kind, __VA_ARGS__)
#define RREF_ARRAY_2(kind, p1, n) RREF_ARRAY_OF_(kind, n, p1)
#define RREF_ARRAY_3(kind, p1, p2, n) RREF_ARRAY_OF_(kind, n, p1, p2)
#define RREF_ARRAY_4(kind, p1, p2, p3, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3)
#define RREF_ARRAY_5(kind, p1, p2, p3, p4, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4)
#define RREF_ARRAY_6(kind, p1, p2, p3, p4, p5, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4, p5)
#define RREF_ARRAY_7(kind, p1, p2, p3, p4, p5, p6, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4, p5, p6)
#define RREF_ARRAY_8(kind, p1, p2, p3, p4, p5, p6, p7, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4, p5, p6, p7)
#define RREF_ARRAY_9(kind, p1, p2, p3, p4, p5, p6, p7, p8, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4, p5, p6, p7, p8)
#define RREF_ARRAY_10(kind, p1, p2, p3, p4, p5, p6, p7, p8, p9, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4, p5, p6, p7, p8, p9)
#define RREF_ARRAY_11(kind, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10)
#define RREF_ARRAY_12(kind, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11)
#define RREF_ARRAY_13(kind, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12)
#define RREF_ARRAY_14(kind, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13)
#define RREF_ARRAY_15(kind, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14)
#define RREF_ARRAY_16(kind, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15)
#define RREF_ARRAY_17(kind, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, p16, n) RREF_ARRAY_OF_(kind, n, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, p16)
#define rref_array(...) RREF_ARRAY_(RREF_VALUE_ARRAY, __VA_ARGS__)
#define rref_borrow(...) RREF_ARRAY_(RREF_VALUE_BORROW, __VA_ARGS__)
#define rref_out(p) rref_out_of_(RREF_ELEMENT_(p), sizeof *(p), (p))
#define rref_out_array(p, capacity, count) \
    rref_out_array_of_(RREF_ELEMENT_(p), sizeof *(p), (p), (capacity), (count))

#define RREF_LIST_1(v1) (const rref_value[]){ RREF_VALUE_(v1) }, 1u
#define RREF_LIST_2(v1, v2) (const rref_value[]){ RREF_VALUE_(v1), RREF_VALUE_(v2) }, 2u
#define RREF_LIST_3(v1, v2, v3) (const rref_value[]){ RREF_VALUE_(v1), RREF_VALUE_(v2), RREF_VALUE_(v3) }, 3u
#define RREF_LIST_4(v1, v2, v3, v4) (const rref_value[]){ RREF_VALUE_(v1), RREF_VALUE_(v2), RREF_VALUE_(v3), RREF_VALUE_(v4) }, 4u
#define RREF_LIST_5(v1, v2, v3, v4, v5) (const rref_value[]){ RREF_VALUE_(v1), RREF_VALUE_(v2), RREF_VALUE_(v3), RREF_VALUE_(v4), RREF_VALUE_(v5) }, 5u
#define RREF_LIST_6(v1, v2, v3, v4, v5, v6) (const rref_value[]){ RREF_VALUE_(v1), RREF_VALUE_(v2), RREF_VALUE_(v3), RREF_VALUE_(v4), RREF_VALUE_(v5), RREF_VALUE_(v6) }, 6u
#define RREF_LIST_7(v1, v2, v3, v4, v5, v6, v7) (const rref_value[]){ RREF_VALUE_(v1), RREF_VALUE_(v2), RREF_VALUE_(v3), RREF_VALUE_(v4), RREF_VALUE_(v5), RREF_VALUE_(v6), RREF_VALUE_(v7) }, 7u
#define RREF_LIST_8(v1, v2, v3, v4, v5, v6, v7, v8) (const rref_value[]){ RREF_VALUE_(v1), RREF_VALUE_(v2), RREF_VALUE_(v3), RREF_VALUE_(v4), RREF_VALUE_(v5), RREF_VALUE_(v6), RREF_VALUE_(v7), RREF_VALUE_(v8) }, 8u
#define RREF_LIST_9(v1, v2, v3, v4, v5, v6, v7, v8, v9) (const rref_value[]){ RREF_VALUE_(v1), RREF_VALUE_(v2), RREF_VALUE_(v3), RREF_VALUE_(v4), RREF_VALUE_(v5), RREF_VALUE_(v6), RREF_VALUE_(v7), RREF_VALUE_(v8), RREF_VALUE_(v9) }, 9u
#define RREF_LIST_10(v1, v2, v3, v4, v5, v6, v7, v8, v9, v10) (const rref_value[]){ RREF_VALUE_(v1), RREF_VALUE_(v2), RREF_VALUE_(v3), RREF_VALUE_(v4), RREF_VALUE_(v5), RREF_VALUE_(v6), RREF_VALUE_(v7), RREF_VALUE_(v8), RREF_VALUE_(v9), RREF_VALUE_(v10) }, 10u
#define RREF_LIST_11(v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11) (const rref_value[]){ RREF_VALUE_(v1), RREF_VALUE_(v2), RREF_VALUE_(v3), RREF_VALUE_(v4), RREF_VALUE_(v5), RREF_VALUE_(v6), RREF_VALUE_(v7), RREF_VALUE_(v8), RREF_VALUE_(v9), RREF_VALUE_(v10), RREF_VALUE_(v11) }, 11u
#define RREF_LIST_12(v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12) (const rref_value[]){ RREF_VALUE_(v1), RREF_VALUE_(v2), RREF_VALUE_(v3), RREF_VALUE_(v4), RREF_VALUE_(v5), RREF_VALUE_(v6), RREF_VALUE_(v7), RREF_VALUE_(v8), RREF_VALUE_(v9), RREF_VALUE_(v10), RREF_VALUE_(v11), RREF_VALUE_(v12) }, 12u
#define RREF_LIST_13(v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13) (const rref_value[]){ RREF_VALUE_(v1), RREF_VALUE_(v2), RREF_VALUE_(v3), RREF_VALUE_(v4), RREF_VALUE_(v5), RREF_VALUE_(v6), RREF_VALUE_(v7), RREF_VALUE_(v8), RREF_VALUE_(v9), RREF_VALUE_(v10), RREF_VALUE_(v11), RREF_VALUE_(v12), RREF_VALUE_(v13) }, 13u
#define RREF_LIST_0() NULL, 0u
#define RREF_LIST_14(...) rref_calls_take_at_most_12_arguments, 0u
#define RREF_LIST_15(...) rref_calls_take_at_most_12_arguments, 0u
#define RREF_LIST_16(...) rref_calls_take_at_most_12_arguments, 0u
#define RREF_LIST_17(...) rref_calls_take_at_most_12_arguments, 0u
#define RREF_LIST_18(...) rref_calls_take_at_most_12_arguments, 0u
#define RREF_LIST_19(...) rref_calls_take_at_most_12_arguments, 0u
#define RREF_LIST_20(...) rref_calls_take_at_most_12_arguments, 0u
#define RREF_LIST_(...) RREF_CAT_(RREF_LIST_, RREF_COUNT_(__VA_ARGS__))(__VA_ARGS__)

#define RREF_CALL_1(fn, t) RREF_PICK_##fn(t)((t), RREF_LIST_0(), RREF_SITE_)
#define RREF_CALL_2(fn, t, v1) RREF_PICK_##fn(t)((t), RREF_LIST_1(v1), RREF_SITE_)
#define RREF_CALL_3(fn, t, v1, v2) RREF_PICK_##fn(t)((t), RREF_LIST_2(v1, v2), RREF_SITE_)
#define RREF_CALL_4(fn, t, v1, v2, v3) RREF_PICK_##fn(t)((t), RREF_LIST_3(v1, v2, v3), RREF_SITE_)
#define RREF_CALL_5(fn, t, v1, v2, v3, v4) RREF_PICK_##fn(t)((t), RREF_LIST_4(v1, v2, v3, v4), RREF_SITE_)
#define RREF_CALL_6(fn, t, v1, v2, v3, v4, v5) RREF_PICK_##fn(t)((t), RREF_LIST_5(v1, v2, v3, v4, v5), RREF_SITE_)
#define RREF_CALL_7(fn, t, v1, v2, v3, v4, v5, v6) RREF_PICK_##fn(t)((t), RREF_LIST_6(v1, v2, v3, v4, v5, v6), RREF_SITE_)
#define RREF_CALL_8(fn, t, v1, v2, v3, v4, v5, v6, v7) RREF_PICK_##fn(t)((t), RREF_LIST_7(v1, v2, v3, v4, v5, v6, v7), RREF_SITE_)
#define RREF_CALL_9(fn, t, v1, v2, v3, v4, v5, v6, v7, v8) RREF_PICK_##fn(t)((t), RREF_LIST_8(v1, v2, v3, v4, v5, v6, v7, v8), RREF_SITE_)
#define RREF_CALL_10(fn, t, v1, v2, v3, v4, v5, v6, v7, v8, v9) RREF_PICK_##fn(t)((t), RREF_LIST_9(v1, v2, v3, v4, v5, v6, v7, v8, v9), RREF_SITE_)
#define RREF_CALL_11(fn, t, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10) RREF_PICK_##fn(t)((t), RREF_LIST_10(v1, v2, v3, v4, v5, v6, v7, v8, v9, v10), RREF_SITE_)
#define RREF_CALL_12(fn, t, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11) RREF_PICK_##fn(t)((t), RREF_LIST_11(v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11), RREF_SITE_)
#define RREF_CALL_13(fn, t, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12) RREF_PICK_##fn(t)((t), RREF_LIST_12(v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12), RREF_SITE_)
#define RREF_CALL_14(fn, t, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13) RREF_PICK_##fn(t)((t), RREF_LIST_13(v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13), RREF_SITE_)
#define RREF_CALL_15(...) rref_calls_take_at_most_12_arguments
#define RREF_CALL_16(...) rref_calls_take_at_most_12_arguments
#define RREF_CALL_17(...) rref_calls_take_at_most_12_arguments
#define RREF_CALL_18(...) rref_calls_take_at_most_12_arguments
#define RREF_CALL_19(...) rref_calls_take_at_most_12_arguments
#define RREF_CALL_20(...) rref_calls_take_at_most_12_arguments
#define RREF_CALL_(fn, ...) RREF_CAT_(RREF_CALL_, RREF_COUNT_(__VA_ARGS__))(fn, __VA_ARGS__)
#define RREF_PICK_sync(t) _Generic((t), rref: rref_sync_v, rref_method_ref: rref_sync_m)
#define RREF_PICK_async(t) _Generic((t), rref: rref_async_v, rref_method_ref: rref_async_m)
#define RREF_PICK_post(t) _Generic((t), rref: rref_post_v, rref_method_ref: rref_post_m)
#define RREF_PICK_try_async(t) _Generic((t), rref: rref_try_async_v, rref_method_ref: rref_try_async_m)
#define RREF_PICK_try_post(t) _Generic((t), rref: rref_try_post_v, rref_method_ref: rref_try_post_m)
#define RREF_PICK_remote(t) _Generic((t), rref: rref_remote_v, rref_method_ref: rref_remote_m)
#define RREF_PICK_to_here(t) _Generic((t), rref: rref_to_here_v, rref_sync_proxy: rref_to_here_p)
#define RREF_PICK_invoke(t) _Generic((t), rref_sync_proxy: rref_invoke_sync_v, rref_async_proxy: rref_invoke_async_v, \
                                          rref_remote_proxy: rref_invoke_remote_v, rref_method_ref: rref_sync_m)
#define rref_sync(...) RREF_CALL_(sync, __VA_ARGS__)
#define rref_invoke(...) RREF_CALL_(invoke, __VA_ARGS__)
#define rref_async(...) RREF_CALL_(async, __VA_ARGS__)
#define rref_post(...) RREF_CALL_(post, __VA_ARGS__)
#define rref_try_async(...) RREF_CALL_(try_async, __VA_ARGS__)
#define rref_try_post(...) RREF_CALL_(try_post, __VA_ARGS__)
#define RREF_PICK_group_async(t) rref_group_async_v
#define RREF_PICK_group_post(t) rref_group_post_v
#define RREF_PICK_group_gather(t) rref_group_gather_v
/* rref_group_create(ctx, &group, "class", args...)     rref_group_post, rref_group_async(group, "method", args...)
 * rref_group_gather(group, "method", args..., output)  rref_group_reduce(group, op, "method", args..., output) */
#define rref_group_create(context, group, ...) rref_group_create_v((context), (group), RREF_LIST_(__VA_ARGS__), RREF_SITE_)
#define rref_group_async(...) RREF_CALL_(group_async, __VA_ARGS__)
#define rref_group_post(...) RREF_CALL_(group_post, __VA_ARGS__)
#define rref_group_gather(...) RREF_CALL_(group_gather, __VA_ARGS__)
#define rref_group_reduce(group, op, ...) rref_group_reduce_v((group), (op), RREF_LIST_(__VA_ARGS__), RREF_SITE_)
#define rref_remote(...) RREF_CALL_(remote, __VA_ARGS__)
#define rref_to_here(...) RREF_CALL_(to_here, __VA_ARGS__)
#define rref_to_here_async(t) \
    _Generic((t), rref: rref_to_here_async_v, rref_async_proxy: rref_to_here_async_p)((t), RREF_SITE_)
#define rref_create(context, rank, ...) rref_create_v((context), (rank), RREF_LIST_(__VA_ARGS__), RREF_SITE_)
/* rref_get(future, outputs...)  rref_set(promise, values...)  rref_complete(deferred, values...)  rref_return(call, values...) */
#define rref_get(...) RREF_CAT_(RREF_PLAIN_, RREF_COUNT_(__VA_ARGS__))(rref_get_v, __VA_ARGS__)
#define rref_set(...) RREF_CAT_(RREF_PLAIN_, RREF_COUNT_(__VA_ARGS__))(rref_set_v, __VA_ARGS__)
#define rref_complete(...) RREF_CAT_(RREF_PLAIN_, RREF_COUNT_(__VA_ARGS__))(rref_complete_v, __VA_ARGS__)
#define rref_return(...) RREF_CAT_(RREF_PLAIN_, RREF_COUNT_(__VA_ARGS__))(rref_return_v, __VA_ARGS__)
#define RREF_PLAIN_1(fn, t) fn((t), RREF_LIST_0())
#define RREF_PLAIN_2(fn, t, v1) fn((t), RREF_LIST_1(v1))
#define RREF_PLAIN_3(fn, t, v1, v2) fn((t), RREF_LIST_2(v1, v2))
#define RREF_PLAIN_4(fn, t, v1, v2, v3) fn((t), RREF_LIST_3(v1, v2, v3))
#define RREF_PLAIN_5(fn, t, v1, v2, v3, v4) fn((t), RREF_LIST_4(v1, v2, v3, v4))
#define RREF_PLAIN_6(fn, t, v1, v2, v3, v4, v5) fn((t), RREF_LIST_5(v1, v2, v3, v4, v5))
#define RREF_PLAIN_7(fn, t, v1, v2, v3, v4, v5, v6) fn((t), RREF_LIST_6(v1, v2, v3, v4, v5, v6))
#define RREF_PLAIN_8(fn, t, v1, v2, v3, v4, v5, v6, v7) fn((t), RREF_LIST_7(v1, v2, v3, v4, v5, v6, v7))
#define RREF_PLAIN_9(fn, t, v1, v2, v3, v4, v5, v6, v7, v8) fn((t), RREF_LIST_8(v1, v2, v3, v4, v5, v6, v7, v8))
#define RREF_PLAIN_10(fn, t, v1, v2, v3, v4, v5, v6, v7, v8, v9) fn((t), RREF_LIST_9(v1, v2, v3, v4, v5, v6, v7, v8, v9))
#define RREF_PLAIN_11(fn, t, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10) fn((t), RREF_LIST_10(v1, v2, v3, v4, v5, v6, v7, v8, v9, v10))
#define RREF_PLAIN_12(fn, t, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11) fn((t), RREF_LIST_11(v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11))
#define RREF_PLAIN_13(fn, t, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12) fn((t), RREF_LIST_12(v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12))
#define RREF_PLAIN_14(fn, t, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13) fn((t), RREF_LIST_13(v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13))

#else /* C++ */

namespace rref_cxx {

template <class T> struct element;
#define RREF_ELEMENT_OF_(T, code) template <> struct element<T> { static constexpr rref_type value = code; };
RREF_ELEMENT_OF_(bool, RREF_BOOL)
RREF_ELEMENT_OF_(char, RREF_BYTES)
RREF_ELEMENT_OF_(signed char, RREF_I8)
RREF_ELEMENT_OF_(short, RREF_I16)
RREF_ELEMENT_OF_(int, RREF_I32)
RREF_ELEMENT_OF_(long, sizeof(long) == 4 ? RREF_I32 : RREF_I64)
RREF_ELEMENT_OF_(long long, RREF_I64)
RREF_ELEMENT_OF_(unsigned char, RREF_U8)
RREF_ELEMENT_OF_(unsigned short, RREF_U16)
RREF_ELEMENT_OF_(unsigned, RREF_U32)
RREF_ELEMENT_OF_(unsigned long, sizeof(long) == 4 ? RREF_U32 : RREF_U64)
RREF_ELEMENT_OF_(unsigned long long, RREF_U64)
RREF_ELEMENT_OF_(float, RREF_F32)
RREF_ELEMENT_OF_(double, RREF_F64)
RREF_ELEMENT_OF_(std::complex<float>, RREF_C64)
RREF_ELEMENT_OF_(std::complex<double>, RREF_C128)
RREF_ELEMENT_OF_(::rref, RREF_REF)
#undef RREF_ELEMENT_OF_

inline rref_value value(bool x) { return rref_of_bool(x); }
inline rref_value value(char x) { return rref_of_i64(x); }
inline rref_value value(signed char x) { return rref_of_i64(x); }
inline rref_value value(short x) { return rref_of_i64(x); }
inline rref_value value(int x) { return rref_of_i64(x); }
inline rref_value value(long x) { return rref_of_i64(x); }
inline rref_value value(long long x) { return rref_of_i64(x); }
inline rref_value value(unsigned char x) { return rref_of_u64(x); }
inline rref_value value(unsigned short x) { return rref_of_u64(x); }
inline rref_value value(unsigned x) { return rref_of_u64(x); }
inline rref_value value(unsigned long x) { return rref_of_u64(x); }
inline rref_value value(unsigned long long x) { return rref_of_u64(x); }
inline rref_value value(float x) { return rref_of_f32(x); }
inline rref_value value(double x) { return rref_of_f64(x); }
inline rref_value value(const std::complex<float> &x) { return rref_c64(x.real(), x.imag()); }
inline rref_value value(const std::complex<double> &x) { return rref_c128(x.real(), x.imag()); }
inline rref_value value(const char *x) { return rref_of_str(x); }
/* A std::string, and what is like one. */
template <class T> inline auto value(const T &x) -> decltype(value(static_cast<const char *>(x.c_str())))
{
    return value(static_cast<const char *>(x.c_str()));
}
/* Pointers would go as true: say what they point to, with rref_array, rref_bytes or rref_out. */
template <class T> typename std::enable_if<!std::is_convertible<T *, const char *>::value, rref_value>::type value(T *) = delete;
template <class C, class T> rref_value value(T C::*) = delete;
inline rref_value value(::rref x) { return rref_of_ref(x); }
inline rref_value value(rref_value x) { return x; }

template <class T> inline rref_value array(const T *p, size_t n)
{
    return rref_array_of_(RREF_VALUE_ARRAY, element<T>::value, sizeof(T), p, n);
}
template <class T> inline rref_value borrow(const T *p, size_t n)
{
    return rref_array_of_(RREF_VALUE_BORROW, element<T>::value, sizeof(T), p, n);
}
template <class T> inline rref_value out(T *p) { return rref_out_of_(element<T>::value, sizeof(T), p); }
template <class T> inline rref_value out_array(T *p, size_t capacity, size_t *count)
{
    return rref_out_array_of_(element<T>::value, sizeof(T), p, capacity, count);
}

inline int sync_(rref t, const rref_value *v, size_t n, const char *site) { return rref_sync_v(t, v, n, site); }
inline int sync_(rref_method_ref t, const rref_value *v, size_t n, const char *site) { return rref_sync_m(t, v, n, site); }
inline rref_future async_(rref t, const rref_value *v, size_t n, const char *site) { return rref_async_v(t, v, n, site); }
inline rref_future async_(rref_method_ref t, const rref_value *v, size_t n, const char *site)
{
    return rref_async_m(t, v, n, site);
}
inline int post_(rref t, const rref_value *v, size_t n, const char *site) { return rref_post_v(t, v, n, site); }
inline int post_(rref_method_ref t, const rref_value *v, size_t n, const char *site) { return rref_post_m(t, v, n, site); }
inline rref_future try_async_(rref t, const rref_value *v, size_t n, const char *site)
{
    return rref_try_async_v(t, v, n, site);
}
inline rref_future try_async_(rref_method_ref t, const rref_value *v, size_t n, const char *site)
{
    return rref_try_async_m(t, v, n, site);
}
inline int try_post_(rref t, const rref_value *v, size_t n, const char *site) { return rref_try_post_v(t, v, n, site); }
inline int try_post_(rref_method_ref t, const rref_value *v, size_t n, const char *site)
{
    return rref_try_post_m(t, v, n, site);
}
inline ::rref remote_(::rref t, const rref_value *v, size_t n, const char *site) { return rref_remote_v(t, v, n, site); }
inline ::rref remote_(rref_method_ref t, const rref_value *v, size_t n, const char *site)
{
    return rref_remote_m(t, v, n, site);
}
inline int to_here_(::rref t, const rref_value *v, size_t n, const char *site) { return rref_to_here_v(t, v, n, site); }
inline int to_here_(rref_sync_proxy t, const rref_value *v, size_t n, const char *site)
{
    return rref_to_here_p(t, v, n, site);
}
inline rref_future to_here_async(const char *site, ::rref from) { return rref_to_here_async_v(from, site); }
inline rref_future to_here_async(const char *site, rref_async_proxy from) { return rref_to_here_async_p(from, site); }

/* The trailing value keeps the array from being empty; it is not counted. */
#define RREF_LIST_(args) \
    static_assert(sizeof...(args) <= 13, "calls take at most 12 arguments"); \
    const rref_value list[] = { value(args)..., rref_value() }
template <class T, class... A> inline int sync(const char *site, T target, A... args)
{
    RREF_LIST_(args);
    return sync_(target, list, sizeof...(args), site);
}
inline int invoke_(rref_sync_proxy t, const rref_value *v, size_t n, const char *site)
{
    return rref_invoke_sync_v(t, v, n, site);
}
inline int invoke_(rref_method_ref t, const rref_value *v, size_t n, const char *site) { return rref_sync_m(t, v, n, site); }
inline rref_future invoke_(rref_async_proxy t, const rref_value *v, size_t n, const char *site)
{
    return rref_invoke_async_v(t, v, n, site);
}
inline ::rref invoke_(rref_remote_proxy t, const rref_value *v, size_t n, const char *site)
{
    return rref_invoke_remote_v(t, v, n, site);
}
template <class T, class... A>
inline auto invoke(const char *site, T target, A... args) -> decltype(invoke_(target, nullptr, 0, site))
{
    RREF_LIST_(args);
    return invoke_(target, list, sizeof...(args), site);
}
template <class T, class... A> inline rref_future async(const char *site, T target, A... args)
{
    RREF_LIST_(args);
    return async_(target, list, sizeof...(args), site);
}
template <class T, class... A> inline int post(const char *site, T target, A... args)
{
    RREF_LIST_(args);
    return post_(target, list, sizeof...(args), site);
}
template <class T, class... A> inline rref_future try_async(const char *site, T target, A... args)
{
    RREF_LIST_(args);
    return try_async_(target, list, sizeof...(args), site);
}
template <class T, class... A> inline int try_post(const char *site, T target, A... args)
{
    RREF_LIST_(args);
    return try_post_(target, list, sizeof...(args), site);
}
template <class T, class... A> inline ::rref remote(const char *site, T target, A... args)
{
    RREF_LIST_(args);
    return remote_(target, list, sizeof...(args), site);
}
template <class T, class... A> inline int to_here(const char *site, T from, A... args)
{
    RREF_LIST_(args);
    return to_here_(from, list, sizeof...(args), site);
}
template <class... A> inline rref create(const char *site, rref_context *context, int rank, A... args)
{
    RREF_LIST_(args);
    return rref_create_v(context, rank, list, sizeof...(args), site);
}
template <class... A> inline int group_create(const char *site, rref_context *context, rref_group *group, A... args)
{
    RREF_LIST_(args);
    return rref_group_create_v(context, group, list, sizeof...(args), site);
}
template <class... A> inline rref_future group_async(const char *site, rref_group group, A... args)
{
    RREF_LIST_(args);
    return rref_group_async_v(group, list, sizeof...(args), site);
}
template <class... A> inline int group_post(const char *site, rref_group group, A... args)
{
    RREF_LIST_(args);
    return rref_group_post_v(group, list, sizeof...(args), site);
}
template <class... A> inline int group_gather(const char *site, rref_group group, A... args)
{
    RREF_LIST_(args);
    return rref_group_gather_v(group, list, sizeof...(args), site);
}
template <class... A> inline int group_reduce(const char *site, rref_group group, MPI_Op op, A... args)
{
    RREF_LIST_(args);
    return rref_group_reduce_v(group, op, list, sizeof...(args), site);
}
template <class... A> inline int get(rref_future future, A... args)
{
    RREF_LIST_(args);
    return rref_get_v(future, list, sizeof...(args));
}
template <class... A> inline int set(rref_future promise, A... args)
{
    RREF_LIST_(args);
    return rref_set_v(promise, list, sizeof...(args));
}
template <class... A> inline int complete(rref_deferred deferred, A... args)
{
    RREF_LIST_(args);
    return rref_complete_v(deferred, list, sizeof...(args));
}
template <class... A> inline int give(rref_call *call, A... args)
{
    RREF_LIST_(args);
    return rref_return_v(call, list, sizeof...(args));
}
#undef RREF_LIST_

} // namespace rref_cxx

#define rref_array(...) rref_cxx::array(__VA_ARGS__)
#define rref_borrow(...) rref_cxx::borrow(__VA_ARGS__)
#define rref_out(p) rref_cxx::out(p)
#define rref_out_array(p, capacity, count) rref_cxx::out_array((p), (capacity), (count))
#define rref_sync(...) rref_cxx::sync(RREF_SITE_, __VA_ARGS__)
#define rref_invoke(...) rref_cxx::invoke(RREF_SITE_, __VA_ARGS__)
#define rref_async(...) rref_cxx::async(RREF_SITE_, __VA_ARGS__)
#define rref_post(...) rref_cxx::post(RREF_SITE_, __VA_ARGS__)
#define rref_try_async(...) rref_cxx::try_async(RREF_SITE_, __VA_ARGS__)
#define rref_try_post(...) rref_cxx::try_post(RREF_SITE_, __VA_ARGS__)
#define rref_remote(...) rref_cxx::remote(RREF_SITE_, __VA_ARGS__)
#define rref_to_here(...) rref_cxx::to_here(RREF_SITE_, __VA_ARGS__)
#define rref_to_here_async(from) rref_cxx::to_here_async(RREF_SITE_, (from))
#define rref_create(...) rref_cxx::create(RREF_SITE_, __VA_ARGS__)
#define rref_group_create(...) rref_cxx::group_create(RREF_SITE_, __VA_ARGS__)
#define rref_group_async(...) rref_cxx::group_async(RREF_SITE_, __VA_ARGS__)
#define rref_group_post(...) rref_cxx::group_post(RREF_SITE_, __VA_ARGS__)
#define rref_group_gather(...) rref_cxx::group_gather(RREF_SITE_, __VA_ARGS__)
#define rref_group_reduce(...) rref_cxx::group_reduce(RREF_SITE_, __VA_ARGS__)
#define rref_get(...) rref_cxx::get(__VA_ARGS__)
#define rref_set(...) rref_cxx::set(__VA_ARGS__)
#define rref_complete(...) rref_cxx::complete(__VA_ARGS__)
#define rref_return(...) rref_cxx::give(__VA_ARGS__)

#endif /* C or C++ */

/*  Typed results for the common handlers: rref_return of one value.
 *  Errors, Thread, Blocks, Progress, Owns: as rref_return_v.  Since: 0.1 */
static inline int rref_return_one_(rref_call *call, rref_value value) { return rref_return_v(call, &value, 1); }
static inline int rref_return_bool(rref_call *call, bool x) { return rref_return_one_(call, rref_of_bool(x)); }
static inline int rref_return_i64(rref_call *call, int64_t x) { return rref_return_one_(call, rref_of_i64(x)); }
static inline int rref_return_u64(rref_call *call, uint64_t x) { return rref_return_one_(call, rref_of_u64(x)); }
static inline int rref_return_f32(rref_call *call, float x) { return rref_return_one_(call, rref_of_f32(x)); }
static inline int rref_return_f64(rref_call *call, double x) { return rref_return_one_(call, rref_of_f64(x)); }
static inline int rref_return_str(rref_call *call, const char *x) { return rref_return_one_(call, rref_of_str(x)); }
static inline int rref_return_ref(rref_call *call, rref x) { return rref_return_one_(call, rref_of_ref(x)); }

#endif /* RREF_H */
