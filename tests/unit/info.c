/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of rref-info: facts for 1, 4 and 64 ranks, and none; columns, strange names, bad variables. */
#include "info.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };

static rri_settings settings;
static rri_info_rank ranks[MOST];

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

static rri_info_facts facts_of(int size, int nodes)
{
    memset(ranks, 0, sizeof ranks);
    for (int i = 0; i < size; i++) {
        ranks[i].rank = i;
        ranks[i].node = i * nodes / size;
        snprintf(ranks[i].name, sizeof ranks[i].name, "rank%d", i);
        snprintf(ranks[i].host, sizeof ranks[i].host, "node%02d", ranks[i].node);
        snprintf(ranks[i].threads, sizeof ranks[i].threads, "core %d (RREF_CORES)", 15 - i % 16);
        snprintf(ranks[i].place, sizeof ranks[i].place, "core %d of 16 (1 PU, 1 package, 1 NUMA node)", i % 16);
    }
    return (rri_info_facts){
        .size = size, .nodes = nodes,
        .mpi_library = "Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4, repo rev: v4.1.4, May 26, 2022",
        .mpi_standard = "3.1", .thread_level = "MPI_THREAD_MULTIPLE", .progress = "library thread",
        .doorbell = "shared memory", .types = "by window", .eager = 65536, .spin = 20, .workers = 2,
        .settings = &settings, .ranks = ranks,
    };
}

static char *format(const rri_info_facts *facts)
{
    char *text = rri_info_format(facts);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    return text;
}

static bool has(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        return true;
    fprintf(stderr, "not there: %s\n", part);
    return false;
}

/* Where `part` begins on its line. */
static long column_of(const char *text, const char *part)
{
    const char *at = strstr(text, part), *begin = at;
    while (at != NULL && begin > text && begin[-1] != '\n')
        begin--;
    return at == NULL ? -1 : at - begin;
}

static bool ends_clean(const char *text)
{
    const size_t length = strlen(text);
    return strstr(text, " \n") == NULL && length > 0 && text[length - 1] == '\n' && strchr(text, '\t') == NULL;
}

/* ---- the text ---------------------------------------------------------------------------------------------------- */

static void one_rank(void)
{
    const rri_info_facts facts = facts_of(1, 1);
    char *text = format(&facts);
    CU_ASSERT_EQUAL(strncmp(text, "RRef for MPI 0.1.0\n", 19), 0);
    CU_ASSERT(has(text, "  MPI           Open MPI v4.1.4, package"));
    CU_ASSERT(has(text, "(MPI 3.1)\n"));
    CU_ASSERT(has(text, "  thread level  MPI_THREAD_MULTIPLE\n"));
    CU_ASSERT(has(text, "  progress      library thread\n"));
    CU_ASSERT(has(text, "  doorbell      shared memory\n"));
    CU_ASSERT(has(text, "  types         by window\n"));
    CU_ASSERT(has(text, "  ranks         1 on 1 node\n"));
    CU_ASSERT(has(text, "     0  rank0     0  node00  core 0 of 16 (1 PU, 1 package, 1 NUMA node)  core 15 (RREF_CORES)\n"));
    CU_ASSERT(ends_clean(text));
    free(text);
}

static void many_ranks(void)
{
    const rri_info_facts facts = facts_of(64, 4);
    char *text = format(&facts);
    CU_ASSERT(has(text, "  ranks         64 on 4 nodes\n"));
    CU_ASSERT(has(text, "\n     9  rank9      0  node00  core 9 of 16 (1 PU, 1 package, 1 NUMA node)   core 6 (RREF_CORES)\n"));
    CU_ASSERT(has(text, "\n    63  rank63     3  node03  core 15 of 16 (1 PU, 1 package, 1 NUMA node)  core 0 (RREF_CORES)\n"));
    CU_ASSERT(ends_clean(text));
    free(text);
}

static void notes(void)
{
    const rri_info_facts facts = facts_of(4, 1);
    strcpy(ranks[2].note, "one core for main and progress");
    char *text = format(&facts);
    CU_ASSERT(has(text, "core 2 of 16 (1 PU, 1 package, 1 NUMA node)  core 13 (RREF_CORES)  one core for main and progress\n"));
    CU_ASSERT(ends_clean(text));
    free(text);
}

static void other_mpi(void)
{
    rri_info_facts facts = facts_of(1, 1);
    facts.mpi_library = "MPICH Version:\t4.0.2\nMPICH Release date:\tThu Apr  7 12:34:45 CDT 2022\n";
    char *text = format(&facts);
    CU_ASSERT(has(text, "  MPI           MPICH Version: 4.0.2 (MPI 3.1)\n"));
    free(text);
    facts.mpi_library = facts.mpi_standard = facts.doorbell = NULL;
    text = format(&facts);
    CU_ASSERT(has(text, "  MPI           not known (MPI ?)\n"));
    CU_ASSERT(has(text, "  doorbell      not known\n"));
    free(text);
}

