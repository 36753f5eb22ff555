/* Rows become the fields of a struct. Included many times: no guard. */
/* clang-format off */
#define CRN_OPT_INT(name, preset, min, max, unit, help) int64_t name;
#define CRN_OPT_INT_NULL(name, min, max, unit, help) cairn_opt_int name;
#define CRN_OPT_FLOAT(name, preset, min, max, unit, help) double name;
#define CRN_OPT_FLOAT_NULL(name, min, max, unit, help) cairn_opt_float name;
#define CRN_OPT_NUMBER_NULL(name, min, max, unit, help) cairn_opt_number name;
#define CRN_OPT_NUMBER(name, preset, min, max, unit, help) cairn_opt_number name;
#define CRN_OPT_BOOL(name, preset, help) bool name;
#define CRN_OPT_BOOL_NULL(name, help) cairn_opt_bool name;
#define CRN_OPT_TEXT(name, preset, help) const char *name;
#define CRN_OPT_CHOICE(name, preset, choices, help) const char *name;
#define CRN_OPT_LIST(name, help) cairn_opt_list name;
#define CRN_OPT_INTS(name, min, max, unit, help) cairn_opt_ints name;
#define CRN_OPT_FLOATS(name, min, max, unit, help) cairn_opt_floats name;
#define CRN_OPT_PAIR(name, preset1, preset2, min, max, help) cairn_opt_pair name;
#define CRN_OPT_INIT(name, help) cairn_initializer name;
#define CRN_OPT_NESTED(name, section, help) cairn_##section##_options name;
#define CRN_OPT_NESTEDS(name, section, help) cairn_##section##_list name;
#define CRN_OPT_REQUIRED(name)
#define CRN_OPT_ALIAS(other, name)
#define CRN_OPT_NO_EFFECT(name, why)
#define CRN_OPT_LACKING(name, feature)
#define CRN_OPT_SECTION(name, help)
/* clang-format on */
