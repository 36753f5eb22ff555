/* The Trainer's parts, shared by the files of this room only. */
#ifndef CRN_TRAIN_TRAINER_PRIV_H
#define CRN_TRAIN_TRAINER_PRIV_H

#include "base/str.h"
#include "cairn/loss_scaler.h"
#include "cairn/trainer.h"
#include "os/os.h"
#include "train/callback_list.h"
#include "train/rates.h"
#include "train/run_schedule.h"
#include "train/time_limit.h"

/* Names of the built-in states. */
#define CRN_STATE_MODEL       "model"
#define CRN_STATE_LORA        "lora"
#define CRN_STATE_OPTIMIZER   "optimizer"
#define CRN_STATE_SCHEDULERS  "schedulers"
#define CRN_STATE_DATALOADER  "dataloader"
#define CRN_STATE_GRAD_SCALER "grad_scaler"
#define CRN_STATE_GLOBAL_STEP "global_step"

/* In the notes of a checkpoint: starts in a row that finished no step. */
#define CRN_STARTS_NOTE "starts"

/* A save that callbacks may add to. */
struct cairn_save {
    cairn_save_extra *extras; /* texts are ours */
    size_t count;
    size_t capacity;
};

/* Why a save is made. */
typedef enum crn_save_why {
    CRN_SAVE_PERIODIC, /* may be skipped while another is being written */
    CRN_SAVE_ASKED,    /* by a callback, by save_requested, or by model_dir/save-now */
    CRN_SAVE_INITIAL,
    CRN_SAVE_LAST, /* no other follows: if it fails, so does the run */
    CRN_SAVE_STOP  /* likewise; there are steps left */
} crn_save_why;

/* What SaveCheckpointState and its like will write, for the plan. */
typedef struct crn_plan_extra {
    uint64_t every; /* full saves */
    char *states;
} crn_plan_extra;

/* What the saves of the run take. */
typedef struct crn_run_plan {
    uint64_t saves;       /* those that are known beforehand */
    uint64_t full_bytes;  /* of one full checkpoint, the last; 0 if it cannot be told */
    uint64_t extra_bytes; /* of all alternatives that one save may have */
    uint64_t most_bytes;  /* more than now, at any time; of the saves that are known */
    double bytes_a_save;  /* on average, alternatives included */
} crn_run_plan;

/* Metrics on their way to the loggers. Zeroed is empty. */
typedef struct crn_metric_list {
    cairn_metric *items; /* [count] names borrowed from names */
    size_t count;
    size_t capacity;
    char **names; /* [named] of this step, or left from an earlier one */
    size_t named;
    size_t name_capacity;
} crn_metric_list;

/* Who is shown what a pass computes. */
typedef struct crn_observer {
    cairn_observe_fn fn;
    void *user;
} crn_observer;
/* The save that is under way, and what became of those before. Zeroed is none. */
typedef struct crn_saving {
    bool is_pending;
    uint64_t step;
    crn_save_why why;
    cairn_save save;            /* its extras */
    int64_t prepared_ns;        /* training waited before the capture */
    uint64_t requests_seen;     /* those that it answers */
    crn_metric_list validation; /* of its step, to be noted once it is committed */
    unsigned failures;          /* saves in a row without a durable checkpoint */
    uint64_t lacking;           /* saves in a row of which anything is missing */
    uint64_t failed;            /* and all of them */
    cairn_save_cost *costs;     /* of each save that ended */
    size_t cost_count;
    size_t cost_capacity;
    double fastest_gb_per_s;
} crn_saving;

struct cairn_trainer {
    cairn_trainer_options options; /* its texts are ours */
    cairn_model model;
    cairn_optimizer optimizer; /* ops NULL: none */
    crn_rates rates;
    crn_callback_list callbacks;
    crn_callback_list loggers;
    crn_metric_list metrics;
    cairn_control asked; /* by callbacks since the last step ended */
    cairn_loss_scaler *scaler;
    double *gradient_squares; /* parts of the norm of this step's gradients; NULL: validating */
    cairn_check train_check;
    cairn_check validation_check;
    crn_observer *observers;
    size_t observer_count;
    size_t observer_capacity;
    cairn_loader **round_loaders; /* [round_count] of the round of validations; borrowed */
    size_t round_count;
    const char *round_stop; /* why a callback's own validation was cut off; NULL: it was not */
    const crn_os *os;
    bool is_used;

