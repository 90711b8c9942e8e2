/* airband and airband-live. Their formulas are written in networks/airband/PORTING.md. */
enum {
    HOPS = 200, OVERLAP = 3,            /* frames a second; earlier ones that share samples with one */
    SIZE = 960, HALF = SIZE / 2,        /* samples of a frame at 48 kHz; bins, without the one at 24 kHz */
    LOWEST_RATE = 4000, HIGHEST_RATE = 48000,
    BANDS_IN = 73, PADDED = 80, MEL = 41, BANDS_OUT = 56, NARROW = 24,
    BIN = 50, LOWEST_EDGE = 2000,       /* Hz */
    SOURCE = 4, SOURCE_END = 80, FLAT_SOURCE = 8, FLAT_CARRIER = 6, /* bins */
    CHANNELS = 64, W = CHANNELS / LANES, BLOCKS = 6,
    ROWS = 4, TILE = 2 * LANES,         /* of a product that is computed at a time */
    AHEAD = 127,                        /* frames that the network looks ahead, at most */
    REACH = 4 << (BLOCKS - 1),          /* frames that the last block holds, each before it half as many */
    LINES = 2 * REACH - 4,              /* that they hold together */
    BATCH = 32,                         /* frames that go through the layers at a time */
    EDGES = 256,                        /* more than AHEAD + BATCH */
    ENDLESS = 1 << 30                   /* frames: more than two months */
};

#define UP_TO_5(i, first, n) _Pragma("GCC unroll 5") for (int i = first; i < (n); i++)

/* The spectra of the input need double precision: bins far below the loudest ones are made as loud
 * as these, or decide a band's level. */
typedef double wide __attribute__((vector_size(4 * LANES)));
#define REAL double
#define VECTOR wide
#define NAMED(name) wide_##name
#include "fourier.h"
#define REAL float
#define VECTOR vector
#define NAMED(name) name
#include "fourier.h"

typedef struct { vector c[W]; } Frame; /* 64 channels */

typedef struct {
    vector depthwise[5][W], depthwise_bias[W], slope[W], pointwise[W * CHANNELS], pointwise_bias[W];
} Block;

typedef struct {
    novasr_model door;
    vector conv_in[W * 3 * PADDED], in_bias[W], share[BANDS_IN][W];
    Block blocks[BLOCKS];
    vector conv_out[W * CHANNELS], out_bias[W];
    wide_Transform input;
    Transform output;
    double input_tables[3 * SIZE];
    float output_tables[3 * SIZE];
    int rising[HALF], below[HALF]; /* of a bin: the band of features that rises there; the band of
                                      outputs whose middle is next below it */
    float rise[HALF], beyond[HALF]; /* how far it has risen; how far to the next middle the bin is */
    int hop, ahead[BLOCKS + 1], frames_ahead;
} Airband;

typedef struct {
    novasr_state door;
    int edge;   /* of the frames that come, a bin */
    float gain; /* of what is made */
    long came, made, total; /* frames: analysed, given, and in all, once that is known */
    long held; /* samples in x, which begins with frame `made` */
    int rest;  /* samples of the last, incomplete hop; 0 if it is complete */
    short edges[EDGES]; /* of the frames from `made` on, by their number modulo EDGES */
    /* of what is heard when the sound ends at `heard_edge` */
    int heard_edge, heard;
    float per_share[BANDS_IN];
    vector bias[W];
    float features[2][PADDED], overlap[OVERLAP * SIZE / 4];
    Frame lines[LINES]; /* inputs that the blocks hold, one block after another */
    float x[];          /* airband_samples(model) */
} AirbandState;

typedef struct {
    float features[2 + BATCH][PADDED];
    Frame levels[BATCH];
    Complex bins[HALF + 1];
    union {
        Frame line[2][REACH + BATCH];
        struct { wide_Complex half[2 * HALF], bins[HALF + 1]; } wide;
        struct { vector bands[BANDS_IN + 2], levels[BANDS_IN]; } heard;
        struct {
            Complex half[2 * HALF], source[HALF + 1], carrier[HALF + 1];
            vector amplitude[HALF], power[HALF + 1 + 2 * FLAT_SOURCE];
        };
    };
} AirbandWork;

