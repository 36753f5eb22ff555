/* `cairn config schema`: what a configuration may hold, as JSON Schema for editors. */
#include <ctype.h>
#include <string.h>

#include "app/keys.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"

static void append_json(crn_str *out, const char *text)
{
    crn_str_append_json(out, text, strlen(text));
}

/* ---- Classes ---- */

static bool is_accepted(const crn_class *class)
{
    return class->make != NULL || class->is_harmless;
}

/* Names are compared without case: "[aA][dD]...". */
static void append_any_case(const char *name, crn_str *out)
{
    for (const char *p = name; *p != '\0'; p++) {
        const int upper = toupper((unsigned char)*p);
        const int lower = tolower((unsigned char)*p);
        if (upper != lower)
            crn_str_printf(out, "[%c%c]", lower, upper);
        else
            crn_str_printf(out, "%c", *p);
    }
}

static void append_key(const char *name, bool is_pattern, crn_str *out)
{
    if (!is_pattern) {
        append_json(out, name);
        return;
    }
    crn_str_append(out, "\"^");
    append_any_case(name, out);
    crn_str_append(out, "$\"");
}

static void append_options_of(const crn_class *class, crn_str *out)
{
    if (class->section != NULL)
        crn_str_printf(out, "{\"anyOf\":[{\"$ref\":\"#/definitions/%s\"},{\"type\":\"null\"}]}",
                       class->section);
    else if (crn_class_keys(class->name) != NULL)
        crn_str_printf(out, "{\"$ref\":\"#/definitions/%s\"}", class->name);
    else if (crn_is_flags(class->name))
        crn_str_append(out, "{\"type\":[\"object\",\"null\"],\"x-cairn\":\"flags\"}");
    else if (class->make == NULL)
        crn_str_append(out, "{\"x-cairn\":\"no effect\"}");
    else
        crn_str_append(out, "{\"type\":[\"object\",\"null\"],\"maxProperties\":0}");
}

/* What the registry's classes are, with the name as a key. */
static void append_properties(const crn_registry *registry, bool is_pattern, crn_str *out)
{
    const char *separator = "";
    for (size_t i = 0; i < registry->count; i++) {
        const crn_class *const class = &registry->classes[i];
        if (!is_accepted(class))
            continue;
        crn_str_append(out, separator);
        append_key(class->name, is_pattern, out);
        crn_str_append(out, ":");
        append_options_of(class, out);
        separator = ",";
    }
}

static void append_names(const crn_registry *registry, bool want_accepted, crn_str *out)
{
    const char *separator = "";
    crn_str_append(out, "[");
    for (size_t i = 0; i < registry->count; i++) {
        if (is_accepted(&registry->classes[i]) != want_accepted)
            continue;
        crn_str_append(out, separator);
        append_json(out, registry->classes[i].name);
        separator = ",";
    }
    crn_str_append(out, "]");
}

/* "^(Name|Name)$" in any case. */
static void append_names_pattern(const crn_registry *registry, crn_str *out)
{
    const char *separator = "\"^(";
    for (size_t i = 0; i < registry->count; i++) {
        if (!is_accepted(&registry->classes[i]))
            continue;
        crn_str_append(out, separator);
        append_any_case(registry->classes[i].name, out);
        separator = "|";
    }
    crn_str_append(out, ")$\"");
}

/* {Name: {options}} or the bare name. */
static void append_class(const crn_registry *registry, crn_str *out)
{
    crn_str_append(out, "{\"anyOf\":[{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":1,"
                        "\"additionalProperties\":false,\"properties\":{");
    append_properties(registry, false, out);
    crn_str_append(out, "},\"patternProperties\":{");
    append_properties(registry, true, out);
    crn_str_append(out, "}},{\"enum\":");
    append_names(registry, true, out);
    crn_str_append(out, "},{\"type\":\"string\",\"pattern\":");
    append_names_pattern(registry, out);
    crn_str_append(out, "}],\"x-lacking\":");
    append_names(registry, false, out);
    crn_str_append(out, "}");
}

/* Options of one of the classes: a key among them says of which. */
static void append_named(const crn_registry *registry, crn_str *out)
{
    const char *separator = "";
    crn_str_append(out, "{\"anyOf\":[");
    for (size_t i = 0; i < registry->count; i++) {
        const char *const section = registry->classes[i].section;
        bool is_done = section == NULL;
        for (size_t j = 0; j < i && !is_done; j++)
            is_done = registry->classes[j].section != NULL &&
                      strcmp(registry->classes[j].section, section) == 0;
        if (is_done)
            continue;
        crn_str_printf(out, "%s{\"$ref\":\"#/definitions/%s\"}", separator, section);
        separator = ",";
    }
    crn_str_append(out, "],\"x-names\":");
    append_names(registry, true, out);
    crn_str_append(out, ",\"x-lacking\":");
    append_names(registry, false, out);
    crn_str_append(out, "}");
}

/* ---- Keys ---- */

static void append_ref(const crn_registry *registry, crn_str *out)
{
    crn_str_printf(out, "{\"$ref\":\"#/definitions/%s\"}", registry->what);
}

