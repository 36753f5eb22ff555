/* Names and folders, locks, and the facts about the process. */
#include "kit/kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/posix.h"

static void rename_new__never_replaces(void **state)
{
    const crn_os *const os = crn_os_posix();
    const int dir = tk_open_dir(*state);
    tk_write_text(*state, "from", "new");
    tk_write_text(*state, "to", "old");
    assert_int_equal(os->rename_new(os, dir, "from", "to"), EEXIST);
    tk_assert_file_text(*state, "from", "new");
    tk_assert_file_text(*state, "to", "old");
    assert_int_equal(os->rename_new(os, dir, "from", "free"), 0);
    tk_assert_list(*state, "free to");
    assert_int_equal(os->rename_new(os, dir, "from", "other"), ENOENT);
    assert_int_equal(close(dir), 0);
}

static void rename_by_link__keeps_the_same_promise(void **state)
{
    const int dir = tk_open_dir(*state);
    tk_write_text(*state, "from", "new");
    tk_write_text(*state, "to", "old");
    assert_int_equal(crn_posix_rename_by_link(dir, "from", "to"), EEXIST);
    tk_assert_file_text(*state, "from", "new");
    tk_assert_file_text(*state, "to", "old");
    assert_int_equal(crn_posix_rename_by_link(dir, "from", "free"), 0);
    tk_assert_file_text(*state, "free", "new");
    tk_assert_list(*state, "free to");
    assert_int_equal(close(dir), 0);
}

static void rename_over__replaces(void **state)
{
    const crn_os *const os = crn_os_posix();
    const int dir = tk_open_dir(*state);
    tk_write_text(*state, "from", "new");
    tk_write_text(*state, "to", "old");
    assert_int_equal(os->rename_over(os, dir, "from", "to"), 0);
    tk_assert_list(*state, "to");
    tk_assert_file_text(*state, "to", "new");
    assert_int_equal(close(dir), 0);
}

static void unlink__removes_a_link_and_not_its_target(void **state)
{
    const crn_os *const os = crn_os_posix();
    char path[TK_PATH_SIZE];
    const int dir = tk_open_dir(*state);
    tk_write_text(*state, "target", "kept");
    assert_int_equal(symlink("target", tk_join(path, *state, "link")), 0);
    assert_int_equal(os->unlink(os, dir, "link"), 0);
    assert_int_equal(os->unlink(os, dir, "link"), ENOENT);
    tk_assert_list(*state, "target");
    assert_int_equal(close(dir), 0);
}

static void remove_folder__removes_an_empty_one_only(void **state)
{
    const crn_os *const os = crn_os_posix();
    char path[TK_PATH_SIZE];
    const int dir = tk_open_dir(*state);
    assert_int_equal(os->make_dirs(os, tk_join(path, *state, "a/b")), 0);
    tk_write_text(*state, "file", "kept");
    assert_int_equal(os->remove_folder(os, dir, "a"), ENOTEMPTY);
    assert_int_equal(os->remove_folder(os, dir, "file"), ENOTDIR);
    assert_int_equal(os->remove_folder(os, dir, "a/b"), 0);
    assert_int_equal(os->remove_folder(os, dir, "a"), 0);
    assert_int_equal(os->remove_folder(os, dir, "a"), ENOENT);
    tk_assert_list(*state, "file");
    assert_int_equal(close(dir), 0);
}

static void stat__tells_kinds_apart_and_follows_no_link(void **state)
{
    const crn_os *const os = crn_os_posix();
    char path[TK_PATH_SIZE];
    crn_file_stat info;
    const int dir = tk_open_dir(*state);
    tk_write_text(*state, "file", "12345");
    assert_int_equal(symlink("file", tk_join(path, *state, "link")), 0);
    assert_int_equal(mkdir(tk_join(path, *state, "folder"), 0755), 0);
    assert_int_equal(os->stat(os, dir, "file", &info), 0);
    assert_int_equal(info.kind, CRN_FILE_REGULAR);
    assert_int_equal(info.size, 5);
    const int64_t age = os->realtime_ns(os) - info.mtime_ns;
    assert_true(age > -60000000000 && age < 60000000000);
    assert_int_equal(os->stat(os, dir, "link", &info), 0);
    assert_int_equal(info.kind, CRN_FILE_OTHER);
    assert_int_equal(os->stat(os, dir, "folder", &info), 0);
    assert_int_equal(info.kind, CRN_FILE_DIRECTORY);
    assert_int_equal(os->stat(os, dir, "absent", &info), ENOENT);
    assert_int_equal(close(dir), 0);
}