typedef struct {
    Tensor in, in_bias, share, out, out_bias;
    struct { Tensor depthwise, depthwise_bias, slope, pointwise, pointwise_bias; } block[BLOCKS];
} AirbandTensors;

static int find_airband(File f, AirbandTensors *t)
{
    static const int in[] = {CHANNELS, BANDS_IN, 3, 0}, share[] = {CHANNELS, BANDS_IN, 0}, only[] = {CHANNELS, 0},
                     taps[] = {CHANNELS, 5, 0}, square[] = {CHANNELS, CHANNELS, 1, 0},
                     out[] = {BANDS_OUT, CHANNELS, 1, 0}, out_bias[] = {BANDS_OUT, 0};
    char name[40];
    EACH(i, BLOCKS)
        if (!tensor(f, joined(name, "blocks.", i, ".depthwise.weight"), taps, &t->block[i].depthwise)
            || !tensor(f, joined(name, "blocks.", i, ".depthwise.bias"), only, &t->block[i].depthwise_bias)
            || !tensor(f, joined(name, "blocks.", i, ".prelu.slope"), only, &t->block[i].slope)
            || !tensor(f, joined(name, "blocks.", i, ".pointwise.weight"), square, &t->block[i].pointwise)
            || !tensor(f, joined(name, "blocks.", i, ".pointwise.bias"), only, &t->block[i].pointwise_bias))
            return 0;
    return tensor(f, "conv_in.weight", in, &t->in) && tensor(f, "conv_in.bias", only, &t->in_bias)
        && tensor(f, "share.weight", share, &t->share) && tensor(f, "conv_out.weight", out, &t->out)
        && tensor(f, "conv_out.bias", out_bias, &t->out_bias);
}

/* Weights [out][in][tap] for `product`: of each TILE outputs those of one input beside each other. */
static void pack(Tensor t, int outs, int ins, int taps, int padded, vector *to)
{
    clear((float *)to, (long)CHANNELS * taps * padded); /* for what has no weights */
    EACH(o, outs) EACH(c, ins) EACH(k, taps)
        ((float *)to)[(o / TILE * taps * padded + padded * k + c) * TILE + o % TILE] = value(t, (ins * o + c) * taps + k);
}

static void channels(Tensor t, int count, vector *to)
{
    clear((float *)to, CHANNELS);
    EACH(c, count) ((float *)to)[c] = value(t, c);
}

static void load_airband(const AirbandTensors *t, Airband *a)
{
    pack(t->in, CHANNELS, BANDS_IN, 3, PADDED, a->conv_in);
    channels(t->in_bias, CHANNELS, a->in_bias);
    EACH(o, CHANNELS) EACH(c, BANDS_IN) ((float *)a->share[c])[o] = value(t->share, BANDS_IN * o + c);
    EACH(i, BLOCKS) {
        Block *b = &a->blocks[i];
        EACH(c, CHANNELS) EACH(k, 5) ((float *)b->depthwise[k])[c] = value(t->block[i].depthwise, 5 * c + k);
        channels(t->block[i].depthwise_bias, CHANNELS, b->depthwise_bias);
        channels(t->block[i].slope, CHANNELS, b->slope);
        pack(t->block[i].pointwise, CHANNELS, CHANNELS, 1, CHANNELS, b->pointwise);
        channels(t->block[i].pointwise_bias, CHANNELS, b->pointwise_bias);
    }
    pack(t->out, BANDS_OUT, CHANNELS, 1, CHANNELS, a->conv_out);
    channels(t->out_bias, BANDS_OUT, a->out_bias);
}

