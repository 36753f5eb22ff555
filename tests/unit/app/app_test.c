/* The verbs as functions: what a stop before the training does. */
#include <stdio.h>
#include <string.h>

#include "cairn/app.h"
#include "kit/kit.h"

static const char k_params[] =
    "{trainer: {init: {seed: 1, model: {name: gpt2, vocab_size: 256, hidden_size: 8, num_heads: 1,"
    " num_hidden_layers: 1, filter_size: 8, max_position_embeddings: 4}, optimizer: {AdamW: {}},"
    " loop: {max_steps: 2, eval_frequency: 0}, checkpoint: {steps: 1}},"
    " fit: {train_dataloader: &d {data_dir: '%s', batch_size: 2, max_sequence_length: 4},"
    " val_dataloader: *d}}}\n";

struct polls {
    int count; /* so far */
    int stop;  /* at this one and later; 0: never */
};

static const char *stop_requested(void *user)
{
    struct polls *const polls = user;
    return ++polls->count >= polls->stop && polls->stop > 0 ? "SIGTERM" : NULL;
}

/* Writes params.yaml and its text into @dir. */
static cairn_app_request make_request(const char *dir, char params[TK_PATH_SIZE],
                                      char model_dir[TK_PATH_SIZE], struct polls *polls)
{
    char yaml[2048];
    char text[TK_PATH_SIZE];
    tk_write_text(dir, "text.txt", "a text of some forty bytes or a few more");
    (void)snprintf(yaml, sizeof yaml, k_params, tk_join(text, dir, "text.txt"));
    tk_write_text(dir, "params.yaml", yaml);
    return (cairn_app_request){.struct_size = sizeof(cairn_app_request),
                               .params_path = tk_join(params, dir, "params.yaml"),
                               .model_dir = tk_join(model_dir, dir, "run"),
                               .threads = 1,
                               .stop_requested = stop_requested,
                               .user = polls};
}

static void a_stop_while_data_are_read__ends_the_call_with_nothing_made(void **state)
{
    const char *const dir = *state;
    for (int stop = 1; stop <= 2; stop++) { /* after the training data, before the others */
        struct polls polls = {.stop = stop};
        char params[TK_PATH_SIZE];
        char model_dir[TK_PATH_SIZE];
        cairn_fit_result result;
        cairn_error err = {0};
        const cairn_app_request request = make_request(dir, params, model_dir, &polls);
        tk_assert_ok(cairn_app_fit(&request, &result, &err), &err);
        assert_int_equal(result.outcome, CAIRN_OUTCOME_STOPPED);
        assert_string_equal(result.reason, "SIGTERM");
        assert_int_equal(result.step, 0);
        assert_null(result.checkpoint);
        assert_false(tk_exists(dir, "run"));
        cairn_fit_result_dispose(&result);
    }
}

static void a_stop_while_data_are_read__of_a_validation_is_canceled(void **state)
{
    const char *const dir = *state;
    struct polls polls = {.stop = 1};
    char params[TK_PATH_SIZE];
    char model_dir[TK_PATH_SIZE];
    cairn_validate_result result;
    cairn_error err = {0};
    const cairn_app_request request = make_request(dir, params, model_dir, &polls);
    tk_assert_status(cairn_app_validate(&request, &result, &err), CAIRN_ECANCELED, &err);
    tk_assert_error_has(&err, "SIGTERM");
}

static void without_a_stop__it_trains(void **state)
{
    const char *const dir = *state;
    struct polls polls = {0};
    char params[TK_PATH_SIZE];
    char model_dir[TK_PATH_SIZE];
    cairn_fit_result result;
    cairn_error err = {0};
    const cairn_app_request request = make_request(dir, params, model_dir, &polls);
    tk_assert_ok(cairn_app_fit(&request, &result, &err), &err);
    assert_int_equal(result.outcome, CAIRN_OUTCOME_FINISHED);
    assert_int_equal(result.step, 2);
    assert_true(polls.count > 2);
    cairn_fit_result_dispose(&result);
}

#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_stop_while_data_are_read__ends_the_call_with_nothing_made),
        T(a_stop_while_data_are_read__of_a_validation_is_canceled),
        T(without_a_stop__it_trains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
