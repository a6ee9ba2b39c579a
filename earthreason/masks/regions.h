/* The region kernel in C, without Python: docs/explain/region_kernel.md explains the method.
 *
 * kernel_numba.py holds the same loops for machines without this extension, and tests/masks compares both with decoded
 * pixels. No allocation depends on anything but the length of a text.
 */
#pragma once
#include <stdlib.h>
#ifndef _WIN32
#include <pthread.h>
#define HAVE_THREADS 1
#endif

#include "decode.h"

enum { LANES = 4, PADDING = 4 };  /* parts of a merge; room for the closing run */
enum { MOST_THREADS = 256, FEWEST_PAIRS = 16, MOST_TAKEN = 32 }; /* pairs worth a thread, and taken by one at once */

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
        int64_t row = start - (int64_t)(((double)start + 0.5) * share) * height; /* exact, as in `column_of` */
        if (row + length > height) /* a run into the next column touches both edges */
            *rows = (Rows){0, height};
        rows->top = smaller(rows->top, row);
        rows->bottom = larger(rows->bottom, smaller(row + length, height));
    }
}

#ifdef HAVE_BLOCKS
BLOCK_TARGET static inline __m256d as_doubles(__m256i below_2_to_52) {
    const __m256d offset = _mm256_set1_pd(0x1p52);
    return _mm256_sub_pd(_mm256_or_pd(_mm256_castsi256_pd(below_2_to_52), offset), offset);
}

/* The half keeps the quotient off the whole numbers, so that it is exact below 2^51. */
BLOCK_TARGET static inline __m256d column_of(__m256d place, __m256d share) {
    return _mm256_floor_pd(_mm256_mul_pd(_mm256_add_pd(place, _mm256_set1_pd(0.5)), share));
}

