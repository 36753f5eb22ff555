/*
 * The golden files through the whole way of a reader: each is opened and verified, and refused
 * with the code that expected.json gives it. What is large, of another kind or changing is made
 * here; "caseNN" is the number in the table of [CF-60].
 */
#include "unit/ckpt/ckpt_kit.h"

#include <errno.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "format/format.h"

enum { CODE_SIZE = 40, GOLDEN_LEAST = 150 };

/* Opens and verifies; gives the code in the message, "OK", or "" for damage without a code. */
static void verdict_os(const crn_os *os, const char *path, char code[CODE_SIZE])
{
    cairn_error err = {0};
    cairn_checkpoint *ckpt = NULL;
    char text[2048] = "";
    cairn_status status = crn_checkpoint_open_os(os, path, &ckpt, &err);
    if (status == CAIRN_OK)
        status = cairn_checkpoint_verify(ckpt, NULL, NULL, &err);
    cairn_checkpoint_close(ckpt);
    code[0] = '\0';
    if (status == CAIRN_OK) {
        memcpy(code, "OK", sizeof "OK");
        return;
    }
    tk_assert_status(status, CAIRN_ECORRUPT, &err);
    (void)cairn_error_format(&err, text, sizeof text);
    const char *const at = strstr(text, "(E_");
    if (at != NULL)
        (void)snprintf(code, CODE_SIZE, "%.*s", (int)strcspn(at + 1, ")"), at + 1);
}

static void assert_verdict(const crn_os *os, const char *path, const char *expected)
{
    char code[CODE_SIZE];
    verdict_os(os, path, code);
    if (strcmp(code, expected) != 0)
        fail_msg("%s: expected '%s', got '%s'", path, expected, code);
}

static void write_header(const char *dir, const char *name, const char *json, const void *data,
                         size_t size)
{
    crn_str file = {0};
    uint8_t word[CRN_LENGTH_WORD_BYTES];
    for (size_t i = 0; i < sizeof word; i++)
        word[i] = (uint8_t)((uint64_t)strlen(json) >> (8 * i));
    crn_str_append_bytes(&file, word, sizeof word);
    crn_str_append(&file, json);
    crn_str_append_bytes(&file, data, size);
    assert_false(file.is_failed);
    tk_write_file(dir, name, file.text, file.length);
    crn_str_dispose(&file);
}

static void golden_path(char path[TK_PATH_SIZE], const char *name)
{
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    assert_non_null(source);
    assert_true(snprintf(path, TK_PATH_SIZE, "%s/tests/golden/%s", source, name) < TK_PATH_SIZE);
}

/* Found only when the data are read, where messages name places instead of codes. */
static bool is_verifiers(const char *code)
{
    return strcmp(code, "E_TENSOR_DIGEST") == 0 || strcmp(code, "E_PAD") == 0;
}

static void golden_files__have_their_codes(void **state)
{
    (void)state;
    char path[TK_PATH_SIZE];
    golden_path(path, "expected.json");
    json_t *const all = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(all);
    assert_true(json_object_size(all) >= GOLDEN_LEAST);
    for (void *at = json_object_iter(all); at != NULL; at = json_object_iter_next(all, at)) {
        const char *const code =
            json_string_value(json_object_get(json_object_iter_value(at), "code"));
        assert_non_null(code);
        golden_path(path, json_object_iter_key(at));
        assert_verdict(crn_os_posix(), path, is_verifiers(code) ? "" : code);
    }
    json_decref(all);
}

static void golden_files__cover_every_case(void **state)
{
    (void)state;
    enum { CASES = 52 };
    bool is_there[CASES + 1] = {false};
    char path[TK_PATH_SIZE];
    golden_path(path, "expected.json");
    json_t *const all = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(all);
    for (void *at = json_object_iter(all); at != NULL; at = json_object_iter_next(all, at)) {
        const json_t *const number = json_object_get(json_object_iter_value(at), "case");
        if (json_is_integer(number) && json_integer_value(number) <= CASES)
            is_there[json_integer_value(number)] = true;
    }
    json_decref(all);
    is_there[46] = is_there[50] = is_there[51] = is_there[52] = true; /* the tests below */
    for (size_t i = 1; i <= CASES; i++) {
        if (!is_there[i])
            fail_msg("no golden file of case %zu", i);
    }
}

