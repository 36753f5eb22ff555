/**
 * @file plugin/data.h  What a data processor is: numbered samples, made into batches.
 *
 * A processor knows how many samples there are and can make a batch of any of them. The order and
 * the position are not its business: the loader (cairn/data.h) computes both from one counter.
 */
#ifndef CAIRN_PLUGIN_DATA_H
#define CAIRN_PLUGIN_DATA_H

#include "cairn/plugin/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/** In place of a sample's number: an empty one, whose tokens are 0 and do not count. Only loaders
 *  with pad_last ask for it. */
#define CAIRN_DATA_PAD UINT64_MAX

typedef struct cairn_data_ops {
    size_t struct_size;
    const char *name; /**< Such as "TextDataProcessor"; static. */
    /** Samples in one epoch. */
    uint64_t (*sample_count)(const void *self);
    /**
     * Fills @p out with samples @p indices[0 .. count). Arrays stay valid until the next call.
     * What it gives may depend on the numbers only, not on the calls before.
     * @retval CAIRN_EDATA  The data cannot be read or has changed.
     */
    cairn_status (*read)(void *self, const uint64_t *indices, size_t count, cairn_batch *out,
                         cairn_error *err);
    /** (optional) Largest token id that may occur, for the check against the vocabulary. */
    int64_t (*max_token_id)(const void *self);
    /** (optional) Tokens of one sample; 0 if it has none. */
    int64_t (*sequence_length)(const void *self);
    /** (optional) Names what is read, such as "train.txt, 1,234 bytes". Borrowed from @p self. */
    const char *(*describe)(const void *self);
    /** Accepts NULL. */
    void (*destroy)(void *self);
    /**
     * Whether batches may be read ahead. Then read is called on one other thread, for batches too
     * that nobody asks for in the end; the other functions may be called meanwhile; and if a read
     * hangs while its loader is destroyed, destroy is called on that thread once it returns. False:
     * all is called on the thread that uses the loader, one call at a time.
     */
    bool may_be_read_ahead;
} cairn_data_ops;

typedef struct cairn_data {
    const cairn_data_ops *ops;
    void *self;
} cairn_data;

#ifdef __cplusplus
}
#endif
#endif
