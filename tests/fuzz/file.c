/*
 * A whole file: opened, verified, loaded. A header digest would stop every changed header at once,
 * so it is redone where there is one.
 */
#include <string.h>

#include "base/mem.h"
#include "cairn/checkpoint.h"
#include "ckpt/store_priv.h"
#include "format/format.h"
#include "fuzz/fuzz.h"

enum { WORD = CRN_LENGTH_WORD_BYTES, DIGEST_AT = 48, DIGEST_DIGITS = 32, HEADER_LEAST = 81 };

static void redo_header_digest(uint8_t *file, size_t size)
{
    static const char k_begin[] = "{\"__metadata__\":{\"" CRN_META_HEADER_DIGEST "\":\"";
    crn_digest stored;
    crn_digest computed;
    char text[CRN_DIGEST_TEXT_SIZE];
    uint64_t length = 0;
    char message[200];
    if (size < HEADER_LEAST || memcmp(file + WORD, k_begin, sizeof k_begin - 1) != 0 ||
        crn_header_length(file, size, size, &length, message) != CRN_FORMAT_OK ||
        length < HEADER_LEAST)
        return;
    memset(file + DIGEST_AT, '0', DIGEST_DIGITS);
    if (crn_header_digest(file, WORD + (size_t)length, &stored, &computed, NULL) == CAIRN_OK) {
        crn_digest_to_text(&computed, text);
        memcpy(file + DIGEST_AT, text, DIGEST_DIGITS);
    }
}

static void add(cairn_state *state, const char *name, cairn_dtype dtype, int rank, int64_t rows,
                int64_t columns)
{
    cairn_error err = {0};
    const cairn_tensor *tensor = NULL;
    const cairn_tensor_spec spec = {
        .name = name, .dtype = dtype, .rank = rank, .shape = {rows, columns}};
    CHECK(cairn_state_add_tensor(state, &spec, &tensor, &err) == CAIRN_OK);
}

static cairn_state *add_state(cairn_state_tree *tree, const char *name)
{
    cairn_error err = {0};
    cairn_state *state = NULL;
    CHECK(cairn_state_tree_add(tree, name, &state, &err) == CAIRN_OK);
    return state;
}

/* Some of what tests/golden/good/mixed.mdl holds, made once: a tree is a few mappings. */
static cairn_state_tree *the_tree(void)
{
    static cairn_state_tree *s_tree;
    cairn_error err = {0};
    if (s_tree != NULL)
        return s_tree;
    CHECK(cairn_state_tree_new(&s_tree, &err) == CAIRN_OK);
    cairn_state *const model = add_state(s_tree, "model");
    add(model, "embed.weight", CAIRN_DTYPE_F32, 2, 7, 5);
    CHECK(cairn_state_add_alias(model, "head.weight", "embed.weight", &err) == CAIRN_OK);
    add(model, "half", CAIRN_DTYPE_BF16, 1, 3, 0);
    add(model, "empty", CAIRN_DTYPE_F32, 2, 0, 4);
    add(model, "scalar", CAIRN_DTYPE_F64, 0, 0, 0);
    cairn_state *const optimizer = add_state(s_tree, "optimizer");
    add(optimizer, "embed.weight.exp_avg", CAIRN_DTYPE_F32, 2, 7, 5);
    (void)add_state(s_tree, "global_step");
    CHECK(cairn_state_tree_allocate(s_tree, &err) == CAIRN_OK);
    return s_tree;
}

static void check_listing(const cairn_checkpoint *ckpt)
{
    const cairn_checkpoint_info *const info = cairn_checkpoint_get_info(ckpt);
    CHECK(info->is_readable && info->states != NULL && info->problem[0] == '\0');
    for (size_t i = 0; i < cairn_checkpoint_tensor_count(ckpt); i++) {
        const cairn_file_tensor *const tensor = cairn_checkpoint_tensor_at(ckpt, i);
        CHECK(tensor->offset + tensor->bytes <= info->bytes);
        CHECK(!info->has_metadata || strlen(tensor->digest) == DIGEST_DIGITS);
        CHECK(info->has_metadata || tensor->digest == NULL);
    }
    (void)cairn_checkpoint_value(ckpt, "global_step", "step");
    (void)cairn_checkpoint_has_state(ckpt, "model");
}

static void note_damage(void *user, const cairn_damage *damage)
{
    size_t *const count = user;
    CHECK(damage->text != NULL);
    ++*count;
}

static void load(const crn_os *os, const char *states, bool is_tolerant)
{
    cairn_error err = {0};
    cairn_checkpoint *ckpt = NULL;
    cairn_load_report *report = NULL;
    const cairn_load_options options = {.struct_size = sizeof options,
                                        .states = states,
                                        .is_tolerant = is_tolerant,
                                        .allow_newer_version = is_tolerant};
    CHECK(crn_checkpoint_open_os(os, "file", &ckpt, &err) == CAIRN_OK);
    const cairn_status status = cairn_checkpoint_load(ckpt, the_tree(), &options, &report, &err);
    CHECK(status == CAIRN_OK || status == CAIRN_ECORRUPT || status == CAIRN_EINCOMPATIBLE ||
          status == CAIRN_EVERSION);
    cairn_load_report_destroy(report);
    cairn_checkpoint_close(ckpt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cairn_error err = {0};
    cairn_checkpoint *ckpt = NULL;
    memory_os memory;
    size_t damages = 0;
    uint8_t *const file = fuzz_copy(data, size, false);
    redo_header_digest(file, size);
    memory_os_init(&memory, file, size);
    cairn_status status = crn_checkpoint_open_os(&memory.os, "file", &ckpt, &err);
    CHECK(status == CAIRN_OK || status == CAIRN_ECORRUPT || status == CAIRN_EVERSION);
    CHECK((status == CAIRN_OK) == (ckpt != NULL));
    if (status == CAIRN_OK) {
        check_listing(ckpt);
        status = cairn_checkpoint_verify(ckpt, note_damage, &damages, &err);
        CHECK(status == (damages > 0 ? CAIRN_ECORRUPT : CAIRN_OK));
        cairn_checkpoint_close(ckpt);
        load(&memory.os, NULL, true);
        load(&memory.os, "model", false);
    }
    free(file);
    return 0;
}
