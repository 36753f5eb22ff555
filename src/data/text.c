#include "data/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"

static const size_t k_file_bytes_max = (size_t)1 << 40;

struct text_data {
    crn_str text;         /* all files */
    const uint8_t *split; /* within text */
    uint64_t split_bytes;
    uint64_t length; /* tokens of a sample */
    uint64_t sample_count;
    uint64_t capacity; /* samples that input_ids and labels hold */
    int32_t *input_ids;
    int32_t *labels;
    char *description;
};

/* Names of a folder that may be text. */
struct names {
    char **items;
    size_t count;
    size_t capacity;
};

static cairn_status fail_path(cairn_error *err, const char *path, int e)
{
    cairn_status rc = CAIRN_OK;
    if (e == ENOMEM)
        CRN_FAIL(err, CAIRN_ENOMEM, "data_dir '%s': no memory for its text", path);
    CRN_FAIL(err, CAIRN_EDATA,
             "data_dir '%s': %s; give a text file, a list of text files, or a folder of them", path,
             strerror(e));
out:
    return rc;
}

static cairn_status add_file(const crn_os *os, int dir, const char *name, const char *path,
                             crn_str *text, size_t *file_count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *bytes = NULL;
    size_t size = 0;
    const int e = crn_os_read_file(os, dir, name, k_file_bytes_max, &bytes, &size);
    if (e != 0)
        CRN_TRY_PLAIN(fail_path(err, path, e));
    if (*file_count > 0)
        crn_str_append_bytes(text, "", 1);
    crn_str_append_bytes(text, bytes, size);
    CRN_TRY(err, crn_str_check(text, err), "data_dir '%s'", path);
    (*file_count)++;
out:
    crn_free(bytes);
    return rc;
}

static int collect_name(void *user, const char *name)
{
    struct names *const names = user;
    if (name[0] == '.')
        return 0;
    if (crn_grow(&names->items, &names->capacity, names->count + 1, sizeof(char *), NULL) !=
        CAIRN_OK)
        return ENOMEM;
    names->items[names->count] = crn_strdup(name);
    if (names->items[names->count] == NULL)
        return ENOMEM;
    names->count++;
    return 0;
}

/* By bytes, so that the order does not depend on the locale. */
static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Regular files only: links could name a file twice, folders are not entered. */
static cairn_status add_folder(const crn_os *os, int dir, const char *path, crn_str *text,
                               size_t *file_count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct names names = {0};
    crn_str full = {0};
    const size_t files_before = *file_count;
    int e = os->list(os, dir, collect_name, &names);
    if (e != 0)
        CRN_TRY_PLAIN(fail_path(err, path, e));
    if (names.count > 0)
        qsort(names.items, names.count, sizeof(char *), compare_names);
    for (size_t i = 0; i < names.count; i++) {
        crn_file_stat stat;
        full.length = 0;
        crn_str_printf(&full, "%s/%s", path, names.items[i]);
        CRN_TRY_PLAIN(crn_str_check(&full, err));
        e = os->stat(os, dir, names.items[i], &stat);
        if (e != 0)
            CRN_TRY_PLAIN(fail_path(err, full.text, e));
        if (stat.kind != CRN_FILE_REGULAR)
            continue;
        CRN_TRY_PLAIN(add_file(os, dir, names.items[i], full.text, text, file_count, err));
    }
    if (*file_count == files_before)
        CRN_FAIL(err, CAIRN_EDATA, "data_dir '%s': the folder has no regular files", path);
out:
    for (size_t i = 0; i < names.count; i++)
        crn_free(names.items[i]);
    crn_free(names.items);
    crn_str_dispose(&full);
    return rc;
}

