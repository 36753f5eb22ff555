/**
 * @file app.h  What the `cairn` program does, as functions: from a YAML file to a result.
 *
 * Each call reads the configuration, reports every problem of it at once through the log, builds
 * what it describes and runs it. Nothing is printed; nothing outlives the call.
 */
#ifndef CAIRN_APP_H
#define CAIRN_APP_H

#include "cairn/plugin/plugin.h"
#include "cairn/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What the command line adds to the YAML. Zeroed is "nothing"; all texts are borrowed. */
typedef struct cairn_app_request {
    size_t struct_size;
    const char *params_path;        /**< The YAML file. */
    const char *const *assignments; /**< "path=value" of each --set, applied in order. */
    size_t assignment_count;
    const char *model_dir;              /**< --model_dir; NULL: as in the YAML. */
    const char *checkpoint_path;        /**< --checkpoint_path; NULL: as in the YAML. */
    const char *load_checkpoint_states; /**< --load_checkpoint_states; NULL: as in the YAML. */
    bool resume;                        /**< --resume */
    int threads;                        /**< --threads; 0: one a processor. */
    const cairn_log *log;               /**< Its level is replaced by logging.log_level unless
                                             has_log_level. May be NULL. */
    bool has_log_level;                 /**< --logging was given: log->level decides. */
    /** A progress bar for a terminal, as in cairn_progress_options; NULL: none. */
    void (*bar)(void *user, const char *text);
    /** As in cairn_trainer_options; NULL: never. */
    const char *(*stop_requested)(void *user);
    bool (*save_requested)(void *user);
    void *user;           /**< For the functions of this struct. */
    const char *max_time; /**< --max_time; NULL: as in the YAML. */
    /** A trainer of a file with several has ended in order, and the next begins: @p index of
     *  @p count, from 0. Not called for the last. NULL: nobody wants to know. */
    void (*trainer_done)(void *user, size_t index, size_t count, const cairn_fit_result *result);
    /** validate and validate_all: a result, as it comes. NULL: nobody wants each. */
    cairn_validated_fn validated;
    /** Classes that this program brings along, besides those of `plugins` in the YAML. Borrowed. */
    const cairn_plugin *const *plugins;
    size_t plugin_count;
    const char *attempt; /**< What cairn_app_supervise gave this process; NULL: nothing. */
} cairn_app_request;

/**
 * `cairn fit`: the trainers of the file one after the other; all of the file is checked first. A
 * stop ends all, and so does a failure.
 * @param out  Of the last trainer that ran. Set on success and on failure;
 *             cairn_fit_result_dispose.
 * @retval CAIRN_ECONFIG, CAIRN_EUNSUPPORTED  The configuration; nothing was touched.
 * Others as cairn_trainer_fit.
 */
CAIRN_API cairn_status cairn_app_fit(const cairn_app_request *request, cairn_fit_result *out,
                                     cairn_error *err);

/** A trainer of the file was tried: @p index of @p count, from 0. Borrowed for the call. */
typedef void (*cairn_dry_run_fn)(void *user, size_t index, size_t count,
                                 const cairn_dry_run *dry_run);

/**
 * `cairn fit --dry_run`: cairn_trainer_dry_run of each trainer of the file. Nothing is written, no
 * logger is made, and `autorestart` does not count. A later trainer whose ckpt_path is still to be
 * written by an earlier one is tried with initial weights; a notice says so.
 * @param fn  Gets each result as it comes, with request->user; may be NULL.
 */
CAIRN_API cairn_status cairn_app_dry_run(const cairn_app_request *request, cairn_dry_run_fn fn,
                                         cairn_error *err);

/** How a supervised fit ended. */
typedef struct cairn_supervised {
    bool is_supervised; /**< False: the configuration has no `autorestart`; nothing was done. */
    int exit_code;      /**< Of the last attempt; 1 if a signal ended it. */
    char *line;         /**< The result for standard output. Yours. */
} cairn_supervised;

