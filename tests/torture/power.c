/* Recording what reaches the disk, and what may be left of it: see power.h. */
#include "torture/power.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "kit/kit.h"

/* ---- Recording ---- */

static tt_recorder *recorder_of(const crn_os *os)
{
    return os->self;
}

static tt_op *add_op(tt_recorder *r, tt_op_kind kind, int inode, int folder)
{
    assert_true(r->count < TT_OPS_MAX);
    tt_op *const op = &r->ops[r->count++];
    *op = (tt_op){.kind = kind, .inode = inode, .folder = folder};
    return op;
}

static void set_bytes(tt_op *op, const void *bytes, size_t size)
{
    op->bytes = malloc(size + 1);
    assert_non_null(op->bytes);
    memcpy(op->bytes, bytes, size);
    op->bytes[size] = '\0';
    op->size = size;
}

static void add_name(tt_recorder *r, tt_op_kind kind, int folder, const char *name, int inode)
{
    set_bytes(add_op(r, kind, inode, folder), name, strlen(name));
}

/* A write, cut where blocks end; then the size, if it grew. */
static void add_data(tt_recorder *r, int inode, const void *bytes, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        size_t part = r->block - (size_t)((offset + done) % r->block);
        part = part < size - done ? part : size - done;
        tt_op *const op = add_op(r, TT_OP_DATA, inode, -1);
        op->offset = offset + done;
        set_bytes(op, (const char *)bytes + done, part);
        done += part;
    }
}

/* The inode that a name stands for now; -1 if none. */
static int find_name(const tt_recorder *r, int folder, const char *name)
{
    for (size_t i = r->count; i-- > 0;) {
        const tt_op *const op = &r->ops[i];
        if ((op->kind == TT_OP_SET || op->kind == TT_OP_DELETE) && op->folder == folder &&
            strcmp(op->bytes, name) == 0)
            return op->kind == TT_OP_SET ? op->inode : -1;
    }
    return -1;
}

static uint64_t size_of(const tt_recorder *r, int inode)
{
    for (size_t i = r->count; i-- > 0;) {
        if (r->ops[i].kind == TT_OP_SIZE && r->ops[i].inode == inode)
            return r->ops[i].offset;
    }
    return 0;
}

static int folder_of(const tt_recorder *r, int fd)
{
    return fd >= 0 && fd < TT_FDS_MAX ? r->fd_folder[fd] : -1;
}

static int inode_of(const tt_recorder *r, int fd)
{
    return fd >= 0 && fd < TT_FDS_MAX ? r->fd_inode[fd] : -1;
}

/* What the descriptor of a successful open stands for. */
static void note_open(tt_recorder *r, int dir, const char *name, crn_open_mode mode, int fd)
{
    assert_true(fd >= 0 && fd < TT_FDS_MAX);
    r->fd_inode[fd] = -1;
    r->fd_folder[fd] = -1;
    if (mode == CRN_OPEN_DIRECTORY) {
        if (strcmp(name, r->dir) == 0)
            r->fd_folder[fd] = 0;
        else if (r->root != NULL && strcmp(name, r->root) == 0)
            r->fd_folder[fd] = 1;
        return;
    }
    const int folder = folder_of(r, dir);
    if (mode == CRN_OPEN_READ)
        return;
    r->is_broken |= folder < 0;
    int inode = find_name(r, folder, name);
    if (inode < 0) {
        assert_true(r->inode_count < TT_INODES_MAX);
        inode = r->inode_count++;
        add_name(r, TT_OP_SET, folder, name, inode);
    }
    r->fd_inode[fd] = inode;
}

/* One call at a time, so that the record has the order in which things were done. */
static tt_recorder *begin_call(const crn_os *os)
{
    tt_recorder *const r = recorder_of(os);
    (void)pthread_mutex_lock(&r->lock);
    return r;
}

static int end_call(tt_recorder *r, int e)
{
    (void)pthread_mutex_unlock(&r->lock);
    return e;
}

