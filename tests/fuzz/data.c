/* The heads of token shards and the text of data_subset. The first byte chooses. */
#include <string.h>

#include "data/shard.h"
#include "data/subset.h"
#include "fuzz/fuzz.h"

/* Bytes 1 to 8: the size of the file; 9: the size of tokens as the user says; then the head. */
static void check_shard(const uint8_t *data, size_t size)
{
    static const unsigned k_widths[] = {0, 2, 4};
    crn_shard_head head;
    uint64_t file_bytes = 0;
    if (size < sizeof file_bytes + 1)
        return;
    memcpy(&file_bytes, data, sizeof file_bytes);
    const unsigned width = k_widths[data[sizeof file_bytes] % 3];
    data += sizeof file_bytes + 1;
    size -= sizeof file_bytes + 1;
    if (size > CRN_SHARD_HEADER_BYTES)
        size = CRN_SHARD_HEADER_BYTES;
    uint8_t *const copy = fuzz_copy(data, size, false);
    if (crn_shard_head_read(copy, size, file_bytes, width, &head, NULL) == CAIRN_OK) {
        CHECK(head.token_bytes == 2 || head.token_bytes == 4);
        CHECK(width == 0 || head.token_bytes == width);
        CHECK(head.begin <= file_bytes);
        CHECK(head.tokens <= (file_bytes - head.begin) / head.token_bytes);
    }
    free(copy);
}

/* Every sample of a subset is one of the whole, and they rise. */
static void check_subset(const uint8_t *data, size_t size)
{
    crn_subset subset;
    uint16_t samples = 0;
    if (size < sizeof samples)
        return;
    memcpy(&samples, data, sizeof samples);
    uint8_t *const text = fuzz_copy(data + sizeof samples, size - sizeof samples, true);
    if (crn_subset_read((const char *)text, samples, &subset, NULL) == CAIRN_OK) {
        uint64_t last = 0;
        CHECK(subset.samples <= samples);
        for (uint64_t i = 0; i < subset.samples; i++) {
            const uint64_t at = crn_subset_at(&subset, i);
            CHECK(at < samples && (i == 0 || at > last));
            last = at;
        }
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        check_shard(data + 1, size - 1);
    else
        check_subset(data + 1, size - 1);
    return 0;
}
