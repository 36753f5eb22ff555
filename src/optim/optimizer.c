#include "optim/optimizer.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "config/config.h"

/* ---- Making one, and its state ---- */

cairn_status crn_optimizer_new(const crn_optimizer_class *class, const void *options,
                               double learning_rate, double weight_decay, cairn_optimizer *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_section *const section = crn_section_find(class->section);
    crn_optimizer *optimizer = NULL;
    CRN_TRY_PLAIN(crn_section_check(section, class->ops.name, options, err));
    optimizer = crn_calloc(1, sizeof *optimizer);
    CRN_NEED(err, optimizer, "an optimizer");
    optimizer->class = class;
    optimizer->learning_rate = learning_rate;
    optimizer->weight_decay = weight_decay;
    optimizer->options = crn_calloc(1, section->struct_size);
    CRN_NEED(err, optimizer->options, "an optimizer");
    memcpy(optimizer->options, options, section->struct_size);
    *out = (cairn_optimizer){.ops = &class->ops, .self = optimizer};
    optimizer = NULL;
out:
    crn_optimizer_destroy(optimizer);
    return rc;
}

void crn_optimizer_destroy(void *self)
{
    crn_optimizer *const optimizer = self;
    if (optimizer == NULL)
        return;
    crn_pages_free(optimizer->scratch, optimizer->scratch_bytes);
    crn_free(optimizer->scalars);
    crn_free(optimizer->slots);
    crn_free(optimizer->options);
    crn_free(optimizer);
}

double crn_optimizer_learning_rate(const void *self)
{
    const crn_optimizer *const optimizer = self;
    const crn_optimizer_class *const class = optimizer->class;
    double counters[CRN_COUNTERS_MAX];
    if (class->rate == NULL)
        return optimizer->learning_rate;
    memcpy(counters, optimizer->counters, sizeof counters);
    class->advance(optimizer->options, counters);
    return class->rate(optimizer->options, counters);
}

double crn_optimizer_weight_decay(const void *self)
{
    const crn_optimizer *const optimizer = self;
    return optimizer->weight_decay;
}

static cairn_status add_moment(cairn_state *state, const cairn_tensor *param,
                               const crn_moment *moment, const cairn_tensor **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str name = {0};
    cairn_tensor_spec spec = {.dtype = CAIRN_DTYPE_F32, .role = CAIRN_ROLE_OTHER};
    crn_str_printf(&name, "%s.%s", param->name, moment->name);
    CRN_TRY_PLAIN(crn_str_check(&name, err));
    spec.name = name.text;
    for (int axis = 0; axis < param->rank; axis++)
        if (moment->dropped_axis == 0 || axis != param->rank - moment->dropped_axis)
            spec.shape[spec.rank++] = param->shape[axis];
    CRN_TRY_PLAIN(cairn_state_add_tensor(state, &spec, out, err));
out:
    crn_str_dispose(&name);
    return rc;
}

static cairn_status add_slot(crn_optimizer *optimizer, const cairn_tensor *param, size_t group,
                             cairn_state *state, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_optimizer_class *const class = optimizer->class;
    crn_moment moments[CRN_MOMENTS_MAX] = {{0}};
    crn_slot *const slot = &optimizer->slots[optimizer->slot_count];
    if (param->dtype != CAIRN_DTYPE_F32)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "%s: parameter '%s' is %s; it trains F32 only",
                 class->ops.name, param->name, cairn_dtype_name(param->dtype));
    *slot = (crn_slot){.param = param, .group = group};
    if (class->moments != NULL)
        slot->moment_count = class->moments(optimizer->options, param, moments);
    for (size_t i = 0; i < slot->moment_count; i++) {
        slot->first[i] = (float)moments[i].first;
        CRN_TRY_PLAIN(add_moment(state, param, &moments[i], &slot->moment[i], err));
    }
    if (class->scratch != NULL) {
        uint64_t bytes = 0;
        if (!crn_mul_u64(class->scratch(param), sizeof(float), &bytes))
            CRN_FAIL(err, CAIRN_ENOMEM, "parameter '%s' is too large", param->name);
        if (bytes > optimizer->scratch_bytes)
            optimizer->scratch_bytes = bytes;
    }
    optimizer->slot_count++;
out:
    return rc;
}

