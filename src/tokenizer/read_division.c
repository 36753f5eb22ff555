/* Pre-tokenizers of a tokenizer.json: what divides a text into pieces. */
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "tokenizer/read.h"

/* What the package `tokenizers` calls these; SplitDelimiterBehavior in its normalizer.rs. */
static bool kind_of(const char *behavior, bool is_inverted, crn_split_kind *out)
{
    static const struct {
        const char *behavior;
        crn_split_kind kind;
        crn_split_kind inverted; /* DROP_MATCHES also where there is no such */
    } k_kinds[] = {
        {"Isolated", CRN_SPLIT_ISOLATED, CRN_SPLIT_ISOLATED},
        {"Removed", CRN_SPLIT_DROP_MATCHES, CRN_SPLIT_DROP_GAPS},
        {"Contiguous", CRN_SPLIT_CONTIGUOUS, CRN_SPLIT_CONTIGUOUS},
        {"MergedWithPrevious", CRN_SPLIT_MERGE_BEFORE, CRN_SPLIT_DROP_MATCHES},
        {"MergedWithNext", CRN_SPLIT_MERGE_AFTER, CRN_SPLIT_DROP_MATCHES},
    };
    for (size_t i = 0; i < sizeof k_kinds / sizeof k_kinds[0]; i++) {
        if (strcmp(k_kinds[i].behavior, behavior) != 0)
            continue;
        *out = is_inverted ? k_kinds[i].inverted : k_kinds[i].kind;
        return !is_inverted || k_kinds[i].inverted != CRN_SPLIT_DROP_MATCHES;
    }
    return false;
}

cairn_status crn_read_pattern(const json_t *pattern, crn_split_kind kind, crn_splitter **out,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const regex = json_string_value(crn_member(pattern, "Regex"));
    const char *const literal = json_string_value(crn_member(pattern, "String"));
    if (regex == NULL && literal == NULL)
        CRN_FAIL(err, CAIRN_EDATA, "a pattern is neither a Regex nor a String");
    CRN_TRY_PLAIN(crn_splitter_new(regex != NULL ? regex : literal, regex == NULL, kind, out, err));
out:
    return rc;
}

/* Room for one more pattern. */
static cairn_status next_split(cairn_tokenizer *tokenizer, crn_splitter ***out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (tokenizer->split_count == CRN_SPLITS_MAX)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "more than %d pre-tokenizers", CRN_SPLITS_MAX);
    *out = &tokenizer->splits[tokenizer->split_count++];
out:
    return rc;
}

static cairn_status add_split(cairn_tokenizer *tokenizer, const char *pattern, crn_split_kind kind,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_splitter **split = NULL;
    CRN_TRY_PLAIN(next_split(tokenizer, &split, err));
    CRN_TRY_PLAIN(crn_splitter_new(pattern, false, kind, split, err));
out:
    return rc;
}

static cairn_status read_split(cairn_tokenizer *tokenizer, const json_t *item, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const behavior = json_string_value(crn_member(item, "behavior"));
    const bool is_inverted = crn_flag(item, "invert", false);
    crn_split_kind kind = CRN_SPLIT_ISOLATED;
    crn_splitter **split = NULL;
    if (behavior == NULL || !kind_of(behavior, is_inverted, &kind))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "a Split has the behavior %s%s; this version lacks it",
                 behavior != NULL ? behavior : "?", is_inverted ? " with invert" : "");
    CRN_TRY_PLAIN(next_split(tokenizer, &split, err));
    CRN_TRY_PLAIN(crn_read_pattern(crn_member(item, "pattern"), kind, split, err));
out:
    return rc;
}

static cairn_status read_punctuation(cairn_tokenizer *tokenizer, const json_t *item,
                                     cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const behavior = json_string_value(crn_member(item, "behavior"));
    crn_split_kind kind = CRN_SPLIT_ISOLATED;
    if (behavior != NULL && !kind_of(behavior, false, &kind))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "Punctuation has the behavior %s; this version lacks it",
                 behavior);
    CRN_TRY_PLAIN(add_split(tokenizer, CRN_SPLIT_PUNCTUATION, kind, err));
