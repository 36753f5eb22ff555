/**
 * @file plugin/callback.h  What a callback is: a table of hooks, and what a hook may do.
 *
 * All hooks are called on the trainer's thread, no lock held, and may block. They get one event
 * with the facts of the moment and one control with which they ask; the trainer acts after the
 * last callback has run. An error from a hook ends the run. Order of every call: built-in parts,
 * then callbacks in order of adding (cairn_trainer_add_callback), then loggers in order of adding
 * (cairn_trainer_add_logger); the run schedule and the checkpoint act last.
 *
 * A callback that has state adds a state to the tree in `setup` (cairn_state_tree_add) and keeps
 * its values there: they are saved with every checkpoint and are back before on_load_checkpoint.
 * A step is saved before it is validated, so what a callback learns from a validation is not in
 * that step's checkpoint. A process that resumes from it either validates again or, if the results
 * are in the notes beside the checkpoint, hands them to on_log of the callbacks (is_replayed).
 *
 * In `validate` and `validate_all` the tree has the model and the states of callbacks only, and
 * is_validation is set in `pre_setup`, `setup` and `post_setup`.
 */
#ifndef CAIRN_PLUGIN_CALLBACK_H
#define CAIRN_PLUGIN_CALLBACK_H

#include "cairn/checkpoint.h"
#include "cairn/plugin/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cairn_trainer cairn_trainer;
/** A load that is being prepared; see cairn_load_select. */
typedef struct cairn_load cairn_load;
/** A save that is being prepared; see cairn_save_add_extra. */
typedef struct cairn_save cairn_save;

/** A number with a name, such as "loss" or "lr/0". */
typedef struct cairn_metric {
    const char *name;
    double value;
} cairn_metric;

/** What one save took. */
typedef struct cairn_save_cost {
    size_t struct_size;
    double blocked_ms;    /**< Training waited: hooks, planning, copies, the save before. */
    double background_ms; /**< From the capture to the commit, beside the training; 0 for a save
                               that was waited for. */
    uint64_t bytes;       /**< Of all files of the save that are there. */
    double gb_per_s;      /**< From the capture to the commit; 0: nothing is there. */
    /** gb_per_s in percent of the fastest save of this process until now, this one included: what
     *  the device is known to do. 0 for the first, which there is nothing to compare with. */
    double percent_of_fastest;
} cairn_save_cost;

/** What is known. Fields are only ever appended; those that make no sense at a hook are zero. */
typedef struct cairn_event {
    size_t struct_size;
    cairn_trainer *trainer;
    uint64_t step;        /**< global_step: finished steps. */
    uint64_t first_step;  /**< Step from which cadences count. */
    uint64_t end_step;    /**< Step after which the run is complete. */
    uint64_t loop_index;  /**< Number of the training segment or round of validations, from 0. */
    uint64_t batch_index; /**< Within the segment or validation, from 0. */
    uint64_t batch_count; /**< Batches of the validation or steps of the segment. */
    bool is_validation;
    bool is_last;    /**< Of a save: no full save follows. Of a step: it is end_step. */
    bool is_initial; /**< Of a save: save_initial_checkpoint. */
    const cairn_batch *batch;
    uint64_t samples; /**< In this step or batch, all micro-batches. */
    double loss;
    double gradient_norm;         /**< Before clipping. */
    const double *learning_rates; /**< One a parameter group. */
    size_t learning_rate_count;
    const cairn_metric *metrics; /**< on_log: what to log. */
    size_t metric_count;
    cairn_load *load;           /**< preprocess_checkpoint */
    cairn_save *save;           /**< on_save_checkpoint; on_fit_start: see there */
    const char *path;           /**< The checkpoint that was saved or loaded; NULL for none. */
    const cairn_error *failure; /**< on_*_exception */
    uint64_t saves_left;        /**< Periodic saves after `step`: on_train_batch_end. */
    uint64_t validations_left;  /**< Validations after `step`: on_train_batch_end. */
    bool is_log_step;           /**< Metrics of this step are shown (logging.log_steps). */
    bool is_skipped;            /**< The loss scaler skipped the update: on_train_batch_end. */
    double loss_scale;          /**< Of the gradients that hooks see; 1 without loss scaling. */
    uint64_t loader_index;      /**< Of a validation: which loader, from 0. */
    uint64_t loader_count;      /**< Of a validation: loaders validated in this round. */
    double tokens; /**< Tokens that count in this step or batch; of a validation: all. */
    const double *weight_decays; /**< One a parameter group. */
    const char *log_name;        /**< on_log_text, on_log_histogram. */
    const char *log_text;        /**< on_log_text */
    const float *log_values;     /**< on_log_histogram: [log_value_count] */
    size_t log_value_count;
    bool is_replayed; /**< on_log: the result of a validation that an earlier process made after the
                           state that was loaded; only callbacks get it, loggers have it. */
    const cairn_save_cost *cost; /**< on_after_save_checkpoint, on_save_exception */
    uint64_t failed_saves; /**< Saves in a row of which something is missing; 0: the last succeeded.
                                Known at every hook. */
    /** All that the model told of the micro-batch or batch that was computed last; NULL before. */
    const cairn_loss *computed;
} cairn_event;

