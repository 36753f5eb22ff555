/* Rows that the includer did not define become nothing. Included many times: no guard. */
#ifndef CRN_OPT_INT
#define CRN_OPT_INT(name, preset, min, max, unit, help)
#endif
#ifndef CRN_OPT_INT_NULL
#define CRN_OPT_INT_NULL(name, min, max, unit, help)
#endif
#ifndef CRN_OPT_FLOAT
#define CRN_OPT_FLOAT(name, preset, min, max, unit, help)
#endif
#ifndef CRN_OPT_FLOAT_NULL
#define CRN_OPT_FLOAT_NULL(name, min, max, unit, help)
#endif
#ifndef CRN_OPT_NUMBER_NULL
#define CRN_OPT_NUMBER_NULL(name, min, max, unit, help)
#endif
#ifndef CRN_OPT_NUMBER
#define CRN_OPT_NUMBER(name, preset, min, max, unit, help)
#endif
#ifndef CRN_OPT_BOOL
#define CRN_OPT_BOOL(name, preset, help)
#endif
#ifndef CRN_OPT_BOOL_NULL
#define CRN_OPT_BOOL_NULL(name, help)
#endif
#ifndef CRN_OPT_TEXT
#define CRN_OPT_TEXT(name, preset, help)
#endif
#ifndef CRN_OPT_CHOICE
#define CRN_OPT_CHOICE(name, preset, choices, help)
#endif
#ifndef CRN_OPT_LIST
#define CRN_OPT_LIST(name, help)
#endif
#ifndef CRN_OPT_INTS
#define CRN_OPT_INTS(name, min, max, unit, help)
#endif
#ifndef CRN_OPT_FLOATS
#define CRN_OPT_FLOATS(name, min, max, unit, help)
#endif
#ifndef CRN_OPT_PAIR
#define CRN_OPT_PAIR(name, preset1, preset2, min, max, help)
#endif
#ifndef CRN_OPT_INIT
#define CRN_OPT_INIT(name, help)
#endif
#ifndef CRN_OPT_NESTED
#define CRN_OPT_NESTED(name, section, help)
#endif
#ifndef CRN_OPT_NESTEDS
#define CRN_OPT_NESTEDS(name, section, help)
#endif
#ifndef CRN_OPT_REQUIRED
#define CRN_OPT_REQUIRED(name)
#endif
#ifndef CRN_OPT_ALIAS
#define CRN_OPT_ALIAS(other, name)
#endif
#ifndef CRN_OPT_NO_EFFECT
#define CRN_OPT_NO_EFFECT(name, why)
#endif
#ifndef CRN_OPT_LACKING
#define CRN_OPT_LACKING(name, feature)
#endif
#ifndef CRN_OPT_SECTION
#define CRN_OPT_SECTION(name, help)
#endif
