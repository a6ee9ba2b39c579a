/* The region kernel in C, without Python: docs/explain/region_kernel.md explains the method.
 *
 * kernel_numba.py holds the same loops for machines without this extension, and tests/masks compares both with decoded
 * pixels. Texts come from strangers: every byte is checked before it is used, and no allocation depends on anything but
 * the length of a text.
 */
#include <stdint.h>
#include <stdlib.h>
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
enum { LANES = 4, PADDING = 4 };

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Decoding: text to run boundaries. */

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
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && !__builtin_cpu_is("znver1") &&
           !__builtin_cpu_is("znver2");
}
#endif

/* Fill `boundaries`, which has room for one per character, with the end of every run; return their number or a fault. */
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

/* Counting: areas, boxes and overlaps from boundaries. */

typedef struct {
    int64_t top, left, bottom, right; /* the last two exclusive */
} Box;

typedef struct {
    int64_t area;
    Box box;
} Extent;

/* Return the foreground pixels of the first `runs` foreground runs, which are boundaries 0-1, 2-3, ... */
static int64_t area_of(const int64_t *boundaries, int64_t runs) {
    int64_t starts = 0, ends = 0;
    for (int64_t k = 0; k < runs; k++) {
        starts += boundaries[2 * k];
        ends += boundaries[2 * k + 1];
    }
    return ends - starts;
}

typedef struct {
    int64_t top, bottom; /* the second exclusive */
} Rows;

/* Extend `rows` by the foreground runs from `first` to `last`; empty ones change nothing. */
static void extend(Rows *rows, const int64_t *boundaries, int64_t first, int64_t last, int64_t height) {
    const double share = 1.0 / (double)height;
    for (int64_t k = first; k <= last && rows->bottom - rows->top < height; k++) {
        int64_t start = boundaries[2 * k], length = boundaries[2 * k + 1] - start;
        if (!length)
            continue;
        /* The half keeps the quotient off the whole numbers, so that it is exact below 2^51. */
        int64_t row = start - (int64_t)(((double)start + 0.5) * share) * height;
        if (row + length > height) /* a run into the next column touches both edges */
            *rows = (Rows){0, height};
        rows->top = smaller(rows->top, row);
        rows->bottom = larger(rows->bottom, smaller(row + length, height));
    }
}

#ifdef HAVE_BLOCKS
/* As `extend`, two runs at a time. */
BLOCK_TARGET static void extend_by_two(Rows *rows, const int64_t *boundaries, int64_t first, int64_t last,
                                       int64_t height) {
    const __m256d offset = _mm256_set1_pd(0x1p52), half = _mm256_set1_pd(0.5), tall = _mm256_set1_pd((double)height);
    const __m256d share = _mm256_set1_pd(1.0 / (double)height);
    const __m256i behind_start = _mm256_set_epi64x(1, 0, 1, 0); /* the second lane is the last pixel of a run */
    __m256d lowest = tall, highest = _mm256_setzero_pd();
    int64_t k = first;
    for (; k < last; k += 2) {
        __m256i pixels = _mm256_sub_epi64(_mm256_loadu_si256((const __m256i *)(boundaries + 2 * k)), behind_start);
        __m256d place = _mm256_sub_pd(_mm256_or_pd(_mm256_castsi256_pd(pixels), offset), offset);
        __m256d column = _mm256_floor_pd(_mm256_mul_pd(_mm256_add_pd(place, half), share));
        __m256d before = _mm256_mul_pd(column, tall), row = _mm256_sub_pd(place, before);
        /* A run is within one column, and not empty, if it ends in the same column and not above its start. */
        __m256d same = _mm256_cmp_pd(before, _mm256_permute_pd(before, 5), _CMP_EQ_OQ);
        __m256d down = _mm256_cmp_pd(row, _mm256_permute_pd(row, 5), _CMP_GE_OQ);
        if ((_mm256_movemask_pd(_mm256_and_pd(same, down)) & 10) != 10) {
            extend(rows, boundaries, k, k + 1, height);
            if (rows->bottom - rows->top == height)
                return;
            continue;
        }
        lowest = _mm256_min_pd(lowest, row);
        highest = _mm256_max_pd(highest, _mm256_add_pd(row, _mm256_set1_pd(1.0)));
    }
    double low[4], high[4];
    _mm256_storeu_pd(low, lowest);
    _mm256_storeu_pd(high, highest);
    rows->top = smaller(rows->top, smaller((int64_t)low[0], (int64_t)low[2]));
    rows->bottom = larger(rows->bottom, larger((int64_t)high[1], (int64_t)high[3]));
    extend(rows, boundaries, k, last, height);
}
#endif

