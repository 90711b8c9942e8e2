/* Where a sound ends, as rates.h says. The formulas are written in dsp/band.py. */
#include "rates.h"

enum {
    FRAMES = LANES / 2,              /* of which spectra are made at a time */
    LOWEST_SLOPE = LOWEST_EDGE / BIN /* the bin at which a slope can begin */
};

static const double SILENT = 1e-7, FLOOR = 1e-9, /* summed power of a frame that is left out; of a bin's */
                    FALL = 18, FALL_IN_ALL = 12, FALLS = 34, TONE = 12, DROP = 6; /* dB */

/* ---- spectra --------------------------------------------------------------------------------- */

/* Sums over frames for each bin: of the power, and of its logarithm as that of a product, mantissa
 * times 2^exponent. So a frame takes no logarithms. */
typedef struct { long count; double *power, *mantissa, *exponent; } Spectrum;

typedef struct {
    wide_Transform transform;
    int bins;
    wide_Complex *half, *spectrum; /* in passing, as all below */
    double *loud, *usual, *exact, *highest[2]; /* dB: of bins, and of all bins from one on */
} Finder;

static void begin_spectrum(Spectrum *s, int bins)
{
    s->count = 0;
    EACH(k, bins) s->power[k] = s->exponent[k] = 0, s->mantissa[k] = 1;
}

INLINE void multiply(Spectrum *s, int k, double factor)
{
    union { double value; u64 bits; } m = {s->mantissa[k] * factor};
    s->exponent[k] += (double)(int)(m.bits >> 52) - 1023;
    m.bits = (m.bits & 0xFFFFFFFFFFFFF) | (u64)1023 << 52;
    s->mantissa[k] = m.value;
}

/* Add up to FRAMES frames, each `size` samples from where it is given. */
static void add_frames(Finder *f, Spectrum *s, const float *const *frames, int count)
{
    const double *window = f->transform.window;
    wide sum = {0};
    EACH(i, f->bins) {
        wide_Complex z = {0};
        EACH(lane, count) {
            z.re[lane] = frames[lane][2 * i] * window[2 * i];
            z.im[lane] = frames[lane][2 * i + 1] * window[2 * i + 1];
        }
        f->half[i] = z;
    }
    wide_analyse(&f->transform, f->half, f->spectrum);
    EACH(k, f->bins) {
        wide_Complex z = f->spectrum[k];
        sum += f->spectrum[k].re = z.re * z.re + z.im * z.im; /* the power, from here on */
    }
    EACH(lane, count) {
        if (!(sum[lane] > SILENT))
            continue;
        s->count++;
        EACH(k, f->bins) {
            double power = f->spectrum[k].re[lane];
            s->power[k] += power;
            multiply(s, k, power > FLOOR ? power : FLOOR);
        }
    }
}

/* ---- the edge -------------------------------------------------------------------------------- */

