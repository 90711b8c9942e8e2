/* NovaSR and airband on one page of C, as engine.h says. How NovaSR is folded is written in
 * networks/novasr/fast.py; both networks' formulas in the PORTING.md in their folders.
 *
 * Signals are arrays [time][channel], so that a vector holds 16 channels of one step of time. In
 * WebAssembly that is four registers, with AVX-512 one. Spectra are arrays [bin] of several frames.
 */
#include "engine.h"

typedef float v16 __attribute__((vector_size(64)));
typedef int i16 __attribute__((vector_size(64)));
#ifdef __AVX512F__
enum { LANES = 16 };
#elif defined __AVX__
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
typedef float vector __attribute__((vector_size(4 * LANES))); /* a register */
typedef int integers __attribute__((vector_size(4 * LANES)));
typedef unsigned char byte;
typedef unsigned int u32;
typedef unsigned long long u64;

#define EACH(i, n) for (int i = 0; i < (n); i++)
#ifdef __wasm__
enum { STEPS = 2 }; /* of time that a product takes at once: as many as stay in registers */
#else
enum { STEPS = 4 };
#endif

/* ---- arithmetic ------------------------------------------------------------------------------ */

static const double PI = 3.141592653589793, LN2 = 0.6931471805599453;

static double scale2(int k) /* 2^k, -1000 < k < 1000 */
{
    union { u64 bits; double value; } x = {(u64)(k + 1023) << 52};
    return x.value;
}

static double exp_of(double x)
{
    x = !(x > -690) ? -690 : x > 690 ? 690 : x;
    int k = (int)(x / LN2 + (x < 0 ? -0.5 : 0.5));
    double r = x - k * LN2, sum = 1;
    for (int n = 14; n > 0; n--)
        sum = 1 + sum * r / n;
    return sum * scale2(k);
}

static double log_of(double x) /* x > 0 */
{
    union { double value; u64 bits; } m = {x};
    int k = (int)(m.bits >> 52 & 2047) - 1023;
    m.bits = (m.bits & 0xFFFFFFFFFFFFF) | (u64)1023 << 52;
    if (m.value > 1.4142135623730951)
        m.value /= 2, k++;
    double s = (m.value - 1) / (m.value + 1), sum = 0;
    for (int n = 23; n > 0; n -= 2)
        sum = sum * s * s + 1.0 / n;
    return k * LN2 + 2 * s * sum;
}

static double cos_of(double x) /* |x| <= 2 pi */
{
    double r = x > PI ? x - 2 * PI : x < -PI ? x + 2 * PI : x, sum = 1;
    for (int n = 28; n > 0; n -= 2)
        sum = 1 - sum * r * r / (n * (n - 1));
    return sum;
}

static double sin_of(double x)
{
    return cos_of(x > PI / 2 ? x - PI / 2 : x + 3 * PI / 2);
}

#define INLINE static inline __attribute__((always_inline))

