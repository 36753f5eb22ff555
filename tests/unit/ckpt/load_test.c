/* What fits what: strict and tolerant loads, plain files, ties, versions. */
#include "unit/ckpt/ckpt_kit.h"

#include <stdatomic.h>

#include "format/format.h"

/* A tree with the model's tensors and their moments as named: "a b" or "a:7 b" (other length). */
static cairn_state_tree *tree_of(const char *names)
{
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const model = ck_state(tree, "model");
    cairn_state *const optimizer = ck_state(tree, "optimizer");
    char text[256];
    char *rest = text;
    (void)snprintf(text, sizeof text, "%s", names);
    for (char *word = NULL; (word = strsep(&rest, " ")) != NULL;) {
        char moment[64];
        char *const colon = strchr(word, ':');
        const int64_t length = colon != NULL ? strtol(colon + 1, NULL, 10) : 4;
        if (colon != NULL)
            *colon = '\0';
        (void)snprintf(moment, sizeof moment, "%s.exp_avg", word);
        (void)ck_add(model, word, CAIRN_DTYPE_F32, length, 0);
        (void)ck_add(optimizer, moment, CAIRN_DTYPE_F32, length, 0);
    }
    (void)ck_state(tree, "global_step");
    ck_allocate(tree);
    return tree;
}

static void save_tree(const char *dir, const char *names, char path[TK_PATH_SIZE])
{
    cairn_state_tree *const tree = tree_of(names);
    ck_fill(tree, 9);
    cairn_store *const store = ck_open(ck_os(), dir);
    const cairn_save_result saved = ck_save(store, tree, 1);
    (void)snprintf(path, TK_PATH_SIZE, "%s", saved.path);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static cairn_load_options options_for(bool is_tolerant)
{
    return (cairn_load_options){.struct_size = sizeof(cairn_load_options),
                                .is_tolerant = is_tolerant,
                                .required_state = "model"};
}

static float first_of(const cairn_state_tree *tree, const char *state, const char *name)
{
    float value = 0;
    memcpy(&value, cairn_state_tensor_find(cairn_state_tree_find(tree, state), name)->data,
           sizeof value);
    return value;
}

static void set_ones(cairn_state_tree *tree, const char *state, const char *name)
{
    const cairn_tensor *const tensor =
        cairn_state_tensor_find(cairn_state_tree_find(tree, state), name);
    float *const values = cairn_tensor_write_begin(tree, tensor, 0, tensor->bytes);
    for (uint64_t i = 0; i < tensor->bytes / 4; i++)
        values[i] = 1;
    cairn_tensor_write_end(tree, tensor, 0, tensor->bytes);
}

static void load__outcomes_for_keys_and_shapes(void **state)
{
    const char *const dir = *state;
    static const struct {
        const char *tree;
        cairn_status strict;
        cairn_status tolerant;
        size_t missing;
        size_t unexpected;
        const char *part; /* of the message of a failure */
    } k_rows[] = {
        {"a b c", CAIRN_OK, CAIRN_OK, 0, 0, NULL},
        {"a b", CAIRN_EINCOMPATIBLE, CAIRN_OK, 0, 1, "1 of 'model' only in the file: c"},
        {"a b c d", CAIRN_EINCOMPATIBLE, CAIRN_OK, 1, 0, "1 of 'model' not in the file: d"},
        {"a b d", CAIRN_EINCOMPATIBLE, CAIRN_OK, 1, 1, "disable_strict_checkpoint_loading: true"},
        {"a b:7 c", CAIRN_EINCOMPATIBLE, CAIRN_EINCOMPATIBLE, 0, 0,
         "tensor 'model.b' is F32 [4] in the file and F32 [7] here"},
        {"a b:7 d", CAIRN_EINCOMPATIBLE, CAIRN_EINCOMPATIBLE, 1, 1,
         "tensor 'model.b' is F32 [4] in the file and F32 [7] here"},
        {"x y", CAIRN_EINCOMPATIBLE, CAIRN_EINCOMPATIBLE, 2, 3, "nothing in"},
    };
    char path[TK_PATH_SIZE];
    save_tree(dir, "a b c", path);
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        for (int is_tolerant = 0; is_tolerant < 2; is_tolerant++) {
            cairn_error err = {0};
            cairn_load_report *report = NULL;
            cairn_state_tree *const tree = tree_of(k_rows[i].tree);
            const cairn_load_options options = options_for(is_tolerant != 0);
            const cairn_status want = is_tolerant ? k_rows[i].tolerant : k_rows[i].strict;
            set_ones(tree, "model", k_rows[i].tree[0] == 'x' ? "x" : "a");
            tk_assert_status(ck_try_load(ck_os(), path, tree, &options, &report, &err), want, &err);
            assert_int_equal(report->states[0].missing_count, k_rows[i].missing);
            assert_int_equal(report->states[0].unexpected_count, k_rows[i].unexpected);
            assert_int_equal(report->states[0].tensors_in_file, 3);
            if (want != CAIRN_OK) {
                tk_assert_error_has(&err, k_rows[i].part);
                /* Refused before a byte is written. */
                assert_true(first_of(tree, "model", k_rows[i].tree[0] == 'x' ? "x" : "a") == 1);
            }
            cairn_load_report_destroy(report);
            cairn_state_tree_destroy(tree);
        }
    }
}

