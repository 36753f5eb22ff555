/*
 * The structs of weight decay schedulers: those of learning rates under the YAML's other names,
 * laid out alike, so that one constructor serves both. For sections.c only.
 */
#ifndef CRN_CONFIG_OPTIONS_WD_H
#define CRN_CONFIG_OPTIONS_WD_H

#include "cairn/options.h"

#include "cairn/options/rows_struct.h"

#include "cairn/options/names_wd.h"
typedef struct cairn_constant_wd_options {
#include "cairn/options/constant_lr.def"
} cairn_constant_wd_options;
typedef struct cairn_linear_wd_options {
#include "cairn/options/linear_lr.def"
} cairn_linear_wd_options;
typedef struct cairn_polynomial_wd_options {
#include "cairn/options/polynomial_lr.def"
} cairn_polynomial_wd_options;
typedef struct cairn_exponential_wd_options {
#include "cairn/options/exponential_lr.def"
} cairn_exponential_wd_options;
typedef struct cairn_inverse_exponential_time_decay_wd_options {
#include "cairn/options/inverse_exponential_time_decay_lr.def"
} cairn_inverse_exponential_time_decay_wd_options;
typedef struct cairn_inverse_square_root_decay_wd_options {
#include "cairn/options/inverse_square_root_decay_lr.def"
} cairn_inverse_square_root_decay_wd_options;
typedef struct cairn_cosine_decay_wd_options {
#include "cairn/options/cosine_decay_lr.def"
} cairn_cosine_decay_wd_options;
typedef struct cairn_cosine_annealing_wd_options {
#include "cairn/options/cosine_annealing_lr.def"
} cairn_cosine_annealing_wd_options;
typedef struct cairn_cosine_annealing_warm_restarts_wd_options {
#include "cairn/options/cosine_annealing_warm_restarts.def"
} cairn_cosine_annealing_warm_restarts_wd_options;
typedef struct cairn_step_wd_options {
#include "cairn/options/step_lr.def"
} cairn_step_wd_options;
typedef struct cairn_multi_step_wd_options {
#include "cairn/options/multi_step_lr.def"
} cairn_multi_step_wd_options;
typedef struct cairn_multiplicative_wd_options {
#include "cairn/options/multiplicative_lr.def"
} cairn_multiplicative_wd_options;
typedef struct cairn_piecewise_constant_wd_options {
#include "cairn/options/piecewise_constant_lr.def"
} cairn_piecewise_constant_wd_options;
typedef struct cairn_cyclic_wd_options {
#include "cairn/options/cyclic_lr.def"
} cairn_cyclic_wd_options;
typedef struct cairn_one_cycle_wd_options {
#include "cairn/options/one_cycle_lr.def"
} cairn_one_cycle_wd_options;
#include "cairn/options/names_end.h"

#include "cairn/options/rows_end.h"

#endif
