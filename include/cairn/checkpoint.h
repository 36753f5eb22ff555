/**
 * @file checkpoint.h  The checkpoint engine. Knows state trees (state.h), not training.
 *
 *     cairn_store_open(&options, &store, &err);           // locks the folder, sweeps leftovers
 *     cairn_store_save(store, tree, &request, &saved, &err);   // durable when it returns
 *     cairn_catalogue_read(store, &catalogue, &err);      // what is there, oldest first
 *     cairn_checkpoint_open(path, &ckpt, &err);           // header read and verified
 *     cairn_checkpoint_load(ckpt, tree, &load, &report, &err);
 *
 * Promises. A checkpoint is visible under its name only when all of it is durable (rename after
 * fsync, then fsync of the folder). It is never changed or overwritten afterwards. Any single
 * damaged bit is noticed on load. The file is a valid safetensors file; docs/format has the
 * specification.
 *
 * Thread safety: a store has one owner thread. Catalogues and checkpoints are independent values.
 */
#ifndef CAIRN_CHECKPOINT_H
#define CAIRN_CHECKPOINT_H

#include "cairn/log.h"
#include "cairn/state.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CAIRN_RUN_ID_SIZE = 33, /**< 32 hexadecimal digits and a NUL. */
    CAIRN_WRITER_THREADS_MAX = 16,
    CAIRN_FORMAT_MAJOR = 1,
    CAIRN_FORMAT_MINOR = 0
};

#define CAIRN_CHECKPOINT_NAME_DEFAULT "checkpoint_{step}.mdl"

/* ---- File names -------------------------------------------------------------------------- */

/**
 * Checks a checkpoint_name: exactly one field, "{step}" or "{step:08d}" with any width up to 18,
 * no "/" and no leading ".". @retval CAIRN_ECONFIG
 */
CAIRN_API cairn_status cairn_checkpoint_name_check(const char *name_template, cairn_error *err);

/** What the name of a checkpoint says. Ordered by (step, timestamp, suffix). */
typedef struct cairn_checkpoint_name {
    uint64_t step;
    uint64_t timestamp; /**< YYYYmmddHHMMSS as a number; 0 if the name has none. */
    uint64_t suffix;    /**< Of "..._TIMESTAMP_2"; 0 if the name has none. */
} cairn_checkpoint_name;

/** False if @p name does not match @p name_template whole, or its date is impossible. */
CAIRN_API bool cairn_checkpoint_name_parse(const char *name_template, const char *name,
                                           cairn_checkpoint_name *out);
/** -1, 0 or 1. */
CAIRN_API int cairn_checkpoint_name_compare(const cairn_checkpoint_name *a,
                                            const cairn_checkpoint_name *b);

/* ---- The store: a model_dir and, if it is elsewhere, the folder of its checkpoints -------- */

typedef struct cairn_store cairn_store;

typedef struct cairn_store_options {
    size_t struct_size;
    const char *model_dir;       /**< Made if absent, unless is_read_only. Copied. */
    const char *checkpoint_root; /**< NULL: model_dir. Made if absent, likewise. Copied. */
    const char *checkpoint_name; /**< NULL: CAIRN_CHECKPOINT_NAME_DEFAULT. Copied. */
    bool is_read_only;           /**< No lock, no sweep, nothing written. */
    const cairn_log *log;        /**< May be NULL. Borrowed until close. */
    /** Most memory for copies of blocks that an update needs before an asynchronous save has
     *  written them. 0: 64 MiB or 2 % of the state, whichever is more. CAIRN_STAGING_NONE: none. */
    uint64_t staging_bytes;
    unsigned writer_threads; /**< Of asynchronous saves; 0: 6. At most CAIRN_WRITER_THREADS_MAX. */
} cairn_store_options;

#define CAIRN_STAGING_NONE UINT64_MAX

/**
 * @param out_store  Yours; close it with cairn_store_close.
 * @retval CAIRN_ELOCKED  Another process holds model_dir; the message names host and process.
 * @retval CAIRN_ENOTFOUND  is_read_only, and there is no such folder.
 * @retval CAIRN_ECONFIG  checkpoint_name is wrong.
 * @retval CAIRN_EIO      A folder cannot be made, opened or locked.
 * Blocking: file system calls only.
 */
