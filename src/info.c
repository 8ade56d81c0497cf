/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the look of rref-info: a head of facts, a table of ranks, a table of options. A table is emitted twice, first to
 * measure its columns and then to print them, so nothing of it is kept.
 */
#include "info.h"

#include "chaos.h"
#include "error.h"
#include "log.h"
#include "place.h"
#include "placer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 7, WIDEST = 64 };

/* ---- tables ------------------------------------------------------------------------------------------------------ */

typedef struct grid {
    FILE *out;
    bool prints;                /* else it measures */
    unsigned right;             /* bit i: column i holds numbers */
    size_t columns;
    size_t widths[COLUMNS];
} grid;

/* Characters of UTF-8 text, for host and worker names. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void pad(FILE *out, size_t width, size_t used)
{
    fprintf(out, "%*s", used < width ? (int)(width - used) : 0, "");
}

/* A cell wider than WIDEST pushes its own line out and no other. */
static void measure_row(grid *g, const char *const *cells)
{
    for (size_t i = 0; i < g->columns; i++) {
        const size_t width = width_of(cells[i]);
        if (width > g->widths[i] && width <= WIDEST)
            g->widths[i] = width;
    }
}

/* No blanks at the ends of lines: nothing follows the last cell that is not empty. */
static void print_row(const grid *g, const char *const *cells)
{
    size_t last = g->columns;
    while (last > 1 && cells[last - 1][0] == '\0')
        last--;
    for (size_t i = 0; i < last; i++) {
        const bool right = (g->right >> i & 1) != 0;
        fputs("  ", g->out);
        if (right)
            pad(g->out, g->widths[i], width_of(cells[i]));
        fputs(cells[i], g->out);
        if (!right && i + 1 < last)
            pad(g->out, g->widths[i], width_of(cells[i]));
    }
    fputc('\n', g->out);
}

static void row(grid *g, const char *const *cells)
{
    if (g->prints)
        print_row(g, cells);
    else
        measure_row(g, cells);
}

/* ---- the head ---------------------------------------------------------------------------------------------------- */

static void line(FILE *out, const char *what, const char *text)
{
    fprintf(out, "  %-12s  %s\n", what, text != NULL ? text : "not known");
}

/* MPI libraries tell of themselves in up to a page; its first line says which one it is. */
static void put_mpi(FILE *out, const rri_info_facts *facts)
{
    char text[160];
    const char *library = facts->mpi_library != NULL ? facts->mpi_library : "not known";
    size_t length = strcspn(library, "\n\r");
    if (length > 96)
        length = 96;
    snprintf(text, sizeof text, "%.*s (MPI %.16s)", (int)length, library,
             facts->mpi_standard != NULL ? facts->mpi_standard : "?");
    for (char *tab = text; (tab = strchr(tab, '\t')) != NULL;)
        *tab = ' ';
    line(out, "MPI", text);
}

static void put_head(FILE *out, const rri_info_facts *facts)
{
    char text[64];
    fprintf(out, "RRef for MPI %d.%d.%d\n", RREF_VERSION_MAJOR, RREF_VERSION_MINOR, RREF_VERSION_PATCH);
    if (facts != NULL)
        put_mpi(out, facts);
    line(out, "hwloc", rri_place_version());
    if (facts == NULL)
        return;
    line(out, "thread level", facts->thread_level);
    line(out, "progress", facts->progress);
    line(out, "doorbell", facts->doorbell);
    line(out, "types", facts->types);
    snprintf(text, sizeof text, "%d on %d node%s", facts->size, facts->nodes, facts->nodes == 1 ? "" : "s");
    line(out, "ranks", text);
}

/* ---- ranks ------------------------------------------------------------------------------------------------------- */

static void put_rank(grid *g, const rri_info_rank *rank)
{
    char number[16], node[16];
    const char *const cells[COLUMNS] = { number, rank->name, node, rank->host, rank->place, rank->threads, rank->note };
    snprintf(number, sizeof number, "%d", rank->rank);
    snprintf(node, sizeof node, "%d", rank->node);
    row(g, cells);
}

