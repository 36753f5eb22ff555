/**
 * @file plugin/plugin.h  A shared object that brings classes of its own: callbacks, loggers,
 * models, data processors, optimizers.
 *
 * A configuration names the object, relative to the folder of the YAML file, and then uses its
 * classes as it uses those of the library:
 *
 *     trainer:
 *       init:
 *         plugins: [./my_callback.so]
 *         callbacks:
 *         - PrintNorm: {every: 10}
 *
 * The object defines one function, cairn_plugin_get, which returns a constant table:
 *
 *     struct print_norm_options { int64_t every; };
 *     static const cairn_option k_options[] = {
 *         CAIRN_OPTION_INT(struct print_norm_options, every, 1, 1, INT64_MAX, "steps",
 *                          "Print after every this many steps."),
 *     };
 *     static const cairn_plugin_class k_classes[] = {
 *         CAIRN_CLASS_CALLBACK("PrintNorm", "Prints the gradient norm.", k_options,
 *                              struct print_norm_options, print_norm_new),
 *     };
 *     static const cairn_plugin k_plugin = {CAIRN_PLUGIN_HEAD, "print_norm", k_classes, 1};
 *     const cairn_plugin *cairn_plugin_get(void) { return &k_plugin; }
 *
 * Options are read, checked and reported with line and column as those of a built-in class. An
 * object is never unloaded, so the constant texts that it hands out (reasons, names) stay good.
 * Everything is called on the trainer's thread. docs/guide/plugins.md tells how to build one.
 */
#ifndef CAIRN_PLUGIN_PLUGIN_H
#define CAIRN_PLUGIN_PLUGIN_H

#include "cairn/optim.h"
#include "cairn/options.h"
#include "cairn/plugin/callback.h"
#include "cairn/plugin/data.h"
#include "cairn/plugin/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Grows when a table of a plugin changes its meaning; what is only appended shows in the sizes. */
enum { CAIRN_PLUGIN_ABI = 1 };

/* ---- Options: a row each, as in cairn/options.h ---------------------------------------------- */

typedef enum cairn_option_kind {
    CAIRN_OPTION_KIND_INT,
    CAIRN_OPTION_KIND_INT_NULL,
    CAIRN_OPTION_KIND_FLOAT,
    CAIRN_OPTION_KIND_FLOAT_NULL,
    CAIRN_OPTION_KIND_BOOL,
    CAIRN_OPTION_KIND_TEXT,
    CAIRN_OPTION_KIND_CHOICE,
    CAIRN_OPTION_KIND_LIST,
    CAIRN_OPTION_KIND_PAIR,
    CAIRN_OPTION_KIND_INIT,
    CAIRN_OPTION_KIND_REQUIRED,
    CAIRN_OPTION_KIND_ALIAS
} cairn_option_kind;

/** One row; the macros below fill it. */
typedef struct cairn_option {
    cairn_option_kind kind;
    const char *name;    /**< Of the option, and of its field. */
    size_t offset;       /**< Of the field in the options struct. */
    size_t size;         /**< Of the field; must be that of the kind's type. */
    const char *unit;    /**< For messages, such as "steps"; may be "". */
    const char *choices; /**< CHOICE: "a|b|c". */
    const char *text;    /**< Default of TEXT and CHOICE. */
    int64_t integer;     /**< Default of INT and BOOL. */
    int64_t integer_min;
    int64_t integer_max;
    double number;  /**< Default of FLOAT; first of PAIR. */
    double number2; /**< Second of PAIR. */
    double number_min;
    double number_max;
    const char *help; /**< One sentence. ALIAS: the option meant. */
} cairn_option;

/* clang-format off */
#define CAIRN_OPTION_FIELD(type, field) #field, offsetof(type, field), sizeof(((type *)0)->field)

/** int64_t */
#define CAIRN_OPTION_INT(type, field, preset, min, max, unit, help)                                \
    {CAIRN_OPTION_KIND_INT, CAIRN_OPTION_FIELD(type, field), unit, NULL, NULL,                     \
     preset, min, max, 0.0, 0.0, 0.0, 0.0, help}
/** cairn_opt_int, null */
#define CAIRN_OPTION_INT_NULL(type, field, min, max, unit, help)                                   \
    {CAIRN_OPTION_KIND_INT_NULL, CAIRN_OPTION_FIELD(type, field), unit, NULL, NULL,                \
     0, min, max, 0.0, 0.0, 0.0, 0.0, help}
