/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors: the thread's last one, names and texts of every code, and the printed form with any part unknown. */
#include "error.h"

#include "check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static bool blank(const rref_error *e)
{
    bool strings = e->host[0] || e->where[0] || e->site[0];
    return e->rank == -1 && e->caller == -1 && e->hops == 0 && e->call_id == 0 && !strings;
}

static int fail_list(int code, const char *format, ...) RREF_PRINTF_(2, 3);
static int fail_list(int code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int result = rri_fail_list(code, format, list);
    va_end(list);
    return result;
}

static void fails(void)
{
    rref_error *e = rri_error_last();
    e->rank = 3;
    e->hops = 1;
    e->call_id = 7;
    rri_error_copy(e->host, sizeof e->host, "node");
    CU_ASSERT_EQUAL(rri_fail(RREF_ERR_SHAPE, "%d values, not %d", 5, 6), RREF_ERR_SHAPE);
    CU_ASSERT_PTR_EQUAL(rri_error_last(), e);
    CU_ASSERT_EQUAL(e->code, RREF_ERR_SHAPE);
    CU_ASSERT_STRING_EQUAL(e->text, "5 values, not 6");
    CU_ASSERT(blank(e));
    CU_ASSERT_EQUAL(fail_list(-1001, "%s", "line one\nline two"), -1001);
    CU_ASSERT_STRING_EQUAL(e->text, "line one\nline two");
}

static void fills_another(void)
{
    rref_error other;
    memset(&other, 0x55, sizeof other);
    rri_fail(RREF_ERR_STATE, "mine");
    rri_error_fill(&other, RREF_ERR_RANGE, "%s", "another's");
    CU_ASSERT(blank(&other));
    CU_ASSERT_EQUAL(other.code, RREF_ERR_RANGE);
    CU_ASSERT_STRING_EQUAL(other.text, "another's");
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text, "mine");
}

static void fails_with_its_own_text(void)
{
    rri_fail(RREF_ERR_MPI, "inner");
    rri_fail(RREF_ERR_STATE, "outer: %s", rri_error_last()->text);
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text, "outer: inner");
}

static void cuts_texts(void)
{
    char big[3 * RREF_TEXT_MAX], small[4] = "abc";
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    rri_fail(RREF_ERR_STATE, "%s", big);
    CU_ASSERT_EQUAL(strlen(rri_error_last()->text), RREF_TEXT_MAX - 1);
    rri_error_copy(small, sizeof small, "four");
    CU_ASSERT_STRING_EQUAL(small, "fou");
    rri_error_copy(small, sizeof small, "up");
    CU_ASSERT_STRING_EQUAL(small, "up");
    rri_error_copy(small, 1, "any");
    CU_ASSERT_STRING_EQUAL(small, "");
    rri_error_copy(small, sizeof small, "no");
    rri_error_copy(small, 0, "any");
    CU_ASSERT_STRING_EQUAL(small, "no");
    rri_error_copy(small, sizeof small, NULL);
    CU_ASSERT_STRING_EQUAL(small, "");
}

static void *fail_elsewhere(void *arg)
{
    bool *fresh = arg;
    *fresh = rri_error_last()->code == 0 && blank(rri_error_last());
    rri_fail(RREF_ERR_TIMEOUT, "theirs");
    return NULL;
}

static void is_each_threads_own(void)
{
    pthread_t thread;
    bool fresh = false;
    rri_fail(RREF_ERR_STATE, "mine");
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, fail_elsewhere, &fresh) == 0);
    pthread_join(thread, NULL);
    CU_ASSERT(fresh);
    CU_ASSERT_EQUAL(rri_error_last()->code, RREF_ERR_STATE);
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text, "mine");
}

/* ---- names --------------------------------------------------------------------------------------------------- */

#define CODE(name) { name, #name }
static const struct {
    int code;
    const char *name;
} codes[] = {
    CODE(RREF_OK), CODE(RREF_PENDING), CODE(RREF_ERR_ARGUMENT), CODE(RREF_ERR_HANDLE), CODE(RREF_ERR_STATE),
    CODE(RREF_ERR_DESTINATION), CODE(RREF_ERR_NO_CLASS), CODE(RREF_ERR_NO_METHOD), CODE(RREF_ERR_SIGNATURE),
    CODE(RREF_ERR_RANGE), CODE(RREF_ERR_SHAPE), CODE(RREF_ERR_CLASS_EXISTS), CODE(RREF_ERR_CLASS_MISMATCH),
    CODE(RREF_ERR_NO_OBJECT), CODE(RREF_ERR_NOT_OWNER), CODE(RREF_ERR_NO_MEMORY), CODE(RREF_ERR_TIMEOUT),
    CODE(RREF_ERR_PENDING), CODE(RREF_ERR_COMPLETED), CODE(RREF_ERR_NOT_PROMISE), CODE(RREF_ERR_CANCELLED),
    CODE(RREF_ERR_TRUNCATED), CODE(RREF_ERR_WOULD_BLOCK), CODE(RREF_ERR_THREAD), CODE(RREF_ERR_FINALIZED),
    CODE(RREF_ERR_FORKED), CODE(RREF_ERR_MPI), CODE(RREF_ERR_SYSTEM), CODE(RREF_ERR_PROTOCOL), CODE(RREF_ERR_OPTION),
    CODE(RREF_ERR_ONEWAY), CODE(RREF_ERR_STALLED), CODE(RREF_ERR_TOO_DEEP), CODE(RREF_ERR_WEIGHT),
    CODE(RREF_ERR_BLOCKING), CODE(RREF_ERR_REENTRANT), CODE(RREF_ERR_NAME_TAKEN), CODE(RREF_ERR_NO_NAME),
    CODE(RREF_ERR_DEADLOCK),
    CODE(RREF_ERR_PEER_LOST),
    CODE(RREF_ERR_RESULT_DROPPED),
    CODE(RREF_ERR_USER),
};
enum { CODES = sizeof codes / sizeof *codes };

