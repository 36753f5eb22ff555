/**
 * @file optim.h  Optimizers, learning-rate schedulers, gradient clipping.
 *
 * An optimizer declares its state (under parameter names) in a state tree and, once a step, turns
 * tensor->grad into new parameters, every write through the write guard. Parameters form groups:
 * 0 is decayed, 1 (biases and norms, by their role) is not. A scheduler is a pure function of its
 * own t, the number of completed optimizer steps.
 *
 * Thread safety: one owner thread each.
 */
#ifndef CAIRN_OPTIM_H
#define CAIRN_OPTIM_H

#include "cairn/options.h"
#include "cairn/state.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CAIRN_GROUP_DECAY = 0, CAIRN_GROUP_NO_DECAY = 1, CAIRN_GROUP_COUNT = 2 };

typedef struct cairn_optimizer_ops {
    size_t struct_size;
    const char *name; /**< Such as "AdamW"; static. */
    /** Adds tensors and values for every parameter of @p model to @p state; keeps both. */
    cairn_status (*declare)(void *self, const cairn_state *model, cairn_state *state,
                            cairn_error *err);
    /** Sets the state to that before the first step. */
    cairn_status (*reset)(void *self, cairn_state_tree *tree, cairn_error *err);
    /** Reads the values of its state after a load. @retval CAIRN_ECORRUPT, CAIRN_ENOTFOUND */
    cairn_status (*loaded)(void *self, cairn_error *err);
    /** One update from tensor->grad. @p learning_rate is [CAIRN_GROUP_COUNT]. */
    cairn_status (*step)(void *self, cairn_state_tree *tree, const double *learning_rate,
                         cairn_error *err);
    /** Learning rate where no scheduler sets it. */
    double (*learning_rate)(const void *self);
    /** Accepts NULL. */
    void (*destroy)(void *self);
} cairn_optimizer_ops;

typedef struct cairn_optimizer {
    const cairn_optimizer_ops *ops;
    void *self;
} cairn_optimizer;

/**
 * AdamW with the Model Zoo's arithmetic (cerebras/pytorch optim/AdamBase.py 2.10):
 * m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; u = m / (sqrt(v) + eps);
 * u *= sqrt(1 - b2^s) / (1 - b1^s); u += wd p; p -= lr u. State: <parameter>.exp_avg,
 * <parameter>.exp_avg_sq and the values beta1_power, beta2_power.
 * @retval CAIRN_ENOMEM, CAIRN_ECONFIG
 */
CAIRN_API cairn_status cairn_adamw_new(const cairn_adamw_options *options, cairn_optimizer *out,
                                       cairn_error *err);

/** A learning rate as a function of completed steps. */
typedef struct cairn_scheduler cairn_scheduler;

/** Formulas: model-zoo reference 2.4. *out is yours. @retval CAIRN_ENOMEM, CAIRN_ECONFIG */
CAIRN_API cairn_status cairn_constant_lr_new(const cairn_constant_lr_options *options,
                                             cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_linear_lr_new(const cairn_linear_lr_options *options,
                                           cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_cosine_decay_lr_new(const cairn_cosine_decay_lr_options *options,
                                                 cairn_scheduler **out, cairn_error *err);
/**
 * Runs @p children (taken, also on failure) one after the other, each for its total_iters; the
 * last holds its end value. @p milestones may be NULL; if given, [count - 1] and equal to the
 * cumulated total_iters. @retval CAIRN_ECONFIG  A child but the last has no total_iters, or the
 * milestones disagree.
 */
CAIRN_API cairn_status cairn_sequential_lr_new(cairn_scheduler **children, size_t count,
                                               const uint64_t *milestones, size_t milestone_count,
                                               cairn_scheduler **out, cairn_error *err);
/** Learning rate of the step that follows @p t completed ones. Thread safe. */
CAIRN_API double cairn_scheduler_value(const cairn_scheduler *scheduler, uint64_t t);
/** False if the scheduler has no length. */
CAIRN_API bool cairn_scheduler_total_iters(const cairn_scheduler *scheduler, uint64_t *out);
/** "LinearLR" and so on. Static. */
CAIRN_API const char *cairn_scheduler_name(const cairn_scheduler *scheduler);
/** Accepts NULL. */
CAIRN_API void cairn_scheduler_destroy(cairn_scheduler *scheduler);

/** 2-norm of all gradients of @p model together, in fixed partial sums: the same bits for the same
 *  thread count. */
CAIRN_API double cairn_gradient_norm(cairn_state *model);
/** Multiplies all gradients by max_norm / (norm + 1e-6) if that is below 1 (PyTorch's
 *  clip_grad_norm_). @p norm is that of cairn_gradient_norm. */
CAIRN_API void cairn_clip_gradients(cairn_state *model, double norm, double max_norm);
/** Moves every element of the gradients into [-max_value, max_value] (PyTorch's clip_grad_value_);
 *  NaN stays. */
CAIRN_API void cairn_clip_gradient_values(cairn_state *model, double max_value);

#ifdef __cplusplus
}
#endif
#endif
