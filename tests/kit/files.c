#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit/kit.h"

static void need(bool is_good, const char *what, const char *path)
{
    if (!is_good)
        fail_msg("test kit: %s '%s': %s", what, path, strerror(errno));
}

char *tk_join(char buf[TK_PATH_SIZE], const char *dir, const char *name)
{
    const int length = snprintf(buf, TK_PATH_SIZE, "%s/%s", dir, name);
    need(length > 0 && length < TK_PATH_SIZE, "path too long", name);
    return buf;
}

char *tk_temp_dir(char path[TK_PATH_SIZE])
{
    const char *const base = getenv("TMPDIR");
    tk_join(path, base != NULL && base[0] != '\0' ? base : "/tmp", "cairn-test-XXXXXX");
    need(mkdtemp(path) != NULL, "mkdtemp", path);
    return path;
}

void tk_remove_tree(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return;
    if (S_ISDIR(info.st_mode)) {
        char child[TK_PATH_SIZE];
        (void)chmod(path, 0700); /* A test may have taken its rights away. */
        DIR *const dir = opendir(path);
        need(dir != NULL, "opendir", path);
        for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                tk_remove_tree(tk_join(child, path, entry->d_name));
        }
        (void)closedir(dir);
    }
    need(remove(path) == 0, "remove", path);
}

int tk_temp_setup(void **state)
{
    char *const path = malloc(TK_PATH_SIZE);
    if (path == NULL)
        return -1;
    *state = tk_temp_dir(path);
    return 0;
}

int tk_temp_teardown(void **state)
{
    tk_remove_tree(*state);
    free(*state);
    *state = NULL;
    return 0;
}

void tk_write_file(const char *dir, const char *name, const void *bytes, size_t size)
{
    char path[TK_PATH_SIZE];
    FILE *const file = fopen(tk_join(path, dir, name), "wb");
    need(file != NULL, "fopen", path);
    need(size == 0 || fwrite(bytes, 1, size, file) == size, "fwrite", path);
    need(fclose(file) == 0, "fclose", path);
}

void tk_write_text(const char *dir, const char *name, const char *text)
{
    tk_write_file(dir, name, text, strlen(text));
}

char *tk_read_file(const char *dir, const char *name, size_t *out_size)
{
    char path[TK_PATH_SIZE];
    struct stat info;
    FILE *const file = fopen(tk_join(path, dir, name), "rb");
    need(file != NULL, "fopen", path);
    need(fstat(fileno(file), &info) == 0, "fstat", path);
    const size_t size = (size_t)info.st_size;
    char *const bytes = malloc(size + 1);
    need(bytes != NULL, "malloc", path);
    need(fread(bytes, 1, size, file) == size, "fread", path);
    bytes[size] = '\0';
    (void)fclose(file);
    if (out_size != NULL)
        *out_size = size;
    return bytes;
}

void tk_assert_file_text(const char *dir, const char *name, const char *text)
{
    char *const got = tk_read_file(dir, name, NULL);
    assert_string_equal(got, text);
    free(got);
}

bool tk_exists(const char *dir, const char *name)
{
    char path[TK_PATH_SIZE];
    struct stat info;
    return lstat(tk_join(path, dir, name), &info) == 0;
}

static int is_entry(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

char *tk_list(const char *dir)
{
    struct dirent **entries = NULL;
    size_t size = 1;
    const int count = scandir(dir, &entries, is_entry, by_bytes);
    need(count >= 0, "scandir", dir);
    for (int i = 0; i < count; i++)
        size += strlen(entries[i]->d_name) + 1;
    char *const names = calloc(size, 1);
    need(names != NULL, "calloc", dir);
    char *at = names;
    for (int i = 0; i < count; i++) {
        if (i > 0)
            *at++ = ' ';
        at = stpcpy(at, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return names;
}

void tk_assert_list(const char *dir, const char *names)
{
    char *const got = tk_list(dir);
    assert_string_equal(got, names);
    free(got);
}

int tk_open_dir(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    need(fd >= 0, "open", path);
    return fd;
}

static const char *error_text(const cairn_error *err, char *buf, size_t size)
{
    (void)cairn_error_format(err, buf, size);
    return buf;
}

void tk_assert_status_at(cairn_status actual, cairn_status expected, const cairn_error *err,
                         const char *file, int line)
{
    char text[4096];
    if (actual == expected)
        return;
    print_error("expected %s, got %s: %s\n", cairn_status_name(expected), cairn_status_name(actual),
                error_text(err, text, sizeof text));
    _fail(file, line);
}

void tk_assert_error_has_at(const cairn_error *err, const char *part, const char *file, int line)
{
    char text[4096];
    if (strstr(error_text(err, text, sizeof text), part) != NULL)
        return;
    print_error("expected an error with '%s', got: %s\n", part, text);
    _fail(file, line);
}