    cairn_store *store;
    cairn_state_tree *tree;
    cairn_state *model_state;
    cairn_state *trained_state;    /* what the optimizer changes: the model's, or adapters' */
    cairn_state *optimizer_state;  /* NULL when validating */
    cairn_state *scheduler_state;  /* likewise */
    cairn_state *dataloader_state; /* likewise */
    cairn_state *step_state;

    cairn_run run;
    crn_run_schedule schedule;
    uint64_t step;        /* global_step */
    uint64_t scheduler_t; /* completed updates, for the schedulers */
    uint64_t seed;
    char *loaded_path; /* what this process loaded; NULL: nothing */
    bool is_resumed;   /* --resume found something to go on with */

    char *saved_path; /* newest checkpoint that holds saved_step; NULL: none */
    uint64_t saved_step;
    crn_metric_list validation; /* of the last round, for the notes of its step's checkpoint */
    uint64_t validation_step;

    crn_saving saving;
    cairn_save due; /* extras of the checkpoint that the run goes on from, until they are there */
    uint64_t requests_taken; /* times that model_dir/save-now was found */
    int64_t last_save_ns; /* when the last save began or ended, or the training began; monotonic */
    bool is_start_noted;  /* the notes of loaded_path count this start as unfinished */
    double starts_before; /* unfinished starts from loaded_path before this one */

    bool is_dry_run;          /* nothing may be written */
    crn_run_plan plan;        /* zeroed until crn_trainer_plan */
    cairn_memory_plan memory; /* zeroed until crn_trainer_plan_memory */
    uint64_t plan_keep;       /* 0: all */
    uint64_t plan_keep_every; /* 0: none */
    crn_plan_extra *plan_extras;
    size_t plan_extra_count;
    size_t plan_extra_capacity;
    double bytes_a_save;  /* on average, alternatives included; 0: not known or told already */
    uint64_t steps_timed; /* of this process, until bytes_a_save is told */

    cairn_loader *train; /* borrowed during fit */
    cairn_loader **val;  /* borrowed */
    size_t val_count;
    uint64_t loop_index;       /* training segments so far */
    uint64_t segment_first;    /* step after which the segment began */
    uint64_t segment_end;      /* and with which it ends */
    uint64_t validation_index; /* rounds of validations so far */
    size_t validated_loader;   /* whose metrics callbacks add now */
    bool is_entered;           /* on_enter_fit was called: failures are told to callbacks */
    bool is_superseded;        /* --resume: a later trainer of the file has started already */
    crn_time_limit time_limit;
    char *run_dir; /* NULL: none */
};

/* A load that callbacks may restrict. */
struct cairn_load {
    cairn_trainer *trainer;
    char *states;  /* joined with ","; NULL: all */
    bool is_fixed; /* --resume: what was asked for is ignored */
};

/* An event with the facts that hold at any time. */
cairn_event crn_trainer_event(cairn_trainer *trainer);
/* Calls a hook; what callbacks ask for is added to trainer->asked, for the end of the step. */
cairn_status crn_trainer_call(cairn_trainer *trainer, crn_hook hook, const cairn_event *event,
                              cairn_error *err);
/* Tells every callback and logger of @failure; what they answer does not count. */
void crn_trainer_tell_failure(cairn_trainer *trainer, crn_hook hook, const cairn_error *failure);
/* What callbacks have asked for since the last call. */
cairn_control crn_trainer_take_asked(cairn_trainer *trainer);
/* Where cairn_trainer_run_dir points; copied. */
cairn_status crn_trainer_set_run_dir(cairn_trainer *trainer, const char *path, cairn_error *err);

/* metrics.c: hands the metrics that were added (cairn_trainer_add_metric) to the loggers and
 * forgets them: hook on_log, not called without any. */
cairn_status crn_trainer_log_metrics(cairn_trainer *trainer, bool is_validation, cairn_error *err);
/* The same to callbacks alone: results that loggers got from an earlier process. */
cairn_status crn_trainer_replay_metrics(cairn_trainer *trainer, cairn_error *err);
/* Replaces the contents of @to. */
cairn_status crn_metric_list_copy(crn_metric_list *to, const crn_metric_list *from,
                                  cairn_error *err);
void crn_metric_list_dispose(crn_metric_list *list);

