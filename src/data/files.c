#include "data/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"

/* A folder that is being listed. */
struct listing {
    const crn_os *os;
    int dir;
    const char *path;
    const char *suffix;
    const char *word;
    crn_data_files *files;
};

static cairn_status fail_path(cairn_error *err, const char *path, int e)
{
    cairn_status rc = CAIRN_OK;
    if (e == ENOMEM)
        CRN_FAIL(err, CAIRN_ENOMEM, "data_dir '%s': no memory for its names", path);
    CRN_FAIL(err, CAIRN_EDATA, "data_dir '%s': %s", path, strerror(e));
out:
    return rc;
}

static int append(crn_data_files *files, const char *folder, const char *name)
{
    crn_str path = {0};
    if (crn_grow(&files->paths, &files->capacity, files->count + 1, sizeof(char *), NULL) !=
        CAIRN_OK)
        return ENOMEM;
    if (folder != NULL) {
        size_t length = strlen(folder);
        while (length > 1 && folder[length - 1] == '/')
            length--;
        crn_str_append_bytes(&path, folder, length);
        crn_str_append(&path, "/");
    }
    crn_str_append(&path, name);
    files->paths[files->count] = crn_str_take(&path);
    if (files->paths[files->count] == NULL)
        return ENOMEM;
    files->count++;
    return 0;
}

/* Links are taken: data sets are often folders of links into a cache. */
static int collect(void *user, const char *name)
{
    const struct listing *const listing = user;
    const size_t length = strlen(name);
    const size_t suffix = strlen(listing->suffix);
    crn_file_stat stat;
    if (name[0] == '.' || length < suffix || strcmp(name + length - suffix, listing->suffix) != 0 ||
        strstr(name, listing->word) == NULL)
        return 0;
    const int e = listing->os->stat(listing->os, listing->dir, name, &stat);
    if (e != 0)
        return e;
    return stat.kind == CRN_FILE_DIRECTORY ? 0 : append(listing->files, listing->path, name);
}

/* '/' comes before every other byte, so that a folder's files stay together. */
static int compare_paths(const void *a, const void *b)
{
    const char *left = *(char *const *)a;
    const char *right = *(char *const *)b;
    while (*left != '\0' && *left == *right) {
        left++;
        right++;
    }
    const int from = *left == '/' ? 1 : (unsigned char)*left * 2;
    const int to = *right == '/' ? 1 : (unsigned char)*right * 2;
    return from - to;
}

static void sort_from(crn_data_files *files, size_t first)
{
    if (files->count > first)
        qsort(files->paths + first, files->count - first, sizeof(char *), compare_paths);
}

void crn_data_files_sort(crn_data_files *files)
{
    sort_from(files, 0);
}

static cairn_status add_path(const crn_os *os, const char *path, const char *suffix,
                             const char *word, crn_data_files *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct listing listing = {
        .os = os, .dir = -1, .path = path, .suffix = suffix, .word = word, .files = out};
    const size_t before = out->count;
    int e = os->open(os, CRN_OS_CWD, path, CRN_OPEN_DIRECTORY, &listing.dir);
    if (e == ENOTDIR) {
        e = append(out, NULL, path);
    } else if (e == 0) {
        e = os->list(os, listing.dir, collect, &listing);
        sort_from(out, before);
    }
    if (e != 0)
        CRN_TRY_PLAIN(fail_path(err, path, e));
    if (out->count == before)
        CRN_FAIL(err, CAIRN_EDATA, "data_dir '%s': the folder has no file named *%s%s%s", path,
                 word, word[0] != '\0' ? "*" : "", suffix);
out:
    if (listing.dir >= 0)
        (void)os->close(os, listing.dir); /* only read from */
    return rc;
}

cairn_status crn_data_files_find(const crn_os *os, const cairn_opt_list *dirs, const char *suffix,
                                 const char *word, crn_data_files *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (dirs->count == 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "data_dir is empty; name a file or a folder");
    for (size_t i = 0; i < dirs->count; i++)
        CRN_TRY_PLAIN(add_path(os, dirs->items[i], suffix, word, out, err));
out:
    return rc;
}

void crn_data_files_dispose(crn_data_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        crn_free(files->paths[i]);
    crn_free(files->paths);
    *files = (crn_data_files){0};
}
