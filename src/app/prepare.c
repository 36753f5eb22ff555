/* Texts to files of tokens. */
#include "app/prepare.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/shard.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "tokenizer/tokenizer.h"

enum { CHUNK_BYTES = 1 << 18, UINT16_IDS = 1 << 16 };

static const int64_t k_bar_interval_ns = 200 * 1000 * 1000;

struct preparer {
    const crn_os *os;
    const cairn_prepare_options *options;
    cairn_tokenizer *tokenizer;
    cairn_encoder *encoder;
    crn_shard train;
    crn_shard val;
    crn_shard *shard; /* of both, the one that tokens go to now */
    char *chunk;
    uint64_t total;        /* bytes of all texts */
    uint64_t cut;          /* from here on a line end turns to val; total: never */
    uint64_t at;           /* bytes read */
    uint64_t encoded_from; /* in the file: where the text of the encoder began */
    bool is_cut_due;       /* the text is cut here, unless the file ends */
    int64_t bar_at;
    cairn_prepare_result result;
};

/* ---- Options ---- */

static bool is_one_of(const char *text, const char *a, const char *b)
{
    return text == NULL || strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

static cairn_status check_options(const cairn_prepare_options *o, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (o->input_count == 0 || o->output == NULL || o->tokenizer == NULL)
        CRN_FAIL(err, CAIRN_ECONFIG, "name a text, an output and a tokenizer");
    if (!(o->val_fraction >= 0.0 && o->val_fraction < 1.0))
        CRN_FAIL(err, CAIRN_ECONFIG, "val_fraction is %g; it must be at least 0 and below 1",
                 o->val_fraction);
    if ((o->val_fraction > 0.0) != (o->val_output != NULL))
        CRN_FAIL(err, CAIRN_ECONFIG, "val_fraction and val_output go together");
    if (o->val_output != NULL && strcmp(o->val_output, o->output) == 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "output and val_output are the same file");
    if (!is_one_of(o->dtype, "uint16", "uint32") && strcmp(o->dtype, "auto") != 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "dtype is '%s'; it must be auto, uint16 or uint32", o->dtype);
    if (!is_one_of(o->format, "nanogpt", "llmc"))
        CRN_FAIL(err, CAIRN_ECONFIG, "format is '%s'; it must be nanogpt or llmc", o->format);
    if (o->eos_token != NULL && !o->append_eos)
        CRN_FAIL(err, CAIRN_ECONFIG, "eos_token has no effect without append_eos");
out:
    return rc;
}

static cairn_status choose_eos(struct preparer *p, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const wanted = p->options->eos_token;
    /* The byte 0 of "bytes" is what TextDataProcessor puts between two files, too. */
    if (wanted != NULL ? !cairn_tokenizer_find_added(p->tokenizer, wanted, &p->result.eos_id)
                       : !crn_tokenizer_end_id(p->tokenizer, &p->result.eos_id))
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "the tokenizer has no added token '%s' to end a text with; name one by eos_token",
                 wanted != NULL ? wanted : "<|endoftext|>");
    p->result.has_eos = true;
out:
    return rc;
}

static cairn_status choose_dtype(struct preparer *p, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const dtype = p->options->dtype;
    const uint32_t ids = cairn_tokenizer_vocab_size(p->tokenizer);
    const bool is_auto = dtype == NULL || strcmp(dtype, "auto") == 0;
    const bool is_short = is_auto ? ids <= UINT16_IDS : strcmp(dtype, "uint16") == 0;
    if (is_short && ids > UINT16_IDS)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "dtype is uint16, but the tokenizer has %" PRIu32 " ids; take uint32", ids);
    p->result.vocab_size = ids;
    p->result.token_bytes = is_short ? 2 : 4;
out:
    return rc;
}

/* ---- Texts ---- */

static cairn_status fail_text(const char *path, int e, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_FAIL(err, CAIRN_EDATA, "text '%s': %s", path, strerror(e));
out:
    return rc;
}

static cairn_status open_text(const struct preparer *p, const char *path, int *out_fd,
                              uint64_t *out_size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_file_stat info;
    int fd = -1;
    int e = p->os->open(p->os, CRN_OS_CWD, path, CRN_OPEN_READ, &fd);
    if (e == 0)
        e = p->os->stat_fd(p->os, fd, &info);
    if (e != 0)
        CRN_TRY_PLAIN(fail_text(path, e, err));
    *out_fd = fd;
    *out_size = info.size;
    fd = -1;
out:
    if (fd >= 0)
        (void)p->os->close(p->os, fd); /* only read from */
    return rc;
}

