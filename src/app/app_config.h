/*
 * A whole configuration, read and checked, nothing opened yet. Reading reports every problem it
 * finds; building (build.h) is only done when there is none.
 */
#ifndef CRN_APP_APP_CONFIG_H
#define CRN_APP_APP_CONFIG_H

#include "app/plugins.h"
#include "app/schedules.h"

/* What the program is about to do; decides which sections must be there. */
typedef enum crn_verb {
    CRN_VERB_FIT,
    CRN_VERB_VALIDATE,
    CRN_VERB_VALIDATE_ALL,
    CRN_VERB_ANY /* nothing: all sections that are there are read */
} crn_verb;
/* "fit", ...; NULL of CRN_VERB_ANY. */
const char *crn_verb_name(crn_verb verb);

typedef struct crn_choice_list {
    crn_choice *items;
    size_t count;
    size_t capacity;
} crn_choice_list;

typedef struct crn_app_config {
    crn_doc *doc;   /* owns all texts */
    crn_node *root; /* {trainer: ...} of this one; after crn_app_config_read_model NULL */
    crn_plugins plugins;
    const char *model_dir;
    cairn_opt_int seed;
    crn_choice model;
    crn_choice optimizer; /* class NULL: none */
    crn_param_filters param_filters;
    crn_scheduler_specs schedulers;
    cairn_precision_options precision;
    cairn_loop_options loop;
    cairn_checkpoint_options checkpoint;
    cairn_logging_options logging;
    cairn_autorestart_options autorestart;
    crn_choice_list callbacks; /* in YAML order, injected ones after them */
    crn_choice_list loggers;   /* likewise */
    crn_choice train;          /* class NULL: none */
    crn_choice_list val;
    cairn_ckpt ckpt;
    cairn_ckpts ckpts; /* of validate_all */
    const char **ckpt_paths;
    bool has_limits; /* loop and checkpoint are without errors */
} crn_app_config;

/* The trainers of a file, in order. */
typedef struct crn_app_configs {
    crn_doc *doc; /* that of all of them */
    crn_app_config *items;
    size_t count;
} crn_app_configs;

/*
 * Reads the file that @request names, applies its assignments and flags, and reads all sections.
 * Notices and, if there are several, all errors go to the request's log.
 * @out: dispose of it on success and on failure.
 * ECONFIG: the configuration, the file included; ENOMEM.
 */
cairn_status crn_app_configs_read(const cairn_app_request *request, crn_verb verb,
                                  crn_app_configs *out, cairn_error *err);
/* Likewise, but the problems go to @diag only, sorted by place, and are no failure. ECONFIG: there
 * is no file to read. */
cairn_status crn_app_configs_look(const cairn_app_request *request, crn_verb verb,
                                  crn_app_configs *out, crn_diag *diag, cairn_error *err);
void crn_app_configs_dispose(crn_app_configs *configs);
/* Applies one --set: "trainer.init..." means every trainer of a file that has several. */
void crn_app_config_assign(crn_doc *doc, const char *assignment, crn_diag *diag);

/* Reads a file as large as a configuration may be. @out_text: yours (crn_free). ECONFIG. */
cairn_status crn_app_config_read_file(const char *path, char **out_text, size_t *out_size,
                                      cairn_error *err);
/* Logs the notices and, if there are several, all errors; a single one is the error itself.
 * ECONFIG if there is any; ENOMEM. */
cairn_status crn_app_config_conclude(const cairn_log *log, const char *path, const crn_diag *diag,
                                     cairn_error *err);

/* What the supervisor of restarts has to know before anything is read in earnest. */
typedef struct crn_peek {
    uint64_t max_num_restarts; /* 0: no autorestart, or a configuration that cannot be read */
    double backoff;            /* seconds */
    char *model_dir;
    char *text; /* of the file */
    size_t size;
} crn_peek;

/* Looks for `autorestart`; says nothing of what is wrong: the fit itself will. */
void crn_app_config_peek(const cairn_app_request *request, crn_peek *out);
void crn_peek_dispose(crn_peek *peek);

/* Reads the model section alone, from the resolved parameters of a checkpoint. */
cairn_status crn_app_config_read_model(const char *params_json, const char *file,
                                       crn_app_config *out, cairn_error *err);
void crn_app_config_dispose(crn_app_config *config);

/*
 * Whether the options of `loop` agree with each other and with the data; @batches_per_epoch 0: the
 * data are not known yet. The message has the place of the option that is wrong. ECONFIG.
 */
cairn_status crn_app_config_check_loop(const crn_app_config *config, uint64_t batches_per_epoch,
                                       cairn_error *err);

/* sections.c: the parts of trainer.init and of the verb's section. All report into @diag. */
void crn_read_init(crn_app_config *config, crn_node *init, crn_diag *diag);
void crn_read_data(crn_app_config *config, crn_node *section, crn_verb verb, crn_diag *diag);
/* Adds @choice, whose options are then the list's. False: out of memory. */
bool crn_choice_list_add(crn_choice_list *list, crn_choice choice, crn_diag *diag);
/* loggers.c: trainer.init.loggers. */
void crn_read_loggers(crn_app_config *config, crn_node *init, crn_diag *diag);

#endif
