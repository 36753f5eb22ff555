/** @file callbacks.h  Callbacks and loggers of the library, for cairn_trainer_add_callback and
 *  cairn_trainer_add_logger. */
#ifndef CAIRN_CALLBACKS_H
#define CAIRN_CALLBACKS_H

#include "cairn/options.h"
#include "cairn/plugin/callback.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Loads only the states listed, on every load but that of --resume. @retval CAIRN_ECONFIG */
CAIRN_API cairn_status cairn_load_checkpoint_states_new(
    const cairn_load_checkpoint_states_options *options, cairn_callback *out, cairn_error *err);

/** Writes an alternative checkpoint with some of the states at every k-th full save and at the
 *  last; never deleted by retention, never autoloaded. Its count is a state. */
CAIRN_API cairn_status cairn_save_checkpoint_state_new(
    const cairn_save_checkpoint_state_options *options, cairn_callback *out, cairn_error *err);

/** Keeps the n newest full checkpoints of the run and deletes the others, but for those that its
 *  other rules keep (cairn_retention in checkpoint.h). @retval CAIRN_ECONFIG */
CAIRN_API cairn_status cairn_keep_n_checkpoints_new(const cairn_keep_n_checkpoints_options *options,
                                                    cairn_callback *out, cairn_error *err);

/** Stops the run after the forward pass whose loss is not finite, in training and in validations,
 *  and before the update whose gradient is not, unless the loss scaler skips the update for that
 *  (CAIRN_ENONFINITE). */
CAIRN_API cairn_status cairn_check_loss_new(cairn_callback *out, cairn_error *err);

/** Ends the run, saved and complete, when a metric was not better `patience` times in a row. What
 *  it has seen is the state "EarlyStopping". @retval CAIRN_ECONFIG */
CAIRN_API cairn_status cairn_early_stopping_new(const cairn_early_stopping_options *options,
                                                cairn_callback *out, cairn_error *err);

/** Averages of the weights: the state "ema", with the tensors that are trained in their order. Adds
 * the metrics ema/val_loss. @retval CAIRN_ECONFIG */
CAIRN_API cairn_status cairn_ema_new(const cairn_ema_options *options, cairn_callback *out,
                                     cairn_error *err);

/** Low-rank adapters, the state "lora", are trained instead of the weights, which stay as they are
 *  (cairn_adapter_ops). @retval CAIRN_ECONFIG */
CAIRN_API cairn_status cairn_lora_new(const cairn_lora_options *options, cairn_callback *out,
                                      cairn_error *err);

/** Metrics model_wise_params_norm, model_wise_grad_norm (before clipping) and
 *  per_layer_grad_norm/layer_<i> of log steps. Sums are in double, cut by place. */
CAIRN_API cairn_status cairn_compute_norm_new(cairn_callback *out, cairn_error *err);
/** Metrics lr/<group>, weight_decay/<group> of log steps. @retval CAIRN_ECONFIG  An unknown key. */
CAIRN_API cairn_status cairn_log_optimizer_param_group_new(
    const cairn_log_optimizer_param_group_options *options, cairn_callback *out, cairn_error *err);
/** Metrics eval/lm_perplexity (exp of the mean token loss) and eval/accuracy of a validation, if
 *  the model tells (cairn_loss.has_metrics). */
CAIRN_API cairn_status cairn_model_eval_metrics_new(cairn_callback *out, cairn_error *err);
/** Metrics local_samples_per_sec (0.6 of the newest step and 0.4 of what was), avg_samples_per_sec,
 *  avg_steps_per_sec of this process. */
CAIRN_API cairn_status cairn_rate_profiler_new(cairn_callback *out, cairn_error *err);
/** Metrics loop_time_remaining and time_remaining, seconds: from medians of 100 steps and 10
 *  saves, and the last validation. */
CAIRN_API cairn_status cairn_duration_profiler_new(cairn_callback *out, cairn_error *err);
/** Metrics ml_flops (operations a second of the model's matrix products) and flop_utilization (its
 *  share of the peak). @retval CAIRN_ECONFIG */