static void append_key_type(const crn_key *key, crn_str *out)
{
    switch (key->kind) {
    case CRN_KEY_TEXT:
        crn_str_append(out, "\"type\":[\"string\",\"number\",\"null\"]");
        return;
    case CRN_KEY_TEXTS:
        crn_str_append(out, "\"type\":[\"string\",\"array\",\"null\"],"
                            "\"items\":{\"type\":\"string\"}");
        return;
    case CRN_KEY_COUNT:
        crn_str_append(out, "\"type\":[\"integer\",\"null\"],\"minimum\":0");
        return;
    case CRN_KEY_COUNTS:
        crn_str_append(out, "\"type\":[\"array\",\"null\"],"
                            "\"items\":{\"type\":\"integer\",\"minimum\":0}");
        return;
    case CRN_KEY_MAP:
        crn_str_append(out, "\"type\":[\"object\",\"null\"]");
        return;
    case CRN_KEY_SECTION:
        crn_str_printf(out, "\"anyOf\":[{\"$ref\":\"#/definitions/%s\"},{\"type\":\"null\"}]",
                       key->name);
        return;
    case CRN_KEY_NAMED:
    case CRN_KEY_CLASS:
        crn_str_append(out, "\"anyOf\":[");
        append_ref(key->registry, out);
        crn_str_append(out, ",{\"type\":\"null\"}]");
        return;
    case CRN_KEY_NAMEDS:
        crn_str_append(out, "\"anyOf\":[");
        append_ref(key->registry, out);
        crn_str_append(out, ",{\"type\":\"null\"},{\"type\":\"array\",\"items\":");
        append_ref(key->registry, out);
        crn_str_append(out, "}]");
        return;
    case CRN_KEY_CLASSES:
        crn_str_append(out, "\"type\":[\"array\",\"null\"],\"items\":");
        append_ref(key->registry, out);
        return;
    case CRN_KEY_LACKING:
        crn_str_append(out, "\"type\":\"null\",\"x-cairn\":\"lacking\"");
        return;
    }
}

/* Keys that hold other tables: @parts of them, in the order of the keys. */
static void append_table(const crn_key_table *table, const char *definition, crn_str *out)
{
    crn_str_append(out, "{\"type\":\"object\",\"title\":");
    append_json(out, table->name);
    crn_str_append(out, ",\"additionalProperties\":false,\"properties\":{");
    for (size_t i = 0; i < table->count; i++) {
        const crn_key *const key = &table->keys[i];
        crn_str_printf(out, "%s\"%s\":{", i > 0 ? "," : "", key->name);
        if (definition != NULL && key->kind == CRN_KEY_MAP)
            crn_str_printf(out, "\"anyOf\":[{\"$ref\":\"#/definitions/%s%s\"},{\"type\":\"null\"}]",
                           definition, key->name);
        else
            append_key_type(key, out);
        crn_str_append(out, ",\"description\":");
        append_json(out, key->help);
        crn_str_append(out, "}");
    }
    crn_str_append(out, "}}");
}

static void append_definition(const char *name, crn_str *out)
{
    crn_str_printf(out, ",\n\"%s\":", name);
}

static void append_tables(crn_str *out)
{
    append_definition("trainer", out);
    append_table(&crn_trainer_keys, "trainer.", out);
    append_definition("trainer.init", out);
    append_table(&crn_init_keys, NULL, out);
    append_definition("trainer.fit", out);
    append_table(&crn_fit_keys, NULL, out);
    append_definition("trainer.validate", out);
    append_table(&crn_validate_keys, NULL, out);
    append_definition("trainer.validate_all", out);
    append_table(&crn_validate_all_keys, NULL, out);
    for (size_t i = 0; i < crn_schedulers.count; i++) {
        const char *const name = crn_schedulers.classes[i].name;
        if (crn_class_keys(name) == NULL)
            continue;
        append_definition(name, out);
        append_table(crn_class_keys(name), NULL, out);
    }
}

cairn_status cairn_app_schema(char **out_text, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    static const crn_registry *const k_class_lists[] = {&crn_optimizers, &crn_schedulers,
                                                        &crn_callbacks, &crn_loggers};
    static const crn_registry *const k_named[] = {&crn_models, &crn_processors};
    size_t count = 0;
    const crn_section *const sections = crn_sections(&count);
    crn_str out = {0};
    crn_str_append(&out, "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\n"
                         "\"title\":\"Configuration of cairn\",\n\"definitions\":{\n"
                         "\"initializer\":");
    crn_init_schema(&out);
    for (size_t i = 0; i < count; i++) {
        append_definition(sections[i].name, &out);
        crn_section_schema(&sections[i], &out);
    }
    for (size_t i = 0; i < sizeof k_class_lists / sizeof k_class_lists[0]; i++) {
        append_definition(k_class_lists[i]->what, &out);
        append_class(k_class_lists[i], &out);
    }
    for (size_t i = 0; i < sizeof k_named / sizeof k_named[0]; i++) {
        append_definition(k_named[i]->what, &out);
        append_named(k_named[i], &out);
    }
    append_tables(&out);
    crn_str_append(&out, "},\n\"type\":\"object\",\"required\":[\"trainer\"],"
                         "\"additionalProperties\":false,\n\"properties\":{\"trainer\":{\"anyOf\":["
                         "{\"$ref\":\"#/definitions/trainer\"},{\"type\":\"array\",\"items\":"
                         "{\"type\":\"object\",\"additionalProperties\":false,"
                         "\"required\":[\"trainer\"],\"properties\":{\"trainer\":"
                         "{\"$ref\":\"#/definitions/trainer\"}}}}]}}}\n");
    *out_text = crn_str_take(&out);
    CRN_NEED(err, *out_text, "the schema");
out:
    crn_str_dispose(&out);
    return rc;
}
