/* Opening a checkpoint: the header, read whole, checked and taken apart. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/read_meta.h"

enum { WORD_BYTES = 512 }; /* more than the length word, to recognise files of other programs */

cairn_status crn_checkpoint_read_bytes(const cairn_checkpoint *ckpt, void *buf, size_t size,
                                       uint64_t offset, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t got = 0;
    const int e = ckpt->os->read_at(ckpt->os, ckpt->fd, buf, size, offset, &got);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "read %zu bytes of '%s' at byte %" PRIu64, size, ckpt->path, offset);
    if (got != size)
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "'%s' is damaged: it ended at byte %" PRIu64 " while it was read (E_CHANGED)",
                 ckpt->path, offset + got);
out:
    return rc;
}

cairn_status crn_checkpoint_read_tensor(const cairn_checkpoint *ckpt, const crn_file_entry *entry,
                                        uint64_t offset, size_t size, void *buf, cairn_error *err)
{
    const crn_foreign *const foreign = &ckpt->foreign;
    return foreign->read != NULL
               ? foreign->read(foreign->self, entry, offset, size, buf, err)
               : crn_checkpoint_read_bytes(ckpt, buf, size,
                                           ckpt->data_begin + entry->begin + offset, err);
}

cairn_status crn_checkpoint_check_unchanged(const cairn_checkpoint *ckpt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_file_stat now;
    const int e = ckpt->os->stat_fd(ckpt->os, ckpt->fd, &now);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "examine '%s'", ckpt->path);
    if (now.size != ckpt->stat.size || now.mtime_ns != ckpt->stat.mtime_ns)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' was changed while it was read (E_CHANGED)", ckpt->path);
out:
    return rc;
}

static cairn_status open_file(cairn_checkpoint *ckpt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int e = ckpt->os->open(ckpt->os, CRN_OS_CWD, ckpt->path, CRN_OPEN_READ, &ckpt->fd);
    if (e == ENOENT || e == ENOTDIR)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "there is no checkpoint '%s'", ckpt->path);
    if (e == EISDIR || e == EINVAL || e == ENXIO) /* ENXIO: a socket */
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "'%s' is no checkpoint: it is no regular file (E_NOT_REGULAR)", ckpt->path);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open '%s'", ckpt->path);
    e = ckpt->os->stat_fd(ckpt->os, ckpt->fd, &ckpt->stat);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "examine '%s'", ckpt->path);
out:
    return rc;
}

/* *out: length word and header, yours; *out_size: both together. */
static cairn_status read_header_bytes(cairn_checkpoint *ckpt, uint8_t **out, size_t *out_size,
                                      cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t word[WORD_BYTES];
    uint8_t *bytes = NULL;
    char message[200] = "";
    uint64_t header_bytes = 0;
    const size_t at_hand = ckpt->stat.size < sizeof word ? (size_t)ckpt->stat.size : sizeof word;
    CRN_TRY_PLAIN(crn_checkpoint_read_bytes(ckpt, word, at_hand, 0, err));
    const crn_format_code code =
        crn_header_length(word, at_hand, ckpt->stat.size, &header_bytes, message);
    if (code != CRN_FORMAT_OK)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' is damaged or no checkpoint: %s (%s)", ckpt->path,
                 message, crn_format_code_text(code));
    const size_t size = CRN_LENGTH_WORD_BYTES + (size_t)header_bytes;
    bytes = crn_calloc(size, 1);
    CRN_NEED(err, bytes, "the header of a checkpoint");
    CRN_TRY_PLAIN(crn_checkpoint_read_bytes(ckpt, bytes, size, 0, err));
    /* The length was checked in the first read and is used for the second. */
    if (memcmp(bytes, word, CRN_LENGTH_WORD_BYTES) != 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' was changed while it was read (E_CHANGED)", ckpt->path);
    *out = bytes;
    *out_size = size;
    bytes = NULL;
out:
    crn_free(bytes);
    return rc;
}

static bool has_our_metadata(const crn_header *header)
{
    for (size_t i = 0; i < header->meta_count; i++) {
        if (crn_starts_with(header->meta[i].key, CRN_KEY_PREFIX))
            return true;
    }
    return false;
}

