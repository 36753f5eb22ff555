#include "unit/config/config_kit.h"

#include <stdio.h>

static const crn_section *section(const char *name)
{
    const crn_section *const found = crn_section_find(name);
    assert_non_null(found);
    return found;
}

/* Reads @yaml into @out as section @name; the tree after it, as JSON, is yours: crn_free. */
static bool read_section(const char *name, const char *yaml, void *out, crn_diag *diag, char **json)
{
    crn_str text = {0};
    crn_doc *const doc = must_parse(yaml);
    crn_node *const node = crn_doc_root(doc);
    const bool is_clean = crn_section_read(section(name), NULL, doc, node, out, diag);
    crn_node_to_json(node, &text);
    if (json != NULL)
        *json = crn_str_take(&text);
    crn_str_dispose(&text);
    crn_doc_destroy(doc);
    return is_clean;
}

/* Section @name refuses @yaml with exactly these lines. */
static void assert_section_refuses(const char *name, const char *yaml, const char *expected)
{
    crn_diag diag = {0};
    void *const out = crn_calloc(1, section(name)->struct_size);
    if (read_section(name, yaml, out, &diag, NULL))
        fail_msg("'%s' was read", yaml);
    assert_errors(&diag, expected);
    crn_free(out);
}

static void every_table__is_in_order(void **state)
{
    (void)state;
    size_t count = 0;
    const crn_section *const sections = crn_sections(&count);
    assert_true(count >= 54);
    for (size_t i = 0; i < count; i++) {
        cairn_error err = {0};
        tk_assert_ok(crn_section_lint(&sections[i], &err), &err);
        assert_ptr_equal(crn_section_find(sections[i].name), &sections[i]);
        assert_ptr_equal(crn_section_find(sections[i].title), &sections[i]);
    }
    assert_ptr_equal(crn_section_find("ADAMW"), crn_section_find("adamw"));
    assert_ptr_equal(crn_section_find("KeepNCheckpoints"), crn_section_find("keep_n_checkpoints"));
    assert_null(crn_section_find("nothing"));
}

static void lint__finds_each_fault(void **state)
{
    (void)state;
    const crn_row good = {
        .kind = CRN_ROW_INT, .name = "a", .unit = "", .help = "Help.", .i_max = 9};
    crn_row rows[6];
    for (size_t i = 0; i < 6; i++)
        rows[i] = good;
    rows[0].i = 10;
    rows[1].help = "Help";
    rows[2].i_min = 10;
    rows[3] = (crn_row){
        .kind = CRN_ROW_CHOICE, .name = "a", .help = "Help.", .choices = "ab|cd", .text = "b"};
    rows[4] =
        (crn_row){.kind = CRN_ROW_FLOAT, .name = "a", .help = "Help.", .f = 2.0, .f_max = 1.0};
    rows[5] = (crn_row){.kind = CRN_ROW_ALIAS, .name = "a", .help = "b"};
    static const char *const k_faults[] = {
        "its default is not allowed",           "its help is not a sentence",
        "its least value is above its largest", "its default is not one of its choices",
        "its default is not allowed",           "it means no option"};
    crn_section bad = {.name = "s", .title = "s", .help = "Help.", .count = 1};
    for (size_t i = 0; i < 6; i++) {
        cairn_error err = {0};
        bad.rows = &rows[i];
        tk_assert_status(crn_section_lint(&bad, &err), CAIRN_EBUG, &err);
        tk_assert_error_has(&err, k_faults[i]);
    }
    const crn_row twice[2] = {good, good};
    cairn_error err = {0};
    bad.rows = twice;
    bad.count = 2;
    tk_assert_status(crn_section_lint(&bad, &err), CAIRN_EBUG, &err);
    tk_assert_error_has(&err, "option s.a: the name is used twice");
    bad.count = 0;
    tk_assert_status(crn_section_lint(&bad, NULL), CAIRN_EBUG, NULL);
}