/** double */
#define CAIRN_OPTION_FLOAT(type, field, preset, min, max, unit, help)                              \
    {CAIRN_OPTION_KIND_FLOAT, CAIRN_OPTION_FIELD(type, field), unit, NULL, NULL,                   \
     0, 0, 0, preset, 0.0, min, max, help}
/** cairn_opt_float, null */
#define CAIRN_OPTION_FLOAT_NULL(type, field, min, max, unit, help)                                 \
    {CAIRN_OPTION_KIND_FLOAT_NULL, CAIRN_OPTION_FIELD(type, field), unit, NULL, NULL,              \
     0, 0, 0, 0.0, 0.0, min, max, help}
/** bool */
#define CAIRN_OPTION_BOOL(type, field, preset, help)                                               \
    {CAIRN_OPTION_KIND_BOOL, CAIRN_OPTION_FIELD(type, field), "", NULL, NULL,                      \
     preset, 0, 0, 0.0, 0.0, 0.0, 0.0, help}
/** const char *; a default of NULL is null */
#define CAIRN_OPTION_TEXT(type, field, preset, help)                                               \
    {CAIRN_OPTION_KIND_TEXT, CAIRN_OPTION_FIELD(type, field), "", NULL, preset,                    \
     0, 0, 0, 0.0, 0.0, 0.0, 0.0, help}
/** const char *, one of "a|b|c" */
#define CAIRN_OPTION_CHOICE(type, field, preset, choices, help)                                    \
    {CAIRN_OPTION_KIND_CHOICE, CAIRN_OPTION_FIELD(type, field), "", choices, preset,               \
     0, 0, 0, 0.0, 0.0, 0.0, 0.0, help}
/** cairn_opt_list, empty: one text or several */
#define CAIRN_OPTION_LIST(type, field, help)                                                       \
    {CAIRN_OPTION_KIND_LIST, CAIRN_OPTION_FIELD(type, field), "", NULL, NULL,                      \
     0, 0, 0, 0.0, 0.0, 0.0, 0.0, help}
/** cairn_opt_pair */
#define CAIRN_OPTION_PAIR(type, field, first, second, min, max, help)                              \
    {CAIRN_OPTION_KIND_PAIR, CAIRN_OPTION_FIELD(type, field), "", NULL, NULL,                      \
     0, 0, 0, first, second, min, max, help}
/** cairn_initializer, DEFAULT */
#define CAIRN_OPTION_INIT(type, field, help)                                                       \
    {CAIRN_OPTION_KIND_INIT, CAIRN_OPTION_FIELD(type, field), "", NULL, NULL,                      \
     0, 0, 0, 0.0, 0.0, 0.0, 0.0, help}
