#include "ckpt/publish_folder.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "ckpt/names.h"

enum { RANDOM_BYTES = 8 };

/* "a/b/" is "b" in "a"; "b" is in ".". */
static cairn_status split(crn_publish_folder *p, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str text = {0};
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    crn_str_append_bytes(&text, path + begin, end - begin);
    p->name = crn_str_take(&text);
    crn_str_append_bytes(&text, begin > 0 ? path : ".", begin > 0 ? begin : 1);
    p->parent_path = crn_str_take(&text);
    CRN_NEED(err, p->name, "a path");
    CRN_NEED(err, p->parent_path, "a path");
    if (p->name[0] == '\0' || strcmp(p->name, ".") == 0 || strcmp(p->name, "..") == 0)
        CRN_FAIL(err, CAIRN_EINVAL, "'%s' is no name for a new folder", path);
out:
    return rc;
}

static cairn_status make_part_path(crn_publish_folder *p, const crn_os *os, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t random[RANDOM_BYTES];
    char digits[2 * RANDOM_BYTES + 1];
    crn_str text = {0};
    const int e = os->random(os, random, sizeof random);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "draw a private name for '%s'", p->name);
    crn_hex(random, sizeof random, digits);
    crn_str_printf(&text, "%s/.%s.%s.part", p->parent_path, p->name, digits);
    p->part_path = crn_str_take(&text);
    CRN_NEED(err, p->part_path, "a path");
out:
    return rc;
}

/* The last part of the private folder's path. */
static const char *part_name(const crn_publish_folder *p)
{
    return p->part_path + strlen(p->parent_path) + 1;
}

cairn_status crn_publish_folder_begin(crn_publish_folder *out, const crn_os *os, const char *path,
                                      cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_file_stat info;
    *out = (crn_publish_folder){.inside = {.os = os, .fd = -1}, .parent = {.os = os, .fd = -1}};
    CRN_TRY_PLAIN(split(out, path, err));
    int e = os->make_dirs(os, out->parent_path);
    if (e == 0)
        e = os->open(os, CRN_OS_CWD, out->parent_path, CRN_OPEN_DIRECTORY, &out->parent.fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open the folder '%s'", out->parent_path);
    out->parent.path = out->parent_path;
    e = os->stat(os, out->parent.fd, out->name, &info);
    if (e == 0)
        CRN_FAIL(err, CAIRN_EEXISTS, "'%s' exists already; nothing is overwritten", path);
    if (e != ENOENT)
        CRN_FAIL_ERRNO(err, e, "look for '%s'", path);
    CRN_TRY_PLAIN(make_part_path(out, os, err));
    e = os->make_dirs(os, out->part_path);
    if (e == 0)
        e = os->open(os, CRN_OS_CWD, out->part_path, CRN_OPEN_DIRECTORY, &out->inside.fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "make the folder '%s'", out->part_path);
    out->inside.path = out->part_path;
out:
    return rc;
}

/* @from, in the parent, gets the final name. */
static cairn_status rename_to_name(crn_publish_folder *p, const char *from, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = p->parent.os;
    int e = os->rename_new(os, p->parent.fd, from, p->name);
    if (e == EEXIST)
        CRN_FAIL(err, CAIRN_EEXISTS, "'%s/%s' exists already; nothing is overwritten",
                 p->parent_path, p->name);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "rename '%s/%s' to '%s'", p->parent_path, from, p->name);
    p->is_published = true;
    e = os->sync(os, p->parent.fd);
    if (e != 0)
        CRN_FAIL(err, CAIRN_EUNKNOWN,
                 "'%s/%s' is complete, but fsync of its folder failed: it may not survive a power "
                 "cut",
                 p->parent_path, p->name);
out:
    return rc;
}

cairn_status crn_publish_folder_commit(crn_publish_folder *p, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = p->parent.os;
    const int e = os->sync(os, p->inside.fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "fsync folder '%s'", p->part_path);
    CRN_TRY_PLAIN(rename_to_name(p, part_name(p), err));
out:
    return rc;
}

static int note_name(void *user, const char *name)
{
    return crn_name_list_add(user, name, NULL) == CAIRN_OK ? 0 : ENOMEM;
}

/* What cannot be removed stays: it has a private name. */
static void discard(const crn_publish_folder *p)
{
    const crn_os *const os = p->inside.os;
    crn_name_list names = {0};
    if (os->list(os, p->inside.fd, note_name, &names) == 0) {
        for (size_t i = 0; i < names.count; i++)
            (void)os->unlink(os, p->inside.fd, names.items[i]);
    }
    (void)os->remove_folder(os, p->parent.fd, part_name(p));
    crn_name_list_dispose(&names);
}

cairn_status crn_publish_folder_commit_file(crn_publish_folder *p, const char *name,
                                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str from = {0};
    crn_str_printf(&from, "%s/%s", part_name(p), name);
    CRN_TRY_PLAIN(crn_str_check(&from, err));
    CRN_TRY_PLAIN(rename_to_name(p, from.text, err));
out:
    if (p->is_published)
        discard(p); /* It has given away what it held. */
    crn_str_dispose(&from);
    return rc;
}

void crn_publish_folder_end(crn_publish_folder *p)
{
    if (p->inside.fd >= 0 && !p->is_published)
        discard(p);
    if (p->inside.fd >= 0)
        (void)p->inside.os->close(p->inside.os, p->inside.fd); /* Its sync is done. */
    if (p->parent.fd >= 0)
        (void)p->parent.os->close(p->parent.os, p->parent.fd);
    crn_free(p->name);
    crn_free(p->part_path);
    crn_free(p->parent_path);
    *p = (crn_publish_folder){.inside = {.fd = -1}, .parent = {.fd = -1}};
}
