/*
 * One save: a full file and its extras, planned at the capture, written by whoever has the bytes,
 * committed one behind the other. save.c does all of it on the caller's thread, writer.c on its
 * own.
 *
 *     crn_job_plan      at the capture: nothing of the tree but its bytes is looked at afterwards
 *     crn_job_headers   sizes are known
 *     crn_job_begin     a file's private name
 *     ... the data, through file->publish, and the digests of file->plan ...
 *     crn_job_commit    header, fsync, close, rename, fsync of the folder
 *     crn_job_dispose   removes what was not committed
 */
#ifndef CRN_CKPT_JOB_H
#define CRN_CKPT_JOB_H

#include "ckpt/plan.h"
#include "ckpt/store_priv.h"

typedef struct crn_job_file {
    crn_plan plan;
    crn_str header;      /* with digests of zeros until the commit */
    crn_name_list names; /* states asked for */
    bool has_names;      /* else all */
    char *name_template; /* of an extra; NULL: the full file */
    crn_publish publish;
    char *name; /* its final name, as soon as it bears it */
    bool is_durable;
} crn_job_file;

typedef struct crn_job {
    const cairn_store *store; /* borrowed: folder, os, name template */
    crn_job_file *files;      /* [0] is the full one */
    size_t count;
    uint64_t step;
    uint64_t save_counter;
    char run_id[CAIRN_RUN_ID_SIZE];
    char *params_json;      /* may be NULL */
    char *environment_json; /* may be NULL */
    char *beside; /* a full file that is there already: only extras are written; else NULL */
} crn_job;

/* Everything that @request says is copied. @job is to be disposed of, whatever is returned. */
cairn_status crn_job_plan(crn_job *job, const cairn_store *store, const char *run_id,
                          const cairn_state_tree *tree, const cairn_save_request *request,
                          cairn_error *err);
void crn_job_dispose(crn_job *job);

/* The headers with digests of zeros: drafts, for their sizes, or checked as by a commit. */
cairn_status crn_job_headers(crn_job *job, bool is_draft, cairn_error *err);
/* Sizes; after crn_job_headers. */
uint64_t crn_job_file_bytes(const crn_job_file *file);
uint64_t crn_job_bytes(const crn_job *job);

/* Makes the private file @i. */
cairn_status crn_job_begin(crn_job *job, size_t i, crn_write_mode mode, cairn_error *err);
/* The name that extra @i gets if it is free: from that of the full file, which has its own. Yours.
 */
cairn_status crn_job_extra_name(const crn_job *job, size_t i, char **out, cairn_error *err);
/*
 * Commits file @i, whose data and digests are complete; an extra only after the full file.
 * files[i].name is set as soon as it bears it, so on CAIRN_EUNKNOWN too.
 */
cairn_status crn_job_commit(crn_job *job, size_t i, cairn_error *err);

/*
 * What the store and the caller hear of a job that ended, on the owner's thread: the paths, and
 * the counter. Fills what @out has room for.
 */
cairn_status crn_job_collect(const crn_job *job, cairn_store *store, cairn_save_result *out,
                             cairn_error *err);

#endif
