#include "interop/hf_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "interop/archive.h"
#include "interop/element.h"
#include "interop/hf_config.h"
#include "interop/hf_index.h"

/* How a folder may keep its weights. */
struct layout {
    const char *single;
    const char *index;
    const char *shard_end; /* of the names of the files in the index */
    bool is_pickle;
};

static const struct layout k_layouts[] = {
    {"model.safetensors", "model.safetensors.index.json", ".safetensors", false},
    {"pytorch_model.bin", "pytorch_model.bin.index.json", ".bin", true},
};

struct crn_hf_file {
    char *name;
    int fd;
    crn_file_stat stat; /* when it was opened */
    crn_header header;  /* of a safetensors file */
    uint64_t data_begin;
    crn_archive *archive; /* PyTorch's file; NULL: it is none */
};

/* ---- Opening ---- */

/* Opens a file of the folder that is no link, and stays the one that was looked at. */
static cairn_status open_regular(const crn_folder *folder, const char *name, int *out_fd,
                                 crn_file_stat *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = folder->os;
    crn_file_stat seen;
    int e = os->stat(os, folder->fd, name, &seen);
    if (e == ENOENT)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "'%s/%s' is not there", folder->path, name);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "look at '%s/%s'", folder->path, name);
    if (seen.kind != CRN_FILE_REGULAR)
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "'%s/%s' is no regular file; copy a folder of links with cp -rL first",
                 folder->path, name);
    e = os->open(os, folder->fd, name, CRN_OPEN_READ, out_fd);
    if (e == 0)
        e = os->stat_fd(os, *out_fd, out);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open '%s/%s'", folder->path, name);
    if (out->inode != seen.inode)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s/%s' was replaced while it was opened", folder->path,
                 name);
out:
    return rc;
}

static cairn_status read_bytes(const crn_hf_files *files, const crn_hf_file *file, void *buf,
                               size_t size, uint64_t offset, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = files->folder->os;
    size_t got = 0;
    const int e = os->read_at(os, file->fd, buf, size, offset, &got);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "read '%s/%s'", files->folder->path, file->name);
    if (got != size)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s/%s' has become shorter", files->folder->path,
                 file->name);
out:
    return rc;
}

cairn_status crn_hf_read_text(const crn_folder *folder, const char *name, char **out,
                              size_t *out_size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int fd = -1;
    crn_file_stat stat;
    char *text = NULL;
    char *name_copy = crn_strdup(name);
    CRN_NEED(err, name_copy, "a file name");
    CRN_TRY_PLAIN(open_regular(folder, name, &fd, &stat, err));
    if (stat.size > CRN_HF_JSON_BYTES_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s/%s' is larger than %d bytes", folder->path, name,
                 (int)CRN_HF_JSON_BYTES_MAX);
    text = crn_calloc(1, (size_t)stat.size + 1);
    CRN_NEED(err, text, "a file");
    const crn_hf_files files = {.folder = folder};
    const crn_hf_file file = {.name = name_copy, .fd = fd};
    CRN_TRY_PLAIN(read_bytes(&files, &file, text, (size_t)stat.size, 0, err));
    *out = text;
    *out_size = (size_t)stat.size;
    text = NULL;
out:
    if (fd >= 0)
        (void)folder->os->close(folder->os, fd); /* Nothing was written. */
    crn_free(name_copy);
    crn_free(text);
    return rc;
}

static cairn_status open_pickle(const crn_hf_files *files, crn_hf_file *file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *const path = crn_path_join(files->folder->path, file->name);
    CRN_NEED(err, path, "a file's name");
    CRN_TRY_PLAIN(crn_archive_open(files->folder->os, file->fd, path, CRN_ARCHIVE_PICKLE, NULL,
                                   &file->archive, err));
out:
    crn_free(path);
    return rc;
}

static cairn_status open_safetensors(const crn_hf_files *files, crn_hf_file *file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t word[64] = {0};
    uint64_t header_bytes = 0;
    char message[200] = "";
    uint8_t *json = NULL;
    const size_t word_size = file->stat.size < sizeof word ? (size_t)file->stat.size : sizeof word;
    CRN_TRY_PLAIN(read_bytes(files, file, word, word_size, 0, err));
    crn_format_code code =
        crn_header_length(word, word_size, file->stat.size, &header_bytes, message);
    if (code == CRN_FORMAT_OK) {
        file->data_begin = CRN_LENGTH_WORD_BYTES + header_bytes;
        json = crn_calloc(1, (size_t)header_bytes + 1);
        CRN_NEED(err, json, "a header");
        CRN_TRY_PLAIN(
            read_bytes(files, file, json, (size_t)header_bytes, CRN_LENGTH_WORD_BYTES, err));
        code = crn_header_parse(json, (size_t)header_bytes, file->stat.size - file->data_begin,
                                &file->header, message);
    }
    if (code == CRN_FORMAT_NO_MEMORY)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for the header of '%s'", file->name);
    if (code != CRN_FORMAT_OK)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s/%s': %s: %s", files->folder->path, file->name,
                 crn_format_code_text(code), message);
