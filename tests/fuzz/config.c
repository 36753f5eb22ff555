/* A whole configuration, as `cairn fit` and `cairn validate` read it; and a document that is none,
 * as the options of every section. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/app_config.h"
#include "base/mem.h"
#include "fuzz/fuzz.h"

/* What the conversion makes is a document with a trainer, or nothing. */
static void convert(const char *path)
{
    cairn_error err = {0};
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    char *text = NULL;
    const cairn_legacy_options options = {.struct_size = sizeof options, .params_path = path};
    const cairn_status status = cairn_app_convert_legacy(&options, &text, &err);
    CHECK(status == CAIRN_OK || status == CAIRN_ECONFIG);
    if (status == CAIRN_OK) {
        CHECK(crn_doc_parse(text, strlen(text), "new", &diag, &doc));
        CHECK(crn_node_get(crn_doc_root(doc), "trainer") != NULL);
    }
    crn_doc_destroy(doc);
    crn_diag_dispose(&diag);
    cairn_app_free(text);
}

/* The library opens a file; this one is in memory. */
static void read_as_file(const uint8_t *data, size_t size)
{
    static char s_path[64];
    static int s_fd = -1;
    if (s_fd < 0) {
        s_fd = memfd_create("params", MFD_CLOEXEC);
        CHECK(s_fd >= 0);
        (void)snprintf(s_path, sizeof s_path, "/proc/self/fd/%d", s_fd);
    }
    CHECK(ftruncate(s_fd, 0) == 0);
    CHECK(pwrite(s_fd, data, size, 0) == (ssize_t)size);
    for (int verb = CRN_VERB_FIT; verb <= CRN_VERB_VALIDATE_ALL; verb++) {
        cairn_error err = {0};
        crn_app_configs configs;
        const cairn_app_request request = {.struct_size = sizeof request, .params_path = s_path};
        const cairn_status status = crn_app_configs_read(&request, (crn_verb)verb, &configs, &err);
        CHECK(status == CAIRN_OK || status == CAIRN_ECONFIG);
        CHECK(status != CAIRN_OK || configs.count > 0);
        for (size_t i = 0; status == CAIRN_OK && i < configs.count; i++)
            CHECK(configs.items[i].model.options != NULL);
        crn_app_configs_dispose(&configs);
    }
    convert(s_path);
}

static void read_as_params(const uint8_t *data, size_t size)
{
    cairn_error err = {0};
    crn_app_config config;
    uint8_t *const text = fuzz_copy(data, size, true);
    const cairn_status status =
        crn_app_config_read_model((const char *)text, "file", &config, &err);
    CHECK(status == CAIRN_OK || status == CAIRN_ECONFIG || status == CAIRN_ECORRUPT ||
          status == CAIRN_EINCOMPATIBLE);
    crn_app_config_dispose(&config);
    free(text);
}

static void read_as_section(const crn_section *section, const uint8_t *data, size_t size)
{
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    void *const options = crn_calloc(1, section->struct_size);
    CHECK(options != NULL);
    if (crn_doc_parse(data, size, "file", &diag, &doc)) {
        const bool is_good =
            crn_section_read(section, NULL, doc, crn_doc_root(doc), options, &diag);
        CHECK(is_good == (diag.error_count == 0));
    }
    crn_diag_dispose(&diag);
    crn_doc_destroy(doc);
    crn_free(options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char k_mark[] = "trainer";
    if (size >= sizeof k_mark - 1 && memmem(data, size, k_mark, sizeof k_mark - 1) != NULL) {
        read_as_file(data, size);
        read_as_params(data, size);
        return 0;
    }
    size_t count = 0;
    const crn_section *const sections = crn_sections(&count);
    for (size_t i = 0; i < count; i++)
        read_as_section(&sections[i], data, size);
    return 0;
}