out:
    return rc;
}

static cairn_status read_metaspace(cairn_tokenizer *tokenizer, const json_t *item, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_mark *const mark = &tokenizer->mark;
    const char *const text = json_string_value(crn_member(item, "replacement"));
    const char *const scheme = json_string_value(crn_member(item, "prepend_scheme"));
    crn_splitter **split = NULL;
    if (text == NULL || text[0] == '\0' || strlen(text) > 4)
        CRN_FAIL(err, CAIRN_EDATA, "a Metaspace has no character to replace spaces by");
    const bool is_never = !crn_flag(item, "add_prefix_space", true) ||
                          (scheme != NULL && strcmp(scheme, "never") == 0);
    *mark = (crn_mark){.text = crn_strdup(text),
                       .length = strlen(text),
                       .level = tokenizer->split_count,
                       .is_put_first = !is_never,
                       .is_put_once = scheme != NULL && strcmp(scheme, "first") == 0};
    CRN_NEED(err, mark->text, "a Metaspace");
    if (mark->is_put_once && mark->level > 0)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "the pre-tokenizer Metaspace has prepend_scheme first after another one");
    if (!crn_flag(item, "split", true))
        goto out;
    CRN_TRY_PLAIN(next_split(tokenizer, &split, err));
    CRN_TRY_PLAIN(crn_splitter_new(text, true, CRN_SPLIT_MERGE_AFTER, split, err));
out:
    return rc;
}

static cairn_status read_byte_level(crn_reader *r, const json_t *item, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    r->is_byte_level = true;
    tokenizer->has_prefix_space = crn_flag(item, "add_prefix_space", true);
    if (tokenizer->has_prefix_space && tokenizer->split_count > 0)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "add_prefix_space after another pre-tokenizer");
    if (crn_flag(item, "use_regex", true))
        CRN_TRY_PLAIN(add_split(tokenizer, CRN_SPLIT_GPT2, CRN_SPLIT_ISOLATED, err));
out:
    return rc;
}

/* One member of a Sequence. */
static cairn_status read_one(crn_reader *r, const json_t *item, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    if (r->is_byte_level || tokenizer->mark.text != NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "a pre-tokenizer stands after %s",
                 r->is_byte_level ? "ByteLevel" : "Metaspace");
    if (crn_has_type(item, "Split")) {
        CRN_TRY_PLAIN(read_split(tokenizer, item, err));
    } else if (crn_has_type(item, "Digits")) {
        const bool is_single = crn_flag(item, "individual_digits", false);
        CRN_TRY_PLAIN(
            add_split(tokenizer, is_single ? "\\p{N}" : "\\p{N}+", CRN_SPLIT_ISOLATED, err));
    } else if (crn_has_type(item, "Punctuation")) {
        CRN_TRY_PLAIN(read_punctuation(tokenizer, item, err));
    } else if (crn_has_type(item, "Whitespace")) {
        CRN_TRY_PLAIN(add_split(tokenizer, CRN_SPLIT_WORDS, CRN_SPLIT_DROP_GAPS, err));
    } else if (crn_has_type(item, "WhitespaceSplit")) {
        CRN_TRY_PLAIN(add_split(tokenizer, "\\s+", CRN_SPLIT_DROP_MATCHES, err));
    } else if (crn_has_type(item, "Metaspace")) {
        CRN_TRY_PLAIN(read_metaspace(tokenizer, item, err));
    } else if (crn_has_type(item, "ByteLevel")) {
        CRN_TRY_PLAIN(read_byte_level(r, item, err));
    } else {
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "this version lacks the pre-tokenizer %s",
                 crn_type_of(item));
    }
out:
    return rc;
}

cairn_status crn_read_division(crn_reader *r, const json_t *whole, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t index = 0;
    const json_t *item = NULL;
    if (whole != NULL && !crn_has_type(whole, "Sequence"))
        return read_one(r, whole, err);
    json_array_foreach(crn_member(whole, "pretokenizers"), index, item)
    {
        CRN_TRY_PLAIN(read_one(r, item, err));
    }
out:
    return rc;
}
