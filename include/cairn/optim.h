/**
 * @file optim.h  Parameter groups, optimizers, schedulers, gradient clipping.
 *
 *     cairn_param_groups_new(model_state, NULL, 0, &groups, &err);   // decayed, not decayed
 *     cairn_adamw_new(&options, &optimizer, &err);
 *     optimizer.ops->declare(optimizer.self, model_state, groups, optimizer_state, &err);
 *     ...                                                // allocate the tree, compute gradients
 *     optimizer.ops->step(optimizer.self, tree, learning_rates, weight_decays, &err);
 *
 * An optimizer declares its state (under parameter names) in a state tree and, once a step, turns
 * tensor->grad into new parameters, every write through the write guard. A learning rate and a
 * weight decay belong to each group of parameters. A scheduler is a pure function of t, the number
 * of completed optimizer steps; it sets one of the two for some groups or all.
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

/* ---- Parameter groups ---- */

/** Marks parameters, as `optimizer.params` and `optimizer.adjust_learning_rate` of the YAML do. */
typedef struct cairn_param_filter {
    /** Globs (`*`, `?`, `[..]`; `*` crosses dots). One matches if it fits the end of
     *  "model.<parameter>", from wherever: "*bias", "ln_f.weight", "model.transformer_decoder*". */
    cairn_opt_list params;
    const char *tag; /**< The matching parameters get this tag; NULL: none. */
    /** ScalePerParamLR multiplies their learning rate by it; 0 is "not set". The first filter with
     *  a factor that matches a parameter decides, before the model's (cairn_tensor_spec). */
    double learning_rate_factor;
    /** Where it was written, such as "params.yaml:7:3", for the error that says it matches nothing;
     *  NULL: not known. */
    const char *place;
} cairn_param_filter;

/** The parameters of a model, each in one group. */
typedef struct cairn_param_groups cairn_param_groups;

/**
 * Splits the parameters of @p model as the Model Zoo does (common/optim_utils.py 2.10): by their
 * tags, each of these into decayed and not decayed (biases and norms, by their role), each of these
 * by factor: that of a filter, else that of the model (cairn_tensor_spec). Without filters the
 * groups without a factor, decayed and not, are there even if empty (0 and 1 in a model without
 * factors); with filters only groups with parameters, in the order of the parameters.
 * @param filters  [count], not kept; may be NULL.
 * @param out      Yours: cairn_param_groups_destroy.
 * @retval CAIRN_ECONFIG  A filter matches no parameter, or there are more than 32 tags.
 * @retval CAIRN_ENOMEM
 */
CAIRN_API cairn_status cairn_param_groups_new(const cairn_state *model,
                                              const cairn_param_filter *filters, size_t count,
                                              cairn_param_groups **out, cairn_error *err);
/** Accepts NULL. */
CAIRN_API void cairn_param_groups_destroy(cairn_param_groups *groups);
CAIRN_API size_t cairn_param_groups_count(const cairn_param_groups *groups);
/** Group of tensor number @p tensor of the model's state, which is a parameter. */
CAIRN_API size_t cairn_param_groups_of(const cairn_param_groups *groups, size_t tensor);
CAIRN_API bool cairn_param_groups_is_decayed(const cairn_param_groups *groups, size_t group);
/** 1.0 where neither a filter nor the model sets it. */
CAIRN_API double cairn_param_groups_factor(const cairn_param_groups *groups, size_t group);
/** NULL asks for groups without any tag. */
CAIRN_API bool cairn_param_groups_has_tag(const cairn_param_groups *groups, size_t group,
                                          const char *tag);

/* ---- Optimizers ---- */

