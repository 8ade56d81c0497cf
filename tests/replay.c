/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Takes the steps that simulations of doc/model/counting.pml tell, from the standard input, in the library's own code, and
 * compares after each: the object, what its owner has given out, and each reference's rank, weight and waits. Other lines are
 * passed over. Exit status 0: all agreed; the last line says how many histories and steps they were.
 *
 *   replay [PLANTED]     with an error planted in the code: 1: weight on its way gets less; 2: who vouched is not told that it
 *                        is over; 3: more is given out than is counted
 */
#include "counted.h"
#include "log.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REFERENCES = 64, LINE = 4096 };

/* A reference as the model has it; in_use: it has. */
typedef struct modelled { int rank, held, asked, weight, vouches; bool in_use; } modelled;

typedef struct state { int alive, out, destroyed; modelled ref[REFERENCES]; } state;

static rref handle[REFERENCES];             /* by the model's numbers */
static state before, now;
static unsigned histories, steps, line_number;
static bool under_way;
static int planted;

/* ---- planted errors; the linker leads calls between files of the library through here (--wrap) */

void __real_rri_weight_send(rri_weights *weights, int rank, uint64_t to, uint64_t weight);
void __wrap_rri_weight_send(rri_weights *weights, int rank, uint64_t to, uint64_t weight);
uint64_t __real_rri_object_mint(rri_object *object);
uint64_t __wrap_rri_object_mint(rri_object *object);

void __wrap_rri_weight_send(rri_weights *weights, int rank, uint64_t to, uint64_t weight)
{
    if (planted == 2 && !weight) return;
    __real_rri_weight_send(weights, rank, to, planted == 1 && weight > 1 ? weight - 1 : weight);
}

uint64_t __wrap_rri_object_mint(rri_object *object) { return __real_rri_object_mint(object) + (planted == 3); }

/* ---- what the model tells */

static bool read_reference(const char *text)
{
    int n;
    modelled m = { .in_use = true };
    if (sscanf(text, " %d %d %d %d %d %d", &n, &m.rank, &m.held, &m.asked, &m.weight, &m.vouches) != 6) return false;
    if (n < 0 || n >= REFERENCES || m.rank < 0 || m.rank >= COUNTED_RANKS) return false;
    now.ref[n] = m;
    return true;
}

/* "alive out destroyed , reference , reference ..." */
static bool read_state(const char *text)
{
    before = now;
    now = (state){ 0 };
    if (sscanf(text, " %d %d %d", &now.alive, &now.out, &now.destroyed) != 3) return false;
    while ((text = strchr(text, ',')))
        if (!read_reference(++text)) return false;
    return true;
}

/* The number of the reference that is there now and was not before; -1: none. */
static int new_reference(void)
{
    for (int i = 0; i < REFERENCES; i++)
        if (now.ref[i].in_use && !before.ref[i].in_use) return i;
    return -1;
}

/* ---- the same steps */

static bool arrives(int from, int to, bool keep)
{
    rref kept;
    bool there = counted_deliver(from, to, keep, &kept);
    int n = new_reference();
    if (kept.bits && n >= 0) handle[n] = kept;
    return there && (kept.bits != 0) == (n >= 0);
}

static bool begin(int creator, int weight)
{
    int64_t log = 0;
    if (under_way) fprintf(stderr, "line %u: the history before it has no end\n", line_number);
    if (under_way) return false;
    while (weight >> log > 1) log++;
    if (weight != 1 << log || creator < 0 || creator >= COUNTED_RANKS) return false;
    counted_open(log);
    handle[0] = counted_create(creator);
    under_way = true;
    return true;
}

static bool take(const char *step, int a, int b)
{
    if (!strcmp(step, "create")) return begin(a, b);
    if (!under_way || a < 0 || a >= REFERENCES || b < 0 || b >= COUNTED_RANKS) return false;
    if (!strcmp(step, "deliver")) return arrives(a, b, true);
    if (!strcmp(step, "take")) return arrives(a, b, true);
    if (!strcmp(step, "ignore")) return arrives(a, b, false);
    if (!strcmp(step, "board")) counted_board(a, b);
    else if (!strcmp(step, "share")) counted_share(before.ref[a].rank, handle[a], b);
    else if (!strcmp(step, "use")) counted_use(before.ref[a].rank, handle[a]);
    else if (!strcmp(step, "drop")) counted_drop(handle[a]);
    else if (!strcmp(step, "finish")) counted_finish();
    else return false;
    return true;
}

/* ---- and the same state */

static int differ(const char *what, int n, uint64_t model, uint64_t code)
{
    if (model == code) return 0;
    fprintf(stderr, "line %u: %s of %d is %" PRIu64 " in the model, %" PRIu64 " in the code\n", line_number, what, n, model,
            code);
    return 1;
}

static int compare_reference(int n, const modelled *m)
{
    const rri_reference *r = counted_look(m->rank, handle[n]);
    if (!r) return differ("reference", n, 1, 0);
    return differ("weight", n, (uint64_t)m->weight, r->weight) + differ("vouches", n, (uint64_t)m->vouches, r->vouches)
           + differ("asked", n, (uint64_t)m->asked, r->asked) + differ("held", n, (uint64_t)m->held, atomic_load(&r->held) > 0);
}

static bool compare(bool finished)
{
    unsigned count[COUNTED_RANKS] = { 0 };
    int found = differ("destructor", 0, (uint64_t)now.destroyed, counted.destroyed)
                + differ("weight out", 0, (uint64_t)now.out, counted_out()) + differ("failure", 0, 0, counted.failed);
    for (int i = 0; i < REFERENCES; i++) {
        if (!now.ref[i].in_use) continue;
        count[now.ref[i].rank]++;
        if (!finished) found += compare_reference(i, &now.ref[i]);
    }
    for (int k = 0; k < COUNTED_RANKS; k++) found += differ("references", k, count[k], counted_references(k));
    return !found;
}

static bool end(void)
{
    under_way = false;
    histories++;
    if (counted_close()) return true;
    fprintf(stderr, "line %u: something was left over, or was refused\n", line_number);
    return false;
}

/* "@ step a b = state" */
static bool follow(const char *line)
{
    char step[16];
    int a, b;
    const char *after = strchr(line, '=');
    if (sscanf(line, "@ %15s %d %d", step, &a, &b) != 3 || !after) return false;
    if (!strcmp(step, "create")) now = (state){ 0 };
    if (!read_state(after + 1) || !take(step, a, b)) {
        fprintf(stderr, "line %u: this step cannot be taken\n", line_number);
        return false;
    }
    bool finished = !strcmp(step, "finish");
    steps++;
    return compare(finished) && (!finished || end());
}

int main(int argc, char **argv)
{
    static char line[LINE];
    planted = argc > 1 ? atoi(argv[1]) : 0;
    rri_log_open("error:/dev/null", 0);
    while (fgets(line, sizeof line, stdin)) {
        line_number++;
        if (line[0] == '@' && !follow(line)) {
            fprintf(stderr, "at: %s", line);
            return 1;
        }
    }
    rri_log_close();
    printf("%u histories, %u steps%s\n", histories, steps, under_way ? ", the last without an end" : "");
    return under_way || !histories;
}
