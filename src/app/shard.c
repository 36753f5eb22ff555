#include "app/shard.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

enum { BUFFER_BYTES = 1 << 20 };

static cairn_status fail_exists(const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_FAIL(err, CAIRN_EEXISTS, "'%s' is there already; name another file, or allow replacing it",
             path);
out:
    return rc;
}

static cairn_status open_folder(crn_shard *shard, const crn_os *os, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const slash = strrchr(shard->path, '/');
    crn_file_stat info;
    shard->name = slash != NULL ? slash + 1 : shard->path;
    shard->folder_path = crn_strdup(slash != NULL ? shard->path : ".");
    CRN_NEED(err, shard->folder_path, "a path");
    if (slash != NULL)
        shard->folder_path[slash == shard->path ? 1 : slash - shard->path] = '\0';
    if (shard->name[0] == '\0')
        CRN_FAIL(err, CAIRN_ECONFIG, "'%s' names a folder; name a file", shard->path);
    shard->folder = (crn_folder){.os = os, .fd = -1, .path = shard->folder_path};
    int e = os->open(os, CRN_OS_CWD, shard->folder_path, CRN_OPEN_DIRECTORY, &shard->folder.fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open the folder '%s'", shard->folder_path);
    e = os->stat(os, shard->folder.fd, shard->name, &info);
    if (e != 0 && e != ENOENT)
        CRN_FAIL_ERRNO(err, e, "look at '%s'", shard->path);
    if (e == 0 && (!shard->replaces || info.kind != CRN_FILE_REGULAR))
        CRN_TRY_PLAIN(fail_exists(shard->path, err));
out:
    return rc;
}

cairn_status crn_shard_open(crn_shard *out, const crn_os *os, const char *path,
                            const crn_shard_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = (crn_shard){.path = path,
                       .folder = {.os = os, .fd = -1},
                       .has_header = options->has_header,
                       .replaces = options->replaces,
                       .token_bytes = options->token_bytes,
                       .offset = options->has_header ? CRN_LLMC_HEADER_BYTES : 0};
    out->buffer = crn_calloc(BUFFER_BYTES, 1);
    CRN_NEED(err, out->buffer, "tokens");
    CRN_TRY_PLAIN(open_folder(out, os, err));
    CRN_TRY_PLAIN(crn_publish_begin(&out->publish, &out->folder, out->name, 0, err));
out:
    return rc;
}

static cairn_status flush(crn_shard *shard, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (shard->filled > 0)
        CRN_TRY_PLAIN(
            crn_publish_write(&shard->publish, shard->buffer, shard->filled, shard->offset, err));
    shard->offset += shard->filled;
    shard->filled = 0;
out:
    return rc;
}

/* Little-endian on every machine. */
static void put_number(uint8_t *at, uint32_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(number >> (8 * i));
}

cairn_status crn_shard_add(crn_shard *shard, const uint32_t *ids, size_t count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < count; i++) {
        if (shard->token_bytes == 2 && ids[i] > UINT16_MAX)
            CRN_FAIL(err, CAIRN_EDATA, "token %" PRIu32 " does not fit in 16 bits", ids[i]);
        if (shard->filled == BUFFER_BYTES)
            CRN_TRY_PLAIN(flush(shard, err));
        put_number(shard->buffer + shard->filled, ids[i], shard->token_bytes);
        shard->filled += shard->token_bytes;
    }
    shard->tokens += count;
    if (shard->has_header && shard->tokens > INT32_MAX)
        CRN_FAIL(err, CAIRN_EDATA,
                 "the header of llm.c holds up to %d tokens; prepare fewer texts at a time",
                 INT32_MAX);
out:
    return rc;
}

static cairn_status write_header(crn_shard *shard, cairn_error *err)
{
    uint8_t header[CRN_LLMC_HEADER_BYTES] = {0};
    const bool is_short = shard->token_bytes == 2;
    put_number(header, is_short ? CRN_LLMC_MAGIC_16 : CRN_LLMC_MAGIC_32, 4);
    put_number(header + 4, is_short ? CRN_LLMC_VERSION_16 : CRN_LLMC_VERSION_32, 4);
    put_number(header + 8, (uint32_t)shard->tokens, 4);
    return crn_publish_write(&shard->publish, header, sizeof header, 0, err);
}

cairn_status crn_shard_seal(crn_shard *shard, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(flush(shard, err));
    if (shard->has_header)
        CRN_TRY_PLAIN(write_header(shard, err));
    CRN_TRY_PLAIN(crn_publish_seal(&shard->publish, err));
out:
    return rc;
}

/* There is one name that will do. */
static cairn_status only_name(void *user, unsigned attempt, char **out_name, cairn_error *err)
{
    const crn_shard *const shard = user;
    cairn_status rc = CAIRN_OK;
    if (attempt > 0)
        CRN_TRY_PLAIN(fail_exists(shard->path, err));
    *out_name = crn_strdup(shard->name);
    CRN_NEED(err, *out_name, "a file name");
out:
    return rc;
}

cairn_status crn_shard_publish(crn_shard *shard, cairn_error *err)
{
    char *name = NULL;
    if (shard->replaces)
        return crn_publish_over(&shard->publish, shard->name, err);
    const cairn_status rc = crn_publish_as_new(&shard->publish, only_name, shard, &name, err);
    crn_free(name);
    return rc;
}

void crn_shard_dispose(crn_shard *shard)
{
    crn_publish_end(&shard->publish);
    if (shard->folder.os != NULL && shard->folder.fd >= 0)
        (void)shard->folder.os->close(shard->folder.os, shard->folder.fd); /* Was only synced. */
    crn_free(shard->folder_path);
    crn_free(shard->buffer);
    *shard = (crn_shard){0};
}