static void defaults__are_those_of_the_model_zoo(void **state)
{
    (void)state;
    const cairn_checkpoint_options checkpoint = cairn_checkpoint_options_default();
    assert_false(checkpoint.steps.is_set);
    assert_true(checkpoint.autoload_last_checkpoint);
    assert_false(checkpoint.disable_strict_checkpoint_loading);
    assert_false(checkpoint.save_initial_checkpoint);
    assert_null(checkpoint.checkpoint_root);
    assert_string_equal(checkpoint.checkpoint_name, "checkpoint_{step}.mdl");
    assert_true(checkpoint.strict_version);
    const cairn_loop_options loop = cairn_loop_options_default();
    assert_false(loop.num_steps.is_set);
    assert_false(loop.max_steps.is_set);
    assert_int_equal(loop.eval_frequency.kind, CAIRN_NUMBER_FLOAT);
    assert_true(loop.eval_frequency.f == 1.0);
    assert_int_equal(loop.grad_accum_steps, 1);
    const cairn_adamw_options adamw = cairn_adamw_options_default();
    assert_true(adamw.lr == 1e-3);
    assert_true(adamw.betas.first == 0.9 && adamw.betas.second == 0.999);
    assert_true(adamw.eps == 1e-6);
    assert_true(adamw.weight_decay == 0.0);
    assert_true(adamw.correct_bias);
    const cairn_gpt2_options gpt2 = cairn_gpt2_options_default();
    assert_int_equal(gpt2.vocab_size, 50257);
    assert_int_equal(gpt2.filter_size, 3072);
    assert_int_equal(gpt2.initializer.kind, CAIRN_INIT_DEFAULT);
    assert_string_equal(gpt2.loss_scaling, "num_tokens");
    assert_false(gpt2.attention_dropout_rate.is_set);
    assert_int_equal(cairn_logging_options_default().log_steps, 1);
    assert_string_equal(cairn_precision_options_default().fp16_type, "bfloat16");
    assert_int_equal(cairn_load_checkpoint_states_options_default().load_checkpoint_states.count,
                     0);
    assert_string_equal(cairn_save_checkpoint_state_options_default().checkpoint_name,
                        "{checkpoint_states}_{ckpt_name}");
    assert_false(cairn_keep_n_checkpoints_options_default().n.is_set);
    assert_int_equal(cairn_text_data_options_default().max_sequence_length, 128);
    assert_false(cairn_constant_lr_options_default().total_iters.is_set);
    assert_false(cairn_linear_lr_options_default().cycle);
    assert_int_equal(cairn_cosine_decay_lr_options_default().total_iters, 1);
}

static void an_empty_map__is_completed_with_all_defaults(void **state)
{
    (void)state;
    cairn_adamw_options adamw;
    cairn_adamw_options again;
    crn_diag diag = {0};
    char *json = NULL;
    assert_true(read_section("adamw", "{}", &adamw, &diag, &json));
    assert_string_equal(json, "{\"lr\": 0.001, \"betas\": [0.9, 0.999], \"eps\": 1.0e-06, "
                              "\"weight_decay\": 0.0, \"correct_bias\": true, "
                              "\"amsgrad\": false}");
    assert_true(read_section("adamw", json, &again, &diag, NULL));
    assert_memory_equal(&adamw, &again, sizeof adamw);
    crn_free(json);
    assert_true(
        read_section("loop", "null", &(cairn_loop_options){.grad_accum_steps = 7}, &diag, &json));
    assert_string_equal(json, "{\"num_steps\": null, \"max_steps\": null, \"num_epochs\": null, "
                              "\"steps_per_epoch\": null, \"eval_frequency\": 1.0, "
                              "\"eval_steps\": null, \"grad_accum_steps\": 1, \"max_time\": null}");
    crn_free(json);
    assert_errors(&diag, "");
}

static void sections_without_a_node__are_all_default(void **state)
{
    (void)state;
    size_t count = 0;
    const crn_section *const sections = crn_sections(&count);
    for (size_t i = 0; i < count; i++) {
        crn_diag diag = {0};
        bool needs_something = false;
        void *const read = crn_calloc(1, sections[i].struct_size);
        void *const preset = crn_calloc(1, sections[i].struct_size);
        crn_section_defaults(&sections[i], preset);
        for (size_t j = 0; j < sections[i].count; j++)
            needs_something = needs_something || sections[i].rows[j].kind == CRN_ROW_REQUIRED;
        assert_int_equal(crn_section_read(&sections[i], NULL, NULL, NULL, read, &diag),
                         !needs_something);
        assert_memory_equal(read, preset, sections[i].struct_size);
        crn_diag_dispose(&diag);
        crn_free(read);
        crn_free(preset);
    }
}

