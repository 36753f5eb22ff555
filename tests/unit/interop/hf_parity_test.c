/*
 * Models that transformers made and computed with: tests/interop, made by make_fixtures.py. With
 * arguments, the folders that they name: tests/torture/test_transformers.py.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "interop/hf_model.h"
#include "kit/kit.h"

enum { LENGTH = 128, PROMPT = 8, NEW = 24 };

/* What transformers computed. */
struct expected {
    char *text;
    int32_t tokens[LENGTH];
    int32_t greedy[NEW];
};

static void read_ids(const char *text, const char *key, int32_t *out, int count)
{
    const char *at = strstr(text, key);
    assert_non_null(at);
    char *end = NULL;
    at += strlen(key);
    for (int i = 0; i < count; i++, at = end)
        out[i] = (int32_t)strtol(at, &end, 10);
}

static char *fixture(char path[TK_PATH_SIZE], const char *name)
{
    char rest[256];
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    (void)snprintf(rest, sizeof rest, "tests/interop/%s", name);
    return tk_join(path, source != NULL ? source : ".", rest);
}

static void check_logits(const crn_hf_model *m, const struct expected *e, int64_t vocabulary)
{
    float *const logits = crn_calloc((size_t)vocabulary, sizeof *logits);
    assert_non_null(logits);
    cairn_error err = {0};
    double largest = 0.0;
    double difference = 0.0;
    int rows = 0;
    for (const char *at = strstr(e->text, "logits "); at != NULL; at = strstr(at, "logits ")) {
        char *end = NULL;
        const long position = strtol(at + strlen("logits "), &end, 10);
        tk_assert_ok(
            m->model.ops->next_logits(m->model.self, e->tokens, position + 1, logits, &err), &err);
        for (int64_t i = 0; i < vocabulary; i++) {
            const double x = strtod(end, &end);
            largest = fmax(largest, fabs(x));
            difference = fmax(difference, fabs(x - (double)logits[i]));
        }
        at = end;
        rows++;
    }
    crn_free(logits);
    assert_int_equal(rows, 7);
    if (!(difference <= 1e-5 * largest))
        fail_msg("logits differ by %g, the largest is %g", difference, largest);
}

static void check_greedy(const crn_hf_model *m, const struct expected *e, int64_t vocabulary)
{
    float *const logits = crn_calloc((size_t)vocabulary, sizeof *logits);
    assert_non_null(logits);
    cairn_error err = {0};
    int32_t text[PROMPT + NEW];
    memcpy(text, e->tokens, PROMPT * sizeof *text);
    for (int i = 0; i < NEW; i++) {
        int64_t best = 0;
        tk_assert_ok(m->model.ops->next_logits(m->model.self, text, PROMPT + i, logits, &err),
                     &err);
        for (int64_t v = 1; v < vocabulary; v++)
            best = logits[v] > logits[best] ? v : best;
        text[PROMPT + i] = (int32_t)best;
        assert_int_equal(best, e->greedy[i]);
    }
    crn_free(logits);
}

static void check_folder(const char *path)
{
    cairn_error err = {0};
    crn_hf_model model;
    struct expected e = {.text = tk_read_file(path, "expected.txt", NULL)};
    read_ids(e.text, "tokens", e.tokens, LENGTH);
    read_ids(e.text, "greedy", e.greedy, NEW);
    const crn_folder folder = {.os = crn_os_posix(), .fd = tk_open_dir(path), .path = path};
    tk_assert_ok(crn_hf_model_import(&folder, NULL, CRN_HF_POSITIONS, &model, &err), &err);
    const int64_t vocabulary = model.model.ops->vocab_size(model.model.self);
    check_logits(&model, &e, vocabulary);
    check_greedy(&model, &e, vocabulary);
    crn_hf_model_dispose(&model);
    (void)close(folder.fd);
    free(e.text);
}

static void check(const char *name)
{
    char path[TK_PATH_SIZE];
    check_folder(fixture(path, name));
}

static void a_gpt2_gives_the_logits_and_the_greedy_tokens_of_transformers(void **state)
{
    (void)state;
    check("gpt2");
}

static void a_llama_with_groups_and_scaled_positions_gives_those_of_transformers(void **state)
{
    (void)state;
    check("llama");
}

static void a_llama_in_bf16_in_several_files_gives_those_of_transformers(void **state)
{
    (void)state;
    check("llama_sharded");
}

static void the_folder_gives_the_logits_and_the_greedy_tokens_of_transformers(void **state)
{
    check_folder(*state);
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        const struct CMUnitTest test = {
            .name = argv[i],
            .test_func = the_folder_gives_the_logits_and_the_greedy_tokens_of_transformers,
            .initial_state = argv[i]};
        failed += _cmocka_run_group_tests("folder", &test, 1, NULL, NULL);
    }
    if (argc > 1)
        return failed;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gpt2_gives_the_logits_and_the_greedy_tokens_of_transformers),
        cmocka_unit_test(a_llama_with_groups_and_scaled_positions_gives_those_of_transformers),
        cmocka_unit_test(a_llama_in_bf16_in_several_files_gives_those_of_transformers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