static void prepare_airband(Airband *a, int rate, int live)
{
    static const int live_ahead[BLOCKS + 1] = {1, 2, 2};
    double points[BANDS_IN + 2], ratio = exp_of(log_of((1 + 8000 / 700.0) / (1 + 40 / 700.0)) / (MEL - 1));
    double mel = 1 + 40 / 700.0;
    a->hop = rate / HOPS;
    a->frames_ahead = 0;
    EACH(i, BLOCKS + 1) a->frames_ahead += a->ahead[i] = live ? live_ahead[i] : 1 << i;
    wide_prepare_transform(&a->input, rate / 50, 48000.0 / rate, a->input_tables);
    prepare_transform(&a->output, SIZE, 1.0 / SIZE, a->output_tables);
    EACH(m, MEL) {
        points[m + 1] = 700 * (mel - 1);
        mel *= ratio;
    }
    points[0] = 2 * points[1] - points[2];
    EACH(m, BANDS_IN + 1 - MEL) points[MEL + 1 + m] = 8500 + 500 * m;
    EACH(k, HALF) {
        int b = k ? a->rising[k - 1] : 0;
        while (points[b + 1] <= 50 * k)
            b++;
        a->rising[k] = b;
        a->rise[k] = (float)((50 * k - points[b]) / (points[b + 1] - points[b]));

        /* Middles lie every 5 bins, then every 10. */
        double at = k < 157 ? (k - 42) / 5.0 : k < 164.5 ? NARROW - 1 + (k - 157) / 7.5 : NARROW + (k - 164.5) / 10;
        at = at < 0 ? 0 : at > BANDS_OUT - 1 ? BANDS_OUT - 1 : at;
        b = at < BANDS_OUT - 2 ? (int)at : BANDS_OUT - 2;
        a->below[k] = b;
        a->beyond[k] = (float)(at - b);
    }
}

static void begin_airband(const Airband *a, AirbandState *s)
{
    clear(s->features[0], 2 * PADDED);
    clear((float *)s->lines, (long)LINES * CHANNELS);
    clear(s->overlap, OVERLAP * SIZE / 4);
    s->came = s->made = 0;
    s->total = ENDLESS;
    s->held = OVERLAP * a->hop;
    clear(s->x, s->held);
    s->heard_edge = 0;
}

/* Samples that a state holds at most: frames that wait for those ahead, and a batch that comes. */
static long airband_samples(const Airband *a)
{
    return (long)(a->frames_ahead + BATCH + OVERLAP + 2) * a->hop;
}

/* Spectra of up to LANES frames of x, one hop apart, half of them at a time. */
static void spectra(const Airband *a, AirbandWork *w, const float *x, int frames)
{
    const double *window = a->input.window;
    for (int first = 0; first < frames; first += LANES / 2) {
        EACH(i, a->input.size / 2) {
            wide_Complex z = {0};
            EACH(lane, LANES / 2)
                if (first + lane < frames) {
                    const float *pair = x + a->hop * (first + lane) + 2 * i;
                    z.re[lane] = pair[0] * window[2 * i];
                    z.im[lane] = pair[1] * window[2 * i + 1];
                }
            w->wide.half[i] = z;
        }
        wide_analyse(&a->input, w->wide.half, w->wide.bins);
        EACH(k, a->input.size / 2 + 1)
            EACH(lane, LANES / 2) {
                w->bins[k].re[first + lane] = (float)w->wide.bins[k].re[lane];
                w->bins[k].im[first + lane] = (float)w->wide.bins[k].im[lane];
            }
    }
}

/* What is heard of a sound whose own bins are those below `edge`: the bands of which a fifth or more
 * lies there. */