static void given_values__arrive_in_the_struct(void **state)
{
    (void)state;
    cairn_loop_options loop;
    cairn_adamw_options adamw;
    crn_diag diag = {0};
    char *json = NULL;
    assert_true(read_section("loop",
                             "max_steps: '20'\neval_frequency: 1\neval_steps: 3.0\n"
                             "num_epochs: null\ngrad_accum_steps: 4",
                             &loop, &diag, NULL));
    assert_true(loop.max_steps.is_set && loop.max_steps.value == 20);
    assert_int_equal(loop.eval_frequency.kind, CAIRN_NUMBER_INT);
    assert_int_equal(loop.eval_frequency.i, 1);
    assert_true(loop.eval_steps.is_set && loop.eval_steps.value == 3);
    assert_false(loop.num_epochs.is_set);
    assert_int_equal(loop.grad_accum_steps, 4);
    assert_true(read_section("loop", "eval_frequency: 0.5", &loop, &diag, NULL));
    assert_int_equal(loop.eval_frequency.kind, CAIRN_NUMBER_FLOAT);
    assert_true(loop.eval_frequency.f == 0.5);
    assert_true(read_section("loop", "eval_frequency:", &loop, &diag, NULL));
    assert_int_equal(loop.eval_frequency.kind, CAIRN_NUMBER_NULL);
    assert_true(read_section("adamw",
                             "learning_rate: 1e-4\nbetas: [0, '0.95']\neps: 1\ncorrect_bias: 'no'",
                             &adamw, &diag, &json));
    assert_true(adamw.lr == 1e-4);
    assert_true(adamw.betas.first == 0.0 && adamw.betas.second == 0.95);
    assert_true(adamw.eps == 1.0);
    assert_false(adamw.correct_bias);
    assert_string_equal(json, "{\"lr\": \"1e-4\", \"betas\": [0, \"0.95\"], \"eps\": 1, "
                              "\"correct_bias\": \"no\", \"weight_decay\": 0.0, "
                              "\"amsgrad\": false}");
    crn_free(json);
    assert_errors(&diag, "");
}

static void bools__come_from_words_and_from_0_and_1(void **state)
{
    (void)state;
    static const char *const k_true[] = {"true", "yes", "'True'", "'on'", "'1'",
                                         "1",    "1.0", "t",      "Y"};
    static const char *const k_false[] = {"false", "no", "'NO'", "'off'", "'0'", "0", "f", "n"};
    for (size_t i = 0; i < 17; i++) {
        char yaml[64];
        cairn_checkpoint_options options;
        crn_diag diag = {0};
        (void)snprintf(yaml, sizeof yaml, "{resume: %s}", i < 9 ? k_true[i] : k_false[i - 9]);
        assert_true(read_section("checkpoint", yaml, &options, &diag, NULL));
        assert_int_equal(options.resume, i < 9);
        crn_diag_dispose(&diag);
    }
    assert_section_refuses("checkpoint", "resume: 2",
                           "p.yaml:1:9: trainer.init.checkpoint.resume must be true or false, "
                           "not 2\n");
    assert_section_refuses("checkpoint", "resume: maybe",
                           "p.yaml:1:9: trainer.init.checkpoint.resume must be true or false, "
                           "not 'maybe'\n");
}

static void lists__keep_their_items_as_given(void **state)
{
    (void)state;
    crn_diag diag = {0};
    cairn_load_checkpoint_states_options options;
    crn_doc *const doc = must_parse("a: {load_checkpoint_states: 'model, optimizer'}\n"
                                    "b: {load_checkpoint_states: [model, 5]}\n"
                                    "c: {load_checkpoint_states: }\n");
    const crn_section *const table = section("load_checkpoint_states");
    crn_node *const root = crn_doc_root(doc);
    assert_true(crn_section_read(table, NULL, doc, crn_node_get(root, "a"), &options, &diag));
    assert_int_equal(options.load_checkpoint_states.count, 1);
    assert_string_equal(options.load_checkpoint_states.items[0], "model, optimizer");
    assert_true(crn_section_read(table, NULL, doc, crn_node_get(root, "b"), &options, &diag));
    assert_int_equal(options.load_checkpoint_states.count, 2);
    assert_string_equal(options.load_checkpoint_states.items[0], "model");
    assert_string_equal(options.load_checkpoint_states.items[1], "5");
    assert_true(crn_section_read(table, NULL, doc, crn_node_get(root, "c"), &options, &diag));
    assert_int_equal(options.load_checkpoint_states.count, 0);
    crn_diag_dispose(&diag);
    crn_doc_destroy(doc);
}

