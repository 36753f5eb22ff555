#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "cairn/optim.h"

/* Below this a tile is not worth waking threads. */
enum { PARALLEL_FLOATS = 16 * 1024 };

static const char k_beta1_power[] = "beta1_power";
static const char k_beta2_power[] = "beta2_power";

/* A parameter and its moments. Borrowed from the tree. */
struct slot {
    const cairn_tensor *param;
    const cairn_tensor *exp_avg;
    const cairn_tensor *exp_avg_sq;
};

struct adamw {
    cairn_adamw_options options;
    cairn_state *state; /* borrowed from the tree */
    struct slot *slots;
    size_t slot_count;
    size_t slot_capacity;
    double beta1_power;
    double beta2_power;
};

/* What is the same for all elements of a group in one step. */
struct scalars {
    float beta1;
    float beta2;
    float one_minus_beta1;
    float one_minus_beta2;
    float eps;
    float correction;
    float weight_decay;
    float learning_rate;
};

static cairn_status add_moment(cairn_state *state, const cairn_tensor *param, const char *suffix,
                               const cairn_tensor **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str name = {0};
    cairn_tensor_spec spec = {
        .dtype = CAIRN_DTYPE_F32, .role = CAIRN_ROLE_OTHER, .rank = param->rank};
    crn_str_printf(&name, "%s.%s", param->name, suffix);
    CRN_TRY_PLAIN(crn_str_check(&name, err));
    spec.name = name.text;
    memcpy(spec.shape, param->shape, sizeof spec.shape);
    CRN_TRY_PLAIN(cairn_state_add_tensor(state, &spec, out, err));
out:
    crn_str_dispose(&name);
    return rc;
}

static cairn_status store_powers(struct adamw *adamw, double beta1_power, double beta2_power,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(cairn_state_set_f64(adamw->state, k_beta1_power, beta1_power, err));
    CRN_TRY_PLAIN(cairn_state_set_f64(adamw->state, k_beta2_power, beta2_power, err));
    adamw->beta1_power = beta1_power;
    adamw->beta2_power = beta2_power;
out:
    return rc;
}

static cairn_status adamw_declare(void *self, const cairn_state *model, cairn_state *state,
                                  cairn_error *err)
{
    struct adamw *const adamw = self;
    cairn_status rc = CAIRN_OK;
    const size_t count = cairn_state_tensor_count(model);
    if (adamw->state != NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "AdamW: its state is declared already");
    CRN_TRY_PLAIN(crn_grow(&adamw->slots, &adamw->slot_capacity, count, sizeof(struct slot), err));
    for (size_t i = 0; i < count; i++) {
        const cairn_tensor *const param = cairn_state_tensor_at(model, i);
        if (param->role == CAIRN_ROLE_OTHER)
            continue;
        if (param->dtype != CAIRN_DTYPE_F32)
            CRN_FAIL(err, CAIRN_EUNSUPPORTED, "AdamW: parameter '%s' is %s; it trains F32 only",
                     param->name, cairn_dtype_name(param->dtype));
        struct slot *const slot = &adamw->slots[adamw->slot_count];
        slot->param = param;
        CRN_TRY_PLAIN(add_moment(state, param, "exp_avg", &slot->exp_avg, err));
        CRN_TRY_PLAIN(add_moment(state, param, "exp_avg_sq", &slot->exp_avg_sq, err));
        adamw->slot_count++;
    }
    adamw->state = state;
    CRN_TRY_PLAIN(store_powers(adamw, 1.0, 1.0, err));
out:
    return rc;
}

/* Size of the tile of the write guard that begins at @offset of a tensor of @bytes bytes. */
static uint64_t tile_bytes(uint64_t bytes, uint64_t offset)
{
    const uint64_t left = bytes - offset;
    return left < CAIRN_WRITE_TILE_BYTES ? left : CAIRN_WRITE_TILE_BYTES;
}

