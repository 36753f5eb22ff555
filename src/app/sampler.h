/* Which token comes next: choosing from logits. */
#ifndef CRN_APP_SAMPLER_H
#define CRN_APP_SAMPLER_H

#include <stdint.h>

#include "cairn/error.h"

typedef struct crn_sampler_options {
    double temperature;        /* 0: the likeliest token each time */
    uint64_t top_k;            /* only the k likeliest; 0: all */
    double top_p;              /* only the likeliest that together have this probability; 1: all */
    double repetition_penalty; /* logits of tokens that occurred are divided (above 0) or multiplied
                                  by it; 1: none */
    uint64_t seed;
} crn_sampler_options;

typedef struct crn_sampler crn_sampler;

/* CAIRN_ECONFIG: an option is out of range. */
cairn_status crn_sampler_check(const crn_sampler_options *options, cairn_error *err);
/* @out is yours: crn_sampler_destroy. CAIRN_ECONFIG: likewise. CAIRN_ENOMEM. */
cairn_status crn_sampler_new(const crn_sampler_options *options, int64_t vocab_size,
                             crn_sampler **out, cairn_error *err);
/* Accepts NULL. */
void crn_sampler_destroy(crn_sampler *sampler);

/* A new text: nothing has occurred. */
void crn_sampler_forget(crn_sampler *sampler);
/* The token occurs in the text: it is subject to the penalty from now on. */
void crn_sampler_saw(crn_sampler *sampler, int32_t token);

/*
 * The next token from logits[vocab_size], a function of them, of what occurred, the options and
 * @position, the number of the token. In this order: the penalty (N. Keskar et al., "CTRL", 2019),
 * the temperature, the k likeliest, then the nucleus (A. Holtzman et al., "The Curious Case of
 * Neural Text Degeneration", 2020), which always has one. Of equal logits the smaller token is the
 * likelier. Changes @logits.
 */
int32_t crn_sampler_next(crn_sampler *sampler, float *logits, uint64_t position);

#endif