out:
    crn_free(json);
    return rc;
}

static cairn_status open_file(crn_hf_files *files, const char *name, bool is_pickle,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_hf_file *const file = &files->files[files->file_count++];
    *file = (crn_hf_file){.fd = -1, .name = crn_strdup(name)};
    CRN_NEED(err, file->name, "a file name");
    CRN_TRY_PLAIN(open_regular(files->folder, name, &file->fd, &file->stat, err));
    rc = is_pickle ? open_pickle(files, file, err) : open_safetensors(files, file, err);
out:
    return rc;
}

/* ---- The set ---- */

static const crn_file_entry *entries_of(const crn_hf_file *file, size_t *out_count)
{
    if (file->archive != NULL)
        return crn_archive_tensors(file->archive, out_count);
    *out_count = file->header.entry_count;
    return file->header.entries;
}

static int by_name(const void *a, const void *b)
{
    const crn_hf_tensor *const x = a;
    const crn_hf_tensor *const y = b;
    return strcmp(x->entry->name, y->entry->name);
}

static cairn_status list_tensors(crn_hf_files *files, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t count = 0;
    size_t in_file = 0;
    char shown[200];
    for (size_t i = 0; i < files->file_count; i++) {
        (void)entries_of(&files->files[i], &in_file);
        count += in_file;
    }
    files->tensors = crn_calloc(count + 1, sizeof *files->tensors);
    CRN_NEED(err, files->tensors, "a list of tensors");
    for (size_t i = 0; i < files->file_count; i++) {
        const crn_file_entry *const entries = entries_of(&files->files[i], &in_file);
        for (size_t j = 0; j < in_file; j++)
            files->tensors[files->tensor_count++] =
                (crn_hf_tensor){.entry = &entries[j], .file = i};
    }
    qsort(files->tensors, count, sizeof *files->tensors, by_name);
    for (size_t i = 1; i < count; i++) {
        const crn_file_entry *const entry = files->tensors[i].entry;
        if (strcmp(files->tensors[i - 1].entry->name, entry->name) == 0)
            CRN_FAIL(err, CAIRN_ECORRUPT, "two files of '%s' hold '%s'", files->folder->path,
                     crn_escape(entry->name, entry->name_length, shown, sizeof shown));
    }
out:
    return rc;
}

/* As many tensors as the map names, and each where the map says: so none is left over. */
static cairn_status check_map(const crn_hf_files *files, const crn_hf_index *index,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[200];
    for (size_t i = 0; i < index->place_count; i++) {
        const crn_hf_place *const place = &index->places[i];
        const crn_hf_tensor *const tensor = crn_hf_files_find(files, place->tensor);
        if (tensor == NULL || tensor->file != place->file)
            CRN_FAIL(err, CAIRN_ECORRUPT, "'%s/%s' does not hold '%s', which the index puts there",
                     files->folder->path, files->files[place->file].name,
                     crn_escape(place->tensor, strlen(place->tensor), shown, sizeof shown));
    }
    if (index->place_count != files->tensor_count)
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "the files of '%s' hold %zu tensors, the index names %zu of them",
                 files->folder->path, files->tensor_count, index->place_count);
out:
    return rc;
}

static cairn_status open_shards(crn_hf_files *files, const struct layout *layout, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *text = NULL;
    size_t size = 0;
    crn_hf_index index = {0};
    CRN_TRY_PLAIN(crn_hf_read_text(files->folder, layout->index, &text, &size, err));
    CRN_TRY_PLAIN(crn_hf_index_read(text, size, layout->index, layout->shard_end, &index, err));
    files->files = crn_calloc(index.files.count, sizeof *files->files);
    CRN_NEED(err, files->files, "a list of files");
    for (size_t i = 0; i < index.files.count; i++)
        CRN_TRY_PLAIN(open_file(files, index.files.items[i], layout->is_pickle, err));
    CRN_TRY_PLAIN(list_tensors(files, err));
    CRN_TRY_PLAIN(check_map(files, &index, err));
out:
    crn_hf_index_dispose(&index);
    crn_free(text);
    return rc;
}

static bool is_there(const crn_folder *folder, const char *name)
{
    crn_file_stat stat;
    return folder->os->stat(folder->os, folder->fd, name, &stat) == 0;
}