/** The option of that name, in another row, must be given. */
#define CAIRN_OPTION_REQUIRED(field)                                                               \
    {CAIRN_OPTION_KIND_REQUIRED, #field, 0, 0, "", NULL, NULL, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, ""}
/** Another spelling of an option in a row above. */
#define CAIRN_OPTION_ALIAS(field, other)                                                           \
    {CAIRN_OPTION_KIND_ALIAS, #other, 0, 0, "", NULL, NULL, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, #field}
/* clang-format on */

/* ---- Classes ----------------------------------------------------------------------------------
 */

typedef enum cairn_plugin_kind {
    CAIRN_PLUGIN_KIND_CALLBACK,  /**< For trainer.init.callbacks. */
    CAIRN_PLUGIN_KIND_LOGGER,    /**< For trainer.init.loggers; a callback too. */
    CAIRN_PLUGIN_KIND_MODEL,     /**< trainer.init.model.name; `name` itself is no option. */
    CAIRN_PLUGIN_KIND_DATA,      /**< data_processor; the loader has batch_size, shuffle,
                                      shuffle_seed, drop_last and prefetch_factor. */
    CAIRN_PLUGIN_KIND_OPTIMIZER, /**< trainer.init.optimizer */
    CAIRN_PLUGIN_KIND_COUNT
} cairn_plugin_kind;

/*
 * Each makes an object from its options, which are borrowed: texts in them live as long as the
 * trainer. On failure *out is untouched, and the error says why (cairn_error_set).
 */
typedef cairn_status (*cairn_make_callback_fn)(const void *options, cairn_callback *out,
                                               cairn_error *err);
typedef cairn_status (*cairn_make_model_fn)(const void *options, cairn_model *out,
                                            cairn_error *err);
typedef cairn_status (*cairn_make_data_fn)(const void *options, cairn_data *out, cairn_error *err);
typedef cairn_status (*cairn_make_optimizer_fn)(const void *options, cairn_optimizer *out,
                                                cairn_error *err);

/** A class; the macros below fill it. The functions of other kinds are NULL. */
typedef struct cairn_plugin_class {
    cairn_plugin_kind kind;
    const char *name;            /**< As the YAML writes it; case does not matter. */
    const char *help;            /**< One sentence. */
    const cairn_option *options; /**< [option_count]; NULL: none. */
    size_t option_count;
    size_t options_size; /**< Of the options struct; 0: none. */
    cairn_make_callback_fn make_callback;
    cairn_make_model_fn make_model;
    cairn_make_data_fn make_data;
    cairn_make_optimizer_fn make_optimizer;
} cairn_plugin_class;

/* clang-format off */
#define CAIRN_CLASS_OPTIONS(options, type)                                                         \
    options, sizeof(options) / sizeof((options)[0]), sizeof(type)

/** With options: a name, a sentence, the array of rows, the struct that they fill, the maker. */
#define CAIRN_CLASS_CALLBACK(name, help, options, type, make)                                      \
    {CAIRN_PLUGIN_KIND_CALLBACK, name, help, CAIRN_CLASS_OPTIONS(options, type),                   \
     make, NULL, NULL, NULL}
#define CAIRN_CLASS_LOGGER(name, help, options, type, make)                                        \
    {CAIRN_PLUGIN_KIND_LOGGER, name, help, CAIRN_CLASS_OPTIONS(options, type),                     \
     make, NULL, NULL, NULL}
#define CAIRN_CLASS_MODEL(name, help, options, type, make)                                         \
    {CAIRN_PLUGIN_KIND_MODEL, name, help, CAIRN_CLASS_OPTIONS(options, type),                      \
     NULL, make, NULL, NULL}
#define CAIRN_CLASS_DATA(name, help, options, type, make)                                          \
    {CAIRN_PLUGIN_KIND_DATA, name, help, CAIRN_CLASS_OPTIONS(options, type),                       \
     NULL, NULL, make, NULL}
#define CAIRN_CLASS_OPTIMIZER(name, help, options, type, make)                                     \
    {CAIRN_PLUGIN_KIND_OPTIMIZER, name, help, CAIRN_CLASS_OPTIONS(options, type),                  \
     NULL, NULL, NULL, make}
/** A callback without options; its maker gets NULL for them. */
#define CAIRN_CLASS_CALLBACK_PLAIN(name, help, make)                                               \
    {CAIRN_PLUGIN_KIND_CALLBACK, name, help, NULL, 0, 0, make, NULL, NULL, NULL}
#define CAIRN_CLASS_LOGGER_PLAIN(name, help, make)                                                 \
    {CAIRN_PLUGIN_KIND_LOGGER, name, help, NULL, 0, 0, make, NULL, NULL, NULL}
/* clang-format on */

/* ---- The plugin -------------------------------------------------------------------------------
 */

/** What cairn_plugin_get returns. Static, const. */
typedef struct cairn_plugin {
    size_t struct_size; /**< The first four: CAIRN_PLUGIN_HEAD. */
    uint32_t abi;
    size_t class_size;
    size_t option_size;
    const char *name; /**< For messages. */
    const cairn_plugin_class *classes;
    size_t class_count;
} cairn_plugin;

#define CAIRN_PLUGIN_HEAD                                                                          \
    sizeof(cairn_plugin), CAIRN_PLUGIN_ABI, sizeof(cairn_plugin_class), sizeof(cairn_option)

/** Name of the function that a shared object must have. */
#define CAIRN_PLUGIN_SYMBOL "cairn_plugin_get"

/** Defined by each plugin, not by libcairn. */
CAIRN_API const cairn_plugin *cairn_plugin_get(void);

#ifdef __cplusplus
}
#endif
#endif