CAIRN_API cairn_status cairn_store_open(const cairn_store_options *options, cairn_store **out_store,
                                        cairn_error *err);
/** Waits for a save that is under way, detaches the tree and releases the lock. Accepts NULL. */
CAIRN_API void cairn_store_close(cairn_store *store);
CAIRN_API const char *cairn_store_model_dir(const cairn_store *store);
CAIRN_API const char *cairn_store_checkpoint_root(const cairn_store *store);

/* ---- The catalogue: what is in the folders ------------------------------------------------ */

typedef struct cairn_checkpoint_info {
    const char *path;           /**< As given: folder joined with name. */
    const char *file;           /**< Last part of path. */
    cairn_checkpoint_name name; /**< Zero for a file whose name does not match the template. */
    bool name_matches;
    bool is_readable;  /**< The beginning of the header is a checkpoint's. Digests: see verify. */
    bool is_full;      /**< All states; else an alternative of SaveCheckpointState. */
    bool has_metadata; /**< Has keys of cairn; else a plain safetensors file. */
    uint64_t bytes;    /**< Size of the file. */
    uint64_t step;     /**< The step it was saved after, from its metadata; else name.step. */
    uint64_t save_counter; /**< Number of the save in its run, from 1. */
    char run_id[CAIRN_RUN_ID_SIZE];
    const char *states;  /**< "model,optimizer,global_step"; "" if unknown. */
    const char *problem; /**< Why is_readable is false; else "". */
    int64_t modified_ns; /**< When the file was last written, since 1970, as its folder says. */
} cairn_checkpoint_info;

typedef struct cairn_catalogue cairn_catalogue;

/**
 * Reads model_dir and checkpoint_root: every file that matches the name template, and every other
 * regular file that carries cairn metadata (alternatives). Damaged ones are listed too, with
 * is_readable false. Sorted by name (step, timestamp, suffix); files that do not match the
 * template come after, by file name.
 * @param out  Yours.  @retval CAIRN_EIO  A folder cannot be listed.
 */
CAIRN_API cairn_status cairn_catalogue_read(const cairn_store *store, cairn_catalogue **out,
                                            cairn_error *err);
CAIRN_API size_t cairn_catalogue_count(const cairn_catalogue *catalogue);
CAIRN_API const cairn_checkpoint_info *cairn_catalogue_at(const cairn_catalogue *catalogue,
                                                          size_t i);
/** The newest full checkpoint that matches the template, damaged or not; NULL if none. */
CAIRN_API const cairn_checkpoint_info *cairn_catalogue_latest(const cairn_catalogue *catalogue);
/** Accepts NULL. */
CAIRN_API void cairn_catalogue_destroy(cairn_catalogue *catalogue);

/* ---- Run identity: model_dir/run.json ----------------------------------------------------- */

/** What the start of a run wrote down, so that --resume can go on from it. */
typedef struct cairn_run {
    char run_id[CAIRN_RUN_ID_SIZE];
    char parent_run_id[CAIRN_RUN_ID_SIZE]; /**< "" if none. */
    uint64_t first_step;                   /**< g0: cadences count from it. */
    uint64_t save_counter;                 /**< Saves of this run before this start. */
    uint64_t seed;                         /**< The seed in use, drawn or given. */
    char *loaded_path;                     /**< What the start loaded; NULL if nothing. Yours. */
    char *loaded_states;                   /**< Names joined with ","; NULL: all. Yours. */
    uint64_t stage;         /**< Which of several trainers of a file started it, from 0. */
    char *complete_reason;  /**< A callback ended the run for good; NULL: none has. Yours. */
    uint64_t complete_step; /**< With complete_reason: after this step. */
} cairn_run;

/** A fresh run id. @retval CAIRN_EIO  No random numbers. */
CAIRN_API cairn_status cairn_run_new_id(char out[CAIRN_RUN_ID_SIZE], cairn_error *err);
/** @retval CAIRN_ENOTFOUND  There is no run.json.  @retval CAIRN_ECORRUPT  It cannot be read. */
CAIRN_API cairn_status cairn_run_read(const cairn_store *store, cairn_run *out, cairn_error *err);
/** Replaces run.json atomically and durably. The store then gives saves this run id and counts
 *  from save_counter. */