static cairn_status store_counters(crn_optimizer *optimizer,
                                   const double counters[CRN_COUNTERS_MAX], cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < CRN_COUNTERS_MAX && optimizer->class->counters[i].name != NULL; i++) {
        const crn_counter *const counter = &optimizer->class->counters[i];
        if (counter->is_count)
            CRN_TRY_PLAIN(
                cairn_state_set_u64(optimizer->state, counter->name, (uint64_t)counters[i], err));
        else
            CRN_TRY_PLAIN(cairn_state_set_f64(optimizer->state, counter->name, counters[i], err));
        optimizer->counters[i] = counters[i];
    }
out:
    return rc;
}

static cairn_status first_counters(crn_optimizer *optimizer, cairn_error *err)
{
    double first[CRN_COUNTERS_MAX];
    for (size_t i = 0; i < CRN_COUNTERS_MAX; i++)
        first[i] = optimizer->class->counters[i].is_count ? 0.0 : 1.0;
    return store_counters(optimizer, first, err);
}

static cairn_status allocate_scratch(crn_optimizer *optimizer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (optimizer->scratch_bytes == 0)
        return CAIRN_OK;
    optimizer->scratch = crn_pages_alloc(optimizer->scratch_bytes);
    if (optimizer->scratch == NULL)
        optimizer->scratch_bytes = 0;
    CRN_NEED(err, optimizer->scratch, "the work space of an optimizer");
out:
    return rc;
}

cairn_status crn_optimizer_declare(void *self, const cairn_state *model,
                                   const cairn_param_groups *groups, cairn_state *state,
                                   cairn_error *err)
{
    crn_optimizer *const optimizer = self;
    const crn_optimizer_class *const class = optimizer->class;
    cairn_status rc = CAIRN_OK;
    const size_t count = cairn_state_tensor_count(model);
    if (optimizer->state != NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "%s: its state is declared already", class->ops.name);
    CRN_TRY_PLAIN(
        crn_grow(&optimizer->slots, &optimizer->slot_capacity, count, sizeof(crn_slot), err));
    for (size_t i = 0; i < count; i++) {
        const cairn_tensor *const param = cairn_state_tensor_at(model, i);
        if (param->role != CAIRN_ROLE_OTHER)
            CRN_TRY_PLAIN(add_slot(optimizer, param, cairn_param_groups_of(groups, i), state, err));
    }
    optimizer->group_count = cairn_param_groups_count(groups);
    optimizer->scalars = crn_calloc(optimizer->group_count + 1, CRN_SCALARS_BYTES);
    CRN_NEED(err, optimizer->scalars, "an optimizer");
    CRN_TRY_PLAIN(allocate_scratch(optimizer, err));
    optimizer->state = state;
    CRN_TRY_PLAIN(first_counters(optimizer, err));
out:
    return rc;
}

static void fill(const crn_tile *tile, const void *value)
{
    const float first = *(const float *)value;
    for (size_t i = 0; i < tile->count; i++)
        tile->p[i] = first;
}

cairn_status crn_optimizer_reset(void *self, cairn_state_tree *tree, cairn_error *err)
{
    crn_optimizer *const optimizer = self;
    for (size_t i = 0; i < optimizer->slot_count; i++) {
        const crn_slot *const slot = &optimizer->slots[i];
        for (size_t j = 0; j < slot->moment_count; j++)
            crn_update_tensor(tree, slot->moment[j], NULL, fill, &slot->first[j]);
    }
    return first_counters(optimizer, err);
}

static cairn_status read_counter(const crn_optimizer *optimizer, const crn_counter *counter,
                                 double *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t count = 0;
    double value = 0.0;
    if (counter->is_count) {
        CRN_TRY_PLAIN(cairn_state_get_u64(optimizer->state, counter->name, &count, err));
        *out = (double)count;
        return CAIRN_OK;
    }
    CRN_TRY_PLAIN(cairn_state_get_f64(optimizer->state, counter->name, &value, err));
    if (!(value >= 0.0 && value <= 1.0))
        CRN_FAIL(err, CAIRN_ECORRUPT, "%s: %s is %g; it must be between 0 and 1",
                 optimizer->class->ops.name, counter->name, value);
    *out = value;
out:
    return rc;
}

