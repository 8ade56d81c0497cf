/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the table of options. An option is one row of it: field in rri_settings, default, range and help; parsing,
 * messages and listing all follow from the row.
 *
 * A row may have a special word ("auto", "forever") and a number that means the same. Integers hold that number, which
 * lies outside their range; seconds hold RREF_FOREVER.
 */
#include "options.h"

#include "error.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "RREF_"
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

enum { TEXT_SIZE = 128, NAME_SIZE = 32 };

typedef enum option_kind { WORD, NUMBER, SIZE, SECONDS, TEXT } option_kind;

typedef struct option {
    const char *name;
    size_t offset;              /* of the field in rri_settings */
    option_kind kind;
    int64_t standard;           /* a word's place in `words`; 0 for a text */
    int64_t least, most;        /* of a text, least is its room */
    const char *special;        /* the word for `alias`, or NULL */
    int64_t alias;
    const char *unit;
    const char *const *words;
    const char *help;
} option;

static const char *const progress_words[] = { [RRI_PROGRESS_ADAPTIVE] = "adaptive",
                                              [RRI_PROGRESS_SPIN] = "spin",
                                              [RRI_PROGRESS_APPLICATION] = "application", NULL };

static const char *const cores_words[] = { "auto", "any", "a list of CPUs like 2-3,7", NULL };

static const char *const window_words[] = { [RRI_WINDOW_OFF] = "off", [RRI_WINDOW_ON] = "on", [RRI_WINDOW_AUTO] = "auto",
                                            NULL };

/* What is allowed in a text is for people to read. */
static const char *const chaos_words[] = { "off or seed:NUMBER[,KIND]...", NULL };
static const char *const log_words[] = { "error|warn|info|debug[:file]", NULL };

static const char *const term_words[] = { [RRI_ON_TERM_OFF] = "off", [RRI_ON_TERM_REPORT] = "report",
                                          [RRI_ON_TERM_FINALIZE] = "finalize", NULL };

#define FIELD(f) .offset = offsetof(rri_settings, f)
#define RANGE(a, b) .least = (a), .most = (b)
#define SPECIAL(word, number) .special = (word), .alias = (number)