static int rec_open(const crn_os *os, int dir, const char *name, crn_open_mode mode, int *out_fd)
{
    tt_recorder *const r = begin_call(os);
    const int e = r->real->open(r->real, dir, name, mode, out_fd);
    if (e == 0)
        note_open(r, dir, name, mode, *out_fd);
    return end_call(r, e);
}

static int rec_close(const crn_os *os, int fd)
{
    tt_recorder *const r = begin_call(os);
    if (fd >= 0 && fd < TT_FDS_MAX)
        r->fd_inode[fd] = r->fd_folder[fd] = -1;
    return end_call(r, r->real->close(r->real, fd));
}

static int rec_write_at(const crn_os *os, int fd, const void *buf, size_t size, uint64_t offset)
{
    tt_recorder *const r = begin_call(os);
    const int e = r->real->write_at(r->real, fd, buf, size, offset);
    const int inode = inode_of(r, fd);
    r->is_broken |= inode < 0;
    if (e == 0 && inode >= 0) {
        add_data(r, inode, buf, size, offset);
        if (offset + size > size_of(r, inode))
            add_op(r, TT_OP_SIZE, inode, -1)->offset = offset + size;
    }
    return end_call(r, e);
}

/* To the disk it is a write like others. */
static int rec_write_uncached(const crn_os *os, int fd, const void *buf, size_t size,
                              uint64_t offset)
{
    return rec_write_at(os, fd, buf, size, offset);
}

static int rec_append(const crn_os *os, int fd, const void *buf, size_t size)
{
    tt_recorder *const r = begin_call(os);
    r->is_broken = true; /* The engine appends to nothing. */
    return end_call(r, r->real->append(r->real, fd, buf, size));
}

static int rec_reserve(const crn_os *os, int fd, uint64_t size)
{
    tt_recorder *const r = begin_call(os);
    const int e = r->real->reserve(r->real, fd, size);
    const int inode = inode_of(r, fd);
    r->is_broken |= inode < 0;
    if (e == 0 && inode >= 0)
        add_op(r, TT_OP_SIZE, inode, -1)->offset = size;
    return end_call(r, e);
}

static int rec_sync(const crn_os *os, int fd)
{
    tt_recorder *const r = begin_call(os);
    const int inode = inode_of(r, fd);
    const int folder = folder_of(r, fd);
    if (inode >= 0)
        (void)add_op(r, TT_OP_SYNC_FILE, inode, -1);
    else if (folder >= 0)
        (void)add_op(r, TT_OP_SYNC_FOLDER, -1, folder);
    else
        r->is_broken = true;
    return end_call(r, 0);
}

static void note_rename(tt_recorder *r, int dir, const char *from, const char *to)
{
    const int folder = folder_of(r, dir);
    const int inode = folder >= 0 ? find_name(r, folder, from) : -1;
    r->is_broken |= inode < 0;
    if (inode < 0)
        return;
    add_name(r, TT_OP_SET, folder, to, inode);
    add_name(r, TT_OP_DELETE, folder, from, -1);
}

static int rec_rename_new(const crn_os *os, int dir, const char *from, const char *to)
{
    tt_recorder *const r = begin_call(os);
    const int e = r->real->rename_new(r->real, dir, from, to);
    if (e == 0)
        note_rename(r, dir, from, to);
    return end_call(r, e);
}

static int rec_rename_over(const crn_os *os, int dir, const char *from, const char *to)
{
    tt_recorder *const r = begin_call(os);
    const int e = r->real->rename_over(r->real, dir, from, to);
    if (e == 0)
        note_rename(r, dir, from, to);
    return end_call(r, e);
}

static int rec_unlink(const crn_os *os, int dir, const char *name)
{
    tt_recorder *const r = begin_call(os);
    const int e = r->real->unlink(r->real, dir, name);
    const int folder = folder_of(r, dir);
    r->is_broken |= folder < 0;
    if (e == 0 && folder >= 0)
        add_name(r, TT_OP_DELETE, folder, name, -1);
    return end_call(r, e);
}

