/* Where helper programs lie. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "os/os.h"

static bool is_program(const crn_os *os, const char *path)
{
    crn_file_stat stat;
    return os->stat(os, CRN_OS_CWD, path, &stat) == 0 && stat.kind != CRN_FILE_DIRECTORY;
}

char *crn_helper_find(const crn_os *os, const char *name)
{
    static const char *const k_beside[] = {"", "../libexec/cairn/"};
    char *own = NULL;
    crn_str path = {0};
    bool is_found = false;
    if (os->real_path(os, "/proc/self/exe", &own) == 0 && strrchr(own, '/') != NULL) {
        *strrchr(own, '/') = '\0';
        for (size_t i = 0; i < sizeof k_beside / sizeof k_beside[0] && !is_found; i++) {
            path.length = 0;
            crn_str_printf(&path, "%s/%s%s", own, k_beside[i], name);
            is_found = !path.is_failed && is_program(os, path.text);
        }
    }
    crn_free(own);
    if (!is_found) {
        path.length = 0;
        crn_str_printf(&path, "%s/%s", CRN_HELPER_DIR, name);
        is_found = !path.is_failed && is_program(os, path.text);
    }
    if (is_found)
        return crn_str_take(&path);
    crn_str_dispose(&path);
    return NULL;
}
