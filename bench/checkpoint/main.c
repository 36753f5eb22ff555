/*
 * bench_checkpoint FOLDER SHAPE: the commands. Numbers in answers are seconds and bytes.
 *
 *     write direct|cached BLOCK DEPTH   the arena to a new file, without the engine
 *     read BLOCK DEPTH                  that file, past the cache
 *     remove                            that file
 *     attach [THREADS]                  a store, made ready for asynchronous saves
 *     detach
 *     save | save_sync                  one checkpoint, waited for; it replaces the one before
 *     load [STATES]                     that checkpoint
 *     steps COUNT STEP_SECONDS 0|1|2 KEEP
 *                                       training: no saves, a save at each step, at every other;
 *                                       the newest KEEP stay, 0: all
 *     clean                             all checkpoints but one go, and their blocks are free
 *     many COUNT                        checkpoints whose data are holes
 *     list 0|1                          the catalogue; 1: after the pages have left the cache
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "bench.h"
#include "ckpt/writer.h"

enum { WORDS_MAX = 5, LINE_MAX = 256 };
enum { KEPT_BYTES = 64 * 1024 * 1024, MAPPED_BYTES = 32 * 1024 * 1024 };

double bench_now(const bench *b)
{
    return (double)b->os->monotonic_ns(b->os) / 1e9;
}

cairn_status bench_replace_saved(bench *b, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *next = NULL;
    if (path != NULL) {
        next = crn_strdup(path);
        CRN_NEED(err, next, "a path");
    }
    if (b->saved != NULL)
        CRN_TRY_PLAIN(cairn_store_delete(b->store, b->saved, err));
    crn_free(b->saved);
    b->saved = next;
    next = NULL;
out:
    crn_free(next);
    return rc;
}

/* ---- Commands: words[0] is the name, missing words are "" ---- */

typedef cairn_status (*command_fn)(bench *b, char **words, cairn_error *err);

static cairn_status do_write(bench *b, char **words, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bench_io io;
    bench_device_remove(b);
    const bench_way way = strcmp(words[1], "direct") == 0 ? BENCH_DIRECT : BENCH_CACHED;
    CRN_TRY_PLAIN(bench_device_write(b, way, strtoul(words[2], NULL, 10),
                                     (unsigned)strtoul(words[3], NULL, 10), &io, err));
    printf("{\"seconds\": %.6f, \"reserve\": %.6f, \"sync\": %.6f}\n", io.seconds,
           io.reserve_seconds, io.sync_seconds);
out:
    return rc;
}

static cairn_status do_read(bench *b, char **words, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bench_io io;
    CRN_TRY_PLAIN(bench_device_read(b, strtoul(words[1], NULL, 10),
                                    (unsigned)strtoul(words[2], NULL, 10), &io, err));
    printf("{\"seconds\": %.6f}\n", io.seconds);
out:
    return rc;
}

static cairn_status do_remove(bench *b, char **words, cairn_error *err)
{
    (void)words;
    (void)err;
    const double start = bench_now(b);
    bench_device_remove(b);
    printf("{\"seconds\": %.6f}\n", bench_now(b) - start);
    return CAIRN_OK;
}

static cairn_status do_attach(bench *b, char **words, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_store_options options = {.struct_size = sizeof options,
                                         .model_dir = b->folder,
                                         .writer_threads = (unsigned)strtoul(words[1], NULL, 10)};
    if (b->store == NULL)
        CRN_TRY_PLAIN(cairn_store_open(&options, &b->store, err));
    const double start = bench_now(b);
    CRN_TRY_PLAIN(cairn_store_attach(b->store, b->tree, err));
    printf("{\"seconds\": %.6f, \"threads\": %u, \"pool\": %" PRIu64 ", \"mode\": \"%s\"}\n",
           bench_now(b) - start, b->store->writer->thread_count, b->store->writer->pool_bytes,
           crn_write_mode_text(b->store->writer->mode));
out:
    return rc;
}

static cairn_status do_detach(bench *b, char **words, cairn_error *err)
{
    (void)words;
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(bench_replace_saved(b, NULL, err));
    cairn_store_close(b->store);
    b->store = NULL;
    printf("{}\n");
out:
    return rc;
}

static cairn_status do_save(bench *b, char **words, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_save_request request = {.struct_size = sizeof request, .step = 1};
    cairn_save_result saved;
    const bool is_async = strcmp(words[0], "save") == 0;
    CRN_TRY_PLAIN(bench_replace_saved(b, NULL, err));
    crn_closer_wait(b->store->closer);
    const double start = bench_now(b);
    if (is_async) {
        CRN_TRY_PLAIN(cairn_store_save_start(b->store, b->tree, &request, err));
        CRN_TRY_PLAIN(cairn_store_save_wait(b->store, &saved, err));
    } else {
        CRN_TRY_PLAIN(cairn_store_save(b->store, b->tree, &request, &saved, err));
    }
    const double end = bench_now(b);
    printf("{\"seconds\": %.6f, \"durable\": %.6f, \"bytes\": %" PRIu64 "}\n", end - start,
           is_async ? (double)b->store->writer->times.ended_ns / 1e9 - start : end - start,
           saved.bytes);
    CRN_TRY_PLAIN(bench_replace_saved(b, saved.path, err));
out:
    return rc;
}

static cairn_status do_load(bench *b, char **words, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint *ckpt = NULL;
    const cairn_load_options options = {.struct_size = sizeof options,
                                        .states = words[1][0] != '\0' ? words[1] : NULL};
    const double start = bench_now(b);
    if (b->saved == NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "nothing was saved");
    CRN_TRY_PLAIN(cairn_checkpoint_open(b->saved, &ckpt, err));
    const double opened = bench_now(b);
    CRN_TRY_PLAIN(cairn_checkpoint_load(ckpt, b->tree, &options, NULL, err));
    printf("{\"seconds\": %.6f, \"open\": %.6f}\n", bench_now(b) - start, opened - start);
out:
    cairn_checkpoint_close(ckpt);
    return rc;
}

