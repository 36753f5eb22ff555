/**
 * @file data.h  Data processors of the library, and the loader that orders their samples.
 *
 * The order of samples is a function of (seed, epoch); the position is one counter of consumed
 * samples. So nothing repeats after a validation or a resume, nothing is skipped, and going to a
 * position costs nothing.
 *
 * Thread safety: one owner thread each.
 */
#ifndef CAIRN_DATA_H
#define CAIRN_DATA_H

#include "cairn/options.h"
#include "cairn/plugin/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * TextDataProcessor: the bytes of the files are tokens 0 to 255; between two files stands one byte
 * 0. val_fraction cuts its share of the bytes off at the end, before windowing: with n bytes in
 * all, the training split is the first n - floor(n * val_fraction) bytes. Sample i has the inputs
 * [iL, iL + L) and the labels [iL + 1, iL + L + 1) of its split, L = max_sequence_length.
 * @retval CAIRN_EDATA  A file is missing or unreadable, or the split is shorter than L + 1 bytes.
 */
CAIRN_API cairn_status cairn_text_data_new(const cairn_text_data_options *options, cairn_data *out,
                                           cairn_error *err);

typedef struct cairn_loader cairn_loader;

typedef struct cairn_loader_options {
    size_t struct_size;
    uint64_t batch_size;
    bool shuffle;
    cairn_opt_int shuffle_seed; /**< Null: the seed that cairn_loader_set_seed gives. */
    bool drop_last;
} cairn_loader_options;

/** @param data  Taken, also on failure.
 *  @retval CAIRN_EDATA  An epoch has no batch: fewer samples than batch_size and drop_last. */
CAIRN_API cairn_status cairn_loader_new(cairn_data data, const cairn_loader_options *options,
                                        cairn_loader **out, cairn_error *err);
/** Accepts NULL. */
CAIRN_API void cairn_loader_destroy(cairn_loader *loader);
/** Seed of the order where no shuffle_seed was given. Before the first batch. */
CAIRN_API void cairn_loader_set_seed(cairn_loader *loader, uint64_t seed);
/** The seed in use. */
CAIRN_API uint64_t cairn_loader_seed(const cairn_loader *loader);
CAIRN_API uint64_t cairn_loader_batches_per_epoch(const cairn_loader *loader);
/** Samples consumed in one epoch (those of a dropped batch are not). */
CAIRN_API uint64_t cairn_loader_samples_per_epoch(const cairn_loader *loader);
/** Samples consumed since the beginning. */
CAIRN_API uint64_t cairn_loader_position(const cairn_loader *loader);
CAIRN_API void cairn_loader_seek(cairn_loader *loader, uint64_t position);
/** The processor inside. */
CAIRN_API const cairn_data *cairn_loader_data(const cairn_loader *loader);
/**
 * The next batch; after the last one of an epoch the first of the next. @p out is valid until the
 * next call. A batch never crosses the end of an epoch. @retval CAIRN_EDATA
 */
CAIRN_API cairn_status cairn_loader_next(cairn_loader *loader, cairn_batch *out, cairn_error *err);
/** Sample that stands at @p place (0 .. samples) of epoch @p epoch; for tests and tools. */
CAIRN_API uint64_t cairn_loader_sample_at(const cairn_loader *loader, uint64_t epoch,
                                          uint64_t place);

#ifdef __cplusplus
}
#endif
#endif
