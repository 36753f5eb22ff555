/* The two configurations printed in the Model Zoo reference, read section by section. */
#include "unit/config/config_kit.h"

static const char k_gpt_111m[] =
    "trainer:\n"
    "  init:\n"
    "    backend: {backend_type: CSX}\n"
    "    model:\n"
    "      name: gpt3\n"
    "      hidden_size: 768\n"
    "      position_embedding_type: learned\n"
    "      share_embedding_weights: true\n"
    "      max_position_embeddings: 2048\n"
    "      vocab_size: 50257\n"
    "      num_hidden_layers: 10\n"
    "      dropout_rate: 0.0\n"
    "      layer_norm_epsilon: 1.0e-05\n"
    "      num_heads: 12\n"
    "      attention_type: scaled_dot_product\n"
    "      attention_dropout_rate: 0.0\n"
    "      use_projection_bias_in_attention: true\n"
    "      use_ffn_bias_in_attention: true\n"
    "      filter_size: 3072\n"
    "      nonlinearity: gelu\n"
    "      use_ffn_bias: true\n"
    "      embedding_initializer: {mean: 0.0, name: truncated_normal, std: 0.02, a: -0.04, b: "
    "0.04}\n"
    "      initializer: {mean: 0.0, name: truncated_normal, std: 0.02, a: -0.04, b: 0.04}\n"
    "      output_layer_initializer: {mean: 0.0, name: truncated_normal, std: "
    "0.004472135954999579, "
    "a: -0.008944271909999158, b: 0.008944271909999158}\n"
    "      loss_scaling: batch_size\n"
    "      loss_weight: 0.00048828125\n"
    "      use_bias_in_output: false\n"
    "    optimizer:\n"
    "      AdamW: {betas: [0.9, 0.95], eps: 1.0e-08, weight_decay: 0.1, correct_bias: true}\n"
    "    schedulers:\n"
    "    - SequentialLR:\n"
    "        schedulers:\n"
    "        - LinearLR: {initial_learning_rate: 0.0, end_learning_rate: 0.0006, total_iters: "
    "1525}\n"
    "        - LinearLR: {initial_learning_rate: 0.0006, end_learning_rate: 6.0e-05, total_iters: "
    "7512}\n"
    "    precision: {enabled: true, fp16_type: bfloat16, precision_opt_level: 0, "
    "max_gradient_norm: 1.0, log_loss_scale: true}\n"
    "    loop: {max_steps: 9037, eval_frequency: 903, eval_steps: 1546}\n"
    "    checkpoint: {steps: 903, save_initial_checkpoint: false}\n"
    "    logging: {log_steps: 1}\n"
    "    callbacks:\n"
    "    - ComputeNorm: {}\n"
    "  fit:\n"
    "    train_dataloader: {data_processor: GptHDF5DataProcessor, batch_size: 120}\n"
    "    val_dataloader: &val_dataloader\n"
    "      data_processor: GptHDF5DataProcessor\n"
    "      data_dir: ./language/datasets/pile_original/hdf5_dataset/val_msl2048/\n"
    "      batch_size: 120\n"
    "      shuffle: false\n"
    "  validate: {val_dataloader: *val_dataloader}\n"
    "  validate_all: {val_dataloaders: *val_dataloader}\n";

static const char k_gpt2_small[] =
    "trainer:\n"
    "  init:\n"
    "    model_dir: ./model_dir\n"
    "    seed: 1\n"
    "    model: {name: gpt2, hidden_size: 768, vocab_size: 50257, position_embedding_type: "
    "learned,\n"
    "            share_embedding_weights: true, max_position_embeddings: 2048,\n"
    "            num_hidden_layers: 12, dropout_rate: 0.1, layer_norm_epsilon: 1.0e-5,\n"
    "            loss_scaling: num_tokens, loss_weight: 1.0, num_heads: 12,\n"
    "            attention_type: scaled_dot_product, attention_dropout_rate: 0.1,\n"
    "            use_projection_bias_in_attention: true, use_ffn_bias_in_attention: true,\n"
    "            filter_size: 3072, nonlinearity: gelu, use_ffn_bias: true,\n"
    "            use_bias_in_output: false}\n"
    "    optimizer: {AdamW: {betas: [0.9, 0.95], eps: 1.0e-8, weight_decay: 0.01}}\n"
    "    schedulers:\n"
    "    - SequentialLR:\n"
    "        schedulers:\n"
    "        - LinearLR: {initial_learning_rate: 0.0, end_learning_rate: 0.0006, total_iters: "
    "1600}\n"
    "        - LinearLR: {initial_learning_rate: 0.0006, end_learning_rate: 0.0, total_iters: "
    "150000}\n"
    "    precision: {enabled: true, fp16_type: cbfloat16, loss_scaling_factor: dynamic,\n"
    "                initial_loss_scale: 2147483648.0, max_loss_scale: 2147483648.0,\n"
    "                max_gradient_norm: 1.0}\n"
    "    loop: {max_steps: 151600, eval_steps: 32, eval_frequency: 10000}\n"
    "    checkpoint: {steps: 10000, save_initial_checkpoint: true}\n"
    "    logging: {log_steps: 100}\n";

struct configuration {
    crn_doc *doc;
    cairn_gpt2_options model;
    cairn_adamw_options adamw;
    cairn_linear_lr_options first;
    cairn_linear_lr_options second;
    cairn_precision_options precision;
    cairn_loop_options loop;
    cairn_checkpoint_options checkpoint;
    cairn_logging_options logging;
};

static void read_in(crn_doc *doc, const char *section, crn_node *node, void *out, crn_diag *diag)
{
    assert_non_null(node);
    if (!crn_section_read(crn_section_find(section), NULL, doc, node, out, diag))
        assert_errors(diag, "");
}

