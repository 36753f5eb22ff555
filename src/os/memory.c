/*
 * How much memory there is: MemAvailable of /proc/meminfo (proc(5)), and what the control groups
 * of this process leave (cgroup-v2 of the kernel documentation).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/os.h"

enum { TEXT_SIZE = 8192, KIB = 1024 };

/* These files are made as they are read; "" where there is none. */
static void read_text(const char *path, char out[TEXT_SIZE])
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd >= 0 ? read(fd, out, TEXT_SIZE - 1) : 0;
    out[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        (void)close(fd); /* only read */
}

bool crn_memory_field(const char *text, const char *key, uint64_t *out)
{
    const size_t length = strlen(key);
    const char *line = text;
    while (line != NULL) {
        if (strcspn(line, " \t\n") == length && strncmp(line, key, length) == 0) {
            *out = strtoull(line + length, NULL, 10);
            return true;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return false;
}

uint64_t crn_memory_left(const char *limit, const char *used, const char *stat)
{
    char *end = NULL;
    uint64_t cached = 0;
    const uint64_t most = strtoull(limit, &end, 10);
    if (end == limit) /* "max", or nothing */
        return UINT64_MAX;
    const uint64_t all = strtoull(used, NULL, 10);
    /* Pages of files are given back when they are needed. */
    (void)crn_memory_field(stat, "file", &cached);
    const uint64_t taken = all > cached ? all - cached : 0;
    return taken < most ? most - taken : 0;
}

static uint64_t left_of(const char *group)
{
    static const char *const k_names[] = {"memory.max", "memory.current", "memory.stat"};
    char path[TEXT_SIZE + 64];
    char texts[3][TEXT_SIZE];
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", group, k_names[i]);
        read_text(path, texts[i]);
    }
    return crn_memory_left(texts[0], texts[1], texts[2]);
}

/* The group of this process, and every one above it, may have a limit. */
static uint64_t left_of_groups(void)
{
    char text[TEXT_SIZE];
    uint64_t left = UINT64_MAX;
    read_text("/proc/self/cgroup", text);
    char *group = strstr(text, "0::/");
    if (group == NULL) /* The older kind of groups: their limits are not seen. */
        return left;
    group += strlen("0::");
    group[strcspn(group, "\n")] = '\0';
    for (char *end = group + strlen(group); end != NULL; end = strrchr(group, '/')) {
        *end = '\0';
        const uint64_t here = left_of(group);
        left = here < left ? here : left;
    }
    return left;
}

bool crn_memory_available(uint64_t *out_bytes)
{
    char text[TEXT_SIZE];
    uint64_t kib = 0;
    read_text("/proc/meminfo", text);
    const bool is_known = crn_memory_field(text, "MemAvailable:", &kib);
    const uint64_t bytes = is_known ? kib * KIB : UINT64_MAX;
    const uint64_t left = left_of_groups();
    *out_bytes = left < bytes ? left : bytes;
    return is_known || left != UINT64_MAX;
}

uint64_t crn_memory_peak(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * KIB : 0;
}
