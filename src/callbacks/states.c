#include "callbacks/states.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"

/* Characters of a state's name, and room for one in a message. */
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
enum { SHOWN_SIZE = 64, NAMES_MAX = 64 };

/* Cuts the first name off *rest (up to a comma) and trims it; false at the end. */
static bool next_name(const char **rest, const char **out_name, size_t *out_length)
{
    if (*rest == NULL)
        return false;
    const char *begin = *rest;
    size_t length = strcspn(begin, ",");
    *rest = begin[length] == ',' ? begin + length + 1 : NULL;
    while (length > 0 && isspace((unsigned char)begin[0])) {
        begin++;
        length--;
    }
    while (length > 0 && isspace((unsigned char)begin[length - 1]))
        length--;
    *out_name = begin;
    *out_length = length;
    return true;
}

static bool has_name(const char *joined, const char *name, size_t length)
{
    const char *other = NULL;
    size_t other_length = 0;
    while (next_name(&joined, &other, &other_length))
        if (other_length == length && strncmp(other, name, length) == 0)
            return true;
    return false;
}

static cairn_status join_item(const char *who, const char *item, crn_str *joined, bool *is_all,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *name = NULL;
    size_t length = 0;
    char shown[SHOWN_SIZE];
    while (next_name(&item, &name, &length)) {
        if (length == 0)
            CRN_FAIL(err, CAIRN_ECONFIG, "%s: the list of states has an empty name", who);
        if (strspn(name, NAME_CHARACTERS) < length)
            CRN_FAIL(err, CAIRN_ECONFIG, "%s: '%s' is no name of a state", who,
                     crn_escape(name, length, shown, sizeof shown));
        if (length == 3 && strncasecmp(name, "all", length) == 0)
            *is_all = true;
        if (joined->text != NULL && has_name(joined->text, name, length))
            continue;
        crn_str_append(joined, joined->length > 0 ? "," : "");
        crn_str_append_bytes(joined, name, length);
    }
out:
    return rc;
}

cairn_status crn_states_join(const char *who, const cairn_opt_list *list, const char *preset,
                             char **out_joined, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str joined = {0};
    bool is_all = false;
    for (size_t i = 0; i < list->count; i++)
        CRN_TRY_PLAIN(join_item(who, list->items[i], &joined, &is_all, err));
    CRN_TRY_PLAIN(crn_str_check(&joined, err));
    char *const text = is_all              ? crn_strdup("all")
                       : joined.length > 0 ? crn_str_take(&joined)
                                           : crn_strdup(preset);
    CRN_NEED(err, text, "the names of states");
    *out_joined = text;
out:
    crn_str_dispose(&joined);
    return rc;
}

/* Says which states there are, and which was probably meant. */
static cairn_status fail_unknown(const char *who, const char *name, const cairn_state_tree *tree,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *names[NAMES_MAX];
    const size_t all = cairn_state_tree_count(tree);
    const size_t count = all < NAMES_MAX ? all : NAMES_MAX;
    crn_str there = {0};
    for (size_t i = 0; i < count; i++) {
        names[i] = cairn_state_name(cairn_state_tree_at(tree, i));
        crn_str_printf(&there, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    const char *const nearest = crn_nearest(name, names, count);
    CRN_TRY_PLAIN(crn_str_check(&there, err));
    CRN_FAIL(err, CAIRN_ECONFIG, "%s: there is no state '%s'%s%s%s The states are: %s", who, name,
             nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
             nearest != NULL ? "'?" : ".", there.text);
out:
    crn_str_dispose(&there);
    return rc;
}

cairn_status crn_states_check(const char *who, const char *joined, const cairn_state_tree *tree,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *rest = joined;
    const char *name = NULL;
    size_t length = 0;
    crn_str text = {0};
    if (strcmp(joined, "all") == 0)
        goto out;
    while (next_name(&rest, &name, &length)) {
        text.length = 0;
        crn_str_append_bytes(&text, name, length);
        CRN_TRY_PLAIN(crn_str_check(&text, err));
        if (cairn_state_tree_find(tree, text.text) == NULL)
            CRN_TRY_PLAIN(fail_unknown(who, text.text, tree, err));
    }
out:
    crn_str_dispose(&text);
    return rc;
}

cairn_status crn_states_check_template(const char *who, const char *name_template, cairn_error *err)
{
    static const char *const k_fields[] = {"{checkpoint_states}", "{ckpt_name}"};
    cairn_status rc = CAIRN_OK;
    bool has_field[2] = {false, false};
    char shown[SHOWN_SIZE];
    (void)crn_escape(name_template, strlen(name_template), shown, sizeof shown);
    for (const char *at = name_template; *at != '\0'; at++) {
        const size_t i = crn_starts_with(at, k_fields[0]) ? 0 : 1;
        if (*at == '/')
            CRN_FAIL(err, CAIRN_ECONFIG, "%s: checkpoint_name '%s' must not have a '/'", who,
                     shown);
        if (*at != '{' && *at != '}')
            continue;
        if (!crn_starts_with(at, k_fields[i]))
            CRN_FAIL(err, CAIRN_ECONFIG,
                     "%s: checkpoint_name '%s' may have the fields {checkpoint_states} and "
                     "{ckpt_name} only",
                     who, shown);
        has_field[i] = true;
        at += strlen(k_fields[i]) - 1;
    }
    for (size_t i = 0; i < 2; i++)
        if (!has_field[i])
            CRN_FAIL(err, CAIRN_ECONFIG, "%s: checkpoint_name '%s' lacks the field %s", who, shown,
                     k_fields[i]);
    if (name_template[0] == '.')
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: checkpoint_name '%s' must not begin with a '.'", who,
                 shown);
out:
    return rc;
}
