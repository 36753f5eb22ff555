#include "tokenizer/trie.h"

#include "base/mem.h"
#include "base/try.h"

void crn_trie_dispose(crn_trie *trie)
{
    crn_map_dispose(&trie->edges);
    crn_free(trie->ends);
    *trie = (crn_trie){0};
}

cairn_status crn_trie_add(crn_trie *trie, const char *word, size_t size, uint32_t id,
                          cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint32_t node = 0;
    CRN_TRY_PLAIN(crn_grow(&trie->ends, &trie->capacity, trie->node_count + size + 1,
                           sizeof *trie->ends, err));
    if (trie->node_count == 0)
        trie->node_count = 1;
    for (size_t i = 0; i < size; i++) {
        uint32_t next = crn_trie_step(trie, node, (uint8_t)word[i]);
        if (next == 0) {
            next = (uint32_t)trie->node_count;
            CRN_TRY_PLAIN(
                crn_map_put(&trie->edges, (uint64_t)node << 8 | (uint8_t)word[i], next, err));
            trie->node_count++;
        }
        node = next;
    }
    trie->ends[node] = id + 1;
out:
    return rc;
}

uint32_t crn_trie_step(const crn_trie *trie, uint32_t node, uint8_t byte)
{
    uint32_t next = 0;
    (void)crn_map_get(&trie->edges, (uint64_t)node << 8 | byte, &next);
    return next;
}

bool crn_trie_end(const crn_trie *trie, uint32_t node, uint32_t *out_id)
{
    if (trie->ends[node] == 0)
        return false;
    *out_id = trie->ends[node] - 1;
    return true;
}

size_t crn_trie_longest(const crn_trie *trie, const char *text, size_t size, bool *out_is_open)
{
    size_t longest = 0;
    uint32_t node = 0;
    *out_is_open = false;
    if (trie->node_count == 0)
        return 0;
    for (size_t i = 0; i < size; i++) {
        node = crn_trie_step(trie, node, (uint8_t)text[i]);
        if (node == 0)
            return longest;
        if (trie->ends[node] != 0)
            longest = i + 1;
    }
    *out_is_open = true;
    return longest;
}
