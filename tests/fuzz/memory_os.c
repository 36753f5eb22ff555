#include <errno.h>
#include <string.h>

#include "fuzz/fuzz.h"

enum { A_FOLDER = 1000, A_FILE };

static int memory_open(const crn_os *os, int dir, const char *name, crn_open_mode mode, int *out_fd)
{
    (void)os;
    (void)dir;
    (void)name;
    if (mode != CRN_OPEN_DIRECTORY && mode != CRN_OPEN_READ)
        return EROFS;
    *out_fd = mode == CRN_OPEN_DIRECTORY ? A_FOLDER : A_FILE;
    return 0;
}

static int memory_close(const crn_os *os, int fd)
{
    (void)os;
    CHECK(fd == A_FOLDER || fd == A_FILE);
    return 0;
}

static int memory_read_at(const crn_os *os, int fd, void *buf, size_t size, uint64_t offset,
                          size_t *out_got)
{
    const memory_os *const memory = os->self;
    CHECK(fd == A_FILE);
    const size_t at = offset < memory->size ? (size_t)offset : memory->size;
    const size_t got = size < memory->size - at ? size : memory->size - at;
    if (got > 0)
        memcpy(buf, memory->bytes + at, got);
    *out_got = got;
    return 0;
}

static int memory_read_parts(const crn_os *os, int fd, const crn_os_part *parts, size_t count,
                             uint64_t offset, size_t *out_got)
{
    *out_got = 0;
    for (size_t i = 0; i < count; i++) {
        size_t got = 0;
        (void)memory_read_at(os, fd, parts[i].bytes, parts[i].size, offset + *out_got, &got);
        *out_got += got;
    }
    return 0;
}

static int memory_stat_fd(const crn_os *os, int fd, crn_file_stat *out)
{
    const memory_os *const memory = os->self;
    CHECK(fd == A_FILE);
    *out = (crn_file_stat){.kind = CRN_FILE_REGULAR, .size = memory->size};
    return 0;
}

static int64_t memory_clock_ns(const crn_os *os)
{
    (void)os;
    return 0;
}

void memory_os_init(memory_os *memory, const uint8_t *bytes, size_t size)
{
    *memory = (memory_os){.bytes = bytes, .size = size};
    memory->os = (crn_os){.open = memory_open,
                          .close = memory_close,
                          .read_at = memory_read_at,
                          .read_parts = memory_read_parts,
                          .stat_fd = memory_stat_fd,
                          .realtime_ns = memory_clock_ns,
                          .monotonic_ns = memory_clock_ns,
                          .self = memory};
}
