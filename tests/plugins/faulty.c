/*
 * Plugins that are wrong in one way each: FAULT says in which. Compiled once a fault
 * (tests/CMakeLists.txt).
 */
#include <cairn/plugin/plugin.h>

struct options {
    int64_t number;
    int small;
};

static cairn_status make(const void *options, cairn_callback *out, cairn_error *err)
{
    (void)options;
    (void)out;
    return cairn_error_set(err, CAIRN_ECONFIG, "as asked");
}

#if defined(FAULT_FIELD)
static const cairn_option k_options[] = {
    CAIRN_OPTION_INT(struct options, small, 0, 0, 9, "", "An int where an int64_t belongs."),
};
#elif defined(FAULT_HELP)
static const cairn_option k_options[] = {
    CAIRN_OPTION_INT(struct options, number, 0, 0, 9, "", "no sentence"),
};
#elif defined(FAULT_DEFAULT)
static const cairn_option k_options[] = {
    CAIRN_OPTION_INT(struct options, number, 10, 0, 9, "", "Its default is not allowed."),
};
#else
static const cairn_option k_options[] = {
    CAIRN_OPTION_INT(struct options, number, 0, 0, 9, "", "A number."),
};
#endif

static const cairn_plugin_class k_classes[] = {
    CAIRN_CLASS_CALLBACK("Fails", "Its maker fails.", k_options, struct options, make),
#if defined(FAULT_TAKEN)
    CAIRN_CLASS_CALLBACK("KeepNCheckpoints", "A name of the library.", k_options, struct options,
                         make),
#elif defined(FAULT_TWICE)
    CAIRN_CLASS_CALLBACK("fails", "And again.", k_options, struct options, make),
#elif defined(FAULT_MAKE)
    CAIRN_CLASS_CALLBACK("Made", "By nobody.", k_options, struct options, NULL),
#elif defined(FAULT_KIND)
    {(cairn_plugin_kind)77, "Odd", "Of no kind.", NULL, 0, 0, make, NULL, NULL, NULL},
#endif
};

static const cairn_plugin k_plugin = {
#if defined(FAULT_SIZE)
    sizeof(cairn_plugin) + 8,
    CAIRN_PLUGIN_ABI,
    sizeof(cairn_plugin_class),
    sizeof(cairn_option),
#elif defined(FAULT_ABI)
    sizeof(cairn_plugin),
    CAIRN_PLUGIN_ABI + 1,
    sizeof(cairn_plugin_class),
    sizeof(cairn_option),
#else
    CAIRN_PLUGIN_HEAD,
#endif
    "faulty",
    k_classes,
    sizeof k_classes / sizeof k_classes[0]};

#if defined(FAULT_SYMBOL)
CAIRN_API const cairn_plugin *another_name(void);
const cairn_plugin *another_name(void)
{
    return &k_plugin;
}
#elif defined(FAULT_NULL)
const cairn_plugin *cairn_plugin_get(void)
{
    return k_plugin.abi == 0 ? &k_plugin : NULL;
}
#elif defined(FAULT_UNDEFINED)
const cairn_plugin *cairn_of_the_future(void);
const cairn_plugin *cairn_plugin_get(void)
{
    return k_plugin.abi == 0 ? &k_plugin : cairn_of_the_future();
}
#else
const cairn_plugin *cairn_plugin_get(void)
{
    return &k_plugin;
}
#endif