cairn_status crn_optimizer_loaded(void *self, cairn_error *err)
{
    crn_optimizer *const optimizer = self;
    const crn_counter *const counters = optimizer->class->counters;
    cairn_status rc = CAIRN_OK;
    double read[CRN_COUNTERS_MAX] = {0};
    for (size_t i = 0; i < CRN_COUNTERS_MAX && counters[i].name != NULL; i++)
        CRN_TRY_PLAIN(read_counter(optimizer, &counters[i], &read[i], err));
    memcpy(optimizer->counters, read, sizeof read);
out:
    return rc;
}

/* ---- A step ---- */

/* Size of the tile of the write guard that begins at @offset of a tensor of @bytes bytes. */
static uint64_t tile_bytes(uint64_t bytes, uint64_t offset)
{
    const uint64_t left = bytes - offset;
    return left < CAIRN_WRITE_TILE_BYTES ? left : CAIRN_WRITE_TILE_BYTES;
}

void crn_update_tiles(cairn_state_tree *tree, const crn_slot *slot, bool with_param,
                      bool with_moments, void (*update)(const crn_tile *, const void *),
                      const void *scalars)
{
    const uint64_t bytes = slot->param->bytes;
    const size_t moments = with_moments ? slot->moment_count : 0;
    for (uint64_t at = 0; at < bytes; at += CAIRN_WRITE_TILE_BYTES) {
        const uint64_t size = tile_bytes(bytes, at);
        crn_tile tile = {.g = slot->param->grad + at / sizeof(float),
                         .count = (size_t)(size / sizeof(float))};
        if (with_param)
            tile.p = cairn_tensor_write_begin(tree, slot->param, at, size);
        for (size_t i = 0; i < moments; i++)
            tile.m[i] = cairn_tensor_write_begin(tree, slot->moment[i], at, size);
        update(&tile, scalars);
        for (size_t i = moments; i-- > 0;)
            cairn_tensor_write_end(tree, slot->moment[i], at, size);
        if (with_param)
            cairn_tensor_write_end(tree, slot->param, at, size);
    }
}

void crn_update_tensor(cairn_state_tree *tree, const cairn_tensor *tensor, const float *values,
                       void (*update)(const crn_tile *, const void *), const void *scalars)
{
    for (uint64_t at = 0; at < tensor->bytes; at += CAIRN_WRITE_TILE_BYTES) {
        const uint64_t size = tile_bytes(tensor->bytes, at);
        crn_tile tile = {.p = cairn_tensor_write_begin(tree, tensor, at, size),
                         .count = (size_t)(size / sizeof(float))};
        if (values != NULL)
            tile.g = values + at / sizeof(float);
        update(&tile, scalars);
        cairn_tensor_write_end(tree, tensor, at, size);
    }
}

static cairn_status check_gradients(const crn_optimizer *optimizer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < optimizer->slot_count; i++)
        if (optimizer->slots[i].param->grad == NULL)
            CRN_FAIL(err, CAIRN_EINVAL, "%s: parameter '%s' has no gradient",
                     optimizer->class->ops.name, optimizer->slots[i].param->name);
out:
    return rc;
}

cairn_status crn_optimizer_step(void *self, cairn_state_tree *tree, const double *learning_rates,
                                const double *weight_decays, cairn_error *err)
{
    crn_optimizer *const optimizer = self;
    const crn_optimizer_class *const class = optimizer->class;
    cairn_status rc = CAIRN_OK;
    double counters[CRN_COUNTERS_MAX];
    CRN_TRY_PLAIN(check_gradients(optimizer, err));
    memcpy(counters, optimizer->counters, sizeof counters);
    if (class->advance != NULL)
        class->advance(optimizer->options, counters);
    CRN_TRY_PLAIN(store_counters(optimizer, counters, err));
    for (size_t i = 0; i < optimizer->group_count; i++)
        class->prepare(optimizer->options, counters, learning_rates[i], weight_decays[i],
                       optimizer->scalars + i * CRN_SCALARS_BYTES);
    for (size_t i = 0; i < optimizer->slot_count; i++) {
        const crn_slot *const slot = &optimizer->slots[i];
        const void *const scalars = optimizer->scalars + slot->group * CRN_SCALARS_BYTES;
        if (class->step_tensor != NULL)
            CRN_TRY_PLAIN(class->step_tensor(optimizer, tree, slot, scalars, err));
        else
            crn_update_tiles(tree, slot, true, true, class->update, scalars);
    }
out:
    return rc;
}