static void lists_of_numbers__are_read_and_held_to_their_range(void **state)
{
    (void)state;
    crn_diag diag = {0};
    cairn_piecewise_constant_lr_options options;
    crn_doc *const doc = must_parse("learning_rates: [1, '2e-1']\nmilestones: [3]\n");
    const crn_section *const table = section("piecewise_constant_lr");
    assert_true(crn_section_read(table, NULL, doc, crn_doc_root(doc), &options, &diag));
    assert_int_equal(options.learning_rates.count, 2);
    assert_true(options.learning_rates.items[1] == 0.2);
    assert_int_equal(options.milestones.count, 1);
    assert_int_equal(options.milestones.items[0], 3);
    crn_doc_destroy(doc);
    assert_section_refuses(
        "piecewise_constant_lr", "learning_rates: [1, -2]\nmilestones: [0]\n",
        "p.yaml:1:21: schedulers.PiecewiseConstantLR.learning_rates is -2; it must be from 0 to "
        "1000000\n"
        "p.yaml:2:14: schedulers.PiecewiseConstantLR.milestones is 0; it must be at least 1 "
        "(steps)\n");
}

/* What a program fills in passes no reader, so the constructors ask the same tables. */
static void check__holds_a_struct_to_the_ranges(void **state)
{
    (void)state;
    cairn_error err = {0};
    static const int64_t k_steps[] = {5, 0};
    static const double k_rates[] = {0.5, -1.0};
    cairn_piecewise_constant_lr_options pieces = {0};
    const crn_section *const table = section("piecewise_constant_lr");
    pieces.milestones = (cairn_opt_ints){.items = k_steps, .count = 1};
    pieces.learning_rates = (cairn_opt_floats){.items = k_rates, .count = 1};
    tk_assert_ok(crn_section_check(table, "x", &pieces, &err), &err);
    pieces.milestones.count = 2;
    assert_int_equal(crn_section_check(table, "x", &pieces, &err), CAIRN_ECONFIG);
    assert_string_equal(err.frame[0].text, "x: milestones is 0; it must be at least 1 (steps)");
    pieces.milestones.count = 1;
    pieces.learning_rates.count = 2;
    err = (cairn_error){0};
    assert_int_equal(crn_section_check(table, "x", &pieces, &err), CAIRN_ECONFIG);
    assert_string_equal(err.frame[0].text, "x: learning_rates is -1; it must be from 0 to 1000000");
    cairn_constant_lr_options constant = cairn_constant_lr_options_default();
    tk_assert_ok(crn_section_check(section("constant_lr"), "x", &constant, NULL), &err);
    constant.total_iters = cairn_int(0);
    assert_int_equal(crn_section_check(section("constant_lr"), "x", &constant, NULL),
                     CAIRN_ECONFIG);
    cairn_adafactor_options adafactor = cairn_adafactor_options_default();
    tk_assert_ok(crn_section_check(section("adafactor"), "x", &adafactor, NULL), &err);
    adafactor.beta1 = cairn_float(1.5);
    assert_int_equal(crn_section_check(section("adafactor"), "x", &adafactor, NULL), CAIRN_ECONFIG);
}

static void unknown_keys__get_the_nearest_name_or_the_way_to_find_it(void **state)
{
    (void)state;
    assert_section_refuses("adamw", "lr: 1.0\nweigth_decay: 0.1\n",
                           "p.yaml:2:1: unknown key 'weigth_decay' in optimizer.AdamW; did you "
                           "mean 'weight_decay'?\n");
    assert_section_refuses("adamw", "momentum: 0.1\n",
                           "p.yaml:1:1: unknown key 'momentum' in optimizer.AdamW; there are 'lr', "
                           "'betas', 'eps', 'weight_decay', 'correct_bias', 'amsgrad', "
                           "'params', 'adjust_learning_rate'\n");
    assert_section_refuses("load_checkpoint_states", "number: 3\n",
                           "p.yaml:1:1: unknown key 'number' in callbacks.LoadCheckpointStates; "
                           "the only one is 'load_checkpoint_states'\n");
    assert_section_refuses("gpt2", "fused: 1\n",
                           "p.yaml:1:1: unknown key 'fused' in model; `cairn help gpt2` lists "
                           "them\n");
}

