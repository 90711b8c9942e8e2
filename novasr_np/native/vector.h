/* Vectors, and elementary functions of them and of numbers.
 *
 * Signals are arrays [time][channel], so that a vector holds 16 channels of one step of time. In
 * WebAssembly that is four registers, with AVX-512 one. Spectra are arrays [bin] of several frames.
 */
#ifndef NOVASR_VECTOR_H
#define NOVASR_VECTOR_H

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
#define INLINE static inline __attribute__((always_inline))

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

INLINE vector tanhs(vector x)
{
    vector size = (vector)((integers)x & 0x7FFFFFFF), z = x * x;
    vector small = size * (1 + z * (-0.33333333f + z * (0.13333333f + z * (-5.3968254e-2f
        + z * (2.1869489e-2f - z * 8.8632355e-3f)))));
    vector large = 1 - 2 / (exponentials(2 * choose(size < 20, size, all(20))) + 1);
    vector y = choose(size < 0.3f, small, large);
    return (vector)((integers)y | ((integers)x & ~0x7FFFFFFF));
}

static void squash(float *y, int count) /* by tanh */
{
    for (; count > 0; y += LANES, count -= LANES) {
        vector x = {0};
        int some = count < LANES ? count : LANES;
        __builtin_memcpy(&x, y, sizeof(float) * (size_t)some);
        x = tanhs(x);
        __builtin_memcpy(y, &x, sizeof(float) * (size_t)some);
    }
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

#endif