/**
 * `cairn fit` with `autorestart` in the YAML: runs this very program again, as a child with the
 * arguments @p argv and "--attempt=..." behind argv[0], and again, to go on with its run, while it
 * crashes and brings new checkpoints (docs/guide/autorestart.md). Signals are passed on. The child
 * is killed when this process ends. Call it before anything starts a thread, and not for a request
 * with `attempt`.
 * @param argv  [argc] The subcommand and its arguments, without the name of the program.
 * @param out   Set on success: cairn_supervised_dispose.
 * @retval CAIRN_EIO, CAIRN_ENOMEM  No attempt can be made.
 */
CAIRN_API cairn_status cairn_app_supervise(const cairn_app_request *request, int argc,
                                           char *const *argv, cairn_supervised *out,
                                           cairn_error *err);
CAIRN_API void cairn_supervised_dispose(cairn_supervised *supervised);
/** For an attempt: hands the result to the supervisor, which alone writes it to standard output. */
CAIRN_API void cairn_app_attempt_result(const char *attempt, const char *line);
/** For an attempt: whether the end of trainer @p index of several is to be told; true once. */
CAIRN_API bool cairn_app_attempt_tells(const char *attempt, size_t index);

/** `cairn validate_all`: every checkpoint of `validate_all.ckpt_paths` with every loader; results
 *  go to request->validated. Statuses likewise. */
CAIRN_API cairn_status cairn_app_validate_all(const cairn_app_request *request, cairn_error *err);

/** `cairn validate`: the `validate` section, or the validation data of `fit`. @param out  Of the
 *  last trainer of the file. Statuses likewise. */
CAIRN_API cairn_status cairn_app_validate(const cairn_app_request *request,
                                          cairn_validate_result *out, cairn_error *err);

typedef struct cairn_generate_options {
    size_t struct_size;
    const char *checkpoint_path; /**< A checkpoint, a Hugging Face folder or a GGUF file. */
    const char *const *prompts;  /**< [prompt_count] Each is continued; each may be "". */
    size_t prompt_count;         /**< 0: one that is empty. */
    uint64_t max_tokens;         /**< For each prompt. */
    double temperature;          /**< 0: the most likely token each time. */
    uint64_t top_k;              /**< Only the k most likely tokens; 0: all. */
    double top_p;              /**< Only the most likely tokens that together have this probability;
                                    1: all. */
    double repetition_penalty; /**< Makes tokens of the text less likely (above 1); 1: none. */
    uint64_t seed;             /**< Of each prompt's text, which does not depend on the others. */
    const char *const *stops;  /**< [stop_count] The text ends before the first of these. */
    size_t stop_count;
    int threads;          /**< 0: one a processor. */
    const cairn_log *log; /**< May be NULL. */
    /** Receives the text as it comes: first the prompt, then each token's bytes, and a line end. An
     *  empty line is between two texts. With as_json it receives a line for each prompt when its
     *  text has ended: {"prompt", "text", "prompt_tokens", "tokens", "reason", "seconds"}, where
     *  text is what was written behind the prompt (what is no UTF-8 in it is U+FFFD), and reason is
     *  "max_tokens", "stop" (a stop text came) or "interrupted". */
    void (*write)(void *user, const char *bytes, size_t size);
    bool as_json;
    /** Polled between tokens; NULL: never. */
    const char *(*stop_requested)(void *user);
    void *user;
    const char *tokenizer; /**< As of cairn_tokenizer_open; NULL: "bytes" for a checkpoint, the
                                tokenizer.json or tokenizer.model of a Hugging Face folder. */
    /** Of a checkpoint: another one whose adapters (state lora) are taken; NULL: its own, if it
     *  has any. */
    const char *lora_path;
    /** The token that begins texts stands before each prompt; before "" always. */
    bool adds_first;
} cairn_generate_options;