/* Return area and bounding box of the first `runs` foreground runs. */
static Extent measure(const int64_t *boundaries, int64_t runs, int64_t height, int blocks) {
    Extent e = {0};
    int64_t first = 0, last = runs - 1;
    while (first < runs && boundaries[2 * first] == boundaries[2 * first + 1])
        first++;
    if (first == runs)
        return e;
    while (boundaries[2 * last] == boundaries[2 * last + 1])
        last--;
    Rows rows = {height, 0};
#ifdef HAVE_BLOCKS
    if (blocks)
        extend_by_two(&rows, boundaries, first, last, height);
    else
#endif
        extend(&rows, boundaries, first, last, height);
    e.area = area_of(boundaries, runs);
    e.box = (Box){rows.top, boundaries[2 * first] / height, rows.bottom, (boundaries[2 * last + 1] - 1) / height + 1};
    return e;
}

/* Map the first `count` boundaries through F, column by column so that none costs a division. */
static void map_boundaries(const int64_t *boundaries, int64_t count, const int64_t *size, const int64_t *rows,
                           const int64_t *columns, int64_t *mapped) {
    int64_t height = size[0], last = size[1] - 1, column = 0, column_start = 0, before = 0, weight = columns[1];
    for (int64_t k = 0; k < count; k++) {
        int64_t position = boundaries[k];
        while (position - column_start > height && column < last) {
            column++;
            column_start += height;
            before = columns[column] * rows[height];
            weight = columns[column + 1] - columns[column];
        }
        mapped[k] = before + weight * rows[smaller(position - column_start, height)];
    }
}

/* Append an endless run behind all others, so that the merge needs no test for the end. */
static void close_runs(int64_t *boundaries, int64_t runs) {
    boundaries[2 * runs] = boundaries[2 * runs + 1] = INT64_MAX / 2;
}

/* Take one step of the merge: add the overlap of two runs, then move past the one that ends first. */
#define STEP(a, b, shared)                                                                                             \
    do {                                                                                                               \
        int64_t overlap_ = smaller((a)[1], (b)[1]) - larger((a)[0], (b)[0]);                                           \
        int64_t first_ = (a)[1] <= (b)[1];                                                                             \
        (shared) += larger(overlap_, 0);                                                                               \
        (a) += 2 * first_;                                                                                             \
        (b) += 2 - 2 * first_;                                                                                         \
    } while (0)

