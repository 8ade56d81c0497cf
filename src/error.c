/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the last error of each thread, and the names and texts of the codes.
 *
 * An error object that is "blank" has rank and caller -1, no hops, no call and empty strings; texts always end in 0.
 */
#include "error.h"

#include <stdio.h>
#include <string.h>

typedef struct status_text {
    const char *name;
    const char *text;
} status_text;

/* By -status. */
static const status_text errors[] = {
    { "RREF_OK", "success" },
    { "RREF_ERR_ARGUMENT", "an argument is NULL, out of range or malformed" },
    { "RREF_ERR_HANDLE", "the handle is invalid, stale or released" },
    { "RREF_ERR_STATE", "not possible in the present state" },
    { "RREF_ERR_DESTINATION", "there is no such rank or worker name" },
    { "RREF_ERR_NO_CLASS", "the owner knows no class of that name" },
    { "RREF_ERR_NO_METHOD", "the class has no method of that name" },
    { "RREF_ERR_SIGNATURE", "the arguments or results do not fit the method's signature" },
    { "RREF_ERR_RANGE", "a number does not fit the type the signature asks for" },
    { "RREF_ERR_SHAPE", "an array has the wrong size" },
    { "RREF_ERR_CLASS_EXISTS", "the class is registered already, or another one has its name" },
    { "RREF_ERR_CLASS_MISMATCH", "caller and owner mean different classes by one name" },
    { "RREF_ERR_NO_OBJECT", "the object is gone, or was never made" },
    { "RREF_ERR_NOT_OWNER", "only the owner of the object can do this" },
    { "RREF_ERR_NO_MEMORY", "out of memory" },
    { "RREF_ERR_TIMEOUT", "the call's deadline has passed" },
    { "RREF_ERR_PENDING", "the future is not complete" },
    { "RREF_ERR_COMPLETED", "the future, or the answer, is complete already" },
    { "RREF_ERR_NOT_PROMISE", "the future belongs to a call; only promises are completed by hand" },
    { "RREF_ERR_CANCELLED", "the caller gave the call up" },
    { "RREF_ERR_TRUNCATED", "an output array or string is too small for the result" },
    { "RREF_ERR_WOULD_BLOCK", "would have to wait where waiting is not allowed" },
    { "RREF_ERR_THREAD", "not allowed in this thread under the MPI thread level in force" },
    { "RREF_ERR_FINALIZED", "the context is shut down, or is shutting down" },
    { "RREF_ERR_FORKED", "called in a forked child" },
    { "RREF_ERR_MPI", "an MPI function failed" },
    { "RREF_ERR_SYSTEM", "an operating system call failed" },
    { "RREF_ERR_PROTOCOL", "a message cannot be decoded, or ranks do not fit together" },
    { "RREF_ERR_OPTION", "an option or RREF_* variable has a bad value" },
    { "RREF_ERR_ONEWAY", "one-way calls failed" },
    { "RREF_ERR_STALLED", "nothing moved anywhere for the stall limit" },
    { "RREF_ERR_TOO_DEEP", "too many blocked handlers" },
    { "RREF_ERR_WEIGHT", "reserved: no reference is shared too often, its weight is refilled" },
    { "RREF_ERR_BLOCKING", "blocking is not allowed here" },
    { "RREF_ERR_REENTRANT", "the object waits for the very call that this one is made for" },
    { "RREF_ERR_NAME_TAKEN", "another object is published under the name" },
    { "RREF_ERR_NO_NAME", "no object is published under the name" },
    { "RREF_ERR_DEADLOCK", "the youngest call of a cycle of methods that wait for each other" },
    { "RREF_ERR_PEER_LOST", "the rank is lost" },
    { "RREF_ERR_RESULT_DROPPED", "the method has run, and its result was dropped: the caller did not take what was there" },
};
static const status_text pending = { "RREF_PENDING", "the answer comes later" };
static const status_text user = { "RREF_ERR_USER", "an error of the application" };
static const status_text unknown = { "RREF_UNKNOWN", "no known status" };

static _Thread_local rref_error last = { .rank = -1, .caller = -1 };

