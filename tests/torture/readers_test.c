/* A process that lists and loads beside one that saves and prunes: it always finds what was saved
 * before it looked, whole. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/kit.h"
#include "torture/torture.h"

enum { ROUNDS = 500, KEPT = 2 };

/* Between the two processes. */
typedef struct board {
    _Atomic uint64_t saved; /* the newest step that was acknowledged */
    _Atomic bool is_over;
    /* Of the reader, read after its end: */
    tt_score score;
    uint64_t gone; /* newest checkpoints that were pruned before they could be opened */
} board;

static board *board_new(void)
{
    board *const b =
        mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(b != MAP_FAILED);
    return b;
}

/* ---- The reader ---- */

/* What a look should find and does not, into @why; TT_GOOD if there is nothing to blame. */
static tt_verdict judge_catalogue(const cairn_catalogue *catalogue, uint64_t saved, char *why)
{
    const cairn_checkpoint_info *const latest = cairn_catalogue_latest(catalogue);
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        if (!info->is_readable) {
            (void)snprintf(why, TT_WHY_SIZE, "%.100s is listed as damaged: %.300s", info->file,
                           info->problem);
            return TT_WRONG;
        }
    }
    if (saved > 0 && (latest == NULL || latest->step < saved)) {
        (void)snprintf(why, TT_WHY_SIZE, "step %" PRIu64 " was saved, the newest is %" PRIu64,
                       saved, latest != NULL ? latest->step : 0);
        return TT_LOST;
    }
    return TT_GOOD;
}

/* Loads the newest, if there is one. It may be gone, but only if KEPT newer ones are there. */
static tt_verdict judge_latest(board *b, const cairn_catalogue *catalogue, char *why)
{
    cairn_error err = {0};
    const cairn_checkpoint_info *const latest = cairn_catalogue_latest(catalogue);
    if (latest == NULL)
        return TT_GOOD;
    const cairn_status rc =
        tt_load_and_compare(crn_os_posix(), latest->path, NULL, latest->step, &err);
    /* The save that pushes it out may be acknowledged to us only after the prune. */
    const bool may_be_gone = atomic_load(&b->saved) >= latest->step + KEPT;
    if (rc == CAIRN_ENOTFOUND && may_be_gone) {
        b->gone++;
        return TT_GOOD;
    }
    if (rc != CAIRN_OK)
        (void)cairn_error_format(&err, why, TT_WHY_SIZE);
    return rc == CAIRN_OK ? TT_GOOD : TT_LOST;
}

static tt_verdict look(board *b, const char *dir, char *why)
{
    cairn_error err = {0};
    cairn_store *store = NULL;
    cairn_catalogue *catalogue = NULL;
    tt_verdict verdict = TT_WRONG;
    const uint64_t saved = atomic_load(&b->saved);
    const cairn_store_options options = {
        .struct_size = sizeof options, .model_dir = dir, .is_read_only = true};
    if (cairn_store_open(&options, &store, &err) == CAIRN_OK &&
        cairn_catalogue_read(store, &catalogue, &err) == CAIRN_OK) {
        verdict = judge_catalogue(catalogue, saved, why);
        if (verdict == TT_GOOD)
            verdict = judge_latest(b, catalogue, why);
    } else {
        (void)cairn_error_format(&err, why, TT_WHY_SIZE);
    }
    cairn_catalogue_destroy(catalogue);
    cairn_store_close(store);
    return verdict;
}

static void read_on(board *b, const char *dir)
{
    char where[64];
    char why[TT_WHY_SIZE] = "";
    while (!atomic_load(&b->is_over)) {
        (void)snprintf(where, sizeof where, "look %" PRIu64, b->score.tried);
        tt_score_add(&b->score, look(b, dir, why), where, why);
    }
}

/* ---- The writer ---- */

static void note_saved(void *user, const char *event)
{
    board *const b = user;
    uint64_t step = 0;
    if (sscanf(event, "saved %" SCNu64, &step) == 1)
        atomic_store(&b->saved, step);
}

static void play(tt_world *world, const char *script)
{
    cairn_error err = {0};
    tk_assert_ok(tt_world_play(world, script, &err), &err);
}

/* Two saves and two prunes a round; the alternatives of the second, which no prune takes, go too.
 */
static void save_and_prune(tt_world *world, uint64_t rounds)
{
    char path[TT_PATH_SIZE];
    cairn_error err = {0};
    for (uint64_t i = 0; i < rounds; i++) {
        play(world, i % 10 == 0 ? "spnbwp" : "spbwp");
        (void)snprintf(path, sizeof path, "%.4000s/model_checkpoint_%" PRIu64 ".mdl", world->dir,
                       world->step);
        tk_assert_ok(cairn_store_delete(world->store, path, &err), &err);
    }
}

static void reader__never_fails_beside_saves_and_prunes(void **state)
{
    char base[TT_PATH_SIZE];
    char dir[TT_PATH_SIZE];
    char more[100];
    int status = 0;
    (void)state;
    (void)tk_join(dir, tt_temp_dir(base), "model_dir");
    board *const b = board_new();
    tt_world world = {.os = crn_os_posix(), .dir = dir, .report = note_saved, .user = b};
    play(&world, "or");
    (void)fflush(NULL);
    const pid_t reader = fork();
    assert_true(reader >= 0);
    if (reader == 0) {
        read_on(b, dir);
        _exit(0);
    }
    save_and_prune(&world, tt_is_long() ? 10 * ROUNDS : ROUNDS);
    atomic_store(&b->is_over, true);
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(status, 0);
    (void)snprintf(more, sizeof more, "saves=%" PRIu64 " gone_when_opened=%" PRIu64, world.step,
                   b->gone);
    tt_world_end(&world);
    tt_score_print(&b->score, "a reader beside saves and prunes", more);
    assert_int_equal(b->score.lost + b->score.wrong, 0);
    assert_true(b->score.tried > 100 && b->gone < b->score.tried);
    assert_int_equal(munmap(b, sizeof *b), 0);
    tk_remove_tree(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader__never_fails_beside_saves_and_prunes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