static cairn_status open_single(crn_hf_files *files, const char *name, bool is_pickle,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    files->files = crn_calloc(1, sizeof *files->files);
    CRN_NEED(err, files->files, "a list of files");
    CRN_TRY_PLAIN(open_file(files, name, is_pickle, err));
    CRN_TRY_PLAIN(list_tensors(files, err));
out:
    return rc;
}

cairn_status crn_hf_files_open(const crn_folder *folder, crn_hf_files *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = (crn_hf_files){.folder = folder};
    for (size_t i = 0; i < sizeof k_layouts / sizeof k_layouts[0]; i++) {
        const struct layout *const layout = &k_layouts[i];
        if (is_there(folder, layout->single))
            return open_single(out, layout->single, layout->is_pickle, err);
        if (is_there(folder, layout->index))
            return open_shards(out, layout, err);
    }
    CRN_FAIL(err, CAIRN_ENOTFOUND, "'%s' has neither %s nor %s, nor an index of such", folder->path,
             k_layouts[0].single, k_layouts[1].single);
out:
    return rc;
}

cairn_status crn_hf_files_open_pickle(const crn_folder *folder, const char *name, crn_hf_files *out,
                                      cairn_error *err)
{
    *out = (crn_hf_files){.folder = folder};
    return open_single(out, name, true, err);
}

void crn_hf_files_close(crn_hf_files *files)
{
    for (size_t i = 0; i < files->file_count; i++) {
        crn_hf_file *const file = &files->files[i];
        if (file->fd >= 0)
            (void)files->folder->os->close(files->folder->os, file->fd); /* Only read. */
        crn_header_dispose(&file->header);
        crn_archive_close(file->archive);
        crn_free(file->name);
    }
    crn_free(files->files);
    crn_free(files->tensors);
    *files = (crn_hf_files){0};
}

crn_hf_tensor *crn_hf_files_find(const crn_hf_files *files, const char *name)
{
    const crn_file_entry entry = {.name = name};
    const crn_hf_tensor key = {.entry = &entry};
    return bsearch(&key, files->tensors, files->tensor_count, sizeof key, by_name);
}

/* ---- Elements ---- */

cairn_status crn_hf_files_read(const crn_hf_files *files, const crn_hf_tensor *tensor, float **out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    enum { PIECE = 1 << 20 };
    const crn_file_entry *const entry = tensor->entry;
    const crn_hf_file *const file = &files->files[tensor->file];
    char shown[200];
    uint8_t *piece = NULL;
    float *values = NULL;
    (void)crn_escape(entry->name, entry->name_length, shown, sizeof shown);
    if (entry->dtype != CAIRN_DTYPE_F32 && entry->dtype != CAIRN_DTYPE_F16 &&
        entry->dtype != CAIRN_DTYPE_BF16)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "'%s' is %s; this version reads F32, F16 and BF16", shown,
                 cairn_dtype_name(entry->dtype));
    const uint64_t width = cairn_dtype_bits(entry->dtype) / 8;
    const uint64_t count = entry->bytes / width;
    values = crn_calloc((size_t)count + 1, sizeof *values);
    piece = crn_calloc(1, PIECE);
    CRN_NEED(err, values, shown);
    CRN_NEED(err, piece, shown);
    for (uint64_t at = 0; at < entry->bytes; at += PIECE) {
        const uint64_t left = entry->bytes - at;
        const size_t size = left < PIECE ? (size_t)left : PIECE;
        if (file->archive != NULL)
            CRN_TRY_PLAIN(crn_archive_read(file->archive, entry, at, size, piece, err));
        else
            CRN_TRY_PLAIN(
                read_bytes(files, file, piece, size, file->data_begin + entry->begin + at, err));
        for (uint64_t i = 0; i < size / width; i++)
            values[at / width + i] = crn_element_get(piece, entry->dtype, i);
    }
    *out = values;
    values = NULL;
out:
    crn_free(piece);
    crn_free(values);
    return rc;
}

cairn_status crn_hf_files_check_unchanged(const crn_hf_files *files, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = files->folder->os;
    for (size_t i = 0; i < files->file_count; i++) {
        const crn_hf_file *const file = &files->files[i];
        crn_file_stat now;
        const int e = os->stat_fd(os, file->fd, &now);
        if (e != 0)
            CRN_FAIL_ERRNO(err, e, "look at '%s/%s'", files->folder->path, file->name);
        if (now.size != file->stat.size || now.mtime_ns != file->stat.mtime_ns)
            CRN_FAIL(err, CAIRN_ECORRUPT, "'%s/%s' changed while it was read", files->folder->path,
                     file->name);
    }
out:
    return rc;
}