typedef struct cairn_optimizer_ops {
    size_t struct_size;
    const char *name; /**< Such as "AdamW"; static. */
    /** Adds tensors and values for every parameter of @p model to @p state; keeps both, not
     *  @p groups. Once. @retval CAIRN_EUNSUPPORTED  A parameter is not F32. */
    cairn_status (*declare)(void *self, const cairn_state *model, const cairn_param_groups *groups,
                            cairn_state *state, cairn_error *err);
    /** Sets the state to that before the first step. */
    cairn_status (*reset)(void *self, cairn_state_tree *tree, cairn_error *err);
    /** Reads the values of its state after a load. @retval CAIRN_ECORRUPT, CAIRN_ENOTFOUND */
    cairn_status (*loaded)(void *self, cairn_error *err);
    /** One update from tensor->grad. Both arrays have one element a group. Allocates nothing.
     *  @retval CAIRN_EINVAL   A parameter has no gradient; nothing is changed.
     *  @retval CAIRN_EDEVICE  Muon: the matrix library refused. */
    cairn_status (*step)(void *self, cairn_state_tree *tree, const double *learning_rates,
                         const double *weight_decays, cairn_error *err);
    /** Learning rate where no scheduler sets it. */
    double (*learning_rate)(const void *self);
    /** Weight decay of decayed groups where no scheduler sets it. NULL: it has none. */
    double (*weight_decay)(const void *self);
    /** Accepts NULL. */
    void (*destroy)(void *self);
} cairn_optimizer_ops;

typedef struct cairn_optimizer {
    const cairn_optimizer_ops *ops;
    void *self;
} cairn_optimizer;

/**
 * @name Making an optimizer
 * In the formulas g is the gradient, p the parameter, lr and wd those of its group, s the number of
 * the step from 1. Sources: the Model Zoo's optimizers (cerebras/pytorch/optim 2.10), and where
 * those differ from the paper by mistake, PyTorch (torch.optim); docs/guide/optimizers.md lists
 * these places. State tensors are called <parameter>.<name>, shaped as the parameter unless said
 * otherwise. Steps are deterministic: the bits do not depend on the number of threads, but for
 * Muon's matrix products.
 * @retval CAIRN_ENOMEM
 * @retval CAIRN_ECONFIG  An option is out of its range.
 * @{
 */
/** m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; u = m / (sqrt(v) + eps);
 *  u *= sqrt(1 - b2^s) / (1 - b1^s); u += wd p; p -= lr u. With amsgrad the largest v so far stands
 *  under the root. Tensors exp_avg, exp_avg_sq, max_exp_avg_sq; values beta1_power, beta2_power. */
CAIRN_API cairn_status cairn_adamw_new(const cairn_adamw_options *options, cairn_optimizer *out,
                                       cairn_error *err);
/** AdamW with g += wd p instead of u += wd p. */
CAIRN_API cairn_status cairn_adam_new(const cairn_adam_options *options, cairn_optimizer *out,
                                      cairn_error *err);
/** g += wd p; b = momentum b + (1 - dampening) g; p -= lr (nesterov ? g + momentum b : b); without
 *  momentum p -= lr g. Tensor momentum_buffer, with momentum only. */
CAIRN_API cairn_status cairn_sgd_new(const cairn_sgd_options *options, cairn_optimizer *out,
                                     cairn_error *err);
/** b2 = 1 - s^decay_rate; moments of g^2 + eps1, of matrices their means over rows and columns
 *  only; u = g / sqrt(moment) / max(1, rms(u)); lr *= max(eps2, rms(p)) with scale_parameter;
 *  p -= lr wd p + lr u. With relative_step lr, where no scheduler sets it, is the smaller of 0.01
 *  (with warmup_init 1e-6 s) and 1 / sqrt(s). Shazeer and Stern 2018. Tensors exp_avg_sq_row
 *  (shape without the last axis) and exp_avg_sq_col (without the last but one), of vectors
 *  exp_avg_sq; value step. */
CAIRN_API cairn_status cairn_adafactor_new(const cairn_adafactor_options *options,
                                           cairn_optimizer *out, cairn_error *err);
/** p -= lr wd p; p -= lr sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g. Chen et al. 2023. Tensor
 *  exp_avg. */
