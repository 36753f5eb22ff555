#include "data/hdf5.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "data/batch.h"
#include "data/h5_set.h"
#include "data/mixture.h"

struct hdf5_data {
    crn_h5_client *client;
    crn_h5_set *sets; /* [mixture.count] */
    size_t set_count;
    crn_mixture mixture;
    crn_token_batch batch;
    int32_t *scratch; /* [3 * length + 1] */
    char *description;
};

/* What both processors are made of. */
struct request {
    const crn_os *os;
    const char *program;
    const crn_h5_set_spec *specs;
    const double *weights;
    size_t count;
    bool is_interleaved;
    const cairn_data_ops *ops;
};

static cairn_status read_row(struct hdf5_data *data, uint64_t index, size_t row, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t length = (size_t)data->batch.length;
    int32_t *const input_ids = data->batch.input_ids + row * length;
    int32_t *const labels = data->batch.labels + row * length;
    float *const mask = data->batch.mask + row * length;
    size_t set = 0;
    uint64_t sample = 0;
    if (index == CAIRN_DATA_PAD) {
        memset(input_ids, 0, length * sizeof *input_ids);
        memset(labels, 0, length * sizeof *labels);
        for (size_t t = 0; t < length; t++)
            mask[t] = 0.0F;
        goto out;
    }
    if (index >= data->mixture.begin[data->mixture.count])
        CRN_FAIL(err, CAIRN_EINVAL, "sample %" PRIu64 " of %" PRIu64 " does not exist", index,
                 data->mixture.begin[data->mixture.count]);
    crn_mixture_at(&data->mixture, index, &set, &sample);
    CRN_TRY_PLAIN(crn_h5_set_read(&data->sets[set], data->client, sample, input_ids, labels, mask,
                                  data->scratch, err));
out:
    return rc;
}

static cairn_status hdf5_read(void *self, const uint64_t *indices, size_t count, cairn_batch *out,
                              cairn_error *err)
{
    struct hdf5_data *const data = self;
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_token_batch_reserve(&data->batch, count, err));
    for (size_t b = 0; b < count; b++)
        CRN_TRY_PLAIN(read_row(data, indices[b], b, err));
    *out = crn_token_batch_view(&data->batch, count);
out:
    return rc;
}

static uint64_t hdf5_sample_count(const void *self)
{
    const struct hdf5_data *const data = self;
    return data->mixture.begin[data->mixture.count];
}

static int64_t hdf5_sequence_length(const void *self)
{
    const struct hdf5_data *const data = self;
    return (int64_t)data->batch.length;
}

static const char *hdf5_describe(const void *self)
{
    const struct hdf5_data *const data = self;
    return data->description;
}

static void hdf5_destroy(void *self)
{
    struct hdf5_data *const data = self;
    if (data == NULL)
        return;
    for (size_t i = 0; i < data->set_count; i++)
        crn_h5_set_dispose(&data->sets[i]);
    crn_free(data->sets);
    crn_mixture_dispose(&data->mixture);
    crn_h5_client_destroy(data->client);
    crn_token_batch_dispose(&data->batch);
    crn_free(data->scratch);
    crn_free(data->description);
    crn_free(data);
}

#define HDF5_OPS(name_)                                                                            \
    {                                                                                              \
        .struct_size = sizeof(cairn_data_ops), .name = (name_), .sample_count = hdf5_sample_count, \
        .read = hdf5_read, .sequence_length = hdf5_sequence_length, .describe = hdf5_describe,     \
        .destroy = hdf5_destroy, .may_be_read_ahead = true                                         \
    }
static const cairn_data_ops k_gpt_ops = HDF5_OPS("GptHDF5DataProcessor");
static const cairn_data_ops k_gpt_map_ops = HDF5_OPS("GptHDF5MapDataProcessor");

static cairn_status describe(struct hdf5_data *data, const struct request *request,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char samples[32];
    char number[32];
    crn_str text = {0};
    size_t files = 0;
    for (size_t i = 0; i < data->set_count; i++)
        files += data->sets[i].files.count;
    crn_str_append(&text, request->specs[0].data_dir.items[0]);
    if (data->set_count > 1 || request->specs[0].data_dir.count > 1)
        crn_str_append(&text, ", ...");
    crn_str_printf(&text, " (%s file%s", crn_format_count(files, number), files == 1 ? "" : "s");
    if (data->set_count > 1)
        crn_str_printf(&text, ", a mixture of %zu sets", data->set_count);
    crn_str_printf(&text, "): %s samples of %" PRIu64 " tokens",
                   crn_format_count(hdf5_sample_count(data), samples), data->batch.length);
    data->description = crn_str_take(&text);
    CRN_NEED(err, data->description, "the description of the data");
out:
    return rc;
}

static cairn_status open_sets(struct hdf5_data *data, const struct request *request,
                              uint64_t *samples, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < request->count; i++) {
        crn_h5_set *const set = &data->sets[i];
        data->set_count = i + 1;
        CRN_TRY_PLAIN(crn_h5_set_open(request->os, data->client, &request->specs[i], set, err));
        if (set->length != data->sets[0].length)
            CRN_FAIL(err, CAIRN_EDATA,
                     "samples of '%s' have %" PRIu64 " tokens, those of '%s' %" PRIu64,
                     data->sets[0].files.paths[0], data->sets[0].length, set->files.paths[0],
                     set->length);
        samples[i] = set->subset.samples;
    }
