// A program in C++17 with a class of its own: it registers a plugin table and fits from YAML.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include <cairn/app.h>
#include <cairn/data.h>
#include <cairn/model.h>
#include <cairn/plugin/plugin.h>

namespace {

struct counter_options {
    int64_t every;
};

const cairn_option k_options[] = {
    CAIRN_OPTION_INT(counter_options, every, 1, 1, INT64_MAX, "steps", "Counts every so often."),
};

int64_t g_hooks = 0;

struct counter {
    counter_options options;
};

cairn_status on_train_batch_end(void *self, const cairn_event *event, cairn_control *,
                                cairn_error *)
{
    if (event->step % static_cast<uint64_t>(static_cast<counter *>(self)->options.every) == 0)
        g_hooks++;
    return CAIRN_OK;
}

cairn_callback_ops make_ops()
{
    cairn_callback_ops ops = {};
    ops.struct_size = sizeof ops;
    ops.name = "Counter";
    ops.destroy = [](void *self) { delete static_cast<counter *>(self); };
    ops.on_train_batch_end = on_train_batch_end;
    return ops;
}

const cairn_callback_ops k_ops = make_ops();

cairn_status counter_new(const void *options, cairn_callback *out, cairn_error *)
{
    out->ops = &k_ops;
    out->self = new counter{*static_cast<const counter_options *>(options)};
    return CAIRN_OK;
}

const cairn_plugin_class k_classes[] = {
    CAIRN_CLASS_CALLBACK("Counter", "Counts steps.", k_options, counter_options, counter_new),
};

const cairn_plugin k_plugin = {CAIRN_PLUGIN_HEAD, "counter", k_classes, 1};

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const std::string folder = argv[2];
    const std::string params = folder + ".yaml";
    std::ofstream(params)
        << "trainer:\n"
           "  init:\n"
           "    seed: 1\n"
           "    model: {name: gpt2, vocab_size: 256, max_position_embeddings: 16, hidden_size: 16,\n"
           "      num_hidden_layers: 1, num_heads: 2, filter_size: 16, dropout_rate: 0.0}\n"
           "    optimizer: {AdamW: {}}\n"
           "    schedulers: [{ConstantLR: {learning_rate: 0.01}}]\n"
           "    loop: {max_steps: 5, eval_frequency: 0}\n"
           "    checkpoint: {steps: 5}\n"
           "    callbacks: [{Counter: {}}]\n"
           "  fit:\n"
           "    train_dataloader: {data_dir: '"
        << argv[1] << "', max_sequence_length: 16, batch_size: 2}\n";

    const cairn_plugin *const plugins[] = {&k_plugin};
    cairn_app_request request = {};
    cairn_fit_result result = {};
    cairn_error err = {};
    request.struct_size = sizeof request;
    request.params_path = params.c_str();
    request.model_dir = folder.c_str();
    request.threads = 1;
    request.plugins = plugins;
    request.plugin_count = 1;
    if (cairn_app_fit(&request, &result, &err) != CAIRN_OK) {
        char text[1024];
        cairn_error_format(&err, text, sizeof text);
        std::fprintf(stderr, "%s\n", text);
        return cairn_exit_code(err.status);
    }
    std::printf("%s step=%llu hooks=%lld\n",
                result.outcome == CAIRN_OUTCOME_FINISHED ? "finished" : "other",
                static_cast<unsigned long long>(result.step), static_cast<long long>(g_hooks));
    cairn_fit_result_dispose(&result);
    return 0;
}