static cairn_status add_path(const crn_os *os, const char *path, crn_str *text, size_t *file_count,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int dir = -1;
    const int e = os->open(os, CRN_OS_CWD, path, CRN_OPEN_DIRECTORY, &dir);
    if (e == 0) {
        rc = add_folder(os, dir, path, text, file_count, err);
        (void)os->close(os, dir); /* only read from */
    } else if (e == ENOTDIR) {
        rc = add_file(os, CRN_OS_CWD, path, path, text, file_count, err);
    } else {
        rc = fail_path(err, path, e);
    }
    return rc;
}

static cairn_status read_all(const crn_os *os, const cairn_opt_list *paths, crn_str *text,
                             size_t *out_file_count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t file_count = 0;
    if (paths->count == 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "data_dir is empty; name a text file or a folder");
    for (size_t i = 0; i < paths->count; i++)
        CRN_TRY_PLAIN(add_path(os, paths->items[i], text, &file_count, err));
    *out_file_count = file_count;
out:
    return rc;
}

/* Chooses the split and counts its samples. */
static cairn_status cut(struct text_data *data, const cairn_text_data_options *options,
                        cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t all = data->text.length;
    const uint64_t val = (uint64_t)floor((double)all * options->val_fraction);
    const bool is_val = strcmp(options->split, "val") == 0;
    const uint64_t bytes = is_val ? val : all - val;
    const uint64_t samples = bytes > 0 ? (bytes - 1) / data->length : 0;
    if (is_val && options->val_fraction == 0.0)
        CRN_FAIL(err, CAIRN_EDATA,
                 "data_dir '%s': the val split is empty, since val_fraction is 0; set it",
                 options->data_dir.items[0]);
    if (samples == 0)
        CRN_FAIL(err, CAIRN_EDATA,
                 "data_dir '%s': the %s split has %" PRIu64 " of %" PRIu64
                 " bytes, fewer than one sample of max_sequence_length %" PRIu64
                 " + 1; give more text, shorter samples, or another val_fraction",
                 options->data_dir.items[0], options->split, bytes, all, data->length);
    data->split = (const uint8_t *)data->text.text + (is_val ? all - val : 0);
    data->split_bytes = bytes;
    data->sample_count = samples;
out:
    return rc;
}

static cairn_status describe(struct text_data *data, const cairn_text_data_options *options,
                             size_t file_count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char bytes[32];
    char files[32];
    char samples[32];
    crn_str text = {0};
    crn_str_append(&text, options->data_dir.items[0]);
    if (options->data_dir.count > 1)
        crn_str_append(&text, ", ...");
    crn_str_printf(&text, " (%s file%s), %s split: %s bytes, %s samples of %" PRIu64 " tokens",
                   crn_format_count(file_count, files), file_count == 1 ? "" : "s", options->split,
                   crn_format_count(data->split_bytes, bytes),
                   crn_format_count(data->sample_count, samples), data->length);
    data->description = crn_str_take(&text);
    CRN_NEED(err, data->description, "the description of the data");
out:
    return rc;
}

static cairn_status reserve(struct text_data *data, size_t count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t tokens = 0;
    if (count <= data->capacity)
        goto out;
    if (!crn_mul_size(count, (size_t)data->length, &tokens))
        CRN_FAIL(err, CAIRN_ENOMEM, "a batch of %zu samples is too large", count);
    crn_free(data->input_ids);
    crn_free(data->labels);
    data->capacity = 0;
    data->input_ids = crn_calloc(tokens, sizeof(int32_t));
    data->labels = crn_calloc(tokens, sizeof(int32_t));
    CRN_NEED(err, data->input_ids, "a batch");
    CRN_NEED(err, data->labels, "a batch");
    data->capacity = count;
out:
    return rc;
}

static cairn_batch_field field(const struct text_data *data, const char *name, size_t count,
                               const int32_t *tokens)
{
    return (cairn_batch_field){.name = name,
                               .dtype = CAIRN_DTYPE_I32,
                               .rank = 2,
                               .shape = {(int64_t)count, (int64_t)data->length},
                               .data = tokens};
}

