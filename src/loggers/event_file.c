#include "loggers/event_file.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

#define NAME_PREFIX "events.out.tfevents."

enum { SECOND_DIGITS = 10, TRIES_MAX = 1000 };

cairn_status crn_event_file_init(crn_event_file *file, const crn_os *os, const char *folder,
                                 uint64_t step, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *file = (crn_event_file){.os = os, .step = step, .fd = -1};
    file->folder = crn_strdup(folder);
    CRN_NEED(err, file->folder, "the name of a folder");
out:
    return rc;
}

double crn_event_file_now(const crn_event_file *file)
{
    return (double)file->os->realtime_ns(file->os) * 1e-9;
}

/* ---- The name: events.out.tfevents.<seconds>.<host>.<process>, as TensorFlow's ---- */

/* The largest number of seconds in the names there are. */
static int look_at_name(void *user, const char *name)
{
    uint64_t *const latest = user;
    char digits[SECOND_DIGITS + 1] = "";
    uint64_t seconds = 0;
    if (!crn_starts_with(name, NAME_PREFIX))
        return 0;
    const char *const rest = name + strlen(NAME_PREFIX);
    if (strspn(rest, "0123456789") != SECOND_DIGITS)
        return 0;
    memcpy(digits, rest, SECOND_DIGITS);
    if (crn_u64_from_text(digits, &seconds) && seconds > *latest)
        *latest = seconds;
    return 0;
}

static cairn_status find_latest(const crn_event_file *file, uint64_t *out_latest, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = file->os;
    int dir = -1;
    int e = os->open(os, CRN_OS_CWD, file->folder, CRN_OPEN_DIRECTORY, &dir);
    if (e == 0)
        e = os->list(os, dir, look_at_name, out_latest);
    if (dir >= 0)
        (void)os->close(os, dir); /* only read from */
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "read the folder '%s'", file->folder);
out:
    return rc;
}

static cairn_status make_file(crn_event_file *file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = file->os;
    crn_str path = {0};
    uint64_t latest = 0;
    char host[256];
    int e = os->make_dirs(os, file->folder);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "make the folder '%s'", file->folder);
    CRN_TRY_PLAIN(find_latest(file, &latest, err));
    uint64_t seconds = (uint64_t)(os->realtime_ns(os) / 1000000000);
    seconds = seconds > latest ? seconds : latest + 1;
    (void)crn_os_host_name(host, sizeof host);
    e = EEXIST; /* Two processes may write here, a run and one with the same summary_dir. */
    for (int i = 0; e == EEXIST && i < TRIES_MAX; i++, seconds++) {
        crn_free(file->path);
        file->path = NULL;
        crn_str_printf(&path, "%s/" NAME_PREFIX "%0*" PRIu64 ".%s.%" PRId64, file->folder,
                       (int)SECOND_DIGITS, seconds, host, crn_os_process_id());
        file->path = crn_str_take(&path);
        CRN_NEED(err, file->path, "a path");
        e = os->open(os, CRN_OS_CWD, file->path, CRN_OPEN_CREATE_NEW, &file->fd);
    }
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "make '%s'", file->path);
out:
    crn_str_dispose(&path);
    return rc;
}

/* ---- Records ---- */

static cairn_status write_out(crn_event_file *file, const crn_str *records, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_str_check(records, err));
    const int e =
        file->os->write_at(file->os, file->fd, records->text, records->length, file->size);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "write '%s'", file->path);
    file->size += records->length;
out:
    return rc;
}

cairn_status crn_event_file_append(crn_event_file *file, crn_event_encoder *encoder,
                                   const crn_str *records, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str head = {0};
    if (file->fd < 0) {
        const double now = crn_event_file_now(file);
        CRN_TRY_PLAIN(make_file(file, err));
        crn_event_version(encoder, now, &head);
        crn_event_start(encoder, now, file->step, &head);
        CRN_TRY_PLAIN(write_out(file, &head, err));
    }
    CRN_TRY_PLAIN(write_out(file, records, err));
out:
    crn_str_dispose(&head);
    return rc;
}

void crn_event_file_dispose(crn_event_file *file)
{
    if (file->os != NULL && file->fd >= 0)
        (void)file->os->close(file->os, file->fd); /* every record was written already */
    crn_free(file->path);
    crn_free(file->folder);
    *file = (crn_event_file){0};
}
