/* Loss scaling and clipping: what happens to the gradients between the last micro-batch and the
 * update (Model Zoo reference, section 2.6). */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/try.h"
#include "train/trainer_priv.h"

/* What a program said beside the options of the section comes first. */
static void take_limit(double *limit, cairn_opt_float option)
{
    if (!(*limit > 0.0) && option.is_set)
        *limit = option.value;
}

/* bfloat16 for the matrix products of the model, if it can; 16 bits of another kind are told of
 * where the configuration is read. */
static cairn_status choose_type(cairn_trainer *trainer, const char *type, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_model *const model = &trainer->model;
    const size_t end = offsetof(cairn_model_ops, use_bf16) + sizeof model->ops->use_bf16;
    const char *note = "this model has no bfloat16 products";
    if (!trainer->options.precision.enabled || (type != NULL && strcmp(type, "bfloat16") != 0))
        return CAIRN_OK;
    if (model->ops->struct_size >= end && model->ops->use_bf16 != NULL)
        CRN_TRY_PLAIN(model->ops->use_bf16(model->self, &note, err));
    if (note != NULL)
        cairn_log_message(trainer->options.log, CAIRN_LOG_WARNING, "precision: %s", note);
out:
    return rc;
}

cairn_status crn_trainer_set_precision(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_trainer_options *const options = &trainer->options;
    cairn_precision_options *const o = &options->precision;
    take_limit(&options->max_gradient_norm, o->max_gradient_norm);
    take_limit(&options->max_gradient_value, o->max_gradient_value);
    if (options->max_gradient_norm > 0.0 && options->max_gradient_value > 0.0)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "gradients are clipped by max_gradient_norm or max_gradient_value, not by both");
    CRN_TRY_PLAIN(cairn_loss_scaler_new(o, &trainer->scaler, err));
    CRN_TRY_PLAIN(choose_type(trainer, o->fp16_type, err));
out:
    o->fp16_type = NULL; /* Borrowed for the call. */
    o->loss_scaling_factor = NULL;
    return rc;
}

cairn_status crn_trainer_declare_scaler(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_state *state = NULL;
    if (!cairn_loss_scaler_is_dynamic(trainer->scaler))
        return CAIRN_OK;
    CRN_TRY_PLAIN(cairn_state_tree_add(trainer->tree, CRN_STATE_GRAD_SCALER, &state, err));
    CRN_TRY_PLAIN(cairn_loss_scaler_declare(trainer->scaler, state, err));
out:
    return rc;
}

double crn_trainer_finish_gradients(cairn_trainer *trainer, bool *out_is_skipped)
{
    cairn_unscale_gradients(trainer->trained_state, cairn_loss_scaler_scale(trainer->scaler));
    const double norm = cairn_gradient_norm_kept(trainer->trained_state, trainer->gradient_squares);
    *out_is_skipped = cairn_loss_scaler_is_dynamic(trainer->scaler) && !isfinite(norm);
    return norm;
}

double cairn_trainer_gradient_squares(const cairn_trainer *trainer, const float *first,
                                      size_t range)
{
    return cairn_gradient_squares(trainer->trained_state, trainer->gradient_squares, first, range);
}

void crn_trainer_clip(cairn_trainer *trainer, double norm)
{
    const cairn_trainer_options *const options = &trainer->options;
    if (options->max_gradient_norm > 0.0)
        cairn_clip_gradients(trainer->trained_state, norm, options->max_gradient_norm);
    if (options->max_gradient_value > 0.0)
        cairn_clip_gradient_values(trainer->trained_state, options->max_gradient_value);
}

cairn_status crn_trainer_scaler_step(cairn_trainer *trainer, bool is_skipped, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_opt_bool wish = trainer->options.precision.log_loss_scale;
    const double scale = cairn_loss_scaler_scale(trainer->scaler);
    if (is_skipped)
        cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                          "The gradients of step %llu overflow at a loss scale of %g: its update "
                          "is skipped",
                          (unsigned long long)trainer->step + 1, scale);
    CRN_TRY(err, cairn_loss_scaler_update(trainer->scaler, is_skipped, err), "step %llu",
            (unsigned long long)trainer->step + 1);
    if (wish.is_set ? wish.value : cairn_loss_scaler_is_dynamic(trainer->scaler))
        CRN_TRY_PLAIN(cairn_trainer_add_metric(trainer, "loss_scale", scale, err));
out:
    return rc;
}
