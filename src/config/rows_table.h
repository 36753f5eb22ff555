/*
 * Rows become entries of a table of crn_row for the struct named by CRN_OPT_STRUCT. Included once
 * by sections.c; rows_end.h clears it.
 */
/* Rows may be named by a macro, so the name is expanded before it becomes a text. */
#define CRN_OPT_NAME(n)  #n
#define CRN_OPT_FIELD(n) .name = #n, .offset = offsetof(CRN_OPT_STRUCT, n)
#define CRN_OPT_INT(n, preset, min, max, unit_, help_)                                             \
    {.kind = CRN_ROW_INT,                                                                          \
     CRN_OPT_FIELD(n),                                                                             \
     .unit = unit_,                                                                                \
     .help = help_,                                                                                \
     .i = (preset),                                                                                \
     .i_min = (min),                                                                               \
     .i_max = (max)},
#define CRN_OPT_INT_NULL(n, min, max, unit_, help_)                                                \
    {.kind = CRN_ROW_INT_NULL,                                                                     \
     CRN_OPT_FIELD(n),                                                                             \
     .unit = unit_,                                                                                \
     .help = help_,                                                                                \
     .i_min = (min),                                                                               \
     .i_max = (max)},
#define CRN_OPT_FLOAT(n, preset, min, max, unit_, help_)                                           \
    {.kind = CRN_ROW_FLOAT,                                                                        \
     CRN_OPT_FIELD(n),                                                                             \
     .unit = unit_,                                                                                \
     .help = help_,                                                                                \
     .f = (preset),                                                                                \
     .f_min = (double)(min),                                                                       \
     .f_max = (double)(max)},
#define CRN_OPT_FLOAT_NULL(n, min, max, unit_, help_)                                              \
    {.kind = CRN_ROW_FLOAT_NULL,                                                                   \
     CRN_OPT_FIELD(n),                                                                             \
     .unit = unit_,                                                                                \
     .help = help_,                                                                                \
     .f_min = (double)(min),                                                                       \
     .f_max = (double)(max)},
#define CRN_OPT_NUMBER_NULL(n, min, max, unit_, help_)                                             \
    {.kind = CRN_ROW_NUMBER_NULL,                                                                  \
     CRN_OPT_FIELD(n),                                                                             \
     .unit = unit_,                                                                                \
     .help = help_,                                                                                \
     .f_min = (double)(min),                                                                       \
     .f_max = (double)(max)},
#define CRN_OPT_NUMBER(n, preset, min, max, unit_, help_)                                          \
    {.kind = CRN_ROW_NUMBER,                                                                       \
     CRN_OPT_FIELD(n),                                                                             \
     .unit = unit_,                                                                                \
     .help = help_,                                                                                \
     .f = (preset),                                                                                \
     .f_min = (double)(min),                                                                       \
     .f_max = (double)(max)},
#define CRN_OPT_BOOL(n, preset, help_)                                                             \
    {.kind = CRN_ROW_BOOL, CRN_OPT_FIELD(n), .unit = "", .help = help_, .b = (preset)},
#define CRN_OPT_BOOL_NULL(n, help_)                                                                \
    {.kind = CRN_ROW_BOOL_NULL, CRN_OPT_FIELD(n), .unit = "", .help = help_},
#define CRN_OPT_TEXT(n, preset, help_)                                                             \
    {.kind = CRN_ROW_TEXT, CRN_OPT_FIELD(n), .unit = "", .help = help_, .text = (preset)},
#define CRN_OPT_CHOICE(n, preset, choices_, help_)                                                 \
    {.kind = CRN_ROW_CHOICE,                                                                       \
     CRN_OPT_FIELD(n),                                                                             \
     .unit = "",                                                                                   \
     .help = help_,                                                                                \
     .choices = choices_,                                                                          \
     .text = (preset)},
#define CRN_OPT_LIST(n, help_) {.kind = CRN_ROW_LIST, CRN_OPT_FIELD(n), .unit = "", .help = help_},
#define CRN_OPT_INTS(n, min, max, unit_, help_)                                                    \
    {.kind = CRN_ROW_INTS,                                                                         \
     CRN_OPT_FIELD(n),                                                                             \
     .unit = unit_,                                                                                \
     .help = help_,                                                                                \
     .i_min = (min),                                                                               \
     .i_max = (max)},
#define CRN_OPT_FLOATS(n, min, max, unit_, help_)                                                  \
    {.kind = CRN_ROW_FLOATS,                                                                       \
     CRN_OPT_FIELD(n),                                                                             \
     .unit = unit_,                                                                                \
     .help = help_,                                                                                \
     .f_min = (double)(min),                                                                       \
     .f_max = (double)(max)},
#define CRN_OPT_PAIR(n, preset1, preset2, min, max, help_)                                         \
    {.kind = CRN_ROW_PAIR,                                                                         \
     CRN_OPT_FIELD(n),                                                                             \
     .unit = "",                                                                                   \
     .help = help_,                                                                                \
     .f = (preset1),                                                                               \
     .f2 = (preset2),                                                                              \
     .f_min = (double)(min),                                                                       \
     .f_max = (double)(max)},
#define CRN_OPT_INIT(n, help_) {.kind = CRN_ROW_INIT, CRN_OPT_FIELD(n), .unit = "", .help = help_},
#define CRN_OPT_NESTED(n, section_, help_)                                                         \
    {.kind = CRN_ROW_NESTED, CRN_OPT_FIELD(n), .unit = "", .help = help_, .text = #section_},
#define CRN_OPT_NESTEDS(n, section_, help_)                                                        \
    {.kind = CRN_ROW_NESTEDS, CRN_OPT_FIELD(n), .unit = "", .help = help_, .text = #section_},

/* Rows without a field. */
#define CRN_OPT_REQUIRED(n)                                                                        \
    {.kind = CRN_ROW_REQUIRED, .name = CRN_OPT_NAME(n), .unit = "", .help = ""},
#define CRN_OPT_ALIAS(other, n)   {.kind = CRN_ROW_ALIAS, .name = #n, .unit = "", .help = #other},
#define CRN_OPT_NO_EFFECT(n, why) {.kind = CRN_ROW_NO_EFFECT, .name = #n, .unit = "", .help = why},
#define CRN_OPT_LACKING(n, feature)                                                                \
    {.kind = CRN_ROW_LACKING, .name = #n, .unit = "", .help = feature},
#define CRN_OPT_SECTION(n, help_) {.kind = CRN_ROW_SECTION, .name = #n, .unit = "", .help = help_},