CAIRN_API cairn_status cairn_flop_utilization_new(const cairn_flop_utilization_options *options,
                                                  cairn_callback *out, cairn_error *err);
/** Writes performance.json into the folder of the process (cairn_trainer_run_dir, else model_dir)
 *  when the fit ends. */
CAIRN_API cairn_status cairn_save_performance_data_new(cairn_callback *out, cairn_error *err);
/** After a failure with CAIRN_ENONFINITE it says what SkipSamples needs to go on. */
CAIRN_API cairn_status cairn_samples_streamed_info_new(cairn_callback *out, cairn_error *err);
/** Leaves out samples of the training data, once. @retval CAIRN_ECONFIG */
CAIRN_API cairn_status cairn_skip_samples_new(const cairn_skip_samples_options *options,
                                              cairn_callback *out, cairn_error *err);
/** Histograms input/<field> of the first micro-batch of log steps. */
CAIRN_API cairn_status cairn_log_input_summaries_new(cairn_callback *out, cairn_error *err);
/** Names the first operation and tensor that is not finite (CAIRN_ENONFINITE). */
CAIRN_API cairn_status cairn_nan_checker_new(const cairn_nan_checker_options *options,
                                             cairn_callback *out, cairn_error *err);
/** Metrics <listener_name>/<tensor> and <listener_name>/__all__ of log steps: 2-norms of the
 *  parameters, of gradients (after the last micro-batch, before clipping; <parameter>.grad) and of
 *  what operations give (of the last micro-batch) whose names match. @retval CAIRN_ECONFIG */
CAIRN_API cairn_status cairn_norm_tensor_listener_new(
    const cairn_norm_tensor_listener_options *options, cairn_callback *out, cairn_error *err);
/** Likewise histograms. @retval CAIRN_ECONFIG */
CAIRN_API cairn_status cairn_summary_tensor_listener_new(
    const cairn_summary_tensor_listener_options *options, cairn_callback *out, cairn_error *err);
/** Logs a table of the parameters at the start. */
CAIRN_API cairn_status cairn_count_params_new(const cairn_count_params_options *options,
                                              cairn_callback *out, cairn_error *err);

/** What the flags of GlobalFlags, ScopedTrainFlags and ScopedValidateFlags come to. */
typedef struct cairn_check_flags_options {
    bool in_training; /**< Look for numbers that are not finite, as NaNChecker does. */
    bool in_validation;
} cairn_check_flags_options;
CAIRN_API cairn_status cairn_check_flags_new(const cairn_check_flags_options *options,
                                             cairn_callback *out, cairn_error *err);

typedef struct cairn_progress_options {
    size_t struct_size;
    const char *device; /**< "CPU"; static. */
    uint64_t log_steps; /**< In a validation: a line after every this many batches, and after the
                             last. In training the event says which steps have one. */
    /** Writes to the terminal: receives a whole bar (with "\r" and no newline), or "" to erase it.
     *  NULL: no bar. */
    void (*bar)(void *user, const char *text);
    void *user;
} cairn_progress_options;

/** One line a log step in the Model Zoo's format, to the trainer's log; a bar on a terminal. */
CAIRN_API cairn_status cairn_progress_logger_new(const cairn_progress_options *options,
                                                 cairn_callback *out, cairn_error *err);

/** model_dir/metrics.jsonl: one object a line, appended; a cut last line is ended and a resume
 *  recorded. */
CAIRN_API cairn_status cairn_metrics_file_new(cairn_callback *out, cairn_error *err);

/** Event files that TensorBoard reads: every number that metrics.jsonl gets, under the Model Zoo's
 *  names ("loss", "lr/0", "validate_0/loss"), texts and histograms. Nothing is made before there is
 *  something to log. @retval CAIRN_ENOMEM  */
CAIRN_API cairn_status cairn_tensorboard_logger_new(const cairn_tensorboard_logger_options *options,
                                                    cairn_callback *out, cairn_error *err);

#ifdef __cplusplus
}
#endif
#endif
