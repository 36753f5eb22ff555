/* What the files of the engine share. Tests reach the fault-injecting constructors through it. */
#ifndef CRN_CKPT_STORE_PRIV_H
#define CRN_CKPT_STORE_PRIV_H

#include <pthread.h>

#include "ckpt/ckpt.h"
#include "ckpt/closer.h"
#include "ckpt/names.h"
#include "ckpt/publish.h"
#include "os/os.h"

#define CRN_LOCK_FILE  ".cairn.lock"
#define CRN_RUN_FILE   "run.json"
#define CRN_INDEX_FILE "checkpoints_index.yaml"

struct cairn_store {
    const crn_os *os;
    const cairn_log *log;
    char *model_dir;
    char *root;
    char *name_text;
    crn_template name_template; /* of name_text */
    bool is_read_only;
    bool is_one_folder;      /* model_dir and root are the same */
    crn_folder model_folder; /* fd -1: not open */
    crn_folder root_folder;  /* the same descriptor if is_one_folder */
    int lock_fd;
    char *index_prefix;             /* what stands before a name of root in the index */
    char run_id[CAIRN_RUN_ID_SIZE]; /* "" until it is known */
    uint64_t save_counter;          /* saves of the run so far */
    char **saved_paths;             /* [saved_count] what results of the last save point to */
    size_t saved_count;
    pthread_mutex_t *index_lock; /* held by whoever writes the index */
    crn_closer *closer;          /* with a tree attached; else NULL */
    bool is_request_seen;        /* a request left by an earlier process was looked for */
    bool has_request;            /* a save was asked for and is not answered yet */
    uint64_t staging_bytes;      /* of asynchronous saves, as in the options */
    unsigned writer_threads;
    struct crn_writer *writer; /* NULL: no tree is attached */
    int64_t start_ns;          /* that the last cairn_store_save_start took */
};

/* The public functions with another operating system. */
cairn_status crn_checkpoint_open_os(const crn_os *os, const char *path, cairn_checkpoint **out,
                                    cairn_error *err);
bool crn_notes_get_number_os(const crn_os *os, const char *path, const char *key, double *out);
cairn_status crn_checkpoint_pin_os(const crn_os *os, const char *path, bool is_pinned,
                                   cairn_error *err);
cairn_status crn_notes_read_os(const crn_os *os, const char *path, cairn_notes **out,
                               cairn_error *err);

/* A save begins: what must hold, the run id, the plan. @job is to be disposed of in any case. */
struct crn_job;
cairn_status crn_store_prepare_save(cairn_store *store, struct crn_job *job,
                                    const cairn_state_tree *tree, cairn_save_request *request,
                                    cairn_error *err);
/* A save was started and its result not collected. */
bool crn_store_is_saving(const cairn_store *store);
/* Frees what results of the last save point to. */
void crn_store_forget_paths(cairn_store *store);

/* EINVAL for a store that was opened to read only. */
cairn_status crn_store_check_writable(const cairn_store *store, cairn_error *err);
/* Writes checkpoints_index.yaml anew from the names in the folders. Any thread. */
cairn_status crn_index_write(const cairn_store *store, cairn_error *err);
/* Nothing depends on the index, so that @err of a failure to write it is a warning in the log. */
void crn_index_warn(const cairn_store *store, const cairn_error *err);
/* Both. */
void crn_index_update(const cairn_store *store);
/* Removes the notes of checkpoints that are gone: a deletion was cut short between the two. */
void crn_notes_sweep(const crn_folder *folder, const crn_template *name_template,
                     const cairn_log *log);
/* A random run id in lower-case hexadecimal. */
cairn_status crn_run_draw_id(const crn_os *os, char out[CAIRN_RUN_ID_SIZE], cairn_error *err);

/* A folder of @path opened for the time of one call; close it with crn_folder_close. */
typedef struct crn_path_folder {
    crn_folder folder;
    char *path;       /* of the folder */
    const char *file; /* last part of the path, borrowed from it */
} crn_path_folder;
/* Returns an errno value. */
int crn_path_folder_open(const crn_os *os, const char *path, crn_path_folder *out);
void crn_path_folder_close(crn_path_folder *f);

/* Copies the options of a caller that may have been compiled for another version: what it does not
 * have stays zero. EINVAL unless struct_size, the first member, is set. */
cairn_status crn_options_copy(void *out, size_t size, const void *options, cairn_error *err);

#endif
