/**
 * @file loss_scaler.h  Loss scaling: gradients of a loss times a factor, so that small ones survive
 * a 16-bit type; the factor fixed, or found by itself.
 *
 *     cairn_loss_scaler_new(&precision, &scaler, &err);
 *     cairn_loss_scaler_declare(scaler, state, &err);          // state "grad_scaler" of the tree
 *     pass.loss_scale = (float)cairn_loss_scaler_scale(scaler);
 *     ...                                                       // compute the gradients
 *     cairn_unscale_gradients(model, cairn_loss_scaler_scale(scaler));
 *     bool overflows = !isfinite(cairn_gradient_norm(model));   // then: no update
 *     cairn_loss_scaler_update(scaler, overflows, &err);
 *
 * The dynamic factor (Model Zoo reference 2.6; cerebras/pytorch/amp/grad_scaler.py 2.10): a step
 * whose gradients overflow halves it and is skipped, more than steps_per_increase steps in a row
 * without overflow double it; it stays within min_loss_scale and max_loss_scale, and where it would
 * have to be smaller training cannot go on.
 *
 * Thread safety: one owner thread.
 */
#ifndef CAIRN_LOSS_SCALER_H
#define CAIRN_LOSS_SCALER_H

#include "cairn/options.h"
#include "cairn/state.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cairn_loss_scaler cairn_loss_scaler;

/**
 * What `precision` asks for. bfloat16 has the range of float32: its scale is 1 whatever
 * loss_scaling_factor says. @param out  Yours: cairn_loss_scaler_destroy.
 * @retval CAIRN_ECONFIG  loss_scaling_factor is neither a number above 0 nor "dynamic"; cbfloat16
 *                        without dynamic; a limit is not above 0, or the least is above the
 * largest.
 * @retval CAIRN_ENOMEM
 */
CAIRN_API cairn_status cairn_loss_scaler_new(const cairn_precision_options *options,
                                             cairn_loss_scaler **out, cairn_error *err);
/** Accepts NULL. */
CAIRN_API void cairn_loss_scaler_destroy(cairn_loss_scaler *scaler);
CAIRN_API bool cairn_loss_scaler_is_dynamic(const cairn_loss_scaler *scaler);
/** The factor of the coming step; 1 without loss scaling. */
CAIRN_API double cairn_loss_scaler_scale(const cairn_loss_scaler *scaler);
/** Steps skipped since the beginning. */
CAIRN_API uint64_t cairn_loss_scaler_skipped(const cairn_loss_scaler *scaler);

/** Keeps its values in @p state from now on: loss_scale, steps_since_rescale,
 *  overflows_since_rescale, num_skipped_steps. Borrowed from the tree. @retval CAIRN_ENOMEM */
CAIRN_API cairn_status cairn_loss_scaler_declare(cairn_loss_scaler *scaler, cairn_state *state,
                                                 cairn_error *err);
/** Back to that before the first step. */
CAIRN_API cairn_status cairn_loss_scaler_reset(cairn_loss_scaler *scaler, cairn_error *err);
/** Reads the values of its state after a load; limits that were changed hold at once.
 *  @retval CAIRN_ECORRUPT  They are no numbers, or not those of a scaler. */
CAIRN_API cairn_status cairn_loss_scaler_loaded(cairn_loss_scaler *scaler, cairn_error *err);
/**
 * A step is over. Does nothing where the scale is fixed.
 * @retval CAIRN_ENONFINITE  It overflowed, and the scale cannot become smaller.
 */
CAIRN_API cairn_status cairn_loss_scaler_update(cairn_loss_scaler *scaler, bool overflows,
                                                cairn_error *err);

/** Divides all gradients of @p model by @p scale. */
CAIRN_API void cairn_unscale_gradients(cairn_state *model, double scale);

#ifdef __cplusplus
}
#endif
#endif