static void make_dirs__makes_parents_and_accepts_what_is_there(void **state)
{
    const crn_os *const os = crn_os_posix();
    char path[TK_PATH_SIZE];
    crn_file_stat info;
    assert_int_equal(os->make_dirs(os, tk_join(path, *state, "a//b/c/")), 0);
    assert_int_equal(os->make_dirs(os, path), 0);
    assert_int_equal(os->stat(os, CRN_OS_CWD, tk_join(path, *state, "a/b/c"), &info), 0);
    assert_int_equal(info.kind, CRN_FILE_DIRECTORY);
    assert_int_equal(os->make_dirs(os, "/"), 0);
    assert_int_equal(os->make_dirs(os, "."), 0);
    assert_int_equal(symlink("a", tk_join(path, *state, "link")), 0);
    assert_int_equal(os->make_dirs(os, tk_join(path, *state, "link/d")), 0);
    assert_true(tk_exists(*state, "a/d"));
}

static void make_dirs__names_what_is_in_the_way(void **state)
{
    const crn_os *const os = crn_os_posix();
    char path[TK_PATH_SIZE];
    char longer[TK_PATH_SIZE + 2];
    tk_write_text(*state, "file", "");
    assert_int_equal(os->make_dirs(os, tk_join(path, *state, "file")), ENOTDIR);
    assert_int_equal(os->make_dirs(os, tk_join(path, *state, "file/below")), ENOTDIR);
    assert_int_equal(os->make_dirs(os, ""), ENOENT);
    assert_int_equal(os->make_dirs(os, "/proc/cairn/model_dir"), ENOENT);
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(os->make_dirs(os, longer), ENAMETOOLONG);
}

struct names {
    int count;
    int stop_after;
    char last[64];
};

static int take_name(void *user, const char *name)
{
    struct names *const names = user;
    (void)snprintf(names->last, sizeof names->last, "%s", name);
    names->count++;
    return names->count == names->stop_after ? ECANCELED : 0;
}

static void list__visits_each_entry_once_and_may_be_repeated(void **state)
{
    const crn_os *const os = crn_os_posix();
    const int dir = tk_open_dir(*state);
    for (int i = 0; i < 300; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d", i);
        tk_write_text(*state, name, "");
    }
    for (int pass = 0; pass < 2; pass++) {
        struct names names = {0};
        assert_int_equal(os->list(os, dir, take_name, &names), 0);
        assert_int_equal(names.count, 300);
    }
    struct names some = {.stop_after = 7};
    assert_int_equal(os->list(os, dir, take_name, &some), ECANCELED);
    assert_int_equal(some.count, 7);
    assert_int_equal(os->list(os, -1, take_name, &some), EBADF);
    assert_int_equal(close(dir), 0);
}

static void lock__is_held_against_a_second_open_of_this_same_process(void **state)
{
    const crn_os *const os = crn_os_posix();
    const int dir = tk_open_dir(*state);
    int a = -1;
    int b = -1;
    int c = -1;
    assert_int_equal(os->open(os, dir, "lock", CRN_OPEN_LOCK, &a), 0);
    assert_int_equal(os->open(os, dir, "lock", CRN_OPEN_LOCK, &b), 0);
    assert_int_equal(os->lock(os, a), 0);
    assert_int_equal(os->lock(os, b), EAGAIN);
    /* The duplicate keeps it beyond the close of the descriptor that took it. */
    assert_int_equal(os->duplicate(os, a, &c), 0);
    assert_int_equal(os->close(os, a), 0);
    assert_int_equal(os->lock(os, b), EAGAIN);
    a = c;
    /* A record lock of the process would be lost by the close of any descriptor of the file. */
    assert_int_equal(os->open(os, dir, "lock", CRN_OPEN_LOCK, &c), 0);
    assert_int_equal(os->close(os, c), 0);
    assert_int_equal(os->lock(os, b), EAGAIN);
    assert_int_equal(os->lock(os, a), 0);
    assert_int_equal(os->close(os, a), 0);
    assert_int_equal(os->lock(os, b), 0);
    assert_int_equal(os->close(os, b), 0);
    assert_int_equal(close(dir), 0);
}