static cairn_status do_steps(bench *b, char **words, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bench_steps run = {.count = (unsigned)strtoul(words[1], NULL, 10),
                       .step_seconds = strtod(words[2], NULL),
                       .saves = (bench_saves)strtoul(words[3], NULL, 10),
                       .keep = strtoul(words[4], NULL, 10)};
    run.steps = crn_calloc(run.count, sizeof *run.steps);
    CRN_NEED(err, run.steps, "a series of steps");
    CRN_TRY_PLAIN(bench_replace_saved(b, NULL, err));
    CRN_TRY_PLAIN(bench_run_steps(b, &run, err));
    printf("{\"steps\": [");
    for (unsigned i = 0; i < run.count; i++) {
        const bench_step *const s = &run.steps[i];
        printf("%s{\"seconds\": %.6f, \"has_save\": %s, \"start\": %.6f, \"guard\": %.6f, "
               "\"poll\": %.6f, \"wait\": %.6f, \"write\": %.6f, \"engine\": %.6f, "
               "\"prune\": %.6f, \"copied\": %" PRIu64 "}",
               i > 0 ? ", " : "", s->seconds, s->has_save ? "true" : "false", s->start, s->guard,
               s->poll, s->wait, s->write, s->engine, s->prune, s->copied_bytes);
    }
    printf("]}\n");
out:
    crn_free(run.steps);
    return rc;
}

static cairn_status do_clean(bench *b, char **words, cairn_error *err)
{
    (void)words;
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(cairn_store_keep_newest(b->store, b->store->run_id, 1, NULL, NULL, err));
    crn_closer_wait(b->store->closer);
    printf("{}\n");
out:
    return rc;
}

static cairn_status do_many(bench *b, char **words, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(bench_make_many(b, strtoul(words[1], NULL, 10), err));
    printf("{}\n");
out:
    return rc;
}

static cairn_status do_list(bench *b, char **words, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t count = 0;
    double seconds = 0.0;
    CRN_TRY_PLAIN(bench_list(b, strcmp(words[1], "1") == 0, &count, &seconds, err));
    printf("{\"seconds\": %.6f, \"count\": %" PRIu64 "}\n", seconds, count);
out:
    return rc;
}

static const struct {
    const char *name;
    command_fn run;
} k_commands[] = {
    {"write", do_write},   {"read", do_read}, {"remove", do_remove},  {"attach", do_attach},
    {"detach", do_detach}, {"save", do_save}, {"save_sync", do_save}, {"load", do_load},
    {"steps", do_steps},   {"many", do_many}, {"clean", do_clean},    {"list", do_list},
};

static cairn_status run_line(bench *b, char *line, cairn_error *err)
{
    static char empty[] = "";
    cairn_status rc = CAIRN_OK;
    char *words[WORDS_MAX] = {empty, empty, empty, empty, empty};
    char *rest = NULL;
    char *word = strtok_r(line, " \n", &rest);
    for (size_t i = 0; word != NULL && i < WORDS_MAX; i++, word = strtok_r(NULL, " \n", &rest))
        words[i] = word;
    for (size_t i = 0; i < sizeof k_commands / sizeof k_commands[0]; i++) {
        if (strcmp(words[0], k_commands[i].name) == 0)
            return k_commands[i].run(b, words, err);
    }
    CRN_FAIL(err, CAIRN_EINVAL, "no command '%s'", words[0]);
out:
    return rc;
}

static uint64_t largest_tensor(const cairn_state_tree *tree)
{
    uint64_t largest = 0;
    const cairn_state *const model = cairn_state_tree_find(tree, "model");
    for (size_t i = 0; i < cairn_state_tensor_count(model); i++) {
        const uint64_t bytes = cairn_state_tensor_at(model, i)->bytes;
        largest = bytes > largest ? bytes : largest;
    }
    return largest;
}

static cairn_status set_up(bench *b, const char *shape, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(bench_make_tree(shape, &b->tree, err));
    const uint64_t floats = largest_tensor(b->tree) / sizeof *b->gradients;
    b->gradients = crn_calloc(floats, sizeof *b->gradients);
    CRN_NEED(err, b->gradients, "gradients");
    for (uint64_t i = 0; i < floats; i++)
        b->gradients[i] = 1e-3F * (float)(i % 7);
    printf("{\"bytes\": %" PRIu64 "}\n", cairn_state_tree_bytes(b->tree));
out:
    return rc;
}

int main(int argc, char **argv)
{
    cairn_status rc = CAIRN_OK;
    cairn_error err = {0};
    char line[LINE_MAX];
    /* As src/cli/main.c does. */
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    if (argc != 3) {
        fprintf(stderr, "usage: bench_checkpoint FOLDER gpt2|gpt2-quarter|tensors|tiny\n");
        return 2;
    }
    bench b = {.os = crn_os_posix(), .folder = argv[1]};
    rc = set_up(&b, argv[2], &err);
    (void)fflush(stdout);
    while (rc == CAIRN_OK && fgets(line, sizeof line, stdin) != NULL) {
        rc = run_line(&b, line, &err);
        (void)fflush(stdout);
    }
    if (rc != CAIRN_OK) {
        char text[1024];
        (void)cairn_error_format(&err, text, sizeof text);
        fprintf(stderr, "bench_checkpoint: %s\n", text);
    }
    cairn_store_close(b.store);
    cairn_state_tree_destroy(b.tree);
    crn_free(b.gradients);
    crn_free(b.saved);
    return rc == CAIRN_OK ? 0 : 1;
}