static void hear(const Airband *a, AirbandState *s, int edge)
{
    double whole[BANDS_IN + 2] = {0}, own[BANDS_IN + 2] = {0}; /* of band b at b + 1 */
    if (s->heard_edge == edge)
        return;
    EACH(k, HALF) {
        double *rising = whole + a->rising[k];
        rising[1] += a->rise[k], rising[0] += 1 - a->rise[k];
        if (k == edge - 1)
            EACH(b, BANDS_IN + 2) own[b] = whole[b];
    }
    s->heard_edge = edge;
    s->heard = 0;
    EACH(i, W) s->bias[i] = a->in_bias[i];
    EACH(b, BANDS_IN) {
        double share = own[b + 1] / whole[b + 1];
        if (share < 0.2)
            break;
        s->per_share[b] = (float)(1 / own[b + 1]);
        EACH(i, W) s->bias[i] += a->share[b][i] * (float)share;
        s->heard++;
    }
}

/* Features of the frames whose spectra are in `bins`. */
static void describe(const Airband *a, AirbandState *s, AirbandWork *w, int frames, float (*to)[PADDED])
{
    vector *level = w->heard.levels, *bands = w->heard.bands;
    hear(a, s, s->edge);
    EACH(b, BANDS_IN + 2) bands[b] = (vector){0};
    EACH(k, s->edge) {
        Complex z = w->bins[k];
        vector power = z.re * z.re + z.im * z.im, rising = power * a->rise[k];
        bands[a->rising[k] + 1] += rising;
        bands[a->rising[k]] += power - rising;
    }
    EACH(b, s->heard) {
        vector power = bands[b + 1] * s->per_share[b];
        level[b] = logarithms(choose(power > 1e-8f, power, all(1e-8f))) * 0.21714724f + 1.5f; /* 1 / (2 ln 10) */
    }
    for (int b = s->heard; b < BANDS_IN; b++)
        level[b] = (level[s->heard - 2] + level[s->heard - 1]) / 2;
    EACH(lane, frames) {
        EACH(b, BANDS_IN) to[lane][b] = level[b][lane];
        clear(to[lane] + BANDS_IN, PADDED - BANDS_IN);
    }
}

/* y += w x for rows of x that are `stride` apart. */
static void product(const vector *weights, int in, const float *x, int stride, int rows, Frame *y)
{
    for (int t = 0; t < rows; t += ROWS) {
        const float *row[ROWS];
        UP_TO_5(r, 0, ROWS) row[r] = x + stride * (t + r < rows ? t + r : rows - 1);
        for (int i = 0; i < W; i += 2) {
            const vector *tile = weights + in * i;
            vector left[ROWS], right[ROWS];
            UP_TO_5(r, 0, ROWS) left[r] = right[r] = (vector){0};
            EACH(c, in)
                UP_TO_5(r, 0, ROWS) {
                    left[r] += tile[2 * c] * row[r][c];
                    right[r] += tile[2 * c + 1] * row[r][c];
                }
            UP_TO_5(r, 0, ROWS)
                if (t + r < rows) {
                    y[t + r].c[i] += left[r];
                    y[t + r].c[i + 1] += right[r];
                }
        }
    }
}

static int clamp(long x, int most)
{
    return x < 0 ? 0 : x > most ? most : (int)x;
}

/* `count` frames of features lie behind those that the first layer holds. Puts what they make of as
 * many frames into `levels`, and gives which of these are frames of the signal. */
