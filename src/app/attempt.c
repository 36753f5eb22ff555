#include "app/attempt.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "os/os.h"

static const uint64_t k_magic = UINT64_C(0x43524e4154545031);

/* ---- The parent's side ---- */

cairn_status crn_attempt_clear(int fd, const crn_attempt_orders *orders, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    crn_attempt *const empty = crn_calloc(1, sizeof *empty);
    CRN_NEED(err, empty, "the record of an attempt");
    empty->magic = k_magic;
    empty->orders = *orders;
    const int e = os->write_at(os, fd, empty, sizeof *empty, 0);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "write the record of an attempt");
out:
    crn_free(empty);
    return rc;
}

cairn_status crn_attempt_read(int fd, crn_attempt *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    size_t got = 0;
    const int e = os->read_at(os, fd, out, sizeof *out, 0, &got);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "read the record of an attempt");
    if (got != sizeof *out || out->magic != k_magic)
        CRN_FAIL(err, CAIRN_EBUG, "the record of an attempt is damaged");
    /* A child that went wild may have left texts without an end. */
    out->model_dir[sizeof out->model_dir - 1] = '\0';
    out->checkpoint_root[sizeof out->checkpoint_root - 1] = '\0';
    out->line[sizeof out->line - 1] = '\0';
out:
    return rc;
}

/* ---- The child's side ---- */

cairn_status crn_attempt_open(const char *attempt, int *out_fd, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    uint64_t number = 0;
    uint64_t magic = 0;
    size_t got = 0;
    if (!crn_u64_from_text(attempt, &number) || number > INT32_MAX ||
        os->read_at(os, (int)number, &magic, sizeof magic, 0, &got) != 0 || got != sizeof magic ||
        magic != k_magic)
        CRN_FAIL(err, CAIRN_ECONFIG, "--attempt is for autorestart itself");
    *out_fd = (int)number;
out:
    return rc;
}

cairn_status crn_attempt_orders_read(int fd, crn_attempt_orders *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    size_t got = 0;
    const int e = os->read_at(os, fd, out, sizeof *out, offsetof(crn_attempt, orders), &got);
    if (e != 0 || got != sizeof *out)
        CRN_FAIL(err, CAIRN_EBUG, "the record of an attempt cannot be read");
out:
    return rc;
}

/* What cannot be told does not stop the training. */
static void put(int fd, const void *bytes, size_t size, size_t offset)
{
    const crn_os *const os = crn_os_posix();
    (void)os->write_at(os, fd, bytes, size, offset);
}

static void put_number(int fd, uint64_t number, size_t offset)
{
    put(fd, &number, sizeof number, offset);
}

/* A text that does not fit counts as not known. */
static void put_text(int fd, const char *text, size_t room, size_t offset)
{
    const size_t size = strlen(text) + 1;
    if (size <= room)
        put(fd, text, size, offset);
    else
        put(fd, "", 1, offset);
}

struct watcher {
    int fd;
    size_t index;
};

static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    const int fd = ((const struct watcher *)self)->fd;
    const cairn_store *const store = cairn_trainer_store(event->trainer);
    (void)control;
    (void)err;
    put_text(fd, cairn_store_model_dir(store), CRN_ATTEMPT_PATH_SIZE,
             offsetof(crn_attempt, model_dir));
    put_text(fd, cairn_store_checkpoint_root(store), CRN_ATTEMPT_PATH_SIZE,
             offsetof(crn_attempt, checkpoint_root));
    put_number(fd, event->step, offsetof(crn_attempt, first_step));
    put_number(fd, event->step, offsetof(crn_attempt, last_step));
    put_number(fd, 1, offsetof(crn_attempt, has_steps));
    return CAIRN_OK;
}

static cairn_status on_train_start(void *self, const cairn_event *event, cairn_control *control,
                                   cairn_error *err)
{
    const struct watcher *const watcher = self;
    (void)event;
    (void)control;
    (void)err;
    put_number(watcher->fd, watcher->index + 1, offsetof(crn_attempt, started_count));
    return CAIRN_OK;
}

static cairn_status on_train_batch_end(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    (void)control;
    (void)err;
    put_number(((const struct watcher *)self)->fd, event->step, offsetof(crn_attempt, last_step));
    return CAIRN_OK;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof k_ops,
    .name = "Attempt",
    .destroy = crn_free,
    .on_fit_start = on_fit_start,
    .on_train_start = on_train_start,
    .on_train_batch_end = on_train_batch_end,
};

cairn_status crn_attempt_watch(cairn_trainer *trainer, int fd, size_t index, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct watcher *const watcher = crn_calloc(1, sizeof *watcher);
    CRN_NEED(err, watcher, "a watcher");
    watcher->fd = fd;
    watcher->index = index;
    const cairn_callback callback = {.ops = &k_ops, .self = watcher};
    CRN_TRY_PLAIN(cairn_trainer_add_callback(trainer, callback, err));
out:
    return rc;
}

void cairn_app_attempt_result(const char *attempt, const char *line)
{
    int fd = -1;
    if (crn_attempt_open(attempt, &fd, NULL) == CAIRN_OK)
        put_text(fd, line, CRN_ATTEMPT_LINE_SIZE, offsetof(crn_attempt, line));
}

bool cairn_app_attempt_tells(const char *attempt, size_t index)
{
    crn_attempt_orders orders = {0};
    int fd = -1;
    if (crn_attempt_open(attempt, &fd, NULL) != CAIRN_OK ||
        crn_attempt_orders_read(fd, &orders, NULL) != CAIRN_OK || index < orders.told_count)
        return false;
    put_number(fd, index + 1, offsetof(crn_attempt, orders.told_count));
    return true;
}
