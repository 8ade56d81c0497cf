/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads FASTA and FASTQ, each of one or more lines a record, with either kind of line end. zlib hands plain files
 * through as they are. What is neither a base, a letter of another meaning, nor white space is an error: better none
 * than a wrong count.
 */
#include "sequence.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { END = -1, CHUNK = 1 << 16 };

/* What a character is, beyond the codes 0 to 4 of a sequence. */
enum { BLANK = 5, STRANGE = 6 };

typedef struct reader {
    gzFile file;
    unsigned char chunk[CHUNK];
    size_t at, filled;
    uint64_t line;
    sequence *s;
    size_t room;
    progress *shown;
    char *error;            /* "" until something is wrong; from then on the file is at its end */
    size_t error_size;
    uint8_t meaning[256];
} reader;

static void learn_meanings(uint8_t meaning[256])
{
    memset(meaning, STRANGE, 256);
    for (int letter = 0; letter < 26; letter++) meaning['A' + letter] = meaning['a' + letter] = SEQUENCE_BREAK;
    for (const char *gap = "-.*"; *gap; gap++) meaning[(unsigned char)*gap] = SEQUENCE_BREAK;
    for (const char *blank = " \t\r\n\v\f"; *blank; blank++) meaning[(unsigned char)*blank] = BLANK;
    for (uint8_t code = 0; code < 4; code++)
        meaning[(unsigned char)"ACGT"[code]] = meaning[(unsigned char)"acgt"[code]] = code;
}

static void fail(reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(reader *r, const char *format, ...)
{
    if (*r->error) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->error, r->error_size, format, arguments);
    va_end(arguments);
    r->at = r->filled = 0;
}

/* zlib reports a compressed file that stops too early only when it is asked after a short read. */
static void check_file(reader *r)
{
    int code;
    const char *text = gzerror(r->file, &code);
    if (code == Z_ERRNO) fail(r, "%s", strerror(errno));
    else if (code == Z_BUF_ERROR) fail(r, "the compressed data ends too early");
    else if (code != Z_OK && code != Z_STREAM_END) fail(r, "broken compressed data (%s)", text);
}

static bool refill(reader *r)
{
    if (*r->error) return false;
    int n = gzread(r->file, r->chunk, CHUNK);
    r->at = 0;
    r->filled = n > 0 ? (size_t)n : 0;
    if (n < CHUNK) check_file(r);
    progress_show(r->shown, r->s->bases, 0);
    return r->filled > 0;
}

static int peek(reader *r)
{
    return r->at < r->filled || refill(r) ? r->chunk[r->at] : END;
}

static int next(reader *r)
{
    int c = peek(r);
    if (c == END) return END;
    r->at++;
    if (c == '\n') r->line++;
    return c;
}

static void skip_line(reader *r)
{
    int c;
    do c = next(r);
    while (c != '\n' && c != END);
}

static int peek_past_blanks(reader *r)
{
    int c;
    while (c = peek(r), c != END && r->meaning[c] == BLANK) next(r);
    return c;
}

static void append(reader *r, uint8_t code)
{
    sequence *s = r->s;
    if (s->length == r->room) {
        size_t room = r->room ? 2 * r->room : 1 << 20;
        uint8_t *larger = realloc(s->code, room);
        if (!larger) {
            fail(r, "no memory for more than %zu bases", s->length);
            return;
        }
        s->code = larger;
        r->room = room;
    }
    s->code[s->length++] = code;
}

static void complain(reader *r, int c, const char *what)
{
    if (c > ' ' && c < 127) fail(r, "line %" PRIu64 ": '%c' %s", r->line, c, what);
    else fail(r, "line %" PRIu64 ": byte 0x%02x %s", r->line, (unsigned)c, what);
}

static void read_bases(reader *r)
{
    int c;
    while (c = next(r), c != '\n' && c != END) {
        uint8_t meaning = r->meaning[c];
        if (meaning <= SEQUENCE_BREAK) {
            append(r, meaning);
            r->s->bases++;
        } else if (meaning == STRANGE) {
            complain(r, c, "is not a base");
        }
    }
}

static void start_record(reader *r)
{
    if (r->s->records++) append(r, SEQUENCE_BREAK);
    skip_line(r);
}

static void read_fasta(reader *r)
{
    int c;
    while (c = peek(r), c != END)
        if (c == '>') start_record(r);
        else read_bases(r);
}

/* A quality line may begin with '@' or '+' like any other, so only the number of values tells where a record ends. */
static void skip_qualities(reader *r, uint64_t values)
{
    int c = '\n';
    for (uint64_t seen = 0; seen < values && c != END;) {
        c = next(r);
        if (c != END && r->meaning[c] != BLANK) seen++;
    }
    if (c == END) fail(r, "the last record has fewer quality values than bases");
    else if (c != '\n' && (c = peek(r), c != END && r->meaning[c] != BLANK))
        complain(r, c, "is one quality value too many");
}

static void read_fastq_record(reader *r)
{
    uint64_t before = r->s->bases;
    int c;
    start_record(r);
    while (c = peek(r), c != '+' && c != END) read_bases(r);
    if (c == END) fail(r, "the last record has no quality values");
    skip_line(r);
    skip_qualities(r, r->s->bases - before);
}

static void read_fastq(reader *r)
{
    int c;
    while (c = peek_past_blanks(r), c == '@') read_fastq_record(r);
    if (c != END) complain(r, c, "where the next record should begin with '@'");
}

static void read_records(reader *r)
{
    int c = peek_past_blanks(r);
    if (c == '>') read_fasta(r);
    else if (c == '@') read_fastq(r);
    else if (c == END) fail(r, "the file is empty");
    else fail(r, "neither FASTA nor FASTQ: it begins with neither '>' nor '@'");
}

int sequence_read(const char *path, sequence *s, progress *shown, char *error, size_t size)
{
    *s = (sequence){ 0 };
    *error = '\0';
    reader *r = calloc(1, sizeof *r);
    if (!r) {
        snprintf(error, size, "no memory");
        return -1;
    }
    r->line = 1;
    r->s = s;
    r->shown = shown;
    r->error = error;
    r->error_size = size;
    learn_meanings(r->meaning);

    errno = 0;
    r->file = gzopen(path, "rb");
    if (r->file) {
        read_records(r);
        gzclose(r->file);
    } else {
        fail(r, "%s", errno ? strerror(errno) : "no memory");
    }
    free(r);
    if (*error) sequence_free(s);
    return *error ? -1 : 0;
}

void sequence_free(sequence *s)
{
    free(s->code);
    *s = (sequence){ 0 };
}
