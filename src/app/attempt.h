/*
 * What an attempt of `autorestart` tells the process that supervises it, through memory that
 * outlives it (crn_child_memory). The child writes fields as it goes; the parent reads them all
 * when the child has ended, in whatever way.
 */
#ifndef CRN_APP_ATTEMPT_H
#define CRN_APP_ATTEMPT_H

#include "cairn/app.h"

enum { CRN_ATTEMPT_PATH_SIZE = 4096, CRN_ATTEMPT_LINE_SIZE = 8192 };

typedef struct crn_attempt {
    uint64_t magic;
    uint64_t has_steps;  /* first_step and last_step are known */
    uint64_t is_started; /* training has begun, so run.json is that of this run */
    uint64_t first_step;
    uint64_t last_step;
    char model_dir[CRN_ATTEMPT_PATH_SIZE]; /* "": not known */
    char checkpoint_root[CRN_ATTEMPT_PATH_SIZE];
    char line[CRN_ATTEMPT_LINE_SIZE]; /* the result, for standard output; "": none */
} crn_attempt;

/* Writes an empty one. */
cairn_status crn_attempt_clear(int fd, cairn_error *err);
cairn_status crn_attempt_read(int fd, crn_attempt *out, cairn_error *err);

/* For the child: the file of cairn_app_request.attempt. ECONFIG: it is none. */
cairn_status crn_attempt_open(const char *attempt, int *out_fd, cairn_error *err);
/* Makes @trainer report its steps. */
cairn_status crn_attempt_watch(cairn_trainer *trainer, int fd, cairn_error *err);

#endif
