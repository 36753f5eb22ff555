/*
 * Real file systems on a disk that remembers (disk.h): power cuts between any two writes, requests
 * that fail with EIO, no room left. Root only, and only with TORTURE=1 (make torture).
 */
#include "torture/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit/kit.h"

enum { MEGABYTE = 1 << 20, PAGE = 4096, ROOMS = 40 };

typedef struct file_system {
    const char *name;
    const char *type;
    const char *options;
    const char *const *make;
    uint64_t megabytes;
    uint64_t images; /* power cuts to look at */
    uint64_t stride; /* of the numbers of requests that fail */
    uint64_t pages;  /* by which a full disk gets more room each time */
} file_system;

static const char *const k_make_ext4[] = {"mkfs.ext4",
                                          "-q",
                                          "-F",
                                          "-b",
                                          "4096",
                                          "-N",
                                          "256",
                                          "-J",
                                          "size=4",
                                          "-E",
                                          "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
                                          NULL};
static const char *const k_make_xfs[] = {"mkfs.xfs", "-q", "-f", "-K", NULL};
static const char *const k_make_btrfs[] = {"mkfs.btrfs", "-q", "-f", "-K", NULL};

static const file_system k_ext4 = {.name = "ext4",
                                   .type = "ext4",
                                   .options = "",
                                   .make = k_make_ext4,
                                   .megabytes = 64,
                                   .images = 3000,
                                   .stride = 1,
                                   .pages = 1};
static const file_system k_ext4_loose = {.name = "ext4 with data=writeback and noauto_da_alloc",
                                         .type = "ext4",
                                         .options = "data=writeback,noauto_da_alloc",
                                         .make = k_make_ext4,
                                         .megabytes = 64,
                                         .images = 3000,
                                         .stride = 1,
                                         .pages = 1};
static const file_system k_xfs = {.name = "xfs",
                                  .type = "xfs",
                                  .options = "",
                                  .make = k_make_xfs,
                                  .megabytes = 320,
                                  .images = 2000,
                                  .stride = 1,
                                  .pages = 24};
static const file_system k_btrfs = {.name = "btrfs",
                                    .type = "btrfs",
                                    .options = "",
                                    .make = k_make_btrfs,
                                    .megabytes = 256,
                                    .images = 2000,
                                    .stride = 2,
                                    .pages = 1};

/* A file system with a life on it, kept as it was before the accident. */
typedef struct place {
    const file_system *fs;
    char base[TT_PATH_SIZE];
    char dir[TT_PATH_SIZE]; /* model_dir, on the disk */
    tt_block_disk disk;
    tt_acks before;
    tt_score score;
    uint64_t unmountable;
    uint64_t random;
} place;

/* ---- A place ---- */

static int begin(void **state)
{
    place *const p = calloc(1, sizeof *p);
    *state = p;
    return p != NULL ? 0 : -1;
}

static int end(void **state)
{
    place *const p = *state;
    tt_disk_close(&p->disk);
    if (p->base[0] != '\0')
        tk_remove_tree(p->base);
    free(p);
    return 0;
}

static void need(place *p, bool is_good)
{
    if (is_good)
        return;
    print_message("skipped, %s: %s\n", p->fs->name, p->disk.error);
    skip();
}

static void must(const place *p, bool is_good)
{
    if (!is_good)
        fail_msg("%s: %s", p->fs->name, p->disk.error);
}

static void play(place *p, const crn_os *os, const char *script, tt_event_fn report, void *user,
                 bool goes_on)
{
    cairn_error err = {0};
    tt_world world = {.os = os, .dir = p->dir, .report = report, .user = user, .goes_on = goes_on};
    const cairn_status rc = tt_world_play(&world, script, &err);
    tt_world_end(&world);
    if (!goes_on)
        tk_assert_ok(rc, &err);
}

static void place_open(place *p, const file_system *fs, const char *before)
{
    p->fs = fs;
    p->random = tt_seed();
    if (!tt_is_long()) {
        print_message("skipped, %s: only in make torture\n", fs->name);
        skip();
    }
    need(p, tt_disk_open(&p->disk, tt_temp_dir(p->base), fs->megabytes * MEGABYTE));
    need(p, tt_disk_make(&p->disk, fs->make));
    need(p, tt_disk_mount(&p->disk, fs->type, fs->options));
    (void)tk_join(p->dir, p->disk.mount, "model_dir");
    play(p, crn_os_posix(), before, tt_acks_add, &p->before, false);
    must(p, tt_disk_unmount(&p->disk));
    tt_disk_keep(&p->disk);
}

