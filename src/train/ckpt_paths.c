/* Patterns of paths, as validate_all takes them: `*`, `?` and `[...]` in any part of a path. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/publish.h"
#include "train/trainer_priv.h"

static const char k_magic[] = "*?[";

cairn_status crn_path_list_add(crn_path_list *list, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *const copy = crn_strdup(path);
    CRN_NEED(err, copy, "a path");
    rc = crn_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items, err);
    if (rc == CAIRN_OK)
        list->items[list->count++] = copy;
    else
        crn_free(copy);
out:
    return rc;
}

void crn_path_list_dispose(crn_path_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        crn_free(list->items[i]);
    crn_free(list->items);
    *list = (crn_path_list){0};
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Runs of digits compare as numbers, so that step 100 comes after step 20. */
static int compare_naturally(const void *left, const void *right)
{
    const char *a = *(const char *const *)left;
    const char *b = *(const char *const *)right;
    while (*a != '\0' && *b != '\0') {
        if (is_digit(*a) && is_digit(*b)) {
            a += strspn(a, "0");
            b += strspn(b, "0");
            const size_t digits = strspn(a, "0123456789");
            const size_t others = strspn(b, "0123456789");
            const int order = digits != others ? (digits < others ? -1 : 1) : strncmp(a, b, digits);
            if (order != 0)
                return order;
            a += digits;
            b += others;
        } else if (*a != *b) {
            break;
        } else {
            a++;
            b++;
        }
    }
    if (*a != *b)
        return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
    return strcmp(*(const char *const *)left, *(const char *const *)right); /* leading zeros */
}

/* Names in one folder that match one part of a pattern. */
struct matching {
    const char *part;
    crn_path_list found;
    cairn_status rc;
};

static int match_name(void *user, const char *name)
{
    struct matching *const matching = user;
    if (fnmatch(matching->part, name, FNM_PERIOD) != 0 || crn_publish_is_private(name))
        return 0; /* "checkpoint_*" does not mean the notes beside them. */
    matching->rc = crn_path_list_add(&matching->found, name, NULL);
    return matching->rc == CAIRN_OK ? 0 : ENOMEM;
}

static int list_matching(const crn_os *os, const char *folder, struct matching *matching)
{
    int fd = -1;
    int e = os->open(os, CRN_OS_CWD, folder[0] != '\0' ? folder : ".", CRN_OPEN_DIRECTORY, &fd);
    if (e == ENOENT || e == ENOTDIR)
        return 0; /* Nothing matches there. */
    if (e != 0)
        return e;
    e = os->list(os, fd, match_name, matching);
    (void)os->close(os, fd); /* only read from */
    return e;
}

/* What @rest finds below @prefix, which ends with "/" or is empty. Depth: the parts of a path. */
static cairn_status expand(const crn_os *os, const char *prefix, const char *rest,
                           crn_path_list *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t length = strcspn(rest, "/");
    const size_t slashes = strspn(rest + length, "/");
    struct matching matching = {0};
    crn_str text = {0};
    crn_file_stat info;
    crn_str_append_bytes(&text, rest, length);
    CRN_TRY_PLAIN(crn_str_check(&text, err));
    matching.part = text.text != NULL ? text.text : "";
    if (strpbrk(matching.part, k_magic) != NULL) {
        const int e = list_matching(os, prefix, &matching);
        if (e != 0)
            CRN_FAIL_ERRNO(err, e, "list '%s'", prefix);
    } else {
        CRN_TRY_PLAIN(crn_path_list_add(&matching.found, matching.part, err));
    }
    for (size_t i = 0; i < matching.found.count; i++) {
        crn_str next = {0};
        crn_str_printf(&next, "%s%s%.*s", prefix, matching.found.items[i], (int)slashes,
                       rest + length);
        rc = crn_str_check(&next, err);
        if (rc == CAIRN_OK && rest[length + slashes] != '\0')
            rc = expand(os, next.text, rest + length + slashes, out, err);
        else if (rc == CAIRN_OK && os->stat(os, CRN_OS_CWD, next.text, &info) == 0)
            rc = crn_path_list_add(out, next.text, err);
        crn_str_dispose(&next);
        CRN_TRY_PLAIN(rc);
    }
out:
    crn_path_list_dispose(&matching.found);
    crn_str_dispose(&text);
    return rc;
}

cairn_status crn_path_list_expand(const crn_os *os, const char *const *patterns, size_t count,
                                  crn_path_list *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_file_stat info;
    for (size_t i = 0; i < count; i++) {
        const size_t before = out->count;
        if (strpbrk(patterns[i], k_magic) == NULL) {
            if (os->stat(os, CRN_OS_CWD, patterns[i], &info) == ENOENT)
                CRN_FAIL(err, CAIRN_ENOTFOUND, "there is no checkpoint '%s'", patterns[i]);
            CRN_TRY_PLAIN(crn_path_list_add(out, patterns[i], err));
            continue;
        }
        CRN_TRY_PLAIN(expand(os, "", patterns[i], out, err));
        if (out->count == before)
            CRN_FAIL(err, CAIRN_ENOTFOUND, "no file matches '%s'", patterns[i]);
        qsort(out->items + before, out->count - before, sizeof *out->items, compare_naturally);
    }
out:
    return rc;
}
