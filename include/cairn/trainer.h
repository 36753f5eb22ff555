/**
 * @file trainer.h  The Trainer: a model, an optimizer, schedulers, data, callbacks together.
 *
 *     cairn_trainer_options options = cairn_trainer_options_default();
 *     options.model_dir = "model_dir";
 *     options.loop.max_steps = cairn_int(1000);
 *     options.checkpoint.steps = cairn_int(100);
 *     cairn_trainer_new(&options, model, optimizer, &scheduler, 1, &trainer, &err);
 *     cairn_trainer_add_callback(trainer, keep, &err);
 *     cairn_trainer_fit(trainer, train, &val, 1, cairn_ckpt_omitted(), &result, &err);
 *     cairn_trainer_destroy(trainer);
 *
 * examples/trainer.c is a complete program. Thread safety: one owner thread.
 */
#ifndef CAIRN_TRAINER_H
#define CAIRN_TRAINER_H

#include "cairn/callbacks.h"
#include "cairn/checkpoint.h"
#include "cairn/data.h"
#include "cairn/optim.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cairn_trainer_options {
    size_t struct_size;
    const char *model_dir; /**< Default "./model_dir". Copied. */
    cairn_opt_int seed;    /**< Null: drawn once, logged, kept in run.json. */
    cairn_loop_options loop;
    cairn_checkpoint_options checkpoint;
    double max_gradient_norm; /**< 0: no clipping. */
    const char *params_json;  /**< Resolved parameters, kept in every checkpoint; may be NULL. */
    const char *environment_json; /**< What the bits depend on (threads, instruction set, library
                                       versions) as a flat JSON object of texts, kept in every
                                       checkpoint; a resume names differences. May be NULL. */
    const cairn_log *log;         /**< Borrowed while the trainer lives; may be NULL. */
    uint64_t log_steps;           /**< Metrics are shown after every this many steps; 0 is 1. */
    /** Polled between steps and between the batches of a validation; non-NULL text (such as
     *  "SIGTERM") asks to stop. NULL: never. */
    const char *(*stop_requested)(void *user);
    /** Polled at step ends; true asks for a save. NULL: never. */
    bool (*save_requested)(void *user);
    void *user;
    /** Which of several trainers that run one after the other this is, from 0; --resume goes on
     *  with the one that was interrupted. */
    uint64_t stage;
    int64_t clock_start_ns;    /**< When the time of loop.max_time began, by the monotonic clock; 0:
                                    when fit is called. */
    double max_gradient_value; /**< 0: no clipping by value. Not together with max_gradient_norm. */
    /** Loss scaling and clipping; the two limits above, if not 0, stand for those in here. */
    cairn_precision_options precision;
    /** Opens a checkpoint that is named (ckpt_path), so that files of other programs load too
     *  (cairn_checkpoint_import). NULL: cairn_checkpoint_open. Those that are found by themselves
     *  are opened by the latter always. */
    cairn_status (*open_checkpoint)(const char *path, const cairn_log *log, cairn_checkpoint **out,
                                    cairn_error *err);
} cairn_trainer_options;

CAIRN_API cairn_trainer_options cairn_trainer_options_default(void);

/**
 * @param model, optimizer  Taken, also on failure. optimizer.ops may be NULL: validate only.
 * @param schedulers  [scheduler_count], each taken, also on failure. Which one sets what is checked
 *                    by cairn_trainer_fit, which knows the parameter groups.
 * @param out  Yours: cairn_trainer_destroy.
 */
CAIRN_API cairn_status cairn_trainer_new(const cairn_trainer_options *options, cairn_model model,
                                         cairn_optimizer optimizer, cairn_scheduler **schedulers,
                                         size_t scheduler_count, cairn_trainer **out,
                                         cairn_error *err);
/** Accepts NULL. Destroys what it took, callbacks too. */
CAIRN_API void cairn_trainer_destroy(cairn_trainer *trainer);
/** Tags and learning rate factors of parameters, from which fit makes the parameter groups.
 *  @param filters  [count], copied; replaces earlier ones. Before fit only. @retval CAIRN_ENOMEM */
CAIRN_API cairn_status cairn_trainer_set_param_filters(cairn_trainer *trainer,
                                                       const cairn_param_filter *filters,
                                                       size_t count, cairn_error *err);
/** @param callback  Taken, also on failure. Before fit or validate only.
 *  @retval CAIRN_EVERSION  Compiled for a newer header. */
CAIRN_API cairn_status cairn_trainer_add_callback(cairn_trainer *trainer, cairn_callback callback,
                                                  cairn_error *err);

