#include "loggers/event.h"

#include <event.pb-c.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

/* ---- CRC-32C ---- */

/* The CRC of each half byte: enough for records of a few hundred bytes, and small. */
static const uint32_t k_nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};

uint32_t crn_crc32c(const void *bytes, size_t size)
{
    const uint8_t *const data = bytes;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ k_nibbles[crc & 15];
        crc = crc >> 4 ^ k_nibbles[crc & 15];
    }
    return crc ^ 0xffffffffu;
}

uint32_t crn_crc32c_masked(const void *bytes, size_t size)
{
    const uint32_t crc = crn_crc32c(bytes, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- Histograms ---- */

static void sum_up(const float *values, size_t count, crn_histogram *out)
{
    for (size_t i = 0; i < count; i++) {
        const double value = (double)values[i];
        if (!isfinite(value))
            continue;
        if (out->count == 0.0 || value < out->min)
            out->min = value;
        if (out->count == 0.0 || value > out->max)
            out->max = value;
        out->count += 1.0;
        out->sum += value;
        out->sum_squares += value * value;
    }
}

void crn_histogram_make(const float *values, size_t count, crn_histogram *out)
{
    *out = (crn_histogram){0};
    sum_up(values, count, out);
    if (out->count == 0.0)
        return;
    if (out->min == out->max) {
        out->bucket_count = 1;
        out->limits[0] = out->max;
        out->buckets[0] = out->count;
        return;
    }
    const double width = (out->max - out->min) / CRN_HISTOGRAM_BUCKETS;
    out->bucket_count = CRN_HISTOGRAM_BUCKETS;
    for (size_t i = 0; i < CRN_HISTOGRAM_BUCKETS; i++)
        out->limits[i] =
            i + 1 < CRN_HISTOGRAM_BUCKETS ? out->min + width * (double)(i + 1) : out->max;
    for (size_t i = 0; i < count; i++) {
        const double value = (double)values[i];
        if (!isfinite(value))
            continue;
        size_t at = (size_t)((value - out->min) / width);
        at = at < CRN_HISTOGRAM_BUCKETS ? at : CRN_HISTOGRAM_BUCKETS - 1;
        out->buckets[at] += 1.0;
    }
}

/* ---- Records ---- */

struct crn_event_encoder {
    crn_str message;
    Crn__Summary__Value *values;
    size_t value_capacity;
    Crn__Summary__Value **pointers;
    size_t pointer_capacity;
};

crn_event_encoder *crn_event_encoder_new(void)
{
    return crn_calloc(1, sizeof(crn_event_encoder));
}

void crn_event_encoder_destroy(crn_event_encoder *encoder)
{
    if (encoder == NULL)
        return;
    crn_str_dispose(&encoder->message);
    crn_free(encoder->values);
    crn_free(encoder->pointers);
    crn_free(encoder);
}

static void append_little_endian(crn_str *out, uint64_t value, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    crn_str_append_bytes(out, bytes, size);
}

/* protobuf-c hands the message over piece by piece. */
struct sink {
    ProtobufCBuffer base;
    crn_str *out;
};

static void sink_append(ProtobufCBuffer *buffer, size_t size, const uint8_t *bytes)
{
    struct sink *const sink = (struct sink *)(void *)buffer;
    crn_str_append_bytes(sink->out, bytes, size);
}

static void append_record(crn_event_encoder *encoder, const Crn__Event *event, crn_str *out)
{
    struct sink sink = {.base = {.append = sink_append}, .out = &encoder->message};
    uint8_t length[8];
    encoder->message.length = 0;
    encoder->message.is_failed = false;
    (void)protobuf_c_message_pack_to_buffer(&event->base, &sink.base);
    const crn_str *const message = &encoder->message;
    if (message->is_failed) {
        out->is_failed = true;
        return;
    }
    for (size_t i = 0; i < sizeof length; i++)
        length[i] = (uint8_t)((uint64_t)message->length >> 8 * i);
    crn_str_append_bytes(out, length, sizeof length);
    append_little_endian(out, crn_crc32c_masked(length, sizeof length), 4);
    crn_str_append_bytes(out, message->text, message->length);
    append_little_endian(out, crn_crc32c_masked(message->text, message->length), 4);
}

static Crn__Event event_at(double wall_time, uint64_t step)
{
    Crn__Event event = CRN__EVENT__INIT;
    event.wall_time = wall_time;
    event.step = (int64_t)step;
    return event;
}

void crn_event_version(crn_event_encoder *encoder, double wall_time, crn_str *out)
{
    char version[] = "brain.Event:2";
    Crn__Event event = event_at(wall_time, 0);
    event.what_case = CRN__EVENT__WHAT_FILE_VERSION;
    event.file_version = version;
    append_record(encoder, &event, out);
}

void crn_event_start(crn_event_encoder *encoder, double wall_time, uint64_t step, crn_str *out)
{
    Crn__SessionLog log = CRN__SESSION_LOG__INIT;
    Crn__Event event = event_at(wall_time, step);
    log.status = CRN__SESSION_LOG__STATUS__START;
    event.what_case = CRN__EVENT__WHAT_SESSION_LOG;
    event.session_log = &log;
    append_record(encoder, &event, out);
}

/* An event with a summary of encoder->pointers[0..count). */
static void append_summary(crn_event_encoder *encoder, double wall_time, uint64_t step,
                           size_t count, crn_str *out)
{
    Crn__Summary summary = CRN__SUMMARY__INIT;
    Crn__Event event = event_at(wall_time, step);
    summary.n_value = count;
    summary.value = encoder->pointers;
    event.what_case = CRN__EVENT__WHAT_SUMMARY;
    event.summary = &summary;
    append_record(encoder, &event, out);
}

/* Room for @count values in encoder->values, each with its pointer; false: out of memory. */
static bool make_room(crn_event_encoder *encoder, size_t count)
{
    if (crn_grow(&encoder->values, &encoder->value_capacity, count, sizeof *encoder->values,
                 NULL) != CAIRN_OK ||
        crn_grow(&encoder->pointers, &encoder->pointer_capacity, count, sizeof *encoder->pointers,
                 NULL) != CAIRN_OK)
        return false;
    for (size_t i = 0; i < count; i++) {
        crn__summary__value__init(&encoder->values[i]);
        encoder->pointers[i] = &encoder->values[i];
    }
    return true;
}

/* protobuf-c only reads the texts of a message that it packs, though its fields are not const. */
static char *unconst(const char *text)
{
    union {
        const char *in;
        char *out;
    } both = {.in = text};
    return both.out;
}

void crn_event_scalars(crn_event_encoder *encoder, double wall_time, uint64_t step,
                       const crn_scalar *scalars, size_t count, crn_str *out)
{
    if (!make_room(encoder, count)) {
        out->is_failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        Crn__Summary__Value *const value = &encoder->values[i];
        value->tag = unconst(scalars[i].tag);
        value->value_case = CRN__SUMMARY__VALUE__VALUE_SIMPLE_VALUE;
        value->simple_value = scalars[i].value;
    }
    append_summary(encoder, wall_time, step, count, out);
}

void crn_event_text(crn_event_encoder *encoder, double wall_time, uint64_t step, const char *tag,
                    const char *text, crn_str *out)
{
    char plugin[] = "text";
    Crn__SummaryMetadata__PluginData data;
    Crn__SummaryMetadata metadata = CRN__SUMMARY_METADATA__INIT;
    Crn__TensorShapeProto shape = CRN__TENSOR_SHAPE_PROTO__INIT;
    Crn__TensorProto tensor = CRN__TENSOR_PROTO__INIT;
    ProtobufCBinaryData bytes = {.len = strlen(text), .data = (uint8_t *)unconst(text)};
    if (!make_room(encoder, 1)) {
        out->is_failed = true;
        return;
    }
    crn__summary_metadata__plugin_data__init(&data);
    data.plugin_name = plugin;
    metadata.plugin_data = &data;
    metadata.data_class = CRN__SUMMARY_METADATA__DATA_CLASS__DATA_CLASS_TENSOR;
    tensor.dtype = CRN__TENSOR_PROTO__DATA_TYPE__DT_STRING;
    tensor.tensor_shape = &shape;
    tensor.n_string_val = 1;
    tensor.string_val = &bytes;
    Crn__Summary__Value *const value = encoder->values;
    value->tag = unconst(tag);
    value->metadata = &metadata;
    value->value_case = CRN__SUMMARY__VALUE__VALUE_TENSOR;
    value->tensor = &tensor;
    append_summary(encoder, wall_time, step, 1, out);
}

void crn_event_histogram(crn_event_encoder *encoder, double wall_time, uint64_t step,
                         const char *tag, const crn_histogram *histogram, crn_str *out)
{
    Crn__HistogramProto proto = CRN__HISTOGRAM_PROTO__INIT;
    crn_histogram copy = *histogram; /* the message's fields are not const */
    if (!make_room(encoder, 1)) {
        out->is_failed = true;
        return;
    }
    proto.min = copy.min;
    proto.max = copy.max;
    proto.num = copy.count;
    proto.sum = copy.sum;
    proto.sum_squares = copy.sum_squares;
    proto.n_bucket_limit = copy.bucket_count;
    proto.bucket_limit = copy.limits;
    proto.n_bucket = copy.bucket_count;
    proto.bucket = copy.buckets;
    Crn__Summary__Value *const value = encoder->values;
    value->tag = unconst(tag);
    value->value_case = CRN__SUMMARY__VALUE__VALUE_HISTO;
    value->histo = &proto;
    append_summary(encoder, wall_time, step, 1, out);
}
