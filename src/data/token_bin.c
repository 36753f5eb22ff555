#include "data/token_bin.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "data/batch.h"
#include "data/files.h"
#include "data/shard.h"

enum { OPEN_MAX_FILES = 64 }; /* A set may have thousands of shards. */

struct shard {
    const char *path; /* of token_bin.files */
    uint64_t bytes;   /* of the file, when it was measured */
    crn_shard_head head;
    uint64_t first; /* number of its first sample */
    uint64_t samples;
};

/* Shard i stands in slot i % OPEN_MAX_FILES while it is open. */
struct slot {
    int fd; /* -1: free */
    size_t shard;
};

struct token_bin {
    const crn_os *os;
    crn_data_files files;
    struct shard *shards; /* [files.count] */
    struct slot slots[OPEN_MAX_FILES];
    uint64_t tokens;
    uint64_t sample_count;
    crn_token_batch batch;
    uint8_t *bytes; /* [4 * (length + 1)] */
    char *description;
};

/* A file that was changed meanwhile would give samples that nobody counted. */
static cairn_status check_unchanged(const struct token_bin *data, const struct shard *shard, int fd,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_file_stat stat;
    const int e = data->os->stat_fd(data->os, fd, &stat);
    if (e != 0)
        CRN_FAIL(err, CAIRN_EDATA, "data file '%s': %s", shard->path, strerror(e));
    if (stat.size != shard->bytes)
        CRN_FAIL(err, CAIRN_EDATA,
                 "data file '%s' changed while it was in use: it has %" PRIu64
                 " bytes, and had %" PRIu64,
                 shard->path, stat.size, shard->bytes);
out:
    return rc;
}

static cairn_status open_shard(struct token_bin *data, size_t index, int *out_fd, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const struct shard *const shard = &data->shards[index];
    struct slot *const slot = &data->slots[index % OPEN_MAX_FILES];
    int fd = -1;
    if (slot->fd < 0 || slot->shard != index) {
        const int e = data->os->open(data->os, CRN_OS_CWD, shard->path, CRN_OPEN_READ, &fd);
        if (e != 0)
            CRN_FAIL(err, CAIRN_EDATA, "data file '%s': %s", shard->path, strerror(e));
        if (shard->bytes != 0)
            CRN_TRY_PLAIN(check_unchanged(data, shard, fd, err));
        if (slot->fd >= 0)
            (void)data->os->close(data->os, slot->fd); /* only read from */
        *slot = (struct slot){.fd = fd, .shard = index};
        fd = -1;
    }
    *out_fd = slot->fd;
out:
    if (fd >= 0)
        (void)data->os->close(data->os, fd);
    return rc;
}

/* Reads the head of a shard and counts its samples. */
static cairn_status measure(struct token_bin *data, size_t index, unsigned token_bytes,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct shard *const shard = &data->shards[index];
    uint8_t head[CRN_SHARD_HEADER_BYTES];
    crn_file_stat stat;
    size_t got = 0;
    int fd = -1;
    shard->path = data->files.paths[index];
    CRN_TRY_PLAIN(open_shard(data, index, &fd, err));
    int e = data->os->stat_fd(data->os, fd, &stat);
    if (e == 0)
        e = data->os->read_at(data->os, fd, head, sizeof head, 0, &got);
    if (e != 0)
        CRN_FAIL(err, CAIRN_EDATA, "data file '%s': %s", shard->path, strerror(e));
    CRN_TRY(err, crn_shard_head_read(head, got, stat.size, token_bytes, &shard->head, err),
            "data file '%s'", shard->path);
    shard->bytes = stat.size;
    shard->first = data->sample_count;
    if (shard->head.tokens > 0)
        shard->samples = (shard->head.tokens - 1) / data->batch.length;
    data->sample_count += shard->samples;
    data->tokens += shard->head.tokens;
out:
    return rc;
}