static void wrong_values__are_all_reported_with_their_places(void **state)
{
    (void)state;
    assert_section_refuses(
        "adamw", "lr: 3e-4x\nbetas: 0.9\neps: [1]\nweight_decay: -1\ncorrect_bias:\n",
        "p.yaml:1:5: optimizer.AdamW.lr must be a number, not '3e-4x'\n"
        "p.yaml:2:8: optimizer.AdamW.betas must be a list of two numbers\n"
        "p.yaml:3:6: optimizer.AdamW.eps must be a number, not a list\n"
        "p.yaml:4:15: optimizer.AdamW.weight_decay is -1; it must be from 0 to 1000000\n"
        "p.yaml:5:14: optimizer.AdamW.correct_bias may not be null; leave it out for its "
        "default\n");
    assert_section_refuses("adamw", "betas: [0.9, 1.5]",
                           "p.yaml:1:14: optimizer.AdamW.betas is 1.5; it must be from 0 to "
                           "0.999999999\n");
    assert_section_refuses(
        "adamw", "lr: .nan",
        "p.yaml:1:5: optimizer.AdamW.lr is .nan; it must be from 0 to 1000000\n");
    assert_section_refuses("checkpoint", "steps: -5",
                           "p.yaml:1:8: trainer.init.checkpoint.steps is -5; it must be at least 0 "
                           "(steps)\n");
    assert_section_refuses("checkpoint", "steps: 99999999999999999999",
                           "p.yaml:1:8: trainer.init.checkpoint.steps is 99999999999999999999; it "
                           "must be at least 0 (steps)\n");
    assert_section_refuses("checkpoint", "steps: 1.5",
                           "p.yaml:1:8: trainer.init.checkpoint.steps must be an integer, not "
                           "1.5\n");
    assert_section_refuses("checkpoint", "steps: true",
                           "p.yaml:1:8: trainer.init.checkpoint.steps must be an integer, not the "
                           "bool 'true'\n");
    assert_section_refuses("checkpoint", "checkpoint_root: on",
                           "p.yaml:1:18: trainer.init.checkpoint.checkpoint_root must be a text, "
                           "but YAML reads on as a bool; quote it: 'on'\n");
    assert_section_refuses("checkpoint", "checkpoint_root: {}",
                           "p.yaml:1:18: trainer.init.checkpoint.checkpoint_root must be a text, "
                           "not a map\n");
    assert_section_refuses("gpt2", "nonlinearity: gelus",
                           "p.yaml:1:15: unknown value 'gelus' in model.nonlinearity; did you mean "
                           "'gelu'?\n");
    assert_section_refuses("gpt2", "norm_type: scalenorm",
                           "p.yaml:1:12: unknown value 'scalenorm' in model.norm_type; there are "
                           "'layernorm', 'rmsnorm'\n");
    assert_section_refuses("gpt2", "extra_attention_params: {num_kv_group: 2}",
                           "p.yaml:1:26: unknown key 'num_kv_group' in "
                           "model.extra_attention_params; did you mean 'num_kv_groups'?\n");
    assert_section_refuses("loop", "[1]",
                           "p.yaml:1:1: trainer.init.loop must be a map, not a "
                           "list\n");
}

static void a_nested_section__is_read_into_the_struct_and_has_defaults(void **state)
{
    (void)state;
    crn_diag diag = {0};
    cairn_gpt2_options gpt2;
    assert_true(
        read_section("gpt2", "extra_attention_params: {num_kv_groups: 4}", &gpt2, &diag, NULL));
    assert_int_equal(gpt2.extra_attention_params.num_kv_groups, 4);
    assert_int_equal(gpt2.pos_scaling_extra_args.original_max_position_embeddings, 8192);
    assert_true(read_section("gpt2", "extra_attention_params: null", &gpt2, &diag, NULL));
    assert_int_equal(gpt2.extra_attention_params.num_kv_groups, 1);
    assert_int_equal(cairn_gpt2_options_default().extra_attention_params.num_kv_groups, 1);
    crn_diag_dispose(&diag);
}

static void a_struct_read_with_errors__has_the_defaults_there(void **state)
{
    (void)state;
    crn_diag diag = {0};
    cairn_adamw_options adamw;
    assert_false(read_section("adamw", "lr: x\neps: 0.5\nbetas: [0.5, 2]", &adamw, &diag, NULL));
    assert_true(adamw.lr == 1e-3);
    assert_true(adamw.eps == 0.5);
    assert_true(adamw.betas.first == 0.9 && adamw.betas.second == 0.999);
    crn_diag_dispose(&diag);
}

static void required_options__must_be_there_and_not_null(void **state)
{
    (void)state;
    assert_section_refuses("linear_lr", "end_learning_rate: 0\ntotal_iters:\n",
                           "p.yaml:1:1: schedulers.LinearLR lacks 'initial_learning_rate', which "
                           "has no default\n"
                           "p.yaml:2:13: schedulers.LinearLR lacks 'total_iters', which has no "
                           "default\n");
}

static void both_spellings_of_an_option__are_refused(void **state)
{
    (void)state;
    assert_section_refuses("adamw", "lr: 1\nlearning_rate: 1\n",
                           "p.yaml:2:1: optimizer.AdamW has both 'lr' and 'learning_rate', which "
                           "are one option\n");
    assert_section_refuses("adamw", "learning_rate: 1\nlr: 1\n",
                           "p.yaml:1:1: optimizer.AdamW has both 'lr' and 'learning_rate', which "
                           "are one option\n");
}