/* All texts are there, before the first is encoded; where to cut. */
static cairn_status measure(struct preparer *p, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < p->options->input_count; i++) {
        int fd = -1;
        uint64_t size = 0;
        CRN_TRY_PLAIN(open_text(p, p->options->inputs[i], &fd, &size, err));
        (void)p->os->close(p->os, fd); /* only looked at */
        p->total += size;
    }
    p->cut = p->total - (uint64_t)floor((double)p->total * p->options->val_fraction);
out:
    return rc;
}

static cairn_status take_ids(void *user, const uint32_t *ids, size_t count, cairn_error *err)
{
    const struct preparer *const p = user;
    return crn_shard_add(p->shard, ids, count, err);
}

static void show_bar(struct preparer *p)
{
    char done[32];
    char all[32];
    char tokens[32];
    char text[160];
    const int64_t now = p->os->monotonic_ns(p->os);
    if (p->options->bar == NULL || now - p->bar_at < k_bar_interval_ns)
        return;
    (void)snprintf(text, sizeof text, "%s of %s, %s tokens", crn_format_bytes(p->at, done),
                   crn_format_bytes(p->total, all),
                   crn_format_count(p->train.tokens + p->val.tokens, tokens));
    p->options->bar(p->options->user, text);
    p->bar_at = now;
}

/* @from: where the text goes on in its file. */
static cairn_status turn_to_val(struct preparer *p, uint64_t from, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(cairn_encoder_finish(p->encoder, err));
    p->shard = &p->val;
    p->is_cut_due = false;
    p->encoded_from = from;
out:
    return rc;
}

static bool is_cut_near(const struct preparer *p)
{
    return p->shard == &p->train && p->cut < p->total;
}

/* Where the text is cut in the next @size bytes: behind the line end at or after the byte before
 * the cut. 0: not here. */
static size_t find_cut(const struct preparer *p, size_t size)
{
    if (!is_cut_near(p) || p->at + size < p->cut)
        return 0;
    const size_t from = p->cut > p->at ? (size_t)(p->cut - p->at) - 1 : 0;
    const char *const end = memchr(p->chunk + from, '\n', size - from);
    return end != NULL ? (size_t)(end + 1 - p->chunk) : 0;
}

/* The next bytes of a file, which begin at p->at of all texts. */
static cairn_status take_chunk(struct preparer *p, size_t size, uint64_t file_at, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t used = 0;
    if (p->is_cut_due) {
        CRN_TRY_PLAIN(turn_to_val(p, file_at, err));
    } else {
        used = find_cut(p, size);
        p->is_cut_due = used == size; /* If the file ends here, its end token comes before. */
        if (used > 0 && used < size) {
            CRN_TRY_PLAIN(cairn_encoder_add(p->encoder, p->chunk, used, err));
            CRN_TRY_PLAIN(turn_to_val(p, file_at + used, err));
        } else {
            used = 0;
        }
    }
    CRN_TRY_PLAIN(cairn_encoder_add(p->encoder, p->chunk + used, size - used, err));
    p->at += size;
out:
    return rc;
}

static cairn_status take_file(struct preparer *p, int fd, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t file_at = 0;
    size_t got = CHUNK_BYTES;
    p->encoded_from = 0;
    while (got == CHUNK_BYTES) {
        const char *const reason = p->options->stop_requested != NULL
                                       ? p->options->stop_requested(p->options->user)
                                       : NULL;
        if (reason != NULL)
            CRN_FAIL(err, CAIRN_ECANCELED, "stopped by %s; no file was written", reason);
        const int e = p->os->read_at(p->os, fd, p->chunk, CHUNK_BYTES, file_at, &got);
        if (e != 0)
            CRN_TRY_PLAIN(fail_text(path, e, err));
        if (got > 0)
            CRN_TRY(err, take_chunk(p, got, file_at, err), "text '%s' from byte %" PRIu64, path,
                    p->encoded_from);
        file_at += got;
        show_bar(p);
    }
    CRN_TRY(err, cairn_encoder_finish(p->encoder, err), "text '%s' from byte %" PRIu64, path,
            p->encoded_from);
    if (p->result.has_eos)
        CRN_TRY_PLAIN(crn_shard_add(p->shard, &p->result.eos_id, 1, err));
    if (is_cut_near(p) && p->at >= p->cut)
        CRN_TRY_PLAIN(turn_to_val(p, 0, err));
out:
    return rc;
}

