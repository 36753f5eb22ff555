#include <inttypes.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/data.h"
#include "data/order.h"

struct cairn_loader {
    cairn_data data;
    uint64_t batch_size;
    bool is_shuffled;
    bool has_own_seed;
    bool drop_last;
    bool carry_last;
    bool pad_last;
    uint64_t seed;
    uint64_t data_count;   /* samples of the data */
    uint64_t sample_count; /* of an epoch, before a batch is dropped */
    uint64_t samples_per_epoch;
    uint64_t position;
    uint64_t *indices; /* [batch_size] */
};

static cairn_status check_options(const cairn_loader_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (options->batch_size == 0 || options->batch_size > SIZE_MAX / sizeof(uint64_t))
        CRN_FAIL(err, CAIRN_ECONFIG, "batch_size is %" PRIu64 "; it must be at least 1",
                 options->batch_size);
    if (options->shuffle_seed.is_set && options->shuffle_seed.value < 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "shuffle_seed is %" PRId64 "; it must be at least 0",
                 options->shuffle_seed.value);
    if (options->num_samples.is_set && options->num_samples.value < 1)
        CRN_FAIL(err, CAIRN_ECONFIG, "num_samples is %" PRId64 "; it must be at least 1",
                 options->num_samples.value);
out:
    return rc;
}

static cairn_status check_samples(const cairn_loader *loader, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (loader->sample_count == 0)
        CRN_FAIL(err, CAIRN_EDATA, "%s has no samples", loader->data.ops->name);
    if (loader->samples_per_epoch == 0)
        CRN_FAIL(err, CAIRN_EDATA,
                 "%s has %" PRIu64 " samples, fewer than batch_size %" PRIu64
                 "; lower batch_size, set drop_last to false, or give more data",
                 loader->data.ops->name, loader->sample_count, loader->batch_size);
out:
    return rc;
}

cairn_status cairn_loader_new(cairn_data data, const cairn_loader_options *options,
                              cairn_loader **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_loader *loader = NULL;
    CRN_TRY_PLAIN(check_options(options, err));
    loader = crn_calloc(1, sizeof *loader);
    CRN_NEED(err, loader, "a data loader");
    loader->data = data;
    loader->batch_size = options->batch_size;
    loader->is_shuffled = options->shuffle;
    loader->has_own_seed = options->shuffle_seed.is_set;
    loader->seed = options->shuffle_seed.is_set ? (uint64_t)options->shuffle_seed.value : 0;
    loader->drop_last = options->drop_last;
    loader->carry_last = options->drop_last && options->carry_last;
    loader->pad_last = !options->drop_last && options->pad_last;
    loader->data_count = data.ops->sample_count(data.self);
    loader->sample_count = loader->data_count;
    if (options->num_samples.is_set && loader->data_count > 0)
        loader->sample_count = (uint64_t)options->num_samples.value;
    loader->samples_per_epoch = loader->sample_count;
    if (options->drop_last && (!loader->carry_last || loader->sample_count < options->batch_size))
        loader->samples_per_epoch -= loader->sample_count % options->batch_size;
    CRN_TRY_PLAIN(check_samples(loader, err));
    loader->indices = crn_calloc((size_t)options->batch_size, sizeof(uint64_t));
    CRN_NEED(err, loader->indices, "the sample numbers of a batch");
    *out = loader;
out:
    if (rc != CAIRN_OK) {
        data.ops->destroy(data.self);
        crn_free(loader);
    }
    return rc;
}

void cairn_loader_destroy(cairn_loader *loader)
{
    if (loader == NULL)
        return;
    loader->data.ops->destroy(loader->data.self);
    crn_free(loader->indices);
    crn_free(loader);
}

void cairn_loader_set_seed(cairn_loader *loader, uint64_t seed)
{
    if (!loader->has_own_seed)
        loader->seed = seed;
}

uint64_t cairn_loader_seed(const cairn_loader *loader)
{
    return loader->seed;
}

uint64_t cairn_loader_batches_per_epoch(const cairn_loader *loader)
{
    const uint64_t whole = loader->samples_per_epoch / loader->batch_size;
    if (loader->carry_last)
        return whole;
    return whole + (loader->samples_per_epoch % loader->batch_size != 0);
}

void cairn_loader_batch_samples(const cairn_loader *loader, uint64_t *out_usual, uint64_t *out_last)
{
    const uint64_t rest = loader->samples_per_epoch % loader->batch_size;
    const bool is_cut = rest != 0 && !loader->carry_last && !loader->pad_last;
    *out_last = is_cut ? rest : loader->batch_size;
    *out_usual = loader->samples_per_epoch < loader->batch_size ? *out_last : loader->batch_size;
}

uint64_t cairn_loader_samples_per_epoch(const cairn_loader *loader)
{
    return loader->samples_per_epoch;
}

uint64_t cairn_loader_position(const cairn_loader *loader)
{
    return loader->position;
}

void cairn_loader_seek(cairn_loader *loader, uint64_t position)
{
    loader->position = position;
}

const cairn_data *cairn_loader_data(const cairn_loader *loader)
{
    return &loader->data;
}

/* An order of its own for the round of an epoch that does not go through all the data. */
static const uint64_t k_rest_of_epoch = UINT64_C(1) << 63;

uint64_t cairn_loader_sample_at(const cairn_loader *loader, uint64_t epoch, uint64_t place)
{
    const uint64_t count = loader->data_count;
    if (!loader->is_shuffled)
        return place % count;
    const uint64_t chosen = crn_order_at(loader->seed, epoch, loader->sample_count, place);
    if (chosen < loader->sample_count - loader->sample_count % count)
        return chosen % count;
    return crn_order_at(loader->seed, epoch | k_rest_of_epoch, count, chosen % count);
}

/* Sets the numbers of the batch at @position; returns how many samples it consumes. */
static uint64_t choose_samples(cairn_loader *loader, uint64_t position)
{
    const uint64_t per_epoch = loader->samples_per_epoch;
    const uint64_t left = per_epoch - position % per_epoch;
    const bool is_cut = left < loader->batch_size && !loader->carry_last;
    const uint64_t count = is_cut ? left : loader->batch_size;
    for (uint64_t i = 0; i < count; i++)
        loader->indices[i] =
            cairn_loader_sample_at(loader, (position + i) / per_epoch, (position + i) % per_epoch);
    for (uint64_t i = count; i < loader->batch_size; i++)
        loader->indices[i] = CAIRN_DATA_PAD;
    return count;
}

cairn_status cairn_loader_next(cairn_loader *loader, cairn_batch *out, cairn_error *err)
{
    const cairn_data *const data = &loader->data;
    cairn_status rc = CAIRN_OK;
    uint64_t position = loader->position;
    const uint64_t left = loader->samples_per_epoch - position % loader->samples_per_epoch;
    /* A position saved with another batch_size can leave less than a batch of the epoch. */
    if (left < loader->batch_size && loader->drop_last && !loader->carry_last)
        position += left;
    const uint64_t count = choose_samples(loader, position);
    const uint64_t rows = loader->pad_last ? loader->batch_size : count;
    CRN_TRY(err, data->ops->read(data->self, loader->indices, (size_t)rows, out, err),
            "read the samples at position %" PRIu64, position);
    loader->position = position + count;
out:
    return rc;
}