static void load__when_tolerant_lists_names_and_zeroes_moments(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    cairn_load_report *report = NULL;
    const cairn_load_options options = options_for(true);
    save_tree(dir, "a b c", path);
    cairn_state_tree *const tree = tree_of("a d");
    set_ones(tree, "model", "d");
    set_ones(tree, "optimizer", "d.exp_avg");
    tk_assert_ok(ck_try_load(ck_os(), path, tree, &options, &report, &err), &err);
    assert_int_equal(report->state_count, 3);
    assert_true(report->is_verified);
    const cairn_load_state *const model = &report->states[0];
    assert_string_equal(model->name, "model");
    assert_true(model->is_loaded);
    assert_int_equal(model->tensors_in_tree, 2);
    assert_int_equal(model->tensors_loaded, 1);
    assert_int_equal(model->bytes_loaded, 16);
    assert_string_equal(model->missing[0], "d");
    assert_string_equal(model->unexpected[0], "b");
    assert_string_equal(model->unexpected[1], "c");
    assert_string_equal(report->states[1].missing[0], "d.exp_avg");
    assert_true(report->states[2].is_loaded);
    assert_true(first_of(tree, "model", "d") == 1);             /* keeps its initial value */
    assert_true(first_of(tree, "optimizer", "d.exp_avg") == 0); /* begins at zero */
    cairn_load_report_destroy(report);
    cairn_state_tree_destroy(tree);
}

static void load__names_ten_keys_and_counts_the_rest(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    const cairn_load_options options = options_for(false);
    save_tree(dir, "a", path);
    cairn_state_tree *const tree = tree_of("a k1 k2 k3 k4 k5 k6 k7 k8 k9 k10 k11 k12 k13");
    tk_assert_status(ck_try_load(ck_os(), path, tree, &options, NULL, &err), CAIRN_EINCOMPATIBLE,
                     &err);
    tk_assert_error_has(&err, "13 of 'model' not in the file: k1, k2, k3, k4, k5, k6, k7, k8, k9, "
                              "k10 and 3 more");
    cairn_state_tree_destroy(tree);
}

static void load__tells_how_to_take_weights_alone_where_only_they_fit(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    const cairn_load_options options = options_for(false);
    save_tree(dir, "a b", path);
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const model = ck_state(tree, "model");
    (void)ck_add(model, "a", CAIRN_DTYPE_F32, 4, 0);
    (void)ck_add(model, "b", CAIRN_DTYPE_F32, 4, 0);
    (void)ck_add(ck_state(tree, "optimizer"), "a.momentum", CAIRN_DTYPE_F32, 4, 0);
    ck_allocate(tree);
    tk_assert_status(ck_try_load(ck_os(), path, tree, &options, NULL, &err), CAIRN_EINCOMPATIBLE,
                     &err);
    tk_assert_error_has(&err, "load_checkpoint_states: model");
    cairn_state_tree_destroy(tree);
}

