#include "ckpt/foreign.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/load_chunks.h"

static cairn_status copy_values(cairn_checkpoint *ckpt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_foreign *const foreign = &ckpt->foreign;
    for (size_t i = 0; i < foreign->value_count; i++) {
        const crn_foreign_value *const value = &foreign->values[i];
        CRN_TRY_PLAIN(
            crn_state_texts_add(&ckpt->values, value->state, value->key, value->text, err));
    }
    CRN_TRY_PLAIN(crn_state_texts_sort(&ckpt->values, err));
    CRN_TRY_PLAIN(crn_state_texts_sort(&ckpt->aliases, err));
out:
    return rc;
}

static cairn_status fill(cairn_checkpoint *ckpt, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_foreign *const foreign = &ckpt->foreign;
    ckpt->path = crn_strdup(path);
    CRN_NEED(err, ckpt->path, "a path");
    const int e = ckpt->os->stat_fd(ckpt->os, ckpt->fd, &ckpt->stat);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "examine '%s'", path);
    CRN_TRY_PLAIN(crn_checkpoint_list_tensors(ckpt, foreign->tensors, foreign->tensor_count, err));
    CRN_TRY_PLAIN(crn_name_list_split(&ckpt->states, foreign->states, err));
    CRN_TRY_PLAIN(copy_values(ckpt, err));
    crn_checkpoint_fill_info(ckpt);
    crn_checkpoint_fill_listed(ckpt);
    ckpt->info.states = foreign->states;
    ckpt->info.step = foreign->step;
out:
    return rc;
}

cairn_status crn_checkpoint_from_foreign(const crn_os *os, const char *path, int fd,
                                         const crn_foreign *foreign, cairn_checkpoint **out,
                                         cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint *ckpt = crn_calloc(1, sizeof *ckpt);
    if (ckpt == NULL) {
        foreign->destroy(foreign->self);
        (void)os->close(os, fd); /* Only read. */
    }
    CRN_NEED(err, ckpt, "a checkpoint");
    *ckpt = (cairn_checkpoint){.os = os, .fd = fd, .foreign = *foreign};
    CRN_TRY_PLAIN(fill(ckpt, path, err));
    *out = ckpt;
    ckpt = NULL;
out:
    cairn_checkpoint_close(ckpt);
    return rc;
}

/* One reader is all there is: the bytes come from another process. */
cairn_status crn_load_foreign(crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_foreign *const foreign = &load->ckpt->foreign;
    for (size_t i = 0; i < load->match_count; i++) {
        const crn_match *const match = &load->matches[i];
        const uint64_t chunks = match->source != NULL ? crn_chunk_count(match->tensor->bytes) : 0;
        for (uint64_t j = 0; j < chunks; j++) {
            const uint64_t at = j * CRN_FORMAT_CHUNK_BYTES;
            const size_t size = crn_load_chunk_size(match->tensor->bytes, j);
            void *const to = cairn_tensor_write_begin(load->tree, match->tensor, at, size);
            rc = foreign->read(foreign->self, match->source->entry, at, size, to, err);
            cairn_tensor_write_end(load->tree, match->tensor, at, size);
            CRN_TRY_PLAIN(rc);
        }
    }
out:
    return rc;
}