static void network(const Airband *a, AirbandState *s, AirbandWork *w, int count, int *begin, int *end)
{
    long frame = s->came;
    Frame *held = s->lines;
    EACH(layer, BLOCKS + 1) {
        int d = layer ? 1 << (layer - 1) : 0, reach = 4 * d, behind = reach - a->ahead[layer];
        Frame *from = w->line[!(layer % 2)];
        Frame *to = w->line[layer % 2] + (layer < BLOCKS ? 4 << layer : 0);
        /* Before the signal and behind it are zeros in every layer. */
        frame -= a->ahead[layer];
        int first = clamp(-frame, count), last = clamp(s->total - frame, count);
        clear((float *)to, (long)first * CHANNELS);
        clear((float *)(to + last), (long)(count - last) * CHANNELS);
        if (!layer) {
            for (int t = first; t < last; t++) {
                hear(a, s, s->edges[(frame + t) % EDGES]);
                EACH(i, W) to[t].c[i] = s->bias[i];
            }
            copy(w->features[0], s->features[0], 2 * PADDED);
            product(a->conv_in, 3 * PADDED, w->features[first], PADDED, last - first, to + first);
            copy(s->features[0], w->features[count], 2 * PADDED);
        } else {
            const Block *block = &a->blocks[layer - 1];
            Frame v[BATCH];
            copy((float *)from, (const float *)held, (long)reach * CHANNELS);
            for (int t = first; t < last; t++)
                EACH(i, W) {
                    vector sum = block->depthwise_bias[i];
                    EACH(k, 5) sum += block->depthwise[k][i] * from[t + d * k].c[i];
                    v[t].c[i] = choose(sum > 0, sum, sum * block->slope[i]);
                    to[t].c[i] = from[t + behind].c[i] + block->pointwise_bias[i];
                }
            product(block->pointwise, CHANNELS, (const float *)(v + first), CHANNELS, last - first, to + first);
            copy((float *)held, (const float *)(from + count), (long)reach * CHANNELS);
            held += reach;
        }
        *begin = first, *end = last;
    }
    Frame *out = w->line[BLOCKS % 2];
    for (int t = *begin; t < *end; t++)
        EACH(i, W) {
            vector h = out[t].c[i];
            out[t].c[i] = choose(h > 0, h, exponentials(h) - 1);
            w->levels[t].c[i] = a->out_bias[i];
        }
    product(a->conv_out, CHANNELS, (const float *)(out + *begin), CHANNELS, *end - *begin, w->levels + *begin);
    s->came += count;
}

/* Divide bins x[first .. last - 1] by the root of the mean power of the 2 side + 1 around each, its
 * ends held; those before `from` stay as they are. A plain sum: a running one would lose quiet bins
 * beside loud ones. */
static void flatten(AirbandWork *w, const Complex *x, Complex *y, int first, int last, int from, int side)
{
    vector *power = w->power;
    int count = last - first;
    EACH(k, count) {
        Complex z = x[first + k];
        power[side + k] = z.re * z.re + z.im * z.im;
    }
    EACH(i, side) power[i] = power[side], power[side + count + i] = power[side + count - 1];
    for (int k = from; k < last; k++) {
        vector sum = power[k - first];
        EACH(i, 2 * side) sum += power[k - first + 1 + i];
        /* Newton's method for 1 / sqrt, from a guess by the exponent. */
        vector mean = sum * (1.0f / (2 * side + 1)) + 1e-20f;
        vector r = (vector)(0x5F3759DF - ((integers)mean >> 1));
        EACH(i, 3) r *= 1.5f - 0.5f * mean * r * r;
        y[k] = (Complex){x[k].re * r, x[k].im * r};
    }
}

/* Overtones of the frames whose spectra are in `bins`, of mean power 1, into `carrier`. */
static void overtones(const Airband *a, AirbandWork *w, int edge)
{
    int end = edge < SOURCE_END ? edge : SOURCE_END;
    clear((float *)w->source, sizeof w->source / 4);
    flatten(w, w->bins, w->source, SOURCE, end, SOURCE, FLAT_SOURCE);
    const Complex *z = synthesise(&a->output, w->source, w->half);
    EACH(i, HALF) {
        vector even = z[i].im * (1.0f / SIZE), odd = z[i].re * (1.0f / SIZE);
        w->half[i] = (Complex){(vector)((integers)even & 0x7FFFFFFF), (vector)((integers)odd & 0x7FFFFFFF)};
    }
    analyse(&a->output, w->half, w->carrier);
    flatten(w, w->carrier, w->carrier, 0, HALF + 1, edge, FLAT_CARRIER);
}