static void names_codes(void)
{
    for (int i = 0; i < CODES; i++) {
        CU_ASSERT_STRING_EQUAL(rref_error_name(codes[i].code), codes[i].name);
        for (int j = 0; j < i; j++)
            CU_ASSERT_STRING_NOT_EQUAL(rref_strerror(codes[i].code), rref_strerror(codes[j].code));
    }
    CU_ASSERT_STRING_EQUAL(rref_error_name(-1001), "RREF_ERR_USER");
    CU_ASSERT_STRING_EQUAL(rref_error_name(INT32_MIN), "RREF_ERR_USER");
    const int unknown[] = { 2, INT32_MAX, -CODES + 2, -999 };
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_STRING_EQUAL(rref_error_name(unknown[i]), "RREF_UNKNOWN");
        CU_ASSERT_STRING_EQUAL(rref_strerror(unknown[i]), "no known status");
    }
}

/* ---- the printed form ---------------------------------------------------------------------------------------- */

static const struct {
    rref_error error;
    const char *printed;
} forms[] = {
    { { RREF_ERR_SHAPE, 1, 0, 0, 9, "node17", "field.norm", "solver.c:41", "5 values" },
      "rank 1 (node17) field.norm called from rank 0 at solver.c:41: RREF_ERR_SHAPE: 5 values" },
    { { -1001, 1, 0, 0, 0, "node17", "field.norm", "", "broken" },
      "rank 1 (node17) field.norm called from rank 0: error -1001: broken" },
    { { RREF_ERR_USER, 0, -1, 0, 0, "", "field.norm", "", "" }, "rank 0 field.norm: error -1000" },
    { { RREF_ERR_SHAPE, -1, -1, 0, 0, "", "", "", "text" }, "RREF_ERR_SHAPE: text" },
    { { RREF_ERR_NO_MEMORY, -1, -1, 0, 0, "", "", "", "" }, "RREF_ERR_NO_MEMORY: out of memory" },
    { { RREF_ERR_STATE, -1, -1, 0, 0, "node17", "", "", "text" }, "(node17): RREF_ERR_STATE: text" },
    { { RREF_ERR_STATE, -1, -1, 0, 0, "", "rref_init", "", "text" }, "rref_init: RREF_ERR_STATE: text" },
    { { RREF_ERR_STATE, -1, 2, 0, 0, "", "", "", "text" }, "called from rank 2: RREF_ERR_STATE: text" },
    { { RREF_ERR_STATE, -1, -1, 0, 0, "", "", "a.c:1", "text" }, "at a.c:1: RREF_ERR_STATE: text" },
    { { RREF_ERR_STATE, 5, 4, 1, 0, "n", "a.b", "", "text" },
      "rank 5 (n) a.b called from rank 4 through 1 more rank: RREF_ERR_STATE: text" },
    { { RREF_ERR_STATE, 5, 4, 2, 0, "n", "a.b", "", "text" },
      "rank 5 (n) a.b called from rank 4 through 2 more ranks: RREF_ERR_STATE: text" },
    { { RREF_OK, -1, -1, 0, 0, "", "", "", "" }, "RREF_OK: success" },
    { { 99, -1, -1, 0, 0, "", "", "", "" }, "error 99" },
};
enum { FORMS = sizeof forms / sizeof *forms };

static void prints(void)
{
    char buffer[2048];
    for (int i = 0; i < FORMS; i++) {
        int length = rref_error_format(&forms[i].error, buffer, sizeof buffer);
        CU_ASSERT_EQUAL(length, (int)strlen(forms[i].printed));
        CU_ASSERT_STRING_EQUAL(buffer, forms[i].printed);
    }
}

/* The buffer has its exact size, for sanitizers to see. */
static void prints_cut(void)
{
    const char *whole = forms[0].printed;
    int length = (int)strlen(whole);
    for (size_t size = 0; size <= (size_t)length + 2; size++) {
        char *buffer = malloc(size + 1);
        CU_ASSERT_FATAL(buffer != NULL);
        buffer[size] = '#';
        CU_ASSERT_EQUAL(rref_error_format(&forms[0].error, buffer, size), length);
        CU_ASSERT_EQUAL(buffer[size], '#');
        size_t shown = size == 0 ? 0 : size - 1 < (size_t)length ? size - 1 : (size_t)length;
        CU_ASSERT(memcmp(buffer, whole, shown) == 0 && (size == 0 || buffer[shown] == 0));
        free(buffer);
    }
    CU_ASSERT_EQUAL(rref_error_format(&forms[0].error, NULL, 0), length);
}

static void refuses_null(void)
{
    char buffer[8];
    CU_ASSERT_EQUAL(rref_error_format(NULL, buffer, sizeof buffer), RREF_ERR_ARGUMENT);
    CU_ASSERT_EQUAL(rref_error_format(&forms[0].error, NULL, 8), RREF_ERR_ARGUMENT);
    CU_ASSERT_EQUAL(rri_error_last()->code, RREF_ERR_ARGUMENT);
}

static const check_case cases[] = {
    { "fails", fails },
    { "fills another", fills_another },
    { "fails with its own text", fails_with_its_own_text },
    { "cuts texts", cuts_texts },
    { "is each thread's own", is_each_threads_own },
    { "names codes", names_codes },
    { "prints", prints },
    { "prints cut", prints_cut },
    { "refuses NULL", refuses_null },
    CHECK_END
};
int main(int argc, char **argv) { return check_main(argc, argv, "error", cases); }
