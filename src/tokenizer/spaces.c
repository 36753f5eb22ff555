/* A text as SentencePiece wants it, piece by piece. */
#include <string.h>

#include "base/try.h"
#include "format/utf8.h"
#include "tokenizer/normalizer.h"

static const char k_mark[] = "\xe2\x96\x81"; /* U+2581 */

/* The rule, or the character without one, that a text begins with. */
struct prefix {
    const char *text; /* what it becomes */
    size_t length;
    size_t used;
};

/* False: more text decides. */
static bool find_prefix(const crn_spaces *spaces, const char *text, size_t size, bool is_end,
                        struct prefix *out)
{
    bool is_open = false;
    size_t used = crn_trie_longest(spaces->user_defined, text, size, &is_open);
    if (is_open && !is_end)
        return false;
    *out = (struct prefix){.text = text, .length = used, .used = used};
    if (used > 0)
        return true;
    used = crn_charsmap_longest(&spaces->charsmap, text, size, &out->text, &out->length, &is_open);
    if (is_open && !is_end)
        return false;
    if (used == 0)
        (void)crn_utf8_decode(text, &used);
    out->length = out->text == text ? used : out->length;
    out->used = used;
    return true;
}

static const char *space_of(const crn_spaces *spaces)
{
    return spaces->escapes ? k_mark : " ";
}

/* A space of the result; those at its end may be dropped. */
static void put_space(const crn_spaces *spaces, crn_normalizing *state, crn_str *out)
{
    if (spaces->removes_extra)
        state->spaces++;
    else
        crn_str_append(out, space_of(spaces));
}

static void put(const crn_spaces *spaces, crn_normalizing *state, const struct prefix *prefix,
                crn_str *out)
{
    const char *const space = space_of(spaces);
    const size_t width = strlen(space);
    size_t at = 0;
    while (state->is_behind_space && at < prefix->length && prefix->text[at] == ' ')
        at++;
    if (at < prefix->length)
        state->is_behind_space = spaces->removes_extra && prefix->text[prefix->length - 1] == ' ';
    while (at < prefix->length) {
        const bool is_mark =
            prefix->length - at >= width && memcmp(prefix->text + at, space, width) == 0;
        if (is_mark || (spaces->escapes && prefix->text[at] == ' ')) {
            put_space(spaces, state, out);
            at += is_mark ? width : 1;
            continue;
        }
        for (; state->spaces > 0; state->spaces--)
            crn_str_append(out, space);
        crn_str_append_bytes(out, prefix->text + at++, 1);
    }
}

cairn_status crn_spaces_add(const crn_spaces *spaces, crn_normalizing *state, const char *text,
                            size_t size, bool is_end, crn_str *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str *const held = &state->held;
    struct prefix prefix = {0};
    size_t at = 0;
    crn_str_append_bytes(held, text, size);
    CRN_TRY_PLAIN(crn_str_check(held, err));
    while (at < held->length &&
           find_prefix(spaces, held->text + at, held->length - at, is_end, &prefix)) {
        at += prefix.used;
        if (!state->is_begun && spaces->removes_extra && prefix.length == 1 &&
            prefix.text[0] == ' ')
            continue;
        if (!state->is_begun) {
            state->is_begun = true;
            state->is_behind_space = spaces->removes_extra;
            if (spaces->begins_with_dummy)
                put_space(spaces, state, out);
        }
        put(spaces, state, &prefix, out);
    }
    crn_str_drop(held, at);
    if (is_end) {
        if (state->is_begun && spaces->ends_with_dummy)
            crn_str_append(out, space_of(spaces));
        state->is_begun = false;
        state->spaces = 0;
    }
    rc = crn_str_check(out, err);
out:
    return rc;
}
