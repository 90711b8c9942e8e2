/* NovaSR. How it is folded is written in networks/novasr/fast.py, its formulas in PORTING.md there. */
enum {
    C = 32,
    BEFORE = 11, BEHIND = 13, CONTEXT = BEFORE + BEHIND, /* input samples */
#ifdef __wasm__
    STEPS = 2,                      /* samples that a product takes at once: in registers */
#else
    STEPS = 4,
#endif
    PART = 320,                     /* input samples of which the inside is computed at a time */
    LONG = 3 * PART + 48 + 3 * STEPS, /* steps at 48 kHz */
    CHUNK = 96                      /* steps of an activation at a time: in the nearest cache */
};

typedef v16 Row[2]; /* 32 channels of one step */

typedef struct {
    float up[2][6], down[12], through[12]; /* U by parity, D, L */
    Row slope, middle;
    float a[C], depth[C], sum; /* exp(alpha), 1 / (2 b + 1e-9), of D's taps: for the ends */
} Activation;

typedef struct {
    novasr_model door;
    /* the layers as they are, for a signal's ends: [tap][in][out] */
    float pre[7][C], pre_bias[C], conv[2][11][C][C], conv_bias[2][C], post[7][C];
    Activation activation[2];
    /* folded, for its inside */
    Row pre3[3][9], pre3_bias, thirds[3][4][C], pairs[3][4][C], conv1_bias, post17[17];
    v16 skip[3]; /* of 11 taps */
    float bias;
} NovaSR;

typedef struct {
    novasr_state door;
    int begun; /* whether the first outputs are given */
    int held;  /* samples in x, which begins BEFORE before the first that has no outputs yet, or with the
                  signal */
    float x[CONTEXT + PART + 2];
} NovaSRState;

typedef struct { Row h[LONG + 16], v[LONG + 16]; } NovaSRWork;

typedef struct {
    Tensor pre, pre_bias, conv[2], conv_bias[2], up[2], down[2], alpha[2], beta[2], post;
} NovaSRTensors;

static int filter(File f, const char *name, Tensor *t)
{
    static const int taps[] = {12, 0}, upstream[] = {1, 1, 12, 0};
    return tensor(f, name, taps, t) || tensor(f, name, upstream, t);
}

static int find_novasr(File f, NovaSRTensors *t)
{
    static const int pre[] = {C, 1, 7, 0}, only[] = {C, 0}, conv[] = {C, C, 11, 0}, post[] = {1, C, 7, 0};
    char name[40];
    EACH(i, 2)
        if (!tensor(f, joined(name, "conv", i + 1, ".weight"), conv, &t->conv[i])
            || !tensor(f, joined(name, "conv", i + 1, ".bias"), only, &t->conv_bias[i])
            || !filter(f, joined(name, "activation", i, ".upsample.filter"), &t->up[i])
            || !filter(f, joined(name, "activation", i, ".downsample.filter"), &t->down[i])
            || !tensor(f, joined(name, "activation", i, ".snakebeta.alpha"), only, &t->alpha[i])
            || !tensor(f, joined(name, "activation", i, ".snakebeta.beta"), only, &t->beta[i]))
            return 0;
    return tensor(f, "conv_pre.weight", pre, &t->pre) && tensor(f, "conv_pre.bias", only, &t->pre_bias)
        && tensor(f, "conv_post.weight", post, &t->post);
}

static void load_novasr(const NovaSRTensors *t, NovaSR *n)
{
    EACH(k, 7) EACH(c, C) {
        n->pre[k][c] = value(t->pre, 7 * c + k);
        n->post[k][c] = value(t->post, 7 * c + k);
    }
    EACH(c, C) n->pre_bias[c] = value(t->pre_bias, c);
    EACH(i, 2) {
        Activation *a = &n->activation[i];
        EACH(k, 12) {
            a->up[k % 2][k / 2] = 2 * value(t->up[i], k);
            a->down[k] = value(t->down[i], k);
        }
        EACH(c, C) {
            a->a[c] = (float)exp_of(value(t->alpha[i], c));
            a->depth[c] = (float)(1 / (2 * exp_of(value(t->beta[i], c)) + 1e-9));
            n->conv_bias[i][c] = value(t->conv_bias[i], c);
        }
        EACH(o, C) EACH(c, C) EACH(k, 11) n->conv[i][k][c][o] = value(t->conv[i], (C * o + c) * 11 + k);
    }
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
    EACH(k, 4) EACH(c, C) EACH(o, C) {
        float level = first->depth[c] * 2 * second->a[o], tap[3];
        EACH(i, 3) tap[i] = 3 * k + i < 11 ? n->conv[0][3 * k + i][c][o] * level : 0;
        EACH(i, 3) {
            n->thirds[i][k][c][o / 16][o % 16] = tap[i];
            n->pairs[i][k][c][o / 16][o % 16] = tap[i / 2] + tap[i ? 2 : 1];
        }
    }

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
        n->skip[phase] = splat(0);
        EACH(k, 7) EACH(d, 9) EACH(c, C)
            n->skip[phase][(phase + k) / 3 + d] += plain[(phase + k) % 3][d][c] * n->post[k][c];
    }
    EACH(k, 7) EACH(c, C) bias += ((double)n->pre_bias[c] + n->conv_bias[1][c]) * n->post[k][c];
    n->bias = (float)bias;
}

