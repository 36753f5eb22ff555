/* Deleting without waiting for the blocks to be free. */
#include "unit/ckpt/ckpt_kit.h"

#include <errno.h>
#include <unistd.h>

#include "ckpt/closer.h"

/*
 * The real system on a disk that is full until a deleted file is closed. That close, which only the
 * closer's thread makes, waits until a reservation was refused.
 */
typedef struct full_disk {
    crn_os os;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t owner;
    bool is_full;
    crn_closer *closer; /* Refusals come back once this has closed all; NULL: at once. */
    unsigned refused;
    unsigned closed_by_others;
} full_disk;

static int full_reserve(const crn_os *os, int fd, uint64_t size)
{
    full_disk *const d = os->self;
    (void)pthread_mutex_lock(&d->lock);
    const bool is_full = d->is_full;
    d->refused += is_full;
    (void)pthread_cond_broadcast(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
    if (is_full && d->closer != NULL)
        crn_closer_wait(d->closer);
    return is_full ? ENOSPC : crn_os_posix()->reserve(os, fd, size);
}

/* A descriptor to read from, closed by another thread than the owner's, is a deleted file's. */
static int full_close(const crn_os *os, int fd)
{
    full_disk *const d = os->self;
    char byte = 0;
    size_t got = 0;
    const bool is_deleted = pthread_equal(pthread_self(), d->owner) == 0 &&
                            crn_os_posix()->read_at(os, fd, &byte, 1, 0, &got) == 0;
    (void)pthread_mutex_lock(&d->lock);
    while (is_deleted && d->is_full && d->refused == 0)
        (void)pthread_cond_wait(&d->changed, &d->lock);
    d->is_full = d->is_full && !is_deleted;
    d->closed_by_others += is_deleted;
    (void)pthread_mutex_unlock(&d->lock);
    return crn_os_posix()->close(os, fd);
}

static void full_disk_init(full_disk *d)
{
    *d = (full_disk){.os = *ck_os(), .owner = pthread_self()};
    d->os.reserve = full_reserve;
    d->os.close = full_close;
    d->os.self = d;
    assert_int_equal(pthread_mutex_init(&d->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&d->changed, NULL), 0);
}

static void save_step(cairn_store *store, cairn_state_tree *tree, uint64_t step)
{
    cairn_error err = {0};
    cairn_save_result saved;
    cairn_save_request request = {.struct_size = sizeof request, .step = step};
    tk_assert_ok(cairn_store_save_start(store, tree, &request, &err), &err);
    tk_assert_ok(cairn_store_save_wait(store, &saved, &err), &err);
    assert_true(saved.is_durable);
}

/* The owner goes on while the close waits; the save that finds the disk full waits for it. */
static void delete__leaves_the_blocks_to_another_thread(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    full_disk disk;
    full_disk_init(&disk);
    cairn_state_tree *const tree = ck_tree(10);
    cairn_store *const store = ck_open(&disk.os, dir);
    tk_assert_ok(cairn_store_attach(store, tree, &err), &err);
    save_step(store, tree, 1);
    tk_assert_ok(cairn_store_delete(store, tk_join(path, dir, "checkpoint_1.mdl"), &err), &err);
    assert_false(tk_exists(dir, "checkpoint_1.mdl"));
    crn_closer_wait(store->closer);
    assert_int_equal(crn_closer_count(store->closer), 1);
    assert_int_equal(disk.closed_by_others, 1);

    save_step(store, tree, 2);
    tk_assert_ok(cairn_store_delete(store, tk_join(path, dir, "checkpoint_2.mdl"), &err), &err);
    cairn_store_close(store);
    assert_int_equal(disk.closed_by_others, 2);
    cairn_state_tree_destroy(tree);
    (void)pthread_cond_destroy(&disk.changed);
    (void)pthread_mutex_destroy(&disk.lock);
}

/* @is_late: the space is free before the save can ask whether it will be. */
static void fill_and_free(const char *dir, bool is_late)
{
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    full_disk disk;
    full_disk_init(&disk);
    cairn_state_tree *const tree = ck_tree(10);
    cairn_store *const store = ck_open(&disk.os, dir);
    tk_assert_ok(cairn_store_attach(store, tree, &err), &err);
    save_step(store, tree, 1);
    int fd = -1;
    assert_int_equal(disk.os.open(&disk.os, CRN_OS_CWD, tk_join(path, dir, "checkpoint_1.mdl"),
                                  CRN_OPEN_READ, &fd),
                     0);
    (void)pthread_mutex_lock(&disk.lock);
    disk.is_full = true;
    disk.closer = is_late ? store->closer : NULL;
    (void)pthread_mutex_unlock(&disk.lock);
    crn_closer_add(store->closer, fd);
    save_step(store, tree, 2);
    assert_int_equal(disk.refused, 1);
    assert_int_equal(disk.closed_by_others, 1);
    tk_assert_list(dir, ".cairn.lock checkpoint_1.mdl checkpoint_2.mdl checkpoints_index.yaml");

    /* With nothing to wait for it is full. */
    (void)pthread_mutex_lock(&disk.lock);
    disk.is_full = true;
    (void)pthread_mutex_unlock(&disk.lock);
    cairn_save_result saved;
    cairn_save_request request = {.struct_size = sizeof request, .step = 3};
    tk_assert_ok(cairn_store_save_start(store, tree, &request, &err), &err);
    tk_assert_status(cairn_store_save_wait(store, &saved, &err), CAIRN_ENOSPACE, &err);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
    (void)pthread_cond_destroy(&disk.changed);
    (void)pthread_mutex_destroy(&disk.lock);
}

static void save__waits_for_deleted_files_when_the_disk_is_full(void **state)
{
    fill_and_free(*state, false);
}

static void save__tries_again_when_deleted_files_were_freed_meanwhile(void **state)
{
    fill_and_free(*state, true);
}

static void closer__takes_more_than_it_can_remember(void **state)
{
    (void)state;
    enum { FILES = 300 };
    cairn_error err = {0};
    tk_fault_os fault;
    crn_closer *closer = NULL;
    tk_fault_init(&fault);
    tk_assert_ok(crn_closer_new(&fault.os, &closer, &err), &err);
    for (int i = 0; i < FILES; i++) {
        int fd = -1;
        assert_int_equal(
            crn_os_posix()->open(crn_os_posix(), CRN_OS_CWD, "/", CRN_OPEN_DIRECTORY, &fd), 0);
        crn_closer_add(closer, fd);
    }
    crn_closer_destroy(closer);
    assert_int_equal(fault.calls, FILES);
    crn_closer_destroy(NULL);
    tk_fault_dispose(&fault);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(delete__leaves_the_blocks_to_another_thread),
        T(save__tries_again_when_deleted_files_were_freed_meanwhile),
        T(save__waits_for_deleted_files_when_the_disk_is_full),
        T(closer__takes_more_than_it_can_remember),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
