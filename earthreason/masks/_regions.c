/* Python's side of the region kernel in `regions.h` and `batch.h`. setup.py defines Py_LIMITED_API, so one build serves 3.11
 * and on. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "batch.h"

/* Fill `view` with a contiguous buffer of `items` elements of `width` bytes; any number if `items` is negative. */
static int take_buffer(PyObject *object, Py_buffer *view, Py_ssize_t items, Py_ssize_t width, int writable) {
    if (PyObject_GetBuffer(object, view, PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0)) < 0)
        return -1;
    if (view->itemsize == width && (items < 0 || view->len == items * width))
        return 0;
    PyErr_Format(PyExc_ValueError, "expected %zd elements of %zd bytes, got %zd bytes", items, width, view->len);
    PyBuffer_Release(view);
    return -1;
}

/* Set text and length from a str; other characters than ASCII become bytes that decoding refuses. */
static int take_text(PyObject *text, Mask *mask) {
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "the counts of an RLE are a str");
        return -1;
    }
    Py_ssize_t length;
    const char *content = PyUnicode_AsUTF8AndSize(text, &length);
    if (!content) { /* a lone surrogate */
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return -1;
        PyErr_Clear();
        content = "\x7f", length = 1;
    }
    mask->text = (const uint8_t *)content;
    mask->length = length;
    return 0;
}

static int check_size(Mask *mask) {
    const int64_t most = 1 << 25; /* positions stay below 2^51, where doubles hold every half */
    if (mask->height >= 1 && mask->width >= 1 && mask->height <= most && mask->width <= most)
        return 0;
    PyErr_SetString(PyExc_ValueError, "the sides of a mask are from 1 to 2^25");
    return -1;
}

/* Fill `mask` from an RLE dictionary or None; return a new reference to the text. */
static PyObject *take_rle(PyObject *rle, Mask *mask) {
    *mask = (Mask){0};
    if (Py_IsNone(rle))
        return Py_NewRef(rle);
    PyObject *text = PyMapping_GetItemString(rle, "counts");
    PyObject *size = text ? PyMapping_GetItemString(rle, "size") : NULL;
    PyObject *height = size ? PySequence_GetItem(size, 0) : NULL, *width = height ? PySequence_GetItem(size, 1) : NULL;
    int ready = text && width && take_text(text, mask) == 0;
    if (ready) {
        mask->height = PyLong_AsLongLong(height);
        mask->width = PyErr_Occurred() ? -1 : PyLong_AsLongLong(width);
        ready = !PyErr_Occurred() && check_size(mask) == 0;
    }
    Py_XDECREF(size);
    Py_XDECREF(height);
    Py_XDECREF(width);
    if (!ready)
        Py_CLEAR(text);
    return text;
}

/* Check that pair `k` can be compared on every grid: the weights of its truth lie in the buffer, and fit the prediction. */
static int check_pair(const Batch *batch, Py_ssize_t k) {
    const Mask *target = batch->truth + k, *answer = batch->predictions + k;
    for (Py_ssize_t g = 0; g < batch->grids; g++) {
        const int64_t *at = batch->weights_at + 2 * (g * batch->truths + batch->truth_of[k]);
        if (at[0] < 0)
            continue;
        if (at[0] > batch->weight_count - target->height - 1 || at[1] < 0 ||
            at[1] > batch->weight_count - 2 * target->width) {
            PyErr_SetString(PyExc_ValueError, "the weights of a grid are missing");
            return -1;
        }
        if (answer->text && (answer->height != target->height || answer->width != target->width)) {
            PyErr_SetString(PyExc_ValueError, "masks of different sizes are compared on a grid");
            return -1;
        }
    }
    return 0;
}

enum { TRUTH_OF, SIZES, WEIGHTS, WEIGHTS_AT, COUNTS, BOXES, DRAWN, TRUTH_DRAWN, FAULTS, TRUTH_FAULTS, BUFFERS };