CAIRN_API cairn_status cairn_run_write(cairn_store *store, const cairn_run *run, cairn_error *err);
/** Replaces run.json of the run that is going on: the store goes on counting saves. For
 *  complete_reason. */
CAIRN_API cairn_status cairn_run_update(cairn_store *store, const cairn_run *run, cairn_error *err);
/** Makes the store continue @p run without writing: after a --resume. @p save_counter is the
 *  counter of the newest own checkpoint. */
CAIRN_API void cairn_run_adopt(cairn_store *store, const cairn_run *run, uint64_t save_counter);
/** Frees the strings of @p run. */
CAIRN_API void cairn_run_dispose(cairn_run *run);

/* ---- Saving ------------------------------------------------------------------------------- */

/** A second file of the same capture, with some of the states. */
typedef struct cairn_save_extra {
    const char *states;        /**< "model" or "model,optimizer" or "all"; states that begin with
                                    "__" are always in. Borrowed. */
    const char *name_template; /**< With "{checkpoint_states}" and "{ckpt_name}". Borrowed. */
    const char *path;          /**< Out: where it is, or NULL. Borrowed until the next save. */
} cairn_save_extra;

typedef struct cairn_save_request {
    size_t struct_size;
    uint64_t step;           /**< For names and metadata. */
    const char *params_json; /**< Resolved parameters to keep in the file; may be NULL. Borrowed. */
    cairn_save_extra *extras; /**< May be NULL. */
    size_t extra_count;
    const char *environment_json; /**< What the bits depend on, as a flat JSON object of texts; may
                                       be NULL. Borrowed. */
} cairn_save_request;

typedef struct cairn_save_result {
    const char *path;      /**< The full checkpoint. Borrowed from the store until the next save. */
    uint64_t bytes;        /**< Of all files written. */
    uint64_t save_counter; /**< Of the full checkpoint. */
    double seconds;        /**< From the capture until all of it was durable. */
    uint64_t step;
    bool is_durable;                /**< The full checkpoint is, whatever became of the extras. */
    const char *const *extra_paths; /**< [extra_count] NULL: not saved. Borrowed as path. */
    size_t extra_count;
    double blocked_seconds; /**< For which the caller or an updater had to wait. */
    uint64_t copied_bytes;  /**< Copied because an update came before the writer. */
} cairn_save_result;

/**
 * Saves all states of @p tree, and the extras, durably. On failure nothing is under a final name
 * but files that were complete before the failure; older checkpoints are untouched.
 * @retval CAIRN_ENOSPACE, CAIRN_EIO  Not saved.
 * @retval CAIRN_EUNKNOWN  The folder could not be synced: the file is there but may not survive a
 *                         power cut. Nothing must be deleted on the strength of it.
 * Blocking: until durable.
 */
CAIRN_API cairn_status cairn_store_save(cairn_store *store, const cairn_state_tree *tree,
                                        cairn_save_request *request, cairn_save_result *out,
                                        cairn_error *err);
/**
 * Writes those extras of @p request that the full checkpoint @p path of this store lacks since a
 * save was cut short behind the commit of the full file. @p tree holds what was loaded from it, all
 * of it; step, run, counter, parameters and environment are those of @p path, not of @p request, so
 * the files are the ones which that save would have written.
 * @param out  extra_paths of what was written (NULL: it was there, or failed), bytes, seconds.
 * @retval CAIRN_EINVAL  @p path is no full checkpoint.
 * @retval CAIRN_ENOTFOUND, CAIRN_ECORRUPT  It cannot be read.
 * @retval CAIRN_ENOSPACE, CAIRN_EIO, CAIRN_EUNKNOWN  As cairn_store_save.
 * Blocking: until durable.
 */
CAIRN_API cairn_status cairn_store_save_missing(cairn_store *store, const cairn_state_tree *tree,
                                                const char *path, const cairn_save_request *request,
                                                cairn_save_result *out, cairn_error *err);