CAIRN_API cairn_status cairn_lion_new(const cairn_lion_options *options, cairn_optimizer *out,
                                      cairn_error *err);
/** m, v as Adam without bias correction; u = m / (sqrt(v) + eps) + wd p;
 *  p -= lr u min(|p|, 10) / |u|, the norms over the whole tensor; the ratio is 1 where a norm is 0
 *  and with adam. You et al. 2019, version 3. Tensors exp_avg, exp_avg_sq. */
CAIRN_API cairn_status cairn_lamb_new(const cairn_lamb_options *options, cairn_optimizer *out,
                                      cairn_error *err);
/** Matrices (role WEIGHT, two axes): b = momentum b + (1 - momentum) g;
 *  u = nesterov ? (1 - momentum) g + momentum b : b, made nearly orthogonal by ns_steps of the
 *  quintic Newton-Schulz iteration; lr *= 0.2 sqrt(larger axis); p -= lr wd p + lr u. All others:
 *  AdamW with adam_betas, adam_eps at the group's lr and wd. Jordan 2024. Tensor momentum_buffer,
 *  of the others exp_avg and exp_avg_sq; values beta1_power, beta2_power. */
CAIRN_API cairn_status cairn_muon_new(const cairn_muon_options *options, cairn_optimizer *out,
                                      cairn_error *err);
/** g += wd p; v = alpha v + (1 - alpha) g^2; if centered, a = alpha a + (1 - alpha) g and a^2 is
 *  subtracted from v under the root; u = g / (sqrt(v) + eps); with momentum b = momentum b + u,
 *  p -= lr b, else p -= lr u. Tensors square_avg, momentum_buffer, grad_avg. */
CAIRN_API cairn_status cairn_rmsprop_new(const cairn_rmsprop_options *options, cairn_optimizer *out,
                                         cairn_error *err);
/** g += wd p; mu(s) = b1 (1 - 0.96^(s momentum_decay) / 2), M(s) their product; m, v as Adam;
 *  p -= lr (g (1 - mu(s)) / (1 - M(s)) + m mu(s+1) / (1 - M(s+1))) / (sqrt(v / (1 - b2^s)) + eps).
 *  Dozat 2016. Tensors exp_avg, exp_avg_sq; values step, mu_product. */
CAIRN_API cairn_status cairn_nadam_new(const cairn_nadam_options *options, cairn_optimizer *out,
                                       cairn_error *err);
/** g += wd p; m, v as Adam; u = m / (1 - b1^s), and where the variance can be rectified (rho > 5)
 *  times its factor and sqrt(1 - b2^s) / (sqrt(v) + eps); p -= lr u. Liu et al. 2019. Tensors
 *  exp_avg, exp_avg_sq; value step. */
CAIRN_API cairn_status cairn_radam_new(const cairn_radam_options *options, cairn_optimizer *out,
                                       cairn_error *err);
/** g += wd p; sum += g^2; p -= lr / (1 + (s - 1) lr_decay) g / (sqrt(sum) + eps). Tensor sum; value
 *  step. */
CAIRN_API cairn_status cairn_adagrad_new(const cairn_adagrad_options *options, cairn_optimizer *out,
                                         cairn_error *err);
/** g += wd p; m as Adam; n = max(b2 n, |g| + eps); p -= lr / (1 - b1^s) m / n. Tensors exp_avg,
 *  exp_inf; value beta1_power. */
CAIRN_API cairn_status cairn_adamax_new(const cairn_adamax_options *options, cairn_optimizer *out,
                                        cairn_error *err);
/** g += wd p; v = rho v + (1 - rho) g^2; d = g sqrt(a + eps) / sqrt(v + eps);
 *  a = rho a + (1 - rho) d^2; p -= lr d. Tensors square_avg, acc_delta. */