static cairn_status take_all(struct preparer *p, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int fd = -1;
    for (size_t i = 0; i < p->options->input_count; i++) {
        uint64_t size = 0;
        CRN_TRY_PLAIN(open_text(p, p->options->inputs[i], &fd, &size, err));
        CRN_TRY_PLAIN(take_file(p, fd, p->options->inputs[i], err));
        (void)p->os->close(p->os, fd); /* only read from */
        fd = -1;
    }
    if (p->train.tokens == 0 || (p->options->val_output != NULL && p->val.tokens == 0))
        CRN_FAIL(err, CAIRN_EDATA, "no tokens for '%s'; give more text or another val_fraction",
                 p->train.tokens == 0 ? p->options->output : p->options->val_output);
out:
    if (fd >= 0)
        (void)p->os->close(p->os, fd); /* only read from */
    return rc;
}

/* ---- All of it ---- */

static cairn_status begin(struct preparer *p, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_prepare_options *const o = p->options;
    CRN_TRY_PLAIN(check_options(o, err));
    CRN_TRY_PLAIN(cairn_tokenizer_open(o->tokenizer, &p->tokenizer, err));
    CRN_TRY_PLAIN(choose_dtype(p, err));
    if (o->append_eos)
        CRN_TRY_PLAIN(choose_eos(p, err));
    const cairn_encoder_options encoding = {.struct_size = sizeof encoding,
                                            .replace_invalid = o->replace_invalid,
                                            .emit = take_ids,
                                            .user = p};
    CRN_TRY_PLAIN(cairn_encoder_new(p->tokenizer, &encoding, &p->encoder, err));
    p->chunk = crn_calloc(CHUNK_BYTES, 1);
    CRN_NEED(err, p->chunk, "text");
    CRN_TRY_PLAIN(measure(p, err));
    const crn_shard_options shard = {.has_header =
                                         o->format != NULL && strcmp(o->format, "llmc") == 0,
                                     .replaces = o->overwrite,
                                     .token_bytes = p->result.token_bytes};
    CRN_TRY_PLAIN(crn_shard_open(&p->train, p->os, o->output, &shard, err));
    if (o->val_output != NULL)
        CRN_TRY_PLAIN(crn_shard_open(&p->val, p->os, o->val_output, &shard, err));
    p->shard = &p->train;
out:
    return rc;
}

/* Both are durable before the first has its name. */
static cairn_status finish(struct preparer *p, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool has_val = p->options->val_output != NULL;
    CRN_TRY_PLAIN(crn_shard_seal(&p->train, err));
    if (has_val) {
        CRN_TRY_PLAIN(crn_shard_seal(&p->val, err));
        CRN_TRY_PLAIN(crn_shard_publish(&p->val, err));
    }
    CRN_TRY_PLAIN(crn_shard_publish(&p->train, err));
    p->result.bytes = p->at;
    p->result.tokens = p->train.tokens;
    p->result.val_tokens = p->val.tokens;
    p->result.replaced = cairn_encoder_replaced(p->encoder);
out:
    return rc;
}

cairn_status crn_app_prepare_os(const crn_os *os, const cairn_prepare_options *options,
                                cairn_prepare_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct preparer p = {.os = os, .options = options};
    CRN_TRY_PLAIN(begin(&p, err));
    CRN_TRY_PLAIN(take_all(&p, err));
    CRN_TRY_PLAIN(finish(&p, err));
    *out = p.result;
out:
    if (options->bar != NULL && p.bar_at != 0)
        options->bar(options->user, "");
    crn_shard_dispose(&p.train);
    crn_shard_dispose(&p.val);
    cairn_encoder_destroy(p.encoder);
    cairn_tokenizer_destroy(p.tokenizer);
    crn_free(p.chunk);
    return rc;
}

cairn_status cairn_app_prepare(const cairn_prepare_options *options, cairn_prepare_result *out,
                               cairn_error *err)
{
    return crn_app_prepare_os(crn_os_posix(), options, out, err);
}
