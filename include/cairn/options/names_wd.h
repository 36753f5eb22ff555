/* What the values of a scheduler of weight decay are called. Included many times: no guard. */
#define CRN_NAME_VALUE   val
#define CRN_NAME_INITIAL initial_val
#define CRN_NAME_END     end_val
#define CRN_NAME_VALUES  vals
#define CRN_NAME_BASE    base_val
#define CRN_NAME_MAX     max_val