/* watch.c: how micro-batch @index of the step that runs is computed, with the wishes of callbacks;
 * @is_log_step: its values are shown to observers. */
cairn_pass crn_trainer_training_pass(cairn_trainer *trainer, uint64_t index, bool is_log_step);
cairn_pass crn_trainer_validation_pass(const cairn_trainer *trainer);

/* precision.c: tells the model the number type and makes the scaler that the options ask for.
 * ECONFIG, and what use_bf16 of the model gives. */
cairn_status crn_trainer_set_precision(cairn_trainer *trainer, cairn_error *err);
/* Adds its state to the tree, if it has one. */
cairn_status crn_trainer_declare_scaler(cairn_trainer *trainer, cairn_error *err);
/* All micro-batches are computed: the gradients become those of the loss itself, and their norm is
 * measured. *out_is_skipped: they overflowed, and there is to be no update. */
double crn_trainer_finish_gradients(cairn_trainer *trainer, bool *out_is_skipped);
void crn_trainer_clip(cairn_trainer *trainer, double norm);
/* The step is over. Adds the metric loss_scale if it is wanted. ENONFINITE: it cannot go on. */
cairn_status crn_trainer_scaler_step(cairn_trainer *trainer, bool is_skipped, cairn_error *err);
/* stop.c: why the run is to stop now: what stop_requested says, or "max_time" when a step and a
 * save may not fit into loop.max_time any more. NULL: it goes on. */
const char *crn_trainer_stop_reason(cairn_trainer *trainer);
/* Waits for the next batch of @loader or a reason to stop: data may hang. NULL: it is there. */
const char *crn_trainer_await_batch(cairn_trainer *trainer, cairn_loader *loader);
/* Reads loop.max_time; its clock may have begun earlier (clock_start_ns). ECONFIG. */
cairn_status crn_trainer_start_clock(cairn_trainer *trainer, cairn_error *err);

/* Opens the store that the options name. */
uint64_t crn_trainer_staging(const cairn_trainer *trainer); /* as in cairn_store_options */
cairn_status crn_trainer_open_store(cairn_trainer *trainer, bool is_read_only, cairn_error *err);

/* tree.c: what the state tree holds. */
cairn_status crn_trainer_plan_tree(cairn_trainer *trainer, bool is_training, cairn_error *err);
/* Zero moments, step 0: what a load starts from. The model is left to crn_trainer_load, or to: */
cairn_status crn_trainer_reset_tree(cairn_trainer *trainer, cairn_error *err);
/* Initial weights, which can take as long as many steps. */
cairn_status crn_trainer_initialize_model(cairn_trainer *trainer, cairn_error *err);
/* Copies the trainer's counters into the tree's values, before a save. */
cairn_status crn_trainer_values_to_tree(cairn_trainer *trainer, cairn_error *err);
/* And back, after a load. */
cairn_status crn_trainer_values_from_tree(cairn_trainer *trainer, cairn_error *err);

/* cadence.c: whether a save is due at the end of this step, asked for by the schedule, a callback,
 * the clock, a signal or the file save-now; *out_why says so. */
bool crn_trainer_save_is_due(cairn_trainer *trainer, const cairn_control *control,
                             crn_save_why *out_why);
/* Whether the run saves by itself at all, and so at its end. */
bool crn_trainer_saves_at_end(const cairn_trainer *trainer);

/* fit.c: whether metrics of the step are shown: every log_steps from the run's start, and of the
 * last (Model Zoo reference, 2.8). */
bool crn_trainer_is_log_step(const cairn_trainer *trainer, uint64_t step);
/*
 * fit.c: all that comes before the store is opened: takes the loaders, checks them and the options,
 * and allocates the state. Statuses as cairn_trainer_fit.
 */
cairn_status crn_trainer_prepare_fit(cairn_trainer *trainer, cairn_loader *train,
                                     cairn_loader **val, size_t val_count, cairn_ckpt ckpt,
                                     cairn_error *err);
/* Logs what there is to train and to validate with. */
void crn_trainer_say_data(const cairn_trainer *trainer);
/* Calls on_enter_fit; from here on callbacks are told of a failure. */
cairn_status crn_trainer_enter_fit(cairn_trainer *trainer, cairn_error *err);
/* fit.c: one step, which began at @start_ns: its micro-batches, the update, the count. */
cairn_status crn_trainer_step(cairn_trainer *trainer, int64_t start_ns, cairn_error *err);
/* loop.c: trains to the end of the schedule or until a stop; saves and validates on the way. */
cairn_status crn_trainer_loop(cairn_trainer *trainer, cairn_fit_result *out, cairn_error *err);

