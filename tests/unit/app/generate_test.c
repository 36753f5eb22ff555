/* Texts come in whole characters. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cairn/app.h"
#include "format/utf8.h"
#include "kit/kit.h"

enum { CUTS_MAX = 4096, TOKENS = 1500 };

struct heard {
    crn_str text;
    size_t cuts[CUTS_MAX]; /* where a write ended */
    size_t cut_count;
};

static void hear(void *user, const char *bytes, size_t size)
{
    struct heard *const heard = user;
    crn_str_append_bytes(&heard->text, bytes, size);
    assert_true(heard->cut_count < CUTS_MAX);
    heard->cuts[heard->cut_count++] = heard->text.length;
}

/* Bytes of the character at @at; 1 too where there is none. */
static size_t character_at(const crn_str *text, size_t at)
{
    const uint8_t *const bytes = (const uint8_t *)text->text + at;
    for (size_t length = 2; length <= 4 && length <= text->length - at; length++) {
        if (bytes[0] >= 0xc0 && crn_utf8_check(bytes, length) == length)
            return length;
    }
    return 1;
}

static void a_character__is_never_written_in_parts(void **state)
{
    (void)state;
    static struct heard s_heard;
    char path[TK_PATH_SIZE];
    cairn_error err = {0};
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    size_t inside = 0;
    size_t wide = 0;
    assert_non_null(source);
    /* Its weights are random, so it writes random bytes, some of which are characters. */
    const cairn_generate_options options = {.struct_size = sizeof options,
                                            .checkpoint_path =
                                                tk_join(path, source, "tests/interop/gpt2"),
                                            .tokenizer = "bytes",
                                            .max_tokens = TOKENS,
                                            .temperature = 3,
                                            .top_p = 1,
                                            .repetition_penalty = 1,
                                            .seed = 1,
                                            .write = hear,
                                            .user = &s_heard};
    tk_assert_ok(cairn_app_generate(&options, &err), &err);
    for (size_t at = 0, next_cut = 0; at < s_heard.text.length;) {
        const size_t end = at + character_at(&s_heard.text, at);
        wide += end - at > 1 ? 1 : 0;
        for (; next_cut < s_heard.cut_count && s_heard.cuts[next_cut] < end; next_cut++)
            inside += s_heard.cuts[next_cut] > at ? 1 : 0;
        at = end;
    }
    assert_true(wide > 10);
    assert_true(s_heard.cut_count > TOKENS / 2);
    assert_int_equal(inside, 0);
    crn_str_dispose(&s_heard.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_character__is_never_written_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
