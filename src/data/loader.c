#include <inttypes.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/data.h"
#include "data/order.h"
#include "data/prefetch.h"

/* How long a read that hangs holds up the end of its loader. */
static const int64_t k_patience_ns = 2000000000;
/* One more than the one that a step waits for hides the reads that take longer than others. */
enum { DEPTH_DEFAULT = 2 };

struct cairn_loader {
    cairn_data data; /* the prefetch's, if there is one */
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
    uint64_t *indices;      /* [batch_size]; NULL with a prefetch */
    crn_prefetch *prefetch; /* NULL: nothing is read ahead */
    uint64_t asked;         /* position behind the last batch that it was asked for */
};

/* Where a batch stands. */
struct place {
    uint64_t begin;
    uint64_t end;  /* the next one's position */
    uint64_t rows; /* that are read; more than end - begin with pad_last only */
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
    if (options->prefetch_factor.is_set && options->prefetch_factor.value < 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "prefetch_factor is %" PRId64 "; it must be at least 0",
                 options->prefetch_factor.value);
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
    const int64_t depth =
        options->prefetch_factor.is_set ? options->prefetch_factor.value : DEPTH_DEFAULT;
    if (depth > 0 && data.ops->may_be_read_ahead) {
        CRN_TRY_PLAIN(
            crn_prefetch_new(data, options->batch_size, (uint64_t)depth, &loader->prefetch, err));
    } else {
        loader->indices = crn_calloc((size_t)options->batch_size, sizeof(uint64_t));
        CRN_NEED(err, loader->indices, "the sample numbers of a batch");
    }
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
    if (loader->prefetch != NULL)
        crn_prefetch_destroy(loader->prefetch, k_patience_ns);
    else
        loader->data.ops->destroy(loader->data.self);
    crn_free(loader->indices);
    crn_free(loader);
}

static void forget(cairn_loader *loader)
{
    if (loader->prefetch != NULL)
        crn_prefetch_forget(loader->prefetch);
}

void cairn_loader_set_seed(cairn_loader *loader, uint64_t seed)
{
    if (loader->has_own_seed || seed == loader->seed)
        return;
    loader->seed = seed;
    forget(loader);
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
    if (position == loader->position)
        return;
    loader->position = position;
    forget(loader);
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

static struct place place_of_batch(const cairn_loader *loader, uint64_t position)
{
    const uint64_t per_epoch = loader->samples_per_epoch;
    uint64_t left = per_epoch - position % per_epoch;
    /* A position saved with another batch_size can leave less than a batch of the epoch. */
    if (left < loader->batch_size && loader->drop_last && !loader->carry_last) {
        position += left;
        left = per_epoch;
    }
    const bool is_cut = left < loader->batch_size && !loader->carry_last;
    const uint64_t count = is_cut ? left : loader->batch_size;
    return (struct place){.begin = position,
                          .end = position + count,
                          .rows = loader->pad_last ? loader->batch_size : count};
}

static void choose_samples(const cairn_loader *loader, const struct place *place, uint64_t *indices)
{
    const uint64_t per_epoch = loader->samples_per_epoch;
    for (uint64_t i = 0; i < place->rows; i++) {
        const uint64_t position = place->begin + i;
        indices[i] = position < place->end ? cairn_loader_sample_at(loader, position / per_epoch,
                                                                    position % per_epoch)
                                           : CAIRN_DATA_PAD;
    }
}

/* Asks for batches, from the next one on, until there is no room for more. */
static cairn_status ask(cairn_loader *loader, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t *indices = NULL;
    if (crn_prefetch_count(loader->prefetch) == 0)
        loader->asked = loader->position;
    while ((indices = crn_prefetch_room(loader->prefetch)) != NULL) {
        const struct place place = place_of_batch(loader, loader->asked);
        choose_samples(loader, &place, indices);
        CRN_TRY_PLAIN(crn_prefetch_ask(loader->prefetch, place.rows, err));
        loader->asked = place.end;
    }
out:
    return rc;
}

static cairn_status next_ahead(cairn_loader *loader, cairn_batch *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(ask(loader, err));
    CRN_TRY_PLAIN(crn_prefetch_take(loader->prefetch, out, err));
out:
    return rc;
}

static cairn_status next_now(cairn_loader *loader, const struct place *place, cairn_batch *out,
                             cairn_error *err)
{
    const cairn_data *const data = &loader->data;
    choose_samples(loader, place, loader->indices);
    return data->ops->read(data->self, loader->indices, (size_t)place->rows, out, err);
}

cairn_status cairn_loader_next(cairn_loader *loader, cairn_batch *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const struct place place = place_of_batch(loader, loader->position);
    CRN_TRY(err,
            loader->prefetch != NULL ? next_ahead(loader, out, err)
                                     : next_now(loader, &place, out, err),
            "read the samples at position %" PRIu64, place.begin);
    loader->position = place.end;
out:
    return rc;
}

bool cairn_loader_is_ready(cairn_loader *loader, int64_t wait_ns)
{
    /* If it cannot be asked for, the next call says why. */
    return loader->prefetch == NULL || ask(loader, NULL) != CAIRN_OK ||
           crn_prefetch_is_ready(loader->prefetch, wait_ns);
}