/* ---- Saving while the training goes on -----------------------------------------------------
 *
 *     cairn_store_attach(store, tree, &err);              // once; the tree is allocated
 *     cairn_store_save_start(store, tree, &request, &err);     // between two updates: the capture
 *     ... go on: forward, backward, updates through cairn_tensor_write_begin ...
 *     cairn_store_save_poll(store, &is_done, &saved, &err);    // now and then; or save_wait
 *
 * The file is the state at the moment of the capture. Threads of the store write it from the arena;
 * an update that comes before them copies a block aside, or waits for it. The file bears its name
 * as soon as it is durable, and stands in the index; the owner hears of it when it polls.
 * docs/design/0004-asynchronous-saves.md
 */

/**
 * Makes @p store ready for asynchronous saves of @p tree: installs its write guard, allocates the
 * staging memory, starts the threads (one touches it), finds how the folder is written best
 * (one line in the log). Another tree is detached first. @p tree must outlive the attachment.
 * @retval CAIRN_EINVAL  The tree is not allocated, the store is read-only, or a save is under way.
 * @retval CAIRN_ENOMEM
 */
CAIRN_API cairn_status cairn_store_attach(cairn_store *store, cairn_state_tree *tree,
                                          cairn_error *err);
/** Waits for a save that is under way, gives its result up, ends the threads and restores the
 *  tree's default guard. */
CAIRN_API void cairn_store_detach(cairn_store *store);

/**
 * Captures the state: call it while nobody writes to the tree. Attaches the tree if that has not
 * been done. @p request is copied; paths of extras come with the result.
 * @retval CAIRN_EINVAL  A save is under way; its result must be collected first.
 * @retval CAIRN_ENOMEM  Nothing was started, nor on any other failure.
 * Blocking: no.
 */
CAIRN_API cairn_status cairn_store_save_start(cairn_store *store, cairn_state_tree *tree,
                                              cairn_save_request *request, cairn_error *err);
/** True from cairn_store_save_start until poll or wait has given the result. */
CAIRN_API bool cairn_store_save_is_pending(const cairn_store *store);
/**
 * Collects the result if the save has ended: *@p out_is_done says so; returns CAIRN_OK otherwise.
 * Statuses are those of cairn_store_save; on failure @p out has the path of what is there anyway.
 * @retval CAIRN_EINVAL  No save was started.
 */
CAIRN_API cairn_status cairn_store_save_poll(cairn_store *store, bool *out_is_done,
                                             cairn_save_result *out, cairn_error *err);
/** As poll, but waits for the end. */
CAIRN_API cairn_status cairn_store_save_wait(cairn_store *store, cairn_save_result *out,
                                             cairn_error *err);

/** Bytes of all files that cairn_store_save would write now, exactly. @p tree must be allocated.
 *  @retval CAIRN_EINVAL */
CAIRN_API cairn_status cairn_store_save_bytes(const cairn_store *store,
                                              const cairn_state_tree *tree,
                                              const cairn_save_request *request,
                                              uint64_t *out_bytes, cairn_error *err);

/** Removes checkpoint @p path and its notes, durably; drops it from the index. An absent file is
 *  success. @retval CAIRN_EIO */
CAIRN_API cairn_status cairn_store_delete(cairn_store *store, const char *path, cairn_error *err);

/** Full, readable checkpoints of run @p run_id in @p catalogue. */
CAIRN_API size_t cairn_catalogue_count_own(const cairn_catalogue *catalogue, const char *run_id);

/** As cairn_store_prune with a rule for the newest @p n (at least 1) only. */
CAIRN_API cairn_status cairn_store_keep_newest(cairn_store *store, const char *run_id, uint64_t n,
                                               const char *protected_path, uint64_t *out_deleted,
                                               cairn_error *err);

/* ---- Retention: which checkpoints stay, and why ------------------------------------------- */

/**
 * Rules over the full checkpoints of one run whose names match the template. One stays if any rule
 * names it; the newest that is intact always stays. A zeroed rule names none.
 *
 * `minutes` goes by the time at which each file was written, in order of saving: the first stays,
 * and each that was written at least so much later than the last that stayed for this reason. A
 * clock that was set back starts anew there, so that a jump keeps too much rather than too little.
 */
