/* From a checked configuration to objects. */
#ifndef CRN_APP_BUILD_H
#define CRN_APP_BUILD_H

#include "app/app_config.h"
#include "app/run_folder.h"

/* Everything a verb needs; zeroed is empty. */
typedef struct crn_built {
    cairn_trainer *trainer;
    cairn_loader *train; /* NULL when validating */
    cairn_loader **val;
    size_t val_count;
    char *params_json;
    char *environment_json;
    char *resolved_yaml; /* for the folder of the run */
    char *given_yaml;
} crn_built;

/* What is the same for all trainers of a call. */
typedef struct crn_build_context {
    const cairn_app_request *request;
    crn_verb verb;
    const cairn_log *log;
    crn_run_folder *folder; /* NULL: none */
    bool is_dry_run;        /* no loggers: they write */
    size_t stage;           /* number of the trainer in the file */
    int64_t clock_start_ns; /* when the call began, by the monotonic clock */
} crn_build_context;

/*
 * Opens the data, makes model, optimizer, schedulers, callbacks and loggers, and a trainer of
 * them. @out: dispose of it on success and on failure. @config must live as long.
 * Statuses: those of the makers (EDATA, ECONFIG, ENOMEM ...); ECANCELED: asked to stop meanwhile.
 */
cairn_status crn_build(const crn_build_context *context, const crn_app_config *config,
                       crn_built *out, cairn_error *err);
void crn_built_dispose(crn_built *built);

/* environment.c: sets the threads of this process's computations (0: one a processor). */
void crn_environment_set_threads(int threads);
/* A flat JSON object of what the bits depend on; yours (crn_free). NULL: no memory. */
char *crn_environment_json(void);

#endif
