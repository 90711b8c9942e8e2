/* Filters from one sampling rate to another, and the crossover, as rates.h says. Their formulas are
 * written in dsp/polyphase.py, dsp/resample.py and dsp/crossover.py. */
#include "rates.h"

enum {
    SLOWEST = 1000, FASTEST = 768000, /* Hz */
    MOST_BYTES = 200000000, /* of a table */
    WIDTH = 32,             /* a row of it has a multiple of so many taps: two sums of 16 go side by side */
    ZERO_CROSSINGS = 6,     /* of NovaSR's original, on either side */
    STEEPNESS = 7           /* the crossover's frequency in widths of its slope */
};

/* ---- kernels --------------------------------------------------------------------------------- */

/* h(d) = scale sinc(scale d) kaiser(d / half), d in samples of the input; for o of them n outputs. */
typedef struct { int o, n, rate; double scale, half, beta; } Kernel;

static int divisor(int a, int b) /* the greatest common one */
{
    return b ? divisor(b, a % b) : a;
}

/* Kaiser's rules for a slope of `slope` Hz around `hertz`, and what passes beyond it, in dB. */
static Kernel low_pass(Kernel k, int rate, double hertz, double slope, double attenuation)
{
    k.scale = 2 * hertz / rate;
    k.half = (attenuation - 7.95) / (2.285 * 2 * PI * slope) / 2 * rate;
    k.beta = 0.1102 * (attenuation - 8.7);
    return k;
}

/* The kernel of a design; o is 0 if it is refused. */
static Kernel design(int kind, double hertz, int rate, int new_rate)
{
    Kernel k = {0};
    int lower = rate < new_rate ? rate : new_rate, higher = rate < new_rate ? new_rate : rate;
    if (lower < SLOWEST || higher > FASTEST || (rate == new_rate && kind != NOVASR_LOW_PASS))
        return k;
    int shared = divisor(rate, new_rate);
    k.rate = rate, k.o = rate / shared, k.n = new_rate / shared;
    lower /= shared;
    if (kind == NOVASR_STEEP) {
        double half = lower / 2.0, slope = 0.08 * half; /* which ends there */
        return low_pass(k, k.o, half - slope / 2, slope, 120);
    }
    if (kind == NOVASR_LOW_PASS && hertz > 0 && hertz <= (double)lower * shared * STEEPNESS / (2 * STEEPNESS + 1))
        return low_pass(k, rate, hertz, hertz / STEEPNESS, 100);
    if (kind != NOVASR_UPSTREAM)
        return (Kernel){0};
    k.scale = 0.99 * lower / k.o;
    k.half = ZERO_CROSSINGS * k.o / (0.99 * lower);
    k.beta = 14.769656459379492;
    return k;
}

static double bessel(double square) /* I0(x) of x^2, by its series */
{
    double sum = 1, term = 1;
    for (int k = 1; term > sum * 1e-17; k++)
        sum += term *= square / (4.0 * k * k);
    return sum;
}

static double kernel_at(const Kernel *k, double d, double level)
{
    double t = k->scale * d, u = d / k->half;
    if (u < -1 || u > 1)
        return 0;
    double turn = t - 2 * (double)(long long)(t / 2); /* sin(pi t) repeats */
    double sinc = t < 0 || t > 0 ? sin_of(PI * turn) / (PI * t) : 1;
    return level * sinc * bessel(k->beta * k->beta * (1 - u * u));
}

/* ---- filters --------------------------------------------------------------------------------- */

struct novasr_filter {
    int o, n;           /* o samples in, n samples out */
    int width, latency; /* taps of a row, of which the first may be zeros; samples of the input */
    double passes;      /* Hz */
    v16 rows[];         /* of n outputs, in their order */
};

struct novasr_filter_state {
    const novasr_filter *filter;
    int row;        /* of the next output */
    int due;        /* n-ths of a sample up to it: the next sample determines it if they are fewer than n */
    int oldest;     /* of the samples in `recent` */
    float recent[]; /* `width` samples, twice, so that they stand in a row wherever they begin */
};

static int reach(const Kernel *k) /* samples on either side, as far as h may be more than 0 */
{
    int whole = (int)k->half;
    return whole + (k->half > whole);
}

static int width_of(const Kernel *k)
{
    return (2 * reach(k) + 2 + WIDTH - 1) / WIDTH * WIDTH;
}

static size_t filter_bytes(const Kernel *k)
{
    if (!k->o || k->half > MOST_BYTES || 4.0 * k->n * (2 * reach(k) + 2) > MOST_BYTES)
        return 0;
    return padded(sizeof(novasr_filter) + sizeof(float) * (size_t)k->n * (size_t)width_of(k));
}

