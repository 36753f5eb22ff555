/* config.json and the index of a Hugging Face folder, which others wrote. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "interop/hf_config.h"
#include "interop/hf_index.h"

static void read_index(const char *json, size_t size)
{
    crn_hf_index index;
    if (crn_hf_index_read(json, size, "index", ".safetensors", &index, NULL) == CAIRN_OK) {
        CHECK(index.place_count > 0 && index.files.count > 0);
        for (size_t i = 0; i < index.place_count; i++)
            CHECK(index.places[i].file < index.files.count);
        for (size_t i = 0; i < index.files.count; i++) {
            const char *const name = index.files.items[i];
            CHECK(strchr(name, '/') == NULL && name[0] != '.');
        }
    }
    crn_hf_index_dispose(&index);
}

/* What was taken can be written if the family has words for it, and reads as a configuration
 * again. */
static void check_options(const cairn_gpt2_options *options)
{
    crn_str written = {0};
    crn_doc *doc = NULL;
    crn_diag diag = {0};
    if (crn_hf_config_write(options, &written, NULL) == CAIRN_OK) {
        CHECK(crn_doc_parse("{model: {}}", 11, "again", &diag, &doc));
        crn_node *const model = crn_node_get(crn_doc_root(doc), "model");
        CHECK(crn_hf_config_read(written.text, written.length, "again", doc, model, NULL) ==
              CAIRN_OK);
    }
    crn_doc_destroy(doc);
    crn_diag_dispose(&diag);
    crn_str_dispose(&written);
}

static void read_config(const char *json, size_t size)
{
    crn_doc *doc = NULL;
    crn_diag diag = {0};
    cairn_gpt2_options options;
    CHECK(crn_doc_parse("{model: {}}", 11, "config", &diag, &doc));
    crn_node *const model = crn_node_get(crn_doc_root(doc), "model");
    if (crn_hf_config_read(json, size, "config.json", doc, model, NULL) == CAIRN_OK &&
        crn_section_read(crn_section_find("gpt2"), "model", doc, model, &options, &diag))
        check_options(&options);
    crn_diag_dispose(&diag);
    crn_doc_destroy(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *const json = fuzz_copy(data, size, false);
    read_index((const char *)json, size);
    read_config((const char *)json, size);
    free(json);
    return 0;
}
