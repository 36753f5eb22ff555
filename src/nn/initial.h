/* First values of tensors: pure functions of (seed, tensor's number, element). */
#ifndef CRN_NN_INITIAL_H
#define CRN_NN_INITIAL_H

#include "cairn/options.h"
#include "cairn/state.h"

/*
 * Fills fp32 @tensor through the write guard. The kinds mean what torch.nn.init says: bounds of
 * TRUNCATED_NORMAL are absolute, and 0, 0 stands for mean - 2 std, mean + 2 std; XAVIER takes the
 * last axis as fan in and the first as fan out. CAIRN_ECONFIG: the bounds hold no number.
 * CAIRN_EBUG: the kind is DEFAULT, which the model must have replaced.
 */
cairn_status crn_initialize(cairn_state_tree *tree, const cairn_tensor *tensor,
                            const cairn_initializer *initializer, uint64_t seed, uint64_t number,
                            cairn_error *err);

/* The number below which a normal variable stays with probability @p, 0 < p < 1: M. J. Wichura,
 * "Algorithm AS 241: The percentage points of the normal distribution", Applied Statistics 37
 * (1988), PPND16; relative error about 1e-16. */
double crn_normal_quantile(double p);

#endif