static cairn_status check_digest(const cairn_checkpoint *ckpt, const uint8_t *bytes, size_t size,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_digest stored;
    crn_digest computed;
    rc = crn_header_digest(bytes, size, &stored, &computed, err);
    if (rc == CAIRN_ECORRUPT)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' is damaged: it has no header digest (E_HEADER_DIGEST)",
                 ckpt->path);
    CRN_TRY_PLAIN(rc);
    if (!crn_digest_equal(&stored, &computed))
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "'%s' is damaged: its header does not match its digest (E_HEADER_DIGEST)",
                 ckpt->path);
out:
    return rc;
}

static cairn_status read_header(cairn_checkpoint *ckpt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t *bytes = NULL;
    size_t size = 0;
    char message[200] = "";
    CRN_TRY_PLAIN(read_header_bytes(ckpt, &bytes, &size, err));
    ckpt->data_begin = size;
    const crn_format_code code =
        crn_header_parse(bytes + CRN_LENGTH_WORD_BYTES, size - CRN_LENGTH_WORD_BYTES,
                         ckpt->stat.size - size, &ckpt->header, message);
    if (code == CRN_FORMAT_NO_MEMORY)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for the header of '%s'", ckpt->path);
    if (code != CRN_FORMAT_OK)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' is damaged or no checkpoint: %s (%s)", ckpt->path,
                 message, crn_format_code_text(code));
    ckpt->info.has_metadata = has_our_metadata(&ckpt->header);
    if (ckpt->info.has_metadata)
        CRN_TRY_PLAIN(check_digest(ckpt, bytes, size, err));
    CRN_TRY_PLAIN(crn_checkpoint_check_unchanged(ckpt, err));
out:
    crn_free(bytes);
    return rc;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const crn_read_tensor *const *)a)->entry->name,
                  (*(const crn_read_tensor *const *)b)->entry->name);
}

cairn_status crn_checkpoint_list_tensors(cairn_checkpoint *ckpt, const crn_file_entry *entries,
                                         size_t all, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    ckpt->tensors = crn_calloc(all, sizeof *ckpt->tensors);
    CRN_NEED(err, ckpt->tensors, "the tensors of a checkpoint");
    ckpt->listed = crn_calloc(all, sizeof *ckpt->listed);
    CRN_NEED(err, ckpt->listed, "the tensors of a checkpoint");
    ckpt->by_name = crn_calloc(all, sizeof *ckpt->by_name);
    CRN_NEED(err, ckpt->by_name, "the tensors of a checkpoint");
    for (size_t i = 0; i < all; i++) {
        const crn_file_entry *const entry = &entries[i];
        if (entry->is_pad)
            continue;
        const size_t at = ckpt->tensor_count++;
        ckpt->tensors[at].entry = entry;
        ckpt->by_name[at] = &ckpt->tensors[at];
    }
    if (ckpt->tensor_count > 0)
        qsort(ckpt->by_name, ckpt->tensor_count, sizeof *ckpt->by_name, compare_names);
out:
    return rc;
}

void crn_checkpoint_fill_info(cairn_checkpoint *ckpt)
{
    size_t ignored = 0;
    ckpt->format_version = "";
    ckpt->info.path = ckpt->path;
    ckpt->info.file = crn_path_file(ckpt->path, &ignored);
    ckpt->info.bytes = ckpt->stat.size;
    ckpt->info.modified_ns = ckpt->stat.mtime_ns;
    ckpt->info.is_readable = true;
    ckpt->info.states = "";
    ckpt->info.problem = "";
}

void crn_checkpoint_fill_listed(cairn_checkpoint *ckpt)
{
    for (size_t i = 0; i < ckpt->tensor_count; i++) {
        crn_read_tensor *const tensor = &ckpt->tensors[i];
        if (tensor->has_digest)
            crn_digest_to_text(&tensor->digest, tensor->digest_text);
        ckpt->listed[i] = (cairn_file_tensor){
            .name = tensor->entry->name,
            .dtype = tensor->entry->dtype,
            .rank = (int)tensor->entry->rank,
            .shape = tensor->entry->shape,
            .offset = ckpt->data_begin + tensor->entry->begin,
            .bytes = tensor->entry->bytes,
            .digest = tensor->has_digest ? tensor->digest_text : NULL,
        };
    }
}