/* What is there when the recording begins: names and data, all synced. */
static void record_folder(tt_recorder *r, int folder, const char *path)
{
    tt_image image;
    tt_image_take(&image, path);
    for (size_t i = 0; i < image.count; i++) {
        const tt_file *const file = &image.files[i];
        assert_true(r->inode_count < TT_INODES_MAX);
        const int inode = r->inode_count++;
        add_data(r, inode, file->bytes, file->size, 0);
        add_op(r, TT_OP_SIZE, inode, -1)->offset = file->size;
        (void)add_op(r, TT_OP_SYNC_FILE, inode, -1);
        add_name(r, TT_OP_SET, folder, file->name, inode);
    }
    (void)add_op(r, TT_OP_SYNC_FOLDER, -1, folder);
    tt_image_dispose(&image);
}

void tt_recorder_open(tt_recorder *r, const crn_os *real, const char *dir, const char *root,
                      size_t block)
{
    memset(r, 0, sizeof *r);
    r->real = real;
    r->dir = dir;
    r->root = root;
    r->block = block;
    r->ops = calloc(TT_OPS_MAX, sizeof *r->ops);
    assert_non_null(r->ops);
    assert_int_equal(pthread_mutex_init(&r->lock, NULL), 0);
    for (int fd = 0; fd < TT_FDS_MAX; fd++)
        r->fd_inode[fd] = r->fd_folder[fd] = -1;
    r->os = *real; /* Calls that change nothing go through as they are: they use no self. */
    r->os.open = rec_open;
    r->os.close = rec_close;
    r->os.write_at = rec_write_at;
    r->os.write_uncached = rec_write_uncached;
    r->os.append = rec_append;
    r->os.reserve = rec_reserve;
    r->os.sync = rec_sync;
    r->os.rename_new = rec_rename_new;
    r->os.rename_over = rec_rename_over;
    r->os.unlink = rec_unlink;
    r->os.self = r;
    record_folder(r, 0, dir);
    if (root != NULL)
        record_folder(r, 1, root);
    r->begin = r->count; /* Certain even to a disk that forgets. */
}

void tt_recorder_close(tt_recorder *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->ops[i].bytes);
    free(r->ops);
    (void)pthread_mutex_destroy(&r->lock);
    r->ops = NULL;
    r->count = 0;
}

void tt_recorder_event(void *recorder, const char *event)
{
    tt_recorder *const r = recorder;
    (void)pthread_mutex_lock(&r->lock);
    set_bytes(add_op(r, TT_OP_EVENT, -1, -1), event, strlen(event));
    (void)pthread_mutex_unlock(&r->lock);
}

/* ---- What may be left ---- */

/* The operations before this one of the file or folder are certain. */
static size_t synced_until(const tt_recorder *r, size_t end, tt_disk disk, const tt_op *op)
{
    const bool is_name = op->folder >= 0;
    size_t begin = 0;
    for (size_t i = end; i-- > 0;) {
        const tt_op *const other = &r->ops[i];
        const bool is_sync = is_name
                                 ? other->kind == TT_OP_SYNC_FOLDER && other->folder == op->folder
                                 : other->kind == TT_OP_SYNC_FILE && other->inode == op->inode;
        if (is_sync) {
            begin = i;
            break;
        }
    }
    const bool is_forgotten = is_name ? disk.forgets_folders : disk.forgets_files;
    return is_forgotten ? 0 : begin;
}

static bool is_change(const tt_op *op)
{
    return op->kind == TT_OP_DATA || op->kind == TT_OP_SIZE || op->kind == TT_OP_SET ||
           op->kind == TT_OP_DELETE;
}

size_t tt_pending(const tt_recorder *r, size_t end, tt_disk disk, size_t *out, size_t max)
{
    size_t count = 0;
    for (size_t i = r->begin; i < end; i++) {
        if (is_change(&r->ops[i]) && i >= synced_until(r, end, disk, &r->ops[i])) {
            assert_true(count < max);
            out[count++] = i;
        }
    }
    return count;
}