/** What a hook may ask for, at any time; it is done when the step or its validation ends. */
typedef struct cairn_control {
    bool stop;          /**< End the run after this step, saved if checkpoints are on. */
    bool save;          /**< Save after this step, whatever the schedule says. */
    const char *reason; /**< Static string; needed with stop. */
    bool complete;      /**< With stop: nothing is left of the run, so --resume does no more. */
} cairn_control;

typedef cairn_status (*cairn_hook_fn)(void *self, const cairn_event *event, cairn_control *control,
                                      cairn_error *err);

/**
 * X(hook, when). In the order of a fit. Names are the Model Zoo's.
 */
#define CAIRN_HOOK_LIST(X)                                                                         \
    X(pre_setup, "the model's parameters are declared, nothing else is planned; what is trained "  \
                 "may be chosen (cairn_trainer_train_adapters)")                                   \
    X(setup, "the trainer is put together; states may be added to the tree")                       \
    X(post_setup, "all states are in the tree; nothing is opened or written yet")                  \
    X(on_enter_fit, "a fit begins; nothing is loaded yet")                                         \
    X(on_before_load_checkpoint, "path is about to be loaded; NULL: nothing is")                   \
    X(preprocess_checkpoint, "load may be restricted with cairn_load_select")                      \
    X(on_load_checkpoint, "the states are loaded")                                                 \
    X(on_fit_start, "everything is loaded; step, first_step and end_step are known; if the run "   \
                    "goes on from a checkpoint of its own, that is path, and save takes the "      \
                    "extras it was to have: those that a kill has cut off are written then")       \
    X(on_enter_train, "a training segment is about to begin")                                      \
    X(on_train_start, "a training segment begins")                                                 \
    X(on_train_batch_start, "a step begins; batch is its first micro-batch")                       \
    X(on_train_step_start, "a micro-batch was read; it is batch")                                  \
    X(on_before_forward, "a micro-batch is about to be computed")                                  \
    X(on_after_forward, "its loss is known, its gradients are not (cairn_pass.after_forward)")     \
    X(on_before_backward, "its gradients are about to be computed")                                \
    X(on_after_backward, "its gradients are added")                                                \
    X(on_before_optimizer_step, "loss and gradient_norm are known, parameters still old")          \
    X(on_after_optimizer_step, "parameters are new; step still counts the steps before")           \
    X(on_before_optimizer_zero_grad, "the gradients are about to be set to zero")                  \
    X(on_after_optimizer_zero_grad, "they are zero")                                               \
    X(on_before_scheduler_step, "the schedulers are about to count the step")                      \
    X(on_after_scheduler_step, "they have")                                                        \
    X(on_train_step_end, "a micro-batch is done")                                                  \
    X(on_train_batch_end, "the step is finished and counted")                                      \
    X(on_train_end, "a training segment ended")                                                    \
    X(on_enter_validate_all, "a round of validations begins; loader_count of them")                \
    X(on_enter_validate, "the validation with one loader is about to begin")                       \
    X(on_validate_start, "a validation begins")                                                    \
    X(on_validate_batch_start, "a batch of it was read")                                           \
    X(on_validate_step_start, "it is about to be computed")                                        \
    X(on_validate_step_end, "its loss is known")                                                   \
    X(on_validate_batch_end, "one batch of it is computed")                                        \
    X(on_validate_end, "loss is its mean over tokens")                                             \
    X(run_validation, "all loaders are done; a callback may run a validation of its own")          \
    X(on_save_checkpoint, "a save is prepared; save takes extras")                                 \
    X(postprocess_checkpoint, "all callbacks have added what they want to the save")               \
    X(on_after_save_checkpoint, "path is durable")                                                 \
    X(on_save_exception, "the save failed; failure says why")                                      \
    X(on_log, "metrics are to be written; step is their step")                                     \
    X(on_log_text, "log_text is to be written under log_name")                                     \
    X(on_log_histogram, "log_values are to be written under log_name")                             \
    X(on_train_exception, "a training segment ends by failure")                                    \
    X(on_validate_exception, "a validation ends by failure")                                       \
    X(on_fit_exception, "the run ends by failure")                                                 \
    X(on_fit_end, "the run ended in order")