INLINE v16 splat(float x)
{
    return (v16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

INLINE vector choose(integers mask, vector yes, vector no)
{
    return (vector)((mask & (integers)yes) | (~mask & (integers)no));
}

INLINE vector all(float x)
{
    return x - (vector){0};
}

/* Adding it rounds to a whole number, which stands in the lowest bits then. */
static const float MAGIC = 12582912;

INLINE v16 cosines(v16 x)
{
    v16 turns = x * 0.31830988618f + MAGIC;
    i16 sign = (i16)turns << 31;
    v16 k = turns - MAGIC;
    v16 r = ((x - k * 3.140625f) - k * 9.67502593994140625e-4f) - k * 1.509957990978376e-7f;
    v16 z = r * r;
    v16 y = 1 + z * (-0.5f + z * (4.16666667e-2f + z * (-1.38888889e-3f + z * (2.48015873e-5f
        + z * (-2.75573192e-7f + z * 2.08767570e-9f)))));
    return (v16)((i16)y ^ sign);
}

INLINE vector exponentials(vector x)
{
    x = choose(x < -87, all(-87), x);
    x = choose(x > 88, all(88), x);
    vector turns = x * 1.44269504f + MAGIC;
    vector k = turns - MAGIC;
    vector r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
    vector y = 1 + r * (1 + r * (0.5f + r * (1.66666667e-1f + r * (4.16666667e-2f
        + r * (8.33333333e-3f + r * 1.38888889e-3f)))));
    return (vector)((integers)y + ((integers)turns << 23));
}

INLINE vector logarithms(vector x) /* x > 0, not denormal */
{
    integers k = ((integers)x - 0x3F3504F3) >> 23; /* x = 2^k m, m from sqrt(1/2) on */
    vector f = (vector)((integers)x - (k << 23)) - 1, z = f * f;
    vector y = 1.1676998740e-1f + f * (-1.1514610310e-1f + f * 7.0376836292e-2f);
    y = 1.4249322787e-1f + f * (-1.2420140846e-1f + f * y);
    y = 2.0000714765e-1f + f * (-1.6668057665e-1f + f * y);
    y = 3.3333331174e-1f + f * (-2.4999993993e-1f + f * y);
    return __builtin_convertvector(k, vector) * 0.69314718f + (f + z * (f * y - 0.5f));
}

static float tanh_of(float x)
{
    float size = x < 0 ? -x : x;
    if (size < 0.3f) {
        float z = x * x;
        return x * (1 + z * (-0.33333333f + z * (0.13333333f + z * (-5.3968254e-2f
            + z * (2.1869489e-2f - z * 8.8632355e-3f)))));
    }
    float y = 1 - 2 / (exponentials(all(2 * (size > 20 ? 20 : size)))[0] + 1);
    return x < 0 ? -y : y;
}

static void copy(float *to, const float *from, long count) /* to may lie before from, overlapping */
{
    for (long i = 0; i < count; i++)
        to[i] = from[i];
}

static void clear(float *x, long count)
{
    for (long i = 0; i < count; i++)
        x[i] = 0;
}

/* ---- weights --------------------------------------------------------------------------------- */

typedef struct { const char *at, *end; } Text;

static int next(Text *t) /* the next character that is no blank; 0 at the end */
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n' || *t->at == '\r'))
        t->at++;
    return t->at < t->end ? (byte)*t->at : 0;
}

static int take(Text *t, char c)
{
    if (next(t) != (byte)c)
        return 0;
    t->at++;
    return 1;
}

static int string(Text *t, Text *content)
{
    if (!take(t, '"'))
        return 0;
    content->at = t->at;
    while (t->at < t->end && *t->at != '"')
        t->at += *t->at == '\\' && t->end - t->at > 1 ? 2 : 1;
    content->end = t->at;
    return take(t, '"');
}

static int equal(Text t, const char *word)
{
    while (t.at < t.end && *word && *t.at == *word)
        t.at++, word++;
    return t.at == t.end && !*word;
}

static int number(Text *t, u64 *value)
{
    int digits = 0;
    next(t);
    for (*value = 0; t->at < t->end && *t->at >= '0' && *t->at <= '9' && digits < 18; digits++)
        *value = *value * 10 + (u64)(*t->at++ - '0');
    return digits > 0;
}

static int numbers(Text *t, u64 *values, int most) /* [1, 2]: how many; -1 if they are no such list */
{
    int count = 0;
    if (!take(t, '['))
        return -1;
    if (take(t, ']'))
        return 0;
    do
        if (count == most || !number(t, &values[count++]))
            return -1;
    while (take(t, ','));
    return take(t, ']') ? count : -1;
}

static int skip(Text *t) /* any value */
{
    int depth = 0;
    Text ignored;
    do {
        int c = next(t);
        if (c == '"') {
            if (!string(t, &ignored))
                return 0;
        } else if (!c) {
            return 0;
        } else {
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
            t->at++;
        }
        /* Behind a key, a colon or a comma more has to come. */
        while (!depth && next(t) && *t->at != ',' && *t->at != '}' && *t->at != ']')
            t->at++;
    } while (depth > 0);
    return depth == 0;
}

typedef struct { const byte *bytes; unsigned long size; } File;

static int header(File f, Text *t, const byte **data, u64 *bytes)
{
    u64 length = 0;
    if (!f.bytes || f.size < 10)
        return 0;
    EACH(i, 8)
        length |= (u64)f.bytes[i] << 8 * i;
    if (length > f.size - 8)
        return 0;
    t->at = (const char *)f.bytes + 8;
    t->end = t->at + length;
    *data = f.bytes + 8 + length;
    *bytes = f.size - 8 - length;
    return 1;
}

static float half(u32 h)
{
    u32 exponent = h >> 10 & 31, fraction = h & 1023;
    float x = exponent ? (float)((fraction + 1024) * scale2((int)exponent - 25))
                       : (float)(fraction * scale2(-24));
    union { u32 bits; float value; } special = {0x7F800000 | fraction << 13};
    x = exponent == 31 ? special.value : x;
    return h >> 15 ? -x : x;
}

/* One tensor's values as float32; none if to is null. Whether it is there, of that shape (ending in
 * 0), and within the file. */
static int tensor(File f, const char *name, const int *shape, float *to)
{
    Text t, key, field, type = {0, 0};
    const byte *data;
    u64 bytes, dims[4], place[2], count = 1;
    if (!header(f, &t, &data, &bytes) || !take(&t, '{'))
        return 0;
    do { /* over tensors */
        if (!string(&t, &key) || !take(&t, ':'))
            return 0;
        if (!equal(key, name)) {
            if (!skip(&t))
                return 0;
            continue;
        }
        int rank = -1, places = -1;
        if (!take(&t, '{'))
            return 0;
        do { /* over its fields */
            if (!string(&t, &field) || !take(&t, ':'))
                return 0;
            if (equal(field, "dtype") ? !string(&t, &type)
                : equal(field, "shape") ? (rank = numbers(&t, dims, 4)) < 0
                : equal(field, "data_offsets") ? (places = numbers(&t, place, 2)) < 0
                : !skip(&t))
                return 0;
        } while (take(&t, ','));
        EACH(i, 4) {
            if (!shape[i] ? rank != i : i >= rank || dims[i] != (u64)shape[i])
                return 0;
            if (!shape[i])
                break;
            count *= (u64)shape[i];
        }
        u64 width = !type.at ? 0 : equal(type, "F16") ? 2 : equal(type, "F32") ? 4 : 0;
        if (!width || places != 2 || place[0] > place[1] || place[1] > bytes
            || place[1] - place[0] != count * width)
            return 0;
        for (u64 i = 0; to && i < count; i++) {
            const byte *b = data + place[0] + i * width;
            union { u32 bits; float value; } x = {b[0] | (u32)b[1] << 8};
            if (width == 2)
                x.value = half(x.bits);
            else
                x.bits |= (u32)b[2] << 16 | (u32)b[3] << 24;
            to[i] = x.value;
        }
        return 1;
    } while (take(&t, ','));
    return 0;
}

static const char *joined(char *to, const char *a, int digit, const char *b)
{
    char *at = to;
    while (*a)
        *at++ = *a++;
    *at++ = (char)('0' + digit);
    while ((*at++ = *b++))
        ;
    return to;
}

/* ---- NovaSR ---------------------------------------------------------------------------------- */

enum {
    C = 32,
    BEFORE = 11, BEHIND = 13, CONTEXT = BEFORE + BEHIND, /* input samples */
    PART = 320,                     /* input samples of which the inside is computed at a time */
    LONG = 3 * PART + 48 + STEPS,   /* steps at 48 kHz */
    CHUNK = 96                      /* steps of an activation at a time: in the nearest cache */
};

typedef v16 Row[2]; /* 32 channels of one step */

typedef struct {
    float up[2][6], down[12], through[12]; /* U by parity, D, L */
    Row slope, middle;
    float a[C], depth[C], sum; /* exp(alpha), 1 / (2 b + 1e-9), of D's taps: for the ends */
} Activation;

typedef struct {
    /* the layers as they are, for a signal's ends: [tap][in][out] */
    float pre[7][C], pre_bias[C], conv[2][11][C][C], conv_bias[2][C], post[7][C];
    Activation activation[2];
    /* folded, for its inside */
    Row pre3[3][9], pre3_bias, conv1[11][C], conv1_bias, post17[17];
    float skip[3][11], bias;
    /* the signal */
    float x[CONTEXT + NOVASR_BLOCK + 8];
    long held, given; /* samples in x, and how many of the signal have their outputs; x begins
                         BEFORE before the first that has not, or with the signal */
    Row h[LONG + 16], v[LONG + 16];
} NovaSR;

static const int C_1_7[] = {C, 1, 7, 0}, C_ONLY[] = {C, 0}, C_C_11[] = {C, C, 11, 0},
                 ONE_C_7[] = {1, C, 7, 0}, TAPS[] = {12, 0}, TAPS3[] = {1, 1, 12, 0};

static int filter(File f, const char *name, float *to)
{
    return tensor(f, name, TAPS, to) || tensor(f, name, TAPS3, to);
}

static int load_novasr(File f, NovaSR *n)
{
    static const char *names[2][4] = {
        {"activation0.upsample.filter", "activation0.downsample.filter",
         "activation0.snakebeta.alpha", "activation0.snakebeta.beta"},
        {"activation1.upsample.filter", "activation1.downsample.filter",
         "activation1.snakebeta.alpha", "activation1.snakebeta.beta"},
    };
    float *raw = n ? (float *)n->h : 0; /* room for the largest tensor */
    if (!tensor(f, "conv_pre.weight", C_1_7, raw) || !tensor(f, "conv_pre.bias", C_ONLY, n ? n->pre_bias : 0))
        return 0;
    if (n)
        EACH(k, 7) EACH(c, C) n->pre[k][c] = raw[7 * c + k];
    EACH(i, 2) {
        const char *weight = i ? "conv2.weight" : "conv1.weight", *bias = i ? "conv2.bias" : "conv1.bias";
        if (!tensor(f, weight, C_C_11, raw) || !tensor(f, bias, C_ONLY, n ? n->conv_bias[i] : 0))
            return 0;
        if (n)
            EACH(o, C) EACH(c, C) EACH(k, 11) n->conv[i][k][c][o] = raw[(C * o + c) * 11 + k];
        Activation *a = n ? &n->activation[i] : 0;
        float up[12];
        if (!filter(f, names[i][0], up) || !filter(f, names[i][1], a ? a->down : 0)
            || !tensor(f, names[i][2], C_ONLY, a ? a->a : 0) || !tensor(f, names[i][3], C_ONLY, a ? a->depth : 0))
            return 0;
        if (!a)
            continue;
        EACH(k, 12) a->up[k % 2][k / 2] = 2 * up[k];
        EACH(c, C) {
            a->a[c] = (float)exp_of(a->a[c]);
            a->depth[c] = (float)(1 / (2 * exp_of(a->depth[c]) + 1e-9));
        }
    }
    if (!tensor(f, "conv_post.weight", ONE_C_7, raw))
        return 0;
    if (n)
        EACH(k, 7) EACH(c, C) n->post[k][c] = raw[7 * c + k];
    return 1;
}

static void fold_activation(Activation *a, const double *silent)
{
    a->sum = 0;
    EACH(k, 12) a->through[k] = 0;
    EACH(k, 12) {
        int parity = (k + 1) % 2, before = (k - 5 - parity) / 2; /* k - 5 = 2 before + parity */
        EACH(i, 6) a->through[before + 3 + i] += a->down[k] * a->up[parity][i];
        a->sum += a->down[k];
    }
    EACH(c, C) {
        double level = 2.0 * a->a[c] * silent[c], turn = level / (2 * PI);
        turn -= turn > -1e9 && turn < 1e9 ? (double)(long)turn : turn;
        a->slope[c / 16][c % 16] = (float)(1 / (2.0 * a->a[c] * a->depth[c]));
        a->middle[c / 16][c % 16] = (float)(silent[c] / a->depth[c] - cos_of(2 * PI * turn) / 2);
    }
}

static void fold_novasr(NovaSR *n)
{
    Activation *first = &n->activation[0], *second = &n->activation[1];
    double silent[C], next_silent[C], total, bias = 0;
    EACH(c, C) silent[c] = n->pre_bias[c];
    fold_activation(first, silent);
    EACH(o, C) {
        next_silent[o] = total = n->conv_bias[0][o];
        EACH(k, 11) EACH(c, C) {
            double turn = first->a[c] * silent[c] / PI, level;
            turn -= turn > -1e9 && turn < 1e9 ? (double)(long)turn : turn;
            level = silent[c] + (1 - cos_of(2 * PI * turn)) * first->depth[c];
            next_silent[o] += level * n->conv[0][k][c][o];
            total += (double)first->depth[c] * (first->middle[c / 16][c % 16] + first->sum) * n->conv[0][k][c][o];
        }
        n->conv1_bias[o / 16][o % 16] = (float)(2 * second->a[o] * total);
    }
    fold_activation(second, next_silent);
    EACH(k, 11) EACH(c, C) EACH(o, C)
        n->conv1[k][c][o / 16][o % 16] = first->depth[c] * n->conv[0][k][c][o] * 2 * second->a[o];

    float plain[3][9][C]; /* conv_pre and the interpolation, by phase */
    EACH(c, C) {
        EACH(k, 9) {
            float tap[3]; /* of the sample before, the same one, the one behind */
            EACH(j, 3) tap[j] = k >= j && k < j + 7 ? n->pre[k - j][c] : 0;
            plain[0][k][c] = (tap[0] + 2 * tap[1]) / 3;
            plain[1][k][c] = tap[1];
            plain[2][k][c] = (2 * tap[1] + tap[2]) / 3;
            EACH(phase, 3) n->pre3[phase][k][c / 16][c % 16] = plain[phase][k][c] * 2 * first->a[c];
        }
        n->pre3_bias[c / 16][c % 16] = 2 * first->a[c] * n->pre_bias[c];
    }
    EACH(k, 17) EACH(c, C) { /* conv2 and conv_post */
        double tap = 0;
        EACH(j, 7)
            if (k - j >= 0 && k - j < 11)
                EACH(o, C) tap += (double)n->conv[1][k - j][c][o] * n->post[j][o];
        n->post17[k][c / 16][c % 16] = (float)(tap * second->depth[c]);
        bias += tap * second->depth[c] * (second->middle[c / 16][c % 16] + second->sum);
    }
    EACH(phase, 3) {
        EACH(k, 11) n->skip[phase][k] = 0;
        EACH(k, 7) EACH(d, 9) EACH(c, C)
            n->skip[phase][(phase + k) / 3 + d] += plain[(phase + k) % 3][d][c] * n->post[k][c];
    }
    EACH(k, 7) EACH(c, C) bias += ((double)n->pre_bias[c] + n->conv_bias[1][c]) * n->post[k][c];
    n->bias = (float)bias;
}

/* count steps of v = r L h - m - D cos(U h); h begins 4 steps before v, and goes on 7 behind. */
static void snake(const Activation *a, const Row *h, Row *v, int count)
{
    for (int first = 0; first < count; first += CHUNK)
        EACH(side, 2) {
            int steps = count - first < CHUNK ? count - first : CHUNK;
            const Row *from = h + first;
            v16 g[2][CHUNK + 6];
            EACH(q, steps + 6)
                EACH(parity, 2) {
                    v16 sum = from[q][side] * a->up[parity][0];
                    EACH(i, 5) sum += from[q + 1 + i][side] * a->up[parity][1 + i];
                    g[parity][q] = cosines(sum);
                }
            EACH(t, steps) {
                v16 low = from[t][side] * a->through[0], wave = g[1][t] * a->down[0];
                EACH(i, 11) low += from[t + 1 + i][side] * a->through[1 + i];
                EACH(i, 5) wave += g[1][t + 1 + i] * a->down[2 + 2 * i];
                EACH(i, 6) wave += g[0][t + 1 + i] * a->down[1 + 2 * i];
                v[first + t][side] = low * a->slope[side] - a->middle[side] - wave;
            }
        }
}

/* x[count + 24], of which no sample is the signal's end -> y[3 count]; count <= PART. */
static void inside(NovaSR *n, const float *x, int count, float *y)
{
    EACH(j, count + 16) /* input sample j - 7 */
        EACH(phase, 3) EACH(side, 2) {
            v16 sum = n->pre3_bias[side];
            EACH(d, 9)
                if (j + d < count + CONTEXT)
                    sum += n->pre3[phase][d][side] * x[j + d];
            n->h[3 * j + phase][side] = sum;
        }
    snake(&n->activation[0], n->h, n->v, 3 * count + 37);
    for (int t = 0; t < 3 * count + 27; t += STEPS)
        EACH(side, 2) {
            v16 sum[STEPS];
            EACH(s, STEPS) sum[s] = n->conv1_bias[side];
            EACH(k, 11)
                EACH(c, C) {
                    v16 w = n->conv1[k][c][side];
                    EACH(s, STEPS) sum[s] += w * ((const float *)n->v[t + s + k])[c];
                }
            EACH(s, STEPS) n->h[t + s][side] = sum[s];
        }
    snake(&n->activation[1], n->h, n->v, 3 * count + 16);
    EACH(t, 3 * count) {
        v16 sum = n->v[t][0] * n->post17[0][0] + n->v[t][1] * n->post17[0][1];
        EACH(k, 16) EACH(side, 2) sum += n->v[t + 1 + k][side] * n->post17[1 + k][side];
        float total = n->bias;
        EACH(i, 16) total += sum[i];
        EACH(k, 11) total += n->skip[t % 3][k] * x[BEFORE - 5 + t / 3 + k];
        y[t] = tanh_of(total);
    }
}

static void plain_conv(const Row *x, int steps, const float (*w)[C][C], const float *bias, Row *y)
{
    EACH(t, steps) EACH(o, C) {
        float sum = bias[o];
        EACH(k, 11)
            if (t + k >= 5 && t + k < steps + 5)
                EACH(c, C) sum += w[k][c][o] * ((const float *)x[t + k - 5])[c];
        ((float *)y[t])[o] = sum;
    }
}

/* As `snake`, with zeros around: steps -> steps - 2. */
static void plain_snake(const Activation *a, Row *h, int steps)
{
    float u[6 * CONTEXT + 16];
    int made = 2 * steps - 4;
    EACH(c, C) {
        EACH(m, made) {
            u[m] = 0;
            EACH(i, 6) {
                int t = m / 2 - 1 + i;
                if (t >= 0 && t < steps)
                    u[m] += a->up[m % 2][i] * ((float *)h[t])[c];
            }
            u[m] += (1 - cosines(splat(2 * a->a[c] * u[m]))[0]) * a->depth[c];
        }
        EACH(t, steps - 2) {
            float sum = 0;
            EACH(k, 12)
                if (2 * t + k >= 5 && 2 * t + k < made + 5)
                    sum += a->down[k] * u[2 * t + k - 5];
            ((float *)h[t])[c] = sum;
        }
    }
}

/* The network as it is, for 2 to 24 samples: 3 count - 4 outputs. */
static void whole(NovaSR *n, const float *x, int count, float *y)
{
    Row *pre = n->h, *skip = n->h + CONTEXT, *h = n->v, *h2 = n->v + 3 * CONTEXT;
    int steps = 3 * count;
    EACH(t, count) EACH(c, C) {
        float sum = n->pre_bias[c];
        EACH(k, 7)
            if (t + k >= 3 && t + k < count + 3)
                sum += n->pre[k][c] * x[t + k - 3];
        ((float *)pre[t])[c] = sum;
    }
    EACH(t, count) EACH(side, 2) {
        v16 before = pre[t ? t - 1 : 0][side], same = pre[t][side], behind = pre[t < count - 1 ? t + 1 : t][side];
        skip[3 * t][side] = (before + 2 * same) / 3;
        skip[3 * t + 1][side] = same;
        skip[3 * t + 2][side] = (2 * same + behind) / 3;
    }
    copy((float *)h, (const float *)skip, (long)steps * C);
    plain_snake(&n->activation[0], h, steps);
    plain_conv(h, steps - 2, n->conv[0], n->conv_bias[0], h2);
    plain_snake(&n->activation[1], h2, steps - 2);
    plain_conv(h2, steps - 4, n->conv[1], n->conv_bias[1], h);
    EACH(t, steps - 4) EACH(side, 2) h[t][side] += skip[t][side];
    EACH(t, steps - 4) {
        float sum = 0;
        EACH(k, 7)
            if (t + k >= 3 && t + k < steps - 1)
                EACH(c, C) sum += n->post[k][c] * ((float *)h[t + k - 3])[c];
        y[t] = tanh_of(sum);
    }
}

static long push_novasr(NovaSR *n, const float *x, long count, int last, float *y)
{
    float end[3 * CONTEXT], *to = y;
    long total = n->given < BEFORE ? n->held : n->given - BEFORE + n->held; /* before this push */
    copy(n->x + n->held, x, count);
    n->held += count;
    total += count;
    if (last) { /* the network alone falls four outputs short */
        n->x[n->held++] = 0;
        n->x[n->held++] = 0;
    }
    if (last && !total)
        return 0;
    if (last && !n->given && n->held < CONTEXT) {
        whole(n, n->x, (int)n->held, end);
        copy(y, end, 3 * total);
        return 3 * total;
    }
    if (!n->given && n->held >= CONTEXT) {
        whole(n, n->x, CONTEXT, end);
        copy(to, end, 3 * BEFORE);
        to += 3 * BEFORE;
        n->given = BEFORE;
    }
    while (n->given && n->held > CONTEXT) {
        int part = (int)(n->held - CONTEXT < PART ? n->held - CONTEXT : PART);
        inside(n, n->x, part, to);
        to += 3 * part;
        n->given += part;
        n->held -= part;
        copy(n->x, n->x + part, n->held);
    }
    if (last) {
        long missing = 3 * (total - n->given);
        whole(n, n->x, CONTEXT, end);
        copy(to, end + 3 * BEFORE, missing);
        to += missing;
    }
    return to - y;
}

/* ---- airband --------------------------------------------------------------------------------- */

enum {
    HOPS = 200, OVERLAP = 3,            /* frames a second; earlier ones that share samples with one */
    SIZE = 960, HALF = SIZE / 2,        /* samples of a frame at 48 kHz; bins, without the one at 24 kHz */
    LOWEST_RATE = 4000, HIGHEST_RATE = 48000,
    BANDS_IN = 73, PADDED = 80, MEL = 41, BANDS_OUT = 56, NARROW = 24, FIRST = 40,
    SOURCE = 4, SOURCE_END = 80, FLAT_SOURCE = 8, FLAT_CARRIER = 6, /* bins */
    CHANNELS = 64, W = CHANNELS / LANES, BLOCKS = 6,
    ROWS = 4, TILE = 2 * LANES,         /* of a product that is computed at a time */
    AHEAD = 127,                        /* frames that the network looks ahead, at most */
    REACH = 128,                        /* frames that a layer holds, at most */
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
#include "transform.h"
#define REAL float
#define VECTOR vector
#define NAMED(name) name
#include "transform.h"

typedef struct { vector c[W]; } Frame; /* 64 channels */

typedef struct {
    vector depthwise[5][W], depthwise_bias[W], slope[W], pointwise[W * CHANNELS], pointwise_bias[W];
} Block;

typedef struct {
    vector conv_in[W * 3 * PADDED], in_bias[W], share[BANDS_IN][W];
    Block blocks[BLOCKS];
    vector conv_out[W * CHANNELS], out_bias[W];
    wide_Transform input;
    Transform output;
    int rising[HALF], below[HALF]; /* of a bin: the band of features that rises there; the band of
                                      outputs whose middle is next below it */
    float rise[HALF], beyond[HALF]; /* how far it has risen; how far to the next middle the bin is */
    /* of what is heard when the sound ends at `heard_edge` */
    int heard_edge, heard;
    float gain[BANDS_IN];
    vector bias[W];
    /* the signal */
    int kind, hop, edge, ahead[BLOCKS + 1], frames_ahead;
    long came, made, total; /* frames: analysed, given, and in all, once that is known */
    int rest; /* samples of the last, incomplete hop; 0 if it is complete */
    long held; /* samples in x, which begins with frame `made` */
    float x[(AHEAD + BATCH + OVERLAP + 2) * SIZE / 4];
    short edges[EDGES]; /* of the frames from `made` on, by their number modulo EDGES */
    float features[2 + BATCH][PADDED];
    Frame lines[BLOCKS][REACH + BATCH], out[BATCH], levels[BATCH];
    float overlap[OVERLAP * SIZE / 4];
    /* in passing */
    wide_Complex wide_work[2][HALF], wide_bins[HALF + 1];
    Complex work[2][HALF], bins[HALF + 1], source[HALF + 1], carrier[HALF + 1];
    vector amplitude[HALF], power[HALF + 1 + 2 * FLAT_SOURCE], bands[BANDS_IN + 2], band_levels[BANDS_IN];
} Airband;

/* Weights [out][in][tap] for `product`: of each TILE outputs those of one input beside each other. */
static void pack(const float *raw, int outs, int ins, int taps, int padded, float *to)
{
    EACH(o, outs) EACH(c, ins) EACH(k, taps)
        to[(o / TILE * taps * padded + padded * k + c) * TILE + o % TILE] = raw[(ins * o + c) * taps + k];
}

static int load_block(File f, int i, Block *b, float *raw)
{
    static const int taps[] = {CHANNELS, 5, 0}, only[] = {CHANNELS, 0}, square[] = {CHANNELS, CHANNELS, 1, 0};
    char name[40];
    int good = tensor(f, joined(name, "blocks.", i, ".depthwise.weight"), taps, raw);
    if (good && b)
        EACH(c, CHANNELS) EACH(k, 5) ((float *)b->depthwise[k])[c] = raw[5 * c + k];
    good = good && tensor(f, joined(name, "blocks.", i, ".depthwise.bias"), only, b ? (float *)b->depthwise_bias : 0)
        && tensor(f, joined(name, "blocks.", i, ".prelu.slope"), only, b ? (float *)b->slope : 0)
        && tensor(f, joined(name, "blocks.", i, ".pointwise.bias"), only, b ? (float *)b->pointwise_bias : 0)
        && tensor(f, joined(name, "blocks.", i, ".pointwise.weight"), square, raw);
    if (good && b)
        pack(raw, CHANNELS, CHANNELS, 1, CHANNELS, (float *)b->pointwise);
    return good;
}

static int load_airband(File f, Airband *a)
{
    static const int in[] = {CHANNELS, BANDS_IN, 3, 0}, bias[] = {CHANNELS, 0}, share[] = {CHANNELS, BANDS_IN, 0},
                     out[] = {BANDS_OUT, CHANNELS, 1, 0}, out_bias[] = {BANDS_OUT, 0};
    float *raw = a ? (float *)a->lines : 0;
    if (a) { /* for what has no weights */
        clear((float *)a->conv_in, sizeof a->conv_in / 4);
        clear((float *)a->conv_out, sizeof a->conv_out / 4);
        clear((float *)a->out_bias, CHANNELS);
    }
    if (!tensor(f, "conv_in.weight", in, raw) || !tensor(f, "conv_in.bias", bias, a ? (float *)a->in_bias : 0))
        return 0;
    if (a)
        pack(raw, CHANNELS, BANDS_IN, 3, PADDED, (float *)a->conv_in);
    if (!tensor(f, "share.weight", share, raw))
        return 0;
    if (a)
        EACH(o, CHANNELS) EACH(c, BANDS_IN) ((float *)a->share[c])[o] = raw[BANDS_IN * o + c];
    EACH(i, BLOCKS)
        if (!load_block(f, i, a ? &a->blocks[i] : 0, raw))
            return 0;
    if (!tensor(f, "conv_out.weight", out, raw) || !tensor(f, "conv_out.bias", out_bias, a ? (float *)a->out_bias : 0))
        return 0;
    if (a)
        pack(raw, BANDS_OUT, CHANNELS, 1, CHANNELS, (float *)a->conv_out);
    return 1;
}

static void prepare_airband(Airband *a, int rate)
{
    double points[BANDS_IN + 2], ratio = exp_of(log_of((1 + 8000 / 700.0) / (1 + 40 / 700.0)) / (MEL - 1));
    double mel = 1 + 40 / 700.0;
    a->hop = rate / HOPS;
    wide_prepare_transform(&a->input, rate / 50, 48000.0 / rate);
    prepare_transform(&a->output, SIZE, 1.0 / SIZE);
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

static const int LIVE_AHEAD[] = {1, 2, 2}; /* frames that the first layers of the live network see */

static void begin_airband(Airband *a)
{
    a->frames_ahead = 0;
    EACH(i, BLOCKS + 1) {
        a->ahead[i] = a->kind == NOVASR_AIRBAND ? 1 << i : i < 3 ? LIVE_AHEAD[i] : 0;
        a->frames_ahead += a->ahead[i];
    }
    clear(a->features[0], 2 * PADDED);
    clear((float *)a->lines, sizeof a->lines / 4);
    clear(a->overlap, OVERLAP * SIZE / 4);
    a->came = a->made = 0;
    a->total = ENDLESS;
    a->held = OVERLAP * a->hop;
    clear(a->x, a->held);
    a->heard_edge = 0;
}

/* Spectra of up to LANES frames of x, one hop apart, half of them at a time. */
static void spectra(Airband *a, const float *x, int frames)
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
            a->wide_work[0][i] = z;
        }
        wide_analyse(&a->input, a->wide_work, a->wide_bins);
        EACH(k, a->input.size / 2 + 1)
            EACH(lane, LANES / 2) {
                a->bins[k].re[first + lane] = (float)a->wide_bins[k].re[lane];
                a->bins[k].im[first + lane] = (float)a->wide_bins[k].im[lane];
            }
    }
}