/** As cairn_trainer_add_callback, for a logger: its hooks run after those of all callbacks. */
CAIRN_API cairn_status cairn_trainer_add_logger(cairn_trainer *trainer, cairn_callback logger,
                                                cairn_error *err);

typedef enum cairn_ckpt_kind {
    CAIRN_CKPT_OMITTED, /**< The newest, if autoload_last_checkpoint. */
    CAIRN_CKPT_NULL,    /**< None. */
    CAIRN_CKPT_PATH     /**< This one, always. */
} cairn_ckpt_kind;

/** Which checkpoint to load. */
typedef struct cairn_ckpt {
    cairn_ckpt_kind kind;
    const char *path; /**< Borrowed; only with CAIRN_CKPT_PATH. */
} cairn_ckpt;

static inline cairn_ckpt cairn_ckpt_omitted(void)
{
    cairn_ckpt ckpt;
    ckpt.kind = CAIRN_CKPT_OMITTED;
    ckpt.path = NULL;
    return ckpt;
}

typedef enum cairn_outcome {
    CAIRN_OUTCOME_FINISHED, /**< Trained to its end. */
    CAIRN_OUTCOME_COMPLETE, /**< There was nothing left to do. */
    CAIRN_OUTCOME_STOPPED   /**< Asked to stop; a checkpoint holds everything done. */
} cairn_outcome;

typedef struct cairn_fit_result {
    cairn_outcome outcome;
    uint64_t step;
    char *checkpoint;   /**< The newest checkpoint of the run; NULL: none. Yours. */
    const char *reason; /**< "max_steps", "SIGTERM", "max_time" ...; static, or own_reason. */
    char *own_reason;   /**< Yours; NULL: reason is static. */
} cairn_fit_result;

/** Frees the strings of @p result. */
CAIRN_API void cairn_fit_result_dispose(cairn_fit_result *result);

/**
 * Trains. Once per trainer.
 * @param train  Borrowed until return.
 * @param val    [val_count] validation loaders, borrowed; may be NULL.
 * @param out    Set on success and on failure; dispose of it.
 * @retval CAIRN_ECONFIG      The loop has no end, options contradict each other, two schedulers set
 *                            the same rate of a parameter group, or one sets none.
 * @retval CAIRN_ELOCKED, CAIRN_ENOTFOUND, CAIRN_ECORRUPT, CAIRN_EINCOMPATIBLE, CAIRN_EVERSION,
 *         CAIRN_EDATA, CAIRN_EIO, CAIRN_ENOSPACE, CAIRN_ENONFINITE, CAIRN_EDEVICE
 * @retval CAIRN_ENOMEM  A step needs more memory than there is: then nothing was written; or none
 *                       was given later.
 */
CAIRN_API cairn_status cairn_trainer_fit(cairn_trainer *trainer, cairn_loader *train,
                                         cairn_loader **val, size_t val_count, cairn_ckpt ckpt,
                                         cairn_fit_result *out, cairn_error *err);

/** Bytes that a fit takes, as planned before its first step; libraries and data are not in it. */
typedef struct cairn_memory_plan {
    uint64_t parameters;
    uint64_t gradients;
    uint64_t optimizer;
    uint64_t others;      /**< States of callbacks, such as averages. */
    uint64_t copies;      /**< Of parameters for the products, such as in bfloat16. */
    bool has_activations; /**< Model and data could tell the next two. */
    uint64_t training;    /**< Activations of a batch, and of a last one that is smaller. */
    uint64_t validation;  /**< Likewise, of the two largest batches of all loaders. */
    uint64_t staging;     /**< Most that asynchronous saves copy. */
    uint64_t total;       /**< Of all that is known. */
    bool has_room;        /**< The next is known. */
    uint64_t room;        /**< What the machine or a control group had left before. */
} cairn_memory_plan;

enum { CAIRN_MEMORY_PLAN_TEXT_SIZE = 320 };

/** Its parts, such as "parameters 474.7 MiB, gradients 474.7 MiB"; returns @p buf. */
CAIRN_API const char *cairn_memory_plan_text(const cairn_memory_plan *plan, char *buf, size_t size);