static size_t shard_of(const struct token_bin *data, uint64_t sample)
{
    size_t low = 0;
    size_t high = data->files.count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (data->shards[middle].first <= sample)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int64_t token_at(const uint8_t *bytes, unsigned token_bytes, size_t index)
{
    uint16_t small = 0;
    uint32_t large = 0;
    if (token_bytes == sizeof small) {
        memcpy(&small, bytes + index * sizeof small, sizeof small);
        return le16toh(small);
    }
    memcpy(&large, bytes + index * sizeof large, sizeof large);
    return le32toh(large);
}

static cairn_status read_sample(struct token_bin *data, uint64_t sample, int32_t *input_ids,
                                int32_t *labels, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t length = (size_t)data->batch.length;
    const size_t index = shard_of(data, sample);
    const struct shard *const shard = &data->shards[index];
    const unsigned width = shard->head.token_bytes;
    const uint64_t offset = shard->head.begin + (sample - shard->first) * length * width;
    const size_t need = (length + 1) * width;
    size_t got = 0;
    int fd = -1;
    CRN_TRY_PLAIN(open_shard(data, index, &fd, err));
    const int e = data->os->read_at(data->os, fd, data->bytes, need, offset, &got);
    if (e != 0)
        CRN_FAIL(err, CAIRN_EDATA, "data file '%s': %s", shard->path, strerror(e));
    if (got != need)
        CRN_FAIL(err, CAIRN_EDATA, "data file '%s' became shorter while it was in use",
                 shard->path);
    for (size_t t = 0; t <= length; t++) {
        const int64_t token = token_at(data->bytes, width, t);
        if (token > INT32_MAX)
            CRN_FAIL(err, CAIRN_EDATA,
                     "data file '%s': %" PRId64 " at byte %" PRIu64 " is no token id", shard->path,
                     token, offset + t * width);
        if (t < length)
            input_ids[t] = (int32_t)token;
        if (t > 0)
            labels[t - 1] = (int32_t)token;
    }
out:
    return rc;
}

static cairn_status token_bin_read(void *self, const uint64_t *indices, size_t count,
                                   cairn_batch *out, cairn_error *err)
{
    struct token_bin *const data = self;
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_token_batch_reserve(&data->batch, count, err));
    for (size_t b = 0; b < count; b++) {
        const size_t at = b * (size_t)data->batch.length;
        if (indices[b] >= data->sample_count)
            CRN_FAIL(err, CAIRN_EINVAL, "sample %" PRIu64 " of %" PRIu64 " does not exist",
                     indices[b], data->sample_count);
        CRN_TRY_PLAIN(read_sample(data, indices[b], data->batch.input_ids + at,
                                  data->batch.labels + at, err));
    }
    *out = crn_token_batch_view(&data->batch, count);
out:
    return rc;
}

static uint64_t token_bin_sample_count(const void *self)
{
    const struct token_bin *const data = self;
    return data->sample_count;
}

static int64_t token_bin_sequence_length(const void *self)
{
    const struct token_bin *const data = self;
    return (int64_t)data->batch.length;
}

static const char *token_bin_describe(const void *self)
{
    const struct token_bin *const data = self;
    return data->description;
}

static void token_bin_destroy(void *self)
{
    struct token_bin *const data = self;
    if (data == NULL)
        return;
    for (size_t i = 0; i < OPEN_MAX_FILES; i++) {
        if (data->slots[i].fd >= 0)
            (void)data->os->close(data->os, data->slots[i].fd); /* only read from */
    }
    crn_data_files_dispose(&data->files);
    crn_token_batch_dispose(&data->batch);
    crn_free(data->shards);
    crn_free(data->bytes);
    crn_free(data->description);
    crn_free(data);
}

/* A uint16 could hold 65,535, but what occurs is known only to the files: no max_token_id. The
 * model checks each token of each batch. */
static const cairn_data_ops k_token_bin_ops = {
    .struct_size = sizeof(cairn_data_ops),
    .name = "TokenBinDataProcessor",
    .sample_count = token_bin_sample_count,
    .read = token_bin_read,
    .sequence_length = token_bin_sequence_length,
    .describe = token_bin_describe,
    .destroy = token_bin_destroy,
    .may_be_read_ahead = true,
};

