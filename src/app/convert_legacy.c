/* `cairn config convert_legacy`. */
#include <errno.h>
#include <string.h>

#include "app/app_config.h"
#include "app/legacy.h"
#include "base/mem.h"
#include "base/try.h"
#include "os/os.h"

/* The name of the new file: @out_path, or "NAME_v2.yaml" in it if it is a folder. */
static cairn_status name_output(const crn_os *os, const char *params_path, const char *out_path,
                                char **out_name, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str name = {0};
    int dir = -1;
    if (os->open(os, CRN_OS_CWD, out_path, CRN_OPEN_DIRECTORY, &dir) == 0) {
        const char *const slash = strrchr(params_path, '/');
        const char *const base = slash != NULL ? slash + 1 : params_path;
        const char *const end = strrchr(base, '.');
        const size_t length = end != NULL && end != base ? (size_t)(end - base) : strlen(base);
        (void)os->close(os, dir); /* nothing was done with it */
        crn_str_printf(&name, "%s/%.*s_v2.yaml", out_path, (int)length, base);
    } else {
        crn_str_append(&name, out_path);
    }
    *out_name = crn_str_take(&name);
    CRN_NEED(err, *out_name, "the name of the new file");
out:
    return rc;
}

static cairn_status write_new(const crn_os *os, const char *path, const char *text,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int fd = -1;
    int e = os->open(os, CRN_OS_CWD, path, CRN_OPEN_CREATE_NEW, &fd);
    if (e == EEXIST)
        CRN_FAIL(err, CAIRN_EEXISTS, "'%s' exists already and is left as it is", path);
    if (e == 0) {
        e = os->write_at(os, fd, text, strlen(text), 0);
        e = e != 0 ? e : os->sync(os, fd);
        const int closed = os->close(os, fd);
        e = e != 0 ? e : closed;
        if (e != 0)
            (void)os->unlink(os, CRN_OS_CWD, path); /* half a file is of no use to anybody */
    }
    if (e != 0)
        rc = crn_error_set(err, CAIRN_EIO, e, __FILE__, __LINE__, "cannot write '%s'", path);
out:
    return rc;
}

/* The file as a tree in the new layout. */
static bool convert(const cairn_legacy_options *options, const char *text, size_t size,
                    crn_doc **out, crn_diag *diag)
{
    const char *const path = options->params_path;
    if (!crn_doc_parse(text, size, path, diag, out))
        return false;
    const crn_node *const root = crn_doc_root(*out);
    if (crn_legacy_is(root))
        return crn_legacy_convert(*out, options->model_name, diag);
    if (crn_node_get(root, "trainer") != NULL)
        crn_diag_error_at(diag, path, 0, 0,
                          "this file has a trainer already; there is nothing to convert");
    else
        crn_diag_error_at(diag, path, 0, 0,
                          "this is no file of the Model Zoo's old layout: it has neither "
                          "train_input nor model, optimizer or runconfig");
    return false;
}

cairn_status cairn_app_convert_legacy(const cairn_legacy_options *options, char **out_text,
                                      cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    crn_str yaml = {0};
    char *text = NULL;
    char *made = NULL;
    char *path = NULL;
    size_t size = 0;
    CRN_TRY_PLAIN(crn_app_config_read_file(options->params_path, &text, &size, err));
    if (convert(options, text, size, &doc, &diag))
        crn_node_to_yaml(crn_doc_root(doc), true, &yaml);
    CRN_TRY_PLAIN(crn_app_config_conclude(options->log, options->params_path, &diag, err));
    made = crn_str_take(&yaml);
    CRN_NEED(err, made, "the new file");
    if (options->out_path != NULL) {
        CRN_TRY_PLAIN(name_output(os, options->params_path, options->out_path, &path, err));
        CRN_TRY_PLAIN(write_new(os, path, made, err));
    }
    *out_text = path != NULL ? path : made;
    path = NULL;
    made = options->out_path != NULL ? made : NULL;
out:
    crn_free(path);
    crn_free(made);
    crn_str_dispose(&yaml);
    crn_doc_destroy(doc);
    crn_free(text);
    crn_diag_dispose(&diag);
    return rc;
}
