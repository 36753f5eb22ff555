/* Folders kept in memory, and numbers for sampling. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kit/kit.h"
#include "torture/torture.h"

void tt_image_take(tt_image *image, const char *dir)
{
    char path[TK_PATH_SIZE];
    DIR *const stream = opendir(dir);
    *image = (tt_image){.count = 0};
    assert_non_null(stream);
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        struct stat info;
        assert_int_equal(lstat(tk_join(path, dir, entry->d_name), &info), 0);
        if (!S_ISREG(info.st_mode))
            continue;
        image->files = realloc(image->files, (image->count + 1) * sizeof *image->files);
        assert_non_null(image->files);
        tt_file *const file = &image->files[image->count++];
        assert_true(strlen(entry->d_name) < sizeof file->name);
        (void)snprintf(file->name, sizeof file->name, "%.127s", entry->d_name);
        file->bytes = tk_read_file(dir, entry->d_name, &file->size);
    }
    (void)closedir(stream);
}

void tt_image_put(const tt_image *image, const char *dir)
{
    char path[TK_PATH_SIZE];
    DIR *const stream = opendir(dir);
    if (stream == NULL)
        assert_int_equal(mkdir(dir, 0755), 0);
    for (struct dirent *entry = stream != NULL ? readdir(stream) : NULL; entry != NULL;
         entry = readdir(stream)) {
        if (entry->d_type == DT_REG)
            assert_int_equal(unlink(tk_join(path, dir, entry->d_name)), 0);
    }
    if (stream != NULL)
        (void)closedir(stream);
    for (size_t i = 0; i < image->count; i++)
        tk_write_file(dir, image->files[i].name, image->files[i].bytes, image->files[i].size);
}

void tt_image_dispose(tt_image *image)
{
    for (size_t i = 0; i < image->count; i++)
        free(image->files[i].bytes);
    free(image->files);
    *image = (tt_image){.count = 0};
}

char *tt_temp_dir(char path[TT_PATH_SIZE])
{
    (void)snprintf(path, TT_PATH_SIZE, "/dev/shm/cairn-torture-XXXXXX");
    return mkdtemp(path) != NULL ? path : tk_temp_dir(path);
}

bool tt_is_long(void)
{
    const char *const text = getenv("TORTURE");
    return text != NULL && strcmp(text, "1") == 0;
}

uint64_t tt_seed(void)
{
    const char *const text = getenv("CAIRN_TEST_SEED");
    struct timespec now = {0};
    if (text != NULL)
        return strtoull(text, NULL, 10);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return ((uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec) & 0xffffffffu;
}

/* splitmix64 */
uint64_t tt_next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}
