/* Compare random pairs of run-length texts with their decoded pixels; built and run by fuzz_kernel.py. */
#include <stdio.h>

#include "../earthreason/masks/batch.h"

enum { LONGEST = 4096, MOST_PAIRS = 40, GRIDS = 2 };

static uint64_t state;

static uint64_t draw(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static int64_t write_number(uint8_t *text, int64_t at, int64_t number) {
    int more = 1;
    while (more) {
        int digit = (int)(number & 31);
        number >>= 5;
        more = (digit & 16) ? number != -1 : number != 0;
        text[at++] = (uint8_t)(48 + (more ? digit | 32 : digit));
    }
    return at;
}

/* Write a valid text, often damaged, or any characters; return its length. */
static int64_t write_text(uint8_t *text, int64_t total) {
    int64_t length = 0, runs[400], n = 0, covered = 0, most = 1 + (int64_t)draw(399);
    uint64_t kind = draw(8);
    if (kind == 0 || kind == 1) {
        length = (int64_t)draw(500);
        for (int64_t k = 0; k < length; k++)
            text[k] = (uint8_t)(kind ? 48 + draw(64) : draw(256));
        return length;
    }
    while (covered < total && n < most - 1) {
        int64_t run = (int64_t)draw(draw(4) ? (uint64_t)(2 * total / most + 2) : (uint64_t)(total / 3 + 2));
        run = draw(16) ? smaller(run, total - covered) : 0;
        covered += run;
        runs[n++] = run;
    }
    runs[n++] = total - covered;
    for (int64_t k = 0; k < n; k++)
        length = write_number(text, length, runs[k] - (k > 2 ? runs[k - 2] : 0));
    for (uint64_t flips = kind == 2 ? 1 + draw(3) : 0; flips && length; flips--)
        text[draw((uint64_t)length)] ^= (uint8_t)(1u << draw(8));
    return length;
}

/* Exactly as long as the text, so that a sanitizer sees a read past its end. */
static Mask make_mask(int64_t height, int64_t width) {
    uint8_t text[LONGEST];
    int64_t length = write_text(text, height * width);
    uint8_t *own = malloc((size_t)larger(length, 1));
    memcpy(own, text, (size_t)length);
    return (Mask){own, length, height, width};
}

/* Decode to pixels; return 0 or the fault. Plain and fast decoding must agree. */
static int64_t paint(const Mask *mask, uint8_t *pixels) {
    int64_t total = mask->height * mask->width, room = mask->length + PADDING;
    int64_t *plain = malloc(sizeof(int64_t) * (size_t)room), *fast = malloc(sizeof(int64_t) * (size_t)room);
    int64_t n = decode(mask->text, mask->length, total, 0, plain), blocks = 0;
#ifdef HAVE_BLOCKS
    blocks = has_blocks();
#endif
    if (decode(mask->text, mask->length, total, (int)blocks, fast) != n ||
        (n > 0 && memcmp(plain, fast, sizeof(int64_t) * (size_t)n))) {
        puts("plain and fast decoding differ");
        exit(1);
    }
    memset(pixels, 0, (size_t)total);
    for (int64_t k = 1; k < n; k += 2)
        memset(pixels + plain[k - 1], 1, (size_t)(plain[k] - plain[k - 1]));
    free(plain);
    free(fast);
    return n < 0 ? n : 0;
}

/* Count by pixels what the kernel counts by runs: intersection, areas, and bounding box. */
static void count_pixels(const uint8_t *a, const uint8_t *b, int64_t height, int64_t width, const int64_t *rows,
                         const int64_t *columns, int64_t *counts) {
    for (int64_t c = 0; c < width; c++)
        for (int64_t r = 0; r < height; r++) {
            int64_t weight = rows ? rows[r] * columns[c] : 1, at = c * height + r;
            counts[0] += weight * (a[at] & b[at]);
            counts[1] += weight * a[at];
            counts[2] += weight * b[at];
        }
}

static Box box_of(const uint8_t *pixels, int64_t height, int64_t width) {
    Box box = {height, width, 0, 0};
    for (int64_t at = 0; at < height * width; at++)
        if (pixels[at]) {
            box.top = smaller(box.top, at % height), box.bottom = larger(box.bottom, at % height + 1);
            box.left = smaller(box.left, at / height), box.right = larger(box.right, at / height + 1);
        }
    return box.bottom ? box : (Box){0};
}

static int within(const Box *box, int64_t row, int64_t column) {
    return row >= box->top && row < box->bottom && column >= box->left && column < box->right;
}

/* Count the pixels of an image that both boxes, and that either box, cover. */
static void count_boxes(const Box *a, const Box *b, int64_t height, int64_t width, int64_t *terms) {
    terms[0] = terms[1] = 0;
    for (int64_t column = 0; column < width; column++)
        for (int64_t row = 0; row < height; row++) {
            int in_a = within(a, row, column), in_b = within(b, row, column);
            terms[0] += in_a && in_b, terms[1] += in_a || in_b;
        }
}

static void require(int holds, const char *what, int64_t batch) {
    if (holds)
        return;
    printf("batch %lld: %s\n", (long long)batch, what);
    exit(1);
}

/* Place a valid mask on a canvas, and compare the runs with its pixels there. */
static void check_canvas(const Mask *mask, const uint8_t *pixels, const int64_t *row_sums, const int64_t *columns,
                         int64_t batch) {
    int64_t height = mask->height, top = (int64_t)draw(5), canvas_height = top + row_sums[height] + (int64_t)draw(5);
    int64_t offset = top + canvas_height * (int64_t)draw(3), end = offset, filled = 0;
    int64_t *boundaries = malloc(sizeof(int64_t) * (size_t)(mask->length + PADDING));
    int64_t n = decode(mask->text, mask->length, height * mask->width, 0, boundaries);
    for (int64_t c = 0; c < mask->width; c++)
        end += columns[c] * canvas_height;
    uint8_t *canvas = calloc((size_t)end + 1, 1);
    for (int64_t c = 0, at = offset; c < mask->width; c++)
        for (int64_t repeat = 0; repeat < columns[c]; repeat++, at += canvas_height)
            for (int64_t r = 0; r < height; r++)
                if (pixels[c * height + r])
                    memset(canvas + at + row_sums[r], 1, (size_t)(row_sums[r + 1] - row_sums[r]));
    Runs runs = {.room = (int64_t)draw(200), .last_stop = -1};
    runs.runs = malloc(sizeof(int64_t) * (size_t)larger(runs.room, 1));
    int64_t needed = place_runs(boundaries, n / 2 * 2, height, row_sums, columns, mask->width, offset, canvas_height, &runs);
    for (int64_t at = 0; at <= end; at++)
        if (canvas[at] != (at && canvas[at - 1])) { /* a run starts or stops */
            if (filled < runs.room)
                require(runs.runs[filled] == at, "other runs on a canvas", batch);
            filled++;
        }
    require(needed == filled, "another number of runs on a canvas", batch);
    free(boundaries), free(canvas), free(runs.runs);
}

typedef struct {
    int64_t pairs, valid;
} Tally;

/* Compare a batch of pairs of one size, on the masks' own grid and on a random one. */
static void compare_batch(int64_t number, Tally *tally) {
    int64_t pairs = 1 + (int64_t)draw(MOST_PAIRS), tall = draw(8) == 0;
    int64_t height = 1 + (int64_t)draw(tall ? 3000 : 70), width = 1 + (int64_t)draw(tall ? 3 : 70), valid = 0;
    Mask *masks = calloc((size_t)(2 * pairs), sizeof(Mask));
    int64_t *truth_of = calloc((size_t)pairs, 8), *at = malloc(sizeof(int64_t) * (size_t)(4 * pairs));
    int64_t *weights = malloc(sizeof(int64_t) * (size_t)(height + 1 + 2 * width)), *rows = malloc(8 * (size_t)height);
    int64_t *columns = malloc(8 * (size_t)width), before = 0;
    weights[0] = 0;
    for (int64_t r = 0; r < height; r++)
        weights[r + 1] = weights[r] + (rows[r] = (int64_t)draw(3));
    for (int64_t c = 0; c < width; c++) {
        columns[c] = (int64_t)draw(3);
        weights[height + 1 + 2 * c] = before * weights[height];
        weights[height + 2 + 2 * c] = columns[c];
        before += columns[c];
    }
    int64_t *counts = calloc((size_t)(3 * GRIDS * pairs), 8), *boxes = calloc((size_t)(2 * pairs), 8);
    int64_t *faults = calloc((size_t)pairs, 8), *truth_faults = calloc((size_t)pairs, 8);
    char *drawn = calloc((size_t)pairs, 1), *truth_drawn = calloc((size_t)pairs, 1);
    Batch batch = {
        .pairs = pairs, .truths = pairs, .grids = GRIDS, .predictions = masks, .truth = masks + pairs,
        .truth_of = truth_of, .weights = weights, .weights_at = at, .counts = counts, .boxes = boxes, .faults = faults,
        .truth_faults = truth_faults, .drawn = drawn, .truth_drawn = truth_drawn, .blocks = 0,
    };
    for (int64_t k = 0; k < pairs; k++) {
        if (draw(8))
            masks[k] = make_mask(height, width);
        if (k && draw(3) == 0) { /* several questions about one image share its truth */
            masks[pairs + k] = masks[pairs + k - 1];
            truth_of[k] = truth_of[k - 1];
        } else {
            masks[pairs + k] = make_mask(height, width);
            truth_of[k] = k;
        }
        at[2 * k] = at[2 * k + 1] = -1;
        at[2 * (pairs + k)] = 0, at[2 * (pairs + k) + 1] = height + 1;
        batch.longest = larger(batch.longest, masks[k].length);
        batch.longest_truth = larger(batch.longest_truth, masks[pairs + k].length);
    }
#ifdef HAVE_BLOCKS
    batch.blocks = has_blocks() && draw(2);
#endif
    require(compare_all(&batch, 1 + (int64_t)draw(4)) == 0, "no memory", number);
    uint8_t *a = malloc((size_t)(height * width)), *b = malloc((size_t)(height * width));
    for (int64_t k = 0; k < pairs; k++) {
        int64_t fault = paint(masks + pairs + k, b);
        require(truth_faults[k] == fault, "another fault of the truth", number);
        if (fault)
            continue;
        memset(a, 0, (size_t)(height * width));
        fault = masks[k].text ? paint(masks + k, a) : 0;
        require(faults[k] == fault, "another fault of the prediction", number);
        if (fault)
            continue;
        if (masks[k].text)
            check_canvas(masks + k, a, weights, columns, number);
        int64_t expected[3 * GRIDS] = {0}, terms[2];
        count_pixels(a, b, height, width, NULL, NULL, expected);
        count_pixels(a, b, height, width, rows, columns, expected + 3);
        Box box = box_of(a, height, width), truth_box = box_of(b, height, width);
        count_boxes(&box, &truth_box, height, width, terms);
        require(!memcmp(expected, counts + 3 * GRIDS * k, sizeof expected), "other counts", number);
        require(!memcmp(terms, boxes + 2 * k, sizeof terms), "other boxes", number);
        require(drawn[k] == (expected[1] > 0) && truth_drawn[k] == (expected[2] > 0), "drawn or not", number);
        valid++;
    }
    for (int64_t k = 0; k < pairs; k++) {
        free((void *)masks[k].text);
        if (truth_of[k] == k)
            free((void *)masks[pairs + k].text);
    }
    void *all[] = {masks, truth_of, at, weights, rows, columns, counts, boxes, faults, truth_faults, drawn, truth_drawn, a, b};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        free(all[k]);
    tally->pairs += pairs, tally->valid += valid;
}

int main(int count, char **arguments) {
    if (count != 3)
        return 2;
    int64_t wanted = atoll(arguments[1]), batches = 0;
    Tally tally = {0};
    state = 88172645463325252u ^ (uint64_t)atoll(arguments[2]) * 7919;
    while (tally.pairs < wanted)
        compare_batch(batches++, &tally);
    printf("%lld pairs in %lld batches, %lld of two valid masks: all equal their pixels\n", (long long)tally.pairs,
           (long long)batches, (long long)tally.valid);
    return 0;
}
