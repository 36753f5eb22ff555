/*
 * A disk that remembers every write and every flush, in the order in which they came, and that
 * fails on demand: a file in memory served by FUSE, under a loop device, under a real file system.
 * The loop driver makes an fsync of the file out of a flush of the device. What a power cut may
 * leave is then made out of the log: all that was flushed, and any part of what came later.
 *
 * Needs root, /dev/fuse and loop devices; says what is missing otherwise.
 */
#ifndef TT_DISK_H
#define TT_DISK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "torture/torture.h"

enum { TT_SECTOR = 512, TT_LOG_MAX = 200000, TT_EVENT_SIZE = 100, TT_ERROR_SIZE = 200 };

typedef enum tt_log_kind { TT_LOG_WRITE, TT_LOG_FLUSH, TT_LOG_EVENT } tt_log_kind;

typedef struct tt_log_entry {
    tt_log_kind kind;
    uint64_t offset;
    uint32_t size;
    uint64_t bytes_at; /* in the log's bytes; of an event: its text */
} tt_log_entry;

/* Which requests fail with EIO: the one of this number from now on, or it and all later ones. */
typedef struct tt_disk_fault {
    uint64_t write_at; /* 0: none */
    uint64_t flush_at;
    bool is_sticky;
} tt_disk_fault;

/* What the process that serves the disk shares with the test. */
typedef struct tt_disk_shared {
    pthread_mutex_t lock; /* over the log and the fault */
    bool is_recording;
    size_t count;
    uint64_t log_bytes;
    tt_disk_fault fault;
    uint64_t writes; /* requests since the fault was set */
    uint64_t flushes;
    uint64_t failed;
    tt_log_entry log[TT_LOG_MAX];
} tt_disk_shared;

typedef struct tt_block_disk {
    uint64_t bytes;
    tt_disk_shared *shared;
    uint8_t *live;      /* [bytes] what is on the disk */
    uint8_t *base;      /* [bytes] what tt_disk_keep kept */
    uint8_t *is_dirty;  /* [bytes / page] live differs from base */
    uint8_t *log_bytes; /* of the log's writes and events */
    pid_t server;
    char file[TT_PATH_SIZE];  /* the disk as a file */
    char mount[TT_PATH_SIZE]; /* where its file system is mounted */
    bool is_served;
    bool is_mounted;
    char error[TT_ERROR_SIZE]; /* why the last call returned false */
} tt_block_disk;

/* An empty disk of @bytes with its files in the folder @dir. False: not here, and why. To be closed
 * in any case. */
bool tt_disk_open(tt_block_disk *d, const char *dir, uint64_t bytes);
void tt_disk_close(tt_block_disk *d);

/* Runs @command with the disk's file as last argument. */
bool tt_disk_make(tt_block_disk *d, const char *const *command);
bool tt_disk_mount(tt_block_disk *d, const char *type, const char *options);
bool tt_disk_unmount(tt_block_disk *d);

/* Keeps what is on the disk; tt_disk_back goes back to it. Only while nothing is mounted. */
void tt_disk_keep(tt_block_disk *d);
void tt_disk_back(tt_block_disk *d);

/* An empty log; writes and flushes from now on go there, or do not any more. */
void tt_disk_record(tt_block_disk *d, bool is_recording);
/* A tt_event_fn with the disk as user: an event in the log. */
void tt_disk_event(void *disk, const char *event);
void tt_disk_set_fault(tt_block_disk *d, tt_disk_fault fault);

typedef enum tt_cut_kind {
    TT_CUT_PREFIX,  /* all that came before the cut */
    TT_CUT_FLUSHED, /* only what was flushed */
    TT_CUT_ANY      /* that, and of what came later any sectors */
} tt_cut_kind;

/* Puts on the disk what a power cut behind entry @end of the log may leave. */
void tt_disk_cut(tt_block_disk *d, size_t end, tt_cut_kind kind, uint64_t *random);

#endif
