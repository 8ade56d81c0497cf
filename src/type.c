/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions for the type of an object: its class by name, and what the class can do. */
#include "error.h"
#include "memory.h"
#include "reaction.h"
#include "resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An object whose construction is under way has its type when it exists. */
static int wait_for(rri_reference *r, double timeout, const rri_class **klass)
{
    int64_t deadline;
    rri_calls *calls = rri_references_of(r)->calls;
    int rc = rri_reference_error(r);
    if (!rc) rc = rri_call_deadline(calls, timeout, &deadline);
    rri_future *creation = rc ? NULL : rri_reference_creation(r);
    if (creation) rc = rri_progress_wait(calls->progress, &creation->event, deadline);
    if (creation) rri_future_drop(creation);
    if (rc == RREF_ERR_PENDING) rc = rri_fail(RREF_ERR_TIMEOUT, "the owner did not confirm the object in time");
    if (!rc) rc = rri_reference_error(r);
    if (!rc) rc = rri_resolve_wait(r, deadline);
    if (!rc) *klass = atomic_load(&r->klass);
    return rc;
}

int rref_class_of(rref reference, const char **name, double timeout)
{
    const rri_class *k;
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    if (!name) return rri_fail(RREF_ERR_ARGUMENT, "NULL name");
    int rc = wait_for(r, timeout, &k);
    if (!rc) *name = k->name;
    return rc;
}

/* ---- as a future */

typedef struct question {
    rri_held held;
    rref target;                        /* with a count of its own */
    rri_future *answer;                 /* with a count of its own */
} question;

static void end(question *q, int rc, const rri_class *klass)
{
    const rref_value name = rref_of_str(klass ? klass->name : "");
    if (rc == RREF_OK) rc = rri_future_give(q->answer, q->answer->types, &name, 1);
    if (rc && rri_future_claim(q->answer)) rri_future_error_last(q->answer);
    rri_future_drop(q->answer);
    rri_reference_drop(q->target);
    free(q);
}

static void class_known(rri_held *held, const rri_class *klass)
{
    question *q = (question *)(void *)held;
    rri_reference *r = rri_reference_of(q->target);
    if (klass) rri_reference_know(r, klass);
    end(q, klass ? rri_reference_error(r) : rri_error_last()->code, klass);
}

static void overdue(rri_timer *timer) { rri_future_overdue(timer, "the object's class was not known in time"); }

/* The reaction is freed by the future; the question goes on. */
typedef struct confirmation {
    rri_reaction reaction;
    question *question;
} confirmation;

static void confirmed(rri_reaction *reaction, rri_future *creation)
{
    question *q = ((confirmation *)(void *)reaction)->question;
    if (creation->outcome) end(q, rri_fail_as(creation->outcome, creation->error), NULL);
    else rri_resolve(rri_reference_of(q->target), &q->held);
}

/* An object that is being made is asked for when it is there. */
static void begin(question *q, rri_reference *r)
{
    rri_future *creation = rri_reference_creation(r);
    confirmation *c = creation ? rri_malloc(sizeof *c) : NULL;
    if (c) {
        *c = (confirmation){ { NULL, confirmed, true }, q };
        rri_future_react(creation, &c->reaction);
    } else {
        rri_resolve(r, &q->held);
    }
    if (creation) rri_future_drop(creation);
}

static int inquire(rri_reference *r, rri_future *answer, double timeout)
{
    int64_t deadline;
    int rc = rri_reference_error(r);
    if (!rc) rc = rri_call_deadline(rri_references_of(r)->calls, timeout, &deadline);
    if (!rc) rc = rri_future_deadline(answer, deadline, overdue);
    question *q = rc ? NULL : rri_malloc(sizeof *q);
    if (!rc && !q) rc = rri_fail(RREF_ERR_NO_MEMORY, "no memory for a question");
    if (rc) return rc;
    rri_future_keep(answer);
    *q = (question){ { NULL, 0, class_known }, rri_reference_keep(r), answer };
    begin(q, r);
    return RREF_OK;
}

rref_future rref_class_of_async(rref reference, double timeout)
{
    rri_reference *r = rri_reference_of(reference);
    rref_future answer = r ? rref_promise(rri_references_of(r)->context, "str") : (rref_future){ 0 };
    rri_future *f = answer.bits ? rri_future_of(answer.bits) : NULL;
    if (!f) return answer;
    f->promise = false;
    if (inquire(r, f, timeout) && rri_future_claim(f)) rri_future_error_last(f);
    return answer;
}

/* ---- what a class can do */

static void put_flags(FILE *out, unsigned flags)
{
    static const char *const names[] = { "inline", "worker", "concurrent" };
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (flags >> i & 1) fprintf(out, " [%s]", names[i]);
}

static void put_class(FILE *out, const rri_class *k)
{
    fprintf(out, "%s: %s\n", k->name, k->create.text);
    for (unsigned i = 0; i < k->count; i++) {
        fprintf(out, "  %s: %s", k->method[i].name, k->method[i].signature.text);
        put_flags(out, k->method[i].flags);
        fputc('\n', out);
    }
}

static char *class_text(const rri_class *k)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    put_class(out, k);
    bool bad = ferror(out);
    if (fclose(out) == 0 && !bad) return text;
    free(text);
    return NULL;
}

int rref_describe(rref reference, char **text, double timeout)
{
    const rri_class *k;
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    if (!text) return rri_fail(RREF_ERR_ARGUMENT, "NULL text");
    int rc = wait_for(r, timeout, &k);
    char *made = rc ? NULL : class_text(k);
    if (!rc && !made) rc = rri_fail(RREF_ERR_NO_MEMORY, "no memory for the text");
    if (!rc) *text = made;
    return rc;
}