/* Reads every section that has a table; the doc is then complete. */
static void read_all(const char *yaml, struct configuration *c, crn_diag *diag)
{
    c->doc = must_parse(yaml);
    crn_node *const init = crn_node_get(crn_node_get(crn_doc_root(c->doc), "trainer"), "init");
    crn_node *const optimizer = crn_node_get(init, "optimizer");
    const crn_node *const sequence = crn_node_get(
        crn_node_get(crn_node_item(crn_node_get(init, "schedulers"), 0), "SequentialLR"),
        "schedulers");
    const char *name = NULL;
    crn_node *args = NULL;
    assert_true(crn_node_class(c->doc, optimizer, "optimizer", &name, &args, diag));
    read_in(c->doc, name, args, &c->adamw, diag);
    read_in(c->doc, "gpt2", crn_node_get(init, "model"), &c->model, diag);
    read_in(c->doc, "linear_lr", crn_node_item(sequence, 0)->first, &c->first, diag);
    read_in(c->doc, "linear_lr", crn_node_item(sequence, 1)->first, &c->second, diag);
    read_in(c->doc, "precision", crn_node_get(init, "precision"), &c->precision, diag);
    read_in(c->doc, "loop", crn_node_get(init, "loop"), &c->loop, diag);
    read_in(c->doc, "checkpoint", crn_node_get(init, "checkpoint"), &c->checkpoint, diag);
    read_in(c->doc, "logging", crn_node_get(init, "logging"), &c->logging, diag);
}

static void gpt_111m__is_read_without_an_error(void **state)
{
    (void)state;
    crn_diag diag = {0};
    struct configuration c;
    read_all(k_gpt_111m, &c, &diag);
    assert_int_equal(diag.error_count, 0);
    assert_int_equal(diag.notice_count, 1);
    assert_string_equal(c.model.name, "gpt3");
    assert_int_equal(c.model.num_hidden_layers, 10);
    assert_true(c.model.layer_norm_epsilon == 1e-5);
    assert_true(c.model.attention_dropout_rate.is_set);
    assert_int_equal(c.model.output_layer_initializer.kind, CAIRN_INIT_TRUNCATED_NORMAL);
    assert_true(c.model.output_layer_initializer.std == 0.004472135954999579);
    assert_true(c.model.output_layer_initializer.a == -0.008944271909999158);
    assert_string_equal(c.model.loss_scaling, "batch_size");
    assert_true(c.model.loss_weight == 1.0 / 2048.0);
    assert_true(c.adamw.betas.second == 0.95 && c.adamw.eps == 1e-8);
    assert_true(c.second.end_learning_rate == 6e-5);
    assert_int_equal(c.second.total_iters, 7512);
    assert_true(c.precision.enabled && c.precision.max_gradient_norm.value == 1.0);
    assert_int_equal(c.loop.eval_frequency.kind, CAIRN_NUMBER_INT);
    assert_int_equal(c.loop.eval_frequency.i, 903);
    assert_int_equal(c.checkpoint.steps.value, 903);
    const crn_node *const trainer = crn_node_get(crn_doc_root(c.doc), "trainer");
    assert_json(crn_node_get(trainer, "validate_all"),
                "{\"val_dataloaders\": {\"data_processor\": \"GptHDF5DataProcessor\", "
                "\"data_dir\": \"./language/datasets/pile_original/hdf5_dataset/val_msl2048/\", "
                "\"batch_size\": 120, \"shuffle\": false}}");
    crn_doc_destroy(c.doc);
    crn_diag_dispose(&diag);
}

static void gpt2_small__is_read_without_an_error(void **state)
{
    (void)state;
    crn_diag diag = {0};
    struct configuration c;
    read_all(k_gpt2_small, &c, &diag);
    assert_int_equal(diag.error_count, 0);
    assert_int_equal(diag.notice_count, 0);
    assert_string_equal(c.precision.fp16_type, "cbfloat16");
    assert_string_equal(c.precision.loss_scaling_factor, "dynamic");
    assert_true(c.precision.initial_loss_scale.value == 0x1p31);
    assert_int_equal(c.loop.max_steps.value, 151600);
    assert_true(c.checkpoint.save_initial_checkpoint);
    assert_int_equal(c.logging.log_steps, 100);
    crn_doc_destroy(c.doc);
    crn_diag_dispose(&diag);
}

static void the_resolved_configuration__reads_back_to_the_same_options(void **state)
{
    (void)state;
    static const char *const k_yamls[] = {k_gpt_111m, k_gpt2_small};
    for (size_t i = 0; i < 2; i++) {
        crn_diag diag = {0};
        struct configuration first;
        struct configuration second;
        crn_str json = {0};
        crn_str again = {0};
        read_all(k_yamls[i], &first, &diag);
        crn_node_to_json(crn_doc_root(first.doc), &json);
        read_all(json.text, &second, &diag);
        crn_node_to_json(crn_doc_root(second.doc), &again);
        assert_string_equal(json.text, again.text);
        assert_memory_equal(&first.adamw, &second.adamw, sizeof first.adamw);
        assert_memory_equal(&first.loop, &second.loop, sizeof first.loop);
        assert_memory_equal(&first.model.initializer, &second.model.initializer,
                            sizeof first.model.initializer);
        crn_str_dispose(&json);
        crn_str_dispose(&again);
        crn_doc_destroy(first.doc);
        crn_doc_destroy(second.doc);
        crn_diag_dispose(&diag);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt_111m__is_read_without_an_error),
        cmocka_unit_test(gpt2_small__is_read_without_an_error),
        cmocka_unit_test(the_resolved_configuration__reads_back_to_the_same_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
