/*
 * EMA: averages of the weights over the steps, e = decay e + (1 - decay) w, in a state of their own
 * with the tensors that are trained in their order. Validation reads them where they are; nothing
 * is swapped (B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging",
 * 1992).
 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "callbacks/own_state.h"

static const char k_name[] = "EMA";
static const char k_updates[] = "updates";

/* Below this a tile is not worth waking threads. */
enum { PARALLEL_FLOATS = 16 * 1024 };

/* Borrowed from the tree. */
struct pair {
    const cairn_tensor *weight;
    const cairn_tensor *average;
};

struct ema {
    double decay;
    uint64_t every;
    uint64_t start_step; /* 0: the first step there is */
    bool validates;
    cairn_state *state; /* borrowed from the tree */
    struct pair *pairs;
    size_t count;
    uint64_t updates; /* the first is a copy; 0: the averages have not begun */
};

static bool takes_weights(const cairn_model *model)
{
    const size_t end = offsetof(cairn_model_ops, takes_weights) + sizeof model->ops->takes_weights;
    return model->ops->struct_size >= end && model->ops->takes_weights;
}

static cairn_status add_tensors(struct ema *ema, const cairn_state *model, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t count = cairn_state_tensor_count(model);
    ema->pairs = crn_calloc(count, sizeof *ema->pairs);
    CRN_NEED(err, ema->pairs, k_name);
    for (; ema->count < count; ema->count++) {
        struct pair *const pair = &ema->pairs[ema->count];
        pair->weight = cairn_state_tensor_at(model, ema->count);
        cairn_tensor_spec spec = {.name = pair->weight->name,
                                  .dtype = pair->weight->dtype,
                                  .role = CAIRN_ROLE_OTHER,
                                  .rank = pair->weight->rank};
        if (spec.dtype != CAIRN_DTYPE_F32)
            CRN_FAIL(err, CAIRN_EUNSUPPORTED, "%s: parameter '%s' is %s; only F32 is averaged",
                     k_name, spec.name, cairn_dtype_name(spec.dtype));
        memcpy(spec.shape, pair->weight->shape, sizeof spec.shape);
        CRN_TRY_PLAIN(cairn_state_add_tensor(ema->state, &spec, &pair->average, err));
    }
    for (size_t i = 0; i < cairn_state_alias_count(model); i++) {
        const char *alias = NULL;
        const char *target = NULL;
        cairn_state_alias_at(model, i, &alias, &target);
        CRN_TRY_PLAIN(cairn_state_add_alias(ema->state, alias, target, err));
    }
out:
    return rc;
}

static cairn_status setup(void *self, const cairn_event *event, cairn_control *control,
                          cairn_error *err)
{
    struct ema *const ema = self;
    cairn_status rc = CAIRN_OK;
    const cairn_model *const model = cairn_trainer_model(event->trainer);
    (void)control; /* asks for nothing */
    if (ema->validates && !takes_weights(model))
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "%s: the model %s cannot be validated with averages; set validate: false", k_name,
                 model->ops->name);
    CRN_TRY_PLAIN(crn_own_state(event->trainer, "ema", &ema->state, err));
    CRN_TRY_PLAIN(add_tensors(ema, cairn_trainer_trained_state(event->trainer), err));
    CRN_TRY_PLAIN(cairn_state_set_u64(ema->state, k_updates, 0, err));
out:
    return rc;
}

/* After a load the state has the values of the file; without one those of setup. */
static cairn_status read_updates(struct ema *ema, cairn_error *err)
{
    return cairn_state_get_u64(ema->state, k_updates, &ema->updates, err);
}

static cairn_status on_load_checkpoint(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    (void)event;   /* the state is borrowed */
    (void)control; /* asks for nothing */
    return read_updates(self, err);
}

/* Element by element, so neither tiles nor threads show in the bits. */
static void blend(float *restrict average, const float *restrict weight, size_t count, float share)
{
#pragma omp parallel for simd schedule(static) if (count > PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++)
        average[i] += share * (weight[i] - average[i]);
}

static void update_pair(cairn_state_tree *tree, const struct pair *pair, bool is_copy, float share)
{
    const uint64_t bytes = pair->weight->bytes;
    for (uint64_t at = 0; at < bytes; at += CAIRN_WRITE_TILE_BYTES) {
        const uint64_t left = bytes - at;
        const uint64_t size = left < CAIRN_WRITE_TILE_BYTES ? left : CAIRN_WRITE_TILE_BYTES;
        const float *const weight = (const float *)pair->weight->data + at / sizeof(float);
        float *const average = cairn_tensor_write_begin(tree, pair->average, at, size);
        if (is_copy)
            memcpy(average, weight, size);
        else
            blend(average, weight, size / sizeof(float), share);
        cairn_tensor_write_end(tree, pair->average, at, size);
    }
}

static cairn_status on_after_optimizer_step(void *self, const cairn_event *event,
                                            cairn_control *control, cairn_error *err)
{
    struct ema *const ema = self;
    cairn_status rc = CAIRN_OK;
    const uint64_t step = event->step + 1; /* which is not counted yet */
    const bool is_first = ema->updates == 0;
    (void)control; /* asks for nothing */
    if (event->is_skipped || (is_first ? step < ema->start_step : step % ema->every != 0))
        return CAIRN_OK;
    for (size_t i = 0; i < ema->count; i++)
        update_pair(cairn_trainer_tree(event->trainer), &ema->pairs[i], is_first,
                    (float)(1.0 - ema->decay));
    ema->updates++;
    CRN_TRY_PLAIN(cairn_state_set_u64(ema->state, k_updates, ema->updates, err));
out:
    return rc;
}

static cairn_status run_validation(void *self, const cairn_event *event, cairn_control *control,
                                   cairn_error *err)
{
    const struct ema *const ema = self;
    (void)control; /* asks for nothing */
    if (!ema->validates || ema->updates == 0)
        return CAIRN_OK;
    return cairn_trainer_validate_weights(event->trainer, ema->state, cairn_state_name(ema->state),
                                          err);
}

static void destroy(void *self)
{
    struct ema *const ema = self;
    if (ema != NULL)
        crn_free(ema->pairs);
    crn_free(ema);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = destroy,
    .setup = setup,
    .on_load_checkpoint = on_load_checkpoint,
    .on_after_optimizer_step = on_after_optimizer_step,
    .run_validation = run_validation,
};

static cairn_status check_options(const cairn_ema_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!(options->decay >= 0.0 && options->decay < 1.0))
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: decay is %g; it must be at least 0 and below 1", k_name,
                 options->decay);
    if (options->every < 1)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: every is %" PRId64 "; it must be at least 1", k_name,
                 options->every);
    if (options->start_step.is_set && options->start_step.value < 1)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "%s: start_step is %" PRId64 "; it must be at least 1, or null", k_name,
                 options->start_step.value);
out:
    return rc;
}

cairn_status cairn_ema_new(const cairn_ema_options *options, cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct ema *ema = NULL;
    CRN_TRY_PLAIN(check_options(options, err));
    ema = crn_calloc(1, sizeof *ema);
    CRN_NEED(err, ema, k_name);
    ema->decay = options->decay;
    ema->every = (uint64_t)options->every;
    ema->start_step = options->start_step.is_set ? (uint64_t)options->start_step.value : 0;
    ema->validates = options->validate;
    *out = (cairn_callback){.ops = &k_ops, .self = ema};
out:
    return rc;
}
