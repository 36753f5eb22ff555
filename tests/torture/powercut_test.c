/* Power cuts in the model of power.h: whatever the disk has made of it, nothing acknowledged is
 * lost; and a disk that ignores fsync is found out, so the test can see. */
#include "torture/power.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/kit.h"

enum {
    SEEN_SLOTS = 1 << 20,
    EXHAUSTIVE_MAX = 10, /* pending changes of which all subsets are tried */
    SHORT_MAX = 13,      /* the same in a short sequence */
    STATES_MAX = SEEN_SLOTS / 2
};

/* A recorded life, and a folder in which its remains are looked at. */
typedef struct trial {
    char base[TT_PATH_SIZE];
    char dir[TT_PATH_SIZE];  /* where the life takes place */
    char root[TT_PATH_SIZE]; /* likewise, if checkpoint_root is another folder */
    char seen_dir[TT_PATH_SIZE];
    char seen_root[TT_PATH_SIZE];
    bool is_apart;
    tt_acks before; /* what was acknowledged when the recording began */
    tt_recorder recorder;
    uint64_t *seen; /* states looked at, open addressing */
    uint64_t random;
    uint64_t samples; /* random subsets for each cut */
    size_t exhaustive_max;
    tt_disk disk;
    tt_score score;
} trial;

static cairn_status live(const trial *t, const crn_os *os, const char *script, tt_event_fn report,
                         void *user)
{
    cairn_error err = {0};
    tt_world world = {.os = os,
                      .dir = t->dir,
                      .root = t->is_apart ? t->root : NULL,
                      .report = report,
                      .user = user,
                      .writers = 1}; /* The recorder takes one call at a time. */
    const cairn_status rc = tt_world_play(&world, script, &err);
    tt_world_end(&world);
    tk_assert_ok(rc, &err);
    return rc;
}

static void trial_open(trial *t, const char *before, const char *script, bool is_apart,
                       size_t block)
{
    memset(t, 0, sizeof *t);
    (void)tt_temp_dir(t->base);
    (void)tk_join(t->dir, t->base, "model_dir");
    (void)tk_join(t->root, t->base, "ckpt");
    (void)tk_join(t->seen_dir, t->base, "seen_dir");
    (void)tk_join(t->seen_root, t->base, "seen_root");
    t->is_apart = is_apart;
    t->exhaustive_max = EXHAUSTIVE_MAX;
    t->seen = calloc(SEEN_SLOTS, sizeof *t->seen);
    assert_non_null(t->seen);
    (void)live(t, crn_os_posix(), before, tt_acks_add, &t->before);
    tt_recorder_open(&t->recorder, crn_os_posix(), t->dir, is_apart ? t->root : NULL, block);
    (void)live(t, &t->recorder.os, script, tt_recorder_event, &t->recorder);
    assert_false(t->recorder.is_broken);
}

static void trial_close(trial *t)
{
    tt_recorder_close(&t->recorder);
    free(t->seen);
    tk_remove_tree(t->base);
}

/* True the first time. */
static bool is_new(trial *t, uint64_t key)
{
    key |= 1; /* 0 is an empty slot. */
    for (size_t i = (size_t)(key % SEEN_SLOTS);; i = (i + 1) % SEEN_SLOTS) {
        if (t->seen[i] == key)
            return false;
        if (t->seen[i] == 0) {
            t->seen[i] = key;
            return true;
        }
    }
}

static void look_at(trial *t, size_t end, const bool *happened)
{
    tt_image folders[TT_FOLDERS_MAX];
    tt_acks acks = t->before;
    char why[TT_WHY_SIZE];
    char where[64];
    uint64_t events = 0;
    for (size_t i = 0; i < end; i++) {
        if (t->recorder.ops[i].kind != TT_OP_EVENT)
            continue;
        tt_acks_add(&acks, t->recorder.ops[i].bytes);
        events++;
    }
    tt_state_after(&t->recorder, end, t->disk, happened, folders);
    const uint64_t key = tt_image_digest(&folders[0]) * 31 + tt_image_digest(&folders[1]) + events;
    if (t->score.tried < STATES_MAX && is_new(t, key)) {
        tt_image_put(&folders[0], t->seen_dir);
        if (t->is_apart)
            tt_image_put(&folders[1], t->seen_root);
        const tt_verdict verdict =
            tt_judge(t->seen_dir, t->is_apart ? t->seen_root : NULL, &acks, why);
        (void)snprintf(where, sizeof where, "a cut behind operation %zu", end);
        tt_score_add(&t->score, verdict, where, why);
    }
    tt_image_dispose(&folders[0]);
    tt_image_dispose(&folders[1]);
}