/* Whether a callback has ended the run that goes on, at this very step. */
bool crn_trainer_is_ended_for_good(const cairn_trainer *trainer);

/* evaluate.c: batches of one validation with @loader. */
uint64_t crn_trainer_validation_batches(const cairn_trainer *trainer, const cairn_loader *loader);

/* summary.c: the "Trainer Fit Summary", and a line for each loop. */
void crn_trainer_log_summary(const cairn_trainer *trainer);
void crn_trainer_log_segment(const cairn_trainer *trainer);
void crn_trainer_log_validation(const cairn_trainer *trainer);

/* plan.c: prints what the run will do and whether the disk suffices for it. ENOSPACE: it does not
 * hold a single checkpoint. */
cairn_status crn_trainer_plan(cairn_trainer *trainer, const cairn_catalogue *catalogue,
                              cairn_error *err);
/* What the folder of the checkpoints has room for. False where it cannot be told. */
bool crn_trainer_free_bytes(const cairn_trainer *trainer, uint64_t *out);
/* A step took so long: as soon as that is typical, tells how much the saves write an hour. */
void crn_trainer_plan_step(cairn_trainer *trainer, double seconds);

/* memory.c: plans what the run takes. ENOMEM: more than there is; nothing was filled yet. */
cairn_status crn_trainer_plan_memory(cairn_trainer *trainer, cairn_error *err);
/* Tells it. */
void crn_trainer_log_memory(const cairn_trainer *trainer);

/* starts.c: counts, in the notes of the checkpoint that a start loads, the starts in a row that
 * finished no step; says so loudly from the third on. Only for files of the store. */
void crn_trainer_start_begins(cairn_trainer *trainer, const cairn_catalogue *catalogue);
/* The first step is finished: the file is good for a start. */
void crn_trainer_start_succeeded(cairn_trainer *trainer);
/* The run ended before its first step for a reason that is not the checkpoint's. */
void crn_trainer_start_withdrawn(cairn_trainer *trainer);

/* ckpt_paths.c: the paths that @patterns find, sorted. Zeroed is empty. ENOTFOUND: one finds
 * nothing; EIO. */
typedef struct crn_path_list {
    char **items;
    size_t count;
    size_t capacity;
} crn_path_list;
cairn_status crn_path_list_expand(const crn_os *os, const char *const *patterns, size_t count,
                                  crn_path_list *out, cairn_error *err);
cairn_status crn_path_list_add(crn_path_list *list, const char *path, cairn_error *err);
void crn_path_list_dispose(crn_path_list *list);

/* start.c: which checkpoint, which run. Loads it and prints start line, receipt and plan. */
cairn_status crn_trainer_start(cairn_trainer *trainer, cairn_ckpt ckpt, cairn_error *err);
/* As crn_trainer_start for a validation: no run, never an older checkpoint. */
cairn_status crn_trainer_start_validation(cairn_trainer *trainer, cairn_ckpt ckpt,
                                          cairn_error *err);
/* The checkpoints of validate_all: @ckpts with patterns expanded and defaults looked up; empty for
 * none. */
cairn_status crn_trainer_find_ckpts(cairn_trainer *trainer, const cairn_ckpts *ckpts,
                                    crn_path_list *out, cairn_error *err);
/* Plans saves and validations for the run that started. */
cairn_status crn_trainer_make_schedule(cairn_trainer *trainer, cairn_error *err);

/* load.c */
typedef struct crn_load_plan {
    const char *path;
    const char *states;    /* NULL: all, or what callbacks select */
    bool is_fixed;         /* callbacks may not restrict it */
    bool is_plain_allowed; /* a file without our metadata is accepted */
} crn_load_plan;

/* What a load gave. Zeroed is empty; crn_load_outcome_dispose frees it. */
typedef struct crn_load_outcome {
    char *states;                   /* asked for, joined with ","; NULL: all */
    char run_id[CAIRN_RUN_ID_SIZE]; /* of the file; "" for a plain one */
    bool step_loaded;               /* global_step came from the file */
    crn_str loaded;                 /* names of the states loaded, for the start line */
    crn_str fresh;                  /* and of those that keep their defaults */
} crn_load_outcome;