static const novasr_filter *make_filter(void *memory, const Kernel *k)
{
    novasr_filter *f = memory;
    if (!aligned(memory) || !filter_bytes(k))
        return 0;
    int side = reach(k), taps = 2 * side + 2;
    double level = k->scale / bessel(k->beta * k->beta);
    f->o = k->o, f->n = k->n, f->width = width_of(k), f->latency = side + 1;
    f->passes = k->scale * k->rate / 2;
    EACH(p, f->n) {
        float *row = (float *)f->rows + (long)p * f->width;
        double fraction = (double)((long long)p * k->o % k->n) / k->n;
        clear(row, f->width - taps);
        EACH(i, taps) row[f->width - taps + i] = (float)kernel_at(k, i - side - fraction, level);
    }
    return f;
}

INLINE float dot(const v16 *row, const float *x, int width)
{
    typedef v16 Loose __attribute__((aligned(4)));
    const Loose *loose = (const Loose *)x;
    v16 a = {0}, b = {0};
    float sum[8];
    for (int i = 0; i < width / 16; i += 2) {
        a += row[i] * loose[i];
        b += row[i + 1] * loose[i + 1];
    }
    a += b;
    EACH(i, 8) sum[i] = a[i] + a[i + 8];
    EACH(i, 4) sum[i] += sum[i + 4];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* Take one sample, write the outputs that it determines, and give their end. */
static float *take_sample(novasr_filter_state *s, float x, float *y)
{
    const novasr_filter *f = s->filter;
    s->recent[s->oldest] = s->recent[s->oldest + f->width] = x;
    s->oldest = s->oldest + 1 < f->width ? s->oldest + 1 : 0;
    for (; s->due < f->n; s->due += f->o) {
        *y++ = dot(f->rows + (long)s->row * (f->width / 16), s->recent + s->oldest, f->width);
        s->row = s->row + 1 < f->n ? s->row + 1 : 0;
    }
    s->due -= f->n;
    return y;
}

size_t novasr_filter_bytes(int kind, double hertz, int rate, int new_rate)
{
    Kernel k = design(kind, hertz, rate, new_rate);
    return filter_bytes(&k);
}

const novasr_filter *novasr_filter_make(void *memory, int kind, double hertz, int rate, int new_rate)
{
    Kernel k = design(kind, hertz, rate, new_rate);
    return make_filter(memory, &k);
}

size_t novasr_filter_state_bytes(const novasr_filter *f)
{
    return padded(sizeof(novasr_filter_state) + 2 * sizeof(float) * (size_t)f->width);
}

double novasr_filter_passes(const novasr_filter *f)
{
    return f->passes;
}

long novasr_filter_latency(const novasr_filter *f)
{
    return f->latency;
}

long novasr_filter_room(const novasr_filter *f, long count)
{
    return (long)(((long long)count + f->latency) * f->n / f->o + 1);
}

novasr_filter_state *novasr_filter_begin(void *memory, const novasr_filter *filter)
{
    novasr_filter_state *state = memory;
    if (!aligned(memory))
        return 0;
    state->filter = filter;
    novasr_filter_reset(state);
    return state;
}

void novasr_filter_reset(novasr_filter_state *s)
{
    s->row = s->oldest = 0;
    s->due = s->filter->latency * s->filter->n;
    clear(s->recent, 2 * s->filter->width);
}

long novasr_filter_push(novasr_filter_state *s, const float *x, long count, int last, float *y)
{
    float *to = y;
    u64 before = flush_denormals();
    for (long i = 0; i < count; i++)
        to = take_sample(s, x[i], to);
    EACH(i, last ? s->filter->latency : 0) to = take_sample(s, 0, to);
    restore(before);
    if (last)
        novasr_filter_reset(s);
    return to - y;
}

/* ---- the crossover --------------------------------------------------------------------------- */

struct novasr_crossover {
    int rate, rate_out;
    const novasr_filter *input, *network;
};

typedef struct { long first, count; float *samples; } Queue;

struct novasr_crossover_state {
    const novasr_crossover *crossover;
    long most;
    Queue low, added; /* up to `most` outputs that wait for the others: low(x), and y - low(y) */
    novasr_filter_state *input, *network;
};

double novasr_crossover_highest(int rate, int rate_out, double edge)
{
    double end = (rate < rate_out ? rate : rate_out) / 2.0;
    return (edge > 0 && edge < end ? edge : end) * STEEPNESS / (STEEPNESS + 1);
}

size_t novasr_crossover_bytes(double hertz, int rate, int rate_out)
{
    size_t input = novasr_filter_bytes(NOVASR_LOW_PASS, hertz, rate, rate_out);
    size_t network = novasr_filter_bytes(NOVASR_LOW_PASS, hertz, rate_out, rate_out);
    return input && network ? padded(sizeof(novasr_crossover)) + input + network : 0;
}

const novasr_crossover *novasr_crossover_make(void *memory, double hertz, int rate, int rate_out)
{
    novasr_crossover *c = memory;
    if (!aligned(memory) || !novasr_crossover_bytes(hertz, rate, rate_out))
        return 0;
    byte *at = (byte *)memory + padded(sizeof *c);
    c->rate = rate, c->rate_out = rate_out;
    c->input = novasr_filter_make(at, NOVASR_LOW_PASS, hertz, rate, rate_out);
    at += novasr_filter_bytes(NOVASR_LOW_PASS, hertz, rate, rate_out);
    c->network = novasr_filter_make(at, NOVASR_LOW_PASS, hertz, rate_out, rate_out);
    return c;
}

long novasr_crossover_latency(const novasr_crossover *c)
{
    return (long)(((long long)c->network->latency * c->rate + c->rate_out - 1) / c->rate_out);
}

static long outputs_of(const novasr_crossover *c, long count) /* of so many samples of the input, at most */
{
    return (long)((long long)count * c->rate_out / c->rate + 1);
}

/* Outputs that wait, at most: the filters reach equally far, but for some samples of the input. */
static long most_waiting(const novasr_crossover *c, long ahead)
{
    return outputs_of(c, (ahead > 0 ? ahead : 0) + 4);
}

size_t novasr_crossover_state_bytes(const novasr_crossover *c, long ahead)
{
    return padded(sizeof(novasr_crossover_state)) + novasr_filter_state_bytes(c->input)
        + novasr_filter_state_bytes(c->network) + padded(2 * sizeof(float) * (size_t)most_waiting(c, ahead));
}

novasr_crossover_state *novasr_crossover_begin(void *memory, const novasr_crossover *crossover, long ahead)
{
    novasr_crossover_state *s = memory;
    if (!aligned(memory))
        return 0;
    byte *at = (byte *)memory + padded(sizeof *s);
    s->crossover = crossover;
    s->input = novasr_filter_begin(at, crossover->input);
    at += novasr_filter_state_bytes(crossover->input);
    s->network = novasr_filter_begin(at, crossover->network);
    at += novasr_filter_state_bytes(crossover->network);
    s->most = most_waiting(crossover, ahead);
    s->low.samples = (float *)at;
    s->added.samples = s->low.samples + s->most;
    novasr_crossover_reset(s);
    return s;
}

void novasr_crossover_reset(novasr_crossover_state *s)
{
    novasr_filter_reset(s->input);
    novasr_filter_reset(s->network);
    s->low.first = s->low.count = s->added.first = s->added.count = 0;
}

long novasr_crossover_room(const novasr_crossover_state *s, long made)
{
    return s->added.count + made + s->crossover->network->latency;
}

static void put(Queue *q, long most, float x)
{
    long at = q->first + q->count++;
    q->samples[at < most ? at : at - most] = x;
}

static float get(Queue *q, long most)
{
    float x = q->samples[q->first];
    q->first = q->first + 1 < most ? q->first + 1 : 0;
    q->count--;
    return x;
}

static void take_input(novasr_crossover_state *s, float x)
{
    float low[FASTEST / SLOWEST], *end = take_sample(s->input, x, low);
    for (const float *next = low; next < end; next++)
        put(&s->low, s->most, *next);
}

/* Of the network's samples, that which came `latency` before this one is complete now. */
static void take_output(novasr_crossover_state *s, float y)
{
    const novasr_filter *f = s->network->filter;
    float low;
    if (take_sample(s->network, y, &low) > &low)
        put(&s->added, s->most, s->network->recent[s->network->oldest + f->width - 1 - f->latency] - low);
}

long novasr_crossover_push(novasr_crossover_state *s, const float *x, long count, const float *y, long made, float gain, int last, float *out)
{
    float *to = out;
    if (s->low.count + outputs_of(s->crossover, count) > s->most || s->added.count + made > s->most)
        return -1;
    u64 before = flush_denormals();
    for (long i = 0; i < count; i++)
        take_input(s, x[i]);
    for (long i = 0, end = made + (last ? s->crossover->network->latency : 0); i < end; i++) {
        take_output(s, i < made ? y[i] : 0);
        while (last && s->low.count < s->added.count)
            take_input(s, 0);
        for (; s->low.count && s->added.count; to++) {
            float low = get(&s->low, s->most);
            *to = low + gain * get(&s->added, s->most);
        }
    }
    restore(before);
    if (last)
        novasr_crossover_reset(s);
    return to - out;
}
