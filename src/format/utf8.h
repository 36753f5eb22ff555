#ifndef CRN_FORMAT_UTF8_H
#define CRN_FORMAT_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Offset of the first byte that is not well-formed UTF-8 (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF); @size if all of it is. */
size_t crn_utf8_check(const uint8_t *text, size_t size);
/* Writes @code as UTF-8, 1 to 4 bytes; returns how many. */
size_t crn_utf8_encode(uint32_t code, uint8_t out[4]);

/* The character at the start of well-formed text, and how many bytes it has. */
uint32_t crn_utf8_decode(const char *text, size_t *out_length);

#endif
