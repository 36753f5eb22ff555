/* The tree as JSON that is YAML too. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "config/config_priv.h"

/* Reads one UTF-8 sequence; returns its length, 0 if it is invalid. */
static size_t decode_utf8(const char *text, size_t left, uint32_t *code)
{
    static const uint32_t k_least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *const p = (const unsigned char *)text;
    const size_t size = p[0] < 0x80    ? 1
                        : p[0] < 0xc0  ? 0
                        : p[0] < 0xe0  ? 2
                        : p[0] < 0xf0  ? 3
                        : p[0] <= 0xf4 ? 4
                                       : 0;
    if (size == 0 || size > left)
        return 0;
    *code = size == 1 ? p[0] : p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (p[i] & 0x3fu);
    }
    const bool is_surrogate = *code >= 0xd800 && *code <= 0xdfff;
    return *code < k_least[size] || *code > 0x10ffff || is_surrogate ? 0 : size;
}

bool crn_text_is_utf8(const char *text)
{
    const size_t length = strlen(text);
    uint32_t code = 0;
    for (size_t i = 0; i < length;) {
        const size_t size = decode_utf8(text + i, length - i, &code);
        if (size == 0)
            return false;
        i += size;
    }
    return true;
}

/* Characters that YAML refuses, or takes for line breaks, are escaped; so are control bytes. */
static void append_text(crn_str *out, const char *text)
{
    const size_t length = strlen(text);
    size_t size = 0;
    crn_str_append(out, "\"");
    for (size_t i = 0; i<length; i += size> 0 ? size : 1) {
        uint32_t code = 0;
        size = decode_utf8(text + i, length - i, &code);
        if (size == 0)
            crn_str_append(out, "\xef\xbf\xbd"); /* U+FFFD, as it reads back */
        else if (code == '"' || code == '\\')
            crn_str_printf(out, "\\%c", (char)code);
        else if (code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
                 code == 0xfeff || code == 0xfffe || code == 0xffff)
            crn_str_printf(out, "\\u%04" PRIx32, code);
        else
            crn_str_append_bytes(out, text + i, size);
    }
    crn_str_append(out, "\"");
}

/* A float keeps its kind: it has a point even if it is whole (1.0, 1.0e-05). */
static void append_float(crn_str *out, double value)
{
    char digits[CRN_F64_TEXT_SIZE];
    (void)crn_f64_to_decimal(value, digits);
    if (!isfinite(value)) {
        crn_str_printf(out, "\"%s\"", digits);
        return;
    }
    const size_t mantissa = strcspn(digits, "e");
    crn_str_append_bytes(out, digits, mantissa);
    if (memchr(digits, '.', mantissa) == NULL)
        crn_str_append(out, ".0");
    crn_str_append(out, digits + mantissa);
}

void crn_node_to_json(const crn_node *node, crn_str *out)
{
    switch (node->kind) {
    case CRN_NODE_NULL:
        crn_str_append(out, "null");
        return;
    case CRN_NODE_BOOL:
        crn_str_append(out, node->b ? "true" : "false");
        return;
    case CRN_NODE_INT:
        if (node->is_big)
            append_float(out, node->f);
        else
            crn_str_printf(out, "%" PRId64, node->i);
        return;
    case CRN_NODE_FLOAT:
        append_float(out, node->f);
        return;
    case CRN_NODE_TEXT:
        append_text(out, node->text);
        return;
    case CRN_NODE_LIST:
    case CRN_NODE_MAP:
        break;
    }
    const bool is_map = node->kind == CRN_NODE_MAP;
    crn_str_append(out, is_map ? "{" : "[");
    for (const crn_node *child = node->first; child != NULL; child = child->next) {
        if (child != node->first)
            crn_str_append(out, ", ");
        if (is_map) {
            append_text(out, child->name);
            crn_str_append(out, ": ");
        }
        crn_node_to_json(child, out);
    }
    crn_str_append(out, is_map ? "}" : "]");
}
