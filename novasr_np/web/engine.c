/* NovaSR and airband on one page of C, as engine.h says. How the networks are folded is written in
 * networks/novasr/folded.py and networks/airband/folded.py; their formulas in the PORTING.md beside.
 *
 * Signals are arrays [time][channel], so that a vector holds 16 channels of one step of time. In
 * WebAssembly that is four registers, with AVX-512 one.
 */
#include "engine.h"

typedef float v16 __attribute__((vector_size(64)));
typedef int i16 __attribute__((vector_size(64)));
typedef float v4 __attribute__((vector_size(16)));
typedef unsigned char byte;
typedef unsigned int u32;
typedef unsigned long long u64;

#define EACH(i, n) for (int i = 0; i < (n); i++)
#ifdef __wasm__
enum { STEPS = 2, ROWS = 1 }; /* of time that a product takes at once: as many as stay in registers */
#else
enum { STEPS = 4, ROWS = 4 };
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

INLINE v16 choose(i16 mask, v16 yes, v16 no)
{
    return (v16)((mask & (i16)yes) | (~mask & (i16)no));
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

INLINE v16 exponentials(v16 x)
{
    x = choose(x < -87, splat(-87), x);
    x = choose(x > 88, splat(88), x);
    v16 turns = x * 1.44269504f + MAGIC;
    v16 k = turns - MAGIC;
    v16 r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
    v16 y = 1 + r * (1 + r * (0.5f + r * (1.66666667e-1f + r * (4.16666667e-2f
        + r * (8.33333333e-3f + r * 1.38888889e-3f)))));
    return (v16)((i16)y + ((i16)turns << 23));
}

static float tanh_of(float x)
{
    float size = x < 0 ? -x : x;
    if (size < 0.3f) {
        float z = x * x;
        return x * (1 + z * (-0.33333333f + z * (0.13333333f + z * (-5.3968254e-2f
            + z * (2.1869489e-2f - z * 8.8632355e-3f)))));
    }
    float y = 1 - 2 / (exponentials(splat(2 * (size > 20 ? 20 : size)))[0] + 1);
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
    HOP = 80, IN = 320, OUT = 960, OWN = 160, MADE = 320, /* samples, bins */
    MEL = 40, BANDS = 32, W = 3, CHANNELS = 16 * W, BLOCKS = 6,
    SILENCE = 16,
    HOPS = NOVASR_BLOCK / HOP + 1,      /* frames that a push begins, at most */
    AHEAD = 127,                        /* frames that the network looks ahead, at most */
    MOST = HOPS + 3 + AHEAD,            /* frames that a push may end, being the last */
    REACH = 128
};

typedef struct { v16 c[W]; } Frame; /* 48 channels */

typedef struct {
    v16 depthwise[5][W], depthwise_bias[W], slope[W], pointwise[CHANNELS][W], pointwise_bias[W];
} Block;

typedef struct { int behind, ahead, held; } Layer; /* frames; held: that lie in its row of `frames` */

typedef struct {
    v16 conv_in[3][MEL][W], in_bias[W];
    Block blocks[BLOCKS];
    v16 conv_out[CHANNELS][2], out_bias[2];
    v16 mel[OWN + 1][W];
    float wave[2][OUT], turn[2][256], window_in[IN], window_out[OUT]; /* cos and sin in 960 steps */
    /* the signal */
    Layer layers[BLOCKS + 1];
    int frames_ahead, kind;
    u32 first; /* frame to be made next */
    long held, due, overlapped; /* samples in x; in heard, not given yet; hops in y ahead of that */
    float x[IN + NOVASR_BLOCK + 4 * HOP], heard[SILENCE + (AHEAD + 8) * HOP + 2 * NOVASR_BLOCK + SILENCE];
    Frame frames[BLOCKS + 1][REACH + MOST], out[MOST + 4];
    float own[AHEAD + MOST][2][OWN + 1]; /* spectra that wait for what is above them */
    int waiting;
    float overlap[3 * OUT / 4];
    v4 re[2][OUT / 2], im[2][OUT / 2], bins[2][OUT / 2 + 1];
} Airband;

static int load_block(File f, int i, Block *b, float *raw)
{
    static const int taps[] = {CHANNELS, 5, 0}, only[] = {CHANNELS, 0}, square[] = {CHANNELS, CHANNELS, 1, 0};
    char name[40];
    int good = tensor(f, joined(name, "blocks.", i, ".depthwise.weight"), taps, raw);
    if (good && b)
        EACH(c, CHANNELS) EACH(k, 5) b->depthwise[k][c / 16][c % 16] = raw[5 * c + k];
    good = good && tensor(f, joined(name, "blocks.", i, ".depthwise.bias"), only, b ? (float *)b->depthwise_bias : 0)
        && tensor(f, joined(name, "blocks.", i, ".prelu.slope"), only, b ? (float *)b->slope : 0)
        && tensor(f, joined(name, "blocks.", i, ".pointwise.bias"), only, b ? (float *)b->pointwise_bias : 0)
        && tensor(f, joined(name, "blocks.", i, ".pointwise.weight"), square, raw);
    if (good && b)
        EACH(o, CHANNELS) EACH(c, CHANNELS) b->pointwise[c][o / 16][o % 16] = raw[CHANNELS * o + c];
    return good;
}

static int load_airband(File f, Airband *a)
{
    static const int in[] = {CHANNELS, MEL, 3, 0}, bias[] = {CHANNELS, 0}, out[] = {BANDS, CHANNELS, 1, 0},
                     out_bias[] = {BANDS, 0};
    float *raw = a ? (float *)a->frames : 0;
    if (!tensor(f, "conv_in.weight", in, raw) || !tensor(f, "conv_in.bias", bias, a ? (float *)a->in_bias : 0))
        return 0;
    if (a)
        EACH(o, CHANNELS) EACH(c, MEL) EACH(k, 3) a->conv_in[k][c][o / 16][o % 16] = raw[(MEL * o + c) * 3 + k];
    EACH(i, BLOCKS)
        if (!load_block(f, i, a ? &a->blocks[i] : 0, raw))
            return 0;
    if (!tensor(f, "conv_out.weight", out, raw) || !tensor(f, "conv_out.bias", out_bias, a ? (float *)a->out_bias : 0))
        return 0;
    if (a)
        EACH(o, BANDS) EACH(c, CHANNELS) a->conv_out[c][o / 16][o % 16] = raw[CHANNELS * o + c];
    return 1;
}

static void prepare_airband(Airband *a)
{
    double top = log_of(1 + 8000 / 700.0), low = log_of(1 + 40 / 700.0), step = (top - low) / (MEL + 1);
    EACH(i, OUT) {
        a->wave[0][i] = (float)cos_of(2 * PI * i / OUT);
        a->wave[1][i] = (float)sin_of(2 * PI * i / OUT);
        a->window_out[i] = (float)sin_of(PI * i / OUT);
    }
    EACH(i, IN) a->window_in[i] = (float)sin_of(PI * i / IN);
    EACH(i, 256) {
        a->turn[0][i] = (float)cos_of(2 * PI * i / 256);
        a->turn[1][i] = (float)sin_of(2 * PI * i / 256);
    }
    EACH(m, CHANNELS) {
        double row[OWN + 1], sum = 0;
        EACH(k, OWN + 1) {
            double place = (log_of(1 + k * 50 / 700.0) - low) / step - 1 - m; /* from its middle */
            row[k] = 1 - (place < 0 ? -place : place);
            row[k] = m < MEL && row[k] > 0 ? row[k] : 0;
            sum += row[k];
        }
        EACH(k, OWN + 1) a->mel[k][m / 16][m % 16] = sum > 0 ? (float)(row[k] / sum) : 0;
    }
}

static void begin_airband(Airband *a)
{
    int half_ahead = a->kind == NOVASR_AIRBAND;
    a->frames_ahead = 0;
    EACH(i, BLOCKS + 1) {
        int reach = i ? 4 << (i - 1) : 2;
        int ahead = half_ahead || i < 3 ? reach / 2 : 0;
        a->layers[i] = (Layer){reach - ahead, ahead, reach - ahead};
        clear((float *)a->frames[i], (reach - ahead) * CHANNELS);
        a->frames_ahead += ahead;
    }
    a->first = 0;
    a->held = 3 * HOP;
    clear(a->x, a->held);
    a->due = SILENCE;
    clear(a->heard, SILENCE);
    a->waiting = 0;
    a->overlapped = 3; /* the first three hops lie before the signal */
    clear(a->overlap, 3 * OUT / 4);
}

/* Complex transforms of n values in four lanes, n of factors up to 5, each stage from one half of
 * re and im to the other; gives the half with the result. With re and im exchanged it is the inverse
 * times n. (Stockham's order: W. T. Cochran et al., What is the fast Fourier transform?, 1967.) */
static int fourier(const Airband *a, int n, v4 (*re)[OUT / 2], v4 (*im)[OUT / 2])
{
    static const int radices[] = {4, 4, 2, 3, 5};
    int from = 0, length = n, stride = 1, unit = OUT / n;
    EACH(stage, 5) {
        int p = radices[stage], m = length / p;
        if (length % p)
            continue;
        const v4 *xr = re[from], *xi = im[from];
        v4 *yr = re[!from], *yi = im[!from];
        EACH(j, m)
            EACH(k, p) {
                float c[5], s[5];
                EACH(i, p) {
                    int at = (i * k * (n / p) + j * k * stride) % n * unit;
                    c[i] = a->wave[0][at], s[i] = a->wave[1][at];
                }
                EACH(q, stride) {
                    v4 real = {0}, imaginary = {0};
                    EACH(i, p) {
                        v4 r = xr[q + stride * (j + i * m)], t = xi[q + stride * (j + i * m)];
                        real += r * c[i] + t * s[i];
                        imaginary += t * c[i] - r * s[i];
                    }
                    yr[q + stride * (p * j + k)] = real;
                    yi[q + stride * (p * j + k)] = imaginary;
                }
            }
        length = m, stride *= p, from = !from;
    }
    return from;
}

/* Up to four frames of x, one hop apart: bins[0] real, bins[1] imaginary parts, a frame to a lane. */
static void analyse(Airband *a, const float *x, int frames)
{
    const int n = IN / 2;
    EACH(i, n) {
        v4 even = {0}, odd = {0};
        EACH(lane, frames) {
            even[lane] = x[HOP * lane + 2 * i] * a->window_in[2 * i];
            odd[lane] = x[HOP * lane + 2 * i + 1] * a->window_in[2 * i + 1];
        }
        a->re[0][i] = even, a->im[0][i] = odd;
    }
    int at = fourier(a, n, a->re, a->im);
    const v4 *re = a->re[at], *im = a->im[at];
    EACH(k, n + 1) {
        int j = k % n, l = (n - k) % n;
        float c = a->wave[0][3 * k], s = a->wave[1][3 * k];
        v4 er = (re[j] + re[l]) / 2, ei = (im[j] - im[l]) / 2, or = (im[j] + im[l]) / 2, oi = (re[l] - re[j]) / 2;
        a->bins[0][k] = er + or * c + oi * s;
        a->bins[1][k] = ei + oi * c - or * s;
    }
}

/* Samples of up to four frames of bins, windowed: y[lane][960]. */
static void synthesise(Airband *a, float (*y)[OUT], int frames)
{
    const int n = OUT / 2;
    EACH(k, n) {
        int l = n - k;
        float c = a->wave[0][k], s = a->wave[1][k];
        v4 ar = a->bins[0][k], ai = a->bins[1][k], br = a->bins[0][l], bi = a->bins[1][l];
        v4 er = ar + br, ei = ai - bi, dr = ar - br, di = ai + bi;
        v4 or = dr * c - di * s, oi = di * c + dr * s;
        a->im[0][k] = er - oi, a->re[0][k] = ei + or; /* exchanged */
    }
    int at = fourier(a, n, a->re, a->im);
    EACH(lane, frames)
        EACH(i, n) {
            y[lane][2 * i] = a->im[at][i][lane] * a->window_out[2 * i] / OUT;
            y[lane][2 * i + 1] = a->re[at][i][lane] * a->window_out[2 * i + 1] / OUT;
        }
}

/* Puts what came behind what is held, and zeros if the signal ends; how many frames come out. */
static int widen(Layer *l, Frame *frames, int came, int last)
{
    l->held += came;
    if (last) {
        clear((float *)(frames + l->held), l->ahead * CHANNELS);
        l->held += l->ahead;
    }
    int count = l->held - l->behind - l->ahead;
    return count > 0 ? count : 0;
}

static void consume(Layer *l, Frame *frames, int count)
{
    l->held -= count;
    copy((float *)frames, (const float *)(frames + count), (long)l->held * CHANNELS);
}

static void pointwise(const v16 (*w)[W], const v16 *bias, const Frame *x, Frame *y, int frames)
{
    for (int t = 0; t < frames; t += ROWS) {
        v16 sum[ROWS][W];
        EACH(r, ROWS) EACH(i, W) sum[r][i] = bias[i];
        EACH(c, CHANNELS)
            EACH(i, W) EACH(r, ROWS) sum[r][i] += w[c][i] * ((const float *)&x[t + r])[c];
        EACH(r, ROWS)
            if (t + r < frames)
                EACH(i, W) y[t + r].c[i] += sum[r][i];
    }
}

/* `came` frames of features lie behind those that the first layer holds. Gives how many frames of
 * hidden activations are in `out` then. */
static int hidden(Airband *a, int came, int last)
{
    Layer *l = &a->layers[0];
    Frame *in = a->frames[0];
    int count = widen(l, in, came, last);
    Frame *to = a->frames[1] + a->layers[1].held;
    EACH(t, count) {
        v16 sum[W];
        EACH(i, W) sum[i] = a->in_bias[i];
        EACH(k, 3) EACH(c, MEL) EACH(i, W) sum[i] += a->conv_in[k][c][i] * ((const float *)&in[t + k])[c];
        EACH(i, W) to[t].c[i] = sum[i];
    }
    consume(l, in, count);
    EACH(b, BLOCKS) {
        const Block *block = &a->blocks[b];
        int d = 1 << b;
        l = &a->layers[b + 1];
        in = a->frames[b + 1];
        count = widen(l, in, count, last);
        to = b + 1 < BLOCKS ? a->frames[b + 2] + a->layers[b + 2].held : a->out;
        for (int first = 0; first < count; first += 32) {
            Frame v[32 + ROWS];
            int some = count - first < 32 ? count - first : 32;
            EACH(t, some) EACH(i, W) {
                v16 sum = block->depthwise_bias[i];
                EACH(k, 5) sum += block->depthwise[k][i] * in[first + t + d * k].c[i];
                v[t].c[i] = choose(sum > 0, sum, sum * block->slope[i]);
                to[first + t].c[i] = in[first + t + l->behind].c[i];
            }
            clear((float *)(v + some), ROWS * CHANNELS);
            pointwise(block->pointwise, block->pointwise_bias, v, to + first, some);
        }
        consume(l, in, count);
    }
    return count;
}

/* What is made above the input's bins, in one lane of `bins`. */
static void made(Airband *a, const Frame *h, u32 frame, int lane)
{
    v16 out[2] = {a->out_bias[0], a->out_bias[1]}, active[W];
    EACH(i, W) active[i] = choose(h->c[i] > 0, h->c[i], exponentials(h->c[i]) - 1);
    EACH(c, CHANNELS) EACH(i, 2) out[i] += a->conv_out[c][i] * ((const float *)active)[c];
    const float *z = (const float *)out;
    for (int first = 0; first < MADE; first += 16) {
        v16 level;
        EACH(i, 16) {
            /* In tenths between the bands' middles; whole numbers, so that b is exact. */
            int place = 2 * (first + i) - 9; /* in twentieths */
            place = place < 0 ? 0 : place > 20 * (BANDS - 1) ? 20 * (BANDS - 1) : place;
            int b = place / 20 < BANDS - 2 ? place / 20 : BANDS - 2;
            level[i] = z[b] + (float)(place - 20 * b) / 20 * (z[b + 1] - z[b]);
        }
        v16 amplitude = exponentials((2 * level - 4) * 1.1512925f); /* ln(10) / 2 */
        EACH(i, 16) {
            u32 h32 = 0x9E3779B1u * frame + 0x85EBCA77u * (u32)(OWN + first + i);
            h32 *= 2 * h32 + 1;
            h32 = (h32 + (h32 >> 16)) * 0x7FEB352Du;
            h32 *= 2 * h32 + 1;
            a->bins[0][OWN + first + i][lane] = amplitude[i] * a->turn[0][h32 >> 24];
            a->bins[1][OWN + first + i][lane] = amplitude[i] * a->turn[1][h32 >> 24];
        }
    }
}

/* Frames whose hidden activations are in `out` become samples: how many are whole, in y. */
static long sound(Airband *a, int count, float *y)
{
    float *to = y;
    for (int first = 0; first < count; first += 4) {
        int lanes = count - first < 4 ? count - first : 4;
        float frames[4][OUT];
        EACH(part, 2) EACH(k, OUT / 2 + 1) a->bins[part][k] = (v4){0};
        EACH(lane, lanes) {
            EACH(part, 2) EACH(k, OWN) a->bins[part][k][lane] = 1.5f * a->own[first + lane][part][k];
            made(a, &a->out[first + lane], a->first++, lane);
        }
        synthesise(a, frames, lanes);
        EACH(lane, lanes) {
            float *f = frames[lane];
            EACH(i, 3 * OUT / 4) f[i] += a->overlap[i];
            copy(a->overlap, f + OUT / 4, 3 * OUT / 4);
            if (a->overlapped > 0) {
                a->overlapped--;
                continue;
            }
            copy(to, f, OUT / 4);
            to += OUT / 4;
        }
    }
    a->waiting -= count;
    copy((float *)a->own, (const float *)(a->own + count), (long)a->waiting * 2 * (OWN + 1));
    return to - y;
}

static long push_airband(Airband *a, const float *x, long count, int last, float *y)
{
    long missing;
    int came = 0, frames;
    Frame *features = a->frames[0] + a->layers[0].held;
    copy(a->x + a->held, x, count);
    copy(a->heard + a->due, x, count);
    a->held += count;
    a->due += count;
    missing = 3 * (a->due - SILENCE); /* outputs of what there is, without what fills the last hop */
    if (last) {
        long zeros = (HOP - a->held % HOP) % HOP + 3 * HOP;
        if (a->due == SILENCE)
            return 0;
        clear(a->x + a->held, zeros);
        clear(a->heard + a->due, zeros);
        a->held += zeros;
        a->due += zeros;
    }
    long at = 0;
    while (a->held - at >= IN) {
        int some = (int)((a->held - at - IN) / HOP + 1);
        some = some < 4 ? some : 4;
        analyse(a, a->x + at, some);
        EACH(lane, some) {
            float (*own)[OWN + 1] = a->own[a->waiting++];
            v16 mel[W];
            EACH(i, W) mel[i] = splat(0);
            EACH(k, OWN + 1) {
                float re = a->bins[0][k][lane], im = a->bins[1][k][lane], power = re * re + im * im;
                own[0][k] = re, own[1][k] = im;
                EACH(i, W) mel[i] += a->mel[k][i] * power;
            }
            EACH(c, CHANNELS) {
                float power = mel[c / 16][c % 16];
                power = power > 1e-8f ? power : 1e-8f;
                features[came].c[c / 16][c % 16] = c < MEL ? (float)((log_of(power) / 2.302585092994046 + 3) / 2) : 0;
            }
            came++;
        }
        at += some * HOP;
    }
    a->held -= at;
    copy(a->x, a->x + at, a->held);
    frames = hidden(a, came, last);
    long made_now = sound(a, frames, y);
    if (last && made_now > missing)
        made_now = missing;

    /* Digital silence stays. */
    long samples = (made_now + 2) / 3, run = 0;
    for (long i = 0; i < samples + 2 * SILENCE; i++) {
        run = a->heard[i] == 0 ? run + 1 : 0;
        if (run > 2 * SILENCE)
            clear(y + 3 * (i - 2 * SILENCE), 3);
    }
    a->due -= samples;
    copy(a->heard, a->heard + samples, a->due);
    return made_now;
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

int novasr_open(void *memory, const byte *weights, unsigned long size)
{
    Engine *e = memory;
    File f = {weights, size};
    e->kind = novasr_kind(weights, size);
    if (e->kind == NOVASR_NOVASR) {
        load_novasr(f, &e->of.novasr);
        fold_novasr(&e->of.novasr);
    } else if (e->kind) {
        load_airband(f, &e->of.airband);
        e->of.airband.kind = e->kind;
        prepare_airband(&e->of.airband);
    }
    novasr_reset(memory);
    return e->kind;
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

long novasr_latency(int kind)
{
    return kind == NOVASR_NOVASR ? BEHIND : kind == NOVASR_AIRBAND ? (AHEAD + 3) * HOP
        : kind == NOVASR_AIRBAND_LIVE ? (1 + 2 + 4 + 3) * HOP : 0;
}

long novasr_push(void *memory, const float *x, long count, int last, float *y)
{
    Engine *e = memory;
    return e->kind == NOVASR_NOVASR ? push_novasr(&e->of.novasr, x, count, last, y)
        : e->kind ? push_airband(&e->of.airband, x, count, last, y) : 0;
}