static double median(const double *x, int count) /* up to 19 */
{
    double sorted[19];
    EACH(i, count) {
        int at = i;
        for (; at && sorted[at - 1] > x[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = x[i];
    }
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

static double decibels(double power)
{
    return log_of(power > FLOOR ? power : FLOOR) * 4.342944819032518; /* 10 / ln 10 */
}

/* Mean over 3 bins, the ends held. */
static void smooth(const double *x, int bins, double *to)
{
    EACH(k, bins) to[k] = (x[k ? k - 1 : 0] + x[k] + x[k + 1 < bins ? k + 1 : k]) / 3;
}

static void highest_of(const double *level, int bins, double *to)
{
    for (int k = bins - 1; k >= 0; k--)
        to[k] = k + 1 < bins && to[k + 1] > level[k] ? to[k + 1] : level[k];
}

static void find_levels(Finder *f, const Spectrum *s)
{
    double *scratch = f->highest[0];
    EACH(k, f->bins) scratch[k] = s->power[k] / (double)s->count;
    smooth(scratch, f->bins, f->loud);
    EACH(k, f->bins) {
        f->exact[k] = decibels(scratch[k]);
        f->loud[k] = decibels(f->loud[k]);
        scratch[k] = (log_of(s->mantissa[k]) + s->exponent[k] * LN2) * 4.342944819032518 / (double)s->count;
    }
    smooth(scratch, f->bins, f->usual);
    highest_of(f->loud, f->bins, f->highest[0]);
    highest_of(f->usual, f->bins, f->highest[1]);
}

/* dB by which all above a slope at bin k lies below what is before it; k from 10 on. */
static double fall(const Finder *f, const double *level, const double *highest, int k)
{
    return median(level + k - 10, 9) - highest[k + 6 < f->bins ? k + 6 : f->bins - 1];
}

/* The first bin that is not the sound's own; -1 if there is no end within the bins. */
static int find_edge(Finder *f, const Spectrum *s)
{
    if (!s->count)
        return -1;
    find_levels(f, s);
    for (int k = LOWEST_SLOPE; k < f->bins - 3; k++) {
        double loud = fall(f, f->loud, f->highest[0], k);
        if (!(loud >= FALL))
            continue;
        double usual = fall(f, f->usual, f->highest[1], k);
        if (!(usual >= FALL_IN_ALL && loud + usual >= FALLS)
            || median(f->loud + k - 30, 19) < median(f->loud + k - 10, 9) - TONE)
            continue;
        double end = median(f->loud + k - 9, 8) - DROP;
        for (int bin = k - 2; bin < f->bins; bin++)
            if (f->exact[bin] < end)
                return bin;
        return -1;
    }
    return -1;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t finder_bytes(int size)
{
    size_t bins = (size_t)size / 2;
    return padded(sizeof(wide_Complex) * (3 * bins + 1) + sizeof(double) * (3 * (size_t)size + 5 * bins));
}

static void place_finder(Finder *f, int size, byte *at)
{
    f->bins = size / 2;
    f->half = (wide_Complex *)at;
    f->spectrum = f->half + 2 * f->bins;
    double *tables = (double *)(f->spectrum + f->bins + 1);
    wide_prepare_transform(&f->transform, size, (double)SIZE / size, tables);
    f->loud = tables + 3 * size;
    f->usual = f->loud + f->bins;
    f->exact = f->usual + f->bins;
    EACH(i, 2) f->highest[i] = f->exact + (1 + i) * f->bins;
}

static size_t spectrum_bytes(int size)
{
    return padded(3 * sizeof(double) * (size_t)(size / 2));
}

static void place_spectrum(Spectrum *s, int bins, byte *at)
{
    s->power = (double *)at;
    s->mantissa = s->power + bins;
    s->exponent = s->mantissa + bins;
    begin_spectrum(s, bins);
}

static int frame_of(int rate) /* samples of 20 ms, or a few less where that is no multiple of 4 */
{
    return (rate + 25) / 50 / 4 * 4;
}

/* ---- a whole sound --------------------------------------------------------------------------- */

typedef struct { long held; float *x; } Part; /* samples of a channel that are in no frame yet */

struct novasr_band {
    Finder finder;
    Spectrum spectrum;
    int rate, channels, hop;
    Part parts[];
};

static long part_of(int size) /* samples of FRAMES frames that overlap by half */
{
    return (FRAMES + 1) * (long)(size / 2);
}

static size_t band_bytes(int channels)
{
    return padded(sizeof(novasr_band) + sizeof(Part) * (size_t)channels);
}

size_t novasr_band_bytes(int rate, int channels)
{
    if (rate < SLOWEST || rate > FASTEST || channels < 1)
        return 0;
    int size = frame_of(rate);
    return band_bytes(channels) + finder_bytes(size) + spectrum_bytes(size)
        + padded(sizeof(float) * (size_t)channels * (size_t)part_of(size));
}

novasr_band *novasr_band_begin(void *memory, int rate, int channels)
{
    novasr_band *b = memory;
    if (!aligned(memory) || !novasr_band_bytes(rate, channels))
        return 0;
    int size = frame_of(rate);
    byte *at = (byte *)memory + band_bytes(channels);
    place_finder(&b->finder, size, at);
    place_spectrum(&b->spectrum, size / 2, at += finder_bytes(size));
    b->rate = rate, b->channels = channels, b->hop = size / 2;
    at += spectrum_bytes(size);
    EACH(c, channels) b->parts[c] = (Part){0, (float *)at + c * part_of(size)};
    return b;
}

static void add_part(novasr_band *b, Part *part) /* its frames that are complete */
{
    const float *frames[FRAMES];
    int size = 2 * b->hop, count = part->held < size ? 0 : (int)((part->held - size) / b->hop + 1);
    if (!count)
        return;
    EACH(i, count) frames[i] = part->x + (long)i * b->hop;
    add_frames(&b->finder, &b->spectrum, frames, count);
    part->held -= (long)count * b->hop;
    copy(part->x, part->x + (long)count * b->hop, part->held);
}

void novasr_band_push(novasr_band *b, int channel, const float *x, long count)
{
    Part *part = &b->parts[channel];
    long room = part_of(2 * b->hop);
    u64 before = flush_denormals();
    while (count) {
        long some = count < room - part->held ? count : room - part->held;
        copy(part->x + part->held, x, some);
        part->held += some, x += some, count -= some;
        if (part->held == room)
            add_part(b, part);
    }
    restore(before);
}

double novasr_band_edge(novasr_band *b)
{
    EACH(c, b->channels) add_part(b, &b->parts[c]);
    int edge = find_edge(&b->finder, &b->spectrum);
    return edge < 0 ? 0 : (double)edge * b->rate / (2 * b->hop);
}