/* Loads one checkpoint with all hooks and logs the receipt. */
cairn_status crn_trainer_load(cairn_trainer *trainer, const crn_load_plan *plan,
                              crn_load_outcome *out, cairn_error *err);
void crn_load_outcome_dispose(crn_load_outcome *outcome);
/* Whether the text @list ("model,optimizer") has @name. */
bool crn_list_has(const char *list, const char *name);

/*
 * save.c: saves unless this step is saved already, or being saved. With asynchronous saves it
 * returns after the capture. A save that fails for lack of space or by I/O ends the run only if it
 * was the last, or the third in a row.
 */
cairn_status crn_trainer_save(cairn_trainer *trainer, crn_save_why why, cairn_error *err);
/* At the end of a step: hears of a save that has ended. */
cairn_status crn_trainer_poll_save(cairn_trainer *trainer, cairn_error *err);
/* Waits for a save under way; one at the end of the run counts as the last. */
cairn_status crn_trainer_finish_save(cairn_trainer *trainer, bool is_end, cairn_error *err);
/* As finish, for a run that failed already: no hook is called, and nothing new is reported. */
void crn_trainer_settle_save(cairn_trainer *trainer);
/* Makes the store ready for asynchronous saves, if there are to be any. */
bool crn_trainer_attaches_store(const cairn_trainer *trainer);
cairn_status crn_trainer_attach_store(cairn_trainer *trainer, cairn_error *err);
void crn_saving_dispose(crn_saving *saving);
/* Frees the texts of the extras and forgets them. */
void crn_save_dispose(cairn_save *save);
/* Whether a run may go on although a save ended so: for lack of space or by I/O. */
bool crn_save_is_tolerable(cairn_status status);

/* save_report.c: what the save that ended took, kept for the summary. */
cairn_save_cost crn_trainer_note_cost(cairn_trainer *trainer, const cairn_save_result *result);
/* Logs a save of which the full checkpoint at least is durable. */
void crn_trainer_log_saved(const cairn_trainer *trainer, const cairn_save_result *result,
                           const cairn_save_cost *cost);
/* One line for each extra that was written. */
void crn_trainer_log_extras(const cairn_trainer *trainer, const cairn_save *save,
                            const cairn_save_result *result);
/* The summary at the end: how long saves held the training up, and how fast they were. */
void crn_trainer_log_saves(const cairn_trainer *trainer);

/* catch_up.c: the hook on_fit_start, and what a kill cut off behind the commit of the checkpoint
 * that the run goes on from: its alternatives. */
cairn_status crn_trainer_begin_fit(cairn_trainer *trainer, cairn_error *err);
cairn_status crn_trainer_catch_up(cairn_trainer *trainer, bool has_steps_left, cairn_error *err);

/* notes.c: writes the last validation into the notes of its step's checkpoint as soon as both are
 * there. */
cairn_status crn_trainer_note_validation(cairn_trainer *trainer, cairn_error *err);
/* The save that starts: a validation of this step may be there already. */
cairn_status crn_trainer_begin_notes(cairn_trainer *trainer, cairn_error *err);
/* The save under way is committed at saved_path. */
cairn_status crn_trainer_end_notes(cairn_trainer *trainer, cairn_error *err);
/* Whether the loaded or saved checkpoint of this step has the validation of this step. */
bool crn_trainer_validation_is_noted(const cairn_trainer *trainer);
/* Hands the results in the notes of saved_path to the callbacks. */
cairn_status crn_trainer_replay_validation(cairn_trainer *trainer, cairn_error *err);

/* evaluate.c: a round: validates with all loaders of the fit at this step. *out_stop: why it was
 * to stop before its end, nothing was recorded then; NULL: it was not. */
cairn_status crn_trainer_validate_round(cairn_trainer *trainer, const char **out_stop,
                                        cairn_error *err);
/* A name of a validation metric: "val_loss", of later loaders "val_loss/1" ... */
void crn_validation_name(crn_str *out, const char *name, size_t loader);

/* params_diff.c: logs what differs between the parameters of a checkpoint and ours, old -> new. */
void crn_log_params_diff(const cairn_log *log, const char *old_json, const char *new_json);
/* The same for the environment that bits depend on. */
void crn_log_environment_diff(const cairn_log *log, const char *old_json, const char *new_json);

#endif