static const option options[] = {
    { "RREF_PROGRESS", FIELD(progress), WORD, RRI_PROGRESS_ADAPTIVE, .words = progress_words,
      .help = "who moves messages: a library thread (spin: it never sleeps), or the application's calls alone" },
    { "RREF_TIMEOUT", FIELD(timeout), SECONDS, 0, RANGE(0, 1000000000), SPECIAL("forever", 0), "s",
      .help = "default time limit of a call" },
    { "RREF_FINALIZE_TIMEOUT", FIELD(finalize_timeout), SECONDS, 0, RANGE(0, 1000000000), SPECIAL("forever", 0), "s",
      .help = "time limit of finalize" },
    { "RREF_REPORT_AFTER", FIELD(report_after), SECONDS, 60, RANGE(0, 1000000000), SPECIAL("forever", 0), "s",
      .help = "time after which who waits has the calls told that are not answered, and looks for a deadlock" },
    { "RREF_STALL_LIMIT", FIELD(stall_limit), SECONDS, 300, RANGE(0, 1000000000), SPECIAL("forever", 0), "s",
      .help = "time without a sign of life after which fence and finalize give up" },
    { "RREF_PEER_TIMEOUT", FIELD(peer_timeout), SECONDS, 60, RANGE(0, 1000000000), SPECIAL("forever", 0), "s",
      .help = "silence of a rank after which calls to it wait until it speaks" },
    { "RREF_EAGER", FIELD(eager), SIZE, 0, RANGE(1, 16 * MIB), SPECIAL("auto", 0), "bytes",
      .help = "data of a call up to this size rides in its message" },
    { "RREF_BATCH", FIELD(batch), SIZE, 0, RANGE(64, 16 * KIB), SPECIAL("auto", 0), "bytes",
      .help = "calls to a rank, or answers, that wait for company share messages up to this size" },
    { "RREF_BATCH_CALLS", FIELD(batch_calls), NUMBER, 32, RANGE(1, 1000),
      .help = "calls of one method that leave together though others are under way, if they are answered" },
    { "RREF_SPIN", FIELD(spin), NUMBER, -1, RANGE(0, 1000000), SPECIAL("auto", -1), "us",
      .help = "most time to poll after the last arrival before sleeping" },
    { "RREF_RING", FIELD(ring), NUMBER, 16, RANGE(4, 1024), .help = "receives posted in advance" },
    { "RREF_CREDITS", FIELD(credits), NUMBER, 64, RANGE(2, 65535), .help = "request messages in flight to a rank" },
    { "RREF_QUEUE_LIMIT", FIELD(queue_limit), SIZE, 64 * MIB, RANGE(4 * KIB, 1024 * GIB), .unit = "bytes",
      .help = "queued to a rank by those who may not wait; more fails the call, or drops its result" },
    { "RREF_PARK_LIMIT", FIELD(park_limit), SIZE, 64 * MIB, RANGE(4 * KIB, 1024 * GIB), .unit = "bytes",
      .help = "requests kept at the owner until they can run, as messages and as calls" },
    { "RREF_LANDING_LIMIT", FIELD(landing_limit), SIZE, 256 * MIB, RANGE(0, 1024 * GIB), .unit = "bytes",
      .help = "large arguments received ahead of their calls" },
    { "RREF_LANDING_KEPT", FIELD(landing_kept), SIZE, 256 * MIB, RANGE(0, 1024 * GIB), .unit = "bytes",
      .help = "memory kept warm for large arguments to come" },
    { "RREF_RELEASE_DELAY", FIELD(release_delay), NUMBER, 1000, RANGE(0, 1000000), .unit = "us",
      .help = "time that releases of references wait for company" },
    { "RREF_WEIGHT", FIELD(weight), NUMBER, 60, RANGE(0, 60),
      .help = "log2 of a new object's weight; for tests, which use it up" },
    { "RREF_WORKERS", FIELD(workers), NUMBER, 0, RANGE(1, 1024), SPECIAL("auto", 0),
      .help = "methods that compute at a time" },
    { "RREF_MAX_BLOCKED", FIELD(max_blocked), NUMBER, 1000, RANGE(0, 100000),
      .help = "methods that may be blocked in the library" },
    { "RREF_STACK", FIELD(stack), NUMBER, 256, RANGE(64, 65536), .unit = "KiB", .help = "stack of a library thread" },
    { "RREF_WINDOW", FIELD(window), WORD, RRI_WINDOW_AUTO, .words = window_words,
      .help = "whether classes are read from other ranks' memory; auto: where that disturbs nobody" },
    { "RREF_WINDOW_SIZE", FIELD(window_size), SIZE, 64 * KIB, RANGE(RRI_WINDOW_LEAST, RRI_WINDOW_MOST), .unit = "bytes",
      .help = "room for classes that others read; what does not fit is asked by message" },
    { "RREF_CHAOS", FIELD(chaos), TEXT, .least = sizeof((rri_settings *)0)->chaos, .special = "off",
      .words = chaos_words, .help = "disturbances, the same for each seed, of all kinds or of those named; for tests" },
    { "RREF_CORES", FIELD(cores), TEXT, .least = sizeof((rri_settings *)0)->cores, .special = "auto", .words = cores_words,
      .help = "where library threads run; auto: on cores that applications leave free" },
    { "RREF_ON_TERM", FIELD(on_term), WORD, RRI_ON_TERM_OFF, .words = term_words,
      .help = "at SIGTERM: tell what is not answered; or end the contexts as well, and run destructors" },
    { "RREF_LOG", FIELD(log), TEXT, .least = sizeof((rri_settings *)0)->log, .special = "warn", .words = log_words,
      .help = "what is told, on stderr or added to a file (%r in its name: the rank)" },
};

enum { OPTIONS = sizeof options / sizeof options[0] };

/* ---- fields ------------------------------------------------------------------------------------------------------ */

static void store(rri_settings *settings, const option *o, const void *value, size_t size)
{
    memcpy((char *)settings + o->offset, value, size);
}

static int64_t integer_of(const rri_settings *settings, const option *o)
{
    int64_t value;
    memcpy(&value, (const char *)settings + o->offset, sizeof value);
    return value;
}

static double seconds_of(const rri_settings *settings, const option *o)
{
    double value;
    memcpy(&value, (const char *)settings + o->offset, sizeof value);
    return value;
}

static const char *text_of(const rri_settings *settings, const option *o)
{
    return (const char *)settings + o->offset;
}

static void store_integer(rri_settings *settings, const option *o, int64_t value)
{
    store(settings, o, &value, sizeof value);
}