/* As `extend`, two runs at a time. */
BLOCK_TARGET static void extend_by_two(Rows *rows, const int64_t *boundaries, int64_t first, int64_t last,
                                       int64_t height) {
    const __m256d tall = _mm256_set1_pd((double)height), share = _mm256_set1_pd(1.0 / (double)height);
    const __m256i behind_start = _mm256_set_epi64x(1, 0, 1, 0); /* the second lane is the last pixel of a run */
    __m256d lowest = tall, highest = _mm256_setzero_pd();
    int64_t k = first;
    for (; k < last; k += 2) {
        __m256i pixels = _mm256_sub_epi64(_mm256_loadu_si256((const __m256i *)(boundaries + 2 * k)), behind_start);
        __m256d place = as_doubles(pixels), before = _mm256_mul_pd(column_of(place, share), tall);
        __m256d row = _mm256_sub_pd(place, before);
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

/* A nearest-neighbour resize: prefix sums of the weights of rows and columns. */
typedef struct {
    int64_t height, width; /* of the mask */
    const int64_t *rows, *columns;
} Resize;

static inline int64_t mapped_place(Resize to, int64_t all_rows, int64_t column, int64_t row) {
    int64_t before = to.columns[column];
    return before * all_rows + (to.columns[column + 1] - before) * to.rows[row];
}

/* Map the boundaries from `first` to `count` through F. */
static void map_some(Resize to, const int64_t *restrict boundaries, int64_t first, int64_t count,
                     int64_t *restrict mapped) {
    const int64_t all_rows = to.rows[to.height];
    for (int64_t k = first; k < count; k++) {
        int64_t column = smaller(boundaries[k] / to.height, to.width - 1);
        mapped[k] = mapped_place(to, all_rows, column, smaller(boundaries[k] - column * to.height, to.height));
    }
}

#ifdef HAVE_BLOCKS
/* As `map_some`, four boundaries at a time. */
BLOCK_TARGET static void map_by_four(Resize to, const int64_t *restrict boundaries, int64_t count,
                                     int64_t *restrict mapped) {
    const __m256d tall = _mm256_set1_pd((double)to.height), share = _mm256_set1_pd(1.0 / (double)to.height);
    const __m256d last = _mm256_set1_pd((double)(to.width - 1));
    const int64_t all_rows = to.rows[to.height];
    int64_t k = 0;
    for (; k + 4 <= count; k += 4) {
        __m256d place = as_doubles(_mm256_loadu_si256((const __m256i *)(boundaries + k)));
        __m256d column = _mm256_min_pd(column_of(place, share), last);
        __m256d row = _mm256_min_pd(_mm256_sub_pd(place, _mm256_mul_pd(column, tall)), tall);
        int32_t columns[4], rows[4];
        _mm_storeu_si128((__m128i *)columns, _mm256_cvtpd_epi32(column));
        _mm_storeu_si128((__m128i *)rows, _mm256_cvtpd_epi32(row));
        for (int lane = 0; lane < 4; lane++)
            mapped[k + lane] = mapped_place(to, all_rows, columns[lane], rows[lane]);
    }
    map_some(to, boundaries, k, count, mapped);
}
#endif

static void map_boundaries(Resize to, const int64_t *restrict boundaries, int64_t count, int64_t *restrict mapped,
                           int blocks) {
#ifdef HAVE_BLOCKS
    if (blocks) {
        map_by_four(to, boundaries, count, mapped);
        return;
    }
#endif
    (void)blocks;
    map_some(to, boundaries, 0, count, mapped);
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
    int64_t *next, stride; /* first pair that no thread has taken, and how many one takes */
    int blocks;
} Batch;

static void compare_boxes(const Box *a, const Box *b, int64_t *terms) {
    int64_t rows = smaller(a->bottom, b->bottom) - larger(a->top, b->top);
    int64_t columns = smaller(a->right, b->right) - larger(a->left, b->left);
    int64_t shared = larger(rows, 0) * larger(columns, 0);
    terms[0] = shared;
    terms[1] = (a->bottom - a->top) * (a->right - a->left) + (b->bottom - b->top) * (b->right - b->left) - shared;
}

/* Room for the boundaries and results of one thread. */
typedef struct {
    int64_t *boundaries, *mapped, *truth_boundaries, *truth_mapped, *truth_areas;
} Scratch;

/* Fill the results of the pairs from `first` to `end`. */
static void compare_some(const Batch *batch, Scratch room, int64_t first, int64_t end) {
    const int64_t grids = batch->grids;
    const size_t truth_room = (size_t)batch->longest_truth + PADDING;
    int64_t *boundaries = room.boundaries, *mapped = room.mapped, *truth_boundaries = room.truth_boundaries;
    int64_t *truth_mapped = room.truth_mapped, *truth_areas = room.truth_areas;
    int64_t last = -1, m = 0;
    Extent truth = {0};
    for (int64_t k = first; k < end; k++) {
        int64_t t = batch->truth_of[k];
        const Mask *target = batch->truth + k, *answer = batch->predictions + k;
        int64_t *counts = batch->counts + 3 * grids * k;
        if (t != last) { /* questions of one image are adjacent, so its truth is decoded once */
            last = t;
            m = decode(target->text, target->length, target->height * target->width, batch->blocks, truth_boundaries);
            if (m >= 0)
                truth = measure(truth_boundaries, m / 2, target->height, batch->blocks);
            for (int64_t g = 0; g < grids && m >= 0; g++) {
                const int64_t *at = batch->prefix_at + 2 * (g * batch->truths + t);
                int64_t *to = truth_mapped + (size_t)g * truth_room;
                truth_areas[g] = truth.area;
                if (at[0] >= 0) {
                    Resize resize = {target->height, target->width, batch->prefixes + at[0], batch->prefixes + at[1]};
                    map_boundaries(resize, truth_boundaries, m / 2 * 2, to, batch->blocks);
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
                Resize resize = {target->height, target->width, batch->prefixes + at[0], batch->prefixes + at[1]};
                map_boundaries(resize, boundaries, n / 2 * 2, mapped, batch->blocks);
                counts[3 * g + 1] = area_of(mapped, n / 2);
                runs = mapped, target_runs = truth_mapped + (size_t)g * truth_room;
            }
            close_runs(runs, n / 2);
            counts[3 * g] = overlap(runs, n / 2, target_runs, m / 2);
        }
    }
}

/* Return the number of the next pair that no thread has taken, and take `stride` pairs. */
static int64_t take_pairs(const Batch *batch) {
#ifdef HAVE_THREADS
    return __atomic_fetch_add(batch->next, batch->stride, __ATOMIC_RELAXED);
#else
    int64_t first = *batch->next;
    *batch->next += batch->stride;
    return first;
#endif
}

/* Take pairs of a batch until none is left; return it, or NULL if there is no memory. Needs no interpreter lock. */
static void *compare_pairs(void *shared) {
    const Batch *batch = shared;
    const size_t grids = (size_t)batch->grids, room = (size_t)batch->longest + PADDING;
    const size_t truth_room = (size_t)batch->longest_truth + PADDING;
    int64_t *memory = malloc(sizeof(int64_t) * (2 * room + (1 + grids) * truth_room + grids));
    if (!memory)
        return NULL;
    int64_t *truth_memory = memory + 2 * room, *truth_mapped = truth_memory + truth_room;
    Scratch scratch = {memory, memory + room, truth_memory, truth_mapped, truth_mapped + grids * truth_room};
    for (int64_t first; (first = take_pairs(batch)) < batch->pairs;)
        compare_some(batch, scratch, first, smaller(first + batch->stride, batch->pairs));
    free(memory);
    return shared;
}

/* Fill the results of `batch` with up to `threads` threads; return 0, or -1 if there is no memory. A thread that cannot
 * start, or has no memory, takes no pairs, so the others take them. */
static int compare_all(Batch *batch, int64_t threads) {
    int64_t next = 0;
    batch->next = &next;
    threads = smaller(smaller(threads, MOST_THREADS), batch->pairs / FEWEST_PAIRS + 1);
    batch->stride = threads > 1 ? smaller(batch->pairs / (8 * threads) + 1, MOST_TAKEN) : batch->pairs;
#ifdef HAVE_THREADS
    pthread_t helpers[MOST_THREADS];
    int64_t started = 0;
    while (started < threads - 1 && pthread_create(helpers + started, NULL, compare_pairs, batch) == 0)
        started++;
#endif
    int failed = compare_pairs(batch) ? 0 : -1;
#ifdef HAVE_THREADS
    while (started--)
        pthread_join(helpers[started], NULL);
#endif
    return next < batch->pairs ? failed : 0; /* the helpers may have done without the caller */
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