/**
 * `cairn generate`: continues prompts with a model; its shape comes from the parameters in the
 * file, or from what other programs keep for that. A text that becomes longer than the model's
 * longest sequence loses its beginning from the model's sight, which is logged.
 * @retval CAIRN_ENOTFOUND, CAIRN_ECORRUPT, CAIRN_EINCOMPATIBLE  The checkpoint, folder or file.
 * @retval CAIRN_ECONFIG  An option is out of range, or a prompt has a token that the model lacks,
 *                        or no tokenizer is named where none is known.
 * @retval CAIRN_EDATA, CAIRN_EUNSUPPORTED  The tokenizer, or a prompt is no UTF-8; or the model.
 */
CAIRN_API cairn_status cairn_app_generate(const cairn_generate_options *options, cairn_error *err);

/** What `cairn data prepare` makes of texts. Zeroed is the default where none is named. */
typedef struct cairn_prepare_options {
    size_t struct_size;
    const char *const *inputs; /**< [input_count] Text files, in this order. */
    size_t input_count;
    const char *output;     /**< The file of tokens. */
    const char *val_output; /**< The file for the end of the text; NULL: none. */
    double val_fraction;    /**< Share of the bytes that goes there; 0 just if there is none. */
    const char *tokenizer;  /**< As of cairn_tokenizer_open. */
    const char *dtype;      /**< "uint16", "uint32"; NULL or "auto": the smaller that will do. */
    const char *format;     /**< "llmc": with the header of llm.c; NULL or "nanogpt": without. */
    bool append_eos;        /**< A token that ends a text after each file. */
    const char *eos_token;  /**< Its text; NULL: the tokenizer's own, for bytes the byte 0. */
    bool replace_invalid;   /**< As in cairn_encoder_options. */
    bool overwrite;         /**< Files that are there are replaced. */
    /** A progress bar for a terminal, "" erases it; NULL: none. */
    void (*bar)(void *user, const char *text);
    /** Polled; a reason ends it, and no file appears. NULL: never. */
    const char *(*stop_requested)(void *user);
    void *user;
} cairn_prepare_options;

typedef struct cairn_prepare_result {
    uint64_t bytes;      /**< Of all texts. */
    uint64_t tokens;     /**< In `output`. */
    uint64_t val_tokens; /**< In `val_output`. */
    uint64_t replaced;   /**< Ill-formed parts that became U+FFFD. */
    uint32_t vocab_size; /**< Of the tokenizer: what a model needs at least. */
    unsigned token_bytes;
    bool has_eos; /**< Whether eos_id was appended. */
    uint32_t eos_id;
} cairn_prepare_result;

/**
 * `cairn data prepare`: texts to a file of tokens, little-endian, read by any trainer that reads
 * nanoGPT's or llm.c's. Memory does not grow with the texts. The files appear complete and durable
 * at the end, or not at all.
 *
 * With val_fraction the texts are cut once: at the first line end at or behind the byte
 * total - floor(total * val_fraction), or the end of the file that this byte is in.
 * @retval CAIRN_ECONFIG  An option is wrong, or the ids need more than dtype has.
 * @retval CAIRN_EDATA    A text cannot be read or is no UTF-8; the tokenizer cannot be used.
 * @retval CAIRN_EEXISTS  A file is there already and overwrite is not set.
 * @retval CAIRN_ECANCELED  stop_requested said so.
 */
CAIRN_API cairn_status cairn_app_prepare(const cairn_prepare_options *options,
                                         cairn_prepare_result *out, cairn_error *err);

/**
 * Text of `cairn help SECTION`; with @p section NULL the list of sections.
 * @param out_text  Yours: cairn_app_free.  @retval CAIRN_ECONFIG  No such section.
 */
CAIRN_API cairn_status cairn_app_help(const char *section, char **out_text, cairn_error *err);
/** `cairn config schema`: the configuration as JSON Schema (draft 7), for editors.
 *  @param out_text  Yours: cairn_app_free.  @retval CAIRN_ENOMEM */
