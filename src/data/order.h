/*
 * The order of the samples of an epoch: a permutation of [0, count) that is computed place by
 * place, without a table.
 *
 * A Feistel network permutes the numbers of the smallest even count of bits that holds them all;
 * a result outside [0, count) is sent through again until it is inside (cycle walking: J. Black,
 * P. Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). The domain is below four
 * times the count, so that is soon. The rounds are Philox of (seed, CRN_STREAM_SHUFFLE, epoch).
 *
 * The result is part of what a resumed run relies on: it must never change (order_test.c).
 */
#ifndef CRN_DATA_ORDER_H
#define CRN_DATA_ORDER_H

#include <stdint.h>

/* The sample that stands at @place < @count of epoch @epoch; @count up to 2^62. Thread safe. */
uint64_t crn_order_at(uint64_t seed, uint64_t epoch, uint64_t count, uint64_t place);

#endif
