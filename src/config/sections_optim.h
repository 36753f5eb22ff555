/* The tables of optimizers and schedulers. Included once, by sections.c. */

#define CRN_OPT_STRUCT cairn_adamw_options
static const crn_row k_adamw_rows[] = {
#include "cairn/options/adamw.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_adam_options
static const crn_row k_adam_rows[] = {
#include "cairn/options/adam.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_sgd_options
static const crn_row k_sgd_rows[] = {
#include "cairn/options/sgd.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_adafactor_options
static const crn_row k_adafactor_rows[] = {
#include "cairn/options/adafactor.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_lion_options
static const crn_row k_lion_rows[] = {
#include "cairn/options/lion.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_lamb_options
static const crn_row k_lamb_rows[] = {
#include "cairn/options/lamb.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_muon_options
static const crn_row k_muon_rows[] = {
#include "cairn/options/muon.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_rmsprop_options
static const crn_row k_rmsprop_rows[] = {
#include "cairn/options/rmsprop.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_nadam_options
static const crn_row k_nadam_rows[] = {
#include "cairn/options/nadam.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_radam_options
static const crn_row k_radam_rows[] = {
#include "cairn/options/radam.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_adagrad_options
static const crn_row k_adagrad_rows[] = {
#include "cairn/options/adagrad.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_adamax_options
static const crn_row k_adamax_rows[] = {
#include "cairn/options/adamax.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_adadelta_options
static const crn_row k_adadelta_rows[] = {
#include "cairn/options/adadelta.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_asgd_options
static const crn_row k_asgd_rows[] = {
#include "cairn/options/asgd.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_rprop_options
static const crn_row k_rprop_rows[] = {
#include "cairn/options/rprop.def"
};
#undef CRN_OPT_STRUCT

#include "cairn/options/names_lr.h"

#define CRN_OPT_STRUCT cairn_constant_lr_options
static const crn_row k_constant_lr_rows[] = {
#include "cairn/options/constant_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_linear_lr_options
static const crn_row k_linear_lr_rows[] = {
#include "cairn/options/linear_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_polynomial_lr_options
static const crn_row k_polynomial_lr_rows[] = {
#include "cairn/options/polynomial_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_exponential_lr_options
static const crn_row k_exponential_lr_rows[] = {
#include "cairn/options/exponential_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_inverse_exponential_time_decay_lr_options
static const crn_row k_inverse_exponential_time_decay_lr_rows[] = {
#include "cairn/options/inverse_exponential_time_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_inverse_square_root_decay_lr_options
static const crn_row k_inverse_square_root_decay_lr_rows[] = {
#include "cairn/options/inverse_square_root_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_decay_lr_options
static const crn_row k_cosine_decay_lr_rows[] = {
#include "cairn/options/cosine_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_annealing_lr_options
static const crn_row k_cosine_annealing_lr_rows[] = {
#include "cairn/options/cosine_annealing_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_annealing_warm_restarts_options
static const crn_row k_cosine_annealing_warm_restarts_rows[] = {
#include "cairn/options/cosine_annealing_warm_restarts.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_step_lr_options
static const crn_row k_step_lr_rows[] = {
#include "cairn/options/step_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_multi_step_lr_options
static const crn_row k_multi_step_lr_rows[] = {
#include "cairn/options/multi_step_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_multiplicative_lr_options
static const crn_row k_multiplicative_lr_rows[] = {
#include "cairn/options/multiplicative_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_piecewise_constant_lr_options
static const crn_row k_piecewise_constant_lr_rows[] = {
#include "cairn/options/piecewise_constant_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cyclic_lr_options
static const crn_row k_cyclic_lr_rows[] = {
#include "cairn/options/cyclic_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_one_cycle_lr_options
static const crn_row k_one_cycle_lr_rows[] = {
#include "cairn/options/one_cycle_lr.def"
};
#undef CRN_OPT_STRUCT

#include "cairn/options/names_end.h"
#include "cairn/options/names_wd.h"

#define CRN_OPT_STRUCT cairn_constant_wd_options
static const crn_row k_constant_wd_rows[] = {
#include "cairn/options/constant_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_linear_wd_options
static const crn_row k_linear_wd_rows[] = {
#include "cairn/options/linear_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_polynomial_wd_options
static const crn_row k_polynomial_wd_rows[] = {
#include "cairn/options/polynomial_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_exponential_wd_options
static const crn_row k_exponential_wd_rows[] = {
#include "cairn/options/exponential_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_inverse_exponential_time_decay_wd_options
static const crn_row k_inverse_exponential_time_decay_wd_rows[] = {
#include "cairn/options/inverse_exponential_time_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_inverse_square_root_decay_wd_options
static const crn_row k_inverse_square_root_decay_wd_rows[] = {
#include "cairn/options/inverse_square_root_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_decay_wd_options
static const crn_row k_cosine_decay_wd_rows[] = {
#include "cairn/options/cosine_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_annealing_wd_options
static const crn_row k_cosine_annealing_wd_rows[] = {
#include "cairn/options/cosine_annealing_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_annealing_warm_restarts_wd_options
static const crn_row k_cosine_annealing_warm_restarts_wd_rows[] = {
#include "cairn/options/cosine_annealing_warm_restarts.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_step_wd_options
static const crn_row k_step_wd_rows[] = {
#include "cairn/options/step_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_multi_step_wd_options
static const crn_row k_multi_step_wd_rows[] = {
#include "cairn/options/multi_step_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_multiplicative_wd_options
static const crn_row k_multiplicative_wd_rows[] = {
#include "cairn/options/multiplicative_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_piecewise_constant_wd_options
static const crn_row k_piecewise_constant_wd_rows[] = {
#include "cairn/options/piecewise_constant_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cyclic_wd_options
static const crn_row k_cyclic_wd_rows[] = {
#include "cairn/options/cyclic_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_one_cycle_wd_options
static const crn_row k_one_cycle_wd_rows[] = {
#include "cairn/options/one_cycle_lr.def"
};
#undef CRN_OPT_STRUCT

#include "cairn/options/names_end.h"
