/*
 * Power cuts, at the level of system calls (the model of T. S. Pillai et al., "All file systems are
 * not created equal", OSDI 2014).
 *
 * A table records what reaches the disk's queue: blocks of data, sizes, names, and the syncs
 * between them. After a cut behind any operation, this may be on the disk:
 *
 * - of a file, all that its last fsync covered, and of what came later any subset of the blocks and
 *   either size; a block that did not arrive reads as it was, or as zeros;
 * - of a folder, the names that its last fsync covered, and any subset of the later changes. A
 *   rename is two changes, so both names or neither may be there: weaker than any file system.
 *
 * fsync of a file does nothing for its name.
 */
#ifndef TT_POWER_H
#define TT_POWER_H

#include <pthread.h>

#include "torture/torture.h"

enum { TT_INODES_MAX = 400, TT_OPS_MAX = 4000, TT_FDS_MAX = 1024 };

typedef enum tt_op_kind {
    TT_OP_DATA, /* part of a write, within one block */
    TT_OP_SIZE,
    TT_OP_SYNC_FILE,
    TT_OP_SET,    /* the name stands for the inode */
    TT_OP_DELETE, /* the name is gone */
    TT_OP_SYNC_FOLDER,
    TT_OP_EVENT /* of the world: what is acknowledged from here on */
} tt_op_kind;

typedef struct tt_op {
    tt_op_kind kind;
    int inode;
    int folder;
    uint64_t offset; /* or the size */
    size_t size;
    char *bytes; /* data, name or event */
} tt_op;

typedef struct tt_recorder {
    crn_os os; /* pass its address */
    pthread_mutex_t lock;
    const crn_os *real;
    const char *dir;
    const char *root; /* NULL: dir */
    tt_op *ops;
    size_t count;
    size_t begin; /* operations before it made what was there before */
    int inode_count;
    int fd_inode[TT_FDS_MAX];  /* -1: none of ours */
    int fd_folder[TT_FDS_MAX]; /* -1: no folder of ours */
    size_t block;              /* bytes that arrive together */
    bool is_broken;            /* something was done that the recorder does not know */
} tt_recorder;

/* Records from what is in the folders now, which counts as durable. Calls may come from several
 * threads. */
void tt_recorder_open(tt_recorder *r, const crn_os *real, const char *dir, const char *root,
                      size_t block);
void tt_recorder_close(tt_recorder *r);
/* A tt_event_fn with a tt_recorder as user. */
void tt_recorder_event(void *recorder, const char *event);

/* What a disk does that is not as it should be: for controls. */
typedef struct tt_disk {
    bool forgets_folders; /* fsync of a folder does nothing */
    bool forgets_files;   /* fsync of a file does nothing */
} tt_disk;

/* Changes that are not certain after a cut behind operation @end: at most @max indexes. */
size_t tt_pending(const tt_recorder *r, size_t end, tt_disk disk, size_t *out, size_t max);

/*
 * The files after a cut behind @end at which of the pending changes only those happened whose flag
 * in @happened (by operation) is set. @folders has an image for each folder; yours.
 */
void tt_state_after(const tt_recorder *r, size_t end, tt_disk disk, const bool *happened,
                    tt_image folders[TT_FOLDERS_MAX]);

/* Equal images have equal digests. */
uint64_t tt_image_digest(const tt_image *image);

#endif