/* 0 is "no limit" wherever settings come from; so is what lies past the range (the fields of rref_options may). */
static void store_seconds(rri_settings *settings, const option *o, double value)
{
    const double kept = value > 0 && value <= (double)o->most ? value : RREF_FOREVER;
    store(settings, o, &kept, sizeof kept);
}

static void set_standard(rri_settings *settings, const option *o)
{
    if (o->kind == SECONDS)
        store_seconds(settings, o, (double)o->standard);
    else if (o->kind != TEXT)
        store_integer(settings, o, o->standard);
}

static void set_standards(rri_settings *settings)
{
    memset(settings, 0, sizeof *settings);
    for (size_t i = 0; i < OPTIONS; i++)
        set_standard(settings, &options[i]);
}

/* ---- values and rows as text ------------------------------------------------------------------------------------- */

/* Texts are pieced together in buffers of TEXT_SIZE, which no row of the table fills. */
static RREF_PRINTF_(2, 3) void add(char *text, const char *format, ...)
{
    const size_t used = strlen(text);
    va_list list;
    va_start(list, format);
    vsnprintf(text + used, TEXT_SIZE - used, format, list);
    va_end(list);
}

static void add_number(char *text, const option *o, int64_t value)
{
    static const char suffix[] = "\0KMG";
    size_t step = 0;
    if (o->kind == SIZE)
        for (; value != 0 && value % 1024 == 0 && step < 3; step++)
            value /= 1024;
    add(text, "%" PRId64, value);
    if (step > 0)
        add(text, "%c", suffix[step]);
}

/* By integers, since printf's point depends on the locale. To the nanosecond, as it is read, where a double has as many digits;
 * what is less than that is still not 0, which would mean forever. */
static void add_seconds(char *text, double value)
{
    const int places = value < 1e6 ? 9 : 6;
    const int64_t scale = places == 9 ? 1000000000 : 1000000, rounded = (int64_t)(value * (double)scale + 0.5);
    const int64_t parts = rounded > 0 ? rounded : 1;
    add(text, "%" PRId64 ".%0*" PRId64, parts / scale, places, parts % scale);
    size_t length = strlen(text);
    while (text[length - 1] == '0')
        text[--length] = '\0';
    if (text[length - 1] == '.')
        text[--length] = '\0';
}

static void add_words(char *text, const option *o)
{
    for (size_t i = 0; o->words[i] != NULL; i++)
        add(text, "%s%s", i == 0 ? "" : o->words[i + 1] == NULL ? " or " : ", ", o->words[i]);
}

/* "4 to 1024", "1 to 16M", "up to 1000000000" */
static void add_range(char *text, const option *o)
{
    if (o->kind == SECONDS)
        add(text, "up");
    else
        add_number(text, o, o->least);
    add(text, " to ");
    add_number(text, o, o->most);
}

/* The value as text: in `text` or where it is already. */
static const char *print_value(char *text, const option *o, const rri_settings *settings)
{
    text[0] = '\0';
    if (o->kind == WORD)
        return o->words[integer_of(settings, o)];
    if (o->kind == TEXT)
        return *text_of(settings, o) != '\0' ? text_of(settings, o) : o->special;
    if (o->kind == SECONDS && seconds_of(settings, o) >= RREF_FOREVER)
        return o->special;
    if (o->kind == SECONDS)
        add_seconds(text, seconds_of(settings, o));
    else if (o->special != NULL && integer_of(settings, o) == o->alias)
        return o->special;
    else
        add_number(text, o, integer_of(settings, o));
    return text;
}

/* For the listing: "auto (0) or 1 to 1024". */
static void print_allowed(char *text, const option *o)
{
    text[0] = '\0';
    if (o->kind == WORD || o->kind == TEXT) {
        add_words(text, o);
    } else {
        if (o->special != NULL)
            add(text, "%s (%" PRId64 ") or ", o->special, o->alias);
        add_range(text, o);
        if (o->unit != NULL)
            add(text, " %s", o->unit);
    }
}

/* For the message about a bad value: "auto, or a whole number from 1 to 1024". */
static void print_wanted(char *text, const option *o)
{
    static const char *const noun[] = { [NUMBER] = "a whole number from", [SIZE] = "a size (like 4096, 64K, 1M) from",
                                        [SECONDS] = "seconds (like 0.5)" };
    text[0] = '\0';
    if (o->kind == WORD) {
        add_words(text, o);
        return;
    }
    if (o->special != NULL)
        add(text, "%s, or ", o->special);
    add(text, "%s ", noun[o->kind]);
    add_range(text, o);
    if (o->kind == NUMBER && o->unit != NULL)
        add(text, " (%s)", o->unit);
}