out:
    return rc;
}

static cairn_status hdf5_new(const struct request *request, cairn_data *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t *samples = NULL;
    struct hdf5_data *data = crn_calloc(1, sizeof *data);
    CRN_NEED(err, data, "the HDF5 data");
    data->sets = crn_calloc(request->count, sizeof *data->sets);
    CRN_NEED(err, data->sets, "the HDF5 data");
    samples = crn_calloc(request->count, sizeof *samples);
    CRN_NEED(err, samples, "the HDF5 data");
    CRN_TRY_PLAIN(crn_h5_client_new(request->os, request->program, &data->client, err));
    CRN_TRY_PLAIN(open_sets(data, request, samples, err));
    CRN_TRY_PLAIN(crn_mixture_make(samples, request->weights, request->count,
                                   request->is_interleaved, &data->mixture, err));
    data->batch.length = data->sets[0].length;
    data->batch.has_mask = true;
    data->scratch = crn_calloc(3 * (size_t)data->batch.length + 1, sizeof *data->scratch);
    CRN_NEED(err, data->scratch, "a sample");
    CRN_TRY_PLAIN(describe(data, request, err));
    *out = (cairn_data){.ops = request->ops, .self = data};
    data = NULL;
out:
    hdf5_destroy(data);
    crn_free(samples);
    return rc;
}

cairn_status crn_gpt_hdf5_data_new_os(const crn_os *os, const char *program,
                                      const cairn_gpt_hdf5_data_options *options, cairn_data *out,
                                      cairn_error *err)
{
    const crn_h5_set_spec spec = {.data_dir = options->data_dir, .obeys_n_examples = true};
    const double weight = 1.0;
    const struct request request = {.os = os,
                                    .program = program,
                                    .specs = &spec,
                                    .weights = &weight,
                                    .count = 1,
                                    .ops = &k_gpt_ops};
    return hdf5_new(&request, out, err);
}

static cairn_status check_map_options(const cairn_gpt_hdf5_map_data_options *options,
                                      cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_opt_int length = options->max_sequence_length;
    if ((options->data_dir.count > 0) == (options->mixture.count > 0))
        CRN_FAIL(err, CAIRN_ECONFIG, "either data_dir or mixture must be given");
    if (options->mixture.count > 0 && options->data_subset != NULL)
        CRN_FAIL(err, CAIRN_ECONFIG, "data_subset belongs into the sets of the mixture");
    if (length.is_set && (length.value < 1 || length.value > 1 << 24))
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "max_sequence_length is %" PRId64 "; it must be between 1 and %d", length.value,
                 1 << 24);
out:
    return rc;
}

/* Fills @specs and @weights with the sets that have a weight; returns how many. */
static size_t choose_sets(const cairn_gpt_hdf5_map_data_options *options, crn_h5_set_spec *specs,
                          double *weights)
{
    crn_h5_set_spec spec = {.data_dir = options->data_dir,
                            .data_subset = options->data_subset,
                            .max_sequence_length = options->max_sequence_length,
                            .takes_corpus = true};
    size_t count = 0;
    if (options->mixture.count == 0) {
        specs[0] = spec;
        weights[0] = 1.0;
        return 1;
    }
    for (size_t i = 0; i < options->mixture.count; i++) {
        const cairn_hdf5_mixture_options *const part = &options->mixture.items[i];
        if (!(part->weight > 0.0))
            continue;
        spec.data_dir = part->data_dir;
        spec.data_subset = part->data_subset;
        specs[count] = spec;
        weights[count] = part->weight;
        count++;
    }
    return count;
}

cairn_status crn_gpt_hdf5_map_data_new_os(const crn_os *os, const char *program,
                                          const cairn_gpt_hdf5_map_data_options *options,
                                          cairn_data *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_h5_set_spec *specs = NULL;
    double *weights = NULL;
    CRN_TRY_PLAIN(check_map_options(options, err));
    specs = crn_calloc(options->mixture.count + 1, sizeof *specs);
    CRN_NEED(err, specs, "the mixture");
    weights = crn_calloc(options->mixture.count + 1, sizeof *weights);
    CRN_NEED(err, weights, "the mixture");
    const struct request request = {.os = os,
                                    .program = program,
                                    .specs = specs,
                                    .weights = weights,
                                    .count = choose_sets(options, specs, weights),
                                    .is_interleaved = !options->shuffle,
                                    .ops = &k_gpt_map_ops};
    if (request.count == 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "no set of the mixture has a weight above 0");
    CRN_TRY_PLAIN(hdf5_new(&request, out, err));
out:
    crn_free(specs);
    crn_free(weights);
    return rc;
}

cairn_status cairn_gpt_hdf5_data_new(const cairn_gpt_hdf5_data_options *options,
                                     const char *program, cairn_data *out, cairn_error *err)
{
    return crn_gpt_hdf5_data_new_os(crn_os_posix(), program, options, out, err);
}

cairn_status cairn_gpt_hdf5_map_data_new(const cairn_gpt_hdf5_map_data_options *options,
                                         const char *program, cairn_data *out, cairn_error *err)
{
    return crn_gpt_hdf5_map_data_new_os(crn_os_posix(), program, options, out, err);
}
