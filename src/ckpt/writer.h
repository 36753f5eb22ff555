/*
 * The threads that write an asynchronous save, and the write guard that keeps updates off what
 * they have not written yet. One writer serves one tree, one save at a time.
 *
 * guard.c is the updaters' side, writer.c the threads and the owner's side; blocks.h decides, both
 * wait. docs/design/0004-asynchronous-saves.md
 */
#ifndef CRN_CKPT_WRITER_H
#define CRN_CKPT_WRITER_H

#include <pthread.h>

#include "ckpt/block_table.h"
#include "ckpt/digester.h"
#include "ckpt/job.h"

typedef enum crn_writer_phase {
    CRN_WRITER_IDLE,      /* no save */
    CRN_WRITER_STARTED,   /* captured; a thread is to open the files */
    CRN_WRITER_OPENING,   /* one does */
    CRN_WRITER_WRITING,   /* all write blocks */
    CRN_WRITER_FINISHING, /* one commits, or removes what there is */
    CRN_WRITER_ENDED      /* the owner is to collect the result */
} crn_writer_phase;

typedef struct crn_writer_options {
    uint64_t staging_bytes; /* as in cairn_store_options */
    unsigned threads;
    crn_write_mode mode;
} crn_writer_options;

/* Times and amounts of one save. */
typedef struct crn_writer_times {
    int64_t started_ns;
    int64_t ended_ns;
    int64_t waited_ns; /* while at least one updater waited or copied */
    uint64_t copied_bytes;
} crn_writer_times;

typedef struct crn_writer {
    const crn_os *os;
    cairn_state_tree *tree;
    const uint8_t *arena;
    crn_write_mode mode;
    crn_block_table table;
    uint8_t *pool; /* slot_bytes for each slot */
    uint64_t pool_bytes;
    uint64_t slot_bytes;
    uint64_t run_bytes; /* most that one call writes, but for a block that is larger */
    pthread_t threads[CAIRN_WRITER_THREADS_MAX];
    unsigned thread_count;
    crn_digester *digester;
    _Atomic uint32_t updates; /* ranges that are being written to now */

    pthread_mutex_t lock;   /* over all that follows */
    pthread_cond_t work;    /* for the threads */
    pthread_cond_t changed; /* for updaters: a block may have become free */
    pthread_cond_t ended;   /* for the owner */
    bool has_lock;          /* the four are made */
    bool is_stopping;
    bool is_pool_asked_for;
    crn_writer_phase phase;
    crn_blocks blocks;
    crn_job job;
    uint64_t *file_begin; /* [files x states] where a region begins in a file; NONE */
    size_t state_count;
    _Atomic bool *is_file_bad; /* [files] */
    cairn_status status;       /* of the full file, the first failure */
    cairn_error error;
    cairn_status extra_status; /* of the extras, the first failure */
    cairn_error extra_error;
    cairn_status index_status; /* the index is not worth failing a save */
    cairn_error index_error;
    uint32_t waiting; /* updaters in the guard */
    int64_t waiting_since;
    crn_writer_times times;
} crn_writer;

/*
 * Makes a writer and starts its threads; the guard is installed in @tree.
 * @out  Yours: crn_writer_destroy.
 */
cairn_status crn_writer_new(const crn_os *os, cairn_state_tree *tree, const crn_plan *plan,
                            const crn_writer_options *options, crn_writer **out, cairn_error *err);
/* Waits for the end of a save. Accepts NULL. */
void crn_writer_destroy(crn_writer *writer);

/* The capture. @job, planned for this tree, is taken on success.
 * @retval CAIRN_EINVAL  A tensor is being written to. */
cairn_status crn_writer_start(crn_writer *writer, crn_job *job, cairn_error *err);
bool crn_writer_is_idle(crn_writer *writer);
bool crn_writer_has_ended(crn_writer *writer);
void crn_writer_wait(crn_writer *writer);
/* After the end: the result, and the writer is idle again. @out_job is yours. */
cairn_status crn_writer_collect(crn_writer *writer, crn_job *out_job, crn_writer_times *out_times,
                                cairn_error *err);

/* guard.c: for cairn_state_tree_set_guard; self is the crn_writer. */
extern const cairn_write_guard_ops crn_writer_guard;

#endif
