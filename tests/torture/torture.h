/*
 * What the torture tests share. Each of them lets a small world live (world.c: a process that opens
 * a store, saves, prunes ...), ends it somehow (a kill, a power cut, a call that fails) and has a
 * judge (judge.c) look at what is left, as the next start would.
 *
 * The world says what it does in events, one line each, and the journal of events says what must be
 * there afterwards:
 *
 *     saving N       saved N        a full checkpoint of step N
 *     adding N       added N        and the alternative beside it
 *     noting N V     noted N V      number V in the notes of step N
 *     running V      ran V          run.json with number V
 *     pruning N      pruned N       step N is deleted
 *
 * The first word of a pair comes before the deed, the second once the engine has called it done.
 */
#ifndef TT_TORTURE_H
#define TT_TORTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/checkpoint.h"
#include "os/os.h"

enum { TT_STEPS_MAX = 64, TT_PATH_SIZE = 4096, TT_WHY_SIZE = 600, TT_FOLDERS_MAX = 2 };

#define TT_RUN "0123456789abcdef0123456789abcdef"

/* ---- The world (world.c) ------------------------------------------------------------------- */

typedef void (*tt_event_fn)(void *user, const char *event);

/* Set the first part, zero the rest. */
typedef struct tt_world {
    const crn_os *os;
    const char *dir;
    const char *root;   /* checkpoint_root; NULL: dir */
    tt_event_fn report; /* may be NULL */
    void *user;
    bool goes_on;     /* after an error, with the next deed, as training does */
    unsigned writers; /* threads of asynchronous saves; 0: as many as usual */

    cairn_store *store;
    cairn_state_tree *tree;
    uint64_t step;
    uint64_t run;    /* the number in run.json */
    uint64_t saving; /* step of the asynchronous save under way; 0: none */
} tt_world;

/*
 * Plays @script, a letter a deed:
 *   o  start: open, read run.json, list, load the newest and compare it with its step
 *   r  write run.json        s  save the next step       e  the same with an alternative
 *   t  save on another thread                            n  notes of the newest checkpoint
 *   b  begin an asynchronous save with an alternative, and update the state while it is written
 *   w  wait for it           p  keep the two newest      c  close
 * Returns the first error; CAIRN_EBUG if a checkpoint loads with wrong bytes.
 */
cairn_status tt_world_play(tt_world *world, const char *script, cairn_error *err);
/* Closes and frees. */
void tt_world_end(tt_world *world);

/* A tree as the world saves it, zeroed; NULL without memory. */
cairn_state_tree *tt_tree_new(void);
/* Fills all of it with what follows from @step. */
cairn_status tt_tree_fill(cairn_state_tree *tree, uint64_t step, cairn_error *err);
/* Loads @path (@states: NULL for all) into a fresh tree and compares; CAIRN_EBUG if it differs. */
cairn_status tt_load_and_compare(const crn_os *os, const char *path, const char *states,
                                 uint64_t step, cairn_error *err);

/* ---- What must be there (judge.c) ---------------------------------------------------------- */

typedef struct tt_fate {
    bool is_tried, is_saved; /* the full checkpoint */
    bool is_extra_tried, is_extra_saved;
    bool may_go, is_gone;
    uint64_t note_tried, note;
} tt_fate;

typedef struct tt_acks {
    tt_fate step[TT_STEPS_MAX];
    uint64_t run_tried, run;
} tt_acks;

/* An event; a tt_event_fn with a tt_acks as user. */
void tt_acks_add(void *acks, const char *event);
/* The events in a file, one a line. False if it cannot be read. */
bool tt_acks_read(tt_acks *acks, const char *path);

typedef enum tt_verdict {
    TT_GOOD,
    TT_LOST, /* something acknowledged is not there or not whole */
    TT_WRONG /* all is there, but the next start is not as it should be; or rubbish is left */
} tt_verdict;

/*
 * Starts anew on the folders and looks at everything; then saves, prunes and looks again.
 * @why (TT_WHY_SIZE) receives what is bad.
 */
tt_verdict tt_judge(const char *dir, const char *root, const tt_acks *acks, char *why);

/* Results of a sweep, and the line that tools/reliability_table.py collects. */
typedef struct tt_score {
    uint64_t tried, lost, wrong;
    char first[TT_WHY_SIZE]; /* what was bad first */
} tt_score;
void tt_score_add(tt_score *score, tt_verdict verdict, const char *where, const char *why);
/* "torture: @what tried=... lost=... wrong=... @more" on standard output. */
void tt_score_print(const tt_score *score, const char *what, const char *more);

/* ---- Folders kept in memory (image.c) ------------------------------------------------------- */

typedef struct tt_file {
    char name[128];
    char *bytes;
    size_t size;
} tt_file;

typedef struct tt_image {
    tt_file *files;
    size_t count;
} tt_image;

/* All regular files of a folder. These fail the running test when the machine does. */
void tt_image_take(tt_image *image, const char *dir);
/* Makes the folder hold just that. */
void tt_image_put(const tt_image *image, const char *dir);
void tt_image_dispose(tt_image *image);
/* A fresh folder in memory (/dev/shm) where that is possible, else as tk_temp_dir. */
char *tt_temp_dir(char path[TT_PATH_SIZE]);

/* TORTURE=1: the large counts. */
bool tt_is_long(void);
/* CAIRN_TEST_SEED, or else a number drawn from the clock. Printed by the caller. */
uint64_t tt_seed(void);
/* A sequence of numbers. */
uint64_t tt_next(uint64_t *state);

/* ---- Killing (sweep.c) ---------------------------------------------------------------------- */

typedef struct tt_end {
    bool is_refused; /* ptrace is not allowed here */
    bool is_killed;  /* else it ended by itself */
    int status;      /* of waitpid */
    uint64_t calls;  /* system calls entered from the marker on, all threads together */
} tt_end;

/*
 * Runs argv[0] and sends SIGKILL as system call number @n (from 1) is entered, before it does
 * anything, or, @at_exit, when it is done. Calls of all threads and children count, from the first
 * one that is @marker (such as SYS_getppid) on, or all with @marker -1. @n 0: only counts. With a
 * marker the program has one processor, which is faster.
 */
tt_end tt_run_until(const char *const *argv, long marker, uint64_t n, bool at_exit);

#endif
