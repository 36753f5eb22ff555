/* SIGKILL at the entry and at the exit of every system call: nothing acknowledged is lost, and the
 * next start needs no human. */
#include "kit/kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture/torture.h"

/* Threads wait for each other by system calls, so lives differ in length: a sweep is at its end
 * when so many lives in a row came to theirs. */
enum { ENDS = 6 };

/* A life and what it finds. */
typedef struct scenario {
    const char *what;
    const char *before; /* played before it; "" for an empty folder */
    const char *script;
    bool by_link;   /* no renameat2 */
    bool is_apart;  /* checkpoint_root is another folder */
    bool lacks_run; /* run.json is gone */
} scenario;

/* A folder to kill in, with what it is set back to. */
typedef struct place {
    char base[TT_PATH_SIZE];
    char dir[TT_PATH_SIZE];
    char root[TT_PATH_SIZE];
    char journal[TT_PATH_SIZE];
    tt_image dir_image;
    tt_image root_image;
    tt_acks acks;
    const scenario *scenario;
} place;

static void place_open(place *p, const scenario *s)
{
    cairn_error err = {0};
    memset(p, 0, sizeof *p);
    p->scenario = s;
    (void)tt_temp_dir(p->base);
    (void)tk_join(p->dir, p->base, "model_dir");
    (void)tk_join(p->root, p->base, "ckpt");
    (void)tk_join(p->journal, p->base, "journal");
    tt_world world = {.os = crn_os_posix(),
                      .dir = p->dir,
                      .root = s->is_apart ? p->root : NULL,
                      .report = tt_acks_add,
                      .user = &p->acks};
    tk_assert_ok(tt_world_play(&world, s->before[0] != '\0' ? s->before : "o", &err), &err);
    tt_world_end(&world);
    const char *const checkpoints = s->is_apart ? p->root : p->dir;
    tk_write_text(checkpoints, ".checkpoint_9.mdl.0123456789abcdef.part", "half a save");
    tk_write_text(checkpoints, ".checkpoint_1.mdl.notes.json.0123456789abcdef.part", "");
    tk_write_text(p->dir, ".run.json.fedcba9876543210.part", "{");
    tt_image_take(&p->dir_image, p->dir);
    if (s->is_apart)
        tt_image_take(&p->root_image, p->root);
    if (s->lacks_run)
        p->acks.run = 0;
}

static void place_close(place *p)
{
    tt_image_dispose(&p->dir_image);
    tt_image_dispose(&p->root_image);
    tk_remove_tree(p->base);
}

static void place_reset(place *p)
{
    char path[TT_PATH_SIZE];
    tt_image_put(&p->dir_image, p->dir);
    if (p->scenario->is_apart)
        tt_image_put(&p->root_image, p->root);
    if (p->scenario->lacks_run)
        (void)unlink(tk_join(path, p->dir, "run.json"));
    (void)unlink(p->journal);
}

static tt_end run_until(place *p, const char *script, uint64_t n, bool at_exit)
{
    const char *const argv[] = {CRN_HARNESS, p->dir, p->scenario->is_apart ? p->root : "-",
                                p->journal,  script, p->scenario->by_link ? "link" : NULL,
                                NULL};
    const tt_end end = tt_run_until(argv, SYS_getppid, n, at_exit);
    assert_false(end.is_refused);
    if (!end.is_killed && !(WIFEXITED(end.status) && WEXITSTATUS(end.status) == 0))
        fail_msg("the harness ended with status %#x", (unsigned)end.status);
    return end;
}

static void judge(place *p, tt_score *score, const char *where)
{
    char why[TT_WHY_SIZE];
    tt_acks acks = p->acks;
    (void)tt_acks_read(&acks, p->journal); /* None yet: killed before it was made. */
    const tt_verdict verdict = tt_judge(p->dir, p->scenario->is_apart ? p->root : NULL, &acks, why);
    tt_score_add(score, verdict, where, why);
}

/* True where the sweep cannot run: then the test is skipped. */
static bool cannot_trace(void)
{
#ifdef CRN_SANITIZED
    return true; /* The leak sanitizer does not work under ptrace; the plain build does this. */
#else
    const char *const argv[] = {"/bin/true", NULL};
    return tt_run_until(argv, -1, 0, false).is_refused;
#endif
}