CAIRN_API cairn_status cairn_adadelta_new(const cairn_adadelta_options *options,
                                          cairn_optimizer *out, cairn_error *err);
/** eta = lr / (1 + lambd lr (s - 1))^alpha; g += wd p; p -= eta lambd p + eta g;
 *  ax += (p - ax) / max(1, s - 1 - t0). The averages ax are kept, not used. Tensor ax; value
 *  step. */
CAIRN_API cairn_status cairn_asgd_new(const cairn_asgd_options *options, cairn_optimizer *out,
                                      cairn_error *err);
/** The step size of an element grows by etas[1] while its gradient keeps its sign, shrinks by
 *  etas[0] where it turns, within step_sizes; then p -= sign(g) step_size, nothing where it turned.
 *  It begins at the option lr; learning rates of groups and weight decay have no part. Tensors
 *  prev, step_size. */
CAIRN_API cairn_status cairn_rprop_new(const cairn_rprop_options *options, cairn_optimizer *out,
                                       cairn_error *err);
/** @} */

/* ---- Schedulers ---- */

/** A learning rate or a weight decay as a function of completed steps. */
typedef struct cairn_scheduler cairn_scheduler;

/** What a scheduler sets. */
typedef enum cairn_scheduled {
    CAIRN_SCHEDULED_LEARNING_RATE,
    CAIRN_SCHEDULED_WEIGHT_DECAY
} cairn_scheduled;

/**
 * @name Making a scheduler
 * For a learning rate; cairn_scheduler_aim makes it one for weight decay. Formulas: Model Zoo
 * reference 2.4 (cerebras/pytorch/optim/scheduler.py 2.10); CosineAnnealingWarmRestarts as in
 * Loshchilov and Hutter 2017. docs/guide/schedulers.md has them all. *out is yours.
 * @retval CAIRN_ENOMEM
 * @retval CAIRN_ECONFIG  An option is out of its range.
 * @{
 */
