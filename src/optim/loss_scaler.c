#include "cairn/loss_scaler.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"

/* Below this threads are not worth waking. */
enum { PARALLEL_FLOATS = 32 * 1024 };

/* The Model Zoo's defaults. */
static const double k_max = 0x1p15;
static const double k_max_cbfloat16 = 0x1p31;
static const double k_min = 0x1p-14;

static const char k_scale[] = "loss_scale";
static const char k_steps[] = "steps_since_rescale";
static const char k_overflows[] = "overflows_since_rescale";
static const char k_skipped[] = "num_skipped_steps";

/* What a checkpoint holds. */
struct facts {
    double scale;
    uint64_t steps; /* since the scale changed last, overflowing ones included */
    uint64_t overflows;
    uint64_t skipped;
};

struct cairn_loss_scaler {
    bool is_dynamic;
    double initial;
    double min;
    double max;
    uint64_t steps_per_increase;
    struct facts facts;
    cairn_state *state; /* borrowed from the tree; NULL: none */
};

static double value_or(cairn_opt_float option, double preset)
{
    return option.is_set ? option.value : preset;
}

static cairn_status read_limits(const cairn_precision_options *o, bool is_cbfloat16,
                                cairn_loss_scaler *scaler, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const double preset = is_cbfloat16 ? k_max_cbfloat16 : k_max;
    scaler->max = value_or(o->max_loss_scale, preset);
    scaler->min = value_or(o->min_loss_scale, k_min);
    scaler->initial = fmin(scaler->max, value_or(o->initial_loss_scale, preset));
    if (!(scaler->min > 0.0 && isfinite(scaler->max)))
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "precision: min_loss_scale %g and max_loss_scale %g must be numbers above 0",
                 scaler->min, scaler->max);
    if (!(scaler->min <= scaler->max))
        CRN_FAIL(err, CAIRN_ECONFIG, "precision: min_loss_scale %g is above max_loss_scale %g",
                 scaler->min, scaler->max);
    if (!(scaler->initial >= scaler->min))
        CRN_FAIL(err, CAIRN_ECONFIG, "precision: initial_loss_scale %g is below min_loss_scale %g",
                 scaler->initial, scaler->min);
    if (o->steps_per_increase < 1)
        CRN_FAIL(err, CAIRN_ECONFIG, "precision: steps_per_increase must be at least 1");
    scaler->steps_per_increase = (uint64_t)o->steps_per_increase;
out:
    return rc;
}

static cairn_status read_options(const cairn_precision_options *o, cairn_loss_scaler *scaler,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const factor = o->loss_scaling_factor != NULL ? o->loss_scaling_factor : "1.0";
    const char *const type = o->fp16_type != NULL ? o->fp16_type : "bfloat16";
    const bool is_cbfloat16 = strcmp(type, "cbfloat16") == 0;
    const bool is_dynamic = strcmp(factor, "dynamic") == 0;
    double scale = 1.0;
    if (!is_dynamic && (!crn_f64_from_text(factor, &scale) || !(scale > 0.0) || !isfinite(scale)))
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "precision.loss_scaling_factor is '%s'; it must be a number above 0, or dynamic",
                 factor);
    if (is_cbfloat16 && !is_dynamic)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "precision: fp16_type cbfloat16 needs loss_scaling_factor: dynamic");
    scaler->initial = scale;
    if (strcmp(type, "bfloat16") == 0) {
        scaler->initial = 1.0;
    } else if (is_dynamic) {
        scaler->is_dynamic = true;
        CRN_TRY_PLAIN(read_limits(o, is_cbfloat16, scaler, err));
    }
out:
    return rc;
}

cairn_status cairn_loss_scaler_new(const cairn_precision_options *options, cairn_loss_scaler **out,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_loss_scaler *scaler = crn_calloc(1, sizeof *scaler);
    CRN_NEED(err, scaler, "a loss scaler");
    CRN_TRY_PLAIN(read_options(options, scaler, err));
    scaler->facts.scale = scaler->initial;
    *out = scaler;
    scaler = NULL;
out:
    cairn_loss_scaler_destroy(scaler);
    return rc;
}

void cairn_loss_scaler_destroy(cairn_loss_scaler *scaler)
{
    crn_free(scaler);
}