static void golden_mixed__loads_what_was_saved(void **state)
{
    (void)state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    const cairn_load_options options = {.struct_size = sizeof options, .states = "optimizer"};
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const optimizer = ck_state(tree, "optimizer");
    const cairn_tensor *const moment =
        ck_add(optimizer, "embed.weight.exp_avg", CAIRN_DTYPE_F32, 7, 5);
    ck_allocate(tree);
    golden_path(path, "good/mixed.mdl");
    tk_assert_ok(ck_try_load(crn_os_posix(), path, tree, &options, NULL, &err), &err);
    const uint8_t *const bytes = moment->data;
    for (uint64_t i = 0; i < moment->bytes; i++)
        assert_int_equal(bytes[i], ck_byte(3 + 10, i)); /* seed 3, state 1, tensor 0 */
    cairn_state_tree_destroy(tree);
}

static void case46__a_million_and_one_tensors__are_too_many(void **state)
{
    const char *const dir = *state;
    enum { TENSORS = 1000001 };
    char path[TK_PATH_SIZE];
    crn_str json = {0};
    crn_str_append(&json, "{");
    for (int i = 0; i < TENSORS; i++)
        crn_str_printf(&json, "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                       i > 0 ? "," : "", i);
    crn_str_append(&json, "}");
    assert_false(json.is_failed);
    write_header(dir, "file", json.text, "", 0);
    crn_str_dispose(&json);
    assert_verdict(crn_os_posix(), tk_join(path, dir, "file"), "E_TOO_MANY");
}

static void case50__what_is_no_regular_file__is_refused_without_waiting(void **state)
{
    const char *const dir = *state;
    char path[TK_PATH_SIZE];
    char link[TK_PATH_SIZE];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_verdict(crn_os_posix(), dir, "E_NOT_REGULAR");
    assert_verdict(crn_os_posix(), "/dev/null", "E_NOT_REGULAR");
    assert_verdict(crn_os_posix(), "/dev/zero", "E_NOT_REGULAR");
    assert_int_equal(mkfifo(tk_join(path, dir, "fifo"), 0600), 0);
    assert_verdict(crn_os_posix(), path, "E_NOT_REGULAR");
    assert_int_equal(symlink("fifo", tk_join(link, dir, "link")), 0);
    assert_verdict(crn_os_posix(), link, "E_NOT_REGULAR");
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_true(strlen(tk_join(path, dir, "socket")) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (const struct sockaddr *)(const void *)&address, sizeof address), 0);
    assert_verdict(crn_os_posix(), path, "E_NOT_REGULAR");
    assert_int_equal(close(fd), 0);
}

static void case50__a_link_to_a_checkpoint__is_followed(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_checkpoint *ckpt = NULL;
    char path[TK_PATH_SIZE];
    char link[TK_PATH_SIZE];
    golden_path(path, "good/mixed.mdl");
    assert_int_equal(symlink(path, tk_join(link, dir, "link")), 0);
    assert_verdict(crn_os_posix(), link, "OK");
    assert_int_equal(symlink("nowhere", tk_join(link, dir, "broken")), 0);
    tk_assert_status(cairn_checkpoint_open(link, &ckpt, &err), CAIRN_ENOTFOUND, &err);
}

/* ---- A file that changes while it is read ---- */

/* The real table, but before read number @change_at the file @path gets another size. */
typedef struct changing_os {
    crn_os os;
    const char *path;
    int reads;
    int change_at; /* 0: never */
    int64_t by;
} changing_os;

static void change_before_read(changing_os *changing)
{
    if (++changing->reads == changing->change_at) {
        struct stat info;
        assert_int_equal(stat(changing->path, &info), 0);
        assert_int_equal(truncate(changing->path, info.st_size + changing->by), 0);
    }
}