CAIRN_API cairn_status cairn_constant_lr_new(const cairn_constant_lr_options *options,
                                             cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_linear_lr_new(const cairn_linear_lr_options *options,
                                           cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_polynomial_lr_new(const cairn_polynomial_lr_options *options,
                                               cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_exponential_lr_new(const cairn_exponential_lr_options *options,
                                                cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_inverse_exponential_time_decay_lr_new(
    const cairn_inverse_exponential_time_decay_lr_options *options, cairn_scheduler **out,
    cairn_error *err);
CAIRN_API cairn_status
cairn_inverse_square_root_decay_lr_new(const cairn_inverse_square_root_decay_lr_options *options,
                                       cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_cosine_decay_lr_new(const cairn_cosine_decay_lr_options *options,
                                                 cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_cosine_annealing_lr_new(
    const cairn_cosine_annealing_lr_options *options, cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_cosine_annealing_warm_restarts_new(
    const cairn_cosine_annealing_warm_restarts_options *options, cairn_scheduler **out,
    cairn_error *err);
CAIRN_API cairn_status cairn_step_lr_new(const cairn_step_lr_options *options,
                                         cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_multi_step_lr_new(const cairn_multi_step_lr_options *options,
                                               cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_multiplicative_lr_new(const cairn_multiplicative_lr_options *options,
                                                   cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_piecewise_constant_lr_new(
    const cairn_piecewise_constant_lr_options *options, cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_cyclic_lr_new(const cairn_cyclic_lr_options *options,
                                           cairn_scheduler **out, cairn_error *err);
CAIRN_API cairn_status cairn_one_cycle_lr_new(const cairn_one_cycle_lr_options *options,
                                              cairn_scheduler **out, cairn_error *err);
/**
 * Runs @p children (taken, also on failure) one after the other, each with a t of its own from 0,
 * for its total_iters; the last goes on. @p milestones may be NULL; if given, [count - 1]: the
 * steps at which the next child begins. They must equal the cumulated total_iters where a child has
 * any.
 * @retval CAIRN_ECONFIG  A child but the last has neither total_iters nor a milestone, or the two
 * disagree.
 */
CAIRN_API cairn_status cairn_sequential_lr_new(cairn_scheduler **children, size_t count,
                                               const uint64_t *milestones, size_t milestone_count,
                                               cairn_scheduler **out, cairn_error *err);
/** The first of @p children (taken, also on failure) times the others, each divided by its initial
 *  value. @retval CAIRN_ECONFIG  One but the first begins at 0. */
CAIRN_API cairn_status cairn_chained_lr_new(cairn_scheduler **children, size_t count,
                                            cairn_scheduler **out, cairn_error *err);
/** @p child (taken, also on failure), times the factor of each parameter group. */
CAIRN_API cairn_status cairn_scale_per_param_lr_new(cairn_scheduler *child, cairn_scheduler **out,
                                                    cairn_error *err);
/** @} */

/**
 * What @p scheduler sets, and in which groups: those with one of @p tags ([count], copied; NULL
 * among them means groups without tags); count 0: in all. Weight decay is set in decayed groups
 * only. New schedulers set the learning rate of all groups. Children of another scheduler are not
 * asked. @retval CAIRN_ENOMEM
 */
CAIRN_API cairn_status cairn_scheduler_aim(cairn_scheduler *scheduler, cairn_scheduled what,
                                           const char *const *tags, size_t count, cairn_error *err);
CAIRN_API cairn_scheduled cairn_scheduler_sets(const cairn_scheduler *scheduler);
/** The tags it was aimed at; *out_count 0: all groups. Borrowed. */
CAIRN_API const char *const *cairn_scheduler_tags(const cairn_scheduler *scheduler,
                                                  size_t *out_count);
/** Value for the step that follows @p t completed ones. Thread safe. */
CAIRN_API double cairn_scheduler_value(const cairn_scheduler *scheduler, uint64_t t);
/** The same for a parameter group with this factor: differs for a ScalePerParamLR only. */
CAIRN_API double cairn_scheduler_group_value(const cairn_scheduler *scheduler, uint64_t t,
                                             double factor);
/** False if the scheduler has no length. */
CAIRN_API bool cairn_scheduler_total_iters(const cairn_scheduler *scheduler, uint64_t *out);
/** "LinearLR" and so on; "LinearWD" when aimed at weight decay. Static. */
CAIRN_API const char *cairn_scheduler_name(const cairn_scheduler *scheduler);
/** Accepts NULL. */
CAIRN_API void cairn_scheduler_destroy(cairn_scheduler *scheduler);

/* ---- Clipping ---- */

/** 2-norm of all gradients of @p model together, in fixed partial sums: the same bits for the same
 *  thread count. */
CAIRN_API double cairn_gradient_norm(cairn_state *model);
/** cairn_gradient_norm that leaves its partial sums in @p squares
 *  [cairn_gradient_square_count(model)], so that sums over parts of the gradients cost little. */
CAIRN_API double cairn_gradient_norm_kept(cairn_state *model, double *squares);
CAIRN_API size_t cairn_gradient_square_count(cairn_state *model);
/** The sum of the squares of @p range gradients from @p first on, most of it out of @p squares;
 *  deterministic likewise. */
CAIRN_API double cairn_gradient_squares(cairn_state *model, const double *squares,
                                        const float *first, size_t range);
/** The sum of the squares of @p x [count] in double, in fixed partial sums likewise. */
CAIRN_API double cairn_sum_of_squares(const float *x, size_t count);
/** Floats that lie side by side. */
typedef struct cairn_floats {
    const float *values;
    size_t count;
} cairn_floats;
/** out[i] = cairn_sum_of_squares of ranges[i], to the same bits, with one start of the threads for
 *  all: over many small ranges those starts take longer than the sums. @p out: [count] */
CAIRN_API void cairn_sums_of_squares(const cairn_floats *ranges, size_t count, double *out);
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