static void begin_novasr(NovaSRState *s)
{
    s->begun = s->held = 0;
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

/* sum[s] += weights of x[stride s], x[stride (s + 1)], ... */
INLINE void taps(const Row (*weights)[C], int count, const Row *x, int stride, int side, v16 *sum)
{
    EACH(k, count) EACH(c, C) {
        v16 tap = weights[k][c][side];
        EACH(s, STEPS) sum[s] += tap * ((const float *)x[stride * (s + k)])[c];
    }
}

/* conv1 of v, to h, count / 3 times three steps. With d[i] for the rows from a step on, and h[0], h[1],
 * h[2] for every third tap from the first, second and third one on, these are
 *     y[0] = h[0] (d[0] - d[1] - d[2]) + (h[0] + h[1]) d[1] + (h[0] + h[2]) d[2]
 *     y[1] = h[1] (d[2] - d[1] - d[3]) + (h[0] + h[1]) d[1] + (h[1] + h[2]) d[3]
 *     y[2] = h[2] (d[4] - d[2] - d[3]) + (h[0] + h[2]) d[2] + (h[1] + h[2]) d[3]
 * and take 23 products instead of 33 (D. A. Parker and K. K. Parhi, Low-area/power parallel FIR digital
 * filter implementations, 1997). Three steps are one sample's, so that all they need is there. */
static void convolve(const NovaSR *n, const Row *v, Row *h, int count)
{
    for (int t = 0; t < count; t += 3 * STEPS, v += 3 * STEPS, h += 3 * STEPS) {
        Row rest[3][STEPS + 3];
        EACH(s, STEPS + 3) EACH(side, 2) {
            v16 d[5];
            EACH(i, 5) d[i] = v[3 * s + i][side];
            rest[0][s][side] = d[0] - d[1] - d[2];
            rest[1][s][side] = d[2] - d[1] - d[3];
            rest[2][s][side] = d[4] - d[2] - d[3];
        }
        EACH(side, 2) {
            v16 sum[3][STEPS], y[STEPS];
            EACH(i, 3) {
                EACH(s, STEPS) sum[i][s] = splat(0);
                taps(n->pairs[i], 4, v + 1 + i, 3, side, sum[i]);
            }
            EACH(i, 3) {
                EACH(s, STEPS) y[s] = n->conv1_bias[side] + sum[i / 2][s] + sum[i ? 2 : 1][s];
                taps(n->thirds[i], i < 2 ? 4 : 3, (const Row *)rest[i], 1, side, y);
                EACH(s, STEPS) h[3 * s + i][side] = y[s];
            }
        }
    }
}

INLINE float total(v16 x)
{
    union { v16 all; float part[4][4]; } y = {x};
    float sum[4];
    EACH(i, 4) sum[i] = (y.part[0][i] + y.part[1][i]) + (y.part[2][i] + y.part[3][i]);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* x[count + 24], of which no sample is the signal's end -> y[3 count]; count <= PART. */
static void inside(const NovaSR *n, NovaSRWork *w, const float *x, int count, float *y)
{
    EACH(j, count + 16) /* input sample j - 7 */
        EACH(phase, 3) EACH(side, 2) {
            v16 sum = n->pre3_bias[side];
            EACH(d, 9) sum += n->pre3[phase][d][side] * x[j + d];
            w->h[3 * j + phase][side] = sum;
        }
    snake(&n->activation[0], w->h, w->v, 3 * count + 37);
    convolve(n, w->v, w->h, 3 * count + 27);
    snake(&n->activation[1], w->h, w->v, 3 * count + 16);
    EACH(j, count)
        EACH(phase, 3) {
            v16 sum;
            __builtin_memcpy(&sum, x + BEFORE - 5 + j, sizeof sum);
            sum *= n->skip[phase];
            EACH(k, 17) EACH(side, 2) sum += w->v[3 * j + phase + k][side] * n->post17[k][side];
            y[3 * j + phase] = n->bias + total(sum);
        }
    squash(y, 3 * count);
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
static void whole(const NovaSR *n, NovaSRWork *w, const float *x, int count, float *y)
{
    Row *pre = w->h, *skip = w->h + CONTEXT, *h = w->v, *h2 = w->v + 3 * CONTEXT;
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
        y[t] = sum;
    }
    squash(y, steps - 4);
}


static long push_novasr(const NovaSR *n, NovaSRState *s, NovaSRWork *w, const float *x, long count, int last, float *y)
{
    float end[3 * CONTEXT], *to = y;
    for (int ends = 0; !ends;) {
        int room = CONTEXT + PART - s->held, some = count < room ? (int)count : room;
        copy(s->x + s->held, x, some);
        s->held += some, x += some, count -= some;
        if (!count && !last && s->held < CONTEXT + s->begun)
            break;
        ends = last && !count;
        if (ends) { /* the network alone falls four outputs short */
            if (!s->held)
                break;
            s->x[s->held++] = 0;
            s->x[s->held++] = 0;
        }
        if (ends && !s->begun && s->held < CONTEXT) {
            whole(n, w, s->x, s->held, end);
            copy(to, end, 3 * (s->held - 2));
            return 3 * (s->held - 2);
        }
        if (!s->begun) {
            whole(n, w, s->x, CONTEXT, end);
            copy(to, end, 3 * BEFORE);
            to += 3 * BEFORE;
            s->begun = 1;
        }
        while (s->held > CONTEXT) {
            int part = s->held - CONTEXT < PART ? s->held - CONTEXT : PART;
            inside(n, w, s->x, part, to);
            to += 3 * part;
            s->held -= part;
            copy(s->x, s->x + part, s->held);
        }
        if (ends) {
            whole(n, w, s->x, CONTEXT, end);
            copy(to, end + 3 * BEFORE, 3 * (BEHIND - 2));
            to += 3 * (BEHIND - 2);
        }
    }
    return to - y;
}