/* What is heard of a sound whose own bins are those below `edge`: the bands of which a fifth or more
 * lies there. */
static void hear(Airband *a, int edge)
{
    double whole[BANDS_IN + 2] = {0}, own[BANDS_IN + 2] = {0}; /* of band b at b + 1 */
    if (a->heard_edge == edge)
        return;
    EACH(k, HALF) {
        double *rising = whole + a->rising[k];
        rising[1] += a->rise[k], rising[0] += 1 - a->rise[k];
        if (k == edge - 1)
            EACH(b, BANDS_IN + 2) own[b] = whole[b];
    }
    a->heard_edge = edge;
    a->heard = 0;
    EACH(i, W) a->bias[i] = a->in_bias[i];
    EACH(b, BANDS_IN) {
        double share = own[b + 1] / whole[b + 1];
        if (share < 0.2)
            break;
        a->gain[b] = (float)(1 / own[b + 1]);
        EACH(i, W) a->bias[i] += a->share[b][i] * (float)share;
        a->heard++;
    }
}

/* Features of the frames whose spectra are in `bins`. */
static void describe(Airband *a, int frames, float (*to)[PADDED])
{
    vector *level = a->band_levels;
    hear(a, a->edge);
    EACH(b, BANDS_IN + 2) a->bands[b] = (vector){0};
    EACH(k, a->edge) {
        Complex z = a->bins[k];
        vector power = z.re * z.re + z.im * z.im, rising = power * a->rise[k];
        a->bands[a->rising[k] + 1] += rising;
        a->bands[a->rising[k]] += power - rising;
    }
    EACH(b, a->heard) {
        vector power = a->bands[b + 1] * a->gain[b];
        level[b] = logarithms(choose(power > 1e-8f, power, all(1e-8f))) * 0.21714724f + 1.5f; /* 1 / (2 ln 10) */
    }
    for (int b = a->heard; b < BANDS_IN; b++)
        level[b] = (level[a->heard - 2] + level[a->heard - 1]) / 2;
    EACH(lane, frames) {
        EACH(b, BANDS_IN) to[lane][b] = level[b][lane];
        clear(to[lane] + BANDS_IN, PADDED - BANDS_IN);
    }
}