static void load__of_some_states_leaves_the_others(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    cairn_load_report *report = NULL;
    cairn_load_options options = options_for(false);
    save_tree(dir, "a b", path);
    cairn_state_tree *const tree = tree_of("a b");
    options.states = "model";
    tk_assert_ok(ck_try_load(ck_os(), path, tree, &options, &report, &err), &err);
    assert_true(ck_is_filled(tree, "model", 9));
    assert_false(ck_is_filled(tree, "optimizer", 9));
    assert_null(cairn_state_get_text(cairn_state_tree_find(tree, "global_step"), "step"));
    assert_true(report->states[0].is_loaded);
    assert_false(report->states[1].is_loaded);
    assert_false(report->states[2].is_loaded);
    cairn_load_report_destroy(report);
    options.states = "model, ema";
    tk_assert_status(ck_try_load(ck_os(), path, tree, &options, NULL, &err), CAIRN_EINCOMPATIBLE,
                     &err);
    tk_assert_error_has(&err, "no state 'ema'; it has: model,optimizer,global_step");
    cairn_state_tree_destroy(tree);
}

typedef struct log_lines {
    int count;
    char last[400];
} log_lines;

static void note_line(void *user, cairn_log_level level, const char *message)
{
    log_lines *const lines = user;
    (void)level;
    lines->count++;
    (void)snprintf(lines->last, sizeof lines->last, "%s", message);
}

static void load__ignores_unknown_states_with_a_line(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    log_lines lines = {0};
    const cairn_log log = {.level = CAIRN_LOG_INFO, .write = note_line, .user = &lines};
    cairn_load_options options = options_for(false);
    options.log = &log;
    save_tree(dir, "a", path);
    cairn_state_tree *const tree = ck_empty_tree();
    (void)ck_add(ck_state(tree, "model"), "a", CAIRN_DTYPE_F32, 4, 0);
    cairn_state *const step = ck_state(tree, "global_step");
    ck_allocate(tree);
    tk_assert_ok(cairn_state_set_text(step, "mine", "kept", &err), &err);
    tk_assert_ok(ck_try_load(ck_os(), path, tree, &options, NULL, &err), &err);
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, "'optimizer'"));
    assert_string_equal(cairn_state_get_text(step, "step"), "9");
    assert_string_equal(cairn_state_get_text(step, "mine"), "kept");
    cairn_state_tree_destroy(tree);
}

static void load__refuses_a_file_without_the_required_state(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    cairn_load_options options = options_for(true);
    save_tree(dir, "a", path);
    cairn_state_tree *const tree = ck_tree(0);
    options.required_state = "grad_scaler";
    tk_assert_status(ck_try_load(ck_os(), path, tree, &options, NULL, &err), CAIRN_EINCOMPATIBLE,
                     &err);
    tk_assert_error_has(&err, "no 'grad_scaler' state");
    options.required_state = "model";
    options.states = "optimizer";
    tk_assert_status(ck_try_load(ck_os(), path, tree, &options, NULL, &err), CAIRN_EINCOMPATIBLE,
                     &err);
    cairn_state_tree_destroy(tree);
}

/* A load of several megabytes asks from several threads. */
typedef struct guard_count {
    _Atomic uint64_t begun;
    _Atomic uint64_t ended;
    _Atomic uint64_t largest;
    _Atomic uint64_t bytes;
} guard_count;

static void guard_begin(void *self, uint64_t offset, uint64_t bytes)
{
    guard_count *const count = self;
    (void)offset;
    count->begun++;
    count->bytes += bytes;
    uint64_t largest = count->largest;
    while (bytes > largest && !atomic_compare_exchange_weak(&count->largest, &largest, bytes)) {
    }
}

static void guard_end(void *self, uint64_t offset, uint64_t bytes)
{
    guard_count *const count = self;
    (void)offset;
    (void)bytes;
    count->ended++;
}

static void load__writes_through_the_guard_in_tiles(void **state)
{
    enum { ROWS = 9000 };
    const char *const dir = *state;
    static const cairn_write_guard_ops k_guard = {
        .struct_size = sizeof k_guard, .begin = guard_begin, .end = guard_end};
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    guard_count count = {0};
    cairn_load_report *report = NULL;
    cairn_state_tree *const tree = ck_tree(ROWS);
    ck_fill(tree, 4);
    cairn_store *const store = ck_open(ck_os(), dir);
    (void)ck_save(store, tree, 1);
    cairn_store_close(store);
    cairn_state_tree_set_guard(tree, &k_guard, &count);
    tk_assert_ok(
        ck_try_load(ck_os(), tk_join(path, dir, "checkpoint_1.mdl"), tree, NULL, &report, &err),
        &err);
    assert_int_equal(count.begun, count.ended);
    assert_int_equal(count.largest, CAIRN_WRITE_TILE_BYTES);
    assert_int_equal(count.bytes, report->states[0].bytes_loaded + report->states[1].bytes_loaded);
    cairn_load_report_destroy(report);
    cairn_state_tree_destroy(tree);
}