static void zero(cairn_state_tree *tree, const cairn_tensor *tensor)
{
    for (uint64_t at = 0; at < tensor->bytes; at += CAIRN_WRITE_TILE_BYTES) {
        const uint64_t size = tile_bytes(tensor->bytes, at);
        memset(cairn_tensor_write_begin(tree, tensor, at, size), 0, size);
        cairn_tensor_write_end(tree, tensor, at, size);
    }
}

static cairn_status adamw_reset(void *self, cairn_state_tree *tree, cairn_error *err)
{
    struct adamw *const adamw = self;
    for (size_t i = 0; i < adamw->slot_count; i++) {
        zero(tree, adamw->slots[i].exp_avg);
        zero(tree, adamw->slots[i].exp_avg_sq);
    }
    return store_powers(adamw, 1.0, 1.0, err);
}

static cairn_status read_power(const cairn_state *state, const char *key, double *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    double power = 0.0;
    CRN_TRY_PLAIN(cairn_state_get_f64(state, key, &power, err));
    if (!(power >= 0.0 && power <= 1.0))
        CRN_FAIL(err, CAIRN_ECORRUPT, "AdamW: %s is %g; it must be between 0 and 1", key, power);
    *out = power;
out:
    return rc;
}

static cairn_status adamw_loaded(void *self, cairn_error *err)
{
    struct adamw *const adamw = self;
    cairn_status rc = CAIRN_OK;
    double beta1_power = 0.0;
    double beta2_power = 0.0;
    CRN_TRY_PLAIN(read_power(adamw->state, k_beta1_power, &beta1_power, err));
    CRN_TRY_PLAIN(read_power(adamw->state, k_beta2_power, &beta2_power, err));
    adamw->beta1_power = beta1_power;
    adamw->beta2_power = beta2_power;
out:
    return rc;
}

/*
 * The update of the Model Zoo reference, section 2.5 (AdamBase.py): eps is added before the bias
 * is corrected. Element by element, so neither tiles nor threads show in the bits.
 */
static void update(float *restrict p, float *restrict m, float *restrict v, const float *restrict g,
                   size_t count, const struct scalars *s)
{
    const struct scalars k = *s;
#pragma omp parallel for simd schedule(static) if (count > PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float grad = g[i];
        const float mean = k.beta1 * m[i] + k.one_minus_beta1 * grad;
        const float square = k.beta2 * v[i] + k.one_minus_beta2 * (grad * grad);
        const float step = mean / (sqrtf(square) + k.eps) * k.correction + k.weight_decay * p[i];
        m[i] = mean;
        v[i] = square;
        p[i] -= k.learning_rate * step;
    }
}

static void update_slot(cairn_state_tree *tree, const struct slot *slot, const struct scalars *s)
{
    const uint64_t bytes = slot->param->bytes;
    for (uint64_t at = 0; at < bytes; at += CAIRN_WRITE_TILE_BYTES) {
        const uint64_t size = tile_bytes(bytes, at);
        float *const p = cairn_tensor_write_begin(tree, slot->param, at, size);
        float *const m = cairn_tensor_write_begin(tree, slot->exp_avg, at, size);
        float *const v = cairn_tensor_write_begin(tree, slot->exp_avg_sq, at, size);
        update(p, m, v, slot->param->grad + at / sizeof(float), size / sizeof(float), s);
        cairn_tensor_write_end(tree, slot->exp_avg_sq, at, size);
        cairn_tensor_write_end(tree, slot->exp_avg, at, size);
        cairn_tensor_write_end(tree, slot->param, at, size);
    }
}

static struct scalars group_scalars(const struct adamw *adamw, int group, double learning_rate)
{
    const cairn_adamw_options *const o = &adamw->options;
    const double correction = sqrt(1.0 - adamw->beta2_power) / (1.0 - adamw->beta1_power);
    return (struct scalars){
        .beta1 = (float)o->betas.first,
        .beta2 = (float)o->betas.second,
        .one_minus_beta1 = (float)(1.0 - o->betas.first),
        .one_minus_beta2 = (float)(1.0 - o->betas.second),
        .eps = (float)o->eps,
        .correction = o->correct_bias ? (float)correction : 1.0f,
        .weight_decay = group == CAIRN_GROUP_DECAY ? (float)o->weight_decay : 0.0f,
        .learning_rate = (float)learning_rate,
    };
}