/* The next frames become samples, from `levels`: up to LANES of one edge. Gives how many. */
static int sound(const Airband *a, AirbandState *s, AirbandWork *w, const Frame *levels, int most, float **to)
{
    int edge = s->edges[s->made % EDGES], frames = 1;
    while (frames < most && frames < LANES && s->edges[(s->made + frames) % EDGES] == edge)
        frames++;
    spectra(a, w, s->x, frames);
    if (edge < HALF) {
        vector level[BANDS_OUT] = {0};
        EACH(lane, frames) EACH(b, BANDS_OUT) level[b][lane] = ((const float *)&levels[lane])[b];
        for (int k = edge; k < HALF; k++) {
            vector below = level[a->below[k]], above = level[a->below[k] + 1];
            w->amplitude[k] = exponentials((below + (above - below) * a->beyond[k] - 2) * 2.3025851f) * (0.56f * s->gain); /* ln 10 */
        }
        overtones(a, w, edge);
    }
    EACH(k, edge) w->bins[k] = times(w->bins[k], 0.5f);
    for (int k = edge; k < HALF; k++)
        w->bins[k] = (Complex){w->carrier[k].re * w->amplitude[k], w->carrier[k].im * w->amplitude[k]};
    w->bins[HALF] = (Complex){0};
    const Complex *z = synthesise(&a->output, w->bins, w->half);
    EACH(lane, frames) {
        float y[SIZE];
        EACH(i, HALF) {
            y[2 * i] = z[i].im[lane] * a->output.window[2 * i];
            y[2 * i + 1] = z[i].re[lane] * a->output.window[2 * i + 1];
        }
        EACH(i, OVERLAP * SIZE / 4) y[i] += s->overlap[i];
        copy(s->overlap, y + SIZE / 4, OVERLAP * SIZE / 4);
        if (s->made++ < OVERLAP) /* hops before the signal */
            continue;
        int count = s->made == s->total && s->rest ? (s->rest * SIZE / 4 + a->hop - 1) / a->hop : SIZE / 4;
        copy(*to, y, count);
        *to += count;
    }
    s->held -= frames * a->hop;
    copy(s->x, s->x + frames * a->hop, s->held);
    return frames;
}

static long push_airband(const Airband *a, AirbandState *s, AirbandWork *w, const float *x, long count, int last, float *y)
{
    float *to = y;
    int size = a->input.size, begin, end;
    for (;;) {
        long at = (s->came - s->made) * a->hop, room = at + size + BATCH * a->hop - 1 - s->held;
        long some = count < room ? count : room;
        int frames = 0;
        copy(s->x + s->held, x, some);
        s->held += some, x += some, count -= some;
        if (s->held - at >= size) {
            frames = (int)((s->held - at - size) / a->hop + 1);
            for (int t = 0; t < frames; t += LANES) {
                int some_frames = frames - t < LANES ? frames - t : LANES;
                spectra(a, w, s->x + at + t * a->hop, some_frames);
                describe(a, s, w, some_frames, w->features + 2 + t);
            }
            EACH(t, frames) s->edges[(s->came + t) % EDGES] = (short)s->edge;
        } else if (!last || s->held == OVERLAP * a->hop) {
            break;
        } else if (s->total == ENDLESS) { /* zeros fill the last hop, and the frames that it is in */
            s->rest = (int)(s->held % a->hop);
            long zeros = (OVERLAP + (s->rest > 0)) * a->hop - s->rest;
            clear(s->x + s->held, zeros);
            s->held += zeros;
            s->total = s->came + (s->held - at) / a->hop - OVERLAP;
            continue;
        } else {
            frames = clamp(s->total + a->frames_ahead - s->came, BATCH);
            if (!frames)
                break;
            clear(w->features[2], (long)frames * PADDED);
        }
        network(a, s, w, frames, &begin, &end);
        while (begin < end)
            begin += sound(a, s, w, w->levels + begin, end - begin, &to);
    }
    return to - y;
}