/* ---- Plain files ---- */

/* Tensors of 4 floats each, all @value[i], in a safetensors file without metadata of ours. */
static void write_plain(const char *dir, const char *file, const char *const *names,
                        const float *values, size_t count)
{
    char bytes[4096];
    float data[64];
    char *const json = bytes + 8;
    size_t length = (size_t)snprintf(json, 2048, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < count; i++) {
        length += (size_t)snprintf(json + length, 2048 - length,
                                   ",\"%s\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":"
                                   "[%zu,%zu]}",
                                   names[i], i * 16, i * 16 + 16);
        for (size_t j = 0; j < 4; j++)
            data[i * 4 + j] = values[i];
    }
    json[length++] = '}';
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (char)(uint8_t)((uint64_t)length >> (8 * i));
    memcpy(json + length, data, count * 16);
    tk_write_file(dir, file, bytes, 8 + length + count * 16);
}

static void load__takes_a_plain_file(void **state)
{
    const char *const dir = *state;
    static const struct {
        const char *names[2];
        bool has_moment;
    } k_rows[] = {
        {{"a", "b"}, false},
        {{"model.a", "model.b"}, false},
        {{"model.model.a", "model.model.b"}, false},
        {{"model.a", "b"}, false},
    };
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        cairn_error err = {0};
        char path[TK_PATH_SIZE];
        cairn_checkpoint *ckpt = NULL;
        cairn_load_report *report = NULL;
        static const float k_values[] = {2, 3};
        const cairn_load_options options = options_for(false);
        cairn_state_tree *const tree = tree_of("a b");
        write_plain(dir, "plain.safetensors", k_rows[i].names, k_values, 2);
        (void)tk_join(path, dir, "plain.safetensors");
        tk_assert_ok(cairn_checkpoint_open(path, &ckpt, &err), &err);
        assert_false(cairn_checkpoint_get_info(ckpt)->has_metadata);
        assert_string_equal(cairn_checkpoint_format_version(ckpt), "");
        assert_string_equal(cairn_checkpoint_state_digest(ckpt), "");
        assert_null(cairn_checkpoint_tensor_at(ckpt, 0)->digest);
        assert_true(cairn_checkpoint_has_state(ckpt, "model"));
        assert_false(cairn_checkpoint_has_state(ckpt, "optimizer"));
        tk_assert_ok(cairn_checkpoint_load(ckpt, tree, &options, &report, &err), &err);
        assert_false(report->is_verified);
        assert_false(report->states[1].is_loaded);
        assert_true(first_of(tree, "model", "a") == 2);
        assert_true(first_of(tree, "model", "b") == 3);
        cairn_load_report_destroy(report);
        cairn_checkpoint_close(ckpt);
        cairn_state_tree_destroy(tree);
    }
}

static void load__takes_states_of_a_plain_file(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    static const char *const k_names[] = {"model.a", "optimizer.a.exp_avg"};
    static const float k_values[] = {2, 3};
    const cairn_load_options options = options_for(false);
    cairn_state_tree *const tree = tree_of("a");
    write_plain(dir, "plain", k_names, k_values, 2);
    tk_assert_ok(ck_try_load(ck_os(), tk_join(path, dir, "plain"), tree, &options, NULL, &err),
                 &err);
    assert_true(first_of(tree, "model", "a") == 2);
    assert_true(first_of(tree, "optimizer", "a.exp_avg") == 3);
    cairn_state_tree_destroy(tree);
}

/* ---- Tied tensors ---- */

static cairn_state_tree *tied_tree(const char *name, const char *alias)
{
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const model = ck_state(tree, "model");
    (void)ck_add(model, name, CAIRN_DTYPE_F32, 4, 0);
    tk_assert_ok(cairn_state_add_alias(model, alias, name, &err), &err);
    ck_allocate(tree);
    return tree;
}