/* Return how many runs of `a` a merge has passed after `steps` steps. */
static int64_t passed_after(int64_t steps, const int64_t *a, int64_t n, const int64_t *b, int64_t m) {
    int64_t low = larger(0, steps - m), high = smaller(steps, n);
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (a[2 * middle + 1] <= b[2 * (steps - 1 - middle) + 1])
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Return the pixels that are foreground in both masks of `n` and `m` closed runs. The merge is cut into parts of equal
 * numbers of steps that advance together, because one alone waits for its loads. */
static int64_t overlap(const int64_t *a, int64_t n, const int64_t *b, int64_t m) {
    int64_t steps = (n + m) / LANES, i;
    i = passed_after(steps, a, n, b, m);
    const int64_t *a0 = a, *b0 = b, *a1 = a + 2 * i, *b1 = b + 2 * (steps - i);
    i = passed_after(2 * steps, a, n, b, m);
    const int64_t *a2 = a + 2 * i, *b2 = b + 2 * (2 * steps - i);
    i = passed_after(3 * steps, a, n, b, m);
    const int64_t *a3 = a + 2 * i, *b3 = b + 2 * (3 * steps - i);
    int64_t shared = 0;
    for (int64_t k = 0; k < steps; k++) {
        STEP(a0, b0, shared);
        STEP(a1, b1, shared);
        STEP(a2, b2, shared);
        STEP(a3, b3, shared);
    }
    for (int64_t k = LANES * steps; k < n + m; k++)
        STEP(a3, b3, shared);
    return shared;
}

/* Comparing a batch of pairs. */

typedef struct {
    const uint8_t *text;
    int64_t length, height, width;
} Mask;

typedef struct {
    int64_t pairs, truths, grids, prefix_count;
    const Mask *predictions; /* a null text is "no target" */
    const Mask *truth;       /* of each pair */
    const int64_t *truth_of, *prefixes, *prefix_at;
    int64_t *counts, *boxes, *faults, *truth_faults;
    char *drawn, *truth_drawn;
    int64_t longest, longest_truth;
    int blocks;
} Batch;

static void compare_boxes(const Box *a, const Box *b, int64_t *terms) {
    int64_t rows = smaller(a->bottom, b->bottom) - larger(a->top, b->top);
    int64_t columns = smaller(a->right, b->right) - larger(a->left, b->left);
    int64_t shared = larger(rows, 0) * larger(columns, 0);
    terms[0] = shared;
    terms[1] = (a->bottom - a->top) * (a->right - a->left) + (b->bottom - b->top) * (b->right - b->left) - shared;
}

/* Fill the results of `batch`; return 0, or -1 if there is no memory. Needs no interpreter lock. */
static int compare_all(const Batch *batch) {
    int64_t grids = batch->grids;
    size_t room = (size_t)batch->longest + PADDING, truth_room = (size_t)batch->longest_truth + PADDING;
    int64_t *memory = malloc(sizeof(int64_t) * (2 * room + (1 + (size_t)grids) * truth_room + (size_t)grids));
    if (!memory)
        return -1;
    int64_t *boundaries = memory, *mapped = boundaries + room, *truth_boundaries = mapped + room;
    int64_t *truth_mapped = truth_boundaries + truth_room, *truth_areas = truth_mapped + (size_t)grids * truth_room;
    int64_t last = -1, m = 0;
    Extent truth = {0};
    for (int64_t k = 0; k < batch->pairs; k++) {
        int64_t t = batch->truth_of[k];
        const Mask *target = batch->truth + k, *answer = batch->predictions + k;
        const int64_t size[2] = {target->height, target->width};
        int64_t *counts = batch->counts + 3 * grids * k;
        if (t != last) { /* questions of one image are adjacent, so its truth is decoded once */
            last = t;
            m = decode(target->text, target->length, size[0] * size[1], batch->blocks, truth_boundaries);
            if (m >= 0)
                truth = measure(truth_boundaries, m / 2, size[0], batch->blocks);
            for (int64_t g = 0; g < grids && m >= 0; g++) {
                const int64_t *at = batch->prefix_at + 2 * (g * batch->truths + t);
                int64_t *to = truth_mapped + (size_t)g * truth_room;
                truth_areas[g] = truth.area;
                if (at[0] >= 0) {
                    map_boundaries(truth_boundaries, m / 2 * 2, size, batch->prefixes + at[0], batch->prefixes + at[1], to);
                    truth_areas[g] = area_of(to, m / 2);
                    close_runs(to, m / 2);
                }
            }
            if (m >= 0)
                close_runs(truth_boundaries, m / 2);
        }
        if (m < 0) {
            batch->truth_faults[k] = m;
            continue;
        }
        batch->truth_drawn[k] = truth.area > 0;
        for (int64_t g = 0; g < grids; g++)
            counts[3 * g + 2] = truth_areas[g];
        Extent predicted = {0};
        int64_t n = 0;
        if (answer->text) {
            n = decode(answer->text, answer->length, answer->height * answer->width, batch->blocks, boundaries);
            if (n < 0) {
                batch->faults[k] = n;
                continue;
            }
            predicted = measure(boundaries, n / 2, answer->height, batch->blocks);
        }
        batch->drawn[k] = predicted.area > 0;
        compare_boxes(&predicted.box, &truth.box, batch->boxes + 2 * k);
        for (int64_t g = 0; g < grids && n; g++) {
            const int64_t *at = batch->prefix_at + 2 * (g * batch->truths + t), *target_runs = truth_boundaries;
            int64_t *runs = boundaries;
            counts[3 * g + 1] = predicted.area;
            if (at[0] >= 0) {
                map_boundaries(boundaries, n / 2 * 2, size, batch->prefixes + at[0], batch->prefixes + at[1], mapped);
                counts[3 * g + 1] = area_of(mapped, n / 2);
                runs = mapped, target_runs = truth_mapped + (size_t)g * truth_room;
            }
            close_runs(runs, n / 2);
            counts[3 * g] = overlap(runs, n / 2, target_runs, m / 2);
        }
    }
    free(memory);
    return 0;
}

/* Placing a mask on a canvas. */

typedef struct {
    int64_t *runs;
    int64_t room, filled, last_stop;
} Runs;

static inline void add_run(Runs *r, int64_t start, int64_t stop) {
    if (start == r->last_stop)
        r->filled--; /* continues the run before it */
    else if (r->filled++ < r->room)
        r->runs[r->filled - 1] = start;
    if (r->filled++ < r->room)
        r->runs[r->filled - 1] = stop;
    r->last_stop = stop;
}

/* Put start and end of every foreground run on a canvas into `runs`, in linear order; return how much room they need.
 * `rows` are prefix sums of the row weights, `offset` is the position of the first pixel inside the padding. */
static int64_t place_runs(const int64_t *boundaries, int64_t count, int64_t height, const int64_t *rows,
                          const int64_t *weights, int64_t columns, int64_t offset, int64_t canvas_height, Runs *runs) {
    int64_t first = 1;
    for (int64_t column = 0; column < columns; column++) {
        int64_t low = column * height, high = low + height;
        while (first < count && boundaries[first] <= low)
            first += 2;
        for (int64_t repeat = 0; repeat < weights[column]; repeat++) {
            for (int64_t k = first; k < count && boundaries[k - 1] < high; k += 2) {
                int64_t start = rows[larger(boundaries[k - 1], low) - low];
                int64_t stop = rows[larger(smaller(boundaries[k], high), low) - low];
                if (stop > start)
                    add_run(runs, offset + start, offset + stop);
            }
            offset += canvas_height;
        }
    }
    return runs->filled;
}
