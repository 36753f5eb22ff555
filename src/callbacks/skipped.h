/* What SkipSamples has left out, for the advice of SamplesStreamedInfo. */
#ifndef CRN_CALLBACKS_SKIPPED_H
#define CRN_CALLBACKS_SKIPPED_H

#include "cairn/callbacks.h"

/* Samples that the (first) SkipSamples of this run has left out so far; 0 without one. */
uint64_t crn_samples_skipped(cairn_trainer *trainer);

#endif