static void keys_without_meaning__get_a_notice_each(void **state)
{
    (void)state;
    crn_diag diag = {0};
    cairn_precision_options options;
    assert_true(read_section("precision", "precision_opt_level: 0\nmax_gradient_norm: 1.0\n",
                             &options, &diag, NULL));
    assert_int_equal(diag.error_count, 0);
    assert_int_equal(crn_diag_check(&diag, NULL), CAIRN_OK);
    assert_problems(&diag, CRN_SEVERITY_NOTICE,
                    "p.yaml:1:22: trainer.init.precision.precision_opt_level has no effect: it "
                    "concerns Cerebras systems\n");
}

static void features_we_lack__are_refused_unless_they_are_off(void **state)
{
    (void)state;
    crn_diag diag = {0};
    cairn_count_params_options options;
    assert_true(read_section("count_params", "descending: true\nsearch_and_replace: null", &options,
                             &diag, NULL));
    assert_true(read_section("count_params", "search_and_replace: 'None'", &options, &diag, NULL));
    assert_true(read_section("count_params", "search_and_replace: false", &options, &diag, NULL));
    crn_diag_dispose(&diag);
    assert_section_refuses(
        "count_params", "{descending: true, search_and_replace: x}",
        "p.yaml:1:40: callbacks.CountParams.search_and_replace: this version lacks "
        "other names in the table of parameters\n");
}

static void numbers_stand_for_their_text__where_a_text_is_wanted(void **state)
{
    (void)state;
    crn_diag diag = {0};
    cairn_precision_options options;
    crn_doc *const doc = must_parse("loss_scaling_factor: 010\n");
    assert_true(
        crn_section_read(section("precision"), NULL, doc, crn_doc_root(doc), &options, &diag));
    assert_string_equal(options.loss_scaling_factor, "010");
    crn_doc_destroy(doc);
}

static void initializers__take_names_or_maps(void **state)
{
    (void)state;
    crn_diag diag = {0};
    cairn_gpt2_options options;
    char *json = NULL;
    assert_true(read_section("gpt2",
                             "initializer: {name: Truncated_Normal, std: 0.02}\n"
                             "embedding_initializer: xavier_uniform\n"
                             "output_layer_initializer: null\n",
                             &options, &diag, &json));
    assert_int_equal(options.initializer.kind, CAIRN_INIT_TRUNCATED_NORMAL);
    assert_true(options.initializer.mean == 0.0 && options.initializer.std == 0.02);
    assert_true(options.initializer.a == -2.0 && options.initializer.b == 2.0);
    assert_int_equal(options.embedding_initializer.kind, CAIRN_INIT_XAVIER_UNIFORM);
    assert_true(options.embedding_initializer.gain == 1.0);
    assert_int_equal(options.output_layer_initializer.kind, CAIRN_INIT_DEFAULT);
    assert_true(crn_starts_with(
        json, "{\"initializer\": {\"name\": \"Truncated_Normal\", \"std\": 0.02, \"mean\": 0.0, "
              "\"a\": -2.0, \"b\": 2.0}, \"embedding_initializer\": {\"name\": "
              "\"xavier_uniform\", \"gain\": 1.0}, \"output_layer_initializer\": null, "));
    crn_free(json);
    assert_errors(&diag, "");
    assert_section_refuses("gpt2", "initializer: {std: 1}",
                           "p.yaml:1:14: model.initializer lacks 'name', which has no default\n");
    assert_section_refuses("gpt2", "initializer: {name: normal, std: -1, a: 2}",
                           "p.yaml:1:38: unknown key 'a' in model.initializer; there are 'name', "
                           "'mean', 'std'\n"
                           "p.yaml:1:34: model.initializer.std is -1; it must be at least 0\n");
    assert_section_refuses("gpt2", "initializer: {name: uniform, a: 2}",
                           "p.yaml:1:14: model.initializer: a may not be above b\n");
    assert_section_refuses(
        "gpt2", "initializer: {name: normul}",
        "p.yaml:1:21: unknown initializer 'normul' in model.initializer; did you "
        "mean 'normal'?\n");
    assert_section_refuses("gpt2", "initializer: [normal]",
                           "p.yaml:1:14: model.initializer must be a text, not a list\n");
}