/* The next start on what is on the disk. */
static void judge(place *p, const tt_acks *acks, const char *where)
{
    char why[TT_WHY_SIZE];
    if (!tt_disk_mount(&p->disk, p->fs->type, p->fs->options)) {
        p->unmountable++;
        if (p->unmountable == 1)
            print_message("%s: %s\n", where, p->disk.error);
        return;
    }
    const tt_verdict verdict = tt_judge(p->dir, NULL, acks, why);
    tt_score_add(&p->score, verdict, where, why);
    must(p, tt_disk_unmount(&p->disk));
}

static void print_score(const place *p, const char *what, const char *more)
{
    char text[200];
    char facts[200];
    (void)snprintf(text, sizeof text, "%s, %s", what, p->fs->name);
    (void)snprintf(facts, sizeof facts, "unmountable=%" PRIu64 "%s%s", p->unmountable,
                   more[0] != '\0' ? " " : "", more);
    tt_score_print(&p->score, text, facts);
}

static void assert_nothing_lost(const place *p)
{
    assert_int_equal(p->score.lost + p->score.wrong + p->unmountable, 0);
}

/* ---- Power cuts ---- */

/* Lives while the disk remembers. */
static void record(place *p, const crn_os *os, const char *script)
{
    tt_disk_record(&p->disk, true);
    must(p, tt_disk_mount(&p->disk, p->fs->type, p->fs->options));
    play(p, os, script, tt_disk_event, &p->disk, false);
    tt_disk_record(&p->disk, false);
    must(p, tt_disk_unmount(&p->disk));
}

static tt_acks acks_at(const place *p, size_t end)
{
    tt_acks acks = p->before;
    for (size_t i = 0; i < end; i++) {
        const tt_log_entry *const entry = &p->disk.shared->log[i];
        if (entry->kind == TT_LOG_EVENT)
            tt_acks_add(&acks, (const char *)p->disk.log_bytes + entry->bytes_at);
    }
    return acks;
}

static void cut_at(place *p, size_t end, tt_cut_kind kind)
{
    char where[100];
    const tt_acks acks = acks_at(p, end);
    tt_disk_cut(&p->disk, end, kind, &p->random);
    (void)snprintf(where, sizeof where, "a cut behind entry %zu of %zu, kind %d", end,
                   p->disk.shared->count, (int)kind);
    judge(p, &acks, where);
}

/* Right behind each acknowledgement, as little as possible and all; then anywhere. */
static void cut_everywhere(place *p, uint64_t images)
{
    const size_t count = p->disk.shared->count;
    size_t first = count; /* What comes before the first event is the mount. */
    for (size_t i = 0; i < count; i++) {
        if (p->disk.shared->log[i].kind != TT_LOG_EVENT)
            continue;
        first = i < first ? i : first;
        cut_at(p, i + 1, TT_CUT_FLUSHED);
        cut_at(p, i + 1, TT_CUT_PREFIX);
    }
    while (p->score.tried + p->unmountable < images) {
        const size_t end = first + 1 + (size_t)(tt_next(&p->random) % (count - first));
        cut_at(p, end, tt_next(&p->random) % 4 == 0 ? TT_CUT_PREFIX : TT_CUT_ANY);
    }
}

static void print_cuts(const place *p, const char *what, uint64_t seed)
{
    char more[100];
    uint64_t writes = 0;
    uint64_t flushes = 0;
    for (size_t i = 0; i < p->disk.shared->count; i++) {
        writes += p->disk.shared->log[i].kind == TT_LOG_WRITE;
        flushes += p->disk.shared->log[i].kind == TT_LOG_FLUSH;
    }
    (void)snprintf(more, sizeof more, "writes=%" PRIu64 " flushes=%" PRIu64 " seed=%" PRIu64,
                   writes, flushes, seed);
    print_score(p, what, more);
}

static void try_power_cuts(place *p, const file_system *fs)
{
    place_open(p, fs, "orsns");
    const uint64_t seed = p->random;
    record(p, crn_os_posix(), "onsnpebwnpsrnbwp");
    cut_everywhere(p, fs->images);
    print_cuts(p, "power cut, block by block", seed);
    assert_nothing_lost(p);
}

static void power_cut__loses_nothing_on_ext4(void **state)
{
    try_power_cuts(*state, &k_ext4);
}

