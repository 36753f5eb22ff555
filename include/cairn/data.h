/**
 * @file data.h  Data processors of the library, and the loader that orders their samples.
 *
 * The order of samples is a function of (seed, epoch); the position is one counter of consumed
 * samples. So nothing repeats after a validation or a resume, nothing is skipped, and going to a
 * position costs nothing.
 *
 * Batches may be read ahead, by a thread that each loader has for it; which batches come, and the
 * position, do not depend on it.
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

/**
 * TokenBinDataProcessor: shards of tokens, as llm.c writes them (a header of 256 int32, then uint16
 * or uint32 tokens) or nanoGPT (tokens only). Numbers are little-endian. Samples never cross the
 * end of a shard: sample i of a shard has the inputs [iL, iL + L) and the labels
 * [iL + 1, iL + L + 1) of its tokens, L = max_sequence_length; those of the next file follow.
 * @retval CAIRN_EDATA  A file is missing, unreadable, cut off, or contradicts its header; a folder
 *                      has files named for training and for validation and split is all; or no
 *                      file has L + 1 tokens.
 */
CAIRN_API cairn_status cairn_token_bin_data_new(const cairn_token_bin_data_options *options,
                                                cairn_data *out, cairn_error *err);

/**
 * GptHDF5DataProcessor: the Model Zoo's HDF5 files of samples: `data` is [N][3 or more][T]
 * integers, input_ids, loss mask and labels; of each file the attribute n_examples, if it is there,
 * says how many samples count. Files are read in the order of their paths, by a process of its own
 * that can do nothing else (cairn-hdf5): files may come from anywhere.
 * @param program  File of cairn-hdf5; NULL: beside this program, in ../libexec/cairn from there, or
 *                 where it was installed.
 * @retval CAIRN_EDATA         A file is missing, damaged, has another layout, or would make its
 *                             reader open other files.
 * @retval CAIRN_EUNSUPPORTED  cairn-hdf5 is nowhere: the library was built without HDF5.
 */
CAIRN_API cairn_status cairn_gpt_hdf5_data_new(const cairn_gpt_hdf5_data_options *options,
                                               const char *program, cairn_data *out,
                                               cairn_error *err);
/**
 * GptHDF5MapDataProcessor: the same, and corpora: `data` is [tokens], all files one behind the
 * other; sample i has the inputs [iL, iL + L) and the labels [iL + 1, iL + L + 1),
 * L = max_sequence_length. data_subset and mixture choose and weigh; with shuffle the sets of a
 * mixture stand one behind the other, without they are spread evenly. num_samples, drop_last (with
 * carry_last) and pad_last are the loader's.
 * @retval CAIRN_ECONFIG  data_dir and mixture, or neither; an impossible data_subset or weight.
 * Others as above.
 */
CAIRN_API cairn_status cairn_gpt_hdf5_map_data_new(const cairn_gpt_hdf5_map_data_options *options,
                                                   const char *program, cairn_data *out,
                                                   cairn_error *err);

typedef struct cairn_loader cairn_loader;

typedef struct cairn_loader_options {
    size_t struct_size;
    uint64_t batch_size;
    bool shuffle;
    cairn_opt_int shuffle_seed; /**< Null: the seed that cairn_loader_set_seed gives. */
    bool drop_last;
    /** Null: all, once. Else an epoch has so many samples: whole rounds through the data, and for
     *  the rest the first ones, or with shuffle random ones, none of them twice. */
    cairn_opt_int num_samples;
    /** With drop_last, the samples of a last batch that is not full begin the next epoch: batches
     *  cross its end, and none is left out. */
    bool carry_last;
    /** Without drop_last, a last batch that is not full is filled with CAIRN_DATA_PAD, which the
     *  data must know. */
    bool pad_last;
    /** Batches that are read ahead, if the data may be (cairn_data_ops.may_be_read_ahead). 0: each
     *  is read when it is asked for; null: 2. */
    cairn_opt_int prefetch_factor;
} cairn_loader_options;

/** @param data  Taken, also on failure.
 *  @retval CAIRN_EDATA  An epoch has no batch: fewer samples than batch_size and drop_last. */
CAIRN_API cairn_status cairn_loader_new(cairn_data data, const cairn_loader_options *options,
                                        cairn_loader **out, cairn_error *err);
/** Accepts NULL. Waits for a batch that is being read ahead; after some seconds it no longer does,
 *  and what the loader has is released when the read returns. */
CAIRN_API void cairn_loader_destroy(cairn_loader *loader);
/** Seed of the order where no shuffle_seed was given. Before the first batch. */
CAIRN_API void cairn_loader_set_seed(cairn_loader *loader, uint64_t seed);
/** The seed in use. */
CAIRN_API uint64_t cairn_loader_seed(const cairn_loader *loader);
CAIRN_API uint64_t cairn_loader_batches_per_epoch(const cairn_loader *loader);
/** Samples of a batch as the data gives it, and of the last one of an epoch: as many or fewer. */
CAIRN_API void cairn_loader_batch_samples(const cairn_loader *loader, uint64_t *out_usual,
                                          uint64_t *out_last);
/** Samples consumed in one epoch (those of a dropped batch are not; those carried over are). */
CAIRN_API uint64_t cairn_loader_samples_per_epoch(const cairn_loader *loader);
/** Samples consumed since the beginning. */
CAIRN_API uint64_t cairn_loader_position(const cairn_loader *loader);
/** Elsewhere than where it stands, what was read ahead is dropped. */
CAIRN_API void cairn_loader_seek(cairn_loader *loader, uint64_t position);
/** The processor inside. */
CAIRN_API const cairn_data *cairn_loader_data(const cairn_loader *loader);
/**
 * The next batch; after the last one of an epoch the first of the next. @p out is valid until the
 * next call. A batch crosses the end of an epoch with carry_last only. A failure leaves the
 * position; that of a batch that was read ahead comes when that batch is asked for.
 * @retval CAIRN_EDATA
 * @retval CAIRN_EIO  No thread to read ahead.
 */
CAIRN_API cairn_status cairn_loader_next(cairn_loader *loader, cairn_batch *out, cairn_error *err);
/**
 * Whether cairn_loader_next will not wait for the next batch. Gives it up to @p wait_ns for that:
 * for a caller who has something else to look at while data hangs. True where nothing is read
 * ahead. What the last cairn_loader_next gave is void afterwards.
 */
CAIRN_API bool cairn_loader_is_ready(cairn_loader *loader, int64_t wait_ns);
/** Sample that stands at @p place (0 .. samples) of epoch @p epoch; for tests and tools. */
CAIRN_API uint64_t cairn_loader_sample_at(const cairn_loader *loader, uint64_t epoch,
                                          uint64_t place);

#ifdef __cplusplus
}
#endif
#endif