static void help__tells_name_default_meaning_and_range(void **state)
{
    (void)state;
    crn_str text = {0};
    crn_section_help(section("adamw"), &text);
    assert_string_equal(text.text,
                        "optimizer.AdamW: Adam with decoupled weight decay.\n"
                        "\n"
                        "  optimizer.AdamW.lr = 0.001\n"
                        "      Learning rate where no scheduler sets it.\n"
                        "      Allowed: from 0 to 1000000.\n"
                        "      Also written: learning_rate.\n"
                        "\n"
                        "  optimizer.AdamW.betas = [0.9, 0.999]\n"
                        "      Decay of the first and second moment.\n"
                        "      Allowed: from 0 to 0.999999999.\n"
                        "\n"
                        "  optimizer.AdamW.eps = 1e-06\n"
                        "      Added to the root of the second moment, before bias correction.\n"
                        "      Allowed: from 0 to 1.\n"
                        "\n"
                        "  optimizer.AdamW.weight_decay = 0\n"
                        "      Decoupled weight decay; biases and norms are not decayed.\n"
                        "      Allowed: from 0 to 1000000.\n"
                        "\n"
                        "  optimizer.AdamW.correct_bias = true\n"
                        "      Correct the bias of the moments.\n"
                        "\n"
                        "  optimizer.AdamW.amsgrad = false\n"
                        "      Use the largest second moment so far.\n"
                        "\n"
                        "  optimizer.AdamW.params: a section\n"
                        "      A list of {params: glob or globs, tag: text}: matching parameters "
                        "get the tag,\n"
                        "      and groups of their own.\n"
                        "\n"
                        "  optimizer.AdamW.adjust_learning_rate: a section\n"
                        "      A map of glob, or embedding or decoder_kernel, to a factor of the "
                        "learning\n"
                        "      rate.\n");
    crn_str_dispose(&text);
    crn_section_help(section("count_params"), &text);
    assert_non_null(strstr(text.text, "  Not in this version: search_and_replace.\n"));
    crn_str_dispose(&text);
    crn_section_help(section("PiecewiseConstantWD"), &text);
    assert_non_null(strstr(text.text, "  schedulers.PiecewiseConstantWD.vals  (required)\n"
                                      "      The values, one more than milestones.\n"));
    crn_str_dispose(&text);
    crn_section_help(section("linear_lr"), &text);
    assert_non_null(strstr(text.text, "  schedulers.LinearLR.total_iters  (required)\n"
                                      "      Steps from the first to the last value.\n"
                                      "      Allowed: at least 1 (steps).\n"));
    crn_str_dispose(&text);
    crn_section_help(section("logging"), &text);
    assert_non_null(strstr(text.text, "      One of: DEBUG, INFO, WARNING, ERROR.\n"));
    crn_str_dispose(&text);
}

static void classes__are_read_in_their_three_forms(void **state)
{
    (void)state;
    crn_diag diag = {0};
    crn_doc *const doc = must_parse("- A: {n: 1}\n- B:\n- C\n- D:\n  n: 1\n- [E]\n- {}\n- 5\n");
    static const char *const k_names[] = {"A", "B", "C"};
    crn_node *node = crn_doc_root(doc)->first;
    const char *name = NULL;
    crn_node *args = NULL;
    for (size_t i = 0; i < 3; i++, node = node->next) {
        assert_true(crn_node_class(doc, node, "callbacks", &name, &args, &diag));
        assert_string_equal(name, k_names[i]);
        assert_int_equal(args->kind, i == 0 ? CRN_NODE_MAP : CRN_NODE_NULL);
    }
    assert_json(crn_node_item(crn_doc_root(doc), 2), "{\"C\": null}");
    for (; node != NULL; node = node->next)
        assert_false(crn_node_class(doc, node, "callbacks", &name, &args, &diag));
    assert_errors(&diag,
                  "p.yaml:5:3: callbacks must be one class, but has the keys 'D' and 'n'; indent "
                  "the options of a class further than its name\n"
                  "p.yaml:6:3: callbacks must be one class, written 'Name: {...}', not a list\n"
                  "p.yaml:7:3: callbacks must be one class, written 'Name: {...}', not an empty "
                  "map\n"
                  "p.yaml:8:3: callbacks must be one class, written 'Name: {...}', not an "
                  "integer\n");
    crn_doc_destroy(doc);
}

