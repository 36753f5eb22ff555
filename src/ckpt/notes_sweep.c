/* Notes left over by a deletion that was cut short. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/store_priv.h"

enum { NAME_BYTES_MAX = 255 };

typedef struct leftovers {
    const crn_template *name_template;
    crn_name_list names;
} leftovers;

/* Only those of our own file names: a user may have files of this kind. */
static int note_leftover(void *user, const char *name)
{
    leftovers *const l = user;
    cairn_checkpoint_name parsed;
    const size_t length = strlen(name);
    const size_t tail = sizeof CRN_NOTES_SUFFIX - 1;
    if (length <= tail || strcmp(name + length - tail, CRN_NOTES_SUFFIX) != 0)
        return 0;
    char base[NAME_BYTES_MAX + 1];
    if (length - tail > NAME_BYTES_MAX)
        return 0;
    memcpy(base, name, length - tail);
    base[length - tail] = '\0';
    if (!crn_template_match(l->name_template, base, &parsed))
        return 0;
    return crn_name_list_add(&l->names, base, NULL) == CAIRN_OK ? 0 : ENOMEM;
}

void crn_notes_sweep(const crn_folder *folder, const crn_template *name_template,
                     const cairn_log *log)
{
    const crn_os *const os = folder->os;
    leftovers found = {.name_template = name_template};
    const bool is_listed = os->list(os, folder->fd, note_leftover, &found) == 0;
    for (size_t i = 0; is_listed && i < found.names.count; i++) {
        crn_file_stat info;
        char shown[256];
        const char *const base = found.names.items[i];
        crn_str path = {0};
        crn_str_printf(&path, "%s" CRN_NOTES_SUFFIX, base);
        char *const name = crn_str_take(&path);
        if (name != NULL && os->stat(os, folder->fd, base, &info) == ENOENT &&
            os->unlink(os, folder->fd, name) == 0)
            cairn_log_message(log, CAIRN_LOG_INFO, "Removed '%s/%s', notes of a deleted checkpoint",
                              folder->path, crn_escape(name, strlen(name), shown, sizeof shown));
        crn_free(name);
    }
    crn_name_list_dispose(&found.names);
}
