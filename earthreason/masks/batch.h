/* Comparing a batch of pairs, by several threads: docs/explain/region_kernel.md says why these are not Python's. */
#pragma once
#include <stdlib.h>
#ifndef _WIN32
#include <pthread.h>
#define HAVE_THREADS 1
#endif

#include "regions.h"

/* Pairs that are worth a thread, and that a thread takes at once. */
enum { MOST_THREADS = 256, FEWEST_PAIRS = 16, MOST_TAKEN = 32 };

typedef struct {
    const uint8_t *text;
    int64_t length, height, width;
} Mask;

typedef struct {
    int64_t pairs, truths, grids, weight_count;
    const Mask *predictions; /* a null text is "no target" */
    const Mask *truth;       /* of each pair */
    const int64_t *truth_of, *weights, *weights_at;
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
                const int64_t *at = batch->weights_at + 2 * (g * batch->truths + t);
                int64_t *to = truth_mapped + (size_t)g * truth_room;
                truth_areas[g] = truth.area;
                if (at[0] >= 0) {
                    Resize resize = {target->height, batch->weights + at[0], batch->weights + at[1]};
                    truth_areas[g] = map_runs(resize, truth_boundaries, m / 2, to);
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
            const int64_t *at = batch->weights_at + 2 * (g * batch->truths + t), *target_runs = truth_boundaries;
            int64_t *runs = boundaries;
            counts[3 * g + 1] = predicted.area;
            if (at[0] >= 0) {
                Resize resize = {target->height, batch->weights + at[0], batch->weights + at[1]};
                counts[3 * g + 1] = map_runs(resize, boundaries, n / 2, mapped);
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
