/*
 * The folder of one process of a fit, model_dir/cairn_logs/<date>_<time>/:
 *
 *     run.log               everything that is logged, as on standard error
 *     trainer_params.yaml   the configuration with every default
 *     user_params.yaml      what was given, flags and --set included
 *
 * with the links model_dir/cairn_logs/latest and model_dir/latest_run.log, relative, so that a
 * model_dir can be moved. It is made when the fit begins; what was logged before is kept and
 * written then. A process that has nothing to do makes none. What cannot be written is said once
 * and never ends a run.
 */
#ifndef CRN_APP_RUN_FOLDER_H
#define CRN_APP_RUN_FOLDER_H

#include "cairn/plugin/callback.h"
#include "os/os.h"

#define CRN_LOGS_FOLDER "cairn_logs"

typedef struct crn_run_folder crn_run_folder;

/* @os borrowed, @sink copied: where messages go besides. ENOMEM. */
cairn_status crn_run_folder_new(const crn_os *os, const cairn_log *sink, crn_run_folder **out,
                                cairn_error *err);
/* Accepts NULL. */
void crn_run_folder_destroy(crn_run_folder *folder);
/* A log that goes to both; its level is the sink's. Valid while the folder is. */
cairn_log crn_run_folder_log(crn_run_folder *folder);
/* The texts of the two configurations, borrowed until the fit has begun. */
void crn_run_folder_set_params(crn_run_folder *folder, const char *resolved, const char *given);
/* The callback that makes the folder in on_fit_start; borrows @folder. To be added before others.
 */
cairn_callback crn_run_folder_callback(crn_run_folder *folder);
/* A line for run.log alone, such as the last one that a program prints by itself. */
void crn_run_folder_note(crn_run_folder *folder, cairn_log_level level, const char *text);

#endif
