#!/usr/bin/env python3
"""Prints event_records.h: records of TensorBoard's own Event messages, for event_test.c.

Needs the Python package tensorboard; run by hand when the test wants other records.
"""
import struct

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c


def record(event):
    body = event.SerializeToString(deterministic=True)
    length = struct.pack("<Q", len(body))
    return (length + struct.pack("<I", masked_crc32c(length)) + body
            + struct.pack("<I", masked_crc32c(body)))


def event(step=0, **what):
    return event_pb2.Event(wall_time=1700000000.25, step=step, **what)


def summary(*values):
    return summary_pb2.Summary(value=values)


def scalar(tag, value):
    return summary_pb2.Summary.Value(tag=tag, simple_value=value)


TEXT = summary_pb2.Summary.Value(
    tag="note", tensor=tensor_pb2.TensorProto(
        dtype="DT_STRING", string_val=[b"two\nlines"],
        tensor_shape=tensor_shape_pb2.TensorShapeProto()),
    metadata=summary_pb2.SummaryMetadata(
        plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="text"),
        data_class=summary_pb2.DATA_CLASS_TENSOR))
HISTOGRAM = summary_pb2.Summary.Value(
    tag="weights", histo=summary_pb2.HistogramProto(
        min=-1.5, max=-1.5, num=3, sum=-4.5, sum_squares=6.75, bucket_limit=[-1.5], bucket=[3]))

RECORDS = [
    ("version", event(file_version="brain.Event:2")),
    ("start", event(step=7, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))),
    ("scalars", event(step=300, summary=summary(
        scalar("loss", 8.3125), scalar("lr/0", 0.0), scalar("nan", float("nan"))))),
    ("text", event(step=1, summary=summary(TEXT))),
    ("histogram", event(step=2, summary=summary(HISTOGRAM))),
]

print("/* Written by event_records.py with tensorboard; do not edit. */")
print("/* clang-format off */")
for name, message in RECORDS:
    data = record(message)
    print("static const uint8_t k_%s_record[] = {" % name)
    for at in range(0, len(data), 16):
        print("    %s," % ", ".join("0x%02x" % byte for byte in data[at:at + 16]))
    print("};")
