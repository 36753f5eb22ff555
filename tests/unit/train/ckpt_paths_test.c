/* Which files the patterns of validate_all find, and in which order. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kit/kit.h"
#include "train/trainer_priv.h"

static void touch(const char *dir, const char *name)
{
    tk_write_text(dir, name, "");
}

/* What @patterns (relative to @dir, at most four) find, without @dir, joined with " ". */
static cairn_status expand(const char *dir, const char *const *patterns, char out[512],
                           cairn_error *err)
{
    char paths[4][TK_PATH_SIZE];
    const char *full[4];
    crn_path_list list = {0};
    size_t count = 0;
    for (; patterns[count] != NULL; count++)
        full[count] = tk_join(paths[count], dir, patterns[count]);
    const cairn_status rc = crn_path_list_expand(crn_os_posix(), full, count, &list, err);
    out[0] = '\0';
    for (size_t i = 0; i < list.count; i++) {
        const size_t used = strlen(out);
        (void)snprintf(out + used, 512 - used, "%s%s", used > 0 ? " " : "",
                       list.items[i] + strlen(dir) + 1);
    }
    crn_path_list_dispose(&list);
    return rc;
}

static void make_files(const char *dir)
{
    char sub[TK_PATH_SIZE];
    static const char *const k_runs[] = {"run2", "run10"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(mkdir(tk_join(sub, dir, k_runs[i]), 0755), 0);
        touch(sub, "checkpoint_100.mdl");
        touch(sub, "checkpoint_20.mdl");
        touch(sub, "checkpoint_020.mdl");
        touch(sub, "checkpoint_3.mdl");
        touch(sub, "checkpoint_3.mdl.notes.json");
        touch(sub, ".checkpoint_4.mdl.0123456789abcdef.part");
        touch(sub, "model_checkpoint_3.mdl");
    }
}

static void patterns__find_sorted_files(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char found[512];
    const struct {
        const char *patterns[3];
        const char *found;
    } rows[] = {
        {{"run2/checkpoint_*.mdl"},
         "run2/checkpoint_3.mdl run2/checkpoint_020.mdl run2/checkpoint_20.mdl "
         "run2/checkpoint_100.mdl"},
        {{"run2/checkpoint_?.mdl"}, "run2/checkpoint_3.mdl"},
        {{"run2/checkpoint_[12]*.mdl"}, "run2/checkpoint_20.mdl run2/checkpoint_100.mdl"},
        {{"run2/checkpoint_3*"}, "run2/checkpoint_3.mdl"}, /* not its notes */
        {{"run*/*_3.mdl"},
         "run2/checkpoint_3.mdl run2/model_checkpoint_3.mdl run10/checkpoint_3.mdl "
         "run10/model_checkpoint_3.mdl"},
        /* Patterns keep their order; a plain path is taken as it is. */
        {{"run2/checkpoint_100.mdl", "run2/checkpoint_?.mdl"},
         "run2/checkpoint_100.mdl run2/checkpoint_3.mdl"},
    };
    make_files(dir);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tk_assert_ok(expand(dir, rows[i].patterns, found, &err), &err);
        assert_string_equal(found, rows[i].found);
    }
}

static void what_is_not_there__is_named(void **state)
{
    const char *const dir = *state;
    char found[512];
    static const char *const k_wrong[][2] = {
        {"run2/checkpoint_9*", NULL}, {"nowhere/*.mdl", NULL}, {"run2/checkpoint_9.mdl", NULL}};
    make_files(dir);
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++) {
        cairn_error err = {0};
        tk_assert_status(expand(dir, k_wrong[i], found, &err), CAIRN_ENOTFOUND, &err);
        tk_assert_error_has(&err, k_wrong[i][0]);
    }
}

static void a_pattern_of_the_root_folder(void **state)
{
    (void)state;
    crn_path_list list = {0};
    cairn_error err = {0};
    const char *const pattern = "/pro?";
    tk_assert_ok(crn_path_list_expand(crn_os_posix(), &pattern, 1, &list, &err), &err);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0], "/proc");
    crn_path_list_dispose(&list);
}

#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(patterns__find_sorted_files),
        T(what_is_not_there__is_named),
        T(a_pattern_of_the_root_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
