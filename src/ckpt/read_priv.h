/* An open checkpoint, for the files that read, load and verify it. */
#ifndef CRN_CKPT_READ_PRIV_H
#define CRN_CKPT_READ_PRIV_H

#include "ckpt/foreign.h"
#include "ckpt/plan.h"
#include "ckpt/store_priv.h"

/* A text of a state: a value (key, text) or an alias (alias, target). */
typedef struct crn_state_text {
    char *state;
    char *key;
    char *text;
} crn_state_text;

typedef struct crn_state_texts {
    crn_state_text *items;
    size_t count;
    size_t capacity;
    const crn_state_text **sorted; /* by state and key; NULL until all are read */
} crn_state_texts;

cairn_status crn_state_texts_add(crn_state_texts *texts, const char *state, const char *key,
                                 const char *text, cairn_error *err);
/* When all are added. CAIRN_ENOMEM. */
cairn_status crn_state_texts_sort(crn_state_texts *texts, cairn_error *err);
/* The text of (@state, @key); NULL if there is none. A file may claim very many. */
const char *crn_state_texts_find(const crn_state_texts *texts, const char *state, const char *key);

/* A tensor with its digests. */
typedef struct crn_read_tensor {
    const crn_file_entry *entry;
    bool has_digest;
    crn_digest digest;
    char digest_text[CRN_DIGEST_TEXT_SIZE];
    crn_digest *chunks; /* NULL: one chunk, whose digest follows from the tensor's. Owned. */
} crn_read_tensor;

struct cairn_checkpoint {
    const crn_os *os;
    int fd;
    char *path;
    crn_file_stat stat; /* when it was opened */
    crn_header header;
    uint64_t data_begin;
    cairn_checkpoint_info info;
    const char *format_version;
    unsigned major;
    crn_name_list states;            /* of a plain file none */
    crn_read_tensor *tensors;        /* in file order, pads left out */
    cairn_file_tensor *listed;       /* the same as callers see them */
    const crn_read_tensor **by_name; /* sorted */
    size_t tensor_count;
    crn_state_texts values;
    crn_state_texts aliases;
    crn_foreign foreign; /* read NULL: a file of ours, or a plain one */
};

/* Digest of chunk @i as it must be for the bytes of a chunk; compares as the file's digests allow.
 * False: the bytes are not what was written. True for a tensor without digests. */
bool crn_chunk_is_intact(const crn_read_tensor *tensor, uint64_t i, const crn_digest *actual);

/* What a checkpoint is when it is opened. Borrows @entries. */
cairn_status crn_checkpoint_list_tensors(cairn_checkpoint *ckpt, const crn_file_entry *entries,
                                         size_t count, cairn_error *err);
/* The facts that any file has. */
void crn_checkpoint_fill_info(cairn_checkpoint *ckpt);
/* What callers see of the tensors; when their digests are known. */
void crn_checkpoint_fill_listed(cairn_checkpoint *ckpt);

/* The tensor of that full name; NULL if there is none. */
const crn_read_tensor *crn_checkpoint_find_tensor(const cairn_checkpoint *ckpt, const char *name);

/* Reads exactly @size bytes of the file at @offset. CAIRN_ECORRUPT if the file ends before. */
cairn_status crn_checkpoint_read_bytes(const cairn_checkpoint *ckpt, void *buf, size_t size,
                                       uint64_t offset, cairn_error *err);
/* Reads @size bytes of the tensor of @entry from its byte @offset on. */
cairn_status crn_checkpoint_read_tensor(const cairn_checkpoint *ckpt, const crn_file_entry *entry,
                                        uint64_t offset, size_t size, void *buf, cairn_error *err);
/* CAIRN_ECORRUPT if the file has changed since it was opened. */
cairn_status crn_checkpoint_check_unchanged(const cairn_checkpoint *ckpt, cairn_error *err);

#endif