/** What a fit would do, and what was measured without doing it. Zeroed is empty. */
typedef struct cairn_dry_run {
    bool is_complete;       /**< Nothing is left to do: what follows `end_step` was not tried. */
    uint64_t step;          /**< global_step that it would start at. */
    const char *checkpoint; /**< What it would load; NULL: nothing. Lives as long as the trainer. */
    uint64_t end_step;
    const char *limit;   /**< The option that decides end_step, such as "max_steps"; static. */
    uint64_t saves;      /**< Those that are known beforehand; checkpoint.minutes adds others. */
    uint64_t save_bytes; /**< Of one full checkpoint. */
    uint64_t disk_bytes; /**< At most on disk beside what is there, under the rules of deletion. */
    bool has_disk_room;  /**< The next is known. */
    uint64_t disk_room;  /**< What may still be written: free space, or a quota. */
    uint64_t memory_bytes;    /**< The most that this process had at once. */
    cairn_memory_plan memory; /**< What was planned before the trial. */
    uint64_t validations;
    uint64_t parameters;
    double tokens_a_step; /**< Those that count in the loss, as in the first batch. */
    double loss;          /**< Of the first training batch. */
    double val_loss;      /**< Of the first validation batch; NaN without one. */
    double step_seconds;
    double validation_seconds; /**< A round with all loaders. */
    double seconds;            /**< The whole run, saves not counted. */
} cairn_dry_run;

/**
 * Tries all that can fail before the first step of cairn_trainer_fit, with the same arguments, and
 * leaves nothing behind: the data, the folders (a file is written, synced and removed, a folder
 * made for that too), the lock, the checkpoint that would be loaded, memory, disk, two training
 * batches with updates, a validation batch of each loader. model_dir and its notes are as
 * before. Callbacks see setup, post_setup, on_enter_fit, the hooks of a load and on_fit_start; none
 * of the steps. Once per trainer.
 * @param out  Set on success and on failure.
 * @retval CAIRN_ECANCELED  stop_requested, or loop.max_time.
 * @retval CAIRN_ENOMEM     State, gradients and activations do not fit into the memory that there
 *                           is.
 * Others as cairn_trainer_fit.
 */
CAIRN_API cairn_status cairn_trainer_dry_run(cairn_trainer *trainer, cairn_loader *train,
                                             cairn_loader **val, size_t val_count, cairn_ckpt ckpt,
                                             cairn_dry_run *out, cairn_error *err);

typedef struct cairn_validate_result {
    double loss; /**< Mean over tokens. */
    double tokens;
    uint64_t batches;
    uint64_t step; /**< global_step of the checkpoint; 0 without one. */
} cairn_validate_result;

/** Validates with one loader. Takes no lock and writes nothing. Once per trainer. Never falls back
 *  to an older checkpoint. @retval CAIRN_ECANCELED  stop_requested, or loop.max_time. */
CAIRN_API cairn_status cairn_trainer_validate(cairn_trainer *trainer, cairn_loader *val,
                                              cairn_ckpt ckpt, cairn_validate_result *out,
                                              cairn_error *err);

/** Which checkpoints cairn_trainer_validate_all loads. */
typedef struct cairn_ckpts {
    cairn_ckpt_kind
        kind; /**< OMITTED: all full ones of model_dir, in the order of their names, with
                   autoload_last_checkpoint; NULL: none, one round with first weights. */
    const char *const
        *paths; /**< With CAIRN_CKPT_PATH: [count] names or patterns, with `*`, `?` and
                     `[...]` in any part. What a pattern finds is sorted, numbers as
                     numbers. Borrowed. */
    size_t count;
} cairn_ckpts;

/** A result of cairn_trainer_validate_all. Borrowed until the function that gets it returns. */
typedef struct cairn_validated {
    const char *checkpoint; /**< NULL: none. */
    size_t loader;          /**< Number of the loader, from 0. */
    size_t loader_count;
    cairn_validate_result result;
} cairn_validated;
typedef void (*cairn_validated_fn)(void *user, const cairn_validated *validated);

/**
 * Validates every checkpoint with every loader; @p fn (may be NULL) gets each result as it comes.
 * Takes no lock and writes nothing. Once per trainer. The first failure ends it. A checkpoint that
 * was found by a pattern or in the model_dir and is deleted before it is opened, by a fit beside
 * this, is no failure: what is there then is looked for once more.
 * @retval CAIRN_ENOTFOUND  There is no checkpoint, or a pattern matches none; nothing was computed.
 * @retval CAIRN_ECANCELED  stop_requested, or loop.max_time.
 */
CAIRN_API cairn_status cairn_trainer_validate_all(cairn_trainer *trainer, cairn_loader **val,
                                                  size_t val_count, const cairn_ckpts *ckpts,
                                                  cairn_validated_fn fn, void *user,
                                                  cairn_error *err);

#ifdef __cplusplus
}
#endif
#endif
