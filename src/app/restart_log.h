/*
 * What autorestart leaves behind: model_dir/<YYYYmmdd_HHMMSS>_restartable/ with summary.json (every
 * attempt), run.log (what the parent said) and params.yaml (the configuration as it was).
 */
#ifndef CRN_APP_RESTART_LOG_H
#define CRN_APP_RESTART_LOG_H

#include "app/restarts.h"
#include "base/str.h"
#include "cairn/log.h"

/* An attempt that ended. */
typedef struct crn_restart_attempt {
    bool is_resume; /* started with --resume by the parent */
    int64_t started_ns;
    int64_t ended_ns;
    crn_child_end end;
    bool has_result; /* it said how it ended */
    bool has_steps;
    uint64_t first_step;
    uint64_t last_step;
    const char *checkpoint; /* the newest of the run; NULL: none. Borrowed. */
    uint64_t checkpoint_step;
    bool has_progress;
    uint64_t without_progress;
    crn_restart_verdict verdict;
} crn_restart_attempt;

/* Zeroed is empty; crn_restart_log_dispose. */
typedef struct crn_restart_log {
    const cairn_log *log; /* borrowed; may be NULL */
    uint64_t max_num_restarts;
    char *folder; /* NULL: not made yet */
    char *params; /* text of the configuration */
    size_t params_size;
    crn_str attempts; /* JSON of those so far */
    uint64_t count;
    crn_str lines; /* run.log */
} crn_restart_log;

/* Says something through the log, and in run.log. */
void crn_restart_log_say(crn_restart_log *log, cairn_log_level level, const char *text);
/* Adds an attempt. */
void crn_restart_log_add(crn_restart_log *log, const crn_restart_attempt *attempt);
/* Writes the three files, each atomically; the folder is made in @model_dir the first time.
 * EIO, ENOSPACE, ENOMEM. */
cairn_status crn_restart_log_write(crn_restart_log *log, const char *model_dir, cairn_error *err);
void crn_restart_log_dispose(crn_restart_log *log);

#endif
