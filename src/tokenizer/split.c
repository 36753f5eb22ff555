/*
 * PCRE2 does the matching. Such files are written for Oniguruma: where both understand a pattern
 * differently it is translated, or refused.
 */
#include "tokenizer/split.h"

#include <stdint.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "format/utf8.h"

enum {
    PATTERN_BYTES_MAX = 1 << 16,
    NEST_MAX = 32,
    MATCH_STEPS_MAX = 50 * 1000 * 1000, /* of one search; ordinary ones take some hundred */
    HEAP_KIB_MAX = 64 * 1024,
    JIT_STACK_MIN = 32 * 1024,
    JIT_STACK_MAX = 1024 * 1024
};

struct crn_splitter {
    char *pattern; /* as it was given */
    pcre2_code *code;
    bool drops_gaps;
    bool drops_matches;
    bool is_character;
};

struct crn_search {
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

/* ---- Translation ---- */

struct translation {
    const char *pattern;
    size_t length;
    size_t at;
    crn_str out;
    bool is_in_class;
};

static void copy(struct translation *t, size_t count)
{
    crn_str_append_bytes(&t->out, t->pattern + t->at, count);
    t->at += count;
}

static char peek(const struct translation *t, size_t ahead)
{
    return t->at + ahead < t->length ? t->pattern[t->at + ahead] : '\0';
}

/* \p{Han}: to PCRE2 a bare name of a script means its extensions too. */
static cairn_status translate_property(struct translation *t, cairn_error *err)
{
    static const char *const k_others[] = {"Any", "Alphabetic", "Join_Control"};
    cairn_status rc = CAIRN_OK;
    const char *const name = t->pattern + t->at + 3;
    const char *const end = peek(t, 2) == '{' ? memchr(name, '}', t->length - t->at - 3) : NULL;
    if (end == NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "a \\p without a name in braces");
    const size_t length = (size_t)(end - name);
    bool is_script = length > 2 && name[0] != '^';
    for (size_t i = 0; i < sizeof k_others / sizeof k_others[0]; i++)
        is_script =
            is_script && (strlen(k_others[i]) != length || memcmp(name, k_others[i], length) != 0);
    crn_str_printf(&t->out, "\\%c{%s%.*s}", peek(t, 1), is_script ? "sc:" : "", (int)length, name);
    t->at += 3 + length + 1;
out:
    return rc;
}

static cairn_status translate_escape(struct translation *t, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char c = peek(t, 1);
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool is_digit = c >= '0' && c <= '9';
    if (c == 's' || c == 'S') {
        /* PCRE2's own has U+180E too, which is no white space any more. */
        crn_str_append(&t->out, c == 's' ? "\\p{wspace}" : "\\P{wspace}");
        t->at += 2;
    } else if (c == 'p' || c == 'P') {
        CRN_TRY_PLAIN(translate_property(t, err));
    } else if (c == '\0' || is_digit || (is_letter && strchr("dDnrt", c) == NULL)) {
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "this version lacks '\\%c' in a pattern", c);
    } else {
        copy(t, 2);
    }
out:
    return rc;
}

/* "(": only groups that mean the same to both. */
static cairn_status check_group(const struct translation *t, cairn_error *err)
{
    static const char *const k_known[] = {"(?:", "(?=", "(?!", "(?>", "(?i:"};
    cairn_status rc = CAIRN_OK;
    bool is_known = peek(t, 1) != '?' && peek(t, 1) != '*';
    for (size_t i = 0; i < sizeof k_known / sizeof k_known[0]; i++) {
        const size_t length = strlen(k_known[i]);
        is_known = is_known || (t->length - t->at >= length &&
                                memcmp(t->pattern + t->at, k_known[i], length) == 0);
    }
    if (!is_known)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "this version lacks the group '%.4s' in a pattern",
                 t->pattern + t->at);
out:
    return rc;
}

/* "{1,3}": what follows it means something else to PCRE2. */
static cairn_status translate_count(struct translation *t, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t digits = strspn(t->pattern + t->at + 1, "0123456789,");
    const char after = peek(t, digits + 2);
    if (digits == 0 || peek(t, digits + 1) != '}' || peek(t, 1) == ',')
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "a pattern has a '{' that is no count");
    if (after == '+' || after == '?' || after == '*')
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "this version lacks '%c' after a count in a pattern",
                 after);
    copy(t, digits + 2);
