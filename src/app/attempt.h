/*
 * What an attempt of `autorestart` tells the process that supervises it, through memory that
 * outlives it (crn_child_memory). The child writes fields as it goes; the parent reads them all
 * when the child has ended, in whatever way.
 */
#ifndef CRN_APP_ATTEMPT_H
#define CRN_APP_ATTEMPT_H

#include "cairn/app.h"

enum { CRN_ATTEMPT_PATH_SIZE = 4096, CRN_ATTEMPT_LINE_SIZE = 8192 };

/* What the parent wants of the child. */
typedef struct crn_attempt_orders {
    int64_t begin_ns;      /* when the first attempt began, by the monotonic clock */
    uint64_t resume_count; /* the trainers of the file that go on with their runs, from the first */
    uint64_t told_count;   /* the trainers whose end was told on standard output */
} crn_attempt_orders;

typedef struct crn_attempt {
    uint64_t magic;
    crn_attempt_orders orders;
    uint64_t has_steps;     /* first_step and last_step are known */
    uint64_t started_count; /* the trainers that have begun to train, so that run.json is theirs */
    uint64_t first_step;
    uint64_t last_step;
    char model_dir[CRN_ATTEMPT_PATH_SIZE]; /* "": not known */
    char checkpoint_root[CRN_ATTEMPT_PATH_SIZE];
    char line[CRN_ATTEMPT_LINE_SIZE]; /* the result, for standard output; "": none */
} crn_attempt;

/* Writes one that holds @orders only. */
cairn_status crn_attempt_clear(int fd, const crn_attempt_orders *orders, cairn_error *err);
cairn_status crn_attempt_read(int fd, crn_attempt *out, cairn_error *err);

/* For the child: the file of cairn_app_request.attempt. ECONFIG: it is none. */
cairn_status crn_attempt_open(const char *attempt, int *out_fd, cairn_error *err);
cairn_status crn_attempt_orders_read(int fd, crn_attempt_orders *out, cairn_error *err);
/* Makes @trainer, number @index of the file, report its steps. */
cairn_status crn_attempt_watch(cairn_trainer *trainer, int fd, size_t index, cairn_error *err);

#endif