typedef struct cairn_retention {
    size_t struct_size;
    uint64_t newest;    /**< This many newest saves that are intact; 0: nothing is ever deleted. */
    uint64_t every;     /**< Each step that is a multiple of it, for ever. */
    uint64_t best;      /**< This many with the best metric. Of equal ones the newer; one that is
                             missing or not finite is never best. */
    const char *metric; /**< Its key in the notes; NULL: "val_loss". Borrowed. */
    bool is_max;        /**< The largest is best; else the smallest. */
    double minutes;     /**< One in this many minutes. */
    const char *protected_path; /**< Stays in any case, and takes no place among the best: the one
                                     that was saved or loaded just now. NULL: none. Borrowed. */
} cairn_retention;

typedef enum cairn_verdict {
    CAIRN_VERDICT_KEEP,
    CAIRN_VERDICT_DELETE,
    CAIRN_VERDICT_LEAVE /**< Not ours to judge: of another run, alternative, damaged, renamed. */
} cairn_verdict;

enum { CAIRN_REASONS_MAX = 8 };

typedef struct cairn_judged {
    const cairn_checkpoint_info *info;
    cairn_verdict verdict;
    size_t reason_count;                    /**< At least 1. */
    const char *reasons[CAIRN_REASONS_MAX]; /**< "newest 3", "every 1000 steps", "best 2 by
                                                 val_loss", "one in 30 minutes", "pinned" ... */
} cairn_judged;

/** A verdict on every file of a catalogue. */
typedef struct cairn_retention_plan cairn_retention_plan;

/**
 * Reads catalogue and notes and judges; deletes nothing, so the store may be read-only. Pinned
 * ones stay, those whose notes cannot be read, and what --resume would load.
 * @param out  Yours.
 * @retval CAIRN_ECONFIG  `minutes` is negative or no number.
 * @retval CAIRN_EIO      A folder or run.json cannot be read, so nothing is known for sure.
 */
CAIRN_API cairn_status cairn_retention_plan_make(const cairn_store *store, const char *run_id,
                                                 const cairn_retention *retention,
                                                 cairn_retention_plan **out, cairn_error *err);
/** In the order of the catalogue. Borrowed from the plan. */
CAIRN_API size_t cairn_retention_plan_count(const cairn_retention_plan *plan);
CAIRN_API const cairn_judged *cairn_retention_plan_at(const cairn_retention_plan *plan, size_t i);
/**
 * Deletes what the plan says, oldest save first. One that was pinned meanwhile stays.
 * @param out_deleted  Receives how many were deleted. May be NULL.
 * @retval CAIRN_EIO   One cannot be deleted; those before it are.
 */
CAIRN_API cairn_status cairn_retention_plan_apply(cairn_store *store,
                                                  const cairn_retention_plan *plan,
                                                  uint64_t *out_deleted, cairn_error *err);
/** Accepts NULL. */
CAIRN_API void cairn_retention_plan_destroy(cairn_retention_plan *plan);

/** Makes a plan and applies it. Call it after the newest checkpoint is committed. */
CAIRN_API cairn_status cairn_store_prune(cairn_store *store, const char *run_id,
                                         const cairn_retention *retention, uint64_t *out_deleted,
                                         cairn_error *err);

/* ---- Notes: facts known later, in <file>.notes.json --------------------------------------- */

/** Sets one number in the notes of @p path and replaces them atomically. Damaged notes are begun
 *  anew; notes that cannot be read just now stay as they are. @retval CAIRN_EIO, CAIRN_ENOSPACE */
CAIRN_API cairn_status cairn_notes_set_number(cairn_store *store, const char *path, const char *key,
                                              double value, cairn_error *err);
/** A number for the notes. */
typedef struct cairn_note {
    const char *key;
    double value;
} cairn_note;
/** As cairn_notes_set_number for several at once: all are there afterwards or none. */
CAIRN_API cairn_status cairn_notes_set_numbers(cairn_store *store, const char *path,
                                               const cairn_note *notes, size_t count,
                                               cairn_error *err);
/** Takes one fact out of the notes of @p path; the last takes the file along. An absent one is
 *  success. @retval CAIRN_EIO, CAIRN_ENOSPACE */