out:
    return rc;
}

static cairn_status translate_one(struct translation *t, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char c = peek(t, 0);
    if (c == '\\') {
        CRN_TRY_PLAIN(translate_escape(t, err));
        goto out;
    }
    if (t->is_in_class) {
        if (c == '[' || (c == '&' && peek(t, 1) == '&'))
            CRN_FAIL(err, CAIRN_EUNSUPPORTED, "this version lacks sets within sets in a pattern");
        t->is_in_class = c != ']';
        copy(t, 1);
        goto out;
    }
    if (c == '^' || c == '$')
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "this version lacks '%c' in a pattern", c);
    if (c == '(')
        CRN_TRY_PLAIN(check_group(t, err));
    if (c == '{') {
        CRN_TRY_PLAIN(translate_count(t, err));
        goto out;
    }
    t->is_in_class = c == '[';
    copy(t, 1);
    if (t->is_in_class && peek(t, 0) == '^')
        copy(t, 1);
    if (t->is_in_class && peek(t, 0) == ']')
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "a set in a pattern begins with ']'");
out:
    return rc;
}

static cairn_status translate(const char *pattern, crn_str *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct translation t = {.pattern = pattern, .length = strlen(pattern)};
    while (t.at < t.length)
        CRN_TRY_PLAIN(translate_one(&t, err));
    CRN_TRY_PLAIN(crn_str_check(&t.out, err));
    *out = t.out;
    t.out = (crn_str){0};
out:
    crn_str_dispose(&t.out);
    return rc;
}

/* ---- Compiling ---- */

static cairn_status compile(crn_splitter *splitter, const char *text, size_t length,
                            uint32_t options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int problem = 0;
    size_t offset = 0;
    uint32_t matches_empty = 0;
    uint32_t looks_back = 0;
    pcre2_compile_context *const context = pcre2_compile_context_create(NULL);
    CRN_NEED(err, context, "a pattern");
    (void)pcre2_set_parens_nest_limit(context, NEST_MAX);
    (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    splitter->code =
        pcre2_compile((PCRE2_SPTR)text, length, options | PCRE2_UTF, &problem, &offset, context);
    if (splitter->code == NULL) {
        PCRE2_UCHAR words[120] = {0};
        (void)pcre2_get_error_message(problem, words, sizeof words);
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "PCRE2 cannot read a pattern: %s", (char *)words);
    }
    (void)pcre2_pattern_info(splitter->code, PCRE2_INFO_MATCHEMPTY, &matches_empty);
    (void)pcre2_pattern_info(splitter->code, PCRE2_INFO_MAXLOOKBEHIND, &looks_back);
    if (matches_empty != 0 || looks_back != 0)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "this version lacks patterns that %s",
                 looks_back != 0 ? "look back" : "match an empty text");
    /* Without it, it is only slower. */
    (void)pcre2_jit_compile(splitter->code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
out:
    pcre2_compile_context_free(context);
    return rc;
}

/* A plain text as a pattern. */
static void append_escaped(crn_str *out, const char *text)
{
    for (; *text != '\0'; text++) {
        const bool is_plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                              (*text >= '0' && *text <= '9') || (uint8_t)*text >= 0x80;
        crn_str_append_bytes(out, is_plain ? text : "\\", 1);
        if (!is_plain)
            crn_str_append_bytes(out, text, 1);
    }
}

/* Lets @one, which matches what divides, match whole pieces. */
static void widen(crn_str *out, const char *one, crn_split_kind kind)
{
    if (kind == CRN_SPLIT_CONTIGUOUS)
        crn_str_printf(out, "(?:%s)+", one);
    else if (kind == CRN_SPLIT_MERGE_BEFORE)
        crn_str_printf(out, "(?s:(?:(?!%s).)*(?:%s)|(?:(?!%s).)+)", one, one, one);
    else if (kind == CRN_SPLIT_MERGE_AFTER)
        crn_str_printf(out, "(?s:(?:%s)(?:(?!%s).)*|(?:(?!%s).)+)", one, one, one);
    else
        crn_str_append(out, one);
}