CAIRN_API cairn_status cairn_app_schema(char **out_text, cairn_error *err);
typedef struct cairn_legacy_options {
    size_t struct_size;
    const char *params_path;
    const char *out_path;   /**< A file to make, or a folder that gets NAME_v2.yaml; NULL: nothing
                                 is written. */
    const char *model_name; /**< For a model without a name; NULL: gpt2, with a notice. */
    const cairn_log *log;   /**< Hears of what is left out. May be NULL. */
} cairn_legacy_options;

/**
 * `cairn config convert_legacy`: a file with the Model Zoo's layout of before the Trainer
 * (train_input, eval_input, model, optimizer, runconfig) as one with a trainer. Comments are lost.
 * @param out_text  Yours, cairn_app_free: the YAML, or with out_path the path of the new file.
 * @retval CAIRN_ECONFIG  The file cannot be read, has another layout, or contradicts itself.
 * @retval CAIRN_EEXISTS  There is a file called out_path; it is left as it is.
 * @retval CAIRN_EIO, CAIRN_ENOMEM  Nothing was made.
 */
CAIRN_API cairn_status cairn_app_convert_legacy(const cairn_legacy_options *options,
                                                char **out_text, cairn_error *err);
/**
 * `cairn config check`: reads the file that @p request names, with its assignments and flags, as
 * the verb @p verb would ("fit", "validate", "validate_all"; NULL: every section that is there),
 * and tells all that is wrong with it, sorted by place. Opens that file and plugins, nothing else.
 * @param as_json   One JSON object in a line, else a line a problem, or one that says what is well.
 * @param out_text  Yours: cairn_app_free.
 * @param out_is_good  False: there are errors. A file that cannot be read is one.
 * @retval CAIRN_ECONFIG  No such verb.
 */
CAIRN_API cairn_status cairn_app_config_check(const cairn_app_request *request, const char *verb,
                                              bool as_json, bool *out_is_good, char **out_text,
                                              cairn_error *err);
/**
 * `cairn config show`: the resolved configuration as YAML, the origin of each value behind it; or
 * as JSON, an object a value. Parameters as above. @retval CAIRN_ECONFIG  It has errors, which are
 * told as cairn_app_fit does.
 */
CAIRN_API cairn_status cairn_app_config_show(const cairn_app_request *request, const char *verb,
                                             bool as_json, char **out_text, cairn_error *err);
/**
 * `cairn config diff`: what is different in the resolved configurations of two files; each is a
 * YAML file or a checkpoint. A default that only one of them knows is no difference.
 * @param out_count  Number of differences.
 * @retval CAIRN_ECONFIG  One has errors.  Others as cairn_checkpoint_open.
 */
CAIRN_API cairn_status cairn_app_config_diff(const char *a, const char *b, const cairn_log *log,
                                             bool as_json, size_t *out_count, char **out_text,
                                             cairn_error *err);
/** The name in @p names nearest to @p wrong, for "did you mean"; NULL if none is near. Borrowed. */
CAIRN_API const char *cairn_app_nearest(const char *wrong, const char *const *names, size_t count);
/** Frees a text of this header. Accepts NULL. */
CAIRN_API void cairn_app_free(char *text);

/** Process-wide signal flags for a program: see cairn_app_request. install returns an errno or 0;
 *  SIGTERM and SIGINT ask to stop (a second SIGINT ends at once), SIGUSR1 to save. */
CAIRN_API int cairn_app_install_signals(void);
/** For a request with `attempt`, before cairn_app_install_signals: SIGINT counts when the
 * supervisor passes it on, since a terminal sends it to both. */
CAIRN_API void cairn_app_obey_supervisor(void);
CAIRN_API const char *cairn_app_stop_requested(void *unused);
CAIRN_API bool cairn_app_save_requested(void *unused);

#ifdef __cplusplus
}
#endif
#endif