typedef struct disk_file {
    char *bytes;
    size_t capacity;
    uint64_t size;
} disk_file;

static void apply_data(disk_file *file, const tt_op *op)
{
    const size_t end = (size_t)op->offset + op->size;
    if (end > file->capacity) {
        file->bytes = realloc(file->bytes, end);
        assert_non_null(file->bytes);
        memset(file->bytes + file->capacity, 0, end - file->capacity);
        file->capacity = end;
    }
    memcpy(file->bytes + op->offset, op->bytes, op->size);
}

static tt_file *image_find(tt_image *image, const char *name)
{
    for (size_t i = 0; i < image->count; i++) {
        if (strcmp(image->files[i].name, name) == 0)
            return &image->files[i];
    }
    return NULL;
}

/* For the moment a file's size holds its inode. */
static void apply_name(tt_image *image, const tt_op *op)
{
    tt_file *file = image_find(image, op->bytes);
    if (op->kind == TT_OP_DELETE) {
        if (file != NULL)
            *file = image->files[--image->count];
        return;
    }
    if (file == NULL) {
        image->files = realloc(image->files, (image->count + 1) * sizeof *image->files);
        assert_non_null(image->files);
        file = &image->files[image->count++];
        *file = (tt_file){.bytes = NULL};
        assert_true(strlen(op->bytes) < sizeof file->name);
        memcpy(file->name, op->bytes, strlen(op->bytes) + 1);
    }
    file->size = (size_t)op->inode;
}

static void fill_files(tt_image *image, const disk_file *files)
{
    for (size_t i = 0; i < image->count; i++) {
        tt_file *const file = &image->files[i];
        const disk_file *const from = &files[file->size];
        const size_t size = (size_t)from->size;
        const size_t at_hand = size < from->capacity ? size : from->capacity;
        file->bytes = calloc(size + 1, 1);
        assert_non_null(file->bytes);
        if (at_hand > 0)
            memcpy(file->bytes, from->bytes, at_hand);
        file->size = size;
    }
}

void tt_state_after(const tt_recorder *r, size_t end, tt_disk disk, const bool *happened,
                    tt_image folders[TT_FOLDERS_MAX])
{
    static size_t s_pending[TT_OPS_MAX];
    const size_t count = tt_pending(r, end, disk, s_pending, TT_OPS_MAX);
    disk_file *const files = calloc(TT_INODES_MAX, sizeof *files);
    size_t next = 0;
    assert_non_null(files);
    memset(folders, 0, TT_FOLDERS_MAX * sizeof *folders);
    for (size_t i = 0; i < end; i++) {
        const tt_op *const op = &r->ops[i];
        const bool is_pending = next < count && s_pending[next] == i;
        next += is_pending;
        if (!is_change(op) || (is_pending && !happened[i]))
            continue;
        if (op->kind == TT_OP_DATA)
            apply_data(&files[op->inode], op);
        else if (op->kind == TT_OP_SIZE)
            files[op->inode].size = op->offset;
        else
            apply_name(&folders[op->folder], op);
    }
    for (int i = 0; i < TT_FOLDERS_MAX; i++)
        fill_files(&folders[i], files);
    for (int i = 0; i < r->inode_count; i++)
        free(files[i].bytes);
    free(files);
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const tt_file *)a)->name, ((const tt_file *)b)->name);
}

uint64_t tt_image_digest(const tt_image *image)
{
    uint64_t digest = image->count;
    if (image->count > 0)
        qsort(image->files, image->count, sizeof *image->files, compare_files);
    for (size_t i = 0; i < image->count; i++) {
        const tt_file *const file = &image->files[i];
        uint64_t words[5] = {digest};
        const crn_digest name = crn_hash(file->name, strlen(file->name));
        const crn_digest bytes = crn_hash(file->bytes, file->size);
        memcpy(words + 1, &name, 16);
        memcpy(words + 3, &bytes, 16);
        const crn_digest all = crn_hash(words, sizeof words);
        memcpy(&digest, &all, sizeof digest);
    }
    return digest;
}
