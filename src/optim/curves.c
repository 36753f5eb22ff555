/*
 * Schedulers that compute: a closed form in t each. Formulas: the table of the Model Zoo reference,
 * section 2.4. Where a schedule reaches an end it gives the very value that was asked for, without
 * rounding.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"
#include "optim/scheduler.h"

static void set_length(cairn_scheduler *scheduler, int64_t total_iters)
{
    scheduler->has_length = true;
    scheduler->length = (uint64_t)total_iters;
}

/* ---- Constant ---- */

static double constant_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    (void)t;
    (void)factor;
    return scheduler->initial;
}

cairn_status cairn_constant_lr_new(const cairn_constant_lr_options *options, cairn_scheduler **out,
                                   cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"ConstantLR", "ConstantWD", "constant_lr",
                                              constant_value};
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_scheduler_new(&k_kind, options, options->learning_rate, out, err));
    if (options->total_iters.is_set)
        set_length(*out, options->total_iters.value);
out:
    return rc;
}

/* ---- Linear, Polynomial ---- */

/*
 * The Model Zoo's `cycle` multiplies T by ceil((t + 1) / T) in the fraction, and still gives the
 * end value for t >= T. The factor is 1 wherever it is used, so the flag changes nothing here.
 */
static double linear_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_linear_lr_options *const o = scheduler->options;
    const double end = o->end_learning_rate;
    (void)factor;
    if (t >= scheduler->length)
        return end;
    const double part = (double)t / (double)scheduler->length;
    return (1.0 - part) * (o->initial_learning_rate - end) + end;
}

cairn_status cairn_linear_lr_new(const cairn_linear_lr_options *options, cairn_scheduler **out,
                                 cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"LinearLR", "LinearWD", "linear_lr", linear_value};
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_scheduler_new(&k_kind, options, options->initial_learning_rate, out, err));
    set_length(*out, options->total_iters);
out:
    return rc;
}

static double polynomial_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_polynomial_lr_options *const o = scheduler->options;
    const double end = o->end_learning_rate;
    (void)factor;
    if (t >= scheduler->length)
        return end;
    const double part = (double)t / (double)scheduler->length;
    return pow(1.0 - part, o->power) * (o->initial_learning_rate - end) + end;
}

cairn_status cairn_polynomial_lr_new(const cairn_polynomial_lr_options *options,
                                     cairn_scheduler **out, cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"PolynomialLR", "PolynomialWD", "polynomial_lr",
                                              polynomial_value};
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_scheduler_new(&k_kind, options, options->initial_learning_rate, out, err));
    set_length(*out, options->total_iters);
out:
    return rc;
}

/* ---- Decays ---- */

static double exponential_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_exponential_lr_options *const o = scheduler->options;
    const double part = (double)t / (double)o->total_iters;
    const uint64_t whole = t / (uint64_t)o->total_iters;
    (void)factor;
    return o->initial_learning_rate * pow(o->decay_rate, o->staircase ? (double)whole : part);
}

cairn_status cairn_exponential_lr_new(const cairn_exponential_lr_options *options,
                                      cairn_scheduler **out, cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"ExponentialLR", "ExponentialWD", "exponential_lr",
                                              exponential_value};
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_scheduler_new(&k_kind, options, options->initial_learning_rate, out, err));
    set_length(*out, options->total_iters);
out:
    return rc;
}

static double inverse_exponential_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_inverse_exponential_time_decay_lr_options *const o = scheduler->options;
    const double part = pow((double)t, o->step_exponent) / (double)o->total_iters;
    (void)factor;
    return o->initial_learning_rate / (1.0 + o->decay_rate * (o->staircase ? floor(part) : part));
}

cairn_status cairn_inverse_exponential_time_decay_lr_new(
    const cairn_inverse_exponential_time_decay_lr_options *options, cairn_scheduler **out,
    cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {
        "InverseExponentialTimeDecayLR", "InverseExponentialTimeDecayWD",
        "inverse_exponential_time_decay_lr", inverse_exponential_value};
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_scheduler_new(&k_kind, options, options->initial_learning_rate, out, err));
    set_length(*out, options->total_iters);
out:
    return rc;
}

