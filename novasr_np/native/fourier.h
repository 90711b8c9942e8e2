/* Fourier transforms of several signals at once, one to a lane: engine.c has them twice, for REAL, of
 * which VECTOR has several. NAMED makes their names. */
#define Complex NAMED(Complex)
#define Transform NAMED(Transform)
#define prepare_transform NAMED(prepare_transform)
#define plus NAMED(plus)
#define minus NAMED(minus)
#define times NAMED(times)
#define turned NAMED(turned)
#define both NAMED(both)
#define butterfly NAMED(butterfly)
#define stage NAMED(stage)
#define slow_stage NAMED(slow_stage)
#define fourier NAMED(fourier)
#define analyse NAMED(analyse)
#define synthesise NAMED(synthesise)

typedef struct { VECTOR re, im; } Complex;


typedef struct {
    int size, radices[12];
    REAL *wave[2], *window; /* [size]; wave: cos and sin of `size` steps in a turn */
} Transform;

/* level: of the window. tables: memory for 3 size numbers, which is kept. */
static void prepare_transform(Transform *f, int size, double level, REAL *tables)
{
    int rest = size / 2, *radix = f->radices;
    f->size = size;
    f->wave[0] = tables, f->wave[1] = tables + size, f->window = tables + 2 * size;
    EACH(i, size) {
        f->wave[0][i] = (REAL)cos_of(2 * PI * i / size);
        f->wave[1][i] = (REAL)sin_of(2 * PI * i / size);
        f->window[i] = (REAL)(level * sin_of(PI * i / size));
    }
    for (; rest % 4 == 0; rest /= 4)
        *radix++ = 4;
    for (int p = 2; rest > 1; p++)
        for (; rest % p == 0; rest /= p)
            *radix++ = p;
    *radix = 1;
}

INLINE Complex plus(Complex a, Complex b)
{
    return (Complex){a.re + b.re, a.im + b.im};
}

INLINE Complex minus(Complex a, Complex b)
{
    return (Complex){a.re - b.re, a.im - b.im};
}

INLINE Complex times(Complex a, REAL level)
{
    return (Complex){a.re * level, a.im * level};
}

INLINE Complex turned(Complex a, REAL c, REAL s) /* times c - is */
{
    return (Complex){a.re * c + a.im * s, a.im * c - a.re * s};
}

INLINE void both(Complex a, Complex b, Complex *lower, Complex *upper) /* a - ib, a + ib */
{
    *lower = (Complex){a.re + b.im, a.im - b.re};
    *upper = (Complex){a.re - b.im, a.im + b.re};
}

INLINE void butterfly(int p, Complex *z) /* a transform of p values */
{
    if (p == 2) {
        Complex a = z[0];
        z[0] = plus(a, z[1]), z[1] = minus(a, z[1]);
    } else if (p == 3) {
        Complex sum = plus(z[1], z[2]), rest = times(minus(z[1], z[2]), (REAL)0.8660254037844386);
        Complex middle = minus(z[0], times(sum, (REAL)0.5));
        z[0] = plus(z[0], sum);
        both(middle, rest, &z[1], &z[2]);
    } else if (p == 4) {
        Complex a = plus(z[0], z[2]), b = minus(z[0], z[2]), c = plus(z[1], z[3]), d = minus(z[1], z[3]);
        z[0] = plus(a, c), z[2] = minus(a, c);
        both(b, d, &z[1], &z[3]);
    } else {
        static const REAL C1 = (REAL)0.30901699437494745, C2 = (REAL)-0.8090169943749475,
                          S1 = (REAL)0.9510565162951536, S2 = (REAL)0.5877852522924731;
        Complex a = plus(z[1], z[4]), b = plus(z[2], z[3]), c = minus(z[1], z[4]), d = minus(z[2], z[3]);
        Complex near = plus(z[0], plus(times(a, C1), times(b, C2))), far = plus(z[0], plus(times(a, C2), times(b, C1)));
        z[0] = plus(z[0], plus(a, b));
        both(near, plus(times(c, S1), times(d, S2)), &z[1], &z[4]);
        both(far, minus(times(c, S2), times(d, S1)), &z[2], &z[3]);
    }
}