static void put_ranks(FILE *out, const rri_info_facts *facts)
{
    static const char *const head[COLUMNS] = { "rank", "name", "node", "host", "may run on", "library threads", "" };
    grid g = { .out = out, .right = 1U << 0 | 1U << 2, .columns = COLUMNS };
    for (int pass = 0; pass < 2; pass++) {
        g.prints = pass == 1;
        row(&g, head);
        for (int i = 0; i < facts->size; i++)
            put_rank(&g, &facts->ranks[i]);
    }
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

typedef struct listing {
    grid table;
    const rri_info_facts *facts;    /* may be NULL */
    bool changed;                   /* some option is not at its default */
} listing;

/* What the library chose for an option left to it; -1: not known. */
static int64_t choice(const rri_info_facts *facts, const char *name)
{
    if (strcmp(name, "RREF_SPIN") == 0)
        return facts->spin;
    if (strcmp(name, "RREF_EAGER") == 0 && facts->eager > 0)
        return facts->eager;
    if (strcmp(name, "RREF_WORKERS") == 0 && facts->workers > 0)
        return facts->workers;
    return -1;
}

/* The value, with the choice made where there was one: "auto: 65536". */
static const char *in_force(const rri_info_facts *facts, const char *name, const char *value, char *text, size_t size)
{
    if (facts == NULL || strcmp(value, "auto") != 0 || choice(facts, name) < 0)
        return value;
    snprintf(text, size, "auto: %" PRId64, choice(facts, name));
    return text;
}

static void put_option(void *arg, const char *name, const char *value, const char *standard, const char *allowed,
                       const char *help)
{
    listing *l = arg;
    char marked[64], chosen[48];
    const bool changed = strcmp(value, standard) != 0;
    const char *const cells[COLUMNS] = { marked, in_force(l->facts, name, value, chosen, sizeof chosen), standard,
                                         allowed, help, "", "" };
    snprintf(marked, sizeof marked, "%s%s", name, changed ? " *" : "");
    l->changed = l->changed || changed;
    row(&l->table, cells);
}

static void put_settings(FILE *out, const rri_info_facts *facts, const rri_settings *settings)
{
    static const char *const head[COLUMNS] = { "option", "value", "default", "allowed", "what it is", "", "" };
    listing l = { .table = { .out = out, .columns = COLUMNS }, .facts = facts };
    for (int pass = 0; pass < 2; pass++) {
        l.table.prints = pass == 1;
        row(&l.table, head);
        rri_settings_visit(settings, put_option, &l);
    }
    if (l.changed)
        fputs("  * not the default\n", out);
}

/* Loads what init would load, and refuses what it would refuse: texts are read by those whom they concern. */
static int load(rri_settings *settings)
{
    rri_chaos_plan chaos;
    int rc = rri_settings_load(settings, NULL);
    if (rc == RREF_OK)
        rc = rri_chaos_read(settings->chaos, &chaos);
    if (rc == RREF_OK)
        rc = rri_placer_check(settings->cores);
    if (rc == RREF_OK)
        rc = rri_log_open(settings->log, 0);
    if (rc == RREF_OK)
        rri_log_close();
    return rc;
}

static void put_options(FILE *out, const rri_info_facts *facts)
{
    rri_settings settings;
    if (facts != NULL) {
        put_settings(out, facts, facts->settings);
    } else if (load(&settings) == RREF_OK) {
        put_settings(out, NULL, &settings);
    } else {
        fprintf(out, "  %s; the defaults are:\n", rri_error_last()->text);
        put_settings(out, NULL, NULL);
    }
}

char *rri_info_format(const rri_info_facts *facts)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    put_head(out, facts);
    fputc('\n', out);
    if (facts != NULL) {
        put_ranks(out, facts);
        fputc('\n', out);
    }
    put_options(out, facts);
    const bool failed = ferror(out) != 0;
    if (fclose(out) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}