static double inverse_square_root_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_inverse_square_root_decay_lr_options *const o = scheduler->options;
    const double warmup = (double)o->warmup_steps;
    (void)factor;
    return o->initial_learning_rate * o->scale / sqrt((double)t > warmup ? (double)t : warmup);
}

cairn_status
cairn_inverse_square_root_decay_lr_new(const cairn_inverse_square_root_decay_lr_options *options,
                                       cairn_scheduler **out, cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {
        "InverseSquareRootDecayLR", "InverseSquareRootDecayWD", "inverse_square_root_decay_lr",
        inverse_square_root_value};
    return crn_scheduler_new(&k_kind, options, options->initial_learning_rate, out, err);
}

/* ---- Cosines ---- */

static double cosine_decay_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_cosine_decay_lr_options *const o = scheduler->options;
    const double end = o->end_learning_rate;
    (void)factor;
    if (t >= scheduler->length)
        return end;
    const double part = (double)t / (double)scheduler->length;
    return 0.5 * (1.0 + cos(M_PI * part)) * (o->initial_learning_rate - end) + end;
}

cairn_status cairn_cosine_decay_lr_new(const cairn_cosine_decay_lr_options *options,
                                       cairn_scheduler **out, cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"CosineDecayLR", "CosineDecayWD", "cosine_decay_lr",
                                              cosine_decay_value};
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_scheduler_new(&k_kind, options, options->initial_learning_rate, out, err));
    set_length(*out, options->total_iters);
out:
    return rc;
}

static double annealed(double initial, double least, double part)
{
    return 0.5 * (1.0 + cos(M_PI * part)) * (initial - least) + least;
}

/* Goes on beyond T_max, up again: not clamped, as in the original. */
static double cosine_annealing_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_cosine_annealing_lr_options *const o = scheduler->options;
    (void)factor;
    /* Two T_max are one period; what is left is small, so that no digit is lost in long runs. */
    const uint64_t place = t % (2 * (uint64_t)o->T_max);
    return annealed(o->initial_learning_rate, o->eta_min, (double)place / (double)o->T_max);
}

cairn_status cairn_cosine_annealing_lr_new(const cairn_cosine_annealing_lr_options *options,
                                           cairn_scheduler **out, cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"CosineAnnealingLR", "CosineAnnealingWD",
                                              "cosine_annealing_lr", cosine_annealing_value};
    return crn_scheduler_new(&k_kind, options, options->initial_learning_rate, out, err);
}

/* SGDR (Loshchilov and Hutter 2017): cycle number i has T_0 T_mult^i steps. */
static double warm_restarts_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_cosine_annealing_warm_restarts_options *const o = scheduler->options;
    uint64_t length = (uint64_t)o->T_0;
    (void)factor;
    if (o->T_mult == 1)
        t %= length;
    while (t >= length) {
        t -= length;
        if (!crn_mul_u64(length, (uint64_t)o->T_mult, &length))
            length = UINT64_MAX; /* No run gets to its end. */
    }
    return annealed(o->initial_learning_rate, o->eta_min, (double)t / (double)length);
}

cairn_status cairn_cosine_annealing_warm_restarts_new(
    const cairn_cosine_annealing_warm_restarts_options *options, cairn_scheduler **out,
    cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {
        "CosineAnnealingWarmRestarts", "CosineAnnealingWarmRestartsWD",
        "cosine_annealing_warm_restarts", warm_restarts_value};
    return crn_scheduler_new(&k_kind, options, options->initial_learning_rate, out, err);
}

/* ---- Steps ---- */

static double step_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_step_lr_options *const o = scheduler->options;
    const uint64_t steps = t / (uint64_t)o->step_size;
    (void)factor;
    return o->initial_learning_rate * pow(o->gamma, (double)steps);
}

cairn_status cairn_step_lr_new(const cairn_step_lr_options *options, cairn_scheduler **out,
                               cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"StepLR", "StepWD", "step_lr", step_value};
    return crn_scheduler_new(&k_kind, options, options->initial_learning_rate, out, err);
}

static double multiplicative_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_multiplicative_lr_options *const o = scheduler->options;
    (void)factor;
    return o->initial_learning_rate * pow(o->coefficient, (double)t);
}