static void closed_maps__are_checked_key_by_key(void **state)
{
    (void)state;
    static const char *const k_names[] = {"init", "fit", "validate"};
    crn_diag diag = {0};
    crn_doc *const doc = must_parse("inti: 1\nfit: 2\nother: 3\n");
    const crn_node *const root = crn_doc_root(doc);
    assert_true(crn_map_check_keys(NULL, "trainer", k_names, 3, &diag));
    assert_false(crn_map_check_keys(root, "trainer", k_names, 3, &diag));
    assert_false(crn_map_check_keys(root->first, "trainer", k_names, 3, &diag));
    assert_errors(&diag, "p.yaml:1:1: unknown key 'inti' in trainer; did you mean 'init'?\n"
                         "p.yaml:3:1: unknown key 'other' in trainer; there are 'init', 'fit', "
                         "'validate'\n"
                         "p.yaml:1:7: trainer must be a map, not an integer\n");
    crn_doc_destroy(doc);
}

static void ensure__makes_missing_containers_and_refuses_others(void **state)
{
    (void)state;
    crn_diag diag = {0};
    crn_doc *const doc = must_parse("a: 5\nb:\n");
    crn_node *const made = crn_doc_ensure_map(doc, NULL, "c", &diag);
    assert_non_null(made);
    assert_non_null(crn_doc_put_text(doc, made, "t", "x", false, &diag));
    assert_non_null(crn_doc_put_text(doc, made, "t", "y", false, &diag));
    assert_non_null(crn_doc_ensure_list(doc, crn_doc_root(doc), "b", &diag));
    assert_ptr_equal(crn_doc_ensure_map(doc, NULL, "c", &diag), made);
    assert_null(crn_doc_ensure_map(doc, NULL, "a", &diag));
    assert_null(crn_doc_ensure_map(doc, crn_node_get(crn_doc_root(doc), "a"), "x", &diag));
    assert_json(crn_doc_root(doc), "{\"a\": 5, \"b\": [], \"c\": {\"t\": \"y\"}}");
    assert_errors(&diag, "p.yaml:1:4: a must be a map, not an integer\n"
                         "p.yaml:1:4: 'x' belongs into a map, but here is an integer\n");
    crn_doc_destroy(doc);
}

static void no_memory__while_reading_is_reported(void **state)
{
    (void)state;
    bool was_reached = true;
    for (uint64_t n = 1; was_reached; n++) {
        crn_diag diag = {0};
        cairn_gpt2_options options;
        crn_doc *const doc = must_parse("initializer: normal\nname: 5\n");
        const uint64_t before = crn_mem_count();
        crn_mem_fail_at(n, 1);
        const bool is_clean =
            crn_section_read(section("gpt2"), NULL, doc, crn_doc_root(doc), &options, &diag);
        was_reached = crn_mem_count() - before >= n;
        crn_mem_fail_at(0, 0);
        assert_int_equal(is_clean, !was_reached);
        assert_int_equal(crn_diag_check(&diag, NULL), was_reached ? CAIRN_ENOMEM : CAIRN_OK);
        crn_diag_dispose(&diag);
        crn_doc_destroy(doc);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table__is_in_order),
        cmocka_unit_test(lint__finds_each_fault),
        cmocka_unit_test(defaults__are_those_of_the_model_zoo),
        cmocka_unit_test(an_empty_map__is_completed_with_all_defaults),
        cmocka_unit_test(sections_without_a_node__are_all_default),
        cmocka_unit_test(given_values__arrive_in_the_struct),
        cmocka_unit_test(bools__come_from_words_and_from_0_and_1),
        cmocka_unit_test(lists__keep_their_items_as_given),
        cmocka_unit_test(lists_of_numbers__are_read_and_held_to_their_range),
        cmocka_unit_test(check__holds_a_struct_to_the_ranges),
        cmocka_unit_test(unknown_keys__get_the_nearest_name_or_the_way_to_find_it),
        cmocka_unit_test(wrong_values__are_all_reported_with_their_places),
        cmocka_unit_test(a_nested_section__is_read_into_the_struct_and_has_defaults),
        cmocka_unit_test(a_struct_read_with_errors__has_the_defaults_there),
        cmocka_unit_test(required_options__must_be_there_and_not_null),
        cmocka_unit_test(both_spellings_of_an_option__are_refused),
        cmocka_unit_test(keys_without_meaning__get_a_notice_each),
        cmocka_unit_test(features_we_lack__are_refused_unless_they_are_off),
        cmocka_unit_test(numbers_stand_for_their_text__where_a_text_is_wanted),
        cmocka_unit_test(initializers__take_names_or_maps),
        cmocka_unit_test(help__tells_name_default_meaning_and_range),
        cmocka_unit_test(classes__are_read_in_their_three_forms),
        cmocka_unit_test(closed_maps__are_checked_key_by_key),
        cmocka_unit_test(ensure__makes_missing_containers_and_refuses_others),
        cmocka_unit_test(no_memory__while_reading_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
