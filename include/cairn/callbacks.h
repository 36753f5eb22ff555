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

/** Stops the run before the update when the loss is not finite (CAIRN_ENONFINITE). */
CAIRN_API cairn_status cairn_check_loss_new(cairn_callback *out, cairn_error *err);

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