cairn_status cairn_multiplicative_lr_new(const cairn_multiplicative_lr_options *options,
                                         cairn_scheduler **out, cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"MultiplicativeLR", "MultiplicativeWD",
                                              "multiplicative_lr", multiplicative_value};
    return crn_scheduler_new(&k_kind, options, options->initial_learning_rate, out, err);
}

/* Keeps milestones that grow. */
static cairn_status keep_milestones(cairn_scheduler *scheduler, cairn_opt_ints milestones,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 1; i < milestones.count; i++)
        if (milestones.items[i] <= milestones.items[i - 1])
            CRN_FAIL(err, CAIRN_ECONFIG,
                     "%s: milestones must grow, but %" PRId64 " follows %" PRId64,
                     scheduler->kind->lr_name, milestones.items[i], milestones.items[i - 1]);
    scheduler->milestones = crn_calloc(milestones.count, sizeof *scheduler->milestones);
    CRN_NEED(err, scheduler->milestones, "milestones");
    for (size_t i = 0; i < milestones.count; i++)
        scheduler->milestones[i] = milestones.items[i];
    scheduler->milestone_count = milestones.count;
out:
    return rc;
}

static size_t milestones_until(const cairn_scheduler *scheduler, uint64_t t)
{
    size_t count = 0;
    while (count < scheduler->milestone_count && (uint64_t)scheduler->milestones[count] <= t)
        count++;
    return count;
}

static double multi_step_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_multi_step_lr_options *const o = scheduler->options;
    (void)factor;
    return o->initial_learning_rate * pow(o->gamma, (double)milestones_until(scheduler, t));
}

/* Ends a constructor: @scheduler is @rc's result or is gone. */
static cairn_status finish(cairn_status rc, cairn_scheduler *scheduler, cairn_scheduler **out)
{
    if (rc == CAIRN_OK)
        *out = scheduler;
    else
        cairn_scheduler_destroy(scheduler);
    return rc;
}

cairn_status cairn_multi_step_lr_new(const cairn_multi_step_lr_options *options,
                                     cairn_scheduler **out, cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"MultiStepLR", "MultiStepWD", "multi_step_lr",
                                              multi_step_value};
    cairn_status rc = CAIRN_OK;
    cairn_scheduler *scheduler = NULL;
    CRN_TRY_PLAIN(
        crn_scheduler_new(&k_kind, options, options->initial_learning_rate, &scheduler, err));
    CRN_TRY_PLAIN(keep_milestones(scheduler, options->milestones, err));
out:
    return finish(rc, scheduler, out);
}

static double piecewise_constant_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    (void)factor;
    return scheduler->values[milestones_until(scheduler, t)];
}

cairn_status cairn_piecewise_constant_lr_new(const cairn_piecewise_constant_lr_options *options,
                                             cairn_scheduler **out, cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"PiecewiseConstantLR", "PiecewiseConstantWD",
                                              "piecewise_constant_lr", piecewise_constant_value};
    cairn_status rc = CAIRN_OK;
    cairn_scheduler *scheduler = NULL;
    const cairn_opt_floats values = options->learning_rates;
    if (values.count != options->milestones.count + 1)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "PiecewiseConstantLR: %zu values for %zu milestones; there must be one more",
                 values.count, options->milestones.count);
    CRN_TRY_PLAIN(crn_scheduler_new(&k_kind, options, values.items[0], &scheduler, err));
    CRN_TRY_PLAIN(keep_milestones(scheduler, options->milestones, err));
    scheduler->values = crn_calloc(values.count, sizeof *scheduler->values);
    CRN_NEED(err, scheduler->values, "values");
    memcpy(scheduler->values, values.items, values.count * sizeof *scheduler->values);
out:
    return finish(rc, scheduler, out);
}

/* ---- Cycles ---- */

enum cyclic_mode { TRIANGULAR, TRIANGULAR2, EXP_RANGE };