/* A stage of a transform, in Stockham's order (W. T. Cochran et al., What is the fast Fourier
 * transform?, 1967): m times stride transforms of p values each. */
INLINE void stage(const Transform *f, int p, const Complex *x, Complex *y, int m, int stride)
{
    EACH(j, m) {
        REAL c[5], s[5];
        UP_TO_5(k, 1, p) c[k] = f->wave[0][2 * j * k * stride], s[k] = f->wave[1][2 * j * k * stride];
        EACH(q, stride) {
            Complex z[5];
            UP_TO_5(i, 0, p) z[i] = x[q + stride * (j + i * m)];
            butterfly(p, z);
            y[q + stride * p * j] = z[0];
            UP_TO_5(k, 1, p) y[q + stride * (p * j + k)] = turned(z[k], c[k], s[k]);
        }
    }
}

/* The same for any p, by its definition: for rates that few sounds have. */
static void slow_stage(const Transform *f, int p, const Complex *x, Complex *y, int m, int stride)
{
    int n = f->size / 2;
    EACH(j, m) EACH(k, p) {
        Complex *sum = y + stride * (p * j + k);
        EACH(q, stride) sum[q] = (Complex){0};
        EACH(i, p) {
            int at = 2 * ((i * k * (n / p) + j * k * stride) % n);
            const Complex *part = x + stride * (j + i * m);
            EACH(q, stride) sum[q] = plus(sum[q], turned(part[q], f->wave[0][at], f->wave[1][at]));
        }
    }
}

/* The complex transform of z, size / 2 values with room for as many behind them; gives where it is.
 * With re and im exchanged it is the inverse times size / 2. */
static Complex *fourier(const Transform *f, Complex *z)
{
    int length = f->size / 2, stride = 1;
    Complex *x = z, *y = z + length;
    for (const int *radix = f->radices; *radix > 1; radix++) {
        int p = *radix, m = length / p;
        if (p == 4)
            stage(f, 4, x, y, m, stride);
        else if (p == 2)
            stage(f, 2, x, y, m, stride);
        else if (p == 3)
            stage(f, 3, x, y, m, stride);
        else if (p == 5)
            stage(f, 5, x, y, m, stride);
        else
            slow_stage(f, p, x, y, m, stride);
        Complex *done = y;
        y = x, x = done;
        length = m, stride *= p;
    }
    return x;
}

/* The spectrum of `size` real samples, of which z holds the even ones as real and the odd ones as
 * imaginary parts, as `fourier` has it. */
static void analyse(const Transform *f, Complex *z, Complex *bins)
{
    const Complex *half = fourier(f, z);
    int n = f->size / 2;
    EACH(k, n + 1) {
        Complex a = half[k < n ? k : 0], b = half[k ? n - k : 0];
        Complex even = {a.re + b.re, a.im - b.im}, odd = {a.im + b.im, b.re - a.re};
        bins[k] = times(plus(even, turned(odd, f->wave[0][k], f->wave[1][k])), (REAL)0.5);
    }
}

/* The way back, times `size`; of what it gives, the even samples are imaginary and the odd ones real
 * parts. */
static inline Complex *synthesise(const Transform *f, const Complex *bins, Complex *z)
{
    int n = f->size / 2;
    EACH(k, n) {
        Complex a = bins[k], b = bins[n - k];
        Complex even = {a.re + b.re, a.im - b.im}, odd = turned((Complex){a.re - b.re, a.im + b.im}, f->wave[0][k], -f->wave[1][k]);
        z[k] = (Complex){even.im + odd.re, even.re - odd.im};
    }
    return fourier(f, z);
}

#undef Complex
#undef Transform
#undef prepare_transform
#undef plus
#undef minus
#undef times
#undef turned
#undef both
#undef butterfly
#undef stage
#undef slow_stage
#undef fourier
#undef analyse
#undef synthesise
#undef REAL
#undef VECTOR
#undef NAMED
