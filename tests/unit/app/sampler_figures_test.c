/* Which token comes next, beside the logits processors of transformers: the figures of
 * tests/numeric/make_sampler.py. */
#include "app/sampler.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kit/kit.h"

enum { VOCABULARY = 40, OCCURRED = 6, CASES = 14, DRAWS = 3000, SEED = 12 };

/* The figures have nine digits, and logits are floats: who comes so near to the edge between two
 * tokens is not asked. */
static const double k_edge = 1e-5;

struct figures {
    crn_sampler_options options;
    int32_t occurred[OCCURRED];
    float logits[VOCABULARY];
    double probabilities[VOCABULARY];
};

static void read_case(FILE *file, struct figures *f)
{
    f->options = (crn_sampler_options){.seed = SEED};
    assert_int_equal(fscanf(file, " options %lf %" SCNu64 " %lf %lf", &f->options.temperature,
                            &f->options.top_k, &f->options.top_p, &f->options.repetition_penalty),
                     4);
    assert_int_equal(fscanf(file, " occurred"), 0);
    for (int i = 0; i < OCCURRED; i++)
        assert_int_equal(fscanf(file, "%" SCNd32, &f->occurred[i]), 1);
    assert_int_equal(fscanf(file, " logits"), 0);
    for (int i = 0; i < VOCABULARY; i++)
        assert_int_equal(fscanf(file, "%f", &f->logits[i]), 1);
    assert_int_equal(fscanf(file, " probabilities"), 0);
    for (int i = 0; i < VOCABULARY; i++)
        assert_int_equal(fscanf(file, "%lf", &f->probabilities[i]), 1);
}

/* The order in which tokens divide the numbers from 0 to 1 among them: as they are, or the
 * likeliest first where only some may come. */
static void order_of(const struct figures *f, int order[VOCABULARY])
{
    const bool is_sorted = f->options.top_k > 0 || f->options.top_p < 1.0;
    for (int i = 0; i < VOCABULARY; i++) {
        int at = i;
        for (; is_sorted && at > 0 && f->probabilities[order[at - 1]] < f->probabilities[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

/* The token that the random number of @position stands for; -1: it is too near to an edge. */
static int expected_token(const struct figures *f, const int order[VOCABULARY], uint64_t position)
{
    uint32_t random[4];
    double end = 0.0;
    crn_philox(SEED, CRN_STREAM_SAMPLE, position, 0, random);
    const double number = crn_uniform_f64(random[0], random[1]);
    for (int i = 0; i < VOCABULARY; i++) {
        end += f->probabilities[order[i]];
        if (fabs(number - end) < k_edge)
            return -1;
        if (number < end)
            return order[i];
    }
    return -1;
}

static void check_case(const struct figures *f, int number)
{
    cairn_error err = {0};
    crn_sampler *sampler = NULL;
    int order[VOCABULARY];
    int asked = 0;
    order_of(f, order);
    tk_assert_ok(crn_sampler_new(&f->options, VOCABULARY, &sampler, &err), &err);
    for (int i = 0; i < OCCURRED; i++)
        crn_sampler_saw(sampler, f->occurred[i]);
    for (uint64_t i = 0; i < DRAWS; i++) {
        float logits[VOCABULARY];
        memcpy(logits, f->logits, sizeof logits);
        const int expected = expected_token(f, order, i);
        const int32_t token = crn_sampler_next(sampler, logits, i);
        if (expected >= 0 && token != expected)
            fail_msg("case %d, draw %" PRIu64 ": token %d instead of %d", number, i, token,
                     expected);
        asked += expected >= 0;
    }
    assert_true(asked > DRAWS * 99 / 100);
    crn_sampler_destroy(sampler);
}

static void the_tokens_are_those_that_transformers_probabilities_give(void **state)
{
    (void)state;
    char path[TK_PATH_SIZE];
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    (void)snprintf(path, sizeof path, "%s/tests/numeric/sampler.txt",
                   source != NULL ? source : ".");
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    for (int i = 0; i < CASES; i++) {
        struct figures f;
        read_case(file, &f);
        check_case(&f, i);
    }
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tokens_are_those_that_transformers_probabilities_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