/* Up over step_size_up steps and down again; Smith 2017. */
static double cyclic_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_cyclic_lr_options *const o = scheduler->options;
    const uint64_t up = (uint64_t)o->step_size_up;
    const uint64_t down =
        o->step_size_down.is_set ? (uint64_t)o->step_size_down.value : (uint64_t)o->step_size_up;
    const uint64_t cycle = t / (up + down);
    const uint64_t place = t % (up + down);
    const double height =
        place <= up ? (double)place / (double)up : (double)(up + down - place) / (double)down;
    double scale = 1.0;
    (void)factor;
    if (scheduler->mode == TRIANGULAR2)
        scale = pow(2.0, -(double)cycle);
    else if (scheduler->mode == EXP_RANGE)
        scale = pow(o->gamma, (double)t);
    return o->base_lr + height * (o->max_lr - o->base_lr) * scale;
}

cairn_status cairn_cyclic_lr_new(const cairn_cyclic_lr_options *options, cairn_scheduler **out,
                                 cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"CyclicLR", "CyclicWD", "cyclic_lr", cyclic_value};
    static const char *const k_modes[] = {"triangular", "triangular2", "exp_range"};
    cairn_status rc = CAIRN_OK;
    int mode = 0;
    while (mode < 3 && (options->mode == NULL || strcmp(options->mode, k_modes[mode]) != 0))
        mode++;
    if (mode == 3)
        CRN_FAIL(err, CAIRN_ECONFIG, "CyclicLR: mode must be triangular, triangular2 or exp_range");
    CRN_TRY_PLAIN(crn_scheduler_new(&k_kind, options, options->base_lr, out, err));
    (*out)->mode = mode;
out:
    return rc;
}

enum anneal { ANNEAL_COS, ANNEAL_LINEAR };

/* From @start to @end as @part goes from 0 to 1. */
static double anneal(int mode, double start, double end, double part)
{
    if (part >= 1.0)
        return end;
    return mode == ANNEAL_COS ? (1.0 + cos(M_PI * part)) * ((start - end) / 2.0) + end
                              : part * (end - start) + start;
}

/* Smith and Topin 2018. The last value holds after total_steps. */
static double one_cycle_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    const cairn_one_cycle_lr_options *const o = scheduler->options;
    const double initial = o->initial_learning_rate;
    const double last = initial / o->final_div_factor;
    const double at = (double)t;
    const double top = o->pct_start * (double)o->total_steps - 1.0;
    const double even = 2.0 * top; /* three_phase: where it is at the initial value again */
    const double end = (double)o->total_steps - 1.0;
    (void)factor;
    if (at <= top)
        return anneal(scheduler->mode, initial, o->max_lr, at / top);
    if (!o->three_phase)
        return anneal(scheduler->mode, o->max_lr, last, (at - top) / (end - top));
    if (at <= even)
        return anneal(scheduler->mode, o->max_lr, initial, (at - top) / (even - top));
    return anneal(scheduler->mode, initial, last, (at - even) / (end - even));
}

cairn_status cairn_one_cycle_lr_new(const cairn_one_cycle_lr_options *options,
                                    cairn_scheduler **out, cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"OneCycleLR", "OneCycleWD", "one_cycle_lr",
                                              one_cycle_value};
    cairn_status rc = CAIRN_OK;
    const double top = options->pct_start * (double)options->total_steps - 1.0;
    const double end = (double)options->total_steps - 1.0;
    const bool is_linear =
        options->anneal_strategy != NULL && strcmp(options->anneal_strategy, "linear") == 0;
    if (!is_linear &&
        (options->anneal_strategy == NULL || strcmp(options->anneal_strategy, "cos") != 0))
        CRN_FAIL(err, CAIRN_ECONFIG, "OneCycleLR: anneal_strategy must be cos or linear");
    if (!(top > 0.0) || !((options->three_phase ? 2.0 * top : top) < end))
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "OneCycleLR: pct_start %g of %" PRId64 " steps leaves no step to a phase; %s",
                 options->pct_start, options->total_steps,
                 options->three_phase
                     ? "with three_phase it must be below about 0.5"
                     : "pct_start * total_steps must be above 1 and below the end");
    CRN_TRY_PLAIN(crn_scheduler_new(&k_kind, options, options->initial_learning_rate, out, err));
    (*out)->mode = is_linear ? ANNEAL_LINEAR : ANNEAL_COS;
out:
    return rc;
}
