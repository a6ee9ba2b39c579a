/* The region kernel in C, without Python: docs/explain/region_kernel.md explains the method.
 *
 * kernel_numba.py holds the same loops for machines without this extension, and tests/masks compares both with decoded
 * pixels. No allocation depends on anything but the length of a text.
 */
#pragma once
#include "decode.h"

enum { LANES = 4, PADDING = 4 }; /* parts of a merge; room for the closing run */

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

/* A nearest-neighbour resize. */
typedef struct {
    int64_t height;         /* of the mask */
    const int64_t *rows;    /* prefix sums of the row weights */
    const int64_t *columns; /* of each column, the grid pixels before it, and its weight */
} Resize;

/* Map a boundary through F, after moving on to its column, whose last row ends before position `bottom`. */
#define MAP(position, mapped)                                                                                          \
    do {                                                                                                               \
        while ((position) > bottom) {                                                                                  \
            column += 2;                                                                                               \
            bottom += height;                                                                                          \
        }                                                                                                              \
        (mapped) = column[0] + column[1] * last_row[(position) - bottom];                                                \
    } while (0)

/* Map `runs` foreground runs of a mask of that height through F; return their grid pixels. Runs are in order, so a walk
 * along the columns is faster than a division for each boundary, even by vectors. */
static int64_t map_runs(Resize to, const int64_t *restrict boundaries, int64_t runs, int64_t *restrict mapped) {
    const int64_t height = to.height, *column = to.columns, *last_row = to.rows + height;
    int64_t bottom = height, area = 0;
    for (int64_t k = 0; k < runs; k++) {
        int64_t start = boundaries[2 * k], stop = boundaries[2 * k + 1], mapped_start, mapped_stop;
        MAP(start, mapped_start);
        MAP(stop, mapped_stop);
        mapped[2 * k] = mapped_start;
        mapped[2 * k + 1] = mapped_stop;
        area += mapped_stop - mapped_start;
    }
    return area;
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

/* Placing a mask on a canvas. */

typedef struct {
    int64_t *runs;
    int64_t room, filled, last_stop;
} Runs;

static inline void add_run(Runs *r, int64_t start, int64_t stop) {
    if (r->filled && start == r->last_stop)
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