/* All subsets where they are few; else none, all, all but one, one only, and random ones. */
static void cut(trial *t, size_t end)
{
    static size_t s_pending[TT_OPS_MAX];
    static bool s_happened[TT_OPS_MAX];
    const size_t count = tt_pending(&t->recorder, end, t->disk, s_pending, TT_OPS_MAX);
    const bool is_short = count <= t->exhaustive_max;
    const uint64_t patterns = is_short ? 1u << count : 2 + 2 * count + t->samples;
    for (uint64_t i = 0; i < patterns; i++) {
        const uint64_t density = 1 + tt_next(&t->random) % 15;
        for (size_t j = 0; j < count; j++) {
            bool is_on = (i >> (j % 64) & 1) != 0;
            if (!is_short && i < 2)
                is_on = i == 1;
            else if (!is_short && i < 2 + 2 * count)
                is_on = ((i - 2) / 2 == j) == ((i & 1) != 0);
            else if (!is_short)
                is_on = tt_next(&t->random) % 16 < density;
            s_happened[s_pending[j]] = is_on;
        }
        look_at(t, end, s_happened);
    }
}

static void cut_everywhere(trial *t, bool at_acknowledgements_only)
{
    for (size_t end = t->recorder.begin; end <= t->recorder.count; end++) {
        if (!at_acknowledgements_only || t->recorder.ops[end - 1].kind == TT_OP_EVENT)
            cut(t, end);
    }
}

static void assert_nothing_lost(const trial *t)
{
    assert_int_equal(t->score.lost, 0);
    assert_int_equal(t->score.wrong, 0);
}

static void power_cut__loses_nothing_in_short_sequences(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const char *before;
        const char *script;
    } k_rows[] = {
        {"power cut, every state, of a save", "ors", "os"},
        {"power cut, every state, of a save with an alternative", "ors", "oe"},
        {"power cut, every state, of an asynchronous save", "ors", "obw"},
        {"power cut, every state, of run.json and notes", "orsn", "orn"},
        {"power cut, every state, of a prune", "orsnsnsn", "op"},
        {"power cut, every state, of a save and a prune", "orsns", "onsp"},
    };
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        trial t;
        trial_open(&t, k_rows[i].before, k_rows[i].script, false, 4096);
        t.exhaustive_max = SHORT_MAX;
        for (size_t end = 0; end <= t.recorder.count; end++) {
            size_t pending[64];
            assert_true(tt_pending(&t.recorder, end, t.disk, pending, 64) <= SHORT_MAX);
        }
        cut_everywhere(&t, false);
        tt_score_print(&t.score, k_rows[i].what, "");
        assert_nothing_lost(&t);
        trial_close(&t);
    }
}

static void power_cut__loses_nothing_in_sampled_states_of_a_run(void **state)
{
    (void)state;
    const uint64_t seed = tt_seed();
    for (int is_apart = 0; is_apart < 2; is_apart++) {
        trial t;
        char more[64];
        trial_open(&t, "orsns", is_apart != 0 ? "orbwnpbwrnp" : "ornsnpespsrnp", is_apart != 0,
                   512);
        t.random = seed;
        t.samples = tt_is_long() ? 1000 : 25;
        cut_everywhere(&t, false);
        (void)snprintf(more, sizeof more, "seed=%" PRIu64, seed);
        tt_score_print(&t.score,
                       is_apart != 0 ? "power cut, torn at 512 bytes, of asynchronous saves to "
                                       "another checkpoint_root"
                                     : "power cut, torn at 512 bytes, of a whole run",
                       more);
        assert_nothing_lost(&t);
        trial_close(&t);
    }
}

/* The same on a disk that breaks its word: losses must be found, or the tests above see nothing. */
static void find_losses(tt_disk disk, const char *what)
{
    trial t;
    char more[64];
    const uint64_t seed = tt_seed();
    trial_open(&t, "ors", "osp", false, 4096);
    t.random = seed;
    t.samples = 10;
    t.disk = disk;
    cut_everywhere(&t, true);
    (void)snprintf(more, sizeof more, "seed=%" PRIu64, seed);
    (void)printf("control: ");
    tt_score_print(&t.score, what, more);
    assert_true(t.score.lost > 0);
    trial_close(&t);
}

static void control__finds_losses_without_fsync_of_folders(void **state)
{
    (void)state;
    find_losses((tt_disk){.forgets_folders = true}, "power cut without fsync of folders");
}

static void control__finds_losses_without_fsync_of_files(void **state)
{
    (void)state;
    find_losses((tt_disk){.forgets_files = true}, "power cut without fsync of files");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_cut__loses_nothing_in_short_sequences),
        cmocka_unit_test(power_cut__loses_nothing_in_sampled_states_of_a_run),
        cmocka_unit_test(control__finds_losses_without_fsync_of_folders),
        cmocka_unit_test(control__finds_losses_without_fsync_of_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