static cairn_status describe(struct token_bin *data, const cairn_token_bin_data_options *options,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char files[32];
    char tokens[32];
    char samples[32];
    crn_str text = {0};
    crn_str_append(&text, options->data_dir.items[0]);
    if (options->data_dir.count > 1)
        crn_str_append(&text, ", ...");
    crn_str_printf(&text, " (%s file%s): %s tokens, %s samples of %" PRIu64 " tokens",
                   crn_format_count(data->files.count, files), data->files.count == 1 ? "" : "s",
                   crn_format_count(data->tokens, tokens),
                   crn_format_count(data->sample_count, samples), data->batch.length);
    data->description = crn_str_take(&text);
    CRN_NEED(err, data->description, "the description of the data");
out:
    return rc;
}

static unsigned token_bytes_of(const char *token_type)
{
    if (strcmp(token_type, "uint16") == 0)
        return 2;
    return strcmp(token_type, "uint32") == 0 ? 4 : 0;
}

static bool contains(const char *path, const char *word)
{
    const char *const slash = strrchr(path, '/');
    return strstr(slash != NULL ? slash + 1 : path, word) != NULL;
}

static cairn_status find_files(struct token_bin *data, const cairn_token_bin_data_options *options,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool is_all = strcmp(options->split, "all") == 0;
    bool has_train = false;
    bool has_val = false;
    CRN_TRY_PLAIN(crn_data_files_find(data->os, &options->data_dir, ".bin",
                                      is_all ? "" : options->split, &data->files, err));
    for (size_t i = 0; i < data->files.count; i++) {
        has_train = has_train || contains(data->files.paths[i], "train");
        has_val = has_val || contains(data->files.paths[i], "val");
    }
    /* Training on what one validates with would go unnoticed. */
    if (is_all && has_train && has_val)
        CRN_FAIL(err, CAIRN_EDATA,
                 "data_dir '%s' has files for training and for validation; set split to train or "
                 "val, or name the files",
                 options->data_dir.items[0]);
out:
    return rc;
}

static cairn_status check_options(const cairn_token_bin_data_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (options->max_sequence_length < 1 || options->max_sequence_length > 1 << 24)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "max_sequence_length is %" PRId64 "; it must be between 1 and %d",
                 options->max_sequence_length, 1 << 24);
    if (strcmp(options->split, "all") != 0 && strcmp(options->split, "train") != 0 &&
        strcmp(options->split, "val") != 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "split is '%s'; it must be all, train or val", options->split);
    if (strcmp(options->token_type, "auto") != 0 && token_bytes_of(options->token_type) == 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "token_type is '%s'; it must be auto, uint16 or uint32",
                 options->token_type);
out:
    return rc;
}

cairn_status crn_token_bin_data_new_os(const crn_os *os,
                                       const cairn_token_bin_data_options *options, cairn_data *out,
                                       cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct token_bin *data = NULL;
    CRN_TRY_PLAIN(check_options(options, err));
    data = crn_calloc(1, sizeof *data);
    CRN_NEED(err, data, "the token shards");
    data->os = os;
    data->batch.length = (uint64_t)options->max_sequence_length;
    for (size_t i = 0; i < OPEN_MAX_FILES; i++)
        data->slots[i].fd = -1;
    data->bytes = crn_calloc((size_t)data->batch.length + 1, sizeof(uint32_t));
    CRN_NEED(err, data->bytes, "a sample");
    CRN_TRY_PLAIN(find_files(data, options, err));
    data->shards = crn_calloc(data->files.count, sizeof *data->shards);
    CRN_NEED(err, data->shards, "the list of shards");
    for (size_t i = 0; i < data->files.count; i++)
        CRN_TRY_PLAIN(measure(data, i, token_bytes_of(options->token_type), err));
    if (data->sample_count == 0)
        CRN_FAIL(err, CAIRN_EDATA,
                 "data_dir '%s': %" PRIu64 " tokens in %zu files, in none of them one sample of "
                 "max_sequence_length %" PRIu64 " + 1; give more data or shorter samples",
                 options->data_dir.items[0], data->tokens, data->files.count, data->batch.length);
    CRN_TRY_PLAIN(describe(data, options, err));
    *out = (cairn_data){.ops = &k_token_bin_ops, .self = data};
    data = NULL;
out:
    token_bin_destroy(data);
    return rc;
}

cairn_status cairn_token_bin_data_new(const cairn_token_bin_data_options *options, cairn_data *out,
                                      cairn_error *err)
{
    return crn_token_bin_data_new_os(crn_os_posix(), options, out, err);
}
