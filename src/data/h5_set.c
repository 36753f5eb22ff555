#include "data/h5_set.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

static cairn_status check_samples(const crn_h5_set *set, const crn_h5_set_spec *spec,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t tokens = set->data[0].shape[2];
    if (spec->max_sequence_length.is_set && (uint64_t)spec->max_sequence_length.value != tokens)
        CRN_FAIL(err, CAIRN_EDATA,
                 "max_sequence_length is %" PRId64 ", but the samples of '%s' have %" PRIu64
                 " tokens; leave it out",
                 spec->max_sequence_length.value, set->data[0].path, tokens);
    for (size_t i = 1; i < set->files.count; i++) {
        if (set->data[i].rank != set->data[0].rank || set->data[i].shape[2] != tokens)
            CRN_FAIL(err, CAIRN_EDATA, "'%s' and '%s' have samples of different shapes",
                     set->data[0].path, set->data[i].path);
    }
out:
    return rc;
}

static cairn_status check_corpus(const crn_h5_set *set, const crn_h5_set_spec *spec,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!spec->takes_corpus)
        CRN_FAIL(err, CAIRN_EDATA,
                 "'%s' is a corpus of tokens, not of samples [samples, 3, tokens]; "
                 "GptHDF5MapDataProcessor reads it",
                 set->data[0].path);
    if (!spec->max_sequence_length.is_set)
        CRN_FAIL(err, CAIRN_EDATA,
                 "'%s' is a corpus of tokens: max_sequence_length must say into what it is cut",
                 set->data[0].path);
    for (size_t i = 1; i < set->files.count; i++) {
        if (set->data[i].rank != set->data[0].rank)
            CRN_FAIL(err, CAIRN_EDATA, "'%s' is a corpus of tokens, '%s' is not", set->data[0].path,
                     set->data[i].path);
    }
out:
    return rc;
}

/* Samples or tokens of a file. */
static cairn_status count_rows(const crn_h5_set_spec *spec, const crn_h5_data *data, uint64_t *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool is_limited = spec->obeys_n_examples && data->n_examples != UINT64_MAX;
    if (is_limited && data->n_examples > data->shape[0])
        CRN_FAIL(err, CAIRN_EDATA,
                 "data file '%s': n_examples is %" PRIu64 ", but there are %" PRIu64 " samples",
                 data->path, data->n_examples, data->shape[0]);
    *out = is_limited ? data->n_examples : data->shape[0];
out:
    return rc;
}

static cairn_status look_at_files(crn_h5_set *set, crn_h5_client *client,
                                  const crn_h5_set_spec *spec, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    set->data = crn_calloc(set->files.count, sizeof *set->data);
    CRN_NEED(err, set->data, "the list of data files");
    set->first = crn_calloc(set->files.count + 1, sizeof *set->first);
    CRN_NEED(err, set->first, "the list of data files");
    for (size_t i = 0; i < set->files.count; i++) {
        uint64_t rows = 0;
        CRN_TRY_PLAIN(crn_h5_client_look(client, set->files.paths[i], &set->data[i], err));
        CRN_TRY_PLAIN(count_rows(spec, &set->data[i], &rows, err));
        if (rows > UINT64_MAX - set->first[i])
            CRN_FAIL(err, CAIRN_EDATA, "data file '%s' is too large", set->data[i].path);
        set->first[i + 1] = set->first[i] + rows;
    }
out:
    return rc;
}

cairn_status crn_h5_set_open(const crn_os *os, crn_h5_client *client, const crn_h5_set_spec *spec,
                             crn_h5_set *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = (crn_h5_set){0};
    CRN_TRY_PLAIN(crn_data_files_find(os, &spec->data_dir, ".h5", "", &out->files, err));
    crn_data_files_sort(&out->files);
    CRN_TRY_PLAIN(look_at_files(out, client, spec, err));
    out->is_corpus = out->data[0].rank == 1;
    uint64_t samples = out->first[out->files.count];
    if (out->is_corpus) {
        CRN_TRY_PLAIN(check_corpus(out, spec, err));
        out->length = (uint64_t)spec->max_sequence_length.value;
        samples = samples > 0 ? (samples - 1) / out->length : 0;
    } else {
        CRN_TRY_PLAIN(check_samples(out, spec, err));
        out->length = out->data[0].shape[2];
    }
    CRN_TRY_PLAIN(crn_subset_read(spec->data_subset, samples, &out->subset, err));
    if (out->subset.samples == 0)
        CRN_FAIL(err, CAIRN_EDATA, "data_dir '%s' has no sample%s", spec->data_dir.items[0],
                 samples > 0 ? " within data_subset" : "");
out:
    return rc;
}

static size_t file_of(const crn_h5_set *set, uint64_t row)
{
    size_t low = 0;
    size_t high = set->files.count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (set->first[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static cairn_status read_corpus(const crn_h5_set *set, crn_h5_client *client, uint64_t sample,
                                int32_t *tokens, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t at = sample * set->length;
    uint64_t left = set->length + 1;
    for (size_t i = file_of(set, at); left > 0; i++) {
        const uint64_t in_file = set->first[i + 1] - at;
        const uint64_t count = in_file < left ? in_file : left;
        if (count > 0)
            CRN_TRY_PLAIN(
                crn_h5_client_read(client, &set->data[i], at - set->first[i], count, tokens, err));
        tokens += count;
        at += count;
        left -= count;
    }
out:
    return rc;
}

cairn_status crn_h5_set_read(const crn_h5_set *set, crn_h5_client *client, uint64_t index,
                             int32_t *input_ids, int32_t *labels, float *mask, int32_t *scratch,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t length = (size_t)set->length;
    const uint64_t sample = crn_subset_at(&set->subset, index);
    if (set->is_corpus) {
        CRN_TRY_PLAIN(read_corpus(set, client, sample, scratch, err));
        memcpy(input_ids, scratch, length * sizeof *scratch);
        memcpy(labels, scratch + 1, length * sizeof *scratch);
        for (size_t t = 0; t < length; t++)
            mask[t] = 1.0F;
        goto out;
    }
    const size_t file = file_of(set, sample);
    CRN_TRY_PLAIN(crn_h5_client_read(client, &set->data[file], sample - set->first[file],
                                     CRN_H5_FEATURES * length, scratch, err));
    memcpy(input_ids, scratch, length * sizeof *scratch);
    memcpy(labels, scratch + 2 * length, length * sizeof *scratch);
    for (size_t t = 0; t < length; t++)
        mask[t] = (float)scratch[length + t];
out:
    return rc;
}

void crn_h5_set_dispose(crn_h5_set *set)
{
    crn_data_files_dispose(&set->files);
    crn_free(set->data);
    crn_free(set->first);
    *set = (crn_h5_set){0};
}