static int group_of(const cairn_tensor *param)
{
    const bool is_decayed = param->role != CAIRN_ROLE_BIAS && param->role != CAIRN_ROLE_NORM;
    return is_decayed ? CAIRN_GROUP_DECAY : CAIRN_GROUP_NO_DECAY;
}

static cairn_status adamw_step(void *self, cairn_state_tree *tree, const double *learning_rate,
                               cairn_error *err)
{
    struct adamw *const adamw = self;
    cairn_status rc = CAIRN_OK;
    struct scalars scalars[CAIRN_GROUP_COUNT];
    for (size_t i = 0; i < adamw->slot_count; i++)
        if (adamw->slots[i].param->grad == NULL)
            CRN_FAIL(err, CAIRN_EINVAL, "AdamW: parameter '%s' has no gradient",
                     adamw->slots[i].param->name);
    CRN_TRY_PLAIN(store_powers(adamw, adamw->beta1_power * adamw->options.betas.first,
                               adamw->beta2_power * adamw->options.betas.second, err));
    for (int group = 0; group < CAIRN_GROUP_COUNT; group++)
        scalars[group] = group_scalars(adamw, group, learning_rate[group]);
    for (size_t i = 0; i < adamw->slot_count; i++)
        update_slot(tree, &adamw->slots[i], &scalars[group_of(adamw->slots[i].param)]);
out:
    return rc;
}

static double adamw_learning_rate(const void *self)
{
    const struct adamw *const adamw = self;
    return adamw->options.lr;
}

static void adamw_destroy(void *self)
{
    struct adamw *const adamw = self;
    if (adamw == NULL)
        return;
    crn_free(adamw->slots);
    crn_free(adamw);
}

static const cairn_optimizer_ops k_adamw_ops = {
    .struct_size = sizeof(cairn_optimizer_ops),
    .name = "AdamW",
    .declare = adamw_declare,
    .reset = adamw_reset,
    .loaded = adamw_loaded,
    .step = adamw_step,
    .learning_rate = adamw_learning_rate,
    .destroy = adamw_destroy,
};

static cairn_status check_options(const cairn_adamw_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const double betas[] = {options->betas.first, options->betas.second};
    for (size_t i = 0; i < 2; i++)
        if (!(betas[i] >= 0.0 && betas[i] < 1.0))
            CRN_FAIL(err, CAIRN_ECONFIG,
                     "AdamW: betas[%zu] is %g; it must be at least 0 and below 1", i, betas[i]);
    if (!isfinite(options->lr) || options->lr < 0.0)
        CRN_FAIL(err, CAIRN_ECONFIG, "AdamW: lr is %g; it must be at least 0", options->lr);
    if (!isfinite(options->eps) || options->eps < 0.0)
        CRN_FAIL(err, CAIRN_ECONFIG, "AdamW: eps is %g; it must be at least 0", options->eps);
    if (!isfinite(options->weight_decay) || options->weight_decay < 0.0)
        CRN_FAIL(err, CAIRN_ECONFIG, "AdamW: weight_decay is %g; it must be at least 0",
                 options->weight_decay);
out:
    return rc;
}

cairn_status cairn_adamw_new(const cairn_adamw_options *options, cairn_optimizer *out,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct adamw *adamw = NULL;
    CRN_TRY_PLAIN(check_options(options, err));
    adamw = crn_calloc(1, sizeof *adamw);
    CRN_NEED(err, adamw, "an optimizer");
    adamw->options = *options;
    adamw->beta1_power = 1.0;
    adamw->beta2_power = 1.0;
    *out = (cairn_optimizer){.ops = &k_adamw_ops, .self = adamw};
out:
    return rc;
}