CAIRN_API cairn_status cairn_notes_remove(cairn_store *store, const char *path, const char *key,
                                          cairn_error *err);
/** False if there are no notes, they cannot be read, or they lack the key. */
CAIRN_API bool cairn_notes_get_number(const char *path, const char *key, double *out);

/**
 * Pins the checkpoint @p path, so that retention never deletes it, or unpins it. Needs no store
 * and works beside a running fit. When it returns, the pin is durable and the file is there.
 * @retval CAIRN_ENOTFOUND  There is no such file.
 * @retval CAIRN_ECORRUPT   It is no checkpoint that can be read (pinning only).
 * @retval CAIRN_ELOCKED    Another process kept the notes locked for ten seconds.
 * @retval CAIRN_EIO, CAIRN_ENOSPACE
 */
CAIRN_API cairn_status cairn_checkpoint_pin(const char *path, bool is_pinned, cairn_error *err);

/** The notes of one checkpoint as they were when they were read. */
typedef struct cairn_notes cairn_notes;

/**
 * @param out  Yours. Notes that are not there are empty.
 * @retval CAIRN_ECORRUPT  They are damaged.  @retval CAIRN_EIO  They cannot be read.
 */
CAIRN_API cairn_status cairn_notes_read(const char *path, cairn_notes **out, cairn_error *err);
/** A JSON object on one line; "{}" if there are none. Borrowed. */
CAIRN_API const char *cairn_notes_json(const cairn_notes *notes);
CAIRN_API bool cairn_notes_is_pinned(const cairn_notes *notes);
/** False if there is no such number. */
CAIRN_API bool cairn_notes_number(const cairn_notes *notes, const char *key, double *out);
/** Accepts NULL. */
CAIRN_API void cairn_notes_destroy(cairn_notes *notes);

/* ---- A save on request: `touch model_dir/save-now` ----------------------------------------- */

#define CAIRN_SAVE_NOW_FILE "save-now"

/**
 * True if somebody has made model_dir/save-now, which is gone then. The request itself stays on
 * the disk until cairn_store_save_answered, so a process that dies before it has saved leaves it to
 * the next one. Cheap: one system call while there is none.
 */
CAIRN_API bool cairn_store_save_requested(cairn_store *store);
/** The request is fulfilled: a save is durable. Call it after any save; without a request it does
 *  nothing. */
CAIRN_API void cairn_store_save_answered(cairn_store *store);

/* ---- Reading ------------------------------------------------------------------------------ */

typedef struct cairn_checkpoint cairn_checkpoint;

/** A tensor as a file lists it. */
typedef struct cairn_file_tensor {
    const char *name; /**< Full name, bytes; NUL-terminated, escaped nothing. */
    cairn_dtype dtype;
    int rank;
    const uint64_t *shape; /**< [rank] */
    uint64_t offset;       /**< From the start of the file. */
    uint64_t bytes;
    const char *digest; /**< 32 hexadecimal digits; NULL if the file has none. */
} cairn_file_tensor;

/**
 * Opens a file and reads its header; a header digest that does not match is damage.
 * @param out  Yours.
 * @retval CAIRN_ENOTFOUND  No such file.
 * @retval CAIRN_ECORRUPT   Truncated, damaged, or no safetensors file; the message says which.
 * @retval CAIRN_EIO        It cannot be read.
 */
CAIRN_API cairn_status cairn_checkpoint_open(const char *path, cairn_checkpoint **out,
                                             cairn_error *err);
/** Accepts NULL. */
CAIRN_API void cairn_checkpoint_close(cairn_checkpoint *ckpt);
/** Facts of the header; borrowed. */
CAIRN_API const cairn_checkpoint_info *cairn_checkpoint_get_info(const cairn_checkpoint *ckpt);
/** "1.0"; "" for a plain file. */
CAIRN_API const char *cairn_checkpoint_format_version(const cairn_checkpoint *ckpt);
/** Resolved parameters (JSON) as saved; NULL if none. Borrowed. */
CAIRN_API const char *cairn_checkpoint_params(const cairn_checkpoint *ckpt);
/** The environment (JSON) as saved; NULL if none. Borrowed. */
CAIRN_API const char *cairn_checkpoint_environment(const cairn_checkpoint *ckpt);
/** State digest: equal for equal names, dtypes, shapes and bytes. "" for a plain file. */
CAIRN_API const char *cairn_checkpoint_state_digest(const cairn_checkpoint *ckpt);
/** Tensors in file order, "__pad__" left out. */
CAIRN_API size_t cairn_checkpoint_tensor_count(const cairn_checkpoint *ckpt);
CAIRN_API const cairn_file_tensor *cairn_checkpoint_tensor_at(const cairn_checkpoint *ckpt,
                                                              size_t i);