static void load__accepts_either_name_of_tied_tensors_or_both_if_equal(void **state)
{
    const char *const dir = *state;
    static const struct {
        const char *names[2];
        size_t count;
        float second;
        cairn_status want;
    } k_rows[] = {
        {{"wte", NULL}, 1, 0, CAIRN_OK},
        {{"head", NULL}, 1, 0, CAIRN_OK},
        {{"wte", "head"}, 2, 5, CAIRN_OK},
        {{"head", "wte"}, 2, 5, CAIRN_OK},
        {{"wte", "head"}, 2, 6, CAIRN_EINCOMPATIBLE},
        {{"wte", "model.wte"}, 2, 6, CAIRN_EINCOMPATIBLE},
    };
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        cairn_error err = {0};
        char path[TK_PATH_SIZE];
        cairn_load_report *report = NULL;
        const float values[] = {5, k_rows[i].second};
        const cairn_load_options options = options_for(false);
        cairn_state_tree *const tree = tied_tree("wte", "head");
        write_plain(dir, "plain", k_rows[i].names, values, k_rows[i].count);
        tk_assert_status(
            ck_try_load(ck_os(), tk_join(path, dir, "plain"), tree, &options, &report, &err),
            k_rows[i].want, &err);
        assert_int_equal(report->states[0].tensors_in_file, 1);
        if (k_rows[i].want == CAIRN_OK)
            assert_true(first_of(tree, "model", "wte") == 5);
        cairn_load_report_destroy(report);
        cairn_state_tree_destroy(tree);
    }
}

static void load__serves_a_tree_that_ties_otherwise(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    const cairn_load_options options = options_for(false);
    cairn_state_tree *const saved = tied_tree("wte", "head");
    set_ones(saved, "model", "wte");
    cairn_store *const store = ck_open(ck_os(), dir);
    (void)ck_save(store, saved, 1);
    cairn_store_close(store);
    (void)tk_join(path, dir, "checkpoint_1.mdl");
    cairn_state_tree *const swapped = tied_tree("head", "wte");
    tk_assert_ok(ck_try_load(ck_os(), path, swapped, &options, NULL, &err), &err);
    assert_true(first_of(swapped, "model", "head") == 1);
    cairn_state_tree *const untied = ck_empty_tree();
    cairn_state *const model = ck_state(untied, "model");
    (void)ck_add(model, "wte", CAIRN_DTYPE_F32, 4, 0);
    (void)ck_add(model, "head", CAIRN_DTYPE_F32, 4, 0);
    ck_allocate(untied);
    tk_assert_ok(ck_try_load(ck_os(), path, untied, &options, NULL, &err), &err);
    assert_true(first_of(untied, "model", "wte") == 1);
    assert_true(first_of(untied, "model", "head") == 1);
    cairn_state_tree_destroy(saved);
    cairn_state_tree_destroy(swapped);
    cairn_state_tree_destroy(untied);
}

/* ---- Versions, and metadata that is not ours ---- */

/* A good file without tensors, but for the value of @key; NULL: the key is left out. */
static void write_metadata(const char *dir, const char *key, const char *value)
{
    const char *const k_pairs[][2] = {
        {"cairn.format", "1.0"},
        {"cairn.kind", "full"},
        {"cairn.step", "1"},
        {"cairn.run_id", CK_RUN},
        {"cairn.save_counter", "1"},
        {"cairn.states", "global_step"},
        {"cairn.state_digest", CK_RUN},
        {"cairn.written_by", "cairn 0.1.0"},
        {"cairn.aliases", "{}"},
        {"cairn.values", "{\"global_step\":{}}"},
        {"cairn.tensor_digests", "{}"},
        {"cairn.chunk_digests", "{}"},
    };
    cairn_error err = {0};
    crn_meta_entry meta[16];
    crn_str file = {0};
    size_t count = 0;
    for (size_t i = 0; i < sizeof k_pairs / sizeof k_pairs[0]; i++) {
        const char *const text = strcmp(key, k_pairs[i][0]) == 0 ? value : k_pairs[i][1];
        if (text == NULL)
            continue;
        meta[count++] = (crn_meta_entry){.key = k_pairs[i][0],
                                         .key_length = strlen(k_pairs[i][0]),
                                         .value = text,
                                         .value_length = strlen(text)};
    }
    tk_assert_ok(crn_header_write(meta, count, NULL, 0, &file, &err), &err);
    tk_write_file(dir, "file", file.text, file.length);
    crn_str_dispose(&file);
}