/** A callback's functions. Static, const. Every hook is optional: leave it NULL. */
typedef struct cairn_callback_ops {
    size_t struct_size; /**< sizeof(cairn_callback_ops) where the callback was compiled. */
    const char *name;   /**< For messages and for its state, such as "KeepNCheckpoints". */
    /** Accepts NULL. */
    void (*destroy)(void *self);
#define X(hook, when) cairn_hook_fn hook;
    CAIRN_HOOK_LIST(X)
#undef X
} cairn_callback_ops;

typedef struct cairn_callback {
    const cairn_callback_ops *ops;
    void *self;
} cairn_callback;

/** In preprocess_checkpoint: load only these states ("model,optimizer"); several callbacks
 *  intersect. Not acted on under --resume (one notice). @retval CAIRN_ENOMEM */
CAIRN_API cairn_status cairn_load_select(cairn_load *load, const char *states, cairn_error *err);
/** In on_save_checkpoint: write an alternative checkpoint of the same capture; in on_fit_start: it
 *  belongs to `path`, and is written if it is not there. Both copied.
 *  @retval CAIRN_ENOMEM */
CAIRN_API cairn_status cairn_save_add_extra(cairn_save *save, const char *states,
                                            const char *name_template, cairn_error *err);

/** In setup: tells the trainer's plan that at most @p keep full checkpoints will stay (0: all), and
 *  besides each whose step is a multiple of @p every (0: none), or, any number of times, that an
 *  alternative with @p states comes with every @p every-th full one. Only for the plan: what it
 *  prints, and whether the disk suffices. */
CAIRN_API void cairn_trainer_plan_keep(cairn_trainer *trainer, uint64_t keep);
CAIRN_API void cairn_trainer_plan_keep_every(cairn_trainer *trainer, uint64_t every);
CAIRN_API void cairn_trainer_plan_extra(cairn_trainer *trainer, uint64_t every, const char *states);

/**
 * Adds a metric to the next on_log: that of the step being computed, or, in the hooks of a
 * validation, that of the validation. Loggers get it together with the trainer's own. The name is
 * copied; one that is there already is replaced. A validation with several loaders: "name" for the
 * first, "name/1", "name/2" for the others (event.loader_index). @retval CAIRN_ENOMEM
 */
CAIRN_API cairn_status cairn_trainer_add_metric(cairn_trainer *trainer, const char *name,
                                                double value, cairn_error *err);
/** In on_before_optimizer_step: the sum of the squares of @p range gradients of the trained state
 *  from @p first on (tensor->grad), as they were when gradient_norm was computed. Most of it is
 *  known from there. Tensors of a layer lie side by side, with zeros between them. */
CAIRN_API double cairn_trainer_gradient_squares(const cairn_trainer *trainer, const float *first,
                                                size_t range);
/** The metrics added since the last on_log, such as those of a validation in its on_validate_end.
 *  Borrowed, until the next one is added. */