/* Names are counted in characters, not in bytes. */
static void names(void)
{
    const rri_info_facts facts = facts_of(2, 1);
    strcpy(ranks[0].name, "M\303\274ller");
    strcpy(ranks[1].name, "Miller");
    memset(ranks[1].host, 'h', sizeof ranks[1].host - 1);
    memset(ranks[1].place, 'p', sizeof ranks[1].place - 1);
    char *text = format(&facts);
    CU_ASSERT(has(text, "     0  M\303\274ller     0  node00"));
    CU_ASSERT(has(text, "     1  Miller     0  hhhh"));
    CU_ASSERT(ends_clean(text));
    free(text);
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

static void options_in_columns(void)
{
    const rri_info_facts facts = facts_of(1, 1);
    char *text = format(&facts);
    const char *table = strstr(text, "  option ");
    CU_ASSERT_PTR_NOT_NULL_FATAL(table);
    CU_ASSERT_EQUAL(column_of(table, "4 to 1024\n"), -1);
    CU_ASSERT_EQUAL(column_of(table, "allowed"), column_of(table, "4 to 1024"));
    CU_ASSERT_EQUAL(column_of(table, "what it is"), column_of(table, "receives posted in advance"));
    CU_ASSERT(has(table, "\n  RREF_EAGER             auto: 65536  auto "));
    CU_ASSERT(has(table, "\n  RREF_SPIN              auto: 20     auto "));
    CU_ASSERT(has(table, "\n  RREF_WORKERS           auto: 2      auto "));
    CU_ASSERT_PTR_NULL(strchr(table, '*'));
    free(text);
}

static void changed_options(void)
{
    const rri_info_facts facts = facts_of(1, 1);
    const rri_settings before = settings;
    settings.ring = 32;
    settings.eager = 1024;
    memset(settings.log, 'x', 200);
    memcpy(settings.log, "debug:", 6);
    char *text = format(&facts);
    settings = before;
    CU_ASSERT(has(text, "\n  RREF_RING *            32        16 "));
    CU_ASSERT(has(text, "\n  RREF_EAGER *           1K        auto "));
    CU_ASSERT(has(text, "\n  RREF_LOG *             debug:xxx"));
    CU_ASSERT(has(text, "\n  * not the default\n"));
    free(text);
}

static void without_facts(void)
{
    char *text = format(NULL);
    CU_ASSERT_EQUAL(strncmp(text, "RRef for MPI 0.1.0\n  hwloc         ", 35), 0);
    CU_ASSERT(has(text, "\n  RREF_RING              16 "));
    CU_ASSERT_PTR_NULL(strstr(text, "rank0"));
    CU_ASSERT(ends_clean(text));
    free(text);
}

static void without_facts_in_an_environment(void)
{
    setenv("RREF_RING", "99", 1);
    char *text = format(NULL);
    CU_ASSERT(has(text, "\n  RREF_RING *            99 "));
    free(text);
    setenv("RREF_RING", "abc", 1);
    text = format(NULL);
    unsetenv("RREF_RING");
    CU_ASSERT(has(text, "\n  RREF_RING=abc: a whole number from 4 to 1024 is wanted; the defaults are:\n"));
    CU_ASSERT(has(text, "\n  RREF_RING              16 "));
    free(text);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "one rank", one_rank },
        { "many ranks", many_ranks },
        { "notes", notes },
        { "other MPI", other_mpi },
        { "names", names },
        { "options in columns", options_in_columns },
        { "changed options", changed_options },
        { "without facts", without_facts },
        { "without facts in an environment", without_facts_in_an_environment },
        CHECK_END
    };
    static const char *const variables[] = {
        "RREF_PROGRESS", "RREF_TIMEOUT", "RREF_FINALIZE_TIMEOUT", "RREF_STALL_LIMIT", "RREF_EAGER",
        "RREF_SPIN", "RREF_RING", "RREF_CREDITS", "RREF_QUEUE_LIMIT", "RREF_PARK_LIMIT",
        "RREF_LANDING_LIMIT", "RREF_WORKERS", "RREF_MAX_BLOCKED", "RREF_STACK",
        "RREF_WINDOW", "RREF_WINDOW_SIZE", "RREF_CORES", "RREF_LOG", NULL
    };
    for (size_t i = 0; variables[i] != NULL; i++)
        unsetenv(variables[i]);
    if (rri_settings_load(&settings, NULL) != RREF_OK)
        return 1;
    return check_main(argc, argv, "info", cases);
}