/* ---- values from the environment --------------------------------------------------------------------------------- */

/* Decimal digits at *text, which moves past them. False without a digit, and past `most`. */
static bool take_digits(const char **text, int64_t most, int64_t *value)
{
    const char *at = *text;
    int64_t sum = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        const int digit = *at - '0';
        if (sum > (most - digit) / 10)
            return false;
        sum = 10 * sum + digit;
    }
    if (at == *text)
        return false;
    *text = at;
    *value = sum;
    return true;
}

static int64_t take_suffix(const char **text)
{
    switch (**text) {
    case 'K': case 'k': ++*text; return KIB;
    case 'M': case 'm': ++*text; return MIB;
    case 'G': case 'g': ++*text; return GIB;
    default: return 1;
    }
}

static bool parse_integer(const option *o, const char *text, int64_t *value)
{
    const bool negative = o->kind == NUMBER && *text == '-';
    int64_t number, scale = 1;
    text += negative;
    if (!take_digits(&text, INT64_MAX, &number))
        return false;
    if (o->kind == SIZE)
        scale = take_suffix(&text);
    if (*text != '\0' || number > INT64_MAX / scale)
        return false;
    *value = negative ? -number : number * scale;
    return (o->special != NULL && *value == o->alias) || (*value >= o->least && *value <= o->most);
}

/* Not strtod: its point depends on the locale, and it takes exponents, hexadecimals and "inf". Digits past the nanosecond do not
 * count, but may not be all there is, since 0 means forever. The rest is one division, so that what was printed comes back the
 * same. */
static bool parse_seconds(const option *o, const char *text, double *value)
{
    int64_t number, scale = 1;
    bool more = false;
    if (!take_digits(&text, o->most, &number))
        return false;
    if (*text == '.' && text[1] != '\0')
        for (text++; *text >= '0' && *text <= '9'; text++) {
            if (scale < 1000000000) {
                number = 10 * number + (*text - '0');
                scale *= 10;
            } else {
                more = more || *text != '0';
            }
        }
    *value = (double)number / (double)scale;
    return *text == '\0' && *value <= (double)o->most && (number > 0 || !more);
}

static bool set_word(rri_settings *settings, const option *o, const char *text)
{
    for (int64_t i = 0; o->words[i] != NULL; i++)
        if (strcmp(o->words[i], text) == 0) {
            store_integer(settings, o, i);
            return true;
        }
    return false;
}

static bool set_special(rri_settings *settings, const option *o)
{
    if (o->kind == SECONDS)
        store_seconds(settings, o, RREF_FOREVER);
    else
        store_integer(settings, o, o->alias);
    return true;
}

static bool set_text(rri_settings *settings, const option *o, const char *text)
{
    int64_t integer;
    double seconds;
    if (o->kind == WORD)
        return set_word(settings, o, text);
    if (o->special != NULL && strcmp(text, o->special) == 0)
        return set_special(settings, o);
    if (o->kind == SECONDS) {
        if (!parse_seconds(o, text, &seconds))
            return false;
        store_seconds(settings, o, seconds);
        return true;
    }
    if (!parse_integer(o, text, &integer))
        return false;
    store_integer(settings, o, integer);
    return true;
}

static int keep_text(rri_settings *settings, const option *o, const char *text)
{
    const size_t room = (size_t)o->least;
    if (strlen(text) >= room)
        return rri_fail(RREF_ERR_OPTION, "%s=%.40s...: at most %zu characters are wanted", o->name, text, room - 1);
    store(settings, o, text, strlen(text) + 1);
    return RREF_OK;
}

/* `who` is the variable or the field of rref_options that says it. */
static int set_option(rri_settings *settings, const option *o, const char *who, const char *text)
{
    char wanted[TEXT_SIZE];
    if (o->kind == TEXT)
        return keep_text(settings, o, text);
    if (set_text(settings, o, text))
        return RREF_OK;
    print_wanted(wanted, o);
    return rri_fail(RREF_ERR_OPTION, "%s=%.200s: %s is wanted", who, text, wanted);
}

static int load_environment(rri_settings *settings)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        const char *text = getenv(options[i].name);
        const int status = text != NULL && *text != '\0'
                         ? set_option(settings, &options[i], options[i].name, text) : RREF_OK;
        if (status != RREF_OK)
            return status;
    }
    return RREF_OK;
}