static void open_lock__keeps_the_contents(void **state)
{
    const crn_os *const os = crn_os_posix();
    const int dir = tk_open_dir(*state);
    int fd = -1;
    tk_write_text(*state, "lock", "host 12");
    assert_int_equal(os->open(os, dir, "lock", CRN_OPEN_LOCK, &fd), 0);
    assert_int_equal(os->close(os, fd), 0);
    tk_assert_file_text(*state, "lock", "host 12");
    assert_int_equal(close(dir), 0);
}

static void real_path__resolves_links(void **state)
{
    const crn_os *const os = crn_os_posix();
    char path[TK_PATH_SIZE];
    char *a = NULL;
    char *b = NULL;
    tk_write_text(*state, "file", "");
    assert_int_equal(symlink("file", tk_join(path, *state, "link")), 0);
    assert_int_equal(os->real_path(os, path, &a), 0);
    assert_int_equal(os->real_path(os, tk_join(path, *state, "../././file"), &b), ENOENT);
    assert_int_equal(os->real_path(os, tk_join(path, *state, "./file"), &b), 0);
    assert_string_equal(a, b);
    assert_int_equal(a[0], '/');
    crn_free(a);
    crn_free(b);
}

static void free_bytes__is_known_for_a_folder_and_for_the_working_one(void **state)
{
    const crn_os *const os = crn_os_posix();
    const int dir = tk_open_dir(*state);
    uint64_t bytes = UINT64_MAX;
    assert_int_equal(os->free_bytes(os, dir, &bytes), 0);
    assert_true(bytes < UINT64_MAX);
    assert_int_equal(os->free_bytes(os, CRN_OS_CWD, &bytes), 0);
    assert_int_equal(os->free_bytes(os, -1, &bytes), EBADF);
    assert_int_equal(close(dir), 0);
}

static void random__fills_the_whole_buffer(void **state)
{
    (void)state;
    const crn_os *const os = crn_os_posix();
    uint8_t a[512] = {0};
    uint8_t b[512] = {0};
    assert_int_equal(os->random(os, a, sizeof a), 0);
    assert_int_equal(os->random(os, b, sizeof b), 0);
    /* By chance once in 2^128. */
    assert_memory_not_equal(a, b, 16);
    assert_memory_not_equal(a + sizeof a - 16, b + sizeof b - 16, 16);
}

static void clocks__run(void **state)
{
    (void)state;
    const crn_os *const os = crn_os_posix();
    const int64_t first = os->monotonic_ns(os);
    int64_t second = first;
    for (int i = 0; i < 1000000 && second == first; i++)
        second = os->monotonic_ns(os);
    assert_true(second > first);
    assert_true(os->realtime_ns(os) > 1700000000 * INT64_C(1000000000)); /* Later than 2023. */
}

static void process_facts__are_plausible(void **state)
{
    (void)state;
    char full[256];
    char cut[2] = "zz";
    assert_string_not_equal(crn_os_host_name(full, sizeof full), "");
    assert_int_equal(strlen(crn_os_host_name(cut, sizeof cut)) <= 1, 1);
    assert_int_equal(crn_os_process_id(), getpid());
}

#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(rename_new__never_replaces),
        T(rename_by_link__keeps_the_same_promise),
        T(rename_over__replaces),
        T(unlink__removes_a_link_and_not_its_target),
        T(remove_folder__removes_an_empty_one_only),
        T(stat__tells_kinds_apart_and_follows_no_link),
        T(make_dirs__makes_parents_and_accepts_what_is_there),
        T(make_dirs__names_what_is_in_the_way),
        T(list__visits_each_entry_once_and_may_be_repeated),
        T(lock__is_held_against_a_second_open_of_this_same_process),
        T(open_lock__keeps_the_contents),
        T(real_path__resolves_links),
        T(free_bytes__is_known_for_a_folder_and_for_the_working_one),
        T(random__fills_the_whole_buffer),
        T(clocks__run),
        T(process_facts__are_plausible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
