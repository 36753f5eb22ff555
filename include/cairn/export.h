/** @file export.h  Marks what libcairn exports; everything else is hidden. */
#ifndef CAIRN_EXPORT_H
#define CAIRN_EXPORT_H

#define CAIRN_API      __attribute__((visibility("default")))
#define CAIRN_MUST_USE __attribute__((warn_unused_result))
#define CAIRN_PRINTF(format_index, first_index)                                                    \
    __attribute__((format(printf, format_index, first_index)))

#define CAIRN_VERSION_MAJOR 0
#define CAIRN_VERSION_MINOR 1
#define CAIRN_VERSION_PATCH 0
#define CAIRN_VERSION       "0.1.0"

#endif