CAIRN_API const cairn_metric *cairn_trainer_metrics(const cairn_trainer *trainer, size_t *count);
/** Hands a text, or values whose distribution matters, to the loggers at once, under the step that
 *  counts now. Borrowed for the call. */
CAIRN_API cairn_status cairn_trainer_log_text(cairn_trainer *trainer, const char *name,
                                              const char *text, cairn_error *err);
CAIRN_API cairn_status cairn_trainer_log_histogram(cairn_trainer *trainer, const char *name,
                                                   const float *values, size_t count,
                                                   cairn_error *err);

/**
 * What the passes from now on look at; the strictest of all callbacks' wishes holds. With dynamic
 * loss scaling gradients are not looked at, since an overflow there is no fault.
 */
CAIRN_API void cairn_trainer_set_check(cairn_trainer *trainer, bool is_validation,
                                       cairn_check check);
/** In setup: @p fn is shown what the operations of each log step's training give, if the model can
 *  show it. @retval CAIRN_ENOMEM */
CAIRN_API cairn_status cairn_trainer_observe(cairn_trainer *trainer, cairn_observe_fn fn,
                                             void *user, cairn_error *err);
/**
 * In run_validation: validates with all loaders of the round as the trainer does, but with the
 * tensors of @p weights, and adds the metrics "<prefix>/val_loss", "<prefix>/val_loss/1" and so on.
 * No hooks are called. Asked to stop, it adds nothing, and the whole validation counts as cut off.
 * @retval CAIRN_EUNSUPPORTED  The model cannot compute with other weights (takes_weights).
 */
CAIRN_API cairn_status cairn_trainer_validate_weights(cairn_trainer *trainer,
                                                      const cairn_state *weights,
                                                      const char *prefix, cairn_error *err);
/** Samples of the training data consumed since the beginning; 0 without training data. */
CAIRN_API uint64_t cairn_trainer_samples_streamed(const cairn_trainer *trainer);
/** In on_fit_start: leaves out the next @p samples of the training data. */
CAIRN_API void cairn_trainer_skip_samples(cairn_trainer *trainer, uint64_t samples);

/** For hooks. Borrowed. */
CAIRN_API cairn_state_tree *cairn_trainer_tree(cairn_trainer *trainer);
/** Parameters, with their gradients in training unless only others are trained. NULL before
 *  `pre_setup`. */
CAIRN_API cairn_state *cairn_trainer_model_state(cairn_trainer *trainer);
/** What the optimizer changes: the model's state, or that of its adapters. */
CAIRN_API cairn_state *cairn_trainer_trained_state(cairn_trainer *trainer);
/** In pre_setup: gives the model adapters (cairn_adapter_ops), the state "lora" of the tree. They
 *  alone are trained; the model's own parameters are frozen. They begin at their initial values
 *  before each load, without named values in the state.
 *  @param out_state  Borrowed from the tree.
 *  @retval CAIRN_ECONFIG  The model takes no adapters, or not these.
 *  @retval CAIRN_EINVAL   It has some already. */
CAIRN_API cairn_status cairn_trainer_train_adapters(cairn_trainer *trainer,
                                                    const cairn_lora_params_list *groups,
                                                    cairn_state **out_state, cairn_error *err);
CAIRN_API const cairn_model *cairn_trainer_model(const cairn_trainer *trainer);
CAIRN_API const char *cairn_trainer_model_dir(const cairn_trainer *trainer);
CAIRN_API cairn_store *cairn_trainer_store(cairn_trainer *trainer);
CAIRN_API const cairn_run *cairn_trainer_run(const cairn_trainer *trainer);
CAIRN_API const cairn_log *cairn_trainer_log(const cairn_trainer *trainer);
/** Folder for what this process writes beside its checkpoints, such as its log; NULL: none. */
CAIRN_API const char *cairn_trainer_run_dir(const cairn_trainer *trainer);
/** The checkpoint that this process loaded; NULL if none. */
CAIRN_API const char *cairn_trainer_loaded_path(const cairn_trainer *trainer);

#ifdef __cplusplus
}
#endif
#endif