static void load__refuses_a_newer_major_version_unless_told(void **state)
{
    const char *const dir = *state;
    char path[TK_PATH_SIZE];
    cairn_error err = {0};
    log_lines lines = {0};
    const cairn_log log = {.level = CAIRN_LOG_WARNING, .write = note_line, .user = &lines};
    cairn_load_options options = {.struct_size = sizeof options, .log = &log};
    cairn_state_tree *const tree = tree_of("a");
    (void)tk_join(path, dir, "file");
    write_metadata(dir, "cairn.format", "1.7");
    tk_assert_ok(ck_try_load(ck_os(), path, tree, &options, NULL, &err), &err);
    write_metadata(dir, "cairn.format", "2.0");
    tk_assert_status(ck_try_load(ck_os(), path, tree, &options, NULL, &err), CAIRN_EVERSION, &err);
    tk_assert_error_has(&err, "2.0");
    tk_assert_error_has(&err, "strict_version: false");
    assert_int_equal(lines.count, 0);
    options.allow_newer_version = true;
    tk_assert_ok(ck_try_load(ck_os(), path, tree, &options, NULL, &err), &err);
    assert_int_equal(lines.count, 1);
    cairn_state_tree_destroy(tree);
}

/* {"global_step":{"k0":"k","k1":"k",...}} with @count texts. */
static void append_many(crn_str *out, unsigned count)
{
    crn_str_append(out, "{\"global_step\":{");
    for (unsigned i = 0; i < count; i++)
        crn_str_printf(out, "%s\"k%u\":\"k\"", i > 0 ? "," : "", i);
    crn_str_append(out, "}}");
}

/* With a look at each of them for each tensor, or for each other, this would take minutes. */
static void load__of_very_many_forged_aliases_or_values_takes_no_long_time(void **state)
{
    enum { TEXTS = 300000, TENSORS = 40000 };
    static const char *const k_keys[] = {"cairn.aliases", "cairn.values"};
    const char *const dir = *state;
    char path[TK_PATH_SIZE];
    const cairn_load_options options = {.struct_size = sizeof options, .is_tolerant = true};
    crn_str many = {0};
    append_many(&many, TEXTS);
    (void)tk_join(path, dir, "file");
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const only = ck_state(tree, "global_step");
    for (unsigned i = 0; i < TENSORS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%u", i);
        (void)ck_add(only, name, CAIRN_DTYPE_F32, 1, 0);
    }
    ck_allocate(tree);
    for (size_t i = 0; i < 2; i++) {
        cairn_error err = {0};
        cairn_load_report *report = NULL;
        write_metadata(dir, k_keys[i], many.text);
        tk_assert_ok(ck_try_load(ck_os(), path, tree, &options, &report, &err), &err);
        assert_int_equal(report->states[0].missing_count, TENSORS);
        cairn_load_report_destroy(report);
    }
    assert_int_equal(cairn_state_value_count(only), TEXTS);
    assert_string_equal(cairn_state_get_text(only, "k299999"), "k");
    cairn_state_tree_destroy(tree);
    crn_str_dispose(&many);
}

static void open__calls_incomplete_metadata_damage(void **state)
{
    const char *const dir = *state;
    static const char *const k_keys[] = {
        "cairn.format",       "cairn.kind",   "cairn.step",           "cairn.run_id",
        "cairn.save_counter", "cairn.states", "cairn.written_by",     "cairn.state_digest",
        "cairn.aliases",      "cairn.values", "cairn.tensor_digests", "cairn.chunk_digests"};
    char path[TK_PATH_SIZE];
    (void)tk_join(path, dir, "file");
    for (size_t i = 0; i < sizeof k_keys / sizeof k_keys[0]; i++) {
        cairn_error err = {0};
        cairn_checkpoint *ckpt = NULL;
        write_metadata(dir, k_keys[i], NULL);
        tk_assert_status(cairn_checkpoint_open(path, &ckpt, &err), CAIRN_ECORRUPT, &err);
        tk_assert_error_has(&err, k_keys[i]);
    }
}

