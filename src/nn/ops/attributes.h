/* An operation's own data, kept inside its record. */
#ifndef CRN_NN_OPS_ATTRIBUTES_H
#define CRN_NN_OPS_ATTRIBUTES_H

#include <string.h>

#include "nn/op.h"

/* Reads the attributes that crn_tape_record copied, into @out of their type. */
#define CRN_OP_ATTRIBUTES(op, out)                                                                 \
    do {                                                                                           \
        _Static_assert(sizeof *(out) <= CRN_OP_ATTRIBUTES_SIZE, "attributes do not fit");          \
        memcpy((out), (op)->attributes, sizeof *(out));                                            \
    } while (0)

#endif
