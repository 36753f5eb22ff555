/*
 * A checkpoint that is no file of this engine's: somebody else opens it, says what is in it under
 * our names, and reads the tensors on demand. It is loaded as any other, and nothing else: it has
 * no digests, so it cannot be verified or compared.
 */
#ifndef CRN_CKPT_FOREIGN_H
#define CRN_CKPT_FOREIGN_H

#include "cairn/checkpoint.h"
#include "format/format.h"
#include "os/os.h"

/* A value of a state, as cairn_state_set_text takes it. */
typedef struct crn_foreign_value {
    const char *state;
    const char *key;
    const char *text;
} crn_foreign_value;

typedef struct crn_foreign crn_foreign;

struct crn_foreign {
    /* Reads @size bytes of @tensor, one of the tensors below, from byte @offset on, both multiples
     * of the size of its elements. Statuses are those of a load. */
    cairn_status (*read)(void *self, const crn_file_entry *tensor, uint64_t offset, size_t size,
                         void *buf, cairn_error *err);
    void (*destroy)(void *self);
    void *self;                    /* owns all that follows */
    const crn_file_entry *tensors; /* named "<state>.<path>" */
    size_t tensor_count;
    const crn_foreign_value *values;
    size_t value_count;
    const char *states; /* "model,global_step" */
    const char *params; /* JSON as cairn_checkpoint_params gives it; NULL: none */
    uint64_t step;      /* information only */
};

/*
 * @fd is the file at @path, open, which must not change meanwhile. Takes @fd and @foreign, on
 * failure too. @os is borrowed. ENOMEM, EIO.
 */
cairn_status crn_checkpoint_from_foreign(const crn_os *os, const char *path, int fd,
                                         const crn_foreign *foreign, cairn_checkpoint **out,
                                         cairn_error *err);

#endif