static void open__calls_metadata_of_a_wrong_form_damage(void **state)
{
    const char *const dir = *state;
    static const char *const k_wrong[][2] = {
        {"cairn.format", "1"},
        {"cairn.format", "0.1"},
        {"cairn.format", "01.0"},
        {"cairn.format", "1.00"},
        {"cairn.format", "18446744073709551616.0"},
        {"cairn.kind", "Full"},
        {"cairn.step", "01"},
        {"cairn.step", "-1"},
        {"cairn.step", "18446744073709551616"},
        {"cairn.save_counter", ""},
        {"cairn.save_counter", "1 "},
        {"cairn.run_id", "0123456789ABCDEF0123456789abcdef"},
        {"cairn.run_id", CK_RUN "0"},
        {"cairn.state_digest", CK_RUN "0"},
        {"cairn.states", "global_step,"},
        {"cairn.states", "global_step,global_step"},
        {"cairn.states", "global_step, model"},
        {"cairn.states", "global_step,__pad__"},
        {"cairn.states", "global_step,model"}, /* of which cairn.values knows nothing */
        {"cairn.values", "{}"},
        {"cairn.values", "{\"global_step\":{},\"model\":{}}"},
        {"cairn.values", "{\"global_step\":{},\"global_step\":{}}"},
        {"cairn.values", "{\"global_step\":{\"a\":\"1\",\"b\":\"2\",\"a\":\"1\"}}"},
        {"cairn.values", "{\"global_step\":{\"a\":\"\\u0000\"}}"},
        {"cairn.values", "{\"global_step\":\"a\"}"},
        {"cairn.aliases", "{\"model\":{}}"},
        {"cairn.tensor_digests", "{\"global_step.a\":\"" CK_RUN "\"}"},
        {"cairn.tensor_digests", "{\"\":{}}"},
        {"cairn.chunk_digests", "{\"global_step.a\":\"" CK_RUN "\"}"},
    };
    char path[TK_PATH_SIZE];
    (void)tk_join(path, dir, "file");
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++) {
        cairn_error err = {0};
        cairn_checkpoint *ckpt = NULL;
        write_metadata(dir, k_wrong[i][0], k_wrong[i][1]);
        const cairn_status status = cairn_checkpoint_open(path, &ckpt, &err);
        if (status != CAIRN_ECORRUPT)
            fail_msg("%s: '%s' gave %d", k_wrong[i][0], k_wrong[i][1], (int)status);
        tk_assert_error_has(&err, "E_METADATA");
    }
}

static void open__searches_states_it_does_not_walk_them(void **state)
{
    const char *const dir = *state;
    enum { STATES = 200000 };
    cairn_error err = {0};
    cairn_checkpoint *ckpt = NULL;
    char path[TK_PATH_SIZE];
    crn_str states = {0};
    for (int i = 0; i < STATES; i++)
        crn_str_printf(&states, "%ss%d", i > 0 ? "," : "", i);
    assert_false(states.is_failed);
    write_metadata(dir, "cairn.states", states.text);
    /* Walking would take minutes; the limit of the test program is the clock. */
    tk_assert_status(cairn_checkpoint_open(tk_join(path, dir, "file"), &ckpt, &err), CAIRN_ECORRUPT,
                     &err);
    crn_str_dispose(&states);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(load__outcomes_for_keys_and_shapes),
        T(load__when_tolerant_lists_names_and_zeroes_moments),
        T(load__names_ten_keys_and_counts_the_rest),
        T(load__tells_how_to_take_weights_alone_where_only_they_fit),
        T(load__of_some_states_leaves_the_others),
        T(load__ignores_unknown_states_with_a_line),
        T(load__refuses_a_file_without_the_required_state),
        T(load__writes_through_the_guard_in_tiles),
        T(load__takes_a_plain_file),
        T(load__takes_states_of_a_plain_file),
        T(load__accepts_either_name_of_tied_tensors_or_both_if_equal),
        T(load__serves_a_tree_that_ties_otherwise),
        T(load__refuses_a_newer_major_version_unless_told),
        T(load__of_very_many_forged_aliases_or_values_takes_no_long_time),
        T(open__calls_incomplete_metadata_damage),
        T(open__calls_metadata_of_a_wrong_form_damage),
        T(open__searches_states_it_does_not_walk_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
