/* NovaSR, speech from 16 kHz to 48 kHz:  port weights.safetensors input.f32 output.f32
 * Both signals are raw float32, little-endian as the weights are; so must the machine be. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    C = 32,                     /* channels */
    BEFORE = 11, BEHIND = 13,   /* input samples that an output depends on */
    BLOCK = 1000,               /* new input samples a block: all its signals fit into L2 */
    LEN = 3 * (BEFORE + BLOCK + BEHIND),
    TILE = 64,                  /* time steps computed at once. A constant, that gcc -O2 vectorises */
    PAD = 8                     /* zeros on either side of a row, for the filters to reach into */
};

/* Every loop computes whole tiles, so a row may have to be longer than its signal. */
typedef float Row[PAD + (LEN + TILE - 1) / TILE * TILE + PAD];

struct activation { float up[12], down[12], alpha[C], beta[C]; };

static struct {
    float pre[C * 7], pre_bias[C];
    struct activation act0, act1;
    float conv1[C * C * 11], bias1[C], conv2[C * C * 11], bias2[C], post[C * 7];
} net;

static void die(const char *what, const char *name)
{
    fprintf(stderr, "port: %s: %s\n", name, what);
    exit(1);
}

static void *slurp(const char *name, size_t *size)
{
    FILE *f = fopen(name, "rb");
    void *data;
    long end;

    if (!f || fseek(f, 0, SEEK_END) || (end = ftell(f)) < 0)
        die("cannot be opened", name);
    rewind(f);
    *size = end;
    if (!(data = malloc(*size + 1)))
        die("out of memory", name);
    if (fread(data, 1, *size, f) != *size)
        die("cannot be read", name);
    fclose(f);
    return data;
}

static float from_half(unsigned h)
{
    int e = h >> 10 & 31, m = h & 1023;
    float v = e == 31 ? (m ? NAN : INFINITY) : e ? ldexpf((float)(m + 1024), e - 25) : ldexpf((float)m, -24);

    return h >> 15 ? -v : v;
}

/* `head` is the JSON, `data` what follows it. */
static void tensor(const char *head, const unsigned char *data, size_t size,
                   const char *prefix, const char *name, float *to, size_t count)
{
    char key[64], type[4] = "";
    const char *at = head, *end = NULL, *p;
    unsigned long long first = 0, last = 0;
    size_t width, i;

    snprintf(key, sizeof key, "%s%s", prefix, name);
    for (; !end && (at = strstr(at, key)); at++) {      /* as a key: "NAME" : {...} */
        const char *open = at + strlen(key);
        int n = 0;
        if (at > head && at[-1] == '"' && (sscanf(open, "\" : {%n", &n), n > 0))
            end = strchr(open, '}');
    }
    if (!end)
        die("no such tensor in the weights", key);
    if ((p = strstr(at, "\"dtype\"")) && p < end)
        sscanf(p, "\"dtype\" : \"%3[^\"]", type);
    if ((p = strstr(at, "\"data_offsets\"")) && p < end)
        sscanf(p, "\"data_offsets\" : [ %llu , %llu", &first, &last);
    width = !strcmp(type, "F16") ? 2 : !strcmp(type, "F32") ? 4 : 0;
    if (!width || last > size || first > last || last - first != count * width)
        die("not the type, the size or the place expected", key);
    for (i = 0; i < count; i++)
        if (width == 4)
            memcpy(to + i, data + first + 4 * i, 4);
        else
            to[i] = from_half(data[first + 2 * i] | data[first + 2 * i + 1] << 8);
}

static void load(const char *name)
{
    size_t size, length = 0, i;
    unsigned char *file = slurp(name, &size), *data;

    for (i = 8; size >= 8 && i-- > 0;)
        length = length << 8 | file[i];
    if (size < 8 || length > size - 8)
        die("not a safetensors file", name);
    data = file + 8 + length;
    size -= 8 + length;
    memmove(file, file + 8, length);
    file[length] = 0;
#define T(prefix, name, to) tensor((char *)file, data, size, prefix, name, to, sizeof(to) / sizeof *(to))
    T("", "conv_pre.weight", net.pre), T("", "conv_pre.bias", net.pre_bias);
    T("", "conv1.weight", net.conv1), T("", "conv1.bias", net.bias1);
    T("", "conv2.weight", net.conv2), T("", "conv2.bias", net.bias2);
    T("", "conv_post.weight", net.post);
    for (i = 0; i < 2; i++) {
        struct activation *a = i ? &net.act1 : &net.act0;
        const char *prefix = i ? "activation1." : "activation0.";
        int k;
        T(prefix, "upsample.filter", a->up), T(prefix, "downsample.filter", a->down);
        T(prefix, "snakebeta.alpha", a->alpha), T(prefix, "snakebeta.beta", a->beta);
        for (k = 0; k < 12; k++)
            a->up[k] *= 2;
        for (k = 0; k < C; k++) {
            a->alpha[k] = expf(a->alpha[k]);
            a->beta[k] = expf(a->beta[k]);
        }
    }
#undef T
    free(file);
}

/* One tile: y[t] += sum over k of f[k * step] x[t + k]. All the filters come down to this; four taps
 * at a time, as y would be loaded and stored for each otherwise. */
