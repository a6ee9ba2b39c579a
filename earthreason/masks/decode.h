/* Decoding of run-length texts to boundaries. Texts come from strangers: every byte is checked before it is used. */
#pragma once
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HAVE_BLOCKS 1
#endif

enum {
    NOT_RLE = -1,
    UNTERMINATED = -2,
    NEGATIVE_OR_LONG = -3,
    PAST_THE_END = -4,
    TOO_SHORT = -5,
    NOT_SHORTEST = -6,
};

enum { MOST_CHARACTERS = 7, LAST_OF_MOST = 3 }; /* pycocotools reads 32 bits: six characters and two bits */

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

typedef struct {
    const uint8_t *text;
    int64_t at, stop;          /* next character, end of the text */
    int64_t total;             /* pixels of the mask */
    int64_t n, position;       /* runs so far, and where the last one ended */
    int64_t previous, earlier; /* lengths of the last two runs */
} Decoder;

/* Decode until `limit` runs or the end of the text; return 0 or a fault. */
static int decode_some(Decoder *d, int64_t limit, int64_t *boundaries) {
    while (d->at < d->stop && d->n < limit) {
        uint64_t bits = 0;
        unsigned digit, before = 0, characters = 0;
        do {
            if (d->at >= d->stop)
                return UNTERMINATED;
            digit = (unsigned)d->text[d->at] - 48u;
            if (digit > 63)
                return NOT_RLE;
            if (characters == MOST_CHARACTERS)
                return NEGATIVE_OR_LONG;
            if (characters && !(digit & 32) && digit == ((before & 16) ? 31u : 0u))
                return NOT_SHORTEST;
            d->at++;
            bits |= (uint64_t)(digit & 31) << (5 * characters++);
            before = digit;
        } while (digit & 32);
        if (characters == MOST_CHARACTERS && digit > LAST_OF_MOST)
            return NEGATIVE_OR_LONG;
        int64_t run = (int64_t)bits;
        if (digit & 16)
            run -= (int64_t)1 << (5 * characters);
        if (d->n > 2)
            run += d->earlier;
        if (run < 0)
            return NEGATIVE_OR_LONG;
        d->earlier = d->previous;
        d->previous = run;
        d->position += run;
        if (d->position > d->total)
            return PAST_THE_END;
        boundaries[d->n++] = d->position;
    }
    return 0;
}

#ifdef HAVE_BLOCKS
#define BLOCK_TARGET __attribute__((target("avx2,bmi,bmi2,popcnt")))

typedef struct {
    uint64_t continued, negative, zero, full; /* a bit for each character of a block */
} Characters;

BLOCK_TARGET static inline uint64_t mask_of(__m256i low, __m256i high) {
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

/* Decode the number that ends at the lowest bit of `ends`, and add it to `run`, the length of the run two back. */
#define NEXT_RUN(run)                                                                                                  \
    do {                                                                                                               \
        int64_t end_ = block + 1 + (int64_t)_tzcnt_u64(ends);                                                          \
        unsigned unused_ = (unsigned)(5 * (begin - end_)) & 63;                                                        \
        uint64_t word_;                                                                                                \
        memcpy(&word_, text + begin, 8);                                                                               \
        ends &= ends - 1;                                                                                              \
        (run) += (int64_t)((_pext_u64(word_, five_bits) ^ signs) << unused_) >> unused_;                               \
        negatives |= (run);                                                                                            \
        position += (run);                                                                                             \
        *out++ = position;                                                                                             \
        begin = end_;                                                                                                  \
    } while (0)

/* Decode blocks of 64 characters from the fourth number on, and stop before a block with anything unusual or near the
 * end, which decode_some reads again. A number of up to six characters lies in eight bytes. */
BLOCK_TARGET static void decode_blocks(Decoder *d, int64_t *boundaries) {
    const __m256i zero = _mm256_set1_epi8(48), largest = _mm256_set1_epi8(63);
    const uint64_t five_bits = 0x1f1f1f1f1f1f1f1f, signs = 0x8421084210; /* subtracting 48 flips the fifth bit */
    const uint8_t *text = d->text;
    uint64_t was_continued = 0, was_negative = 0;
    int64_t block = d->at;
    while (block + 64 + 8 <= d->stop) {
        __m256i low = _mm256_sub_epi8(_mm256_loadu_si256((const __m256i *)(text + block)), zero);
        __m256i high = _mm256_sub_epi8(_mm256_loadu_si256((const __m256i *)(text + block + 32)), zero);
        __m256i above = _mm256_max_epu8(_mm256_max_epu8(low, high), largest);
        if (_mm256_movemask_epi8(_mm256_cmpeq_epi8(above, largest)) != -1)
            return;
        uint64_t continued = mask_of(_mm256_slli_epi16(low, 2), _mm256_slli_epi16(high, 2));
        uint64_t negative = mask_of(_mm256_slli_epi16(low, 3), _mm256_slli_epi16(high, 3));
        __m256i none = _mm256_setzero_si256(), all = _mm256_set1_epi8(31);
        uint64_t zeros = mask_of(_mm256_cmpeq_epi8(low, none), _mm256_cmpeq_epi8(high, none));
        uint64_t ones = mask_of(_mm256_cmpeq_epi8(low, all), _mm256_cmpeq_epi8(high, all));
        uint64_t after_continued = continued << 1 | was_continued, after_negative = negative << 1 | was_negative;
        if (after_continued & ((zeros & ~after_negative) | (ones & after_negative)))
            return; /* not in shortest form */
        was_continued = continued >> 63, was_negative = negative >> 63;

        /* Numbers of over six characters: six in a row are continued, or the first began in the block before. */
        uint64_t two = continued & continued << 1, four = two & two << 2, ends = ~continued;
        if (four & two << 4 || !ends || block + __builtin_ctzll(ends) - d->at >= MOST_CHARACTERS - 1)
            return;

        int64_t begin = d->at, earlier = d->earlier, previous = d->previous, position = d->position, negatives = 0;
        int64_t *out = boundaries + d->n, count = __builtin_popcountll(ends);
        for (int64_t pairs = count / 2; pairs; pairs--) {
            NEXT_RUN(earlier);
            NEXT_RUN(previous);
        }
        if (count & 1) {
            NEXT_RUN(earlier);
            int64_t last = earlier;
            earlier = previous;
            previous = last;
        }
        if ((negatives | (d->total - position)) < 0)
            return;
        d->at = begin;
        d->n += count;
        d->earlier = earlier;
        d->previous = previous;
        d->position = position;
        block += 64;
    }
}

static int has_blocks(void) {
    __builtin_cpu_init();
    /* pext is slow on the first two generations of Zen. */
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt") && !__builtin_cpu_is("znver1") && !__builtin_cpu_is("znver2");
}
#endif

/* Fill `boundaries`, with room for one per character, with the end of every run; return their number or a fault. */
static int64_t decode(const uint8_t *text, int64_t length, int64_t total, int blocks, int64_t *boundaries) {
    Decoder d = {.text = text, .stop = length, .total = total};
    int fault = decode_some(&d, 3, boundaries); /* numbers are differences from the fourth on */
#ifdef HAVE_BLOCKS
    if (!fault && blocks)
        decode_blocks(&d, boundaries);
#else
    (void)blocks;
#endif
    if (!fault)
        fault = decode_some(&d, INT64_MAX, boundaries);
    if (fault)
        return fault;
    return d.position == total ? d.n : TOO_SHORT;
}
