/* What the values of a scheduler of a learning rate are called. Included many times: no guard. */
#define CRN_NAME_VALUE   learning_rate
#define CRN_NAME_INITIAL initial_learning_rate
#define CRN_NAME_END     end_learning_rate
#define CRN_NAME_VALUES  learning_rates
#define CRN_NAME_BASE    base_lr
#define CRN_NAME_MAX     max_lr