static void power_cut__loses_nothing_on_ext4_without_its_safeguards(void **state)
{
    try_power_cuts(*state, &k_ext4_loose);
}

static void power_cut__loses_nothing_on_xfs(void **state)
{
    try_power_cuts(*state, &k_xfs);
}

static void power_cut__loses_nothing_on_btrfs(void **state)
{
    try_power_cuts(*state, &k_btrfs);
}

/* fsync of a folder does nothing; nor that of the index, whose transaction would carry along the
 * rename before it on these file systems. */
static int sync_checkpoints_only(const crn_os *os, int fd)
{
    const crn_os *const real = crn_os_posix();
    crn_file_stat info;
    (void)os;
    const int e = real->stat_fd(real, fd, &info);
    if (e != 0 || info.kind == CRN_FILE_DIRECTORY || info.size < PAGE)
        return e;
    return real->sync(real, fd);
}

static int sync_nothing(const crn_os *os, int fd)
{
    (void)os;
    (void)fd;
    return 0;
}

/* The same with an engine that leaves out a sync: the tests above must be able to see it. */
static void find_losses(place *p, const file_system *fs, int (*sync)(const crn_os *os, int fd),
                        const char *what)
{
    crn_os os = *crn_os_posix();
    os.sync = sync;
    place_open(p, fs, "ors");
    const uint64_t seed = p->random;
    record(p, &os, "osss");
    cut_everywhere(p, 60);
    (void)printf("control: ");
    print_cuts(p, what, seed);
    assert_true(p->score.lost > 0);
}

static void control__finds_losses_without_fsync_of_folders_on_ext4(void **state)
{
    find_losses(*state, &k_ext4, sync_checkpoints_only,
                "power cut, block by block, without fsync of folders");
}

static void control__finds_losses_without_fsync_of_folders_on_xfs(void **state)
{
    find_losses(*state, &k_xfs, sync_checkpoints_only,
                "power cut, block by block, without fsync of folders");
}

static void control__finds_losses_without_fsync_of_folders_on_btrfs(void **state)
{
    find_losses(*state, &k_btrfs, sync_checkpoints_only,
                "power cut, block by block, without fsync of folders");
}

static void control__finds_losses_without_any_fsync_on_ext4(void **state)
{
    find_losses(*state, &k_ext4_loose, sync_nothing,
                "power cut, block by block, without any fsync");
}

/* ---- Requests that fail ---- */

/* Lives with a fault, from a fresh copy; how often it struck. */
static uint64_t live_with(place *p, const crn_os *os, tt_disk_fault fault, const char *where)
{
    tt_acks acks = p->before;
    tt_disk_back(&p->disk);
    must(p, tt_disk_mount(&p->disk, p->fs->type, p->fs->options));
    tt_disk_set_fault(&p->disk, fault);
    play(p, os, "onspebwp", tt_acks_add, &acks, true);
    const uint64_t failed = p->disk.shared->failed;
    tt_disk_set_fault(&p->disk, (tt_disk_fault){.write_at = 0});
    must(p, tt_disk_unmount(&p->disk));
    judge(p, &acks, where);
    return failed;
}

/* Every request of a kind fails, from the first on until none is left to fail. */
static void fail_each(place *p, const crn_os *os, bool is_flush, bool is_sticky, const char *what)
{
    char where[100];
    p->score = (tt_score){.tried = 0};
    p->unmountable = 0;
    for (uint64_t n = 1, misses = 0; misses < 3; n += is_flush ? 1 : p->fs->stride) {
        const tt_disk_fault fault = {
            .write_at = is_flush ? 0 : n, .flush_at = is_flush ? n : 0, .is_sticky = is_sticky};
        (void)snprintf(where, sizeof where, "%s number %" PRIu64, is_flush ? "flush" : "write", n);
        misses = live_with(p, os, fault, where) > 0 ? 0 : misses + 1;
    }
    print_score(p, what, "");
}

static void try_errors(place *p, const file_system *fs)
{
    static const struct {
        const char *what;
        bool is_flush;
        bool is_sticky;
    } k_rows[] = {{"EIO of a write to the disk, once", false, false},
                  {"EIO of all writes to the disk from then on", false, true},
                  {"EIO of a flush of the disk, once", true, false},
                  {"EIO of all flushes of the disk from then on", true, true}};
    place_open(p, fs, "orsns");
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        fail_each(p, crn_os_posix(), k_rows[i].is_flush, k_rows[i].is_sticky, k_rows[i].what);
        assert_nothing_lost(p);
    }
}

