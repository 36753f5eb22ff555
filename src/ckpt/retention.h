/* Which checkpoints stay: pure arithmetic over facts that prune.c gathers. */
#ifndef CRN_CKPT_RETENTION_H
#define CRN_CKPT_RETENTION_H

#include "cairn/checkpoint.h"

/* Why one stays, as bits, in the order in which they are told. */
enum {
    CRN_KEEP_NEWEST = 1 << 0,
    CRN_KEEP_EVERY = 1 << 1,
    CRN_KEEP_BEST = 1 << 2,
    CRN_KEEP_MINUTES = 1 << 3,
    CRN_KEEP_PINNED = 1 << 4,
    CRN_KEEP_NOTES = 1 << 5,     /* its notes cannot be read: it may be pinned */
    CRN_KEEP_LOADING = 1 << 6,   /* --resume would load it */
    CRN_KEEP_PROTECTED = 1 << 7, /* the caller's protected_path */
    CRN_KEEP_ALL = 1 << 8        /* there is no limit */
};

typedef enum crn_wholeness { CRN_NOT_LOOKED_AT, CRN_WHOLE, CRN_DAMAGED } crn_wholeness;

/* A full checkpoint of the run. */
typedef struct crn_own {
    const cairn_checkpoint_info *info; /* borrowed */
    bool is_pinned;
    bool has_bad_notes;
    bool is_loading;
    bool is_protected;
    bool has_metric;
    double metric;
    crn_wholeness wholeness;
    unsigned reasons; /* out; 0 and CRN_WHOLE: to be deleted */
} crn_own;

/* True if the file of @own is intact. Asked at most once for each, and only where it matters, since
 * it reads a whole header. */
typedef bool (*crn_is_whole_fn)(void *user, const crn_own *own);

/* Sorts into newest save first, the order that crn_retention_decide needs. */
void crn_retention_sort(crn_own *own, size_t count);

/* Sets reasons of all, and the wholeness of those that it had to know; of those without a reason
 * always. Touches nothing else, allocates nothing. */
void crn_retention_decide(crn_own *own, size_t count, const cairn_retention *rules,
                          crn_is_whole_fn is_whole, void *user);

#endif
