/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "scan.h"

enum { BATCH_MAX = 1 << 20, TOP_MAX = 1000, BAD_USAGE = 2 };

static const char usage[] =
    "usage: mpirun -n RANKS kmer [options] FILE\n"
    "Count the canonical k-mers of FILE: FASTA or FASTQ, plain or gzip.\n"
    "  -k K          length of a k-mer, 1 to 31 (default 21)\n"
    "  --batch N     N k-mers a call (default: a call for each, gathered by the library)\n"
    "  --raw         count by plain MPI in batches of 64, too, and compare the times\n"
    "  --top N       print the N most frequent k-mers (default 10)\n"
    "  --dump OUT    write every k-mer and its count to OUT\n"
    "  --no-serial   do not count on one rank for comparison\n"
    "  --help        print this\n";

static const struct option names[] = {
    { "k", required_argument, NULL, 'k' },
    { "batch", required_argument, NULL, 'b' },
    { "raw", no_argument, NULL, 'r' },
    { "top", required_argument, NULL, 't' },
    { "dump", required_argument, NULL, 'd' },
    { "no-serial", no_argument, NULL, 's' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 }
};

/* A whole number between the two, or -1. */
static long number(const char *name, const char *text, long least, long most, bool speak)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0 && n >= least && n <= most) return n;
    if (speak) fprintf(stderr, "kmer: %s is a number from %ld to %ld, not '%s'\n", name, least, most, text);
    return -1;
}

static bool take(options *o, int option, bool speak)
{
    long n = 0;
    switch (option) {
    case 'k':
    case 'K': n = number("k", optarg, 1, K_MAX, speak); o->k = (int)n; break;
    case 'b': n = number("--batch", optarg, 1, BATCH_MAX, speak); o->batch = (size_t)n; break;
    case 't': n = number("--top", optarg, 0, TOP_MAX, speak); o->top = (size_t)n; break;
    case 'r': o->raw = true; break;
    case 'd': o->dump = optarg; break;
    case 's': o->serial = false; break;
    default: n = -1;                    /* getopt has said why */
    }
    return n >= 0;
}

static int refuse(bool speak, const char *why)
{
    if (speak) fprintf(stderr, "%s%s", why, usage);
    return BAD_USAGE;
}

int options_parse(int argc, char **argv, bool speak, options *o)
{
    int option;
    *o = (options){ .k = 21, .top = 10, .serial = true };
    opterr = speak;
    while (option = getopt_long(argc, argv, "k:K:h", names, NULL), option != -1) {
        if (option == 'h') {
            if (speak) fputs(usage, stdout);
            return EXIT_SUCCESS;
        }
        if (!take(o, option, speak)) return refuse(speak, "");
    }
    if (optind == argc) return refuse(speak, "kmer: which file?\n");
    if (optind + 1 < argc) return refuse(speak, "kmer: one file, please\n");
    o->file = argv[optind];
    return OPTIONS_RUN;
}