static PyObject *count_batch(PyObject *module, PyObject *arguments) {
    PyObject *rles, *texts, *arrays[BUFFERS], *result = NULL;
    Py_ssize_t threads;
    if (!PyArg_ParseTuple(arguments, "nOO!OOOOOOOOOO", &threads, &rles, &PyTuple_Type, &texts, &arrays[0], &arrays[1],
                          &arrays[2], &arrays[3], &arrays[4], &arrays[5], &arrays[6], &arrays[7], &arrays[8],
                          &arrays[9]))
        return NULL;
    rles = PySequence_Tuple(rles);
    if (!rles)
        return NULL;
    Py_ssize_t pairs = PyTuple_Size(rles), truths = PyTuple_Size(texts), held = 0, views = 0;
    Py_buffer view[BUFFERS];
    Mask *masks = PyMem_Calloc((size_t)(2 * pairs + 1), sizeof(Mask));
    PyObject **owned = PyMem_Calloc((size_t)(pairs + 1), sizeof(PyObject *));
    Batch batch = {.pairs = pairs, .truths = truths, .predictions = masks, .truth = masks ? masks + pairs : NULL};
    if (!masks || !owned) {
        PyErr_NoMemory();
        goto done;
    }
    for (; views < BUFFERS; views++) {
        Py_ssize_t items[BUFFERS] = {pairs, 2 * truths, -1,    -1,    3 * batch.grids * pairs,
                                     2 * pairs, pairs,  pairs, pairs, pairs};
        Py_ssize_t width = views == DRAWN || views == TRUTH_DRAWN ? 1 : 8;
        if (take_buffer(arrays[views], view + views, items[views], width, views >= COUNTS) < 0)
            goto done;
        if (views == WEIGHTS_AT)
            batch.grids = truths ? view[WEIGHTS_AT].len / (16 * truths) : 0;
    }
    batch.truth_of = view[TRUTH_OF].buf;
    batch.weights = view[WEIGHTS].buf;
    batch.weight_count = view[WEIGHTS].len / 8;
    batch.weights_at = view[WEIGHTS_AT].buf;
    batch.counts = view[COUNTS].buf;
    batch.boxes = view[BOXES].buf;
    batch.drawn = view[DRAWN].buf;
    batch.truth_drawn = view[TRUTH_DRAWN].buf;
    batch.faults = view[FAULTS].buf;
    batch.truth_faults = view[TRUTH_FAULTS].buf;
    const int64_t *sizes = view[SIZES].buf;
    for (; held < pairs; held++) {
        Mask *truth = masks + pairs + held;
        int64_t t = batch.truth_of[held];
        if (t < 0 || t >= truths) {
            PyErr_SetString(PyExc_IndexError, "there is no ground truth of this number");
            goto done;
        }
        truth->height = sizes[2 * t], truth->width = sizes[2 * t + 1];
        if (take_text(PyTuple_GetItem(texts, t), truth) < 0 || check_size(truth) < 0)
            goto done;
        if (!(owned[held] = take_rle(PyTuple_GetItem(rles, held), masks + held)))
            goto done;
        batch.longest = larger(batch.longest, masks[held].length);
        batch.longest_truth = larger(batch.longest_truth, truth->length);
        if (check_pair(&batch, held) < 0)
            goto done;
    }
#ifdef HAVE_BLOCKS
    batch.blocks = has_blocks();
#endif
    int failed;
    Py_BEGIN_ALLOW_THREADS
    failed = compare_all(&batch, threads);
    Py_END_ALLOW_THREADS
    result = failed ? PyErr_NoMemory() : Py_NewRef(Py_None);
done:
    while (views--)
        PyBuffer_Release(view + views);
    for (Py_ssize_t k = 0; owned && k < pairs; k++)
        Py_XDECREF(owned[k]);
    PyMem_Free(owned);
    PyMem_Free(masks);
    Py_DECREF(rles);
    return result;
}

static PyObject *decode_runs(PyObject *module, PyObject *arguments) {
    PyObject *text, *array;
    long long total;
    Py_buffer view;
    Mask mask;
    int blocks = 0;
    if (!PyArg_ParseTuple(arguments, "OLO", &text, &total, &array) || take_text(text, &mask) < 0 ||
        take_buffer(array, &view, -1, 8, 1) < 0)
        return NULL;
    if (view.len / 8 < mask.length) {
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_ValueError, "the array has less room than the text has characters");
        return NULL;
    }
#ifdef HAVE_BLOCKS
    blocks = has_blocks();
#endif
    int64_t n;
    Py_BEGIN_ALLOW_THREADS
    n = decode(mask.text, mask.length, total, blocks, view.buf);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    return PyLong_FromLongLong(n);
}

static PyObject *canvas_runs(PyObject *module, PyObject *arguments) {
    enum { BOUNDARIES, ROWS, COLUMNS, RUNS, ARRAYS };
    PyObject *arrays[ARRAYS], *result = NULL;
    long long height, top, left, canvas_height;
    Py_buffer view[ARRAYS];
    int views = 0;
    if (!PyArg_ParseTuple(arguments, "OLOOLLLO", &arrays[BOUNDARIES], &height, &arrays[ROWS], &arrays[COLUMNS], &top,
                          &left, &canvas_height, &arrays[RUNS]))
        return NULL;
    if (height < 1 || height > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "the height of a mask is positive");
        return NULL;
    }
    for (; views < ARRAYS; views++)
        if (take_buffer(arrays[views], view + views, views == ROWS ? height + 1 : -1, 8, views == RUNS) < 0)
            goto done;
    Runs runs = {.runs = view[RUNS].buf, .room = view[RUNS].len / 8, .last_stop = -1};
    int64_t needed;
    Py_BEGIN_ALLOW_THREADS
    needed = place_runs(view[BOUNDARIES].buf, view[BOUNDARIES].len / 8, height, view[ROWS].buf, view[COLUMNS].buf,
                        view[COLUMNS].len / 8, left * canvas_height + top, canvas_height, &runs);
    Py_END_ALLOW_THREADS
    result = PyLong_FromLongLong(needed);
done:
    while (views--)
        PyBuffer_Release(view + views);
    return result;
}

static PyMethodDef methods[] = {
    {"count_batch", count_batch, METH_VARARGS, "Compare each prediction with its truth; see kernel_numba.count_batch."},
    {"decode_runs", decode_runs, METH_VARARGS, "Fill an array with run boundaries; return their number or a fault."},
    {"canvas_runs", canvas_runs, METH_VARARGS, "Fill an array with runs on a canvas; return the length they need."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_regions", .m_doc = "The region kernel in C.",
    .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC PyInit__regions(void) { return PyModuleDef_Init(&definition); }
