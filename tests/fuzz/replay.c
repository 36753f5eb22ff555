/* Runs a fuzz target on files, and on all files of folders: replay PATH... */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

enum { PATH_SIZE = 4096 };

static int replay_file(const char *path)
{
    FILE *const file = fopen(path, "rb");
    struct stat info;
    if (file == NULL || fstat(fileno(file), &info) != 0) {
        perror(path);
        exit(2);
    }
    uint8_t *const data = malloc(info.st_size > 0 ? (size_t)info.st_size : 1);
    CHECK(data != NULL);
    const size_t size = fread(data, 1, (size_t)info.st_size, file);
    CHECK(size == (size_t)info.st_size);
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static int replay(const char *path)
{
    struct stat info;
    int count = 0;
    if (stat(path, &info) != 0) {
        perror(path);
        exit(2);
    }
    if (!S_ISDIR(info.st_mode))
        return replay_file(path);
    DIR *const folder = opendir(path);
    CHECK(folder != NULL);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char inner[PATH_SIZE];
        if (entry->d_name[0] == '.')
            continue;
        const int length = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        CHECK(length > 0 && (size_t)length < sizeof inner);
        count += replay(inner);
    }
    (void)closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++)
        count += replay(argv[i]);
    (void)printf("%d inputs\n", count);
    return count > 0 ? 0 : 2; /* A corpus that is not there proves nothing. */
}