cairn_status crn_splitter_new(const char *pattern, bool is_literal, crn_split_kind kind,
                              crn_splitter **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str one = {0};
    crn_str text = {0};
    crn_splitter *splitter = NULL;
    size_t first = 0;
    const size_t length = strlen(pattern);
    if (length == 0 || length > PATTERN_BYTES_MAX)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "a pattern of %zu bytes; 1 to %d are allowed", length,
                 PATTERN_BYTES_MAX);
    splitter = crn_calloc(1, sizeof *splitter);
    CRN_NEED(err, splitter, "a pattern");
    splitter->pattern = crn_strdup(pattern);
    CRN_NEED(err, splitter->pattern, "a pattern");
    splitter->drops_gaps = kind == CRN_SPLIT_DROP_GAPS;
    splitter->drops_matches = kind == CRN_SPLIT_DROP_MATCHES;
    (void)crn_utf8_decode(pattern, &first);
    splitter->is_character = is_literal && first == length;
    if (is_literal)
        append_escaped(&one, pattern);
    else
        CRN_TRY_PLAIN(translate(pattern, &one, err));
    CRN_TRY_PLAIN(crn_str_check(&one, err));
    widen(&text, one.text, kind);
    CRN_TRY_PLAIN(crn_str_check(&text, err));
    CRN_TRY_PLAIN(
        compile(splitter, text.text, text.length, PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, err));
    *out = splitter;
    splitter = NULL;
out:
    crn_str_dispose(&one);
    crn_str_dispose(&text);
    crn_splitter_destroy(splitter);
    return rc;
}

void crn_splitter_destroy(crn_splitter *splitter)
{
    if (splitter == NULL)
        return;
    pcre2_code_free(splitter->code);
    crn_free(splitter->pattern);
    crn_free(splitter);
}

bool crn_splitter_is_character(const crn_splitter *splitter)
{
    return splitter->is_character;
}

const char *crn_splitter_pattern(const crn_splitter *splitter)
{
    return splitter->pattern;
}

/* ---- Searching ---- */

crn_search *crn_search_new(void)
{
    crn_search *const search = crn_calloc(1, sizeof *search);
    if (search == NULL)
        return NULL;
    search->match = pcre2_match_data_create(1, NULL);
    search->context = pcre2_match_context_create(NULL);
    search->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
    if (search->match == NULL || search->context == NULL || search->stack == NULL) {
        crn_search_destroy(search);
        return NULL;
    }
    (void)pcre2_set_match_limit(search->context, MATCH_STEPS_MAX);
    (void)pcre2_set_heap_limit(search->context, HEAP_KIB_MAX);
    pcre2_jit_stack_assign(search->context, NULL, search->stack);
    return search;
}

void crn_search_destroy(crn_search *search)
{
    if (search == NULL)
        return;
    pcre2_match_data_free(search->match);
    pcre2_match_context_free(search->context);
    pcre2_jit_stack_free(search->stack);
    crn_free(search);
}

cairn_status crn_splitter_next(const crn_splitter *splitter, crn_search *search, const char *text,
                               size_t size, size_t from, bool is_end, crn_span *out_gap,
                               crn_span *out_match, bool *out_found, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_span gap = {from, size};
    crn_span match = {size, size};
    *out_found = false;
    if (from == size)
        goto out;
    /* A hard partial match: one that looked at the end of the text is no match yet. */
    const uint32_t options = PCRE2_NO_UTF_CHECK | (is_end ? 0 : PCRE2_PARTIAL_HARD);
    const int found = pcre2_match(splitter->code, (PCRE2_SPTR)text, size, from, options,
                                  search->match, search->context);
    if (found >= 0) {
        const size_t *const where = pcre2_get_ovector_pointer(search->match);
        gap.end = where[0];
        match = (crn_span){where[0], where[1]};
    } else if (found != PCRE2_ERROR_NOMATCH && found != PCRE2_ERROR_PARTIAL) {
        CRN_FAIL(err, CAIRN_EDATA,
                 "the pattern of the tokenizer takes too long in a text (PCRE2 error %d)", found);
    } else if (!is_end) {
        goto out;
    }
    *out_gap = splitter->drops_gaps ? (crn_span){gap.end, gap.end} : gap;
    *out_match = splitter->drops_matches ? (crn_span){match.end, match.end} : match;
    *out_found = true;
out:
    return rc;
}