static const status_text *describe(int status)
{
    if (status == RREF_PENDING) return &pending;
    if (status <= RREF_ERR_USER) return &user;
    if (status > 0 || (size_t)-status >= sizeof errors / sizeof *errors) return &unknown;
    return &errors[-status];
}

const char *rref_error_name(int status)
{
    return describe(status)->name;
}

const char *rref_strerror(int status)
{
    return describe(status)->text;
}

rref_error *rri_error_last(void)
{
    return &last;
}

void rri_error_copy(char *field, size_t size, const char *text)
{
    size_t length = text ? strlen(text) : 0;

    if (size == 0) return;
    if (length >= size) length = size - 1;
    if (length > 0) memmove(field, text, length);
    field[length] = 0;
}

/* The arguments may be strings of the error that is overwritten ("%s: %s" with its own text): hence a second buffer. */
static void RREF_PRINTF_(3, 0) fill(rref_error *error, int code, const char *format, va_list list)
{
    char text[RREF_TEXT_MAX];

    if (vsnprintf(text, sizeof text, format, list) < 0) text[0] = 0;
    error->code = code;
    error->rank = error->caller = -1;
    error->hops = 0;
    error->call_id = 0;
    error->host[0] = error->where[0] = error->site[0] = 0;
    rri_error_copy(error->text, sizeof error->text, text);
}

void rri_error_fill(rref_error *error, int code, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    fill(error, code, format, list);
    va_end(list);
}

int rri_fail_list(int code, const char *format, va_list list)
{
    fill(&last, code, format, list);
    return code;
}

int rri_fail(int code, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    fill(&last, code, format, list);
    va_end(list);
    return code;
}

int rri_fail_as(int code, const rref_error *error)
{
    if (!error) return rri_fail(code, "%s", code > RREF_ERR_USER ? rref_strerror(code) : "failed");
    last = *error;
    return last.code = code;
}

/* ---- the printed form ---------------------------------------------------------------------------------------- */

/* Text that goes into a buffer as far as it fits, and is counted in full. */
typedef struct printer {
    char *buffer;
    size_t size;
    size_t length;
} printer;

static void RREF_PRINTF_(2, 3) print(printer *to, const char *format, ...)
{
    size_t used = to->length < to->size ? to->length : to->size;
    va_list list;
    int length;

    va_start(list, format);
    length = vsnprintf(used < to->size ? to->buffer + used : NULL, to->size - used, format, list);
    va_end(list);
    if (length > 0) to->length += (size_t)length;
}

/* What parts two parts of the line: nothing before the first. */
static const char *gap(const printer *to)
{
    return to->length > 0 ? " " : "";
}

static void print_origin(printer *to, const rref_error *error)
{
    if (error->rank >= 0) print(to, "rank %d", error->rank);
    if (error->host[0]) print(to, "%s(%s)", gap(to), error->host);
    if (error->where[0]) print(to, "%s%s", gap(to), error->where);
    if (error->caller >= 0) print(to, "%scalled from rank %d", gap(to), error->caller);
    if (error->site[0]) print(to, "%sat %s", gap(to), error->site);
    if (error->hops > 0) print(to, "%sthrough %d more rank%s", gap(to), error->hops, error->hops == 1 ? "" : "s");
    if (to->length > 0) print(to, ": ");
}

static void print_outcome(printer *to, const rref_error *error)
{
    const status_text *status = describe(error->code);
    bool named = status != &user && status != &unknown;

    if (named) print(to, "%s", status->name);
    else print(to, "error %d", error->code);
    if (error->text[0]) print(to, ": %s", error->text);
    else if (named) print(to, ": %s", status->text);
}

int rref_error_format(const rref_error *error, char *buffer, size_t size)
{
    printer to = { buffer, size, 0 };

    if (!error || (!buffer && size > 0)) return rri_fail(RREF_ERR_ARGUMENT, "rref_error_format: NULL given");
    if (size > 0) buffer[0] = 0;
    print_origin(&to, error);
    print_outcome(&to, error);
    return (int)to.length;
}