static void sweep(const scenario *s)
{
    place p;
    tt_score score = {0};
    char where[100];
    char script[64];
    int ends = 0;
    (void)snprintf(script, sizeof script, "%s%s", s->script, tt_is_long() ? s->script : "");
    place_open(&p, s);
    for (uint64_t n = 1; ends < ENDS; n++) {
        for (int at_exit = 0; at_exit < 2 && ends < ENDS; at_exit++) {
            place_reset(&p);
            ends = run_until(&p, script, n, at_exit != 0).is_killed ? 0 : ends + 1;
            (void)snprintf(where, sizeof where, "%s of system call %" PRIu64,
                           at_exit != 0 ? "exit" : "entry", n);
            judge(&p, &score, ends == 0 ? where : "the end");
        }
    }
    tt_score_print(&score, s->what, "");
    place_close(&p);
    assert_int_equal(score.lost, 0);
    assert_int_equal(score.wrong, 0);
    assert_true(score.tried > 80);
}

#define KILLED "SIGKILL at every system call of "

static const scenario k_scenarios[] = {
    {.what = KILLED "a start with leftovers", .before = "orsnsec", .script = "o"},
    {.what = KILLED "a first start and save", .before = "", .script = "osr"},
    {.what = KILLED "a start without run.json",
     .before = "orss",
     .script = "or",
     .lacks_run = true},
    {.what = KILLED "saves", .before = "ors", .script = "oss"},
    {.what = KILLED "a save with an alternative", .before = "orse", .script = "oe"},
    {.what = KILLED "saves on another thread", .before = "ors", .script = "ots"},
    {.what = KILLED "asynchronous saves", .before = "ors", .script = "obwbw"},
    {.what = KILLED "a close during an asynchronous save", .before = "ors", .script = "obcos"},
    {.what = KILLED "a prune", .before = "orsnsnsn", .script = "op"},
    {.what = KILLED "run.json and notes", .before = "orsns", .script = "ornn"},
    {.what = KILLED "a save and a prune", .before = "orsns", .script = "onspc"},
    {.what = KILLED "a save without renameat2", .before = "ors", .script = "oe", .by_link = true},
    {.what = KILLED "a run with another checkpoint_root",
     .before = "orsns",
     .script = "orsp",
     .is_apart = true},
};

static void kill__loses_nothing_at_any_system_call(void **state)
{
    (void)state;
    if (cannot_trace())
        skip();
    for (size_t i = 0; i < sizeof k_scenarios / sizeof k_scenarios[0]; i++)
        sweep(&k_scenarios[i]);
}

static void kill__loses_nothing_when_the_next_start_is_killed_too(void **state)
{
    (void)state;
    static const scenario k_life = {.before = "orsnsns", .script = "ornspebwsp"};
    static const char k_again[] = "orbwsp";
    const uint64_t seed = tt_seed();
    const uint64_t pairs = tt_is_long() ? 5000 : 200;
    uint64_t random = seed;
    place p;
    tt_score score = {0};
    char where[100];
    if (cannot_trace())
        skip();
    place_open(&p, &k_life);
    place_reset(&p);
    const uint64_t first_calls = run_until(&p, k_life.script, 0, false).calls;
    const uint64_t second_calls = run_until(&p, k_again, 0, false).calls;
    for (uint64_t i = 0; i < pairs; i++) {
        const uint64_t a = 1 + tt_next(&random) % first_calls;
        const uint64_t b = 1 + tt_next(&random) % second_calls;
        const uint64_t sides = tt_next(&random);
        place_reset(&p);
        (void)run_until(&p, k_life.script, a, (sides & 1) != 0);
        (void)run_until(&p, k_again, b, (sides & 2) != 0);
        (void)snprintf(where, sizeof where, "calls %" PRIu64 " and %" PRIu64 ", sides %" PRIu64, a,
                       b, sides & 3);
        judge(&p, &score, where);
    }
    (void)snprintf(where, sizeof where, "seed=%" PRIu64, seed);
    tt_score_print(&score, "SIGKILL in the start after a SIGKILL", where);
    place_close(&p);
    assert_int_equal(score.lost, 0);
    assert_int_equal(score.wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kill__loses_nothing_at_any_system_call),
        cmocka_unit_test(kill__loses_nothing_when_the_next_start_is_killed_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
