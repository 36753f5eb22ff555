/* Which token comes next. */
#include "app/sampler.h"

#include <math.h>
#include <string.h>

#include "kit/kit.h"

enum { VOCAB = 5, DRAWS = 20000 };

static const float k_logits[VOCAB] = {0.0F, 2.0F, 1.0F, -1.0F, 2.0F};

static crn_sampler_options plain(void)
{
    const crn_sampler_options options = {
        .temperature = 1.0, .top_p = 1.0, .repetition_penalty = 1.0, .seed = 7};
    return options;
}

static int32_t next_of(crn_sampler *sampler, uint64_t position)
{
    float logits[VOCAB];
    memcpy(logits, k_logits, sizeof logits);
    return crn_sampler_next(sampler, logits, position);
}

/* Shares of the tokens over many positions. */
static void shares_of(const crn_sampler_options *options, double shares[VOCAB])
{
    cairn_error err = {0};
    crn_sampler *sampler = NULL;
    tk_assert_status(crn_sampler_new(options, VOCAB, &sampler, &err), CAIRN_OK, &err);
    memset(shares, 0, VOCAB * sizeof *shares);
    for (uint64_t i = 0; i < DRAWS; i++)
        shares[next_of(sampler, i)] += 1.0 / DRAWS;
    crn_sampler_destroy(sampler);
}

/* Five standard deviations of a share. */
static void assert_share(double share, double expected)
{
    const double limit = 5.0 * sqrt(expected * (1.0 - expected) / DRAWS);
    if (!(fabs(share - expected) <= limit))
        fail_msg("share %g instead of %g", share, expected);
}

static void draws__follow_the_softmax_at_the_temperature(void **state)
{
    (void)state;
    crn_sampler_options options = plain();
    double shares[VOCAB];
    for (int hot = 0; hot < 2; hot++) {
        double sum = 0.0;
        options.temperature = hot ? 3.0 : 1.0;
        shares_of(&options, shares);
        for (int i = 0; i < VOCAB; i++)
            sum += exp((double)k_logits[i] / options.temperature);
        for (int i = 0; i < VOCAB; i++)
            assert_share(shares[i], exp((double)k_logits[i] / options.temperature) / sum);
    }
}

static void temperature_0__takes_the_first_of_the_likeliest(void **state)
{
    (void)state;
    crn_sampler_options options = plain();
    double shares[VOCAB];
    options.temperature = 0.0;
    shares_of(&options, shares);
    assert_true(shares[1] > 0.999);
}

static void top_k__leaves_the_k_likeliest_with_their_odds(void **state)
{
    (void)state;
    crn_sampler_options options = plain();
    double shares[VOCAB];
    options.top_k = 3;
    shares_of(&options, shares);
    const double sum = 2.0 * exp(2.0) + exp(1.0);
    assert_share(shares[1], exp(2.0) / sum);
    assert_share(shares[2], exp(1.0) / sum);
    assert_true(shares[0] == 0.0 && shares[3] == 0.0);
    options.top_k = 1;
    shares_of(&options, shares);
    assert_true(shares[1] > 0.999); /* Of equals the smaller. */
    options.top_k = 100;
    shares_of(&options, shares);
    assert_true(shares[3] > 0.0);
}

static void top_p__leaves_the_smallest_nucleus_that_reaches_it(void **state)
{
    (void)state;
    crn_sampler_options options = plain();
    double shares[VOCAB];
    /* Probabilities: 0.38 0.38 0.14 0.05 0.02. */
    options.top_p = 0.5;
    shares_of(&options, shares);
    assert_share(shares[1], 0.5);
    assert_share(shares[4], 0.5);
    options.top_p = 0.8;
    shares_of(&options, shares);
    assert_true(shares[2] > 0.0 && shares[0] == 0.0);
    options.top_p = 1e-9;
    shares_of(&options, shares);
    assert_true(shares[1] > 0.999); /* There is always one. */
}

static void repetition_penalty__lowers_positive_and_negative_logits_of_what_occurred(void **state)
{
    (void)state;
    cairn_error err = {0};
    crn_sampler *sampler = NULL;
    crn_sampler_options options = plain();
    float logits[VOCAB];
    options.repetition_penalty = 2.0;
    options.temperature = 0.0;
    tk_assert_status(crn_sampler_new(&options, VOCAB, &sampler, &err), CAIRN_OK, &err);
    assert_int_equal(next_of(sampler, 0), 1);
    crn_sampler_saw(sampler, 1);
    crn_sampler_saw(sampler, 3);
    crn_sampler_saw(sampler, -1); /* No token of the vocabulary: nothing. */
    crn_sampler_saw(sampler, VOCAB);
    assert_int_equal(next_of(sampler, 0), 4);
    memcpy(logits, k_logits, sizeof logits);
    (void)crn_sampler_next(sampler, logits, 0);
    assert_true(logits[1] == 1.0F && logits[3] == -2.0F && logits[2] == 1.0F);
    crn_sampler_destroy(sampler);
}

static void the_same_seed_and_position__give_the_same_token(void **state)
{
    (void)state;
    cairn_error err = {0};
    crn_sampler *one = NULL;
    crn_sampler *other = NULL;
    crn_sampler_options options = plain();
    int differences = 0;
    tk_assert_status(crn_sampler_new(&options, VOCAB, &one, &err), CAIRN_OK, &err);
    options.seed = 8;
    tk_assert_status(crn_sampler_new(&options, VOCAB, &other, &err), CAIRN_OK, &err);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(next_of(one, i), next_of(one, i));
        differences += next_of(one, i) != next_of(other, i);
    }
    assert_true(differences > 10);
    crn_sampler_destroy(one);
    crn_sampler_destroy(other);
}

static void options_out_of_range__are_configuration_errors(void **state)
{
    (void)state;
    crn_sampler_options bad[5];
    for (int i = 0; i < 5; i++)
        bad[i] = plain();
    bad[0].temperature = -0.1;
    bad[1].temperature = NAN;
    bad[2].top_p = 0.0;
    bad[3].top_p = 1.5;
    bad[4].repetition_penalty = 0.0;
    for (int i = 0; i < 5; i++) {
        cairn_error err = {0};
        crn_sampler *sampler = NULL;
        tk_assert_status(crn_sampler_new(&bad[i], VOCAB, &sampler, &err), CAIRN_ECONFIG, &err);
        assert_null(sampler);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws__follow_the_softmax_at_the_temperature),
        cmocka_unit_test(temperature_0__takes_the_first_of_the_likeliest),
        cmocka_unit_test(top_k__leaves_the_k_likeliest_with_their_odds),
        cmocka_unit_test(top_p__leaves_the_smallest_nucleus_that_reaches_it),
        cmocka_unit_test(repetition_penalty__lowers_positive_and_negative_logits_of_what_occurred),
        cmocka_unit_test(the_same_seed_and_position__give_the_same_token),
        cmocka_unit_test(options_out_of_range__are_configuration_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
