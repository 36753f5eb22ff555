/*
 * bench_checkpoint: does one thing at a time that can be timed and says how long it took. It reads
 * a command a line on standard input and answers each with one line of JSON; checkpoint.py decides
 * what is run how often and in which order, and makes the table.
 */
#ifndef BENCH_CHECKPOINT_BENCH_H
#define BENCH_CHECKPOINT_BENCH_H

#include "cairn/checkpoint.h"
#include "os/os.h"

typedef struct bench {
    const crn_os *os;
    const char *folder; /* made by the caller, empty */
    cairn_state_tree *tree;
    float *gradients; /* for the largest parameter */
    cairn_store *store;
    char *saved;           /* the checkpoint that is there; NULL: none */
    double update_seconds; /* of simulated steps; 0: not measured yet */
} bench;

double bench_now(const bench *b);
/* Deletes the checkpoint that was there; @path, which may be NULL, is it from now on. */
cairn_status bench_replace_saved(bench *b, const char *path, cairn_error *err);

/* ---- state.c: what is saved ---- */

/*
 * @shape: "gpt2" (124M parameters), "gpt2-quarter" (31M, all sizes halved), "tensors" (as many
 * bytes as gpt2 in 1,000 equal parameters), "tiny"; each with the two moments of AdamW. Filled with
 * random numbers, so every page is there.
 */
cairn_status bench_make_tree(const char *shape, cairn_state_tree **out, cairn_error *err);

/* ---- device.c: the same bytes without the engine ---- */

typedef struct bench_io {
    double seconds;         /* all of it, from open to close */
    double reserve_seconds; /* of that */
    double sync_seconds;
} bench_io;

/* How the plain write goes. */
typedef enum bench_way { BENCH_DIRECT, BENCH_CACHED } bench_way;

/*
 * Writes the arena to a new file: reserved if direct, blocks of @block bytes, @depth threads,
 * fsync, close. The file stays, for bench_device_read.
 */
cairn_status bench_device_write(bench *b, bench_way way, size_t block, unsigned depth,
                                bench_io *out, cairn_error *err);
/* Reads that file past the cache into the arena, which then holds what it held. */
cairn_status bench_device_read(bench *b, size_t block, unsigned depth, bench_io *out,
                               cairn_error *err);
void bench_device_remove(const bench *b);

/* ---- steps.c: training without a model ---- */

/* One step: a capture, computing, an update, and the result of the save; seconds. */
typedef struct bench_step {
    double seconds; /* all of it */
    bool has_save;
    double start;  /* of that: the capture */
    double guard;  /* in the write guard */
    double poll;   /* the result, if it was there */
    double wait;   /* for it, if it was not */
    double prune;  /* retention */
    double write;  /* what the engine says: from the capture until it was durable */
    double engine; /* what the engine says that it blocked */
    uint64_t copied_bytes;
} bench_step;

typedef enum bench_saves { BENCH_NONE, BENCH_ALL, BENCH_EVERY_OTHER } bench_saves;

typedef struct bench_steps {
    unsigned count;
    double step_seconds; /* how long one takes when nothing is saved, as well as we can tell */
    bench_saves saves;
    uint64_t keep;     /* checkpoints; 0: all */
    bench_step *steps; /* out: [count] */
} bench_steps;

cairn_status bench_run_steps(bench *b, bench_steps *run, cairn_error *err);

/* ---- many.c: a long list ---- */

/* Puts that many checkpoints of the tree into the folder; their data are holes. */
cairn_status bench_make_many(bench *b, uint64_t count, cairn_error *err);
/* Reads the catalogue; @is_cold: after the files' pages have left the cache. */
cairn_status bench_list(bench *b, bool is_cold, uint64_t *out_count, double *out_seconds,
                        cairn_error *err);

#endif