static cairn_status text_read(void *self, const uint64_t *indices, size_t count, cairn_batch *out,
                              cairn_error *err)
{
    struct text_data *const data = self;
    cairn_status rc = CAIRN_OK;
    const size_t length = (size_t)data->length;
    CRN_TRY_PLAIN(reserve(data, count, err));
    for (size_t b = 0; b < count; b++) {
        if (indices[b] >= data->sample_count)
            CRN_FAIL(err, CAIRN_EINVAL, "sample %" PRIu64 " of %" PRIu64 " does not exist",
                     indices[b], data->sample_count);
        const uint8_t *const from = data->split + indices[b] * data->length;
        for (size_t t = 0; t < length; t++) {
            data->input_ids[b * length + t] = from[t];
            data->labels[b * length + t] = from[t + 1];
        }
    }
    *out = (cairn_batch){.struct_size = sizeof *out,
                         .samples = (int64_t)count,
                         .field_count = 2,
                         .field = {field(data, "input_ids", count, data->input_ids),
                                   field(data, "labels", count, data->labels)}};
out:
    return rc;
}

static uint64_t text_sample_count(const void *self)
{
    const struct text_data *const data = self;
    return data->sample_count;
}

static int64_t text_max_token_id(const void *self)
{
    (void)self; /* the same for every text */
    return UINT8_MAX;
}

static int64_t text_sequence_length(const void *self)
{
    const struct text_data *const data = self;
    return (int64_t)data->length;
}

static const char *text_describe(const void *self)
{
    const struct text_data *const data = self;
    return data->description;
}

static void text_destroy(void *self)
{
    struct text_data *const data = self;
    if (data == NULL)
        return;
    crn_str_dispose(&data->text);
    crn_free(data->input_ids);
    crn_free(data->labels);
    crn_free(data->description);
    crn_free(data);
}

static const cairn_data_ops k_text_ops = {
    .struct_size = sizeof(cairn_data_ops),
    .name = "TextDataProcessor",
    .sample_count = text_sample_count,
    .read = text_read,
    .max_token_id = text_max_token_id,
    .sequence_length = text_sequence_length,
    .describe = text_describe,
    .destroy = text_destroy,
    .may_be_read_ahead = true,
};

static cairn_status check_options(const cairn_text_data_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (options->max_sequence_length < 1 || options->max_sequence_length > 1 << 24)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "max_sequence_length is %" PRId64 "; it must be between 1 and %d",
                 options->max_sequence_length, 1 << 24);
    if (!(options->val_fraction >= 0.0 && options->val_fraction < 1.0))
        CRN_FAIL(err, CAIRN_ECONFIG, "val_fraction is %g; it must be at least 0 and below 1",
                 options->val_fraction);
    if (strcmp(options->split, "train") != 0 && strcmp(options->split, "val") != 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "split is '%s'; it must be train or val", options->split);
out:
    return rc;
}

cairn_status crn_text_data_new_os(const crn_os *os, const cairn_text_data_options *options,
                                  cairn_data *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct text_data *data = NULL;
    size_t file_count = 0;
    CRN_TRY_PLAIN(check_options(options, err));
    data = crn_calloc(1, sizeof *data);
    CRN_NEED(err, data, "the text data");
    data->length = (uint64_t)options->max_sequence_length;
    CRN_TRY_PLAIN(read_all(os, &options->data_dir, &data->text, &file_count, err));
    CRN_TRY_PLAIN(cut(data, options, err));
    CRN_TRY_PLAIN(describe(data, options, file_count, err));
    *out = (cairn_data){.ops = &k_text_ops, .self = data};
    data = NULL;
out:
    text_destroy(data);
    return rc;
}

cairn_status cairn_text_data_new(const cairn_text_data_options *options, cairn_data *out,
                                 cairn_error *err)
{
    return crn_text_data_new_os(crn_os_posix(), options, out, err);
}
