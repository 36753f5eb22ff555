/* What the two halves of the header reader share: header_read.c and header_check.c. */
#ifndef CRN_FORMAT_HEADER_READ_H
#define CRN_FORMAT_HEADER_READ_H

#include "format/format.h"
#include "format/json.h"

enum { CRN_MESSAGE_SIZE = 200 };

/*
 * Writes "tensor 'NAME': WHAT, byte AT" to @message; without a tensor if @name is NULL, without a
 * place if @at is SIZE_MAX. @at counts from the start of the header, the message from that of the
 * file. Returns @code.
 */
crn_format_code crn_header_fail(char *message, crn_format_code code, const char *name,
                                size_t name_length, size_t at, const char *format, ...)
    CAIRN_PRINTF(6, 7);

/* Elements and bytes of @entry against its range; @end_max is the largest end that a file with
 * this header can have. */
crn_format_code crn_header_check_entry(const crn_file_entry *entry, uint64_t end, uint64_t end_max,
                                       size_t at, char *message);

/*
 * What only all of a header can show: names and keys that occur twice, then the coverage of the
 * data section. Sorts the entries by (begin, bytes). @order and @scratch have room for the larger
 * of the two counts.
 */
crn_format_code crn_header_check_all(crn_header *header, uint64_t data_bytes, uint32_t *order,
                                     uint32_t *scratch, char *message);

#endif