static int read_and_change(const crn_os *os, int fd, void *buf, size_t size, uint64_t offset,
                           size_t *out_got)
{
    change_before_read(os->self);
    return crn_os_posix()->read_at(os, fd, buf, size, offset, out_got);
}

static int read_parts_and_change(const crn_os *os, int fd, const crn_os_part *parts, size_t count,
                                 uint64_t offset, size_t *out_got)
{
    change_before_read(os->self);
    return crn_os_posix()->read_parts(os, fd, parts, count, offset, out_got);
}

/* Writes the good file anew, reads it through @changing, and gives the number of reads. */
static int read_changing(const char *dir, int change_at, int64_t by, char code[CODE_SIZE])
{
    char good[TK_PATH_SIZE];
    char path[TK_PATH_SIZE];
    size_t size = 0;
    changing_os changing = {.os = *crn_os_posix(), .change_at = change_at, .by = by};
    changing.os.self = &changing;
    changing.os.read_at = read_and_change;
    changing.os.read_parts = read_parts_and_change;
    changing.path = tk_join(path, dir, "changing");
    golden_path(good, "good");
    char *const bytes = tk_read_file(good, "mixed.mdl", &size);
    tk_write_file(dir, "changing", bytes, size);
    free(bytes);
    verdict_os(&changing.os, path, code);
    return changing.reads;
}

static void case51__a_file_that_shrinks_or_grows_at_any_read__has_changed(void **state)
{
    const char *const dir = *state;
    static const int64_t k_changes[] = {-1, -4096, -12000, 1, 4096};
    char code[CODE_SIZE];
    const int reads = read_changing(dir, 0, 0, code);
    assert_string_equal(code, "OK");
    assert_true(reads > 10);
    for (size_t i = 0; i < sizeof k_changes / sizeof k_changes[0]; i++) {
        for (int at = 1; at <= reads; at++) {
            (void)read_changing(dir, at, k_changes[i], code);
            if (strstr("E_CHANGED E_TRUNCATED E_TRUNCATED_HEADER E_TRUNCATED_DATA E_TRAILING_DATA",
                       code) == NULL ||
                code[0] == '\0')
                fail_msg("read %d, %d bytes: '%s'", at, (int)k_changes[i], code);
        }
    }
}

static void case52__a_tensor_as_large_as_a_file_can_be__is_read_without_its_bytes(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_checkpoint *ckpt = NULL;
    char path[TK_PATH_SIZE];
    char json[200];
    uint64_t size = UINT64_C(1) << 60;
    int length = 0;
    (void)tk_join(path, dir, "file");
    /* File systems differ in how large a file they take. */
    for (;; size /= 2) {
        assert_true(size >= UINT64_C(1) << 32);
        length = snprintf(json, sizeof json,
                          "{\"model.a\":{\"dtype\":\"U8\",\"shape\":[%llu],"
                          "\"data_offsets\":[0,%llu]}}",
                          (unsigned long long)size, (unsigned long long)size);
        write_header(dir, "file", json, "", 0);
        if (truncate(path, (off_t)(size + CRN_LENGTH_WORD_BYTES + (uint64_t)length)) == 0)
            break;
        assert_true(errno == EFBIG || errno == EINVAL);
    }
    tk_assert_ok(cairn_checkpoint_open(path, &ckpt, &err), &err);
    assert_int_equal(cairn_checkpoint_tensor_at(ckpt, 0)->bytes, size);
    cairn_checkpoint_close(ckpt);
    write_header(dir, "file", json, "", 0);
    assert_verdict(crn_os_posix(), path, "E_TRUNCATED_DATA");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(golden_files__have_their_codes),
        T(golden_files__cover_every_case),
        T(golden_mixed__loads_what_was_saved),
        T(case46__a_million_and_one_tensors__are_too_many),
        T(case50__what_is_no_regular_file__is_refused_without_waiting),
        T(case50__a_link_to_a_checkpoint__is_followed),
        T(case51__a_file_that_shrinks_or_grows_at_any_read__has_changed),
        T(case52__a_tensor_as_large_as_a_file_can_be__is_read_without_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