/* y += w x for rows of x that are `stride` apart. */
static void product(const vector *w, int in, const float *x, int stride, int rows, Frame *y)
{
    for (int t = 0; t < rows; t += ROWS) {
        const float *row[ROWS];
        UP_TO_5(r, 0, ROWS) row[r] = x + stride * (t + r < rows ? t + r : rows - 1);
        for (int i = 0; i < W; i += 2) {
            const vector *tile = w + in * i;
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
static void network(Airband *a, int count, int *begin, int *end)
{
    long frame = a->came;
    EACH(layer, BLOCKS + 1) {
        int d = layer ? 1 << (layer - 1) : 0, reach = layer ? 4 * d : 2, behind = reach - a->ahead[layer];
        const Frame *from = layer ? a->lines[layer - 1] : 0;
        Frame *to = layer < BLOCKS ? a->lines[layer] + (4 << layer) : a->out;
        /* Before the signal and behind it are zeros in every layer. */
        frame -= a->ahead[layer];
        int first = clamp(-frame, count), last = clamp(a->total - frame, count);
        clear((float *)to, (long)first * CHANNELS);
        clear((float *)(to + last), (long)(count - last) * CHANNELS);
        if (!layer) {
            for (int t = first; t < last; t++) {
                hear(a, a->edges[(frame + t) % EDGES]);
                EACH(i, W) to[t].c[i] = a->bias[i];
            }
            product(a->conv_in, 3 * PADDED, a->features[first], PADDED, last - first, to + first);
            copy(a->features[0], a->features[count], 2 * PADDED);
        } else {
            const Block *block = &a->blocks[layer - 1];
            Frame v[BATCH];
            for (int t = first; t < last; t++)
                EACH(i, W) {
                    vector sum = block->depthwise_bias[i];
                    EACH(k, 5) sum += block->depthwise[k][i] * from[t + d * k].c[i];
                    v[t].c[i] = choose(sum > 0, sum, sum * block->slope[i]);
                    to[t].c[i] = from[t + behind].c[i] + block->pointwise_bias[i];
                }
            product(block->pointwise, CHANNELS, (const float *)(v + first), CHANNELS, last - first, to + first);
            copy((float *)a->lines[layer - 1], (const float *)(from + count), (long)reach * CHANNELS);
        }
        *begin = first, *end = last;
    }
    for (int t = *begin; t < *end; t++)
        EACH(i, W) {
            vector h = a->out[t].c[i];
            a->out[t].c[i] = choose(h > 0, h, exponentials(h) - 1);
            a->levels[t].c[i] = a->out_bias[i];
        }
    product(a->conv_out, CHANNELS, (const float *)(a->out + *begin), CHANNELS, *end - *begin, a->levels + *begin);
    a->came += count;
}

/* Divide bins x[first .. last - 1] by the root of the mean power of the 2 side + 1 around each, its
 * ends held; those before `from` stay as they are. A plain sum: a running one would lose quiet bins
 * beside loud ones. */
static void flatten(Airband *a, const Complex *x, Complex *y, int first, int last, int from, int side)
{
    vector *power = a->power;
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
static void overtones(Airband *a, int edge)
{
    int end = edge < SOURCE_END ? edge : SOURCE_END;
    clear((float *)a->source, sizeof a->source / 4);
    flatten(a, a->bins, a->source, SOURCE, end, SOURCE, FLAT_SOURCE);
    const Complex *z = synthesise(&a->output, a->source, a->work);
    EACH(i, HALF) {
        vector even = z[i].im * (1.0f / SIZE), odd = z[i].re * (1.0f / SIZE);
        a->work[0][i] = (Complex){(vector)((integers)even & 0x7FFFFFFF), (vector)((integers)odd & 0x7FFFFFFF)};
    }
    analyse(&a->output, a->work, a->carrier);
    flatten(a, a->carrier, a->carrier, 0, HALF + 1, edge, FLAT_CARRIER);
}

/* The next frames become samples, from `levels`: up to LANES of one edge. Gives how many. */
static int sound(Airband *a, const Frame *levels, int most, float **to)
{
    int edge = a->edges[a->made % EDGES], frames = 1;
    while (frames < most && frames < LANES && a->edges[(a->made + frames) % EDGES] == edge)
        frames++;
    spectra(a, a->x, frames);
    if (edge < HALF) {
        vector level[BANDS_OUT] = {0};
        EACH(lane, frames) EACH(b, BANDS_OUT) level[b][lane] = ((const float *)&levels[lane])[b];
        for (int k = edge; k < HALF; k++) {
            vector below = level[a->below[k]], above = level[a->below[k] + 1];
            a->amplitude[k] = exponentials((below + (above - below) * a->beyond[k] - 2) * 2.3025851f) * 0.56f; /* ln 10 */
        }
        overtones(a, edge);
    }
    EACH(k, edge) a->bins[k] = times(a->bins[k], 0.5f);
    for (int k = edge; k < HALF; k++)
        a->bins[k] = (Complex){a->carrier[k].re * a->amplitude[k], a->carrier[k].im * a->amplitude[k]};
    a->bins[HALF] = (Complex){0};
    const Complex *z = synthesise(&a->output, a->bins, a->work);
    EACH(lane, frames) {
        float y[SIZE];
        EACH(i, HALF) {
            y[2 * i] = z[i].im[lane] * a->output.window[2 * i];
            y[2 * i + 1] = z[i].re[lane] * a->output.window[2 * i + 1];
        }
        EACH(i, OVERLAP * SIZE / 4) y[i] += a->overlap[i];
        copy(a->overlap, y + SIZE / 4, OVERLAP * SIZE / 4);
        if (a->made++ < OVERLAP) /* hops before the signal */
            continue;
        int count = a->made == a->total && a->rest ? (a->rest * SIZE / 4 + a->hop - 1) / a->hop : SIZE / 4;
        copy(*to, y, count);
        *to += count;
    }
    a->held -= frames * a->hop;
    copy(a->x, a->x + frames * a->hop, a->held);
    return frames;
}

static long push_airband(Airband *a, const float *x, long count, int last, float *y)
{
    float *to = y;
    int size = a->input.size, begin, end;
    for (;;) {
        long at = (a->came - a->made) * a->hop, room = at + size + BATCH * a->hop - 1 - a->held;
        long some = count < room ? count : room;
        int frames = 0;
        copy(a->x + a->held, x, some);
        a->held += some, x += some, count -= some;
        if (a->held - at >= size) {
            frames = (int)((a->held - at - size) / a->hop + 1);
            for (int t = 0; t < frames; t += LANES) {
                int some_frames = frames - t < LANES ? frames - t : LANES;
                spectra(a, a->x + at + t * a->hop, some_frames);
                describe(a, some_frames, a->features + 2 + t);
            }
            EACH(t, frames) a->edges[(a->came + t) % EDGES] = (short)a->edge;
        } else if (!last || a->held == OVERLAP * a->hop) {
            break;
        } else if (a->total == ENDLESS) { /* zeros fill the last hop, and the frames that it is in */
            a->rest = (int)(a->held % a->hop);
            long zeros = (OVERLAP + (a->rest > 0)) * a->hop - a->rest;
            clear(a->x + a->held, zeros);
            a->held += zeros;
            a->total = a->came + (a->held - at) / a->hop - OVERLAP;
            continue;
        } else {
            frames = clamp(a->total + a->frames_ahead - a->came, BATCH);
            if (!frames)
                break;
            clear(a->features[2], (long)frames * PADDED);
        }
        network(a, frames, &begin, &end);
        while (begin < end)
            begin += sound(a, a->levels + begin, end - begin, &to);
    }
    return to - y;
}

/* ---- the door -------------------------------------------------------------------------------- */

typedef struct {
    int kind;
    union { NovaSR novasr; Airband airband; } of;
} Engine;

int novasr_kind(const byte *weights, unsigned long size)
{
    static const int ahead[] = {BLOCKS + 1, 0};
    File f = {weights, size};
    if (load_novasr(f, 0))
        return NOVASR_NOVASR;
    if (load_airband(f, 0))
        return tensor(f, "look_ahead.frames", ahead, 0) ? NOVASR_AIRBAND_LIVE : NOVASR_AIRBAND;
    return NOVASR_NONE;
}

unsigned long novasr_memory(int kind)
{
    unsigned long before = __builtin_offsetof(Engine, of);
    return kind == NOVASR_NOVASR ? before + sizeof(NovaSR) : kind ? before + sizeof(Airband) : 0;
}

int novasr_takes(int kind, int rate)
{
    return kind == NOVASR_NOVASR ? rate == 16000
        : kind && rate >= LOWEST_RATE && rate <= HIGHEST_RATE && rate % HOPS == 0;
}

int novasr_open(void *memory, const byte *weights, unsigned long size, int rate, int edge)
{
    Engine *e = memory;
    File f = {weights, size};
    e->kind = novasr_kind(weights, size);
    if (!novasr_takes(e->kind, rate))
        return e->kind = NOVASR_NONE;
    if (e->kind == NOVASR_NOVASR) {
        load_novasr(f, &e->of.novasr);
        fold_novasr(&e->of.novasr);
    } else {
        load_airband(f, &e->of.airband);
        e->of.airband.kind = e->kind;
        prepare_airband(&e->of.airband, rate);
        novasr_edge(memory, edge);
    }
    novasr_reset(memory);
    return e->kind;
}

void novasr_edge(void *memory, int edge)
{
    Engine *e = memory;
    if (e->kind > NOVASR_NOVASR) {
        int half = e->of.airband.input.size / 2;
        e->of.airband.edge = edge < FIRST || edge > half ? edge && edge < FIRST ? FIRST : half : edge;
    }
}

void novasr_reset(void *memory)
{
    Engine *e = memory;
    if (e->kind == NOVASR_NOVASR) {
        e->of.novasr.held = e->of.novasr.given = 0;
        clear((float *)e->of.novasr.v, sizeof e->of.novasr.v / sizeof(float));
        clear((float *)e->of.novasr.h, sizeof e->of.novasr.h / sizeof(float));
    } else if (e->kind) {
        begin_airband(&e->of.airband);
    }
}

long novasr_latency(int kind, int rate)
{
    int ahead = kind == NOVASR_AIRBAND ? AHEAD : LIVE_AHEAD[0] + LIVE_AHEAD[1] + LIVE_AHEAD[2];
    return kind == NOVASR_NOVASR ? BEHIND : kind ? (long)(ahead + OVERLAP) * (rate / HOPS) : 0;
}

long novasr_room(int kind, int rate, long count)
{
    long hop = rate / HOPS;
    return kind == NOVASR_NOVASR ? 3 * (count + CONTEXT)
        : kind ? (count + novasr_latency(kind, rate) + 2 * hop) / hop * (SIZE / 4) : 0;
}

long novasr_push(void *memory, const float *x, long count, int last, float *y)
{
    Engine *e = memory;
    return e->kind == NOVASR_NOVASR ? push_novasr(&e->of.novasr, x, count, last, y)
        : e->kind ? push_airband(&e->of.airband, x, count, last, y) : 0;
}