static void errors_of_the_disk__are_told_on_ext4(void **state)
{
    try_errors(*state, &k_ext4);
}

static void errors_of_the_disk__are_told_on_xfs(void **state)
{
    try_errors(*state, &k_xfs);
}

static void errors_of_the_disk__are_told_on_btrfs(void **state)
{
    try_errors(*state, &k_btrfs);
}

static int sync_and_ignore_errors(const crn_os *os, int fd)
{
    (void)os;
    (void)crn_os_posix()->sync(crn_os_posix(), fd);
    return 0;
}

static void control__finds_losses_when_errors_of_fsync_are_ignored(void **state)
{
    place *const p = *state;
    crn_os os = *crn_os_posix();
    os.sync = sync_and_ignore_errors;
    place_open(p, &k_ext4, "orsns");
    (void)printf("control: ");
    fail_each(p, &os, true, false, "EIO of a flush of the disk, fsync's errors ignored");
    assert_true(p->score.lost > 0);
}

/* ---- No room ---- */

/* A file that takes all the room there is. */
static void fill(const char *path)
{
    static char s_block[MEGABYTE];
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    for (size_t size = sizeof s_block; size >= PAGE; size /= 2) {
        while (write(fd, s_block, size) == (ssize_t)size) {
        }
        (void)fsync(fd); /* What was delayed finds its place, or none. */
    }
    assert_int_equal(close(fd), 0);
}

static void free_pages(const char *path, uint64_t pages)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    const off_t left = info.st_size - (off_t)(pages * PAGE);
    assert_int_equal(truncate(path, left > 0 ? left : 0), 0);
    sync(); /* btrfs gives room back with its next transaction. */
}

static void try_full(place *p, const file_system *fs)
{
    char ballast[TT_PATH_SIZE];
    char more[64];
    uint64_t refused = 0;
    place_open(p, fs, "orsns");
    (void)tk_join(ballast, p->disk.mount, "ballast");
    must(p, tt_disk_mount(&p->disk, fs->type, fs->options));
    fill(ballast);
    must(p, tt_disk_unmount(&p->disk));
    tt_disk_keep(&p->disk);
    for (uint64_t pages = 0; pages < ROOMS * fs->pages; pages += fs->pages) {
        char where[64];
        tt_acks acks = p->before;
        tt_disk_back(&p->disk);
        must(p, tt_disk_mount(&p->disk, fs->type, fs->options));
        free_pages(ballast, pages);
        play(p, crn_os_posix(), "ossbws", tt_acks_add, &acks, true);
        refused += !acks.step[3].is_saved || !acks.step[6].is_saved;
        assert_int_equal(unlink(ballast), 0);
        must(p, tt_disk_unmount(&p->disk));
        (void)snprintf(where, sizeof where, "%" PRIu64 " pages of room", pages);
        judge(p, &acks, where);
    }
    (void)snprintf(more, sizeof more, "refused=%" PRIu64, refused);
    print_score(p, "full disk, page by page", more);
    assert_nothing_lost(p);
    assert_true(refused > 0 && refused < p->score.tried);
}

static void full_disk__fails_the_save_and_nothing_else_on_ext4(void **state)
{
    try_full(*state, &k_ext4);
}

static void full_disk__fails_the_save_and_nothing_else_on_xfs(void **state)
{
    try_full(*state, &k_xfs);
}

static void full_disk__fails_the_save_and_nothing_else_on_btrfs(void **state)
{
    try_full(*state, &k_btrfs);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(power_cut__loses_nothing_on_ext4),
        T(power_cut__loses_nothing_on_ext4_without_its_safeguards),
        T(power_cut__loses_nothing_on_xfs),
        T(power_cut__loses_nothing_on_btrfs),
        T(control__finds_losses_without_fsync_of_folders_on_ext4),
        T(control__finds_losses_without_fsync_of_folders_on_xfs),
        T(control__finds_losses_without_fsync_of_folders_on_btrfs),
        T(control__finds_losses_without_any_fsync_on_ext4),
        T(errors_of_the_disk__are_told_on_ext4),
        T(errors_of_the_disk__are_told_on_xfs),
        T(errors_of_the_disk__are_told_on_btrfs),
        T(control__finds_losses_when_errors_of_fsync_are_ignored),
        T(full_disk__fails_the_save_and_nothing_else_on_ext4),
        T(full_disk__fails_the_save_and_nothing_else_on_xfs),
        T(full_disk__fails_the_save_and_nothing_else_on_btrfs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