/** True if the file has that state (with or without tensors). */
CAIRN_API bool cairn_checkpoint_has_state(const cairn_checkpoint *ckpt, const char *state);
/** A value of a state as text; NULL if absent. Borrowed. */
CAIRN_API const char *cairn_checkpoint_value(const cairn_checkpoint *ckpt, const char *state,
                                             const char *key);

typedef struct cairn_load_options {
    size_t struct_size;
    const char *states; /**< Names joined with ","; NULL or "all": all that both sides have. */
    bool is_tolerant;   /**< disable_strict_checkpoint_loading: keys that only one side has are
                             listed, not an error. A shape or dtype mismatch always is. */
    const char *required_state; /**< Must be loaded with at least one tensor; NULL: none. */
    bool allow_newer_version;   /**< strict_version false: a newer major version is a warning. */
    const cairn_log *log;       /**< May be NULL. */
} cairn_load_options;

/** One state of a load report. */
typedef struct cairn_load_state {
    const char *name;
    bool is_loaded;         /**< False: it keeps its defaults ("fresh"). */
    size_t tensors_in_file; /**< Aliases not counted. */
    size_t tensors_in_tree;
    size_t tensors_loaded;
    uint64_t bytes_loaded;
    const char *const *missing; /**< In the tree, not in the file. */
    size_t missing_count;
    const char *const *unexpected; /**< In the file, not in the tree. */
    size_t unexpected_count;
} cairn_load_state;

/** The receipt: every tensor is accounted for. */
typedef struct cairn_load_report {
    const cairn_load_state *states; /**< Those of the tree, in its order. */
    size_t state_count;
    bool is_verified; /**< False for a plain file without digests. */
    double seconds;
} cairn_load_report;

/**
 * Copies the states asked for into @p tree, checking digests on the way. Names without a state
 * prefix in a plain file are the model's; "model.model.x" serves "model.x"; of tied tensors one
 * suffices, or both if equal.
 *
 * On failure tensors may be partly overwritten: initialize the tree again before another try.
 * A tolerated optimizer entry that is missing is zero.
 *
 * @param out_report  Yours: cairn_load_report_destroy. Set on CAIRN_EINCOMPATIBLE too. May be NULL.
 * @retval CAIRN_ECORRUPT       Damage: another checkpoint may serve.
 * @retval CAIRN_EINCOMPATIBLE  Shape, dtype, strict keys, or nothing matches; a listed state is not
 *                              in the file.
 * @retval CAIRN_EVERSION       A newer format.
 */
CAIRN_API cairn_status cairn_checkpoint_load(cairn_checkpoint *ckpt, cairn_state_tree *tree,
                                             const cairn_load_options *options,
                                             cairn_load_report **out_report, cairn_error *err);
/** Accepts NULL. */
CAIRN_API void cairn_load_report_destroy(cairn_load_report *report);

/** One damaged place that verify found. */
typedef struct cairn_damage {
    const char *tensor; /**< NULL: padding or the header. Borrowed until the callback returns. */
    uint64_t offset;    /**< From the start of the file. */
    uint64_t bytes;
    const char *text; /**< What is wrong. */
} cairn_damage;
typedef void (*cairn_damage_fn)(void *user, const cairn_damage *damage);

/**
 * Reads the whole file and checks every digest.
 * @param fn  Called for each damaged chunk; may be NULL.
 * @retval CAIRN_ECORRUPT  At least one place is damaged.
 */
CAIRN_API cairn_status cairn_checkpoint_verify(cairn_checkpoint *ckpt, cairn_damage_fn fn,
                                               void *user, cairn_error *err);

#ifdef __cplusplus
}
#endif
#endif