bool cairn_loss_scaler_is_dynamic(const cairn_loss_scaler *scaler)
{
    return scaler->is_dynamic;
}

double cairn_loss_scaler_scale(const cairn_loss_scaler *scaler)
{
    return scaler->facts.scale;
}

uint64_t cairn_loss_scaler_skipped(const cairn_loss_scaler *scaler)
{
    return scaler->facts.skipped;
}

/* The state first, so that a failure leaves both as they were. */
static cairn_status set(cairn_loss_scaler *scaler, const struct facts *facts, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_state *const state = scaler->state;
    if (state != NULL) {
        CRN_TRY_PLAIN(cairn_state_set_f64(state, k_scale, facts->scale, err));
        CRN_TRY_PLAIN(cairn_state_set_u64(state, k_steps, facts->steps, err));
        CRN_TRY_PLAIN(cairn_state_set_u64(state, k_overflows, facts->overflows, err));
        CRN_TRY_PLAIN(cairn_state_set_u64(state, k_skipped, facts->skipped, err));
    }
    scaler->facts = *facts;
out:
    return rc;
}

cairn_status cairn_loss_scaler_declare(cairn_loss_scaler *scaler, cairn_state *state,
                                       cairn_error *err)
{
    scaler->state = state;
    return set(scaler, &scaler->facts, err);
}

cairn_status cairn_loss_scaler_reset(cairn_loss_scaler *scaler, cairn_error *err)
{
    const struct facts facts = {.scale = scaler->initial};
    return set(scaler, &facts, err);
}

cairn_status cairn_loss_scaler_loaded(cairn_loss_scaler *scaler, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct facts facts = {0};
    if (!scaler->is_dynamic || scaler->state == NULL)
        return CAIRN_OK;
    CRN_TRY_PLAIN(cairn_state_get_f64(scaler->state, k_scale, &facts.scale, err));
    CRN_TRY_PLAIN(cairn_state_get_u64(scaler->state, k_steps, &facts.steps, err));
    CRN_TRY_PLAIN(cairn_state_get_u64(scaler->state, k_overflows, &facts.overflows, err));
    CRN_TRY_PLAIN(cairn_state_get_u64(scaler->state, k_skipped, &facts.skipped, err));
    if (!(facts.scale > 0.0) || !isfinite(facts.scale))
        CRN_FAIL(err, CAIRN_ECORRUPT, "the loss scale in the checkpoint is %g; it must be above 0",
                 facts.scale);
    facts.scale = fmin(scaler->max, fmax(scaler->min, facts.scale));
    CRN_TRY_PLAIN(set(scaler, &facts, err));
out:
    return rc;
}

cairn_status cairn_loss_scaler_update(cairn_loss_scaler *scaler, bool overflows, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct facts facts = scaler->facts;
    if (!scaler->is_dynamic)
        return CAIRN_OK;
    facts.steps++;
    facts.overflows += overflows;
    facts.skipped += overflows;
    /* Any share of overflows is too much, so those that are counted never outlive the step. */
    const bool is_halved = facts.overflows > 0;
    const bool is_doubled = !is_halved && facts.steps > scaler->steps_per_increase;
    if (is_halved)
        facts.scale /= 2.0;
    else if (is_doubled)
        facts.scale = fmin(scaler->max, facts.scale * 2.0);
    if (facts.scale < scaler->min)
        CRN_FAIL(err, CAIRN_ENONFINITE,
                 "the gradients overflow at a loss scale of %g, and it may not become smaller than "
                 "precision.min_loss_scale %g: the training diverges; lower the learning rate, set "
                 "precision.max_gradient_norm, or look at the data",
                 scaler->facts.scale, scaler->min);
    if (is_halved || is_doubled) {
        facts.steps = 0;
        facts.overflows = 0;
    }
    CRN_TRY_PLAIN(set(scaler, &facts, err));
out:
    return rc;
}

void cairn_unscale_gradients(cairn_state *model, double scale)
{
    const float factor = (float)(1.0 / scale);
    size_t count = 0;
    float *const grad = cairn_state_gradients(model, &count);
    if (grad == NULL || scale == 1.0)
        return;
#pragma omp parallel for simd schedule(static) if (count > PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++)
        grad[i] *= factor;
}