/* ---- values from rref_options ------------------------------------------------------------------------------------ */

static const option *find_option(const char *name)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static int load_seconds(rri_settings *settings, const char *name, const char *field, double value)
{
    if (!(value >= 0))
        return rri_fail(RREF_ERR_OPTION, "rref_options.%s=%g: seconds, 0 (no limit) or RREF_FOREVER are wanted", field,
                        value);
    store_seconds(settings, find_option(name), value);
    return RREF_OK;
}

static int check_reserved(const rref_options *given)
{
    for (size_t i = 0; i < sizeof given->reserved / sizeof given->reserved[0]; i++)
        if (given->reserved[i] != 0)
            return rri_fail(RREF_ERR_OPTION, "rref_options.reserved[%zu]=%" PRIu64 ": 0 is wanted (is the struct "
                            "initialised?)", i, given->reserved[i]);
    return RREF_OK;
}

static int load_fields(rri_settings *settings, const rref_options *given)
{
    int status = check_reserved(given);
    if (status == RREF_OK && given->progress != NULL)
        status = set_option(settings, find_option("RREF_PROGRESS"), "rref_options.progress", given->progress);
    if (status == RREF_OK)
        status = load_seconds(settings, "RREF_TIMEOUT", "timeout", given->timeout);
    if (status == RREF_OK)
        status = load_seconds(settings, "RREF_FINALIZE_TIMEOUT", "finalize_timeout", given->finalize_timeout);
    return status;
}

int rri_settings_load(rri_settings *settings, const rref_options *given)
{
    rri_settings loaded;
    int status;
    set_standards(&loaded);
    status = given != NULL ? load_fields(&loaded, given) : RREF_OK;
    if (status == RREF_OK)
        status = load_environment(&loaded);
    if (status == RREF_OK)
        *settings = loaded;
    return status;
}

/* ---- variables that are no option -------------------------------------------------------------------------------- */

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits that turn a into b: insert, delete, replace, swap two (optimal string alignment; Wagner and Fischer 1974,
 * with the swap of Damerau 1964). b is a name of the table, so shorter than NAME_SIZE. */
static size_t edits(const char *a, const char *b)
{
    size_t row[3][NAME_SIZE], width = strlen(b);
    for (size_t j = 0; j <= width; j++)
        row[0][j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t *now = row[i % 3];
        const size_t *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= width; j++) {
            now[j] = least_of(least_of(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least_of(now[j], before[j - 2] + 1);
        }
    }
    return row[strlen(a) % 3][width];
}

/* The option whose name is closest, if it is close: one edit, and one more for each four letters. */
static const char *nearest(const char *name)
{
    const size_t prefix = sizeof PREFIX - 1;
    const char *found = NULL;
    size_t bound = 2 + strlen(name + prefix) / 4;
    for (size_t i = 0; i < OPTIONS; i++) {
        const size_t distance = edits(name + prefix, options[i].name + prefix);
        if (distance < bound) {
            bound = distance;
            found = options[i].name;
        }
    }
    return found;
}

static void warn_variable(const char *entry)
{
    const size_t length = strcspn(entry, "=");
    char name[128];
    if (strncmp(entry, PREFIX, sizeof PREFIX - 1) != 0 || strncmp(entry, PREFIX "TEST_", sizeof PREFIX + 4) == 0)
        return;
    snprintf(name, sizeof name, "%.*s", (int)least_of(length, sizeof name), entry);
    if (find_option(name) != NULL)
        return;
    const char *meant = nearest(name);
    if (meant != NULL)
        rri_log(RRI_LOG_WARN, "%s is not an option, is %s meant?", name, meant);
    else
        rri_log(RRI_LOG_WARN, "%s is not an option (rref-info lists them)", name);
}

void rri_settings_warn(void)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        warn_variable(*entry);
}

/* ---- listing ----------------------------------------------------------------------------------------------------- */

void rri_settings_visit(const rri_settings *settings, rri_settings_visitor visit, void *arg)
{
    rri_settings standards;
    char value[TEXT_SIZE], standard[TEXT_SIZE], allowed[TEXT_SIZE];
    set_standards(&standards);
    for (size_t i = 0; i < OPTIONS; i++) {
        const option *o = &options[i];
        print_allowed(allowed, o);
        visit(arg, o->name, print_value(value, o, settings != NULL ? settings : &standards),
              print_value(standard, o, &standards), allowed, o->help);
    }
}