static void fir(float *restrict y, const float *restrict x, const float *f, int step, int taps)
{
    int k = 0;
    for (; k + 3 < taps; k += 4) {
        const float a = f[k * step], b = f[(k + 1) * step], c = f[(k + 2) * step], d = f[(k + 3) * step];
        for (int t = 0; t < TILE; t++)
            y[t] += a * x[t + k] + b * x[t + k + 1] + c * x[t + k + 2] + d * x[t + k + 3];
    }
    for (; k < taps; k++) {
        const float w = f[k * step];
        for (int t = 0; t < TILE; t++)
            y[t] += w * x[t + k];
    }
}

/* What the last tile wrote behind the signal's end has to be zero again for the next filter. */
static void end_at(float *row, int n)
{
    memset(row + PAD + n, 0, sizeof(Row) - (PAD + n) * sizeof *row);
}

static void conv(Row *y, int outs, Row *x, int ins, const float *w, const float *bias, int taps, int n)
{
    for (int t = 0; t < n; t += TILE)
        for (int o = 0; o < outs; o++) {
            float *acc = y[o] + PAD + t;
            for (int s = 0; s < TILE; s++)
                acc[s] = bias ? bias[o] : 0;
            for (int i = 0; i < ins; i++)
                fir(acc, x[i] + PAD + t - taps / 2, w + (o * ins + i) * taps, 1, taps);
        }
    for (int o = 0; o < outs; o++)
        end_at(y[o], n);
}

static void snake(float *row, float a, float b, int n)
{
    for (int t = PAD; t < PAD + n; t++) {
        float s = sinf(a * row[t]);         /* 1 - cos(2 v) = 2 sin(v)^2, without the cancellation */
        row[t] += s * s / (b + 5e-10f);
    }
}

/* In place, n samples to n - 2. The samples at twice the rate stay apart, the even and the odd, as
 * the filters take them apart anyway; without the first two and last two that is n - 2 of each. */
static void activate(Row *x, const struct activation *a, int n)
{
    static Row even, odd;

    for (int c = 0; c < C; c++) {
        memset(even, 0, sizeof even);
        memset(odd, 0, sizeof odd);
        for (int t = PAD; t < PAD + n - 2; t += TILE) {
            fir(even + t, x[c] + t - 1, a->up, 2, 6);
            fir(odd + t, x[c] + t - 1, a->up + 1, 2, 6);
        }
        end_at(even, n - 2);
        end_at(odd, n - 2);
        snake(even, a->alpha[c], a->beta[c], n - 2);
        snake(odd, a->alpha[c], a->beta[c], n - 2);
        memset(x[c], 0, sizeof x[c]);
        for (int t = PAD; t < PAD + n - 2; t += TILE) {     /* 2n + k - 5 is odd where k is even */
            fir(x[c] + t, odd + t - 3, a->down, 2, 6);
            fir(x[c] + t, even + t - 2, a->down + 1, 2, 6);
        }
        end_at(x[c], n - 2);
    }
}

static void interpolate(float *y, const float *x, int n)
{
    y += PAD, x += PAD;
    for (int j = 0; j < n; j++) {
        y[3 * j] = (x[j > 0 ? j - 1 : 0] + 2 * x[j]) / 3;
        y[3 * j + 1] = x[j];
        y[3 * j + 2] = (2 * x[j] + x[j < n - 1 ? j + 1 : j]) / 3;
    }
}

/* The network, for n <= BEFORE + BLOCK + BEHIND samples: 3 n - 4 of them, until the next call. */
static const float *run(const float *samples, int n)
{
    static Row in, a[C], b[C], skip[C], out;
    int m = 3 * n;

    end_at(in, 0);
    memcpy(in + PAD, samples, n * sizeof *samples);
    conv(b, C, &in, 1, net.pre, net.pre_bias, 7, n);
    for (int c = 0; c < C; c++) {
        interpolate(skip[c], b[c], n);
        end_at(skip[c], m);
    }
    memcpy(a, skip, sizeof a);
    activate(a, &net.act0, m);
    conv(b, C, a, C, net.conv1, net.bias1, 11, m - 2);
    activate(b, &net.act1, m - 2);
    conv(a, C, b, C, net.conv2, net.bias2, 11, m - 4);
    for (int c = 0; c < C; c++)
        for (int t = PAD; t < PAD + m - 4; t++)
            a[c][t] += skip[c][t];
    conv(&out, 1, a, C, net.post, NULL, 7, m - 4);
    for (int t = PAD; t < PAD + m - 4; t++)
        out[t] = tanhf(out[t]);
    return out + PAD;
}

int main(int argc, char **argv)
{
    size_t size, total;
    float *x;
    FILE *f;

    if (argc != 4)
        die("wants weights.safetensors input.f32 output.f32", "arguments");
    load(argv[1]);
    x = slurp(argv[2], &size);
    if (size % sizeof *x)
        die("not a whole number of float32", argv[2]);
    if ((total = size / sizeof *x) < 2)
        die("fewer than 2 samples", argv[2]);
    if (!(f = fopen(argv[3], "wb")))
        die("cannot be written", argv[3]);
    for (size_t n = 0; 3 * n < 3 * total - 4; n += BLOCK) {
        size_t begin = n < BEFORE ? 0 : n - BEFORE, end = n + BLOCK + BEHIND;
        size_t stop = 3 * (n + BLOCK);
        if (end > total)
            end = total;
        if (stop > 3 * total - 4)
            stop = 3 * total - 4;
        if (fwrite(run(x + begin, end - begin) + 3 * (n - begin), sizeof *x, stop - 3 * n, f) != stop - 3 * n)
            die("cannot be written", argv[3]);
    }
    if (fclose(f))
        die("cannot be written", argv[3]);
    free(x);
    return 0;
}