static cairn_status open_checkpoint(cairn_checkpoint *ckpt, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    ckpt->path = crn_strdup(path);
    CRN_NEED(err, ckpt->path, "a path");
    CRN_TRY_PLAIN(open_file(ckpt, err));
    CRN_TRY_PLAIN(read_header(ckpt, err));
    CRN_TRY_PLAIN(
        crn_checkpoint_list_tensors(ckpt, ckpt->header.entries, ckpt->header.entry_count, err));
    crn_checkpoint_fill_info(ckpt);
    if (ckpt->info.has_metadata)
        CRN_TRY_PLAIN(crn_checkpoint_read_meta(ckpt, err));
    crn_checkpoint_fill_listed(ckpt);
out:
    return rc;
}

cairn_status crn_checkpoint_open_os(const crn_os *os, const char *path, cairn_checkpoint **out,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint *ckpt = crn_calloc(1, sizeof *ckpt);
    CRN_NEED(err, ckpt, "a checkpoint");
    ckpt->os = os;
    ckpt->fd = -1;
    CRN_TRY_PLAIN(open_checkpoint(ckpt, path, err));
    *out = ckpt;
    ckpt = NULL;
out:
    cairn_checkpoint_close(ckpt);
    return rc;
}

cairn_status cairn_checkpoint_open(const char *path, cairn_checkpoint **out, cairn_error *err)
{
    return crn_checkpoint_open_os(crn_os_posix(), path, out, err);
}

static void dispose_texts(crn_state_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        crn_free(texts->items[i].state);
        crn_free(texts->items[i].key);
        crn_free(texts->items[i].text);
    }
    crn_free(texts->items);
    crn_free(texts->sorted);
}

void cairn_checkpoint_close(cairn_checkpoint *ckpt)
{
    if (ckpt == NULL)
        return;
    if (ckpt->fd >= 0)
        (void)ckpt->os->close(ckpt->os, ckpt->fd); /* Only read. */
    for (size_t i = 0; i < ckpt->tensor_count; i++)
        crn_free(ckpt->tensors[i].chunks);
    crn_free(ckpt->tensors);
    crn_free(ckpt->listed);
    crn_free(ckpt->by_name);
    dispose_texts(&ckpt->values);
    dispose_texts(&ckpt->aliases);
    crn_name_list_dispose(&ckpt->states);
    crn_header_dispose(&ckpt->header);
    if (ckpt->foreign.destroy != NULL)
        ckpt->foreign.destroy(ckpt->foreign.self);
    crn_free(ckpt->path);
    crn_free(ckpt);
}

const cairn_checkpoint_info *cairn_checkpoint_get_info(const cairn_checkpoint *ckpt)
{
    return &ckpt->info;
}

const char *cairn_checkpoint_format_version(const cairn_checkpoint *ckpt)
{
    return ckpt->format_version;
}

static const char *meta_text(const cairn_checkpoint *ckpt, const char *key)
{
    const crn_meta_entry *const entry = crn_header_meta(&ckpt->header, key);
    return entry != NULL ? entry->value : NULL;
}

const char *cairn_checkpoint_params(const cairn_checkpoint *ckpt)
{
    return ckpt->foreign.read != NULL ? ckpt->foreign.params : meta_text(ckpt, CRN_KEY_PARAMS);
}

const char *cairn_checkpoint_environment(const cairn_checkpoint *ckpt)
{
    return meta_text(ckpt, CRN_KEY_ENVIRONMENT);
}

const char *cairn_checkpoint_state_digest(const cairn_checkpoint *ckpt)
{
    const char *const text = meta_text(ckpt, CRN_KEY_STATE_DIGEST);
    return text != NULL ? text : "";
}

size_t cairn_checkpoint_tensor_count(const cairn_checkpoint *ckpt)
{
    return ckpt->tensor_count;
}

const cairn_file_tensor *cairn_checkpoint_tensor_at(const cairn_checkpoint *ckpt, size_t i)
{
    return &ckpt->listed[i];
}

bool cairn_checkpoint_has_state(const cairn_checkpoint *ckpt, const char *state)
{
    if (ckpt->info.has_metadata || ckpt->foreign.read != NULL)
        return crn_name_list_has(&ckpt->states, state);
    const size_t length = strlen(state);
    for (size_t i = 0; i < ckpt->tensor_count; i++) {
        const char *const name = ckpt->tensors[i].entry->name;
        if (crn_starts_with(name, state) && name[length] == '.')
            return true;
    }
    /* A plain file without prefixes is a model's. */
    return strcmp(state, "model") == 0 && ckpt->tensor_count > 0;
}

const char *cairn_checkpoint_value(const cairn_checkpoint *ckpt, const char *state, const char *key)
{
    return crn_state_texts_find(&ckpt->values, state, key);
}
