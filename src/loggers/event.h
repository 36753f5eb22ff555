/*
 * Records of TensorBoard's event files: TFRecords of Event messages (event.proto).
 *
 * A record is the length of the message (8 bytes, little-endian), a masked CRC-32C of these bytes,
 * the message, and a masked CRC-32C of it (TensorFlow, lib/io/record_writer.h).
 */
#ifndef CRN_LOGGERS_EVENT_H
#define CRN_LOGGERS_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* CRC-32C (Castagnoli, RFC 3720), and as TensorFlow masks it. */
uint32_t crn_crc32c(const void *bytes, size_t size);
uint32_t crn_crc32c_masked(const void *bytes, size_t size);

enum { CRN_HISTOGRAM_BUCKETS = 30 }; /* as TensorBoard's own summaries have */

/* A distribution in buckets of equal width: buckets[i] counts from limits[i - 1] (the first: from
 * min) to limits[i]. One bucket if all values are equal. */
typedef struct crn_histogram {
    double min;
    double max;
    double count; /* finite values; others are left out */
    double sum;
    double sum_squares;
    size_t bucket_count; /* 0: no finite value */
    double limits[CRN_HISTOGRAM_BUCKETS];
    double buckets[CRN_HISTOGRAM_BUCKETS];
} crn_histogram;

void crn_histogram_make(const float *values, size_t count, crn_histogram *out);

typedef struct crn_scalar {
    const char *tag;
    float value; /* the format keeps no more */
} crn_scalar;

/* Makes records; keeps its memory, so that a step like the last one allocates nothing. */
typedef struct crn_event_encoder crn_event_encoder;

/* NULL: out of memory. */
crn_event_encoder *crn_event_encoder_new(void);
/* Accepts NULL. */
void crn_event_encoder_destroy(crn_event_encoder *encoder);

/*
 * Each appends a record to @out; a lack of memory shows there (crn_str_check).
 * @wall_time: seconds since 1970.
 */
/* What a file begins with. */
void crn_event_version(crn_event_encoder *encoder, double wall_time, crn_str *out);
/* Readers drop what earlier files say of @step and of later ones. */
void crn_event_start(crn_event_encoder *encoder, double wall_time, uint64_t step, crn_str *out);
void crn_event_scalars(crn_event_encoder *encoder, double wall_time, uint64_t step,
                       const crn_scalar *scalars, size_t count, crn_str *out);
void crn_event_text(crn_event_encoder *encoder, double wall_time, uint64_t step, const char *tag,
                    const char *text, crn_str *out);
void crn_event_histogram(crn_event_encoder *encoder, double wall_time, uint64_t step,
                         const char *tag, const crn_histogram *histogram, crn_str *out);

#endif
